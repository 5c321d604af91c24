use super::*;
use crate::model::alert::{Episode, Status};
use crate::model::severity::Severity;

fn read(text: &str) -> Result<Playbook, serde_json::Error> {
    serde_json::from_str(text)
}

fn names<'a>(checks: &[&'a str], notifiers: &[&'a str], pools: &[&'a str]) -> Names<'a> {
    Names {
        checks: checks.iter().map(|name| (*name, Period::secs(3))).collect(),
        notifiers: notifiers.to_vec(),
        pools: pools.to_vec(),
    }
}

fn restart() -> Playbook {
    read(
        r#"{"match": {"alertname": "UnitDown", "name": {"in": ["web.service", "api.service"]}},
            "target": {"unit": {"from": "name"}}, "ladder": [{"do": {"systemd": "restart"}}]}"#,
    )
    .unwrap()
}

fn alert(labels: &[(&str, &str)]) -> Alert {
    Alert {
        source: "am".into(),
        fingerprint: "f".into(),
        episode: Episode::new("am", "f", "1"),
        status: Status::Firing,
        severity: Severity::Warning,
        starts_at: None,
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
        annotations: Labels::new(),
    }
}

fn whys(playbook: &Playbook, pools: &[&str]) -> Vec<String> {
    let faults = playbook.faults(&names(&[], &[], pools));
    let line = |(keys, why): (Vec<String>, String)| format!("{}: {why}", keys.join("."));
    faults.into_iter().map(line).collect()
}

#[test]
fn leaves_pools_that_there_are_and_each_rung_is_one_thing() {
    let playbook = |keys: &str| {
        let text = format!(
            r#"{{"match": {{"alertname": "Down"}}, "target": {{"unit": "web.service"}}, {keys}}}"#
        );
        read(&text).unwrap()
    };
    let good = playbook(
        r#""isolate": "web", "ladder": [{"do": {"systemd": "restart"}}, {"isolate": "db"}],
           "verify": {"all": [{"pool": "web"}, {"unit_stable": "5s"}], "resolved": true}"#,
    );
    assert_eq!(whys(&good, &["web", "db"]), Vec::<String>::new());
    let plan = good.plan();
    assert_eq!(plan.isolate.as_deref(), Some("web"));
    assert_eq!(plan.rungs[1].isolates.as_deref(), Some("db"));
    assert!(plan.rungs[0].isolates.is_none() && plan.verify.resolved);
    let wrong = whys(&good, &["wbe"]);
    for line in [
        "isolate: no pool is called \"web\"; did you mean \"wbe\"?",
        "ladder.1.isolate: no pool is called \"db\"",
        "verify.all.0: no pool is called \"web\"",
    ] {
        assert!(
            wrong.iter().any(|why| why.starts_with(line)),
            "{line}: {wrong:?}"
        );
    }
    let both = playbook(
        r#""ladder": [{"do": {"systemd": "restart"}, "isolate": "web"}, {"timeout": "5s"}]"#,
    );
    let one = "exactly one of do and isolate is needed";
    assert_eq!(
        whys(&both, &["web"]),
        [format!("ladder.0: {one}"), format!("ladder.1: {one}")]
    );
    let twice = playbook(r#""isolate": "web", "ladder": [{"isolate": "web"}]"#);
    assert_eq!(whys(&twice, &["web"]).len(), 1);
    // Of one that leaves no pool nothing is another text, or it would be another revision.
    assert!(!restart().revision(&BTreeMap::new()).1.contains("isolate"));
    assert!(!restart().revision(&BTreeMap::new()).1.contains("resolved"));
}

#[test]
fn a_pool_that_is_healed_is_one_that_there_is() {
    let text = r#"{"match": {"alertname": "Down"}, "target": {"pool": "web"}, "ladder": [{"isolate": "web"}],
        "verify": {"all": [{"probe": {"tcp": {"address": "127.0.0.1:80"}}}]}}"#;
    let playbook = read(text).unwrap();
    assert_eq!(whys(&playbook, &["web"]), Vec::<String>::new());
    assert_eq!(playbook.every_target(), [Target::Pool("web".into())]);
    let wrong = whys(&playbook, &[]);
    assert!(
        wrong[0].starts_with("target: no pool is called"),
        "{wrong:?}"
    );
}

#[test]
fn starts_in_observe_mode_with_the_guards_on() {
    let playbook = restart();
    assert_eq!(playbook.mode, Mode::Observe);
    assert_eq!(playbook.plan().limits, crate::heal::plan::Limits::default());
    assert_eq!(playbook.proof(), [Probe::UnitStable(Period::secs(10))]);
    assert_eq!(playbook.faults(&Names::default()), []);
}

#[test]
fn a_container_is_proven_by_the_container_and_by_nothing_of_a_unit() {
    let text = |verify: &str| {
        let playbook = format!(
            r#"{{"match": {{"alertname": "Down"}}, "target": {{"container": "api"}}, "ladder": [{{"do": {{"container": "restart"}}}}],
                "verify": {verify}}}"#
        );
        read(&playbook).unwrap()
    };
    let playbook = text("{}");
    assert_eq!(playbook.proof(), [Probe::ContainerStable(Period::secs(10))]);
    assert_eq!(playbook.faults(&Names::default()), []);
    let whys = |verify: &str| -> Vec<String> {
        let faults = text(verify).faults(&Names::default());
        faults.into_iter().map(|(_, why)| why).collect()
    };
    assert_eq!(
        whys(r#"{"all": [{"unit_stable": "5s"}]}"#),
        ["unit_stable needs a target that is a unit"]
    );
    let long = whys(r#"{"all": [{"container_stable": "2m"}]}"#);
    assert!(long[0].contains("longer than"), "{long:?}");
}

#[test]
fn takes_an_alert_only_if_every_label_matches_whole() {
    let mut playbook = restart();
    let down = |name| alert(&[("alertname", "UnitDown"), ("name", name)]);
    assert!(playbook.takes(&down("web.service")));
    assert!(!playbook.takes(&down("db.service")));
    assert!(!playbook.takes(&alert(&[("alertname", "UnitDown")])));
    playbook.matching.insert(
        "name".into(),
        serde_json::from_str(r#"{"re": "web.*"}"#).unwrap(),
    );
    assert!(playbook.takes(&down("web.service")));
    assert!(!playbook.takes(&down("a-web.service")));
    playbook.matching.clear();
    assert!(
        !playbook.takes(&down("web.service")),
        "nothing takes everything"
    );
}

#[test]
fn says_which_line_does_not_fit() {
    let mut playbook = restart();
    let misses = |playbook: &Playbook, labels: &[(&str, &str)]| {
        let alert = alert(labels);
        let misses = playbook.misses(&alert.labels);
        misses.map(|miss| miss.to_string()).collect::<Vec<_>>()
    };
    let fits = [("alertname", "UnitDown"), ("name", "web.service")];
    assert_eq!(misses(&playbook, &fits), [""; 0]);
    assert_eq!(
        misses(&playbook, &[("alertname", "Else"), ("name", "x")]),
        [
            r#"alertname is "Else", wanted "UnitDown""#,
            r#"name is "x", wanted one of ["web.service", "api.service"]"#,
        ]
    );
    let like = serde_json::from_str(r#"{"re": "web.*"}"#).unwrap();
    playbook.matching.insert("name".into(), like);
    assert_eq!(
        misses(&playbook, &[("alertname", "UnitDown")]),
        ["it has no label name, wanted all of it to match /web.*/"]
    );
}

#[test]
fn a_target_comes_only_from_values_that_the_config_lists() {
    let playbook = restart();
    let labels = alert(&[("name", "web.service")]).labels;
    assert_eq!(
        playbook.target_of(&labels).unwrap().to_string(),
        "unit:web.service"
    );
    let mut open = restart();
    open.matching.insert(
        "name".into(),
        serde_json::from_str(r#"{"re": ".*"}"#).unwrap(),
    );
    let faults = open.faults(&Names::default());
    assert!(faults[0].1.contains("must list its values"), "{faults:?}");
}

#[test]
fn says_everything_that_is_wrong_at_once() {
    let playbook = read(
        r#"{"match": {}, "target": {"service": "x"}, "ladder": [{"do": {"systemd": "restart"}, "timeout": "1ms"}],
            "confirm": [{"check": "wbe"}], "escalate": ["oncal"]}"#,
    )
    .unwrap();
    let faults = playbook.faults(&names(&["web"], &["oncall"], &[]));
    let all = faults
        .iter()
        .map(|(keys, why)| format!("{}: {why}", keys.join(".")))
        .collect::<Vec<_>>()
        .join("\n");
    for wanted in [
        "match: an empty match",
        "ladder.0.do: ",
        "ladder.0.timeout: ",
        "verify.all: ",
        "did you mean \"web\"",
        "did you mean \"oncall\"",
    ] {
        assert!(all.contains(wanted), "{wanted} in\n{all}");
    }
}

#[test]
fn what_is_asked_in_a_row_must_end_within_a_round() {
    let wrong = |confirm: &str, verify: &str, timeout: u64| -> Vec<String> {
        let playbook = format!(
            r#"{{"match": {{"alertname": "Down"}}, "target": {{"unit": "a.service"}}, "ladder": [{{"do": {{"systemd": "restart"}}}}],
                "confirm": [{confirm}], "verify": {{"all": [{verify}, {{"unit_stable": "1s"}}]}}}}"#
        );
        let checks = [("web", Period::secs(timeout))];
        let faults = read(&playbook).unwrap().faults(&Names {
            checks: checks.to_vec(),
            ..Names::default()
        });
        faults.into_iter().map(|(keys, _)| keys.join(".")).collect()
    };
    let check = |fails: u32| format!(r#"{{"check": "web", "fails": {fails}}}"#);
    let web = r#"{"check": "web"}"#;
    assert_eq!(wrong(&check(6), web, 3), Vec::<String>::new());
    assert_eq!(wrong(&check(10), web, 3), ["confirm.0.fails"]);
    assert_eq!(wrong(&check(1), web, 24), Vec::<String>::new());
    assert_eq!(
        wrong(&check(1), web, 25),
        ["confirm.0.fails", "verify.all.0"]
    );
    let command = |fails: u32| {
        format!(r#"{{"command": {{"argv": ["/bin/x"], "timeout": "10s"}}, "fails": {fails}}}"#)
    };
    assert_eq!(wrong(&command(2), web, 3), Vec::<String>::new());
    assert_eq!(wrong(&command(3), web, 3), ["confirm.0.fails"]);
    // A probe of its own has its share, however often it must fail.
    let own = r#"{"probe": {"tcp": {"address": "x:1"}}, "fails": 10}"#;
    assert_eq!(wrong(own, web, 3), Vec::<String>::new());
    for probes in 1..=10 {
        let all = share(probes) * probes + BETWEEN * (probes - 1);
        assert!(all < ROUND && share(probes) > Duration::from_secs(1));
    }
}

#[test]
fn guards_are_written_as_people_write_them() {
    let guards: Guards = serde_json::from_str(
        r#"{"cooldown": "30s", "budget": "5/2h", "flap": "off", "max_age": "off"}"#,
    )
    .unwrap();
    let limits = guards.limits();
    assert_eq!(limits.cooldown, Duration::from_secs(30));
    assert_eq!(limits.budget.map(|b| b.most), Some(5));
    assert_eq!(limits.flap, None);
    assert!(limits.max_age.is_zero());
    for wrong in ["3", "0/1h", "3/", "x/1h", "3/2d", "2000/1h"] {
        let text = format!("{{\"budget\": {wrong:?}}}");
        assert!(serde_json::from_str::<Guards>(&text).is_err(), "{wrong}");
    }
}

#[test]
fn another_text_is_another_revision() {
    let none = check::Options::default();
    let (hash, text) = restart().revision(&none);
    assert_eq!(read(&text).unwrap(), restart());
    let mut other = restart();
    other.probation = Period::secs(1);
    assert_ne!(other.revision(&none).0, hash);
    let check = r#"{"web": {"probe": {"process": {"name": "web"}}, "every": "1h"}}"#;
    let mut checks: check::Options = serde_json::from_str(check).unwrap();
    let (with, text) = restart().revision(&checks);
    assert_ne!(with, hash);
    assert_eq!(
        Playbook::of_revision(&text),
        Some((restart(), checks.clone()))
    );
    checks.get_mut("web").unwrap().every = Period::secs(1);
    assert_ne!(restart().revision(&checks).0, with);
    assert_eq!(Playbook::of_revision("[]"), None);
}

#[test]
fn each_proof_says_what_is_wrong_with_it_and_where() {
    let playbook = read(
        r#"{"match": {"alertname": "Down"}, "target": {"unit": "web.service"}, "ladder": [{"do": {"systemd": "restart"}}],
            "confirm": [{"fails": 2}, {"check": "web", "command": {"argv": ["/bin/x"]}}, {"probe": {"tcp": {"address": "x"}}}],
            "verify": {"all": [
                {"command": {"argv": ["x", {"from": "other"}], "timeout": "11s"}},
                {"probe": {"reading": {"metric": "node_lod1", "below": 1}}},
                {"container_stable": "10s"}, {"unit_stable": "10s"}, {"check": "wbe"}
            ]}}"#,
    )
    .unwrap();
    let faults = playbook.faults(&names(&["web"], &[], &[]));
    let keys: Vec<_> = faults.iter().map(|(keys, _)| keys.join(".")).collect();
    assert_eq!(
        keys,
        [
            "confirm.0",
            "confirm.1",
            "confirm.2.probe.tcp.address",
            "verify.all.0.command",
            "verify.all.0.command",
            "verify.all.0.command",
            "verify.all.1.probe.reading.metric",
            "verify.all.2",
            "verify.all.4",
        ],
        "{faults:?}"
    );
    let (_, text) = playbook.revision(&check::Options::default());
    assert_eq!(read(&text).unwrap(), playbook);
}

#[test]
fn every_verb_and_unit_that_a_playbook_may_use_is_known() {
    use crate::peer::systemd::Verb;

    let playbook = read(
        r#"{"match": {"alertname": "Down", "name": {"in": ["a.service", "b.service"]}}, "target": {"unit": {"from": "name"}},
            "ladder": [{"do": {"systemd": "reload"}}, {"do": {"systemd": {"verb": "restart", "reset_failed": true}}},
                {"do": {"systemd": {"verb": "start", "unit": "nodeward-action@x.service"}}}, {"do": {"command": {"argv": ["/bin/x"]}}}]}"#,
    )
    .unwrap();
    let mut allowed = playbook.permissions();
    allowed.sort();
    allowed.dedup();
    let unit = |verb, unit: &str| Permission::Unit {
        verb,
        unit: unit.to_owned(),
    };
    let mut wanted = vec![
        unit(Verb::Reload, "a.service"),
        unit(Verb::Restart, "a.service"),
        unit(Verb::ResetFailed, "a.service"),
        unit(Verb::Reload, "b.service"),
        unit(Verb::Restart, "b.service"),
        unit(Verb::ResetFailed, "b.service"),
        unit(Verb::Start, "nodeward-action@x.service"),
    ];
    wanted.sort();
    assert_eq!(allowed, wanted);
}
