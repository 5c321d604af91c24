//! Healing: from an alert to a node that is well again, or to people who know.

pub mod intake;
