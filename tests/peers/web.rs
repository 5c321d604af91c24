//! A blocking HTTP GET, small enough to be trusted: HTTP/1.0, so no chunks and no keep-alive.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use libtest_mimic::Failed;

use crate::process::patience;

/// An answer: the status code and the body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A request on its way, so that a test can do something else before it reads the answer.
#[derive(Debug)]
pub struct Request {
    stream: TcpStream,
    what: String,
}

impl Request {
    /// Sends a GET of `path` to `address`.
    pub fn send(address: SocketAddr, path: &str) -> Result<Self, Failed> {
        let head = format!(
            "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: text/plain, application/json;q=0.5\r\n\r\n"
        );
        Self::write(address, path, head.as_bytes())
    }

    /// Sends a POST of JSON.
    pub fn post(address: SocketAddr, path: &str, body: &serde_json::Value) -> Result<Self, Failed> {
        Self::post_bytes(address, path, body.to_string().as_bytes())
    }

    /// Sends a POST of what may be no JSON.
    pub fn post_bytes(address: SocketAddr, path: &str, body: &[u8]) -> Result<Self, Failed> {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        Self::write(address, path, &[head.as_bytes(), body].concat())
    }

    fn write(address: SocketAddr, path: &str, request: &[u8]) -> Result<Self, Failed> {
        let what = format!("http://{address}{path}");
        let failed = |error: std::io::Error| Failed::from(format!("{what}: {error}"));
        let mut stream = TcpStream::connect_timeout(&address, patience()).map_err(failed)?;
        stream.set_read_timeout(Some(patience())).map_err(failed)?;
        stream.write_all(request).map_err(failed)?;
        Ok(Self { stream, what })
    }

    /// Reads the whole answer.
    pub fn answer(mut self) -> Result<Answer, Failed> {
        let what = self.what;
        let mut answer = Vec::new();
        self.stream
            .read_to_end(&mut answer)
            .map_err(|error| format!("{what}: {error}"))?;
        let end = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or_else(|| format!("{what}: no end of headers in the answer"))?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| format!("{what}: not HTTP: {head}"))?;
        Ok(Answer { status, body })
    }
}

/// GETs a page that must be there: status 200, UTF-8.
pub fn page(address: SocketAddr, path: &str) -> Result<String, Failed> {
    let answer = Request::send(address, path)?.answer()?;
    let text = String::from_utf8(answer.body)?;
    if answer.status != 200 {
        return Err(format!("{address}{path} answered {}: {text}", answer.status).into());
    }
    Ok(text)
}
