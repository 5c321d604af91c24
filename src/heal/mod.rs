//! From an alert to a verified repair, or to people who know.
//!
//! ```text
//!   alert
//!     │                resolved (no attempt was made, or between two)
//!     v              ┌──────────────────────────────────────────────> resolved_alone
//!  settling ──> waiting <───────────────┐ fires again within `quiet`,       ^
//!   (for:)       │ │ │ ^               │ or ill again: the next rung       │ it got well by itself
//!                │ │ │ └─ a guard      │                                   │ while the node was out
//!     observe:   │ │ │    refuses      │ out: the guards anew              │
//!     observed <─┘ │ └──> isolating ───┴───────────────────┐               │
//!                  │      a hold: the pool  a rung of      │               │
//!                  │ all  is left           its own        v               │
//!                  │ pass                              verifying           │
//!                  v                                       │               │
//!               intent ──> acting ──> verifying ──> probation ─────────────┴──> healed
//!              on record   (the      │  passes in    stays well;    ^   the hold is lifted
//!              before      effect)   │  a row        the hold eases │
//!              anything              v                              │ it got well
//!              happens           escalated ──> probation ───────────┘ by itself
//!                                ladder or budget spent, flapping, refused past `max_wait`,
//!                                unknown outcome, not approved, unproven; a hold stays
//!                                  │  ^
//!                                  └──┘ people are reminded, until one acknowledges it
//! ```
//!
//! Any open incident can be cancelled by a person; mode off and stale alerts end as suppressed. [`machine`] has the transitions,
//! [`guards`] the reasons not to act, [`evidence`] how things were before that, [`incident`] what is kept of each, [`intake`] what alert servers send,
//! [`reconcile`] what they forgot to say.

pub mod evidence;
pub mod guards;
pub mod hands;
pub mod history;
pub mod incident;
pub mod intake;
pub mod job;
pub mod machine;
pub mod maintenance;
pub mod plan;
pub mod playbook;
pub mod pools;
pub mod reconcile;
pub mod run;
pub mod runner;
pub mod told;
mod turn;
pub mod words;
pub mod world;
