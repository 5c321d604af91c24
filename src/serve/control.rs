//! The control socket: what `nodeward status`, `reload`, `pause` and the like talk to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};

use super::{answer, api, text};
use crate::net::server::{Admit, Handler, Head, Request};
use crate::net::stream::Peer;

/// What became of a reload: what changed in one line, or all that is wrong with the new config.
pub type Reloaded = Result<String, String>;

/// Who can say how nodeward is, and make it read its config again. Implemented by the app.
pub trait Control: Send + Sync {
    /// The state as JSON.
    fn status(&self) -> serde_json::Value;
    /// Reads the config again, all or nothing.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>>;
    /// Who does what operators want.
    fn operator(&self) -> &dyn api::Operator;
}

/// Answers the requests of the control socket.
pub struct ControlRouter {
    control: Arc<dyn Control>,
}

impl Handler for ControlRouter {
    fn admit(&self, _: &Head<'_>) -> Admit {
        Admit::AtMost(api::BODY)
    }

    async fn handle(&self, request: Request) -> Response<Bytes> {
        self.respond(&request).await
    }
}

/// Whoever asks, as the record has it. The socket lets in its owner and root.
fn name(peer: Peer) -> String {
    match peer {
        Peer::Unix { uid: Some(0), .. } => "root".into(),
        Peer::Unix { uid: Some(uid), .. } => format!("uid {uid}"),
        Peer::Unix { uid: None, .. } => "an unknown user".into(),
        Peer::Tcp(address) => address.to_string(),
    }
}

impl ControlRouter {
    /// A router over `control`.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }

    /// Answers one request.
    pub async fn respond(&self, request: &Request) -> Response<Bytes> {
        match (&request.method, request.uri.path()) {
            (method, path) if api::serves(path) => {
                let by = name(request.peer);
                api::respond(self.control.operator(), &by, method, path, &request.body).await
            }
            (&Method::GET, "/api/v1/status") => {
                let mut body = self.control.status().to_string();
                body.push('\n');
                answer(StatusCode::OK, "application/json", body)
            }
            (&Method::GET, "/-/healthy") => text(StatusCode::OK, "healthy\n"),
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
