//! What became of notices, on its way into the journal.
//!
//! A journal that cannot be written must not keep the next notice from people, so that marks wait here meanwhile, up to a
//! bound. What is not marked when the process ends is delivered again after the next start.
//!
//! Where a receiver acknowledges nothing, what was taken may turn out to be lost: its mark waits until that is over.

use std::time::Duration;

use tokio::time::Instant;

use crate::journal::{Commit, CommitError, Entry, Journal, Sent};

/// Marks that wait for the journal, at most.
const MOST: usize = 1_000;
/// In one commit.
const TOGETHER: usize = 100;

/// Marks of one notifier that are not written yet, the oldest first.
#[derive(Default)]
pub(super) struct Marks(Vec<Mark>);

struct Mark {
    row: i64,
    sent: Sent,
    entry: Entry,
    made: Instant,
}

impl Marks {
    pub fn add(&mut self, row: i64, sent: Sent, entry: Entry) {
        let made = Instant::now();
        self.0.push(Mark {
            row,
            sent,
            entry,
            made,
        });
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no more may be added before some are written.
    pub fn are_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// How many are so old that what was taken then is not lost any more.
    fn sure(&self, unsure: Duration) -> usize {
        let now = Instant::now();
        self.0.partition_point(|mark| mark.made + unsure <= now)
    }

    /// When the first may be written.
    pub fn due(&self, unsure: Duration) -> Option<Instant> {
        self.0.first().map(|mark| mark.made + unsure)
    }

    /// What was taken since then may be lost: it is to be delivered again, from the row that is returned on.
    pub fn rewind(&mut self, since: Instant) -> Option<i64> {
        let sure = self.0.partition_point(|mark| mark.made < since);
        self.0.drain(sure..).map(|mark| mark.row).min()
    }

    /// Writes those that are so old.
    ///
    /// # Errors
    /// Why those that are left are not written.
    pub async fn write(&mut self, unsure: Duration, journal: &Journal) -> Result<(), CommitError> {
        let mut sure = self.sure(unsure);
        while sure > 0 {
            let count = sure.min(TOGETHER);
            let some = self.0.get(..count).unwrap_or(&self.0);
            match journal.commit_waiting(commit(some)).await {
                Ok(_) => drop(self.0.drain(..count)),
                // One of them may be at fault: its row can have been deleted for its age.
                Err(CommitError::Broken(_)) if count > 1 => self.one_by_one(count, journal).await?,
                Err(CommitError::Broken(why)) => {
                    tracing::warn!(why, "a notice that is dealt with could not be marked so");
                    self.0.drain(..count);
                }
                Err(error) => return Err(error),
            }
            sure -= count;
        }
        Ok(())
    }

    async fn one_by_one(&mut self, count: usize, journal: &Journal) -> Result<(), CommitError> {
        for _ in 0..count {
            let Some(first) = self.0.first() else { break };
            match journal
                .commit_waiting(commit(std::slice::from_ref(first)))
                .await
            {
                Ok(_) => {}
                Err(CommitError::Broken(why)) => {
                    tracing::warn!(why, "a notice that is dealt with could not be marked so");
                }
                Err(error) => return Err(error),
            }
            self.0.remove(0);
        }
        Ok(())
    }
}

fn commit(marks: &[Mark]) -> Commit {
    Commit {
        entries: marks.iter().map(|mark| mark.entry.clone()).collect(),
        sent: marks
            .iter()
            .map(|mark| (mark.row, mark.sent.clone()))
            .collect(),
        ..Commit::default()
    }
}
