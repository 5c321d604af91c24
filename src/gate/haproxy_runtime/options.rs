//! Which HAProxys are told, and of which server (`pools.NAME.gates`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Balancer;
use crate::gate::{Gate, Kind, World};
use crate::net::endpoint::Place;
use crate::peer::haproxy::{Name, Runtime};

/// Most HAProxys of one pool.
const MOST: usize = 16;

/// HAProxy's runtime API: this node tells HAProxy, and sees the pool through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HaproxyRuntime {
    /// The `stats socket` of HAProxy, with `level admin`: `unix:/PATH`, or `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// The sockets, where several HAProxys serve the pool: at most 16. All are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<String>,
    /// The backend in HAProxy's config that is the pool.
    pub backend: String,
    /// The server in it that is this node.
    pub server: String,
}

impl Kind for HaproxyRuntime {
    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |key: &str, why: String| faults.push((key.to_owned(), why));
        match (&self.socket, self.sockets.len()) {
            (None, 0) => wrong(
                "",
                "names no socket of HAProxy; write socket: unix:/PATH".into(),
            ),
            (Some(_), 1..) => wrong(
                "sockets",
                "socket stands beside it; keep one of both".into(),
            ),
            (None, count) if count > MOST => {
                wrong("sockets", format!("has {count}, and {MOST} are the most"));
            }
            _ => {}
        }
        if let Some(why) = self.socket.as_deref().and_then(misplaced) {
            wrong("socket", why);
        }
        for (index, socket) in self.sockets.iter().enumerate() {
            let before = self.sockets.iter().take(index);
            let twice = before.clone().any(|before| before == socket);
            let why = misplaced(socket).or_else(|| twice.then(|| "is there twice".into()));
            if let Some(why) = why {
                wrong(&format!("sockets.{index}"), why);
            }
        }
        for (key, name) in [("backend", &self.backend), ("server", &self.server)] {
            if let Err(why) = name.parse::<Name>() {
                wrong(key, why.to_string());
            }
        }
        faults
    }

    fn gates(&self, world: &World) -> Result<Vec<Arc<dyn Gate>>, String> {
        if let Some((key, why)) = self.faults().into_iter().next() {
            return Err(format!("{key}: {why}"));
        }
        let (backend, server) = (name(&self.backend)?, name(&self.server)?);
        let gate = |socket: &String| {
            let runtime = Runtime::new(
                place(socket)?,
                backend.clone(),
                server.clone(),
                world.resolver.clone(),
            );
            Ok(Arc::new(Balancer::new(runtime, &self.backend)) as Arc<dyn Gate>)
        };
        self.socket.iter().chain(&self.sockets).map(gate).collect()
    }

    fn sees(&self) -> bool {
        true
    }
}

fn name(text: &str) -> Result<Name, String> {
    text.parse::<Name>().map_err(|why| why.to_string())
}

fn place(text: &str) -> Result<Place, String> {
    text.parse::<Place>().map_err(|why| {
        format!("{why}; write unix:/PATH or HOST:PORT, as HAProxy's `stats socket` has it")
    })
}

fn misplaced(text: &str) -> Option<String> {
    place(text).err()
}
