//! What operators see and order of the running program, whichever way they ask.

use std::path::PathBuf;
use std::sync::Arc;

use super::healing::Door;
use super::status::Status;
use crate::check::{Check, Checks, State};
use crate::heal::runner::Order;
use crate::serve::api::{Operating, Operator};

/// Answers the API.
pub(super) struct Front {
    pub(super) status: Arc<Status>,
    pub(super) door: Arc<Door>,
    pub(super) checks: Arc<Checks>,
}

impl Operator for Front {
    fn state(&self) -> serde_json::Value {
        let summary = self.door.summary();
        let healing = self.door.is_open().then_some(&*summary);
        let counts = self.door.counts();
        let standing = self.checks.standing();
        self.status
            .json(summary.node, healing, counts.as_ref(), &standing)
    }

    fn checks(&self) -> Vec<(Arc<str>, Check, State)> {
        self.checks.states()
    }

    fn journal(&self) -> Option<PathBuf> {
        self.door.journal()
    }

    fn operate<'a>(&'a self, by: &'a str, order: Order) -> Operating<'a> {
        Box::pin(self.door.operate(by, order))
    }
}
