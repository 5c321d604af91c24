//! One walk through all processes, for everything that is wanted of them.

use super::detail::{Detail, Process, Table, read};
use super::query::{Candidate, Owner, Query};
use super::stat::{ProcessStat, process_stat};
use super::{Processes, Summary, Wanted, error};
use crate::host::{Pass, PidBuffers, Pids, has_ended};
use crate::subject::ItemError;

const NO_STAT: &str = "not as the kernel writes it";

impl Processes {
    /// Counts what is wanted; processes that end meanwhile are none.
    pub(super) fn walk(
        &mut self,
        pass: &mut Pass<'_>,
        pids: &Pids,
        want: &Wanted,
        errors: &mut Vec<ItemError>,
    ) -> (Option<Summary>, Vec<(Query, u64)>, Table) {
        let live = pids.are_live();
        if want.summary {
            self.buffers.let_go();
            self.below.let_go();
        }
        let mut summary = want.summary.then(Summary::default);
        let mut counts: Vec<(Query, u64)> = Vec::with_capacity(want.queries.len());
        let mut open: Vec<(usize, Owner)> = Vec::new();
        for (at, query) in want.queries.iter().enumerate() {
            // Listing all processes is counting them.
            let listed = live && query.takes_all();
            let count = if listed { pids.ids().len() as u64 } else { 0 };
            counts.push((query.clone(), count));
            let owner = Owner::of(query, pass, errors);
            if !listed && owner != Owner::Nobody {
                open.push((at, owner));
            }
        }
        let mut table = Table::new(&want.listed);
        let mut listing: Vec<(usize, Owner)> = Vec::new();
        for (at, (query, _)) in want.listed.iter().enumerate() {
            let owner = Owner::of(query, pass, errors);
            if owner != Owner::Nobody {
                listing.push((at, owner));
            }
        }
        if summary.is_none() && open.is_empty() && listing.is_empty() {
            return (summary, counts, table);
        }
        for id in pids.ids() {
            let mut candidate = Candidate::new(pids, *id, live);
            if let Some(summary) = &mut summary {
                let text = match pids.stat(*id, &mut self.buffers) {
                    Ok(text) => text,
                    Err(why) if has_ended(&why) => continue,
                    Err(why) => {
                        errors.push(error("process", &id.to_string(), &why));
                        continue;
                    }
                };
                let Some(stat) = process_stat(text) else {
                    errors.push(error("process", &id.to_string(), &NO_STAT));
                    continue;
                };
                summary.pids += 1;
                summary.threads = summary.threads.wrapping_add(stat.threads);
                summary.states.add(stat.state);
                match stat.threads {
                    _ if !want.threads => {}
                    1 if live => summary.thread_states.add(stat.state),
                    _ => threads(pids, *id, &stat, &mut self.below, summary, errors),
                }
                if !open.is_empty() || !listing.is_empty() {
                    candidate.knows(&stat);
                }
            }
            for (at, owner) in &open {
                if let Some((query, count)) = counts.get_mut(*at)
                    && candidate.is(query, *owner, &mut self.buffers)
                {
                    *count += 1;
                }
            }
            for (at, owner) in &listing {
                let Some((query, detail)) = want.listed.get(*at) else {
                    continue;
                };
                if !candidate.is(query, *owner, &mut self.buffers) {
                    continue;
                }
                if *detail == Detail::Threads {
                    // The process's name is that of all its threads, and there may be many.
                    let Some(name) = candidate.name(&mut self.buffers) else {
                        continue;
                    };
                    let threads = pids.below(*id, "task", &mut self.below).ok();
                    let tids = threads.iter().flat_map(|threads| threads.ids().to_vec());
                    for tid in tids {
                        if let Some(thread) = read(pids, *id, Some(tid), *detail, &mut self.buffers)
                        {
                            let name = name.clone();
                            table.push(*at, Process { name, ..thread });
                        }
                    }
                } else {
                    let process = read(pids, *id, None, *detail, &mut self.buffers);
                    process
                        .into_iter()
                        .for_each(|process| table.push(*at, process));
                }
            }
        }
        (summary, counts, table)
    }
}

/// Counts the threads of one process; a process without a directory of threads has none that could be told. The only
/// thread of a process is itself, so that no directory need be listed for it.
fn threads(
    pids: &Pids,
    id: i64,
    process: &ProcessStat<'_>,
    buffers: &mut PidBuffers,
    summary: &mut Summary,
    errors: &mut Vec<ItemError>,
) {
    if process.threads == 1 {
        match pids.has(id, &format!("task/{id}"), buffers) {
            Ok(true) => summary.thread_states.add(process.state),
            Ok(false) => {}
            Err(why) => errors.push(error("thread", &id.to_string(), &why)),
        }
        return;
    }
    let threads = match pids.below(id, "task", buffers) {
        Ok(threads) => threads,
        Err(why) => {
            if !has_ended(&why) {
                errors.push(error("thread", &id.to_string(), &why));
            }
            return;
        }
    };
    for thread in threads.ids() {
        if *thread == id {
            summary.thread_states.add(process.state);
            continue;
        }
        match threads.stat(*thread, buffers) {
            Ok(text) => match process_stat(text) {
                Some(stat) => summary.thread_states.add(stat.state),
                None => errors.push(error("thread", &format!("{id}/{thread}"), &NO_STAT)),
            },
            Err(why) if has_ended(&why) => {}
            Err(why) => errors.push(error("thread", &format!("{id}/{thread}"), &why)),
        }
    }
}
