//! Tests against the real programs: node_exporter, Prometheus, the Collector, the Zabbix agents.
//!
//! Each test names the peers it needs. Where one is missing the test is shown as ignored, with what to
//! install; with `NODEWARD_REQUIRE_PEERS=1` (as in `.ci/run`) it fails instead. `tests/peers/install`
//! puts them all on a machine. Nothing here uses a fixed port, another machine or a sleep for luck.

mod actions;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod alertmanager;
mod between;
mod checks;
mod collector;
mod compare;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod compose;
mod containers;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod dashboards;
#[allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what JSON has not reads as null"
)]
mod evidence;
mod expressions;
mod flags;
mod hang;
mod haproxy;
mod heal_told;
mod healing;
mod hosts;
mod image;
mod import;
mod live;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod mail;
mod otlp_json;
mod ours;
mod outage;
mod package;
mod page;
mod paging;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod parsers;
mod polkit;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod pools;
mod process;
mod product;
mod programs;
mod prometheus;
mod receiver;
mod reconcile;
mod reference;
mod rsyslog;
mod scratch;
mod siem;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod soar;
mod systemd;
mod tls;
mod traces;
mod unit;
mod web;
mod web_config;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod webhook;
mod zabbix;
mod zabbix_conf;
mod zabbix_server;
mod zabbix_tls;
mod zabbix_wire;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use programs::Peer;

/// One test of this registry.
struct PeerTest {
    /// A sentence, as everywhere in this repository.
    name: &'static str,
    /// What must be on the machine besides this repository.
    needs: &'static [Peer],
    run: fn() -> Result<(), Failed>,
}

const TESTS: &[&[PeerTest]] = &[
    programs::TESTS,
    reference::TESTS,
    live::TESTS,
    flags::TESTS,
    compare::TESTS,
    compose::TESTS,
    package::TESTS,
    import::TESTS,
    web_config::TESTS,
    hang::TESTS,
    prometheus::TESTS,
    evidence::TESTS,
    expressions::TESTS,
    systemd::TESTS,
    actions::TESTS,
    healing::TESTS,
    containers::TESTS,
    image::TESTS,
    unit::TESTS,
    polkit::TESTS,
    zabbix::TESTS,
    zabbix_wire::TESTS,
    zabbix_conf::TESTS,
    zabbix_tls::TESTS,
    checks::TESTS,
    collector::TESTS,
    product::TESTS,
    dashboards::TESTS,
    alertmanager::TESTS,
    reconcile::TESTS,
    tls::TESTS,
    zabbix_server::TESTS,
    receiver::TESTS,
    otlp_json::TESTS,
    outage::TESTS,
    heal_told::TESTS,
    traces::TESTS,
    rsyslog::TESTS,
    paging::TESTS,
    mail::TESTS,
    webhook::TESTS,
    siem::TESTS,
    parsers::TESTS,
    soar::TESTS,
    haproxy::RUNTIME,
    haproxy::GATE,
    haproxy::LEDGER,
    pools::TESTS,
    haproxy::AGENT,
    haproxy::BOTH,
    haproxy::DOCS,
];

fn main() -> ExitCode {
    if let Some(served) = pools::service::asked() {
        return served;
    }
    let arguments = Arguments::from_args();
    let required = std::env::var_os("NODEWARD_REQUIRE_PEERS").is_some_and(|value| value == "1");
    let trials = TESTS
        .iter()
        .copied()
        .flatten()
        .map(|test| trial(test, required))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(test: &'static PeerTest, required: bool) -> Trial {
    let missing: Vec<Peer> = test
        .needs
        .iter()
        .copied()
        .filter(|peer| peer.find().is_err())
        .collect();
    if missing.is_empty() {
        return Trial::test(test.name, test.run);
    }
    let names: Vec<&str> = missing.iter().map(|peer| peer.name()).collect();
    let kind = format!("needs {}: {}", names.join(", "), programs::HOW_TO_INSTALL);
    let complaint = kind.clone();
    Trial::test(test.name, move || Err(Failed::from(complaint)))
        .with_kind(kind)
        .with_ignored_flag(!required)
}
