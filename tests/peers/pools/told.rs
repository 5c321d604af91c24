//! What nodeward has on record, and whom it told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::ours;
use crate::process::until;
use crate::scratch::Scratch;

/// Sums of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    pub active: u64,
    pub finished: u64,
    pub moved: u64,
    pub cut: u64,
    pub open: u64,
}

/// What is on record of the sessions of the node when it was out, and whether that worked out.
pub fn left(records: &[Value]) -> Result<(bool, Sums), Failed> {
    let record = records
        .iter()
        .find(|r| r["kind"] == "hold" && r["data"]["did"] == "out");
    let data = &record.ok_or("it never left the pool")?["data"];
    let ledger = &data["detail"]["ledger"];
    let sum = |name: &str| {
        let sum = ledger[name].as_u64();
        sum.ok_or_else(|| Failed::from(format!("no {name} in {data}")))
    };
    let sums = Sums {
        active: sum("active")?,
        finished: sum("finished")?,
        moved: sum("moved")?,
        cut: sum("cut")?,
        open: sum("open")?,
    };
    Ok((data["complete"] == true, sums))
}

/// The pool as it is in the evidence of before the first action: what HAProxy said of it.
pub fn pool_before(state: &Scratch, records: &[Value]) -> Result<Value, Failed> {
    let incident = incident(records)?;
    let packet = says(state, &["evidence", &incident, "--number", "1"])?;
    // Behind it stands what the command did.
    let packet = packet.lines().next().unwrap_or_default();
    let packet: Value = serde_json::from_str(packet)?;
    assert_eq!(packet["occasion"], "before_action");
    let parts = packet["parts"].as_array().ok_or("no parts")?;
    let part = parts.iter().find(|part| part["part"] == "pool");
    let text = part.and_then(|part| part["text"].as_str());
    let text = text.ok_or_else(|| format!("no pool in {packet:#}"))?;
    let mut pool: Value = serde_json::from_str(text)?;
    assert_eq!(pool["min_healthy"], 2, "{pool:#}");
    Ok(pool["view"].take())
}

/// The incident that there is.
pub fn incident(records: &[Value]) -> Result<String, Failed> {
    let id = records.iter().find_map(|r| r["incident"].as_str());
    Ok(id.ok_or("no incident")?.to_owned())
}

/// What `nodeward` with these arguments prints; it must have worked.
pub fn says(state: &Scratch, arguments: &[&str]) -> Result<String, Failed> {
    let [subcommand, rest @ ..] = arguments else {
        return Err("no subcommand".into());
    };
    let mut command: Command = ours::command(subcommand, state);
    let out = command.args(rest).output()?;
    let said = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match out.status.success() {
        true => Ok(said.concat()),
        false => Err(format!("{arguments:?}: {}: {}", out.status, said.concat()).into()),
    }
}

/// Somebody on call: a web server that takes every notice.
pub struct OnCall {
    pub address: SocketAddr,
    notices: Arc<Mutex<Vec<Value>>>,
}

impl OnCall {
    /// It goes with the process of the tests.
    pub fn start() -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let notices = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&notices);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(notice) = take(stream) {
                    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.push(notice);
                }
            }
        });
        Ok(Self { address, notices })
    }

    /// What it was told, each notice once, by its id.
    pub fn notices(&self) -> Vec<Value> {
        let mut notices: Vec<Value> = Vec::new();
        let told = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        for notice in told.iter() {
            if notices.iter().all(|before| before["id"] != notice["id"]) {
                notices.push(notice.clone());
            }
        }
        notices
    }

    /// Has the playbook of the stage tell it what could not be healed.
    pub fn is_told(&self, config: &mut Value) {
        let url = format!("http://{}/", self.address);
        config["notify"] = json!({"oncall": {"to": {"webhook": {"url": url}}}});
        config["playbooks"]["web-ill"]["escalate"] = json!(["oncall"]);
    }

    /// Waits until it was told.
    pub fn knows(&self) -> Result<(), Failed> {
        until("the notice", || {
            (!self.escalations().is_empty()).then_some(())
        })
    }

    /// Those that say that it could not be healed.
    pub fn escalations(&self) -> Vec<Value> {
        let mut notices = self.notices();
        notices.retain(|notice| notice["what"] == "escalated");
        notices
    }
}

fn take(stream: TcpStream) -> Result<Value, Failed> {
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(serde_json::from_slice(&body)?)
}
