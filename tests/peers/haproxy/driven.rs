//! Pools as a running nodeward drives them, and a relay that writes down what HAProxy is answered.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use libtest_mimic::Failed;
use nodeward::gate::{Event, Options, Plan, Pools, Standing, World};
use nodeward::model::hold::{Hold, Holds, Owner};
use nodeward::model::moment::Timestamp;
use nodeward::net::accept::{self, Limits, Serve};
use nodeward::net::bind::Bound;
use nodeward::net::resolve::Resolver;
use nodeward::net::stream::{Peer, Stream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::becomes;
use crate::process::{free_port, patience};

/// The pool `web`, driven; its agent listens if it has an address.
pub struct Driven {
    pub pools: Pools,
    /// Those that were said; what gates are told is noted in them, as the runner does.
    holds: Arc<Mutex<Holds>>,
    noting: JoinHandle<()>,
    events: broadcast::Receiver<Event>,
    serving: Option<JoinHandle<()>>,
}

struct Asking(Pools, String);

impl Serve for Asking {
    async fn serve(self: Arc<Self>, stream: Stream, peer: Peer, _: accept::Drain) {
        if let (Some(peer), Some(gate)) = (peer.ip(), self.0.at(&self.1))
            && let Some(asked) = gate.asked()
        {
            asked.serve(&self.1, stream, peer).await;
        }
    }
}

/// Changes holds, and has the pools follow.
fn say(pools: &Pools, holds: &Mutex<Holds>, change: impl FnOnce(&mut Holds)) {
    let mut holds = holds.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut holds);
    pools.hold(&holds);
}

/// Has it on record that gates are told.
async fn note(pools: Pools, holds: Arc<Mutex<Holds>>) {
    let mut events = pools.events();
    while let Ok(event) = events.recv().await {
        if let Event::Telling(pool, gate) = event {
            say(&pools, &holds, |holds| holds.telling(&pool, &gate));
        }
    }
}

impl Driven {
    /// Drives it by these options; nothing holds it.
    pub async fn start(options: &str, agent: Option<u16>) -> Result<Self, Failed> {
        let options: Options = serde_json::from_str(&format!("{{\"web\": {options}}}"))?;
        let wrong = nodeward::gate::faults(&options);
        if !wrong.is_empty() {
            return Err(format!("{wrong:?}").into());
        }
        let plan = Plan::new(&options, &World::default()).map_err(|wrong| format!("{wrong:?}"))?;
        let pools = Pools::default();
        pools.change(&plan);
        let events = pools.events();
        pools.hold(&Holds::default());
        let holds = Arc::default();
        let noting = tokio::spawn(note(pools.clone(), Arc::clone(&holds)));
        let mut serving = None;
        if let Some(port) = agent {
            let at = format!("127.0.0.1:{port}");
            let bound = Bound::to(&at.parse()?, &Resolver::default()).await?;
            let asking = Arc::new(Asking(pools.clone(), at));
            let never = std::future::pending();
            let accept = accept::accept(bound, asking, Limits::default(), Arc::default(), never);
            serving = Some(tokio::spawn(accept));
        }
        Ok(Self {
            pools,
            holds,
            noting,
            events,
            serving,
        })
    }

    fn owner() -> Owner {
        Owner::Operator("ann".into())
    }

    /// Places a hold.
    pub fn hold(&mut self) {
        let hold = Hold {
            why: "a test".into(),
            since: Timestamp::now(),
            began: None,
            easing: false,
        };
        let foreign = std::collections::BTreeSet::new();
        self.say(|holds| holds.place("web", Self::owner(), hold, foreign));
    }

    /// Has it on probation.
    pub fn ease(&mut self) {
        self.say(|holds| assert!(holds.ease("web", &Self::owner(), true)));
    }

    /// Lifts the hold, and waits until every gate has heard of that.
    pub async fn lift(&mut self) -> Result<(), Failed> {
        self.lifts();
        self.heard().await
    }

    /// Lifts the hold.
    pub fn lifts(&mut self) {
        self.say(|holds| drop(holds.lift("web", &Self::owner())));
    }

    /// Waits until every gate has heard that the hold is lifted.
    pub async fn heard(&mut self) -> Result<(), Failed> {
        self.event(&Event::Heard("web".into())).await?;
        self.say(|holds| *holds = Holds::default());
        Ok(())
    }

    /// Waits until somebody else is found to have the node out.
    pub async fn is_left_to_others(&mut self, gate: &str) -> Result<(), Failed> {
        self.event(&Event::Foreign("web".into(), gate.into()))
            .await?;
        self.say(|holds| holds.left_to_others("web", gate));
        Ok(())
    }

    async fn event(&mut self, expected: &Event) -> Result<(), Failed> {
        loop {
            let waits = timeout(patience(), self.events.recv());
            let event = waits
                .await
                .map_err(|_| format!("waited in vain: {expected:?}"))??;
            if !matches!(event, Event::Telling(..) | Event::Out(..)) {
                assert_eq!(event, *expected);
                return Ok(());
            }
        }
    }

    fn say(&self, change: impl FnOnce(&mut Holds)) {
        say(&self.pools, &self.holds, change);
    }

    pub fn standing(&self) -> Result<Standing, Failed> {
        let mut all = self.pools.standing();
        Ok(all.remove("web").ok_or("no such pool")?)
    }

    /// Waits until a gate could be told the last time, or could not.
    pub async fn gate_is(&self, ok: bool) -> Result<(), Failed> {
        becomes(&format!("a gate that is told: {ok}"), async || {
            let all = self.standing()?.gates.iter().all(|gate| gate.ok);
            Ok((all == ok).then_some(()))
        })
        .await
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.noting.abort();
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Stands between HAProxy and an agent.
pub struct Relay {
    /// Where HAProxy asks.
    pub port: u16,
    /// Where the agent listens.
    pub agent: u16,
    ended: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    pub fn start() -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let relay = Self {
            port: listener.local_addr()?.port(),
            agent: free_port()?,
            ended: Arc::default(),
            lines: Arc::default(),
        };
        let (agent, ended) = (relay.agent, Arc::clone(&relay.ended));
        let lines = Arc::clone(&relay.lines);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let line = pass(stream, agent).unwrap_or_else(|_| "nobody".into());
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line);
            }
        });
        Ok(relay)
    }

    /// The words for a server's line in HAProxy's config.
    pub fn words(&self) -> String {
        let port = self.port;
        format!("agent-check agent-addr 127.0.0.1 agent-port {port} agent-inter 100ms")
    }

    /// What was answered so far.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    /// Waits until HAProxy has asked as often again: what was answered.
    pub async fn asks(&self, times: usize) -> Result<Vec<String>, Failed> {
        let before = self.lines().len();
        becomes("HAProxy's next questions", async || {
            let lines = self.lines().split_off(before);
            Ok((lines.len() >= times).then_some(lines))
        })
        .await
    }
}

fn pass(mut asker: TcpStream, agent: u16) -> std::io::Result<String> {
    let mut line = String::new();
    TcpStream::connect((Ipv4Addr::LOCALHOST, agent))?.read_to_string(&mut line)?;
    asker.write_all(line.as_bytes())?;
    Ok(line.trim_end().to_owned())
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}
