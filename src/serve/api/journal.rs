//! What the API reads from the journal: off the runtime thread, one read at a time.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::shown::Incidents;
use crate::heal::incident::{Incident, State};
use crate::heal::runner::Listed;
use crate::journal::{Evidence, Filter, Hash, IncidentRow, ReadError, Reader};

/// Reads that wait or run; one more is told to come again.
const WAITING: usize = 8;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records of an answer together in bytes; at least one is in it.
const BYTES: usize = 4 << 20;
/// The latest closed incidents that are looked at, and the latest records of one.
const LATEST: usize = 1_000;

/// Who may read, and when: the threads for what blocks are few, and others need them too.
#[derive(Debug)]
pub(super) struct Reads {
    waiting: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    #[error("{WAITING} reads of the journal wait already")]
    Busy,
    #[error("the journal was not read within {} s", PATIENCE.as_secs())]
    Late,
    #[error("{0}")]
    Failed(String),
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(WAITING)),
            reading: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Reads {
    /// Has `read` read the journal in a directory.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        directory: PathBuf,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, NotRead> {
        let waiting = Arc::clone(&self.waiting);
        let waiting = waiting.try_acquire_owned().map_err(|_| NotRead::Busy)?;
        let reading = Arc::clone(&self.reading);
        let job = async {
            let reading = reading.acquire_owned().await;
            // It goes on when nobody waits any more, so it keeps its place until it is done.
            let job = tokio::task::spawn_blocking(move || {
                let _places = (waiting, reading);
                // All of an answer is of one instant.
                Reader::open(&directory)?.at_once(read)
            });
            job.await
        };
        match tokio::time::timeout(PATIENCE, job).await {
            Ok(Ok(read)) => read.map_err(|error| NotRead::Failed(error.to_string())),
            Ok(Err(failed)) => Err(NotRead::Failed(format!("reading the journal: {failed}"))),
            Err(_) => Err(NotRead::Late),
        }
    }
}

/// Which incidents are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Open,
    Closed,
    All,
    /// In this state.
    In(&'static str),
}

impl Wanted {
    fn states() -> impl Iterator<Item = &'static str> {
        State::OPEN.into_iter().chain(State::OVER)
    }

    /// All words that mean something.
    pub(super) fn words() -> Vec<&'static str> {
        ["open", "closed", "all"]
            .into_iter()
            .chain(Self::states())
            .collect()
    }

    /// What a word means: `open`, `closed`, `all`, or a state.
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        let states = Self::states;
        match (word, states().find(|state| *state == word)) {
            ("open", _) => Ok(Self::Open),
            ("closed", _) => Ok(Self::Closed),
            ("all", _) => Ok(Self::All),
            (_, Some(state)) => Ok(Self::In(state)),
            (_, None) => {
                let states: Vec<_> = states().collect();
                Err(format!(
                    "state is open, closed, all, or one of {}",
                    states.join(", ")
                ))
            }
        }
    }

    fn takes(&self, incident: &Listed) -> bool {
        match self {
            Self::In(state) => incident.state == *state,
            Self::Open => State::OPEN.contains(&incident.state),
            Self::Closed => State::OVER.contains(&incident.state),
            Self::All => true,
        }
    }

    /// Whether to look among those that are open, and among those that are closed.
    fn where_to_look(&self) -> [bool; 2] {
        match self {
            Self::Open => [true, false],
            // One that is over and holds the node out of a pool is kept with the open ones.
            Self::Closed => [true, true],
            Self::All => [true, true],
            Self::In(state) => {
                let open = State::OPEN.contains(state);
                [true, !open]
            }
        }
    }
}

/// Incidents, open ones first, and of each kind those that changed last first. Of those that are closed the latest
/// [`LATEST`] are looked at.
pub(super) fn incidents(
    reader: &Reader,
    wanted: &Wanted,
    limit: usize,
) -> Result<String, ReadError> {
    let mut found = Vec::new();
    for (open, looks) in [true, false].into_iter().zip(wanted.where_to_look()) {
        if looks {
            let rows = reader.incidents(open, LATEST)?;
            let listed = rows.iter().filter_map(listed);
            found.extend(listed.filter(|incident| wanted.takes(incident)));
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let shown = Incidents {
        incidents: found,
        more,
    };
    Ok(json!(shown).to_string())
}

/// An incident as it is shown; none if its row cannot be read.
fn listed(row: &IncidentRow) -> Option<Listed> {
    let incident: Incident = serde_json::from_str(&row.body).ok()?;
    Some(Listed::of(&incident))
}

/// One incident with its latest records, and the guards as they were asked last; none if there is no trace of it.
pub(super) fn incident(reader: &Reader, id: &str) -> Result<Option<String>, ReadError> {
    let row = reader.incident(id)?;
    let filter = Filter {
        incident: Some(id.to_owned()),
        newest: Some(LATEST),
        ..Filter::default()
    };
    let mut records = VecDeque::new();
    let mut bytes = 0;
    let mut left_out = false;
    reader.entries(&filter, &mut |stored| {
        let line = stored.exported();
        bytes += line.len();
        records.push_back(line);
        while bytes > BYTES && records.len() > 1 {
            bytes -= records.pop_front().map_or(0, |line| line.len());
            left_out = true;
        }
        ControlFlow::Continue(())
    })?;
    if row.is_none() && records.is_empty() {
        return Ok(None);
    }
    let records: Vec<String> = records.into();
    let incident = json!(row.as_ref().and_then(listed));
    let guards = json!(guards(&records));
    let more = left_out || records.len() >= LATEST;
    let records = records.join(",\n");
    Ok(Some(format!(
        "{{\"incident\":{incident},\"guards\":{guards},\"more\":{more},\"records\":[\n{records}\n]}}"
    )))
}

/// A packet of evidence of an incident, byte for byte; none where it is not there.
pub(super) fn packet(reader: &Reader, id: &str, number: u32) -> Result<Option<String>, ReadError> {
    Ok(reader.evidence(id, number)?.as_ref().map(whole))
}

fn whole(packet: &Evidence) -> String {
    packet.text.trim_end_matches('\n').to_owned()
}

/// The packets of evidence of an incident behind a number, each byte for byte, and whether there are more; none where there is no trace of
/// it.
pub(super) fn evidence(reader: &Reader, id: &str, after: u32) -> Result<Option<String>, ReadError> {
    let (mut packets, mut more) = (String::new(), false);
    reader.packets(id, after, &mut |packet| {
        if packets.len() >= BYTES {
            more = true;
            return ControlFlow::Break(());
        }
        if !packets.is_empty() {
            packets.push_str(",\n");
        }
        let (number, bytes) = (packet.number, packet.text.len());
        let hash = Hash::of(&packet.text);
        let text = whole(&packet);
        packets.push_str(&format!(
            "{{\"number\":{number},\"sha256\":\"{hash}\",\"bytes\":{bytes},\"packet\":{text}}}"
        ));
        ControlFlow::Continue(())
    })?;
    if packets.is_empty()
        && reader
            .incidents_like(id, 1)?
            .first()
            .is_none_or(|known| known != id)
    {
        return Ok(None);
    }
    let incident = json!(id);
    Ok(Some(format!(
        "{{\"incident\":{incident},\"more\":{more},\"packets\":[\n{packets}\n]}}"
    )))
}

/// The last decision among records: when it was made, and what each guard said.
fn guards(records: &[String]) -> Option<Value> {
    let records = records.iter().rev();
    let mut decisions = records.filter_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        (record.get("kind")?.as_str()? == "decision").then_some(record)
    });
    let decision = decisions.next()?;
    let verdicts = decision.pointer("/data/guards")?;
    Some(json!({"time": decision.get("time")?, "verdicts": verdicts}))
}

/// Records after a number, byte for byte as they are exported, and from where to go on.
pub(super) fn events(reader: &Reader, after: i64, limit: usize) -> Result<String, ReadError> {
    let filter = Filter {
        after,
        ..Filter::default()
    };
    let (floor, head) = (reader.floor()?.seq, reader.head()?.seq);
    let (mut records, mut count, mut next) = (String::new(), 0, after.min(head));
    reader.entries(&filter, &mut |stored| {
        if count > 0 {
            records.push_str(",\n");
        }
        records.push_str(&stored.exported());
        count += 1;
        next = stored.seq;
        match count >= limit || records.len() >= BYTES {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(format!(
        "{{\"next\":{next},\"deleted_to\":{floor},\"events\":[\n{records}\n]}}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_incidents_is_a_state_or_a_kind_of_states() {
        assert_eq!(Wanted::parse("open"), Ok(Wanted::Open));
        assert_eq!(Wanted::parse("healed"), Ok(Wanted::In("healed")));
        assert_eq!(Wanted::In("cancelled").where_to_look(), [true, true]);
        assert_eq!(Wanted::In("waiting").where_to_look(), [true, false]);
        assert!(
            Wanted::parse("Healed")
                .unwrap_err()
                .contains("resolved_alone")
        );
    }

    #[tokio::test]
    async fn reads_are_few_and_one_more_is_told_to_come_again() {
        let directory = tempfile::tempdir().unwrap();
        let at = || directory.path().to_owned();
        let reads = Reads::default();
        let none = reads.read(at(), |_| Ok(())).await;
        assert!(matches!(none, Err(NotRead::Failed(why)) if why.contains("journal")));
        let all = Arc::clone(&reads.waiting);
        let places = all.try_acquire_many_owned(8).unwrap();
        let busy = reads.read(at(), |_| Ok(())).await;
        assert!(matches!(busy, Err(NotRead::Busy)));
        drop(places);
        let none = reads.read(at(), |_| Ok(())).await;
        assert!(matches!(none, Err(NotRead::Failed(_))));
    }

    /// More than an answer holds.
    const LARGE: usize = BYTES + BYTES / 2;

    fn numbers(page: &Value, list: &str, name: &str) -> Vec<u64> {
        let all = page[list].as_array().unwrap().iter();
        all.map(|one| one[name].as_u64().unwrap()).collect()
    }

    #[tokio::test]
    async fn who_goes_on_reads_each_once_and_no_answer_is_large() {
        use crate::journal::{Commit, Entry, Journal, Kind, Options};
        use crate::model::id::IncidentId;

        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(directory.path(), &Options::default()).unwrap();
        let id = IncidentId::new("01JD");
        // A quote takes two bytes.
        let text = "\"é".repeat(25_000);
        let mut written = 0;
        for number in 1.. {
            let entry = Entry::new(Kind::Evidence).incident(&id);
            let packet = json!({"text": text}).to_string();
            written += packet.len();
            let packet = Evidence {
                incident: id.clone(),
                number,
                text: packet.into(),
            };
            let commit = Commit {
                entries: vec![entry.data(json!({"text": text}))],
                evidence: vec![packet],
                ..Commit::default()
            };
            journal.commit(commit).await.unwrap();
            if written > LARGE {
                break;
            }
        }
        let reader = Reader::open(directory.path()).unwrap();
        let head = u64::try_from(reader.head().unwrap().seq).unwrap();
        let one = 2 * text.len();
        let (mut records, mut pages, mut after) = (Vec::new(), 0, 0);
        while records.last() != Some(&head) {
            let page = events(&reader, after, 1_000).unwrap();
            assert!(page.len() < BYTES + one, "{}", page.len());
            let page: Value = serde_json::from_str(&page).unwrap();
            records.extend(numbers(&page, "events", "seq"));
            after = page["next"].as_i64().unwrap();
            pages += 1;
        }
        assert_eq!(records, (1..=head).collect::<Vec<_>>());
        assert_eq!(pages, 2);
        let (mut packets, mut pages, mut more) = (Vec::new(), 0, true);
        while more {
            let after = packets
                .last()
                .map_or(0, |last| u32::try_from(*last).unwrap());
            let page = evidence(&reader, "01JD", after).unwrap().unwrap();
            assert!(page.len() < BYTES + one, "{}", page.len());
            let page: Value = serde_json::from_str(&page).unwrap();
            packets.extend(numbers(&page, "packets", "number"));
            more = page["more"].as_bool().unwrap();
            pages += 1;
        }
        assert_eq!(packets, (1..=head).collect::<Vec<_>>());
        assert_eq!(pages, 2);
        // Of an incident it is the latest that are shown, as many as fit.
        let story = incident(&reader, "01JD").unwrap().unwrap();
        assert!(story.len() < BYTES + one, "{}", story.len());
        let story: Value = serde_json::from_str(&story).unwrap();
        assert_eq!(story["more"], true);
        assert_eq!(numbers(&story, "records", "seq").last(), Some(&head));
    }
}
