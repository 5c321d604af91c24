//! The shipped dashboards and rules, asked of a real Prometheus that scrapes real nodewards, one of which heals what a rule of it
//! reports by a real Alertmanager. What is asked for must be there: every name, every label value, every answer.

mod asked;
mod picture;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::process::until;
use crate::programs::Peer;
use crate::{PeerTest, prometheus, web};
use asked::{Query, promql};
use stage::Stage;

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "dashboards::prometheus_answers_every_query_and_judges_every_rule",
    needs: &[
        Peer::Prometheus,
        Peer::Alertmanager,
        Peer::Root,
        Peer::Systemd,
        Peer::DbusDaemon,
    ],
    run,
}];

/// Panels that have nothing to show here, and why.
const EMPTY: &[(&str, &str)] = &[
    (
        "Others that are healthy",
        "seen by haproxy_runtime alone: tests/peers/pools",
    ),
    ("Certificate ends", "no listener has TLS: tests/it/tls.rs"),
    ("TLS", "as before"),
];
/// Metrics that no machine of the stage has, and why.
const ABSENT: &[(&str, &str)] = &[
    ("nodeward_tls_", "no listener has TLS: tests/it/tls.rs"),
    (
        "nodeward_pool_healthy",
        "seen by haproxy_runtime alone: tests/peers/pools",
    ),
    (
        "nodeward_check_certificate_expiry_timestamp_seconds",
        "no check of the stage is shown one: tests/peers/tls.rs",
    ),
    (
        "nodeward_systemd_unit_memory_limit_bytes",
        "no unit of the stage has a limit: tests/peers/systemd.rs",
    ),
    (
        "nodeward_systemd_unit_io_bytes_total",
        "only with the controller io: tests/peers/systemd.rs",
    ),
    (
        "system_paging_usage_bytes",
        "the machine need not have swap",
    ),
    ("override:", "for users to record: promtool tests them"),
];
/// Label values that nothing of the stage has, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("state=D", "nothing need be stuck"),
    ("type=Mains", "no captured host has one"),
    ("state=waiting", "too short to be scraped for certain"),
    (
        "kind=subject",
        "no subject fails here: src/subject/tests.rs",
    ),
    ("check=web", "of the shipped playbooks: tests/peers/pools"),
    ("check=web-for-long", "as before"),
];

fn run() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let server = stage.server;
    stage.heals()?;
    let mut wrong = BTreeMap::new();
    let mut answered = BTreeSet::new();
    let mut all = Vec::new();
    for node in &stage.nodes()? {
        for query in asked::queries(node)? {
            let asked = ask(server, &query.expression)
                .and_then(|_| ask(server, &asked::unconditional(&query.expression)));
            match asked {
                Err(failed) => {
                    let why = failed.message().unwrap_or_default().to_owned();
                    wrong.insert(query.place.clone(), format!("{}: {why}", query.expression));
                }
                Ok(data) if list(&data["result"]).is_empty() => {}
                Ok(_) => drop(answered.insert((query.place.clone(), query.number))),
            }
            all.push(query);
        }
    }
    for Query {
        place,
        number,
        title,
        expression,
    } in all
    {
        let known = EMPTY.iter().any(|(panel, _)| *panel == title);
        let absent = promql::metrics(&expression)
            .iter()
            .any(|metric| ABSENT.iter().any(|(start, _)| metric.starts_with(start)));
        if !answered.contains(&(place.clone(), number)) && !known && !absent {
            wrong.insert(
                format!("{place} {number}"),
                format!("no data: {expression}"),
            );
        }
    }
    judged(server)?;
    names(server, &mut wrong)?;
    if !wrong.is_empty() {
        return Err(format!("{wrong:#?}\n{}", stage.nodeward.log()).into());
    }
    prometheus::quiet(&stage.prometheus)?;
    match std::env::var_os("NODEWARD_WRITE") {
        Some(_) => picture::draw(&stage),
        None => Ok(()),
    }
}

/// Every metric that is asked for is in Prometheus, with every label value that is asked for.
fn names(server: SocketAddr, wrong: &mut BTreeMap<String, String>) -> Result<(), Failed> {
    let mut seen: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let data = get(server, "/api/v1/series?match[]=%7B__name__%21%3D%22%22%7D")?;
    for series in list(&data) {
        let labels = series.as_object().into_iter().flatten();
        let name = series["__name__"].as_str().unwrap_or_default();
        let of = seen.entry(name.to_owned()).or_default();
        for (label, value) in labels {
            let value = value.as_str().unwrap_or_default().to_owned();
            of.entry(label.clone()).or_default().insert(value);
        }
    }
    for selector in asked::selectors()? {
        let Some(labels) = seen.get(&selector.name) else {
            if !ABSENT
                .iter()
                .any(|(start, _)| selector.name.starts_with(start))
            {
                wrong.insert(selector.name, "is not there".to_owned());
            }
            continue;
        };
        for matcher in &selector.matchers {
            let values = asked::values(matcher);
            for value in values {
                let there = labels
                    .get(&matcher.label)
                    .is_some_and(|all| all.contains(&value));
                let said = format!("{}={value}", matcher.label);
                if !there && !UNSEEN.iter().any(|(known, _)| *known == said) {
                    let of = format!("is no value of {:?}", labels.get(&matcher.label));
                    wrong.insert(format!("{}{{{said}}}", selector.name), of);
                }
            }
        }
    }
    Ok(())
}

fn encoded(expression: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    expression.bytes().map(byte).collect()
}

fn ask(server: SocketAddr, expression: &str) -> Result<Value, Failed> {
    get(
        server,
        &format!("/api/v1/query?query={}", encoded(expression)),
    )
}

/// GETs of Prometheus's API; its complaint if it has one.
fn get(server: SocketAddr, path: &str) -> Result<Value, Failed> {
    let answer = web::Request::send(server, path)?.answer()?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    match answer["error"].as_str() {
        Some(error) => Err(error.into()),
        None => Ok(answer["data"].clone()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Waits until Prometheus has evaluated every rule, and every one without an error.
fn judged(server: SocketAddr) -> Result<(), Failed> {
    let health = |rule: &Value| {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("health"), text("lastError"))
    };
    let judged = until("every rule to be evaluated", || {
        let data = get(server, "/api/v1/rules").ok()?;
        let groups = list(&data["groups"]).iter();
        let rules: Vec<_> = groups.flat_map(|g| list(&g["rules"])).map(health).collect();
        let done = !rules.is_empty() && rules.iter().all(|(_, health, _)| health != "unknown");
        done.then_some(rules)
    })?;
    match judged.iter().find(|(_, health, _)| health != "ok") {
        Some(rule) => Err(format!("{rule:?}").into()),
        None => Ok(()),
    }
}
