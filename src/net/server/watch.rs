//! Driving one connection while watching its pace and the drain.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until};

use super::Limits;
use super::pace::Pace;
use crate::net::accept::Drain;
use crate::net::watched::Watched;

/// How a connection ended.
pub(super) enum End {
    /// Closed in good order, or idle for too long.
    Done,
    /// The peer broke it off or sent what is no HTTP.
    Broken(hyper::Error),
    /// The peer kept us waiting for this.
    TooSlow(&'static str),
}

/// Runs `connection` to its end, within the times of `limits`.
pub(super) async fn watched<S>(
    connection: http1::Connection<TokioIo<Watched<Pace>>, S>,
    pace: &Pace,
    limits: &Limits,
    drain: Drain,
) -> End
where
    S: HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = pin!(connection);
    let mut drain = pin!(drain.on());
    let mut draining = false;
    let mut timer = pin!(sleep_until(Instant::now() + limits.header_read));
    poll_fn(|cx| {
        if !draining && drain.as_mut().poll(cx).is_ready() {
            draining = true;
            Pin::as_mut(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(outcome) = connection.as_mut().poll(cx) {
            return Poll::Ready(outcome.map_or_else(End::Broken, |()| End::Done));
        }
        loop {
            let Some(due) = pace.due(limits) else {
                return Poll::Pending;
            };
            // Only ever moved forward from here when it fires: a busy connection leaves it alone.
            if due.at < timer.deadline() {
                timer.as_mut().reset(due.at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due.at <= Instant::now() {
                return Poll::Ready(due.waiting_for.map_or(End::Done, End::TooSlow));
            }
            timer.as_mut().reset(due.at);
        }
    })
    .await
}
