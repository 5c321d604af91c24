//! Readings taken together, and how they are told as a whole.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Absent, Held};
use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::Out;

/// Readings taken together, with one timestamp.
#[derive(Clone)]
pub struct Snapshot {
    /// When they were asked for.
    pub at: SystemTime,
    /// One part a subject asked for, in the order of the list.
    pub parts: Vec<Part>,
}

/// What became of one subject.
#[derive(Clone)]
pub struct Part {
    /// Its name.
    pub subject: &'static str,
    /// How long reading took.
    pub took: Duration,
    /// The reading, or why there is none.
    pub held: Result<Arc<dyn Held>, Missing>,
}

impl Part {
    pub(super) fn missing(subject: &'static str, why: Missing) -> Self {
        Self {
            subject,
            took: Duration::ZERO,
            held: Err(why),
        }
    }
}

/// Why a subject is missing from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// It said so itself.
    #[error(transparent)]
    Absent(#[from] Absent),
    /// It was not read by the deadline; an earlier read may still hold its thread.
    #[error("not read by the deadline")]
    Late,
    /// Too many ask at once.
    #[error("too many ask at once")]
    Busy,
    /// Its reader panicked, now or earlier: it is not read again before a reload.
    #[error("its reader panicked; it is left out until the next reload")]
    Quarantined,
}

/// Owner of the families that tell how reading went.
struct Scrape;

crate::families! { Scrape:
    DURATION gauge "node_scrape_collector_duration_seconds" ["collector"] "Time it took to read a subject";
    SUCCESS gauge "node_scrape_collector_success" ["collector"] "Whether a subject was read";
}

/// Tells one subject; a bug in its telling costs that subject, not the page.
fn told(subject: &str, tell: impl FnOnce()) -> bool {
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tell)).is_ok();
    if !told {
        tracing::error!(subject, "telling it panicked; it is missing or cut short");
    }
    told
}

impl Snapshot {
    /// Writes every reading and how reading went.
    pub fn prometheus(&self, out: &mut Out) {
        let mut broken = Vec::new();
        for part in &self.parts {
            if let Ok(held) = &part.held
                && !told(part.subject, || held.prometheus(out))
            {
                broken.push(part.subject);
            }
        }
        let mut page = out.page::<Scrape>();
        let mut durations = page.family(&DURATION);
        for part in &self.parts {
            durations.push([part.subject], part.took.as_secs_f64());
        }
        let mut success = page.family(&SUCCESS);
        for part in &self.parts {
            let well = part.held.as_ref().is_ok_and(|h| h.complete());
            success.push([part.subject], well && !broken.contains(&part.subject));
        }
    }

    /// Writes every reading; `before` is the same asker's snapshot of last time.
    pub fn otlp(&self, before: Option<&Self>, metrics: &mut Metrics<'_>) {
        for part in &self.parts {
            let Ok(held) = &part.held else { continue };
            let before = before
                .and_then(|b| b.parts.iter().find(|p| p.subject == part.subject))
                .and_then(|p| p.held.as_ref().ok());
            told(part.subject, || {
                held.otlp(before.map(AsRef::as_ref), metrics)
            });
        }
    }
}
