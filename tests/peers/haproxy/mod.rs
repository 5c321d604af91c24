//! A real HAProxy in front of small web servers: its runtime API, the gate over it, and what becomes of sessions.

mod agent;
pub mod balancer;
mod both;
mod docs;
mod driven;
mod gate;
mod ledger;
mod runtime;
pub mod web;

pub use agent::TESTS as AGENT;
pub use both::TESTS as BOTH;
pub use docs::TESTS as DOCS;
pub use gate::TESTS as GATE;
pub use ledger::TESTS as LEDGER;
pub use runtime::TESTS as RUNTIME;

use std::time::Duration;

use libtest_mimic::Failed;
use tokio::time::Instant;

use crate::process::patience;

fn on_runtime(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test)
}

fn soon() -> Instant {
    Instant::now() + patience()
}

/// Asks until there is an answer or patience is over.
async fn becomes<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, Failed>,
) -> Result<T, Failed> {
    let deadline = soon();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited in vain: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
