//! The gate over the runtime API: what is nodeward's, what is an operator's, and what is seen of the pool.

use std::sync::Arc;

use libtest_mimic::Failed;
use nodeward::gate::haproxy_runtime::HaproxyRuntime;
use nodeward::gate::{Gate, Heard, Kind as _, Say, View, Wanted, Words, World};

use super::balancer::Balancer;
use super::web::{Visitor, Web};
use super::{becomes, on_runtime, soon};
use crate::PeerTest;
use crate::programs::Peer;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "haproxy::a_hold_is_placed_and_lifted_at_each_haproxy",
        needs: &[Peer::Haproxy],
        run: || on_runtime(placed_and_lifted()),
    },
    PeerTest {
        name: "haproxy::an_operators_maintenance_is_never_lifted",
        needs: &[Peer::Haproxy],
        run: || on_runtime(operators()),
    },
    PeerTest {
        name: "haproxy::what_was_placed_outlives_either_process",
        needs: &[Peer::Haproxy],
        run: || on_runtime(restarts()),
    },
    PeerTest {
        name: "haproxy::the_pool_is_seen_as_haproxy_uses_it",
        needs: &[Peer::Haproxy],
        run: || on_runtime(views()),
    },
];

/// Gates for `web-1` at these HAProxys, made anew.
pub fn gates(balancers: &[&Balancer]) -> Result<Vec<Arc<dyn Gate>>, Failed> {
    let socket = |one: &&Balancer| format!("unix:{}", one.socket("admin").display());
    let options = HaproxyRuntime {
        socket: None,
        sockets: balancers.iter().map(socket).collect(),
        backend: "web".into(),
        server: "web-1".into(),
    };
    Ok(options.gates(&World::default())?)
}

/// Says it at one gate.
pub async fn tell(gate: &Arc<dyn Gate>, say: Say, lifts: bool) -> Result<Heard, Failed> {
    let wanted = Wanted {
        say,
        lifts,
        beside: Words::default(),
        recorded: true,
        why: "a test".into(),
    };
    Ok(gate.tell(&wanted, soon()).await?)
}

/// Looks at the pool through one gate.
pub async fn view(gate: &Arc<dyn Gate>) -> Result<View, Failed> {
    Ok(gate.sees().ok_or("it sees nothing")?.view(soon()).await?)
}

async fn placed_and_lifted() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let servers = [(&one, "check weight 100"), (&two, "check weight 100")];
    let (left, right) = (Balancer::start(&servers)?, Balancer::start(&servers)?);
    let gates = gates(&[&left, &right])?;
    let mut lifts = false;
    for (say, status, weight) in [
        (Say::Drain, "DRAIN", "100"),
        (Say::Out, "MAINT", "100"),
        (Say::In(10), "UP", "10"),
        (Say::Out, "MAINT", "10"),
        (Say::In(50), "UP", "50"),
        (Say::In(100), "UP", "100"),
    ] {
        for (gate, balancer) in gates.iter().zip([&left, &right]) {
            // Twice: telling is idempotent.
            assert_eq!(tell(gate, say, lifts).await?, Heard::Yes);
            assert_eq!(tell(gate, say, lifts).await?, Heard::Yes);
            balancer.status("web-1", status)?;
            assert_eq!(balancer.stat("web-1", "weight")?, weight, "{say:?}");
            balancer.status("web-2", "UP")?;
        }
        lifts = true;
    }
    Ok(())
}

async fn operators() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let servers = [(&one, "check"), (&two, "check")];
    let (held, free) = (Balancer::start(&servers)?, Balancer::start(&servers)?);
    for (state, status) in [("maint", "MAINT"), ("drain", "DRAIN")] {
        let gates = gates(&[&held, &free])?;
        let [at_held, at_free] = gates.as_slice() else {
            return Err("not two gates".into());
        };
        held.operator(&format!("set server web/web-1 state {state}"))?;
        assert!(view(at_held).await?.foreign);
        for (say, lifts) in [(Say::Drain, false), (Say::Out, false)] {
            assert_eq!(tell(at_held, say, lifts).await?, Heard::Foreign);
            assert_eq!(tell(at_free, say, lifts).await?, Heard::Yes);
        }
        held.status("web-1", status)?;
        free.status("web-1", "MAINT")?;
        assert!(!view(at_free).await?.foreign);
        assert_eq!(tell(at_free, Say::In(100), true).await?, Heard::Yes);
        held.status("web-1", status)?;
        free.status("web-1", "UP")?;

        // One who comes while nodeward holds it: in place of a drain, and after the end.
        assert_eq!(tell(at_free, Say::Drain, false).await?, Heard::Yes);
        free.operator("set server web/web-1 state maint")?;
        assert_eq!(tell(at_free, Say::Out, true).await?, Heard::Foreign);
        assert_eq!(tell(at_free, Say::In(100), true).await?, Heard::Foreign);
        free.status("web-1", "MAINT")?;
        free.operator("set server web/web-1 state ready")?;
        held.operator("set server web/web-1 state ready")?;
    }
    Ok(())
}

async fn restarts() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let mut balancer = Balancer::start(&[(&one, "check"), (&two, "check")])?;
    let before = gates(&[&balancer])?;
    let before = before.first().ok_or("no gate")?;
    assert_eq!(tell(before, Say::Out, false).await?, Heard::Yes);
    // HAProxy forgets.
    balancer.restart()?;
    balancer.status("web-1", "UP")?;
    assert_eq!(tell(before, Say::Out, true).await?, Heard::Yes);
    balancer.status("web-1", "MAINT")?;
    // nodeward forgets, and is told by its journal.
    let after = gates(&[&balancer])?;
    let after = after.first().ok_or("no gate")?;
    assert_eq!(tell(after, Say::Out, true).await?, Heard::Yes);
    balancer.status("web-1", "MAINT")?;
    let after = gates(&[&balancer])?;
    let after = after.first().ok_or("no gate")?;
    assert_eq!(tell(after, Say::In(100), true).await?, Heard::Yes);
    balancer.status("web-1", "UP")?;
    // Nobody is there.
    balancer.stop();
    let lost = tell(after, Say::Out, true).await;
    assert!(lost.is_err() && view(after).await.is_err());
    Ok(())
}

async fn views() -> Result<(), Failed> {
    let webs = [
        Web::start("one")?,
        Web::start("two")?,
        Web::start("three")?,
        Web::start("four")?,
    ];
    let [one, two, three, four] = &webs;
    let balancer = Balancer::start(&[
        (one, "check"),
        (two, "check"),
        (three, "check"),
        (four, "check backup"),
    ])?;
    let gates = gates(&[&balancer])?;
    let gate = gates.first().ok_or("no gate")?;
    let healthy = async |expected: u32| {
        becomes(&format!("{expected} healthy others"), async || {
            let now = view(gate).await?;
            Ok((now.healthy_others == expected).then_some(now))
        })
        .await
    };
    let all = healthy(2).await?;
    assert_eq!((all.servers, all.sessions, all.foreign), (4, 0, false));
    assert!(all.takes_traffic);
    balancer.operator("set server web/web-2 weight 0")?;
    healthy(1).await?;
    balancer.operator("set server web/web-3 state drain")?;
    // The backup is all that is left, once ours goes.
    healthy(1).await?;
    balancer.operator("set server web/web-4 state maint")?;
    healthy(0).await?;
    balancer.operator("set server web/web-2 weight 1")?;
    healthy(1).await?;

    let mut visitor = Visitor::new(7, balancer.port).await?;
    visitor.cookie = Some("web-1".into());
    visitor.downloads().await?;
    let mut other = Visitor::new(8, balancer.port).await?;
    other.cookie = Some("web-2".into());
    other.downloads().await?;
    let now = view(gate).await?;
    assert_eq!((now.sessions, now.total), (1, 1));
    let mut clients: Vec<_> = now
        .clients
        .iter()
        .map(|(client, ours)| (client.split(':').next().unwrap_or_default(), *ours))
        .collect();
    clients.sort_unstable();
    assert_eq!(clients, [("127.0.0.7", true), ("127.0.0.8", false)]);
    // Only what nodeward has taken out is cut.
    let cut = gate.sees().ok_or("it sees nothing")?;
    assert_eq!(cut.cut(soon()).await?, 0);
    assert_eq!(tell(gate, Say::Out, false).await?, Heard::Yes);
    assert!(!view(gate).await?.takes_traffic);
    assert_eq!(view(gate).await?.check, None);
    assert_eq!(cut.cut(soon()).await?, 1);
    visitor.is_cut_off().await?;
    assert_eq!(view(gate).await?.sessions, 0);
    assert_eq!(tell(gate, Say::In(100), true).await?, Heard::Yes);
    becomes("a check that was made anew", async || {
        Ok((view(gate).await?.check == Some(true)).then_some(()))
    })
    .await
}
