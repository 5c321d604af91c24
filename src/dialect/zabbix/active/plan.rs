//! Which items there are, and which of them is due.
//!
//! Pure: it is told the time. An item that is being asked is due again once it has an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::reply::Item;

/// The number that an item goes by.
pub type Number = u64;

/// A clock that goes back by more than this, in seconds, has every time made anew.
const BACK: i64 = 5;

/// All items of one server.
#[derive(Debug, Default)]
pub struct Plan {
    entries: BTreeMap<Number, Entry>,
    due: BTreeSet<(i64, Number)>,
    /// When it was last asked what is due.
    last: i64,
}

#[derive(Debug)]
struct Entry {
    item: Arc<Item>,
    /// When it is due; none while it is asked, and if it never is again.
    at: Option<i64>,
    unsupported: bool,
}

impl Plan {
    /// Another list. Items that are as they were keep their time; new ones are due at once, unless they have times of their own.
    pub fn set(&mut self, items: Vec<Item>, now: i64, zone: &TimeZone) {
        let mut before = std::mem::take(&mut self.entries);
        self.due.clear();
        for item in items {
            let number = number(&item);
            if self.entries.contains_key(&number) {
                continue;
            }
            let same = before.remove(&number).filter(|entry| *entry.item == item);
            let entry = same.unwrap_or_else(|| {
                let at = match &item.delay {
                    Ok(delay) if delay.at(now, zone) == 0 => delay.next(number, now, zone),
                    _ => Some(now),
                };
                let item = Arc::new(item);
                Entry {
                    item,
                    at,
                    unsupported: false,
                }
            });
            self.due.extend(entry.at.map(|at| (at, number)));
            self.entries.insert(number, entry);
        }
    }

    /// The same after whoever asked has gone: what was being asked is due again.
    pub fn resumed(mut self, now: i64) -> Self {
        for (number, entry) in &mut self.entries {
            if entry.at.is_none() && entry.item.delay.is_ok() {
                entry.at = Some(now);
                self.due.insert((now, *number));
            }
        }
        self
    }

    /// When something is due next.
    pub fn next(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes what is due, at most so many.
    pub fn take(&mut self, now: i64, most: usize, zone: &TimeZone) -> Vec<(Number, Arc<Item>)> {
        if now + BACK < self.last {
            self.anew(now, zone);
        }
        self.last = now;
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((at, number)) = self.due.first().copied()
            && at <= now
        {
            self.due.remove(&(at, number));
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.at = None;
                taken.push((number, Arc::clone(&entry.item)));
            }
        }
        taken
    }

    /// An item has its answer, a value or why there is none.
    pub fn answered(
        &mut self,
        number: Number,
        item: &Arc<Item>,
        supported: bool,
        now: i64,
        zone: &TimeZone,
    ) {
        // A list that came meanwhile may have another of the number.
        let Some(entry) = self
            .entries
            .get_mut(&number)
            .filter(|e| Arc::ptr_eq(&e.item, item))
        else {
            return;
        };
        entry.unsupported = !supported;
        let delay = entry.item.delay.as_ref().ok();
        entry.at = delay.and_then(|delay| delay.next(number, now, zone));
        self.due.extend(entry.at.map(|at| (at, number)));
    }

    /// How many items there are, and how many of them have no value.
    pub fn count(&self) -> (usize, usize) {
        let without = self.entries.values().filter(|entry| entry.unsupported);
        (self.entries.len(), without.count())
    }

    fn anew(&mut self, now: i64, zone: &TimeZone) {
        self.due.clear();
        for (number, entry) in &mut self.entries {
            if entry.at.is_some()
                && let Ok(delay) = &entry.item.delay
            {
                entry.at = delay.next(*number, now, zone);
            }
            self.due.extend(entry.at.map(|at| (at, *number)));
        }
    }
}

fn number(item: &Item) -> Number {
    let by_key = || BuildHasherDefault::<DefaultHasher>::default().hash_one(&item.key);
    item.id.unwrap_or_else(by_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::zabbix::active::delay::Delay;

    const ZONE: TimeZone = TimeZone::UTC;

    fn item(id: u64, delay: &str) -> Item {
        Item {
            id: Some(id),
            key: format!("key.{id}"),
            delay: Delay::parse(delay),
            timeout: None,
        }
    }

    fn numbers(taken: &[(Number, Arc<Item>)]) -> Vec<Number> {
        taken.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn new_items_are_due_at_once_and_then_at_their_interval() {
        let mut plan = Plan::default();
        plan.set(
            vec![
                item(1, "1m"),
                item(2, "0;h9"),
                item(3, "bad"),
                item(1, "5m"),
            ],
            1000,
            &ZONE,
        );
        assert_eq!(plan.count(), (3, 0));
        let taken = plan.take(1000, 10, &ZONE);
        assert_eq!(numbers(&taken), [1, 3]);
        assert_eq!(plan.take(1001, 10, &ZONE).len(), 0, "while it is asked");
        for (number, item) in &taken {
            plan.answered(*number, item, *number == 1, 1003, &ZONE);
        }
        assert_eq!(plan.count(), (3, 1));
        assert_eq!(plan.next(), Some(1021), "960 + 60 + 1");
        assert_eq!(numbers(&plan.take(1021, 10, &ZONE)), [1]);
        assert_eq!(plan.next(), Some(9 * 3600), "and the bad one never again");
    }

    #[test]
    fn a_list_that_is_the_same_changes_no_time_and_another_one_does() {
        let mut plan = Plan::default();
        let items = || vec![item(1, "1m"), item(2, "1m")];
        plan.set(items(), 1000, &ZONE);
        for (number, item) in plan.take(1000, 10, &ZONE) {
            plan.answered(number, &item, true, 1000, &ZONE);
        }
        plan.set(items(), 1005, &ZONE);
        assert_eq!(plan.next(), Some(1021));
        plan.set(vec![item(2, "30s")], 1006, &ZONE);
        assert_eq!(numbers(&plan.take(1006, 10, &ZONE)), [2]);
        assert_eq!(plan.next(), None);
    }

    #[test]
    fn a_list_of_thousands_is_taken_in_parts() {
        let mut plan = Plan::default();
        plan.set((1..=100).map(|id| item(id, "1m")).collect(), 1000, &ZONE);
        let first = plan.take(1000, 64, &ZONE);
        assert_eq!((first.len(), plan.take(1000, 64, &ZONE).len()), (64, 36));
        // An answer to what is there no more changes nothing.
        plan.set(vec![item(1, "5m")], 1001, &ZONE);
        plan.answered(1, &first[0].1, false, 1002, &ZONE);
        assert_eq!((plan.count(), plan.next()), ((1, 0), Some(1001)));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stop_items_until_it_has_caught_up() {
        let mut plan = Plan::default();
        plan.set(vec![item(1, "1m")], 100_000, &ZONE);
        for (number, item) in plan.take(100_000, 1, &ZONE) {
            plan.answered(number, &item, true, 100_000, &ZONE);
        }
        assert!(plan.take(50_000, 1, &ZONE).is_empty());
        assert_eq!(plan.next(), Some(50_041));
    }
}
