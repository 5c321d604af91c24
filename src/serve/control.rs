//! The control socket: what `nodeward status`, `reload`, `pause` and the like talk to. It serves the API, and `reload`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};

use super::{Api, api, text};
use crate::net::server::{Admit, Handler, Head, Request};
use crate::net::stream::Peer;

/// What became of a reload: what changed in one line, or all that is wrong with the new config.
pub type Reloaded = Result<String, String>;

/// Who can make nodeward read its config again. Implemented by the app.
pub trait Control: Send + Sync {
    /// Reads the config again, all or nothing.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>>;
}

/// Answers the requests of the control socket.
pub struct ControlRouter {
    control: Arc<dyn Control>,
    api: Arc<Api>,
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
    /// A router over `control` and the API.
    #[must_use]
    pub fn new(control: Arc<dyn Control>, api: Arc<Api>) -> Self {
        Self { control, api }
    }

    /// Answers one request.
    pub async fn respond(&self, request: &Request) -> Response<Bytes> {
        let Request {
            method, uri, body, ..
        } = request;
        match (method, uri.path()) {
            (&Method::GET, "/-/healthy") => text(StatusCode::OK, "healthy\n"),
            (&Method::POST, "/api/v1/reload") => match self.control.reload().await {
                Ok(said) => text(StatusCode::OK, said),
                Err(wrong) => text(StatusCode::UNPROCESSABLE_ENTITY, wrong),
            },
            (_, "/api/v1/reload") => text(StatusCode::METHOD_NOT_ALLOWED, "POST only\n"),
            _ => {
                let by = name(request.peer);
                self.api.respond(&by, method, uri, body).await
            }
        }
    }
}
