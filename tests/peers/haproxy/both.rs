//! A pool that HAProxy asks about and that nodeward tells over the runtime API: the agent speaks while the socket is gone.

use std::path::PathBuf;

use libtest_mimic::Failed;

use super::balancer::Balancer;
use super::driven::{Driven, Relay};
use super::web::Web;
use super::{becomes, on_runtime};
use crate::PeerTest;
use crate::programs::Peer;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "haproxy::what_the_agent_said_while_the_socket_was_gone_is_taken_back",
        needs: &[Peer::Haproxy],
        run: || on_runtime(ours()),
    },
    PeerTest {
        name: "haproxy::an_operators_maintenance_stands_though_the_socket_is_gone",
        needs: &[Peer::Haproxy],
        run: || on_runtime(operators()),
    },
];

/// When the socket is gone.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gone {
    /// In the drain, until the node is out.
    Out,
    /// From before the hold, until the node is out.
    Hold,
    /// From before the hold, until after it was lifted.
    All,
}

/// The socket that nodeward has, which can be taken away from it.
struct Socket(PathBuf);

impl Socket {
    fn new(balancer: &Balancer) -> Result<Self, Failed> {
        let path = balancer.socket("nodeward");
        std::os::unix::fs::symlink(balancer.socket("admin"), &path)?;
        Ok(Self(path))
    }

    fn goes(&self) -> Result<(), Failed> {
        Ok(std::fs::rename(&self.0, self.0.with_extension("gone"))?)
    }

    fn comes(&self) -> Result<(), Failed> {
        Ok(std::fs::rename(self.0.with_extension("gone"), &self.0)?)
    }

    fn options(&self, relay: &Relay, more: &str) -> String {
        let (path, agent) = (self.0.display(), relay.agent);
        format!(
            r#"{{"gates": [
                {{"haproxy_agent": {{"listen": ["127.0.0.1:{agent}"]}}}},
                {{"haproxy_runtime": {{"socket": "unix:{path}", "backend": "web", "server": "web-1"}}}}
            ], {more}}}"#
        )
    }
}

async fn sees(driven: &Driven) -> Result<(), Failed> {
    becomes("a look at the pool", async || {
        Ok(driven.standing()?.healthy_others.is_some().then_some(()))
    })
    .await
}

async fn ours() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    for gone in [Gone::Out, Gone::Hold, Gone::All] {
        let relay = Relay::start()?;
        let words = format!("check weight 100 {}", relay.words());
        let balancer = Balancer::start(&[(&one, &words), (&two, "check")])?;
        let socket = Socket::new(&balancer)?;
        let ramp = if gone == Gone::Out { "2s" } else { "0s" };
        let options = socket.options(&relay, &format!(r#""drain": "2s", "ramp": "{ramp}""#));
        balancer.status("web-1", "UP")?;
        balancer.operator("set server web/web-1 weight 70")?;
        let mut driven = Driven::start(&options, Some(relay.agent)).await?;
        sees(&driven).await?;
        relay.asks(3).await?;
        // The steps are waited for without blocking the agent.
        let status = async |expected: &str| {
            becomes(&format!("{gone:?}: {expected}"), async || {
                let now = balancer.stat("web-1", "status")?;
                Ok(now.starts_with(expected).then_some(()))
            })
            .await
        };
        if gone != Gone::Out {
            socket.goes()?;
        }
        // So that there is a drain to wait for.
        let mut visitor = super::web::Visitor::new(7, balancer.port).await?;
        visitor.cookie = Some("web-1".into());
        visitor.downloads().await?;
        driven.hold();
        status("DRAIN").await?;
        if gone == Gone::Out {
            driven.gate_is(true).await?;
            socket.goes()?;
        }
        status("MAINT").await?;
        driven.gate_is(false).await?;
        if gone == Gone::All {
            driven.lifts();
            relay.asks(5).await?;
            status("MAINT").await?;
            socket.comes()?;
            driven.heard().await?;
        } else {
            socket.comes()?;
            driven.gate_is(true).await?;
            relay.asks(5).await?;
            status("MAINT").await?;
            driven.lift().await?;
        }
        relay.asks(5).await?;
        status("UP").await?;
        assert_eq!(balancer.stat("web-1", "weight")?, "70", "{gone:?}");
        assert!(driven.standing()?.gates.iter().all(|gate| !gate.foreign));
        let ready = |line: &String| line.contains("ready");
        assert!(!relay.lines().iter().any(ready), "the socket lifts");
    }
    Ok(())
}

async fn operators() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    for (state, status) in [("maint", "MAINT"), ("drain", "DRAIN")] {
        let relay = Relay::start()?;
        let words = format!("check {}", relay.words());
        let balancer = Balancer::start(&[(&one, &words), (&two, "check")])?;
        let socket = Socket::new(&balancer)?;
        balancer.status("web-1", "UP")?;
        balancer.operator(&format!("set server web/web-1 state {state}"))?;
        let options = socket.options(&relay, r#""drain": "1s""#);
        let mut driven = Driven::start(&options, Some(relay.agent)).await?;
        sees(&driven).await?;
        let (_, gates) = driven.pools.view("web").await;
        let gate = gates.first().ok_or("nobody has it out")?.clone();
        socket.goes()?;
        driven.hold();
        driven.gate_is(false).await?;
        let said = relay.asks(15).await?;
        assert!(said.iter().all(|line| line == "up"), "{said:?}");
        assert!(balancer.stat("web-1", "status")?.starts_with(status));
        socket.comes()?;
        driven.is_left_to_others(&gate).await?;
        driven.lift().await?;
        let said = relay.asks(5).await?;
        assert!(said.iter().all(|line| line == "up"), "{said:?}");
        assert!(balancer.stat("web-1", "status")?.starts_with(status));
    }
    Ok(())
}
