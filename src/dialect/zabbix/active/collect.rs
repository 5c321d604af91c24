//! Collecting the values of what is due.
//!
//! Owns when a key is asked and how many at a time: one that hangs holds up no other. Items of the same second share the readings
//! of their subjects.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plan::Number;
use super::reply::Item;
use super::session::Shared;
use super::{Face, clock};
use crate::dialect::zabbix::answer::Unsupported;
use crate::dialect::zabbix::key::Key;

/// A longer value is none: servers keep 64 KiB of a text, and 16 MiB at most.
const LONGEST: usize = 1 << 20;
/// Keys that are asked at a time, for one server.
const AT_ONCE: usize = 64;
/// The wall clock is looked at this often, since it may be set.
const LOOK: Duration = Duration::from_secs(30);

type Said = (Number, Arc<Item>, Result<String, Unsupported>);

/// Collects for ever.
pub(super) async fn collect(shared: Arc<Shared>, face: Arc<Face>, zone: TimeZone) {
    let mut asked: JoinSet<Said> = JoinSet::new();
    loop {
        let room = AT_ONCE.saturating_sub(asked.len());
        let due = shared.plan().take(clock::seconds(), room, &zone);
        for (number, item) in due {
            let face = Arc::clone(&face);
            asked.spawn(async move {
                let said = ask(&face, &item).await;
                (number, item, said)
            });
        }
        let next = shared.plan().next();
        let wait = next.map_or(LOOK, wait).min(LOOK);
        tokio::select! {
            Some(Ok((number, item, said))) = asked.join_next() => {
                note(&shared, &face, &item, &said);
                let mut plan = shared.plan();
                plan.answered(number, &item, said.is_ok(), clock::seconds(), &zone);
                shared.counts.set_items(plan.count());
            }
            () = tokio::time::sleep(wait), if asked.len() < AT_ONCE => {}
            () = shared.changed.notified() => {}
        }
    }
}

/// How long it is until a second of the wall clock begins.
fn wait(at: i64) -> Duration {
    let at = Duration::from_secs(u64::try_from(at).unwrap_or_default());
    at.saturating_sub(clock::since())
}

async fn ask(face: &Face, item: &Item) -> Result<String, Unsupported> {
    if let Err(why) = &item.delay {
        return Err(Unsupported::from(why.to_string()));
    }
    let key = Key::parse(&item.key)?;
    let deadline = Instant::now() + item.timeout.unwrap_or(face.timeout);
    let value = face.values.value(&key, deadline.into_std()).await?;
    match value.len() > LONGEST {
        true => Err(Unsupported::new("The value is longer than 1 MiB.")),
        false => Ok(value.into_owned()),
    }
}

/// Puts a value, or why there is none, where it waits for the server.
fn note(shared: &Shared, face: &Face, item: &Item, said: &Result<String, Unsupported>) {
    let at = clock::members();
    let (state, text) = match said {
        Ok(value) => ("", value.as_str()),
        Err(why) => ("\"state\":1,", why.as_str()),
    };
    let mut value = String::with_capacity(text.len() + 96);
    shared.waiting.push(|id| {
        let which = match item.id {
            Some(item) => format!("\"itemid\":{item}"),
            None => format!(
                "\"host\":{},\"key\":{}",
                super::quoted(&face.hostname),
                super::quoted(&item.key)
            ),
        };
        let written = write!(
            value,
            "{{\"id\":{id},{which},{state}\"value\":{},{at}}}",
            super::quoted(text)
        );
        debug_assert!(written.is_ok());
        value
    });
}
