//! The control socket: what `nodeward status` and `nodeward reload` talk to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode, Uri};

use super::{answer, text};
use crate::net::server::{Handler, Request};

/// What became of a reload: what changed in one line, or all that is wrong with the new config.
pub type Reloaded = Result<String, String>;

/// Who can say how nodeward is, and make it read its config again. Implemented by the app.
pub trait Control: Send + Sync {
    /// The state as JSON.
    fn status(&self) -> serde_json::Value;
    /// Reads the config again, all or nothing.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>>;
}

/// Answers the requests of the control socket.
pub struct ControlRouter {
    control: Arc<dyn Control>,
}

impl Handler for ControlRouter {
    async fn handle(&self, request: Request) -> Response<Bytes> {
        self.respond(&request.method, &request.uri).await
    }
}

impl ControlRouter {
    /// A router over `control`.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }

    /// Answers one request.
    pub async fn respond(&self, method: &Method, uri: &Uri) -> Response<Bytes> {
        match (method, uri.path()) {
            (&Method::GET, "/api/v1/status") => {
                let mut body = self.control.status().to_string();
                body.push('\n');
                answer(StatusCode::OK, "application/json", body)
            }
            (&Method::POST, "/api/v1/reload") => match self.control.reload().await {
                Ok(said) => text(StatusCode::OK, said),
                Err(wrong) => text(StatusCode::UNPROCESSABLE_ENTITY, wrong),
            },
            (_, "/api/v1/status" | "/api/v1/reload") => {
                text(StatusCode::METHOD_NOT_ALLOWED, "GET status, POST reload\n")
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "no such thing on the control socket\n",
            ),
        }
    }
}
