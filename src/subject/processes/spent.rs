//! CPU time of the processes that queries take, added up so that it never falls: what ended has spent what it had.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::detail::{Detail, Process, Table};
use super::query::Query;

/// A query nobody asks for during this time is forgotten.
const FORGET: Duration = Duration::from_secs(60 * 60);
/// Queries that are kept.
const MOST: usize = 1024;

/// What is kept of each query.
#[derive(Default)]
pub(super) struct Spent(Vec<Kept>);

struct Kept {
    query: Query,
    asked: Instant,
    /// Id and begin of each process, and what it had spent.
    last: HashMap<(i64, u64), [u64; 2]>,
    total: [u64; 2],
}

impl Spent {
    /// Adds what was spent since the reading before, and tells the sums.
    pub(super) fn add(&mut self, table: &mut Table) {
        let now = Instant::now();
        let mut told = Vec::new();
        for (query, processes) in table.lists(Detail::Times) {
            let at = match self.0.iter().position(|kept| kept.query == *query) {
                Some(at) => at,
                None => {
                    self.0
                        .retain(|kept| now.duration_since(kept.asked) < FORGET);
                    if self.0.len() >= MOST {
                        continue;
                    }
                    self.0.push(Kept {
                        query: query.clone(),
                        asked: now,
                        last: processes.iter().map(had).collect(),
                        total: [0; 2],
                    });
                    self.0.len() - 1
                }
            };
            if let Some(kept) = self.0.get_mut(at) {
                kept.asked = now;
                kept.add(processes);
                told.push((query.clone(), kept.total));
            }
        }
        table.spent = told;
    }
}

fn had(process: &Process) -> ((i64, u64), [u64; 2]) {
    ((process.pid, process.began), [process.user, process.system])
}

impl Kept {
    fn add(&mut self, processes: &[Process]) {
        let mut last = HashMap::with_capacity(processes.len());
        for (id, spent) in processes.iter().map(had) {
            // One that was not there before has spent all it has since then.
            let before = self.last.get(&id).copied().unwrap_or_default();
            for ((total, now), before) in self.total.iter_mut().zip(spent).zip(before) {
                *total = total.saturating_add(now.saturating_sub(before));
            }
            last.insert(id, spent);
        }
        self.last = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i64, began: u64, user: u64, system: u64) -> Process {
        Process {
            pid,
            began,
            user,
            system,
            ..Process::default()
        }
    }

    #[test]
    fn the_sum_never_falls_when_processes_end_or_an_id_is_used_again() {
        let query = Query::default();
        let mut spent = Spent::default();
        let mut told = |processes: &[Process]| {
            let mut table = Table::new(&[(query.clone(), Detail::Times)]);
            processes.iter().for_each(|one| table.push(0, one.clone()));
            spent.add(&mut table);
            table.spent.first().unwrap().1
        };
        assert_eq!(
            told(&[process(1, 5, 100, 10), process(2, 5, 50, 0)]),
            [0, 0]
        );
        assert_eq!(
            told(&[process(1, 5, 103, 11), process(2, 5, 50, 0)]),
            [3, 1]
        );
        assert_eq!(told(&[process(1, 5, 104, 11)]), [4, 1]);
        assert_eq!(told(&[process(1, 9, 2, 2)]), [6, 3]);
        assert_eq!(told(&[]), [6, 3]);
    }
}
