//! What notices are sent to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What came, in order.
pub(super) type Came<T> = Arc<Mutex<Vec<T>>>;

/// Reads one frame (RFC 6587 section 3.4.1); none at the end of the connection, even amid a frame.
pub(super) async fn frame(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut count = Vec::new();
    stream.read_until(b' ', &mut count).await.ok()?;
    let count = String::from_utf8(count).unwrap();
    let count: usize = count.strip_suffix(' ')?.parse().unwrap();
    let mut line = vec![0; count];
    stream.read_exact(&mut line).await.ok()?;
    Some(String::from_utf8(line).unwrap())
}

/// A syslog receiver that hangs up on its connections after so many frames each, and keeps the one after them.
pub(super) async fn tcp(hang_up: Vec<usize>) -> (String, Came<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let came = Came::default();
    let frames = Arc::clone(&came);
    tokio::spawn(async move {
        for most in hang_up.into_iter().chain([usize::MAX]) {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            for _ in 0..most {
                let Some(frame) = frame(&mut stream).await else {
                    break;
                };
                frames.lock().unwrap().push(frame);
            }
        }
        std::future::pending::<()>().await;
    });
    (address, came)
}

/// The value of a name in the structured data.
pub(super) fn value(line: &str, name: &str) -> String {
    let (_, after) = line.split_once(&format!(" {name}=\"")).unwrap();
    after.split_once('"').unwrap().0.to_owned()
}

pub(super) fn ids(came: &Came<String>) -> Vec<String> {
    let came = came.lock().unwrap();
    came.iter().map(|line| value(line, "id")).collect()
}

/// A request: its head, and its body.
pub(super) type Request = (String, serde_json::Value);

/// A web server whose answers are those of `answer`, by the number of the request; none hangs.
pub(super) async fn web(
    answer: impl Fn(usize) -> Option<&'static str> + Send + 'static,
) -> (String, Came<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let came = Came::<Request>::default();
    let requests = Arc::clone(&came);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await.unwrap() == 0 {
                    break;
                }
            }
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length: ").nth(1).unwrap();
            let length = length.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let number = {
                let mut requests = requests.lock().unwrap();
                requests.push((head, serde_json::from_slice(&body).unwrap()));
                requests.len() - 1
            };
            match answer(number) {
                Some(status) => {
                    let text = format!(
                        "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
                None => kept.push(stream),
            }
        }
    });
    (url, came)
}

/// A mail server whose answers to mails are those of `answer`, by the number of the mail and what it says; what it took.
pub(super) async fn smtp(
    answer: impl Fn(usize, &str) -> &'static str + Send + 'static,
) -> (String, Came<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let came = Came::<String>::default();
    let mails = Arc::clone(&came);
    tokio::spawn(async move {
        let mut number = 0;
        loop {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"220 x\r\n").await.unwrap();
            let mut mail: Option<String> = None;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    break;
                }
                let said = match &mut mail {
                    Some(text) if line == ".\r\n" => {
                        let said = answer(number, text);
                        number += 1;
                        if said.starts_with('2') {
                            mails.lock().unwrap().push(std::mem::take(text));
                        }
                        mail = None;
                        said
                    }
                    Some(text) => {
                        text.push_str(&line);
                        continue;
                    }
                    None if line.starts_with("DATA") => {
                        mail = Some(String::new());
                        "354 go on"
                    }
                    None => "250 ok",
                };
                let said = format!("{said}\r\n");
                stream.write_all(said.as_bytes()).await.unwrap();
            }
        }
    });
    (url, came)
}
