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

/// GETs `path` from `address`.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer, Failed> {
    let mut stream = TcpStream::connect_timeout(&address, patience())?;
    stream.set_read_timeout(Some(patience()))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: text/plain\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;

    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| format!("{address}{path}: no end of headers in the answer"))?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| format!("{address}{path}: not HTTP: {head}"))?;
    Ok(Answer { status, body })
}

/// GETs a page that must be there: status 200, UTF-8.
pub fn page(address: SocketAddr, path: &str) -> Result<String, Failed> {
    let answer = get(address, path)?;
    let text = String::from_utf8(answer.body)?;
    if answer.status != 200 {
        return Err(format!("{address}{path} answered {}: {text}", answer.status).into());
    }
    Ok(text)
}
