//! A client that costs little: one kept connection, answers read to their declared end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use libtest_mimic::Failed;

/// A kept HTTP/1.1 connection.
pub struct Http {
    stream: BufReader<TcpStream>,
    request: String,
    body: Vec<u8>,
}

impl Http {
    pub fn connect(address: SocketAddr, gzip: bool) -> Result<Self, Failed> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let encoding = if gzip {
            "Accept-Encoding: gzip\r\n"
        } else {
            ""
        };
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {address}\r\n{encoding}\
             Accept: text/plain;version=0.0.4\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
        );
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            request,
            body: Vec::new(),
        })
    }

    /// One scrape; gives the size of its body on the wire.
    pub fn scrape(&mut self) -> Result<usize, Failed> {
        self.stream.get_mut().write_all(self.request.as_bytes())?;
        let mut length = None;
        let mut chunked = false;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the connection was closed".into());
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse::<usize>().ok();
            }
            chunked |= lower == "transfer-encoding: chunked";
        }
        self.body.clear();
        if !chunked {
            self.body.resize(length.unwrap_or(0), 0);
            self.stream.read_exact(&mut self.body)?;
            return Ok(self.body.len());
        }
        let mut total = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16)?;
            self.body.resize(size + 2, 0);
            self.stream.read_exact(&mut self.body)?;
            if size == 0 {
                return Ok(total);
            }
            total += size;
        }
    }
}
