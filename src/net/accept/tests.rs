use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::*;
use crate::net::address::Address;
use crate::net::bind::BindError;
use crate::net::resolve::Resolver;

/// Sends back what it reads until the peer is done or the drain begins.
struct Echo;

impl Serve for Echo {
    async fn serve(self: Arc<Self>, mut stream: Stream, _: Peer, drain: Drain) {
        let mut buffer = [0; 64];
        let mut drain = pin!(drain.on());
        loop {
            tokio::select! {
                () = drain.as_mut() => {
                    stream.write_all(b"bye").await.ok();
                    return;
                }
                read = stream.read(&mut buffer) => match read {
                    Ok(read @ 1..) => {
                        assert_ne!(buffer[0], b'!', "told to panic");
                        stream.write_all(&buffer[..read]).await.ok();
                    }
                    _ => return,
                },
            }
        }
    }
}

/// Never ends by itself.
struct Stubborn;

impl Serve for Stubborn {
    async fn serve(self: Arc<Self>, mut stream: Stream, _: Peer, _: Drain) {
        stream.write_all(b"hello").await.ok();
        std::future::pending().await
    }
}

struct Running {
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

fn run<S: Serve>(bound: Bound, service: S, limits: Limits) -> Running {
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let serving = accept(
        bound,
        Arc::new(service),
        limits,
        Arc::clone(&counters),
        shutdown,
    );
    Running {
        counters,
        stop,
        task: tokio::spawn(serving),
    }
}

impl Running {
    async fn stop(self) -> Arc<Counters> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.counters
    }
}

async fn bound(text: &str) -> Bound {
    Bound::to(&text.parse().unwrap(), &Resolver::default())
        .await
        .unwrap()
}

async fn said(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut said = vec![0; 64];
    let read = stream.read(&mut said).await.unwrap_or(0);
    said.truncate(read);
    said
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nodeward-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[tokio::test]
async fn closes_connections_above_the_cap_and_takes_new_ones_when_there_is_room() {
    let bound = bound("127.0.0.1:0").await;
    let place = bound.local().unwrap();
    let running = run(
        bound,
        Echo,
        Limits {
            connections: 2,
            ..Limits::default()
        },
    );
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        assert_eq!(said(&mut stream).await, b"a");
        open.push(stream);
    }
    let mut third = TcpStream::connect(place).await.unwrap();
    assert_eq!(said(&mut third).await, b"");
    assert_eq!(
        (running.counters.open(), running.counters.refused.get()),
        (2, 1)
    );
    drop(open.pop());
    loop {
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(b"b").await.ok();
        if said(&mut stream).await == b"b" {
            break;
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn lets_connections_finish_on_shutdown_and_stops_listening() {
    let bound = bound("127.0.0.1:0").await;
    let place = bound.local().unwrap();
    let running = run(bound, Echo, Limits::default());
    let mut stream = TcpStream::connect(place).await.unwrap();
    stream.write_all(b"a").await.unwrap();
    assert_eq!(said(&mut stream).await, b"a");
    let counters = running.stop().await;
    assert_eq!(said(&mut stream).await, b"bye");
    assert_eq!(
        (counters.open(), counters.cut.get(), counters.accepted.get()),
        (0, 0, 1)
    );
    assert!(TcpStream::connect(place).await.is_err());
}

#[tokio::test]
async fn cuts_what_outlives_the_drain() {
    let bound = bound("127.0.0.1:0").await;
    let place = bound.local().unwrap();
    let limits = Limits {
        drain: Duration::from_millis(20),
        ..Limits::default()
    };
    let running = run(bound, Stubborn, limits);
    let mut stream = TcpStream::connect(place).await.unwrap();
    assert_eq!(said(&mut stream).await, b"hello");
    let counters = running.stop().await;
    assert_eq!((counters.cut.get(), counters.open()), (1, 0));
    assert_eq!(said(&mut stream).await, b"");
}

#[tokio::test]
async fn outlives_a_panic_in_one_connection() {
    let bound = bound("127.0.0.1:0").await;
    let place = bound.local().unwrap();
    let running = run(bound, Echo, Limits::default());
    let mut stream = TcpStream::connect(place).await.unwrap();
    stream.write_all(b"!").await.unwrap();
    assert_eq!(said(&mut stream).await, b"");
    let mut stream = TcpStream::connect(place).await.unwrap();
    stream.write_all(b"a").await.unwrap();
    assert_eq!(said(&mut stream).await, b"a");
    let counters = running.stop().await;
    assert_eq!((counters.panicked.get(), counters.open()), (1, 0));
}

#[tokio::test]
async fn answers_on_both_families_when_it_listens_on_all_addresses() {
    let bound = bound(":0").await;
    let local = bound.local().unwrap();
    let running = run(bound, Echo, Limits::default());
    let mut hosts = vec!["127.0.0.1"];
    if local.is_ipv6() {
        hosts.push("::1");
    }
    for host in hosts {
        let mut stream = TcpStream::connect((host, local.port())).await.unwrap();
        assert!(!host.is_empty() && stream.write_all(b"a").await.is_ok());
        assert_eq!(said(&mut stream).await, b"a");
    }
    running.stop().await;
}

#[tokio::test]
async fn says_that_a_port_is_taken() {
    let first = bound("127.0.0.1:0").await;
    let error = Bound::to(&Address::Ip(first.local().unwrap()), &Resolver::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(
        error
            .to_string()
            .contains(&first.local().unwrap().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn makes_a_private_unix_socket_and_removes_it_at_the_end() {
    let directory = directory("accept");
    let path = directory.join("x.sock");
    let bound = bound(&format!("unix:{}", path.display())).await;
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let running = run(bound, Echo, Limits::default());
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"a").await.unwrap();
    assert_eq!(said(&mut stream).await, b"a");
    running.stop().await;
    assert!(!path.exists());
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn replaces_a_dead_socket_and_refuses_a_live_one_and_other_files() {
    let directory = directory("stale");
    let path = directory.join("x.sock");
    let address = Address::Unix(path.clone());
    // Closing a listener leaves its file behind, as a killed process does.
    drop(UnixListener::bind(&path).unwrap());
    let first = Bound::to(&address, &Resolver::default()).await.unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    let error = Bound::to(&address, &Resolver::default()).await.unwrap_err();
    assert!(matches!(error, BindError::Alive { .. }), "{error:?}");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    // A file that took the place of ours meanwhile is left alone.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    drop(first);
    let error = Bound::to(&address, &Resolver::default()).await.unwrap_err();
    assert!(matches!(error, BindError::NotSocket { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_dir_all(directory).unwrap();
}

/// Raises the limit of open files as far as it goes and says how many connections fit.
fn room() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
    (maximum.unwrap_or(100_000) as usize)
        .saturating_sub(1000)
        .min(10_000)
}

#[tokio::test]
async fn stays_up_under_ten_thousand_connections_that_are_never_read() {
    let bound = bound("127.0.0.1:0").await;
    let place = bound.local().unwrap();
    let running = run(
        bound,
        Echo,
        Limits {
            connections: 50,
            ..Limits::default()
        },
    );
    let mut crowd = Vec::new();
    for _ in 0..room() {
        crowd.push(TcpStream::connect(place).await.unwrap());
    }
    assert!(running.counters.open() <= 50);
    let total = crowd.len() as u64;
    drop(crowd);
    let answered = loop {
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(b"still here").await.ok();
        let answer = said(&mut stream).await;
        if !answer.is_empty() {
            break answer;
        }
    };
    assert_eq!(answered, b"still here");
    let counters = running.stop().await;
    assert!(counters.accepted.get() + counters.refused.get() >= total);
}

#[test]
fn rests_when_files_run_out() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact"])
        .arg("net::accept::tests::a_process_whose_files_run_out")
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
#[ignore = "lowers the limit of files of its whole process: rests_when_files_run_out gives it one"]
async fn a_process_whose_files_run_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let bound = bound("127.0.0.1:0").await;
    let place = bound.local().unwrap();
    let running = run(bound, Echo, Limits::default());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(64);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let mut crowd = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(place) {
        crowd.push(stream);
    }
    while running.counters.accept_errors.get() == 0 {
        tokio::task::yield_now().await;
    }
    // One that does not rest fails once a turn.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let errors = running.counters.accept_errors.get();
    assert!(errors < 1000, "{errors}");
    // The first half has places now that the second half is gone.
    crowd.truncate(crowd.len() / 2);
    let first = crowd.remove(0);
    first.set_nonblocking(true).unwrap();
    let mut first = TcpStream::from_std(first).unwrap();
    first.write_all(b"a").await.unwrap();
    assert_eq!(said(&mut first).await, b"a");
    running.stop().await;
}
