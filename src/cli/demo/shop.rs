//! The demo's service: an HTTP server that answers 500 from `POST /break` until `POST /repair`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgMatches, Command, value_parser};
use hyper::StatusCode;
use hyper::body::Bytes;

use crate::cli::Exit;
use crate::net::accept::Counters;
use crate::net::address::Address;
use crate::net::bind::Bound;
use crate::net::resolve::Resolver;
use crate::net::server::{self, Handler, Limits, Request, Response};

/// Its subcommand.
pub(super) const NAME: &str = "demo-service";

pub(in crate::cli) fn command() -> Command {
    Command::new(NAME)
        .about("The service that nodeward demo breaks")
        .hide(true)
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .value_parser(value_parser!(Address))
                .help("Serve there, and go on when who started it ends [default: a free port of loopback]"),
        )
}

pub(in crate::cli) fn run(matches: &ArgMatches) -> Exit {
    let listen = matches.get_one::<Address>("listen");
    if listen.is_none() {
        super::part::end_with_parent();
    }
    let runtime = match crate::cli::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    match runtime.block_on(serve(listen)) {
        Ok(()) => Exit::Fine,
        Err(why) => crate::cli::fail(&why),
    }
}

/// Serves, on a free port unless one is named, until the process ends.
async fn serve(listen: Option<&Address>) -> Result<(), String> {
    let free = "127.0.0.1:0"
        .parse::<Address>()
        .map_err(|e| e.to_string())?;
    let bound = Bound::to(listen.unwrap_or(&free), &Resolver::default())
        .await
        .map_err(|e| e.to_string())?;
    let local = bound.local().ok_or("no port was given")?;
    crate::cli::say(&format!("{}{local}/", super::part::SERVING));
    let (limits, counters) = (Limits::default(), Arc::new(Counters::default()));
    let shop = Arc::new(Shop::default());
    server::serve(bound, shop, limits, counters, std::future::pending()).await;
    Ok(())
}

#[derive(Default)]
struct Shop {
    broken: AtomicBool,
}

impl Shop {
    fn answer(&self, method: &str, path: &str) -> (StatusCode, &'static str) {
        match (method, path) {
            ("GET" | "HEAD", "/") if self.broken.load(Ordering::Relaxed) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "broken\n")
            }
            ("GET" | "HEAD", "/") => (StatusCode::OK, "open\n"),
            ("POST", "/break") => {
                self.broken.store(true, Ordering::Relaxed);
                (StatusCode::OK, "broken now\n")
            }
            ("POST", "/repair") => {
                self.broken.store(false, Ordering::Relaxed);
                (StatusCode::OK, "repaired\n")
            }
            _ => (
                StatusCode::NOT_FOUND,
                "GET /, POST /break or POST /repair\n",
            ),
        }
    }
}

impl Handler for Shop {
    async fn handle(&self, request: Request) -> Response {
        let (status, text) = self.answer(request.method.as_str(), request.uri.path());
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = status;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_500_from_break_to_repair() {
        let shop = Shop::default();
        let status = |method, path| shop.answer(method, path).0.as_u16();
        assert_eq!(status("GET", "/"), 200);
        assert_eq!(status("POST", "/break"), 200);
        assert_eq!(status("GET", "/"), 500);
        assert_eq!(status("GET", "/repair"), 404);
        assert_eq!(status("GET", "/"), 500);
        assert_eq!(status("POST", "/repair"), 200);
        assert_eq!(status("GET", "/"), 200);
    }
}
