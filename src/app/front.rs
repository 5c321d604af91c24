//! What operators see and order of the running program, whichever way they ask.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::healing::Door;
use super::status::Status;
use crate::check::{Check, Checks, State};
use crate::gate::Pools;
use crate::heal::runner::Order;
use crate::serve::api::{Alerts, Operating, Operator, Planning};

/// Answers the API.
pub(super) struct Front {
    pub(super) status: Arc<Status>,
    pub(super) door: Arc<Door>,
    pub(super) checks: Arc<Checks>,
    pub(super) pools: Pools,
}

impl Operator for Front {
    fn state(&self) -> serde_json::Value {
        let summary = self.door.summary();
        let healing = self.door.is_open().then_some(&*summary);
        let counts = self.door.counts();
        let standing = self.checks.standing();
        let mut state = self
            .status
            .json(summary.node, healing, counts.as_ref(), &standing);
        if let Some(Value::Object(pools)) = state.pointer_mut("/healing/pools") {
            for (name, standing) in self.pools.standing() {
                if let Some(Value::Object(pool)) = pools.get_mut(&*name) {
                    pool.insert("standing".into(), json!(standing));
                }
            }
        }
        state
    }

    fn checks(&self) -> Vec<(Arc<str>, Check, State)> {
        self.checks.states()
    }

    fn journal(&self) -> Option<PathBuf> {
        self.door.journal()
    }

    fn plan(&self, alerts: Alerts) -> Planning<'_> {
        Box::pin(self.door.plan(alerts))
    }

    fn operate<'a>(&'a self, by: &'a str, order: Order) -> Operating<'a> {
        Box::pin(self.door.operate(by, order))
    }
}
