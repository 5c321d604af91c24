//! A server that answers as told.

use super::*;

/// A body of given frames, so that trailers can be sent.
pub(super) struct Frames(std::vec::IntoIter<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

/// What a server answers: status, headers, body, trailers.
#[derive(Clone, Default)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn http(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            ..Self::default()
        }
    }

    pub(super) fn grpc(code: u8) -> Self {
        Self {
            trailers: vec![("grpc-status", code.to_string())],
            ..Self::default()
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn into_response(self) -> Response<Frames> {
        let fields = |pairs: Vec<(&'static str, String)>| -> HeaderMap {
            pairs
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect()
        };
        let mut frames = Vec::new();
        if !self.body.is_empty() {
            frames.push(Frame::data(self.body.into()));
        }
        if !self.trailers.is_empty() {
            frames.push(Frame::trailers(fields(self.trailers)));
        }
        let mut response = Response::new(Frames(frames.into_iter()));
        *response.status_mut() = self.status;
        *response.headers_mut() = fields(self.headers);
        response
    }
}

/// A server that gives the same reply to each request and keeps what it was asked.
pub(super) struct Server {
    pub(super) address: String,
    asked: Arc<Mutex<Vec<(Parts, Bytes)>>>,
    pub(super) connections: Arc<Mutex<usize>>,
}

impl Server {
    pub(super) async fn answering(protocol: Protocol, reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            connections: Arc::default(),
        };
        let (asked, connections) = (Arc::clone(&server.asked), Arc::clone(&server.connections));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *connections.lock().unwrap() += 1;
                let (asked, reply) = (Arc::clone(&asked), reply.clone());
                let service = service_fn(move |request: Asked<Incoming>| {
                    let (asked, reply) = (Arc::clone(&asked), reply.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        asked.lock().unwrap().push((parts, body));
                        Ok::<_, Infallible>(reply.into_response())
                    }
                });
                tokio::spawn(async move {
                    let io = TokioIo::new(stream);
                    match protocol {
                        Protocol::HttpProtobuf => {
                            let http = hyper::server::conn::http1::Builder::new();
                            http.serve_connection(io, service).await.ok();
                        }
                        Protocol::Grpc => {
                            let http =
                                hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                            http.serve_connection(io, service).await.ok();
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn asked(&self) -> Vec<(Parts, Bytes)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Reads something; 0 at the end.
pub(super) async fn hear(stream: &mut TcpStream) -> usize {
    stream.read(&mut [0; 1024]).await.unwrap_or(0)
}

/// A server that treats each connection as `serve` says.
pub(super) async fn raw<F, Fut>(serve: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}
