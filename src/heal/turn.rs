//! What a turn changes, until it is on record: then it is kept, or it never was.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::ops::Deref;

/// Something that a turn may change.
pub(super) trait Turn {
    /// What was changed is on record.
    fn keep(&mut self);
    /// What was changed could not be put on record: it is as it was before.
    fn undo(&mut self);
}

/// One value, seldom changed.
#[derive(Debug, Default)]
pub(super) struct Whole<T> {
    now: T,
    before: Option<T>,
}

impl<T: Clone> Whole<T> {
    pub(super) const fn new(now: T) -> Self {
        Self { now, before: None }
    }

    /// Whether this turn has touched it.
    pub(super) const fn is_changed(&self) -> bool {
        self.before.is_some()
    }

    /// The value, to be changed.
    pub(super) fn change(&mut self) -> &mut T {
        self.before.get_or_insert_with(|| self.now.clone());
        &mut self.now
    }
}

impl<T> Deref for Whole<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.now
    }
}

impl<T> Turn for Whole<T> {
    fn keep(&mut self) {
        self.before = None;
    }

    fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.now = before;
        }
    }
}

/// Values by name, each of which is remembered as it was once it is changed.
#[derive(Debug)]
pub(super) struct Map<K, V> {
    now: HashMap<K, V>,
    before: HashMap<K, Option<V>>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self {
            now: HashMap::new(),
            before: HashMap::new(),
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Map<K, V> {
    fn remember(&mut self, key: &K) {
        if !self.before.contains_key(key) {
            let before = self.now.get(key).cloned();
            self.before.insert(key.clone(), before);
        }
    }

    /// Puts a value in the place of what was there; whether nothing was.
    pub(super) fn set(&mut self, key: K, value: V) -> bool {
        self.remember(&key);
        self.now.insert(key, value).is_none()
    }

    /// A value, to be changed.
    pub(super) fn change(&mut self, key: &K) -> Option<&mut V> {
        if self.now.contains_key(key) {
            self.remember(key);
        }
        self.now.get_mut(key)
    }

    /// A value, made if there is none yet, to be changed.
    pub(super) fn change_or_make(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.remember(&key);
        self.now.entry(key).or_default()
    }

    /// Drops a value for good. To be called between two turns.
    pub(super) fn forget(&mut self, key: &K) {
        self.now.remove(key);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.remember(key);
        self.now.remove(key);
    }

    /// What this turn has touched, as it was before and as it is.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Option<&V>, &V)> {
        let now = |(key, before)| Some((Option::as_ref(before), self.now.get(key)?));
        self.before.iter().filter_map(now)
    }

    /// Drops what is not `wanted` any more, for good. To be called between two turns.
    pub(super) fn prune(&mut self, wanted: impl FnMut(&K, &mut V) -> bool) {
        self.now.retain(wanted);
    }
}

impl<K, V> Deref for Map<K, V> {
    type Target = HashMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.now
    }
}

impl<K: Hash + Eq, V> Turn for Map<K, V> {
    fn keep(&mut self) {
        self.before.clear();
    }

    fn undo(&mut self) {
        for (key, before) in self.before.drain() {
            match before {
                Some(before) => drop(self.now.insert(key, before)),
                None => drop(self.now.remove(&key)),
            }
        }
    }
}

/// Values in the order in which they came.
#[derive(Debug)]
pub(super) struct Queue<T> {
    now: VecDeque<T>,
    /// How many of the last came in this turn.
    fresh: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            now: VecDeque::new(),
            fresh: 0,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, value: T) {
        self.now.push_back(value);
        self.fresh += 1;
    }

    /// The values themselves, to drop some for good. To be called between two turns.
    pub(super) const fn prune(&mut self) -> &mut VecDeque<T> {
        &mut self.now
    }
}

impl<T> Deref for Queue<T> {
    type Target = VecDeque<T>;

    fn deref(&self) -> &Self::Target {
        &self.now
    }
}

impl<T> Turn for Queue<T> {
    fn keep(&mut self) {
        self.fresh = 0;
    }

    fn undo(&mut self) {
        let before = self.now.len().saturating_sub(self.fresh);
        self.now.truncate(before);
        self.fresh = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undone_never_was_and_what_is_kept_stays() {
        let mut whole = Whole::new(1);
        let mut map = Map::default();
        let mut queue = Queue::default();
        map.set("a", 1);
        queue.push(1);
        map.keep();
        queue.keep();
        for kept in [false, true] {
            *whole.change() += 1;
            *whole.change() += 1;
            map.set("b", 2);
            *map.change(&"a").unwrap() += 4;
            *map.change(&"a").unwrap() += 5;
            map.remove(&"b");
            *map.change_or_make("c") += 1;
            assert_eq!(map.change(&"nobody"), None);
            queue.push(2);
            queue.push(3);
            assert_eq!(map.changed().count(), 2);
            for part in [&mut whole as &mut dyn Turn, &mut map, &mut queue] {
                if kept { part.keep() } else { part.undo() }
            }
            assert_eq!(map.changed().count(), 0);
            let now = (*whole, map.get("a").copied(), map.len(), queue.len());
            let wanted = if kept {
                (3, Some(10), 2, 3)
            } else {
                (1, Some(1), 1, 1)
            };
            assert_eq!(now, wanted);
        }
    }
}
