//! A small web server that says its name, and a visitor who keeps the connection and the cookie.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::process::patience;

/// A web server on threads of its own: `/` answers its name, `/held` does once it is released, `/long` never ends.
pub struct Web {
    pub port: u16,
    ended: Arc<AtomicBool>,
    released: Arc<AtomicBool>,
}

impl Web {
    pub fn start(name: &'static str) -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let ended = Arc::new(AtomicBool::new(false));
        let released = Arc::new(AtomicBool::new(false));
        let (end, release) = (Arc::clone(&ended), Arc::clone(&released));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (end, release) = (Arc::clone(&end), Arc::clone(&release));
                // A client that leaves ends its thread.
                thread::spawn(move || drop(serve(stream, name, &end, &release)));
            }
        });
        Ok(Self {
            port,
            ended,
            released,
        })
    }

    /// Answers what is held.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// The first line of the next request without a body; none when the client has left.
pub fn request(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut request = String::new();
    if reader.read_line(&mut request)? == 0 {
        return Ok(None);
    }
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(Some(request))
}

fn serve(
    stream: TcpStream,
    name: &str,
    ended: &AtomicBool,
    released: &AtomicBool,
) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let Some(request) = request(&mut reader)? else {
            return Ok(());
        };
        if request.starts_with("GET /long ") {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
            while !ended.load(Ordering::SeqCst) {
                out.write_all(b"more")?;
                thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        let length = name.len();
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
        if request.starts_with("GET /held ") {
            while !released.load(Ordering::SeqCst) && !ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        out.write_all(name.as_bytes())?;
    }
}

/// Somebody with an address of their own who keeps the connection, and the cookie that HAProxy gives.
pub struct Visitor {
    stream: tokio::net::TcpStream,
    pub cookie: Option<String>,
    /// Length and begin of the body that is being read.
    rest: (usize, Vec<u8>),
}

impl Visitor {
    /// Connects from `127.0.0.HOST`.
    pub async fn new(host: u8, port: u16) -> Result<Self, Failed> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        Ok(Self {
            stream,
            cookie: None,
            rest: Default::default(),
        })
    }

    /// Asks for `/`: who answers.
    pub async fn asks(&mut self) -> Result<String, Failed> {
        self.waits("/").await?;
        self.gets().await
    }

    /// Asks for a page, and reads the head of the answer.
    pub async fn waits(&mut self, path: &str) -> Result<(), Failed> {
        let (head, body) = self.begins(path).await?;
        let lines = head.lines().map(str::to_ascii_lowercase);
        let length = lines
            .filter_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .next();
        self.rest = (length.ok_or_else(|| format!("no length: {head}"))?, body);
        Ok(())
    }

    /// Reads the rest of it: who answers.
    pub async fn gets(&mut self) -> Result<String, Failed> {
        let (length, mut body) = std::mem::take(&mut self.rest);
        while body.len() < length {
            self.more(&mut body).await?;
        }
        Ok(String::from_utf8(body)?)
    }

    /// Asks for what never ends, and reads its head.
    pub async fn downloads(&mut self) -> Result<(), Failed> {
        self.begins("/long").await.map(drop)
    }

    /// Reads on until the connection ends.
    pub async fn is_cut_off(&mut self) -> Result<(), Failed> {
        let read = async {
            let mut body = Vec::new();
            while self.more(&mut body).await.is_ok() {
                body.clear();
            }
        };
        timeout(patience(), read)
            .await
            .map_err(|_| "the download goes on".into())
    }

    async fn begins(&mut self, path: &str) -> Result<(String, Vec<u8>), Failed> {
        let cookie = self
            .cookie
            .as_ref()
            .map(|value| format!("Cookie: SRV={value}\r\n"));
        let cookie = cookie.unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: web\r\n{cookie}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let end = loop {
            if let Some(end) = answer.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
            self.more(&mut answer).await?;
        };
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer)?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(head.into());
        }
        let given = head.lines().find_map(|line| {
            let given = line.to_ascii_lowercase();
            let (value, _) = given.strip_prefix("set-cookie: srv=")?.split_once(';')?;
            Some(value.to_owned())
        });
        self.cookie = given.or(self.cookie.take());
        Ok((head, body))
    }

    async fn more(&mut self, into: &mut Vec<u8>) -> Result<(), Failed> {
        match timeout(patience(), self.stream.read_buf(into)).await? {
            Ok(0) => Err("the connection ended".into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
