//! What is told of sockets: made-up files, and the kernel's own count of sockets that the test itself holds.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::host::{Files, Host, Roots};
use crate::subject::tests::captured::Captured;

const TITLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n";

fn line(port: u16, state: u8, received: u32) -> String {
    format!("   0: 0100007F:{port:04X} 0200000A:C350 {state:02X} 00000000:{received:08X} 00\n")
}

fn read(roots: Roots, most: u16) -> Reading {
    let machine = Machine {
        host: Arc::new(Host::new(roots)),
        runtime: None,
    };
    let mut files = Files::default();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut pass = Pass::new(&machine.host, &mut files, deadline);
    let mut subject = Tcpstat::new(&Options { max_ports: most }, &machine).unwrap();
    subject.read(&mut pass, &Wanted::default()).unwrap().reading
}

#[test]
fn a_port_that_is_listened_on_is_told_and_a_clients_is_not() {
    let text = [
        TITLE.to_owned(),
        line(443, 10, 3),
        line(443, 10, 2),
        line(22, 10, 0),
        line(443, 1, 700),
        line(443, 1, 0),
        line(443, 12, 0),
        line(443, 8, 0),
        line(50_000, 1, 0),
    ]
    .concat();
    let (page, errors) = Captured::new(&[("proc/net/tcp", &text)]).page::<Tcpstat>(&[]);
    assert!(errors.is_empty(), "{errors:?}");
    let own: Vec<_> = page
        .lines()
        .filter(|l| l.starts_with("nodeward_"))
        .collect();
    assert_eq!(
        own,
        [
            "nodeward_tcpstat_port_connections{port=\"22\",state=\"established\"} 0",
            "nodeward_tcpstat_port_connections{port=\"443\",state=\"established\"} 2",
            "nodeward_tcpstat_port_connections{port=\"443\",state=\"syn_recv\"} 1",
            "nodeward_tcpstat_port_connections{port=\"443\",state=\"close_wait\"} 1",
            "nodeward_tcpstat_accept_queue{port=\"22\"} 0",
            "nodeward_tcpstat_accept_queue{port=\"443\"} 5",
        ]
    );
}

#[test]
fn the_lowest_ports_are_told_and_the_others_counted() {
    let mut text = TITLE.to_owned();
    for port in (1..=300).rev().chain(1..=300) {
        text += &line(port, 10, 0);
    }
    text += &line(2, 1, 0);
    text += &line(9, 1, 0);
    let captured = Captured::new(&[("proc/net/tcp", &text)]);
    let of = |most| {
        let roots = Roots {
            procfs: captured.path("proc"),
            ..Roots::default()
        };
        let reading = read(roots, most);
        let told: Vec<_> = reading.ports.iter().map(|(number, _)| number).collect();
        (told, reading.ports.left_out(), reading.states)
    };
    let (told, left_out, states) = of(3);
    assert_eq!((told, left_out), (vec![1, 2, 3], 297));
    assert_eq!(
        (states[0], states[9]),
        (2, 600),
        "the cap is on ports alone"
    );
    assert!(of(0).0.is_empty());
    assert_eq!((of(0).1, of(1000).1), (300, 0));
}

#[test]
fn zabbix_is_told_of_a_port_and_of_which_there_are() {
    let text = [TITLE.to_owned(), line(443, 10, 3), line(22, 10, 0)].concat();
    let captured = Captured::new(&[("proc/net/tcp", &text)]);
    let said = |key: &str| captured.text::<Tcpstat>(key);
    assert_eq!(said("nodeward.tcpstat.accept_queue[443]"), "3");
    let found = said("nodeward.tcpstat.port.discovery");
    assert_eq!(found, r#"[{"{#PORT}":"22"},{"{#PORT}":"443"}]"#);
    assert!(said("nodeward.tcpstat.accept_queue[80]").starts_with("Nobody listens"));
    let limit = said("nodeward.tcpstat.accept_queue.limit[443]");
    assert!(limit.contains("does not tell"), "{limit}");
    assert!(said("nodeward.tcpstat.accept_queue[x]").contains("parameter"));
}

/// The kernel's own answer, in whichever way it gives it: connections that the test itself holds.
#[test]
fn counts_what_waits_and_what_was_accepted() {
    let listeners = ["127.0.0.1:0", "[::1]:0"].map(TcpListener::bind);
    // Where there is no IPv6, the other is enough.
    for listener in listeners.into_iter().flatten() {
        let place = listener.local_addr().unwrap();
        let of_port = || {
            let reading = read(Roots::default(), u16::MAX);
            let port = *reading.ports.get(place.port()).unwrap();
            (port.states[0], port.waiting, port.limit)
        };
        let (none, nobody, limit) = of_port();
        assert_eq!((none, nobody), (0, 0));
        let clients = [(); 3].map(|()| TcpStream::connect(place).unwrap());
        // Connected before they are accepted: the kernel has done so.
        assert_eq!(of_port(), (3, 3, limit));
        let accepted = [(); 2].map(|()| listener.accept().unwrap());
        assert_eq!(of_port(), (3, 1, limit));
        drop((clients, accepted));
    }
}
