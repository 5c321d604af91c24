//! nodeward reads a Linux machine once and tells it in three native languages: Prometheus, OpenTelemetry and Zabbix. And it heals
//! what an alert reports, by playbooks.
//!
//! This page is the contents. docs/ARCHITECTURE.md goes on from here: what to change where, and why things are as they are.
//!
//! # Modules, lowest layer first
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`model`] | pure types that all layers share: durations, sizes, patterns, alerts, targets |
//! | [`telemetry`] | nodeward's own logs and traces, and its word to the service manager |
//! | [`host`] | the only reader of the machine: roots, kept files, calls that can hang, lenient parsers |
//! | [`net`] | HTTP client and server, TLS, acceptor, addresses, names, backoff |
//! | [`journal`] | the durable, hash-chained record of everything decided and done |
//! | [`dialect`] | Prometheus, OTLP, Zabbix: each a writer's vocabulary and wire protocol; none knows a subject |
//! | [`peer`] | clients of other programs: systemd, container engines, HAProxy, Alertmanager |
//! | [`subject`] | what is read: the frame, the sampler, and one room a subject |
//! | [`gate`] | how a pool learns that this node is to be out of it, and that it is back |
//! | [`action`] | remedies: what is done, and the witness that tells whether it was |
//! | [`notify`] | telling people and their systems: in order, at least once, one room a kind of receiver |
//! | [`heal`] | from an alert to a verified repair: intake, playbooks, the incident machine, guards, the runner |
//! | [`check`] | local probes of services: the schedule, what became of each, and one room a kind |
//! | [`serve`] | HTTP routes, negotiation, the control socket |
//! | [`config`] | the YAML file: keys, places, faults, the texts made from it |
//! | [`app`] | builds everything from the settings; start, reload, drain |
//! | [`cli`] | the command line, one file a subcommand |
//!
//! # The flows
//!
//! Reading. Nothing is parsed twice, and nothing is read that nobody asked for.
//!
//! ```text
//!  /proc /sys ──> subjects ──> snapshot ──┬─> Prometheus page   <── GET /metrics
//!    (host)       one room     one read   ├─> OTLP batch        ──> collector    (own interval)
//!                 each         shared     └─> Zabbix answer     <── passive key
//! ```
//!
//! Acting. Every arrow is in the journal before it happens.
//!
//! ```text
//!  webhook ──┐
//!  failing  ─┴> intake ─> journal ─> incident machine ─> guards ─> action ─> verify ─> probation ─> healed
//!  check        200 only   "alert"   pure function        all       witness   probes                 └─ or escalated
//!               if durable                                recorded
//! ```
//!
//! Changing. All of a config is taken, or nothing.
//!
//! ```text
//!  files, flags, variables ──> settings ──> house (sampler, who tells) ──> sockets ──> exports
//!                              refused?     refused?                       taken?      cannot fail
//!                                 └────────────┴──────────────────────────────┴──> the one before stays
//! ```
//!
//! # Invariants
//!
//! Each is held by a test.
//!
//! - A module imports only from those above it in the table; a dialect knows no subject.
//! - A subject opens no path except through [`host`].
//! - Only declared names with exactly their labels are told, and each series once.
//! - A call that can hang is made on a thread of its own kind, given up in time, and never made again while it is outstanding.
//! - What goes wrong with one item, subject or connection costs no other.
//! - A reload is all or nothing.
//! - Every effect in the world has a committed intent before it; an outcome that nobody knows is never repeated.
//! - Nothing is connected to that the config, a flag or a variable did not name.

pub mod action;
pub mod app;
pub mod check;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod gate;
pub mod heal;
pub mod host;
pub mod journal;
pub mod model;
pub mod net;
pub mod notify;
pub mod peer;
pub mod serve;
pub mod subject;
pub mod telemetry;
