//! A node that falls ill in a pool: three services in a booted systemd, a real HAProxy in front of them, visitors, and one nodeward
//! beside the first of the three.
//!
//! What happened is told by HAProxy's own table, by the services' own logs and by systemd; nodeward's journal is held against these.

pub mod apart;
mod blocked;
mod flapping;
mod hung;
mod interrupted;
#[cfg(feature = "faults")]
mod killed;
mod refused;
pub mod service;
mod several;
mod shipped;
mod stage;
mod told;
mod visitors;

use crate::PeerTest;
use crate::programs::Peer;

const NEEDS: &[Peer] = &[Peer::Root, Peer::Systemd, Peer::DbusDaemon, Peer::Haproxy];

const APART: &[Peer] = &[
    Peer::Root,
    Peer::Systemd,
    Peer::DbusDaemon,
    Peer::Haproxy,
    Peer::Unshare,
    Peer::Ip,
    Peer::Iptables,
];

const SHIPPED: &[Peer] = &[
    Peer::Root,
    Peer::Systemd,
    Peer::DbusDaemon,
    Peer::Haproxy,
    Peer::Rsyslogd,
];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "pools::a_service_that_hangs_leaves_is_restarted_once_and_comes_back",
        needs: NEEDS,
        run: hung::run,
    },
    PeerTest {
        name: "pools::a_download_ends_before_its_service_is_restarted",
        needs: NEEDS,
        run: hung::downloading,
    },
    PeerTest {
        name: "pools::two_load_balancers_are_told_alike_and_the_share_grows_back",
        needs: NEEDS,
        run: several::run,
    },
    PeerTest {
        name: "pools::nobody_leaves_a_pool_that_would_be_too_small",
        needs: NEEDS,
        run: refused::run,
    },
    PeerTest {
        name: "pools::an_operators_maintenance_outlives_the_healing",
        needs: NEEDS,
        run: refused::operators,
    },
    PeerTest {
        name: "pools::a_haproxy_that_reloads_is_told_again",
        needs: NEEDS,
        run: interrupted::reloaded,
    },
    PeerTest {
        name: "pools::an_operators_maintenance_outlives_a_nodeward_that_never_saw_it",
        needs: NEEDS,
        run: interrupted::away,
    },
    PeerTest {
        name: interrupted::UNREACHABLE,
        needs: APART,
        run: || apart::apart(interrupted::UNREACHABLE, interrupted::unreachable),
    },
    #[cfg(feature = "faults")]
    PeerTest {
        name: "pools::nodeward_dies_on_the_way_out_and_goes_on",
        needs: NEEDS,
        run: killed::on_the_way_out,
    },
    #[cfg(feature = "faults")]
    PeerTest {
        name: "pools::nodeward_dies_on_the_way_back_and_goes_on",
        needs: NEEDS,
        run: killed::on_the_way_back,
    },
    PeerTest {
        name: blocked::NAME,
        needs: APART,
        run: || apart::apart(blocked::NAME, blocked::run),
    },
    PeerTest {
        name: "pools::a_service_that_keeps_dying_is_held_out_and_told_of_once",
        needs: NEEDS,
        run: flapping::run,
    },
    PeerTest {
        name: "pools::the_playbook_for_a_communication_failure_does_what_it_says",
        needs: SHIPPED,
        run: shipped::communication,
    },
    PeerTest {
        name: "pools::the_playbook_for_memory_pressure_does_what_it_says",
        needs: SHIPPED,
        run: shipped::memory,
    },
    PeerTest {
        name: "pools::the_playbook_for_a_persistent_failure_does_what_it_says",
        needs: SHIPPED,
        run: shipped::persistent,
    },
];
