//! Stand-ins for systemd and for its bus, each on a socket of its own.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use zbus::{DynamicType, Guid, Message, MessageStream, Variant};

use crate::peer::systemd::{Options, session, unit_path};

/// A runtime driven on a thread of its own, as in the program.
pub(super) struct Running {
    pub(super) handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

pub(super) fn running() -> Running {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = thread::spawn(move || {
        runtime.block_on(stopped).ok();
    });
    Running {
        handle,
        stop: Some(stop),
        thread: Some(thread),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A listening socket in a directory of its own.
pub(super) struct Listening {
    directory: PathBuf,
    pub(super) listener: UnixListener,
}

pub(super) fn listening() -> Listening {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("nodeward-systemd-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    let listener = UnixListener::bind(directory.join("bus")).unwrap();
    Listening {
        directory,
        listener,
    }
}

impl Listening {
    pub(super) fn options(&self, private: bool) -> Options {
        let address = format!("unix:path={}", self.directory.join("bus").display());
        Options {
            private,
            address: Some(address),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

pub(super) type Answer = Box<dyn FnMut(&Message) -> Vec<Message> + Send>;

/// Accepts connections, each served by what `answer` makes, until the listener's owner is gone.
pub(super) fn serve(listening: &Listening, mut answer: impl FnMut() -> Answer + Send + 'static) {
    let listener = listening.listener.try_clone().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            while let Ok((stream, _)) = listener.accept() {
                let builder = zbus::connection::Builder::unix_stream(stream);
                // A client may lose its patience at any point: then the next one is served.
                let built = builder.server(Guid::generate()).p2p().build();
                let Ok(server) = built.await else { continue };
                let mut calls = MessageStream::from(&server);
                let mut answer = answer();
                while let Ok(call) = session::next(&mut calls).await {
                    if call
                        .header()
                        .member()
                        .is_some_and(|member| member == "Hello")
                    {
                        let header = call.header();
                        let hello = Message::method_return(&header).build(&":1.1").unwrap();
                        if server.send(&hello).await.is_err() {
                            break;
                        }
                        continue;
                    }
                    for message in answer(&call) {
                        server.send(&message).await.ok();
                    }
                    if call
                        .header()
                        .member()
                        .is_some_and(|member| member == "HangUp")
                    {
                        break;
                    }
                }
                // Explicitly: this thread is about to block, and its tasks with it.
                server.close().await.ok();
            }
        });
    });
}

pub(super) fn answered<B: serde::Serialize + DynamicType>(call: &Message, body: &B) -> Message {
    Message::method_return(&call.header()).build(body).unwrap()
}

pub(super) fn refused(call: &Message, name: &str) -> Message {
    Message::error(&call.header(), name)
        .build(&"no such thing")
        .unwrap()
}

pub(super) fn wanted(call: &Message) -> (String, String) {
    call.body().deserialize().unwrap()
}

/// Answers like a small systemd.
pub(super) fn small_systemd(call: &Message) -> Vec<Message> {
    let header = call.header();
    let member = header.member().unwrap().to_string();
    vec![match member.as_str() {
        "ListUnits" => {
            let path = zbus::ObjectPath::try_from(unit_path("a.service")).unwrap();
            let root = zbus::ObjectPath::try_from("/").unwrap();
            let states = ("loaded", "active", "running", "");
            let (load, active, sub, followed) = states;
            let row = (
                "a.service",
                "A",
                load,
                active,
                sub,
                followed,
                path,
                7_u32,
                "stop",
                root,
            );
            answered(call, &vec![row])
        }
        "ListUnitFiles" => answered(call, &vec![("/lib/systemd/system/a.service", "enabled")]),
        "GetAll" => {
            let all = HashMap::from([
                ("Type", Variant::from("simple")),
                ("NRestarts", Variant::from(3_u32)),
                ("MemoryCurrent", Variant::from(u64::MAX)),
                ("InvocationID", Variant::from([1_u8, 2].as_slice())),
            ]);
            answered(call, &all)
        }
        "Get" => match wanted(call) {
            (_, name) if name == "Version" => answered(call, &Variant::from("252")),
            (_, name) if name == "NFailedUnits" => answered(call, &Variant::from(2_u32)),
            (_, name) if name == "Strange" => answered(call, &17_u32),
            _ => refused(call, "org.freedesktop.DBus.Error.UnknownProperty"),
        },
        _ => refused(call, "org.freedesktop.DBus.Error.UnknownMethod"),
    }]
}

/// A peer that speaks only the handshake, then says `then`.
pub(super) fn say(listening: &Listening, then: Vec<u8>) -> Receiver<()> {
    let listener = listening.listener.try_clone().unwrap();
    let (gone, told) = sync_channel(1);
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"BEGIN\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.extend_from_slice(&byte);
        }
        stream
            .write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")
            .unwrap();
        // The first byte of the client's first message; none if it leaves without one.
        stream.read_exact(&mut [0]).ok();
        stream.write_all(&then).ok();
        // Ends when the client hangs up, orderly or not.
        stream.read_to_end(&mut Vec::new()).ok();
        gone.send(()).unwrap();
    });
    told
}
