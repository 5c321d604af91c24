//! The client against a stand-in that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

/// What an engine says of a container that runs.
pub(crate) const STATE: &str = r#"{"Id":"abc","State":{"Status":"running","Running":true,"Restarting":false,"Pid":42,
"StartedAt":"2026-11-25T10:00:00Z","FinishedAt":"0001-01-01T00:00:00Z","ExitCode":0,"OOMKilled":false,
"Health":{"Status":"starting","Log":[]}},"Config":{"StopTimeout":3,"Image":"x"},"RestartCount":0}"#;

/// An engine that gives one answer after the other: a status and a body. Status 0 hangs up.
pub(crate) struct Fake {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) fn answering(answers: &[(u16, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("engine.sock")).unwrap();
        let mut answers: VecDeque<(u16, String)> = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0
                {
                }
                let head = String::from_utf8(head).unwrap();
                let line = head.lines().next().unwrap_or_default();
                note.lock()
                    .unwrap()
                    .push(line.trim_end_matches(" HTTP/1.1").to_owned());
                let (status, body) = answers.pop_front().unwrap_or((0, String::new()));
                if status > 0 {
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
                    // A status without a body has no length either.
                    let bare = matches!(status, 204 | 304);
                    let answer = if bare {
                        format!("HTTP/1.1 {status} X\r\n\r\n")
                    } else {
                        answer
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Self { directory, asked }
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::new(&Options {
            socket: Some(self.directory.path().join("engine.sock")),
        })
    }

    pub(crate) async fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn reads_the_state_of_a_container() {
    let bare = r#"{"Id":"x","State":{"Status":"exited","Pid":0,"Health":{"Status":"none"}}}"#;
    let fake = Fake::answering(&[(200, STATE), (200, bare), (200, "[]"), (404, "")]);
    let engine = fake.engine();
    let state = engine.inspect("api", SOON).await.unwrap();
    assert_eq!((state.pid, state.stop_wait, state.running), (42, 3, true));
    assert_eq!(state.health, "starting");
    let state = engine.inspect("odd/name", SOON).await.unwrap();
    assert_eq!((state.stop_wait, state.health.as_str()), (10, ""));
    assert!(matches!(
        engine.inspect("a", SOON).await,
        Err(Error::Unexpected(_))
    ));
    assert!(matches!(
        engine.inspect("a", SOON).await,
        Err(Error::Unknown(_))
    ));
    assert_eq!(fake.asked().await[1], "GET /containers/odd%2Fname/json");
}

#[tokio::test]
async fn the_first_socket_that_is_there_is_asked_and_none_is_named() {
    let fake = Fake::answering(&[(204, "")]);
    let mut engine = fake.engine();
    engine
        .sockets
        .insert(0, PathBuf::from("/nonexistent/docker.sock"));
    let did = engine.act(Verb::Stop, "api", 7, SOON).await.unwrap();
    assert_eq!(did, Did::Done);
    assert_eq!(fake.asked().await, ["POST /containers/api/stop?t=7"]);
    engine.sockets.truncate(1);
    let error = engine.act(Verb::Kill, "api", 0, SOON).await.unwrap_err();
    assert!(error.is_refusal());
    assert!(
        error.to_string().contains("/nonexistent/docker.sock"),
        "{error}"
    );
}
