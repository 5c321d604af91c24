//! A HAProxy that asks this node: what it makes of each word, and that an operator's maintenance is not lifted by the steady one.

use libtest_mimic::Failed;

use super::balancer::Balancer;
use super::driven::{Driven, Relay};
use super::web::{Visitor, Web};
use super::{becomes, on_runtime};
use crate::PeerTest;
use crate::programs::Peer;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "haproxy::an_agent_that_is_steady_lifts_nothing",
        needs: &[Peer::Haproxy],
        run: || on_runtime(steady()),
    },
    PeerTest {
        name: "haproxy::an_agent_takes_the_node_out_and_back",
        needs: &[Peer::Haproxy],
        run: || on_runtime(out_and_back()),
    },
    PeerTest {
        name: "haproxy::an_agent_that_is_gone_changes_nothing",
        needs: &[Peer::Haproxy],
        run: || on_runtime(gone()),
    },
    PeerTest {
        name: "haproxy::an_agent_says_again_what_haproxy_forgot",
        needs: &[Peer::Haproxy],
        run: || on_runtime(forgotten()),
    },
];

fn options(relay: &Relay, more: &str) -> String {
    let agent = relay.agent;
    format!(
        r#"{{"gates": [{{"haproxy_agent": {{"listen": ["127.0.0.1:{agent}"]}}}}], "drain": "1s"{more}}}"#
    )
}

fn balancer(relay: &Relay, one: &Web, two: &Web) -> Result<Balancer, Failed> {
    let words = format!("check weight 100 {}", relay.words());
    let balancer = Balancer::start(&[(one, &words), (two, "check")])?;
    balancer.status("web-1", "UP")?;
    Ok(balancer)
}

/// Waits until the server's status begins with this, while the agent answers.
async fn status(balancer: &Balancer, expected: &str) -> Result<(), Failed> {
    becomes(&format!("web-1 to be {expected}"), async || {
        let now = balancer.stat("web-1", "status")?;
        Ok(now.starts_with(expected).then_some(()))
    })
    .await
}

async fn weight(balancer: &Balancer, expected: &str) -> Result<(), Failed> {
    becomes(&format!("a weight of {expected}"), async || {
        Ok((balancer.stat("web-1", "weight")? == expected).then_some(()))
    })
    .await
}

async fn steady() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let relay = Relay::start()?;
    let balancer = balancer(&relay, &one, &two)?;
    balancer.operator("set server web/web-1 weight 70")?;
    let _driven = Driven::start(&options(&relay, ""), Some(relay.agent)).await?;
    for (state, expected) in [("maint", "MAINT"), ("drain", "DRAIN"), ("ready", "UP")] {
        balancer.operator(&format!("set server web/web-1 state {state}"))?;
        let said = relay.asks(6).await?;
        assert!(said.iter().skip(1).all(|line| line == "up"), "{said:?}");
        status(&balancer, expected).await?;
        assert_eq!(balancer.stat("web-1", "weight")?, "70");
    }
    Ok(())
}

async fn out_and_back() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let relay = Relay::start()?;
    let balancer = balancer(&relay, &one, &two)?;
    let more = r#", "probation_weight": 25, "ramp": "1s""#;
    let mut driven = Driven::start(&options(&relay, more), Some(relay.agent)).await?;
    relay.asks(2).await?;
    let mut bound = Visitor::new(7, balancer.port).await?;
    bound.cookie = Some("web-1".into());
    assert_eq!(bound.asks().await?, "one");
    driven.hold();
    status(&balancer, "DRAIN").await?;
    // A drain leaves who is bound to the node, maintenance moves them.
    assert_eq!(bound.asks().await?, "one");
    status(&balancer, "MAINT").await?;
    assert_eq!(bound.asks().await?, "two");
    assert!(driven.pools.out("web").await.complete);
    let before = relay.lines().len();
    driven.ease();
    weight(&balancer, "25").await?;
    status(&balancer, "UP").await?;
    driven.lift().await?;
    weight(&balancer, "100").await?;
    relay.asks(5).await?;
    status(&balancer, "UP").await?;
    let said = relay.lines().split_off(before);
    let ready: Vec<_> = said.iter().filter(|line| line.contains("ready")).collect();
    assert_eq!(ready, ["ready up 25%", "ready up 25%"], "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("up"), "{said:?}");
    // What an operator sets after that is theirs.
    balancer.operator("set server web/web-1 state maint")?;
    relay.asks(5).await?;
    status(&balancer, "MAINT").await
}

async fn gone() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let relay = Relay::start()?;
    let balancer = balancer(&relay, &one, &two)?;
    let mut driven = Driven::start(&options(&relay, ""), Some(relay.agent)).await?;
    driven.hold();
    status(&balancer, "MAINT").await?;
    drop(driven);
    let silent = async || {
        becomes("nobody who answers", async || {
            let said = relay.asks(5).await?;
            Ok(said.iter().all(|line| line == "nobody").then_some(()))
        })
        .await
    };
    silent().await?;
    status(&balancer, "MAINT").await?;
    balancer.operator("set server web/web-1 state ready")?;
    silent().await?;
    status(&balancer, "UP").await
}

async fn forgotten() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let relay = Relay::start()?;
    let mut balancer = balancer(&relay, &one, &two)?;
    let mut driven = Driven::start(&options(&relay, ""), Some(relay.agent)).await?;
    driven.hold();
    status(&balancer, "MAINT").await?;
    balancer.restart()?;
    status(&balancer, "MAINT").await?;
    driven.lift().await?;
    status(&balancer, "UP").await
}
