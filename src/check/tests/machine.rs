use serde_json::json;

use super::*;

/// A child that runs until it is dropped, under a command line that no other process has.
struct Child(std::process::Child, String);

impl Child {
    fn new(nth: u32) -> Self {
        let seconds = format!("1000000.{:08}{nth}", std::process::id());
        let child = std::process::Command::new("sleep")
            .arg(&seconds)
            .spawn()
            .unwrap();
        Self(child, format!("^sleep {}$", seconds.replace('.', "[.]")))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn processes_are_counted_while_they_live() {
    let world = world();
    let mut child = Child::new(1);
    let cmdline = child.1.clone();
    let ask = |more: serde_json::Value| {
        let mut options = json!({"cmdline": cmdline});
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"process": options})
    };
    // Between fork and exec the child still has our own command line.
    while probe(ask(json!({})), &world).await.facts["count"] != 1 {
        tokio::task::yield_now().await;
    }
    assert!(
        probe(ask(json!({"name": "sleep", "at_most": 1})), &world)
            .await
            .ok
    );
    assert!(!probe(ask(json!({"name": "slee"})), &world).await.ok);
    let said = probe(ask(json!({"at_least": 2})), &world).await;
    assert_eq!(said.why, "1 process runs, at least 2 must");
    let said = probe(ask(json!({"at_least": 0, "at_most": 0})), &world).await;
    assert_eq!(said.why, "1 process runs, at most 0 may");
    let said = probe(ask(json!({"user": "no such user"})), &world).await;
    assert_eq!(said.why, "0 processes run, at least 1 must");
    // Threads of the kernel have no command line, and are no programs.
    let none = json!({"process": {"cmdline": "^$", "at_least": 0, "at_most": 0}});
    assert_eq!(probe(none, &world).await.facts["count"], 0);
    // Killed and not waited for, it is a zombie until the end of the test.
    child.0.kill().unwrap();
    while probe(ask(json!({})), &world).await.ok {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_process_probe_must_say_which_and_its_expression_is_bounded() {
    let faults = |options: serde_json::Value| {
        let options: process::Process = serde_json::from_value(options).unwrap();
        options
            .faults()
            .into_iter()
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
    };
    assert_eq!(faults(json!({})), [""]);
    assert_eq!(faults(json!({"name": ""})), [""]);
    assert_eq!(
        faults(json!({"name": "a", "at_least": 2, "at_most": 1})),
        ["at_most"]
    );
    let bomb = json!({"cmdline": "((a{1000}){1000}){1000}"});
    assert!(serde_json::from_value::<process::Process>(bomb).is_err());
}

#[tokio::test]
async fn readings_are_held_against_lines_on_a_captured_machine() {
    let world = captured();
    let text =
        std::fs::read_to_string(world.sampler.host().roots().procfs.join("meminfo")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    for (below, ok) in [(kib, true), (kib + 1, false)] {
        let options =
            json!({"metric": "node_memory_MemAvailable_bytes", "below": format!("{below}KiB")});
        let said = probe(json!({"reading": options}), &world).await;
        assert_eq!(said.ok, ok, "{}", said.why);
        assert_eq!(said.facts["series"], 1);
    }
    let share = json!({"metric": "node_memory_MemAvailable_bytes", "ratio_of": "node_memory_MemTotal_bytes", "above": "100%"});
    assert!(probe(json!({"reading": share}), &world).await.ok);
    let devices = |device: &str| json!({"reading": {"metric": format!("node_network_receive_bytes_total{{device=~\"{device}\"}}"), "above": 1e18}});
    assert!(probe(devices(".*"), &world).await.ok);
    let said = probe(devices("none"), &world).await;
    assert!(
        !said.ok && said.why.contains("selects no series"),
        "{}",
        said.why
    );
}

#[tokio::test]
async fn counters_are_held_against_lines_by_their_growth() {
    let idle = |line: &str, at: f64| {
        let mut options = json!({
            "metric": "node_cpu_seconds_total{mode=\"idle\"}",
            "per_second": true,
        });
        options[line] = json!(at);
        json!({"reading": options})
    };
    // Nothing on a captured machine grows; on a real one, a second has at most a second of it.
    let (captured, world) = (captured(), world());
    let said = probe(idle("above", 0.0), &captured).await;
    assert!(said.ok, "{}", said.why);
    let said = probe(idle("below", 0.001), &captured).await;
    assert!(!said.ok && !said.blind, "{}", said.why);
    let said = probe(idle("above", 1.5), &world).await;
    assert!(said.ok, "{}", said.why);
    let said = within(Duration::from_millis(300), idle("above", 1.5), &world).await;
    assert!(
        said.blind && said.why.contains("longer timeout"),
        "{said:?}"
    );
}

#[tokio::test]
async fn pressure_is_held_against_a_share_of_the_time() {
    let stalled = |metric: &str, above: &str| {
        let options = json!({"metric": metric, "per_second": true, "above": above});
        json!({"reading": options})
    };
    // On a captured machine nothing stalls: that is read, and does not fail.
    let captured = captured();
    for name in ["cpu_waiting", "io_stalled", "memory_waiting", "irq_stalled"] {
        let metric = format!("node_pressure_{name}_seconds_total");
        let said = probe(stalled(&metric, "0%"), &captured).await;
        assert!(said.ok && said.facts["series"] == 1, "{}", said.why);
    }
    // A second has at most a second of it. A kernel may do without pressure: then nothing is known to be well.
    let said = probe(
        stalled("node_pressure_cpu_waiting_seconds_total", "150%"),
        &world(),
    )
    .await;
    let here = std::fs::read("/proc/pressure/cpu").is_ok();
    assert_eq!(said.ok, here, "{}", said.why);
    assert_eq!(said.blind, !here, "{}", said.why);
}

#[tokio::test]
async fn what_is_switched_off_cannot_be_probed() {
    let subjects = crate::subject::Options {
        disable: ["meminfo", "processes", "systemd"]
            .map(str::to_owned)
            .to_vec(),
        ..crate::subject::Options::default()
    };
    let machine = Machine {
        host: Arc::default(),
        runtime: None,
    };
    let world = World {
        sampler: Arc::new(Sampler::start(&subjects, &machine, None).unwrap()),
        resolver: Resolver::default(),
        container: Arc::new(Engine::new(&Default::default())),
    };
    let options = [
        (
            "a",
            json!({"reading": {"metric": "node_memory_MemFree_bytes", "below": 0}}),
        ),
        ("b", json!({"process": {"name": "init"}})),
        ("c", json!({"unit": {"name": "a.service"}})),
        ("d", json!({"tcp": {"address": "x:1"}})),
    ];
    let options = options.map(|(name, probe)| (name.to_owned(), check(probe)));
    let Err(wrong) = Plan::new(&Options::from(options), &world) else {
        panic!("taken")
    };
    let names: Vec<_> = wrong.iter().map(|wrong| wrong.check.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(
        wrong
            .iter()
            .all(|wrong| wrong.why.contains("subjects.disable"))
    );
}

#[tokio::test]
async fn a_unit_cannot_be_judged_where_there_is_no_bus() {
    let said = probe(json!({"unit": {"name": "a.service"}}), &world()).await;
    assert!(!said.ok && said.why.contains("runtime"), "{}", said.why);
}
