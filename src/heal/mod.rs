//! From an alert to a verified repair, or to people who know.
//!
//! ```text
//!   alert
//!     │                resolved (no attempt was made, or between two)
//!     v              ┌──────────────────────────────────────────────> resolved_alone
//!  settling ──> waiting <───────────────┐ fires again within `quiet`, or
//!   (for:)       │   │ ^               │ ill again: the next rung
//!                │   │ └─ a guard      │
//!     observe:   │   │    refuses      │
//!     observed <─┘   │ all pass        │
//!                    v                 │
//!                 intent ──> acting ──> verifying ──> probation ──> healed
//!                on record   (the      │  passes in    stays well    ^
//!                before      effect)   │  a row                      │ it got well
//!                anything              v                             │ by itself
//!                happens           escalated ──> probation ──────────┘
//!                                  ladder or budget spent, flapping, refused past `max_wait`,
//!                                  unknown outcome, not approved, unproven
//! ```
//!
//! Any open incident can be cancelled by a person; mode off and stale alerts end as suppressed. [`machine`] has the transitions,
//! [`guards`] the reasons not to act, [`incident`] what is kept of each, [`intake`] what alert servers send,
//! [`reconcile`] what they forgot to say.

pub mod guards;
pub mod hands;
pub mod history;
pub mod incident;
pub mod intake;
pub mod job;
pub mod machine;
pub mod plan;
pub mod playbook;
pub mod reconcile;
pub mod run;
pub mod runner;
pub mod told;
mod turn;
pub mod words;
pub mod world;
