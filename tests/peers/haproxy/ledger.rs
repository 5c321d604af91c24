//! What becomes of sessions on the way out of a real pool: a cookie keeps coming to what drains, maintenance moves it, a cut ends a download.

use std::sync::Arc;

use libtest_mimic::Failed;
use nodeward::gate::{Gate, Heard, Ledger, Say, Tally};

use super::balancer::Balancer;
use super::gate::{gates, tell, view};
use super::web::{Visitor, Web};
use super::{becomes, on_runtime, soon};
use crate::PeerTest;
use crate::programs::Peer;

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "haproxy::every_session_is_finished_moved_cut_or_open",
    needs: &[Peer::Haproxy],
    run: || on_runtime(ways_out()),
}];

/// Looks until the sums are these; they must agree with HAProxy's own counters at each look.
async fn sums(
    tally: &mut Tally,
    gate: &Arc<dyn Gate>,
    [active, finished, moved, cut, open]: [u64; 5],
) -> Result<(), Failed> {
    let expected = Ledger {
        active,
        finished,
        moved,
        cut,
        open,
    };
    becomes(&format!("{expected:?}"), async || {
        let now = view(gate).await?;
        tally.look(&now);
        let told = tally.ledger();
        assert_eq!(
            told.active,
            told.finished + told.moved + told.cut + told.open
        );
        assert_eq!(
            (told.active, told.open),
            (now.total, now.sessions),
            "{told:?}"
        );
        Ok((told == expected).then_some(()))
    })
    .await
}

async fn ways_out() -> Result<(), Failed> {
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let balancer = Balancer::start(&[(&one, "check"), (&two, "check")])?;
    balancer.status("web-2", "UP")?;
    let gates = gates(&[&balancer])?;
    let gate = gates.first().ok_or("no gate")?;
    let bound = async |host: u8| -> Result<Visitor, Failed> {
        let mut visitor = Visitor::new(host, balancer.port).await?;
        visitor.cookie = Some("web-1".into());
        Ok(visitor)
    };
    // A download without end, a page on a connection that is kept, a page of somebody who will come back by a new one.
    let mut downloads = bound(10).await?;
    downloads.downloads().await?;
    let mut keeps = bound(11).await?;
    keeps.waits("/held").await?;
    let mut returns = bound(12).await?;
    returns.waits("/held").await?;
    let mut tally = Tally::begin(&view(gate).await?);
    sums(&mut tally, gate, [3, 0, 0, 0, 3]).await?;

    // A cookie still leads to what drains; who has none goes elsewhere.
    assert_eq!(tell(gate, Say::Drain, false).await?, Heard::Yes);
    let mut bystander = bound(13).await?;
    assert_eq!(bystander.asks().await?, "one");
    let mut newcomer = Visitor::new(14, balancer.port).await?;
    assert_eq!(newcomer.asks().await?, "two");
    sums(&mut tally, gate, [4, 1, 0, 0, 3]).await?;

    // Maintenance leaves what runs, and sends the rest elsewhere: on the kept connection, on a new one, and who asks for the first time.
    assert_eq!(tell(gate, Say::Out, true).await?, Heard::Yes);
    sums(&mut tally, gate, [4, 1, 0, 0, 3]).await?;
    one.release();
    assert_eq!(keeps.gets().await?, "one");
    assert_eq!(returns.gets().await?, "one");
    keeps.waits("/held").await?;
    assert_eq!(keeps.cookie.as_deref(), Some("web-2"));
    drop(returns);
    let mut returns = bound(12).await?;
    returns.waits("/held").await?;
    assert_eq!(bystander.asks().await?, "two");
    sums(&mut tally, gate, [4, 1, 2, 0, 1]).await?;

    // What is left is cut.
    let sees = gate.sees().ok_or("it sees nothing")?;
    tally.cut(sees.cut(soon()).await?);
    downloads.is_cut_off().await?;
    sums(&mut tally, gate, [4, 1, 2, 1, 0]).await?;
    two.release();
    assert_eq!(keeps.gets().await?, "two");
    assert_eq!(returns.gets().await?, "two");
    let counted = ["stot", "scur"].map(|column| balancer.stat("web-1", column));
    let [total, current] = counted;
    assert_eq!((total?.as_str(), current?.as_str()), ("4", "0"));
    Ok(())
}
