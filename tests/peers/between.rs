//! A network between nodeward and a receiver that is slow, breaks off, or lets nobody through.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Everything gets through.
    Well,
    /// A few bytes at a time get through.
    Slow,
    /// What comes in is swallowed, and the connection reset.
    Resetting,
    /// Whoever connects is sent away.
    Refusing,
}

/// Bytes that are passed on at a time.
const CHUNK: usize = 2048;

/// Passes on to a port as its mood says.
pub struct Between {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    /// Times that it has done what the mood says.
    acted: u64,
}

impl Between {
    pub fn new(to: u16) -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Well,
            acted: 0,
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || pass(from, to, &state));
            }
        });
        Ok(Self { port, state })
    }

    pub fn set(&self, mood: Mood) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.mood, state.acted) = (mood, 0);
    }

    /// Whether somebody has met with its mood.
    pub fn has_acted(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.acted > 0
    }
}

/// The mood, noted as met with.
fn met(state: &Mutex<State>) -> Mood {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.acted += 1;
    state.mood
}

fn mood(state: &Mutex<State>) -> Mood {
    state.lock().unwrap_or_else(PoisonError::into_inner).mood
}

/// Until either end is closed. What is read and not passed on was taken, as far as its sender knows.
fn pass(mut from: TcpStream, to: u16, state: &Mutex<State>) {
    if mood(state) == Mood::Refusing {
        met(state);
        return;
    }
    let Ok(mut to) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else {
        return;
    };
    if from
        .set_read_timeout(Some(Duration::from_millis(20)))
        .is_err()
    {
        return;
    }
    let mut chunk = [0; CHUNK];
    loop {
        // Whoever is connected already is sent away as well.
        if mood(state) == Mood::Refusing {
            met(state);
            return;
        }
        let most = if mood(state) == Mood::Slow { 64 } else { CHUNK };
        let Some(room) = chunk.get_mut(..most) else {
            return;
        };
        let size = match from.read(room) {
            Ok(0) => return,
            Ok(size) => size,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => return,
        };
        match met(state) {
            Mood::Resetting => {
                // Closed so, it says RST and not FIN.
                rustix::net::sockopt::set_socket_linger(&from, Some(Duration::ZERO))
                    .unwrap_or_default();
                return;
            }
            Mood::Refusing => return,
            Mood::Slow => thread::sleep(Duration::from_millis(5)),
            Mood::Well => {}
        }
        if to.write_all(room.get(..size).unwrap_or_default()).is_err() {
            return;
        }
    }
}
