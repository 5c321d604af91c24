//! Windows of maintenance: opened and closed by the clock, on record as what operators order is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::book::{Book, Held};
use crate::heal::machine::Event;
use crate::heal::maintenance::{ALL, Span, Window};
use crate::journal::{Entry, Kind};
use crate::model::hold::Owner;
use crate::model::moment::{Moment, Timestamp};

/// Name under which the journal keeps the open windows.
pub(super) const WINDOWS: &str = "windows";

/// A window that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    #[serde(flatten)]
    span: Span,
    why: String,
    /// The pools that the node leaves for it.
    pools: BTreeSet<String>,
    /// An operator has closed it before its time.
    closed: bool,
}

/// The windows as they were last looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Windows {
    open: BTreeMap<String, Open>,
    /// When each opens next.
    coming: BTreeMap<String, Timestamp>,
    /// When they were looked at under these rules.
    looked: Option<Timestamp>,
    /// When to look again.
    next: Option<Timestamp>,
}

impl Windows {
    /// What stood in the journal.
    pub(super) fn restore(text: Option<&String>) -> Self {
        let open = text.map(|text| serde_json::from_str(text));
        let open = open.transpose().unwrap_or_else(|error| {
            tracing::error!(%error, "the windows of maintenance of the journal cannot be read");
            None
        });
        Self {
            open: open.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Has them looked at again, whatever the clock says.
    pub(super) const fn forget(&mut self) {
        self.looked = None;
    }

    /// How long it is until they are to be looked at.
    pub(super) fn due(&self, now: Timestamp) -> Option<std::time::Duration> {
        // The clock was set back: what is open may not be open yet.
        match self.looked.is_none_or(|looked| now < looked) {
            true => Some(std::time::Duration::ZERO),
            false => self.next.map(|next| next.since(now)),
        }
    }

    /// Those that are open, each with its words.
    pub(super) fn words(&self) -> Vec<String> {
        let open = self.open.iter().filter(|(_, open)| !open.closed);
        let words = open.map(|(name, open)| {
            let Span { since, until } = open.span;
            format!("{} (window {name} since {since}, until {until})", open.why)
        });
        words.collect()
    }

    /// When each opens next.
    pub(super) const fn coming(&self) -> &BTreeMap<String, Timestamp> {
        &self.coming
    }
}

impl Book {
    /// Why there is maintenance: what an operator said, and the windows that are open.
    pub(super) fn maintenance(&self) -> Option<String> {
        let ordered = self.switches.maintenance.iter().cloned();
        let words: Vec<String> = ordered.chain(self.windows.words()).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Opens and closes windows whose time has come.
    pub(super) fn turn_windows(&mut self, now: &Moment) {
        if self.windows.due(now.wall).is_none_or(|due| !due.is_zero()) {
            return;
        }
        let known = self.rules.maintenance.windows.clone();
        let gone = self
            .windows
            .open
            .keys()
            .filter(|name| !known.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.close_window(&name, now);
        }
        let mut times = Vec::new();
        let mut coming = BTreeMap::new();
        for (name, window) in &known {
            self.turn_window(name, window, now);
            if let Some(at) = window.next(now.wall) {
                coming.insert(name.clone(), at);
                times.push(at);
            }
        }
        times.extend(self.windows.open.values().map(|open| open.span.until));
        let windows = self.windows.change();
        windows.coming = coming;
        windows.looked = Some(now.wall);
        windows.next = times.into_iter().min();
    }

    fn turn_window(&mut self, name: &str, window: &Window, now: &Moment) {
        let old = self.windows.open.get(name).cloned();
        let Some(span) = window.open(now.wall) else {
            if old.is_some() {
                self.close_window(name, now);
            }
            return;
        };
        let mut pools = window.isolate.clone();
        // One that went out of the config is none to leave.
        pools.retain(|pool| pool == ALL || self.rules.pools.contains(pool));
        let open = Open {
            span,
            why: window.reason.clone().unwrap_or_else(|| name.to_owned()),
            pools: self
                .pools_of(pools)
                .unwrap_or_default()
                .into_iter()
                .collect(),
            closed: false,
        };
        match old {
            // Until it comes round again.
            Some(old) if old.closed && old.span.since == span.since => {}
            Some(old) if old == open => {}
            Some(old) => {
                if !old.closed && (&old.why, &old.pools) != (&open.why, &open.pools) {
                    self.close_window(name, now);
                }
                self.open_window(name, open, now);
            }
            None => self.open_window(name, open, now),
        }
    }

    fn open_window(&mut self, name: &str, open: Open, now: &Moment) {
        let goes_on = self.windows.open.get(name).is_some_and(|old| !old.closed);
        if !goes_on {
            let Span { until, .. } = open.span;
            tracing::info!(window = name, %until, "maintenance is on: {}", open.why);
            self.note_window(
                name,
                json!({"did": "window open", "reason": open.why, "until": until.to_string(), "isolate": open.pools}),
            );
            for pool in &open.pools {
                self.place(pool, Owner::Window(name.to_owned()), &open.why, now);
            }
        }
        self.windows.change().open.insert(name.to_owned(), open);
        self.keep_windows(now);
    }

    /// Its time is over, or it is no more.
    fn close_window(&mut self, name: &str, now: &Moment) {
        let gone = self.windows.change().open.remove(name);
        if gone.is_some_and(|open| !open.closed) {
            tracing::info!(window = name, "maintenance is off: the window is over");
            self.note_window(name, json!({"did": "window closed"}));
            self.lift_of(&Owner::Window(name.to_owned()));
        }
        self.keep_windows(now);
    }

    /// An operator closes all that are open until they come round again; their names.
    pub(super) fn close_windows(&mut self, by: &str, now: &Moment) -> Vec<String> {
        let open = self.windows.open.iter().filter(|(_, open)| !open.closed);
        let names: Vec<String> = open.map(|(name, _)| name.clone()).collect();
        for name in &names {
            if let Some(open) = self.windows.change().open.get_mut(name) {
                open.closed = true;
            }
            self.note_window(name, json!({"did": "window closed", "closed_by": by}));
            self.lift_of(&Owner::Window(name.clone()));
        }
        if !names.is_empty() {
            self.keep_windows(now);
        }
        names
    }

    fn note_window(&mut self, name: &str, mut data: Value) {
        let by = Owner::Window(name.to_owned()).to_string();
        if let Some(data) = data.as_object_mut() {
            data.insert("by".into(), by.into());
        }
        self.commit
            .entries
            .push(Entry::new(Kind::Operator).data(data));
    }

    /// Has the journal keep them, and all that waits look again.
    fn keep_windows(&mut self, now: &Moment) {
        let open = &self.windows.open;
        let text = (!open.is_empty()).then(|| serde_json::to_string(open).unwrap_or_default());
        let settings = &mut self.commit.settings;
        settings.retain(|(name, _)| name != WINDOWS);
        settings.push((WINDOWS.to_owned(), text));
        self.step_each(Held::is_waiting, &Event::Changed, now);
    }
}
