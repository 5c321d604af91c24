//! Keys answered from readings made by hand. What agent 2 really says is compared in tests/peers.

use super::*;
use crate::dialect::zabbix::key::Key;
use crate::peer::systemd::{self as peer, Value as Bus};
use crate::subject::Want as _;
use crate::subject::systemd::discovery::Found;
use crate::subject::systemd::figures::Figures;
use crate::subject::systemd::{Options, Used};

fn item(key: &Key<'_>) -> &'static Item<Systemd> {
    KEYS.iter().find(|item| item.name == key.name()).unwrap()
}

/// The answer of a key, or the text of its refusal.
fn answer(key: &str, reading: &Reading) -> String {
    let (key, options) = (Key::parse(key).unwrap(), Options::default());
    let item = item(&key);
    let Answer::Now(say) = &item.answer else {
        panic!("{} needs a past", item.name)
    };
    match (item.want)(&options, &key).and_then(|_| say(&options, reading, &key)) {
        Ok(value) => value.to_string(),
        Err(why) => why.to_string(),
    }
}

fn want(key: &str) -> Want {
    let key = Key::parse(key).unwrap();
    (item(&key).want)(&Options::default(), &key).unwrap()
}

fn text(text: &str) -> Bus {
    Bus::Str(text.to_owned())
}

fn refusal(words: &str) -> Error {
    Error::Refused {
        call: "Get",
        name: "org.freedesktop.DBus.Error.UnknownProperty".into(),
        text: words.into(),
    }
}

#[test]
fn wrong_parameters_are_refused_before_anything_is_asked() {
    let nothing = Reading::default();
    for key in [
        "systemd.unit.discovery[bogus]",
        "systemd.unit.discovery[SERVICE]",
        "systemd.unit.discovery[.service]",
        "systemd.unit.get",
        "systemd.unit.get[]",
        "systemd.unit.info[,ActiveState]",
        "nodeward.systemd.unit.tasks",
        "nodeward.systemd.unit.restarts[]",
    ] {
        assert_eq!(answer(key, &nothing), "Invalid first parameter.", "{key}");
    }
}

#[test]
fn a_key_asks_only_for_what_it_tells() {
    let service = want("systemd.unit.discovery");
    assert_eq!(service, want("systemd.unit.discovery[service]"));
    assert!(!want("systemd.unit.discovery[all]").covers(&service));
    let whole = ("a.service".to_owned(), "Unit".to_owned());
    assert_eq!(want("systemd.unit.get[a.service]").whole, [whole].into());
    let state = of("a.service", "Unit", "ActiveState");
    assert_eq!(want("systemd.unit.info[a.service]").single, [state].into());
    let tasks = want("nodeward.systemd.unit.tasks[a.service]");
    assert_eq!(tasks.named, ["a.service".to_owned()].into());
    assert!(tasks.single.is_empty() && tasks.parts.iter().all(|part| !part));
}

#[test]
fn a_property_is_said_plainly_and_lists_as_json() {
    let said = |value: Result<Bus, Error>| {
        let asked = of("a.service", "Service", "X");
        let reading = Reading {
            single: [(asked, value)].into(),
            ..Reading::default()
        };
        answer("systemd.unit.info[a.service,X,Service]", &reading)
    };
    for (value, told) in [
        (text("active"), "active"),
        (Bus::U64(u64::MAX), "18446744073709551615"),
        (Bus::I64(-5), "-5"),
        (Bus::Bool(true), "true"),
        (Bus::Bytes(vec![1]), "\"AQ==\""),
        (Bus::Array(vec![text("<")]), "[\"\\u003c\"]"),
    ] {
        assert_eq!(said(Ok(value)), told);
    }
    assert_eq!(
        said(Err(refusal("no such"))),
        "Cannot get unit property: no such"
    );
    assert_eq!(
        said(Err(refusal(""))),
        "Cannot get unit property: org.freedesktop.DBus.Error.UnknownProperty"
    );
    let late = Error::Late { call: "Get" };
    assert_eq!(said(Err(late)), Unsupported::TIMED_OUT.as_str());
    let broken = Error::Connect {
        address: "unix:path=/b".into(),
        why: "gone".into(),
    };
    assert!(said(Err(broken)).starts_with("Cannot establish connection to any available bus: "));
}

#[test]
fn states_of_a_unit_are_numbered_and_of_other_interfaces_not() {
    let properties = || {
        let all = [
            ("ActiveState", text("failed")),
            ("LoadState", text("odd")),
            ("UnitFileState", text("static")),
            ("Job", Bus::Struct(vec![Bus::U64(0), text("/")])),
        ];
        Ok(all.map(|(name, value)| (name.to_owned(), value)).into())
    };
    let whole = |interface: &str| ("a.service".to_owned(), interface.to_owned());
    let reading = Reading {
        whole: [(whole("Unit"), properties()), (whole("X"), properties())].into(),
        ..Reading::default()
    };
    assert_eq!(
        answer("systemd.unit.get[a.service]", &reading),
        "{\"ActiveState\":{\"state\":4,\"text\":\"failed\"},\"Job\":[0,\"/\"],\
         \"LoadState\":{\"state\":0,\"text\":\"odd\"},\"UnitFileState\":{\"state\":7,\"text\":\"static\"}}"
    );
    let other = answer("systemd.unit.get[a.service,X]", &reading);
    assert!(other.starts_with("{\"ActiveState\":\"failed\","), "{other}");
}

#[test]
fn discovery_tells_the_type_asked_in_agent_2s_order_of_keys() {
    let found = |name: &str| Found {
        unit: peer::Unit {
            name: name.to_owned(),
            job_id: 7,
            ..peer::Unit::default()
        },
        file_state: "enabled".to_owned(),
    };
    let reading = Reading {
        found: Some(Ok(vec![found("a.service"), found("b.socket")])),
        ..Reading::default()
    };
    assert_eq!(
        answer("systemd.unit.discovery[socket]", &reading),
        "[{\"{#UNIT.NAME}\":\"b.socket\",\"{#UNIT.DESCRIPTION}\":\"\",\"{#UNIT.LOADSTATE}\":\"\",\
         \"{#UNIT.ACTIVESTATE}\":\"\",\"{#UNIT.SUBSTATE}\":\"\",\"{#UNIT.FOLLOWED}\":\"\",\
         \"{#UNIT.PATH}\":\"\",\"{#UNIT.JOBID}\":7,\"{#UNIT.JOBTYPE}\":\"\",\"{#UNIT.JOBPATH}\":\"\",\
         \"{#UNIT.UNITFILESTATE}\":\"enabled\"}]"
    );
    let all = answer("systemd.unit.discovery[all]", &reading);
    assert_eq!(all.matches("UNIT.NAME").count(), 2);
    assert_eq!(answer("systemd.unit.discovery[timer]", &reading), "null");
}

#[test]
fn figures_are_told_one_by_one_and_together() {
    let figures = Figures {
        cpu: Some(1_500_000_000),
        memory: Some(4096),
        io: Some((1, 2)),
        ..Figures::default()
    };
    let used = Used {
        name: "a.service".to_owned(),
        figures: figures.clone(),
        restarts: Some(3),
        ..Used::default()
    };
    let reading = Reading {
        states: vec![("active".to_owned(), 2), ("failed".to_owned(), 1)],
        named: [("a.service".to_owned(), figures)].into(),
        single: [(of("a.service", "Unit", "ActiveState"), Ok(text("active")))].into(),
        used: vec![used],
        ..Reading::default()
    };
    for (key, told) in [
        ("nodeward.systemd.unit.cpu.time[a.service]", "1.500000"),
        ("nodeward.systemd.unit.memory.usage[a.service]", "4096"),
        ("nodeward.systemd.unit.io.write[a.service]", "2"),
        (
            "nodeward.systemd.unit.tasks[a.service]",
            "The kernel does not count this for the unit.",
        ),
        (
            "nodeward.systemd.unit.tasks[b.service]",
            "No such unit, or it has no control group.",
        ),
        ("nodeward.systemd.units", "3"),
        ("nodeward.systemd.units[failed]", "1"),
        ("nodeward.systemd.units[reloading]", "0"),
        ("nodeward.systemd.units[bogus]", "Invalid first parameter."),
        (
            "nodeward.systemd.unit.get[a.service]",
            "{\"name\":\"a.service\",\"active_state\":\"active\",\"cpu_seconds\":1.5,\
             \"memory_bytes\":4096,\"io_read_bytes\":1,\"io_write_bytes\":2}",
        ),
        (
            "nodeward.systemd.unit.get",
            "[{\"name\":\"a.service\",\"cpu_seconds\":1.5,\"memory_bytes\":4096,\
             \"io_read_bytes\":1,\"io_write_bytes\":2,\"restarts\":3}]",
        ),
    ] {
        assert_eq!(answer(key, &reading), told, "{key}");
    }
}
