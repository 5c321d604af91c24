//! The HTTP routes and the control socket.
//!
//! It answers; it decides nothing. What is served can change under it: a reload swaps the [`View`], and requests that
//! are being answered finish with the one they began with.
//!
//! ```text
//!  GET  /            landing page          GET  /-/healthy   the process is alive
//!  GET  /metrics     the page              GET  /-/ready     the first snapshot was read
//!  POST /hooks/NAME  alerts of an alert server
//!  GET  /health      for load balancers    (control socket)  POST /api/v1/reload
//!  /api/v1/...       what operators may see and order: [`api`]; on the control socket too
//! ```

mod accept;
pub mod api;
mod control;
mod failed_logins;
mod guesses;
pub mod hooks;
mod landing;
mod metrics;
mod options;
mod press;
mod requests;
mod router;
mod tokens;
pub mod web;

pub use api::{Access, Api, ApiRouter};
pub use control::{Control, ControlRouter, Reloaded};
pub use failed_logins::{FailedLogins, Refused};
pub use hooks::{HookRouter, Hooks};
pub use options::Options;
pub use press::page;
pub use requests::Requests;
pub use router::Router;
pub use tokens::Tokens;

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use crate::dialect::Told;
use crate::subject::Sampler;

/// What is served until the next reload.
pub struct View {
    /// Reads the machine.
    pub sampler: Arc<Sampler>,
    /// Who has series beside the subjects.
    pub told: Vec<Arc<dyn Told>>,
    /// Who takes alerts.
    pub hooks: Hooks,
    /// Who may use the API.
    pub api: Access,
    /// How it is served.
    pub options: Options,
}

/// An answer with a body of one content type.
fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A short answer in plain text.
fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    answer(status, "text/plain; charset=utf-8", body)
}

/// The same answer without its body, as HEAD wants it (RFC 9110, section 9.3.2).
fn without_body(mut response: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    *response.body_mut() = Bytes::new();
    response
}
