//! The one thread that writes.
//!
//! Whatever waits is written in one transaction, each commit of it below a savepoint of its own: one that fails is undone
//! alone. Only when the transaction itself fails is each commit tried in one of its own, so that a commit that is too big
//! for what is left of the disk takes no other with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement, params};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::age::Age;
use super::chain::Head;
use super::commit::{Commit, Committed, Outgoing, Sent};
use super::counters::{Counters, add};
use super::error::CommitError;
use super::handle::Clock;
use super::lock::Lock;
use super::options::Options;
use super::retain;
use crate::model::moment::{Moment, Timestamp};
use crate::net::tally::Tally;
use crate::telemetry::fault::fault;

/// At most so many commits share a transaction: none waits long for the others.
const TOGETHER: usize = 512;

/// All tables are looked at for what is over after so many transactions, or after an hour with fewer.
const LOOK: u32 = 1_000;
const LOOK_AFTER: Duration = Duration::from_secs(60 * 60);

type Answer = oneshot::Sender<Result<Committed, CommitError>>;

/// What the writer is asked to do.
pub(super) enum Order {
    /// Write, and say how it went.
    Commit {
        commit: Box<Commit>,
        answer: Answer,
        /// Room in the queue, free again once this is done.
        permit: OwnedSemaphorePermit,
    },
    /// End.
    Close(oneshot::Sender<()>),
    #[cfg(test)]
    Sql(String, oneshot::Sender<rusqlite::Result<()>>),
}

struct Waiting {
    commit: Commit,
    answer: Answer,
    _permit: OwnedSemaphorePermit,
}

/// The writer and all it owns.
pub(super) struct Writer {
    connection: Connection,
    head: Head,
    /// Tells everybody how far it is.
    told: watch::Sender<i64>,
    options: Options,
    clock: Clock,
    age: Age,
    counters: Arc<Counters>,
    failures: Tally,
    /// Rows, and transactions, since all tables were looked at for what is over, and when that was.
    since: u32,
    looked: Moment,
    // After the connection: nobody else may open the file before it is closed.
    _lock: Lock,
}

impl Writer {
    pub fn new(
        connection: Connection,
        head: Head,
        options: Options,
        clock: Clock,
        age: Age,
        counters: Arc<Counters>,
        lock: Lock,
    ) -> Self {
        Self {
            connection,
            head,
            told: watch::Sender::new(head.seq),
            options,
            looked: clock(),
            clock,
            age,
            counters,
            failures: Tally::default(),
            since: LOOK,
            _lock: lock,
        }
    }

    /// The number of the last record that is on the disk, as it grows.
    pub fn told(&self) -> watch::Receiver<i64> {
        self.told.subscribe()
    }

    /// Writes until it is told to end or nobody is left who could ask.
    pub fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let mut closed = None;
        self.forget(&orders);
        while closed.is_none()
            && let Some(order) = orders.blocking_recv()
        {
            let mut group = Vec::new();
            let mut next = Some(order);
            while let Some(order) = next {
                match order {
                    Order::Commit {
                        commit,
                        answer,
                        permit,
                    } => group.push(Waiting {
                        commit: *commit,
                        answer,
                        _permit: permit,
                    }),
                    Order::Close(done) => {
                        closed = Some(done);
                        break;
                    }
                    #[cfg(test)]
                    Order::Sql(text, done) => {
                        done.send(self.connection.execute_batch(&text)).unwrap();
                    }
                }
                next = if group.len() < TOGETHER {
                    orders.try_recv().ok()
                } else {
                    None
                };
            }
            self.write(group);
            self.forget(&orders);
        }
        if let Err(error) = self.age.keep(&self.connection) {
            tracing::warn!(%error, "cannot keep the age of the journal");
        }
        drop(orders);
        drop(self);
        if let Some(done) = closed {
            // Whoever closed it need not wait for it.
            done.send(()).unwrap_or_default();
        }
    }

    /// Writes a group and answers each of it.
    fn write(&mut self, group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let now = (self.clock)().wall;
        let (commits, answers): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|w| (w.commit, (w.answer, w._permit)))
            .unzip();
        let results = match self.transact(&commits, now) {
            Ok(results) => results,
            Err(error) if commits.len() == 1 => vec![Err(error)],
            Err(_) => commits
                .iter()
                .map(|commit| {
                    let alone = self.transact(std::slice::from_ref(commit), now)?;
                    alone.into_iter().next().unwrap_or_else(|| Err(lost()))
                })
                .collect(),
        };
        let wrote = results.iter().any(Result::is_ok);
        let failed = results.iter().find_map(|result| result.as_ref().err());
        self.counters.tried(failed.filter(|_| !wrote), now);
        for (result, (answer, permit)) in results.into_iter().zip(answers) {
            self.count(result.as_ref().err());
            drop(permit);
            // Whoever asked may be gone; what is written stays.
            drop(answer.send(result));
        }
    }

    /// Deletes what is too old or too much, until something else is to do.
    fn forget(&mut self, orders: &UnboundedReceiver<Order>) {
        let now = (self.clock)();
        loop {
            let size = retain::size(&self.connection).unwrap_or(0);
            self.counters.size.store(size, Ordering::Relaxed);
            if !orders.is_empty() && size <= retain::hard(&self.options) {
                return;
            }
            match self.forget_some(&now) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.failures.note(
                        |left_out| tracing::warn!(%error, left_out, "cannot delete old records of the journal"),
                    );
                    return;
                }
            }
        }
    }

    fn forget_some(&mut self, now: &Moment) -> rusqlite::Result<bool> {
        let age = self.age.look(now);
        // What lies beside the records goes first: no record is to go for want of room that others take.
        if self.since >= LOOK || now.since(&self.looked) >= LOOK_AFTER {
            let rest = retain::rest(&self.connection, &self.options, age)?;
            add(&self.counters.undelivered, rest.undelivered);
            if rest.more {
                return Ok(true);
            }
            self.age.keep(&self.connection)?;
            (self.since, self.looked) = (0, now.clone());
        }
        let records = retain::records(&self.connection, &self.options, age)?;
        add(&self.counters.pruned, records.records);
        self.counters
            .kept
            .fetch_sub(records.records, Ordering::Relaxed);
        Ok(records.more)
    }

    fn count(&self, error: Option<&CommitError>) {
        self.counters.queued.fetch_sub(1, Ordering::Relaxed);
        let Some(error) = error else {
            add(&self.counters.commits, 1);
            return;
        };
        match error {
            CommitError::Full(_) => add(&self.counters.full, 1),
            CommitError::Busy | CommitError::Broken(_) => add(&self.counters.broken, 1),
        }
        self.failures.note(
            |left_out| tracing::error!(%error, left_out, "nothing can be decided or done while the journal cannot be written"),
        );
    }

    /// One transaction; its error means that nothing of it was written.
    fn transact(
        &mut self,
        commits: &[Commit],
        now: Timestamp,
    ) -> Result<Vec<Result<Committed, CommitError>>, CommitError> {
        let start = self.head;
        let written = self.attempt(commits, now);
        if written.is_err() {
            self.head = start;
            // SQLite may have undone it by itself.
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "cannot roll the journal back");
            }
        }
        written
    }

    fn attempt(
        &mut self,
        commits: &[Commit],
        now: Timestamp,
    ) -> Result<Vec<Result<Committed, CommitError>>, CommitError> {
        let began = Instant::now();
        let (mut entries, mut bytes) = (0, 0);
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(commits.len());
        for commit in commits {
            self.connection.execute_batch("SAVEPOINT one")?;
            match apply(&self.connection, self.head, commit, now) {
                Ok(applied) => {
                    self.connection.execute_batch("RELEASE one")?;
                    self.head = applied.head;
                    entries += commit.entries.len() as u64;
                    bytes += applied.bytes;
                    results.push(Ok(Committed {
                        seq: applied.head.seq,
                        hash: applied.head.hash,
                        outbox: applied.outbox,
                    }));
                }
                Err(CommitError::Broken(why)) if !self.connection.is_autocommit() => {
                    self.connection
                        .execute_batch("ROLLBACK TO one; RELEASE one")?;
                    results.push(Err(CommitError::Broken(why)));
                }
                Err(error) => return Err(error),
            }
        }
        if commits.iter().all(|commit| *commit == Commit::default()) {
            attempt_one(&self.connection, self.head)?;
        }
        fault("journal.before_commit");
        self.connection.execute_batch("COMMIT")?;
        fault("journal.after_commit");
        if entries > 0 {
            self.told.send_replace(self.head.seq);
        }
        let rows = commits.iter().map(Commit::rows).sum::<usize>();
        let rows = u32::try_from(rows + 1).unwrap_or(u32::MAX);
        self.since = self.since.saturating_add(rows);
        add(&self.counters.transactions, 1);
        add(&self.counters.entries, entries);
        add(&self.counters.kept, entries);
        add(&self.counters.bytes, bytes);
        self.counters.written(began.elapsed());
        Ok(results)
    }
}

/// Writes a record and takes it back before anybody can see it: whether one could be written, only the disk knows.
fn attempt_one(connection: &Connection, head: Head) -> rusqlite::Result<()> {
    let next = head.seq + 1;
    let insert = "INSERT INTO entries (seq, time, kind, line, hash) VALUES (?1, 0, '', '', '')";
    connection.execute(insert, [next])?;
    connection.execute("DELETE FROM entries WHERE seq = ?1", [next])?;
    Ok(())
}

fn lost() -> CommitError {
    CommitError::Broken("its transaction has no result".into())
}

struct Applied {
    head: Head,
    bytes: u64,
    outbox: Vec<i64>,
}

/// Writes one commit behind `head`.
fn apply(
    connection: &Connection,
    head: Head,
    commit: &Commit,
    now: Timestamp,
) -> Result<Applied, CommitError> {
    let mut heads = Vec::with_capacity(commit.entries.len());
    let mut lines = Vec::with_capacity(commit.entries.len());
    let mut last = head;
    let mut bytes = 0;
    for entry in &commit.entries {
        let seq = last.seq + 1;
        let line = entry
            .line(seq, now)
            .map_err(|e| CommitError::Broken(format!("a record is no JSON: {e}")))?;
        last = Head {
            seq,
            hash: last.hash.next(&line),
        };
        bytes += line.len() as u64;
        heads.push(last);
        lines.push((entry, last, line));
    }
    each(
        connection,
        "INSERT INTO entries (seq, time, kind, incident, line, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &lines,
        |insert, (entry, Head { seq, hash }, line)| {
            let incident = entry.incident.as_ref().map(|id| id.as_str());
            insert.execute(params![
                seq,
                now.0,
                entry.kind.as_str(),
                incident,
                line,
                hash.to_string()
            ])
        },
    )?;
    state(connection, commit, now)?;
    let mut outbox = Vec::with_capacity(commit.outbox.len());
    for outgoing in &commit.outbox {
        let told = match outgoing.entry {
            Some(index) => heads.get(index).copied().ok_or_else(|| {
                CommitError::Broken(format!(
                    "a notification tells of record {index} of the commit, which has fewer"
                ))
            })?,
            None => heads.last().copied().unwrap_or(Head::START),
        };
        outbox.push(send(connection, outgoing, told, now)?);
    }
    for (row, sent) in &commit.sent {
        settle(connection, *row, sent, now)?;
    }
    Ok(Applied {
        head: last,
        bytes,
        outbox,
    })
}

/// Does the same with each row. SQLite reads the statement once, and not at all where there are none.
fn each<T>(
    connection: &Connection,
    sql: &str,
    rows: &[T],
    mut execute: impl FnMut(&mut Statement<'_>, &T) -> rusqlite::Result<usize>,
) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare(sql)?;
    for row in rows {
        execute(&mut statement, row)?;
    }
    Ok(())
}

/// The state to resume from.
fn state(connection: &Connection, commit: &Commit, now: Timestamp) -> rusqlite::Result<()> {
    each(
        connection,
        "INSERT INTO playbooks (hash, text, seen) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO UPDATE SET seen = ?3",
        &commit.playbooks,
        |insert, (hash, text)| insert.execute((hash, text, now.0)),
    )?;
    each(
        connection,
        "INSERT INTO incidents (id, open, revision, body, changed) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO UPDATE SET open = ?2, revision = ?3, body = ?4, changed = ?5",
        &commit.incidents,
        |insert, row| {
            let (id, revision) = (row.id.as_str(), &row.revision);
            insert.execute(params![id, row.open, revision, row.body, now.0])
        },
    )?;
    each(
        connection,
        "INSERT INTO episodes (episode, resolved, body, seen) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (episode) DO UPDATE SET resolved = ?2, body = ?3, seen = ?4",
        &commit.episodes,
        |insert, row| insert.execute(params![row.episode, row.resolved, row.body, row.seen.0]),
    )?;
    each(
        connection,
        "INSERT INTO deliveries (key, seen) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET seen = ?2",
        &commit.deliveries,
        |insert, key| insert.execute((key, now.0)),
    )?;
    each(
        connection,
        "INSERT INTO evidence (incident, number, made, bytes, text) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (incident, number) DO NOTHING",
        &commit.evidence,
        |insert, packet| {
            let (id, text) = (packet.incident.as_str(), &*packet.text);
            let bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
            insert.execute(params![id, packet.number, now.0, bytes, text])
        },
    )?;
    for (name, value) in &commit.settings {
        match value {
            Some(value) => connection.execute(
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
                (name, value),
            )?,
            None => connection.execute("DELETE FROM settings WHERE name = ?1", [name])?,
        };
    }
    Ok(())
}

/// Puts a notification into the outbox; one that is there already is the same one.
fn send(
    connection: &Connection,
    outgoing: &Outgoing,
    told: Head,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let Outgoing {
        sink,
        id,
        severity,
        body,
        entry: _,
    } = outgoing;
    connection.execute(
        "INSERT INTO outbox (sink, id, severity, body, made, seq, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (sink, id) DO NOTHING",
        params![sink, id, severity.as_str(), body, now.0, told.seq, told.hash.to_string()],
    )?;
    let row = "SELECT row FROM outbox WHERE sink = ?1 AND id = ?2";
    connection.query_row(row, (sink, id), |row| row.get(0))
}

/// Notes what became of a notification.
fn settle(
    connection: &Connection,
    row: i64,
    sent: &Sent,
    now: Timestamp,
) -> Result<(), CommitError> {
    let (done, at, tries, why) = match sent {
        Sent::Delivered => (1, now, 0, None),
        Sent::Dropped(why) => (2, now, 0, Some(why)),
        Sent::Failed(at, why) => (0, *at, 1, Some(why)),
    };
    let changed = connection.execute(
        "UPDATE outbox SET done = ?2, tried = ?3, tries = tries + ?4, why = ?5 WHERE row = ?1",
        params![row, done, at.0, tries, why],
    )?;
    if changed == 0 {
        return Err(CommitError::Broken(format!(
            "there is no notification {row} in the outbox"
        )));
    }
    Ok(())
}
