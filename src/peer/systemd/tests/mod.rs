//! The client against peers that answer, refuse, hang up, and never answer.

mod fake;
mod jobs;
mod real;

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use fake::{Running, answered, listening, running, say, serve, small_systemd, wanted};

use super::*;

const FAR: Duration = Duration::from_secs(60);

fn far() -> Instant {
    Instant::now() + FAR
}

fn client(running: &Running, options: &Options) -> Systemd {
    Systemd::new(running.handle.clone(), options, Arc::default()).unwrap()
}

/// Waits for something another thread is about to do.
fn until(what: impl Fn() -> bool) {
    let end = far();
    while !what() {
        assert!(Instant::now() < end, "it never came true");
        thread::sleep(Duration::from_millis(5));
    }
}

fn service(name: &str) -> Property<'_> {
    Property {
        path: "/org/freedesktop/systemd1/unit/a_2eservice",
        interface: "Service",
        name,
    }
}

#[test]
fn lists_units_files_and_properties_over_a_bus_and_over_the_private_socket() {
    for private in [false, true] {
        let (running, listening) = (running(), listening());
        serve(&listening, || Box::new(small_systemd));
        let systemd = client(&running, &listening.options(private));
        let units = systemd.list_units(far()).unwrap();
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].name, "a.service");
        assert_eq!(units[0].path, unit_path("a.service"));
        assert_eq!((units[0].job_id, units[0].job_path.as_str()), (7, "/"));
        assert_eq!(
            systemd.list_unit_files(far()).unwrap()[0].name(),
            "a.service"
        );
        let all = systemd
            .unit_properties(&units[0].path, "Service", far())
            .unwrap();
        assert_eq!(all["NRestarts"], Value::U64(3));
        assert_eq!(all["InvocationID"], Value::Bytes(vec![1, 2]));
        let counts = systemd.counts();
        assert_eq!((counts.calls, counts.connections, counts.broken), (3, 1, 0));
    }
}

#[test]
fn facts_that_an_old_manager_lacks_are_empty() {
    let (running, listening) = (running(), listening());
    serve(&listening, || Box::new(small_systemd));
    let about = client(&running, &listening.options(true))
        .manager(far())
        .unwrap();
    let expected = About {
        version: "252".to_owned(),
        failed_units: 2,
        ..About::default()
    };
    assert_eq!(about, expected);
}

#[test]
fn one_refused_strange_or_misnamed_property_leaves_its_neighbours_alone() {
    let (running, listening) = (running(), listening());
    serve(&listening, || Box::new(small_systemd));
    let systemd = client(&running, &listening.options(false));
    let nowhere = Property {
        path: "no path",
        interface: "Unit",
        name: "Version",
    };
    let wanted = [
        service("Nonsense"),
        nowhere,
        service("Strange"),
        service("Version"),
    ];
    let values = systemd.properties(&wanted, far());
    assert!(
        matches!(&values[0], Err(Error::Refused { name, .. }) if name.ends_with("UnknownProperty"))
    );
    assert!(matches!(&values[1], Err(Error::Name { .. })));
    assert!(
        matches!(&values[2], Err(Error::Unexpected { .. })),
        "{:?}",
        values[2]
    );
    assert_eq!(values[3], Ok(Value::Str("252".to_owned())));
}

#[test]
fn properties_are_pipelined_and_matched_even_when_answered_backwards() {
    let (running, listening) = (running(), listening());
    // Says nothing until 64 calls are in hand, then answers them last one first.
    serve(&listening, || {
        let mut held: Vec<Message> = Vec::new();
        Box::new(move |call| {
            held.push(call.clone());
            if held.len() < PIECE * PIECES {
                return Vec::new();
            }
            let name = |call: &Message| answered(call, &Variant::from(wanted(call).1.as_str()));
            held.drain(..).rev().map(|call| name(&call)).collect()
        })
    });
    let systemd = client(&running, &listening.options(false));
    let names: Vec<String> = (0..PIECE * PIECES * 3)
        .map(|number| format!("P{number}"))
        .collect();
    let wanted: Vec<_> = names.iter().map(|name| service(name)).collect();
    let values = systemd.properties(&wanted, far());
    for (name, value) in names.iter().zip(values) {
        assert_eq!(value, Ok(Value::Str(name.clone())));
    }
    assert_eq!(systemd.counts().calls, names.len() as u64);
}

#[test]
fn during_a_hang_every_further_ask_is_refused_at_once_and_nothing_piles_up() {
    let (running, listening) = (running(), listening());
    let systemd = client(&running, &listening.options(false));
    // Nobody accepts, so the handshake is never answered.
    let soon = Instant::now() + Duration::from_millis(1);
    assert_eq!(
        systemd.list_units(soon),
        Err(Error::Late { call: "ListUnits" })
    );
    for _ in 0..10 {
        assert_eq!(
            systemd.list_units(far()),
            Err(Error::Parked { call: "ListUnits" })
        );
        let values = systemd.properties(&[service("Type"); 100], far());
        assert!(
            values
                .iter()
                .all(|v| *v == Err(Error::Parked { call: "Get" }))
        );
    }
    let counts = systemd.counts();
    assert_eq!((counts.parked, counts.late, counts.calls), (1, 1, 0));
    listening.listener.set_nonblocking(true).unwrap();
    assert!(listening.listener.accept().is_ok());
    assert!(
        listening.listener.accept().is_err(),
        "a second connection was made"
    );
}

#[test]
fn answers_that_came_before_the_deadline_are_kept() {
    let (running, listening) = (running(), listening());
    serve(&listening, || {
        Box::new(|call| match wanted(call) {
            (_, name) if name == "Hangs" => Vec::new(),
            _ => small_systemd(call),
        })
    });
    let systemd = client(&running, &listening.options(true));
    assert!(systemd.property(service("Version"), far()).is_ok());
    let soon = Instant::now() + Duration::from_secs(1);
    let values = systemd.properties(&[service("Version"), service("Hangs")], soon);
    assert!(values[0].is_ok());
    assert_eq!(values[1], Err(Error::Late { call: "Get" }));
}

#[test]
fn an_answer_that_comes_late_ends_the_parking_on_the_same_connection() {
    let (running, listening) = (running(), listening());
    let (release, released) = sync_channel::<()>(0);
    let (arrive, arrived): (SyncSender<()>, Receiver<()>) = sync_channel(8);
    let released = Arc::new(Mutex::new(released));
    serve(&listening, move || {
        let (released, arrive) = (Arc::clone(&released), arrive.clone());
        Box::new(move |call| {
            if wanted(call).1 == "Slow" {
                arrive.send(()).unwrap();
                released.lock().unwrap().recv().ok();
            }
            vec![answered(call, &Variant::from("at last"))]
        })
    });
    let systemd = client(&running, &listening.options(true));
    assert!(systemd.property(service("Quick"), far()).is_ok());
    let soon = Instant::now() + Duration::from_millis(20);
    assert_eq!(
        systemd.property(service("Slow"), soon),
        Err(Error::Late { call: "Get" })
    );
    arrived.recv().unwrap();
    assert_eq!(
        systemd.property(service("Quick"), far()),
        Err(Error::Parked { call: "Get" })
    );
    release.send(()).unwrap();
    until(|| systemd.counts().parked == 0);
    assert!(systemd.property(service("Quick"), far()).is_ok());
    let counts = systemd.counts();
    assert_eq!((counts.connections, counts.broken, counts.late), (1, 0, 1));
}

#[test]
fn a_connection_that_stays_silent_beyond_patience_is_dropped_and_made_again() {
    let (running, listening) = (running(), listening());
    let mut served = 0;
    serve(&listening, move || {
        served += 1;
        if served == 1 {
            Box::new(|_| Vec::new())
        } else {
            Box::new(small_systemd)
        }
    });
    let options = listening.options(false);
    let patience = Duration::from_millis(10);
    let systemd =
        Systemd::with_patience(running.handle.clone(), &options, Arc::default(), patience).unwrap();
    let soon = || Instant::now() + Duration::from_millis(10);
    assert!(systemd.list_units(soon()).is_err());
    // On a busy machine the deadline may pass before the call is sent: then it takes another one.
    until(|| {
        let counts = systemd.counts();
        if counts.parked == 0 && counts.broken == 0 {
            systemd.list_units(soon()).ok();
        }
        counts.parked == 0 && counts.broken > 0
    });
    // The short patience may run out while a handshake is under way on a busy machine: then the next one may still meet
    // the silent peer, and ask again.
    until(|| {
        let second = Instant::now() + Duration::from_secs(1);
        systemd.list_units(second).is_ok()
    });
    until(|| systemd.counts().parked == 0);
}

#[test]
fn a_bus_that_hangs_up_is_connected_to_again() {
    let (running, listening) = (running(), listening());
    serve(&listening, || Box::new(small_systemd));
    let systemd = client(&running, &listening.options(false));
    assert!(systemd.list_units(far()).is_ok());
    let hang_up = build(ROOT, MANAGER, "HangUp", &());
    systemd.one("HangUp", hang_up, far()).ok();
    until(|| systemd.counts().broken == 1);
    assert!(systemd.list_units(far()).is_ok());
    assert_eq!(systemd.counts().connections, 2);
}

#[test]
fn nobody_at_the_address_is_said_with_the_address_and_the_reason() {
    let running = running();
    let options = Options {
        address: Some("unix:path=/nonexistent/bus".to_owned()),
        private: false,
    };
    let systemd = client(&running, &options);
    let text = systemd.list_units(far()).unwrap_err().to_string();
    assert!(
        text.contains("/nonexistent/bus") && text.contains("No such file"),
        "{text}"
    );
    assert!(systemd.manager(far()).is_err());
    let tcp = Options {
        address: Some("tcp:host=127.0.0.1,port=1".to_owned()),
        private: false,
    };
    let text = client(&running, &tcp)
        .list_units(far())
        .unwrap_err()
        .to_string();
    assert!(text.contains("only unix:"), "{text}");
    let empty = Options {
        address: Some(";".to_owned()),
        private: false,
    };
    assert!(Systemd::new(running.handle.clone(), &empty, Arc::default()).is_err());
}

#[test]
fn the_second_address_is_tried_when_nobody_answers_at_the_first() {
    let (running, listening) = (running(), listening());
    serve(&listening, || Box::new(small_systemd));
    let mut options = listening.options(false);
    options.address = options
        .address
        .map(|good| format!("unix:path=/nonexistent/bus;{good}"));
    assert!(client(&running, &options).list_units(far()).is_ok());
}

#[test]
fn a_message_of_absurd_length_ends_the_connection_before_it_is_allocated() {
    let (running, listening) = (running(), listening());
    let mut header = vec![b'l', 2, 0, 1];
    for word in [100_000_000_u32, 1, 0] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    let gone = say(&listening, header);
    let systemd = client(&running, &listening.options(true));
    let error = systemd.list_units(far()).unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error}");
    gone.recv().unwrap();
}

#[test]
fn garbage_after_the_handshake_ends_the_connection() {
    let (running, listening) = (running(), listening());
    let gone = say(&listening, vec![0xff; 64]);
    let systemd = client(&running, &listening.options(true));
    assert!(matches!(
        systemd.list_units(far()),
        Err(Error::Broken { .. })
    ));
    gone.recv().unwrap();
}

#[test]
fn an_endless_handshake_is_cut_off() {
    let (running, listening) = (running(), listening());
    let listener = listening.listener.try_clone().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let error = client(&running, &listening.options(true))
        .list_units(far())
        .unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn the_connection_goes_when_its_owner_does() {
    let (running, listening) = (running(), listening());
    let gone = say(&listening, Vec::new());
    let systemd = client(&running, &listening.options(true));
    let soon = Instant::now() + Duration::from_millis(1);
    assert!(systemd.list_units(soon).is_err());
    drop(systemd);
    gone.recv().unwrap();
}

#[test]
fn a_runtime_that_is_gone_is_an_error_and_not_a_hang() {
    let listening = listening();
    let running = running();
    let systemd = client(&running, &listening.options(true));
    drop(running);
    assert!(matches!(
        systemd.list_units(far()),
        Err(Error::Broken { .. })
    ));
}
