//! Stands between a real server and an agent and notes in which form the server asks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use libtest_mimic::Failed;

/// Before a body: `ZBXD`, flags, the length in four bytes, four more.
const HEADER: usize = 13;

/// What was asked so far.
#[derive(Default)]
struct Asked {
    plain: AtomicU64,
    json: AtomicU64,
}

/// Passes each question and its answer on.
pub struct Overheard {
    pub port: u16,
    asked: Arc<Asked>,
}

impl Overheard {
    pub fn new(to: u16) -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(Asked::default());
        let shared = Arc::clone(&asked);
        thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let asked = Arc::clone(&shared);
                thread::spawn(move || pass(from, to, &asked));
            }
        });
        Ok(Self { port, asked })
    }

    /// Questions that were a bare key, and questions in JSON.
    pub fn plain_and_json(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.asked.plain), count(&self.asked.json))
    }
}

/// One question and its answer. Whoever goes away in between is not waited for.
fn pass(mut from: TcpStream, to: u16, asked: &Asked) -> Option<()> {
    let mut question = vec![0; HEADER];
    from.read_exact(&mut question).ok()?;
    let length = question.get(5..9)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    question.resize(HEADER + length, 0);
    from.read_exact(question.get_mut(HEADER..)?).ok()?;
    let form = match question.get(HEADER) {
        Some(b'{') => &asked.json,
        _ => &asked.plain,
    };
    form.fetch_add(1, Ordering::Relaxed);
    let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).ok()?;
    to.write_all(&question).ok()?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer).ok()?;
    from.write_all(&answer).ok()
}
