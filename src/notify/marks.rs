//! What became of notices, on its way into the journal.
//!
//! A journal that cannot be written must not keep the next notice from people, so that marks wait here meanwhile, up to a
//! bound. What is not marked when the process ends is delivered again after the next start.

use crate::journal::{Commit, CommitError, Entry, Journal, Sent};

/// Marks that wait for the journal, at most.
const MOST: usize = 1_000;
/// In one commit.
const TOGETHER: usize = 100;

/// Marks of one notifier that are not written yet.
#[derive(Default)]
pub(super) struct Marks(Vec<(i64, Sent, Entry)>);

impl Marks {
    pub fn add(&mut self, row: i64, sent: Sent, entry: Entry) {
        self.0.push((row, sent, entry));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no more may be added before some are written.
    pub fn are_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Writes them.
    ///
    /// # Errors
    /// Why those that are left are not written.
    pub async fn write(&mut self, journal: &Journal) -> Result<(), CommitError> {
        while !self.0.is_empty() {
            let some = self.0.get(..TOGETHER).unwrap_or(&self.0);
            let count = some.len();
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

fn commit(marks: &[(i64, Sent, Entry)]) -> Commit {
    Commit {
        entries: marks.iter().map(|(_, _, entry)| entry.clone()).collect(),
        sent: marks
            .iter()
            .map(|(row, sent, _)| (*row, sent.clone()))
            .collect(),
        ..Commit::default()
    }
}
