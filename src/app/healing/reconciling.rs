//! The tasks that ask alert servers which alerts are over, one a hook.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Door;
use crate::heal::reconcile::{Counts, Reconcile};
use crate::net::resolve::Resolver;
use crate::peer::alertmanager::Options;
use crate::serve::hooks::Hook;

/// What runs, by hook.
#[derive(Default)]
pub(super) struct Reconciling(BTreeMap<String, (Options, JoinHandle<()>)>);

impl Reconciling {
    /// Goes by these hooks from here on; one whose options are as they were goes on.
    pub(super) fn change(
        &mut self,
        hooks: &BTreeMap<String, Hook>,
        resolver: &Resolver,
        door: &Arc<Door>,
        counts: &Arc<Counts>,
    ) {
        let wanted = |name: &String| hooks.get(name).and_then(|hook| hook.api.as_ref());
        self.0.retain(|name, (options, task)| {
            let stays = wanted(name) == Some(options);
            if !stays {
                task.abort();
            }
            stays
        });
        for (name, hook) in hooks {
            let Some(options) = hook.api.as_ref().filter(|_| !self.0.contains_key(name)) else {
                continue;
            };
            // Addresses that are none were refused with the config.
            let Ok(reconcile) = Reconcile::new(name, options, resolver, Arc::clone(counts)) else {
                continue;
            };
            let door = Arc::clone(door);
            let task = tokio::spawn(reconcile.run(move || door.get()));
            self.0.insert(name.clone(), (options.clone(), task));
        }
    }

    /// Ends them all.
    pub(super) fn end(&mut self) {
        for (_, (_, task)) in std::mem::take(&mut self.0) {
            task.abort();
        }
    }
}
