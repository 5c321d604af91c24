//! What is asked of a peer. Printing one shows names of headers, never their values.

use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri, Version};

use super::{Error, Protocol};
use crate::net::endpoint::Endpoint;

/// One request: method, path, headers and a whole body. Cloning copies no body.
#[derive(Clone)]
pub struct Request {
    method: Method,
    path: Option<PathAndQuery>,
    headers: HeaderMap,
    body: Bytes,
    pub(super) whole: Option<Duration>,
    pub(super) once: bool,
    wrong: Option<&'static str>,
}

impl Request {
    /// A request without headers and body, to the path of the client's endpoint.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            path: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            whole: None,
            once: false,
            wrong: None,
        }
    }

    /// `GET`.
    pub fn get() -> Self {
        Self::new(Method::GET)
    }

    /// `POST` with a body.
    pub fn post(body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST).body(body)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Another absolute path and query than the endpoint's. A path that is none makes
    /// [`Client::send`](super::Client::send) answer [`Error::BadRequest`].
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        match PathAndQuery::try_from(path) {
            Ok(path) if path.as_str().starts_with('/') => self.path = Some(path),
            _ => self.wrong = Some("its path is not an absolute, percent-encoded path"),
        }
        self
    }

    /// Sets a header. A name or value that HTTP does not allow makes
    /// [`Client::send`](super::Client::send) answer [`Error::BadRequest`].
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(name == hyper::header::AUTHORIZATION);
                self.headers.insert(name, value);
            }
            _ => self.wrong = Some("one of its headers is not valid HTTP"),
        }
        self
    }

    /// A deadline for this request in place of [`Limits::whole`](super::Limits::whole).
    #[must_use]
    pub fn within(mut self, whole: Duration) -> Self {
        self.whole = Some(whole);
        self
    }

    /// For requests with an effect: goes out on a connection of its own and is never sent twice.
    #[must_use]
    pub fn at_most_once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The request as hyper wants it: origin form and `Host` for HTTP/1.1 (RFC 9112 section 3.2.1),
    /// absolute form for HTTP/2, where hyper makes `:authority` of it.
    pub(super) fn assemble(
        self,
        endpoint: &Endpoint,
        protocol: Protocol,
    ) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let bad = |what| Error::BadRequest {
            peer: endpoint.to_string(),
            what,
        };
        if let Some(what) = self.wrong {
            return Err(bad(what));
        }
        let path = self.path.unwrap_or_else(|| endpoint.path().clone());
        let mut request = hyper::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.headers_mut() = self.headers;
        match protocol {
            Protocol::Http1 => {
                *request.uri_mut() = Uri::from(path);
                if !request.headers().contains_key(HOST) {
                    let host = HeaderValue::try_from(endpoint.authority())
                        .map_err(|_| bad("its host name is not valid in a header"))?;
                    request.headers_mut().insert(HOST, host);
                }
            }
            Protocol::Http2 => {
                *request.version_mut() = Version::HTTP_2;
                *request.uri_mut() = Uri::builder()
                    .scheme("http")
                    .authority(endpoint.authority())
                    .path_and_query(path)
                    .build()
                    .map_err(|_| bad("its host name is not valid in a URL"))?;
            }
        }
        Ok(request)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &names)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}
