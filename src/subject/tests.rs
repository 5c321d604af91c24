//! The frame as a whole: reads shared, keys answered, hangs kept apart.

pub(super) mod captured;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::Roots;

fn machine(meminfo: &str) -> (Machine, std::path::PathBuf) {
    use std::sync::atomic::AtomicU32;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("nodeward-frame-{}-{id}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("meminfo"), meminfo).unwrap();
    let roots = Roots {
        procfs: dir.clone(),
        ..Roots::default()
    };
    (
        Machine {
            host: Arc::new(Host::new(roots)),
            runtime: None,
        },
        dir,
    )
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn only_meminfo() -> Options {
    Options {
        defaults: false,
        enable: vec!["meminfo".into()],
        ..Options::default()
    }
}

#[tokio::test]
async fn a_page_tells_what_was_read_and_how_it_went() {
    let (machine, dir) = machine("MemTotal: 10 kB\nMemFree: x kB\n");
    let sampler = Sampler::start(&only_meminfo(), &machine, None).unwrap();
    let snapshot = sampler.snapshot(Asker::Prometheus, |_| true, soon()).await;
    let mut out = Out::new(Format::Text, 0);
    snapshot.prometheus(&mut out);
    let page = String::from_utf8(out.finish()).unwrap();
    assert!(
        page.contains("\nnode_memory_MemTotal_bytes 10240\n"),
        "{page}"
    );
    assert!(
        page.contains("node_scrape_collector_success{collector=\"meminfo\"}"),
        "{page}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_key_is_answered_and_a_wrong_one_refused_with_the_agents_texts() {
    let (machine, dir) = machine("MemTotal: 10 kB\n");
    let sampler = Sampler::start(&only_meminfo(), &machine, None).unwrap();
    let ask = async |key: &str| match sampler.answer(&Key::parse(key).unwrap(), soon()).await {
        Ok(value) => value.to_string(),
        Err(why) => why.to_string(),
    };
    assert_eq!(ask("vm.memory.size").await, "10240");
    assert_eq!(ask("vm.memory.size[bad]").await, "Invalid first parameter.");
    assert_eq!(ask("vm.memory.size[a,b]").await, "Too many parameters.");
    assert_eq!(ask("no.such").await, "Unsupported item key.");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_a_machine_lacks_is_absent_and_no_error() {
    let (machine, dir) = machine("");
    std::fs::remove_dir_all(dir).unwrap();
    let sampler = Sampler::start(&only_meminfo(), &machine, None).unwrap();
    let snapshot = sampler.snapshot(Asker::Prometheus, |_| true, soon()).await;
    let held = snapshot.parts[0].held.as_ref().err();
    assert!(matches!(held, Some(Missing::Absent(Absent::NotHere(_)))));
    assert_eq!(sampler.counters().errors(), []);
}

fn machine_with_a_cpu() -> (Machine, std::path::PathBuf) {
    let (machine, dir) = machine("MemTotal: 10 kB\n");
    std::fs::write(
        dir.join("stat"),
        "cpu  1 0 0 1 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\n",
    )
    .unwrap();
    (machine, dir)
}

#[tokio::test]
async fn who_keeps_its_options_keeps_its_numbers_and_counts_go_on() {
    let (machine, dir) = machine_with_a_cpu();
    let options = Options {
        enable: vec!["meminfo".into(), "cpu".into()],
        ..only_meminfo()
    };
    let before = Sampler::start(&options, &machine, None).unwrap();
    let key = Key::parse("system.cpu.util").unwrap();
    assert_eq!(
        before.answer(&key, soon()).await.unwrap().as_str(),
        "0.000000"
    );
    let reads = |sampler: &Sampler| sampler.counters().reads.load(Ordering::Relaxed);
    let read = reads(&before);

    let more = Options {
        enable: vec!["meminfo".into(), "cpu".into(), "netdev".into()],
        ..options
    };
    let after = Sampler::start(&more, &machine, Some(&before)).unwrap();
    // No time to read: only who has numbers already can answer.
    assert!(after.answer(&key, Instant::now()).await.is_ok());
    assert_eq!(reads(&after), read);

    let mut other = more;
    other
        .set_flag("collector.cpu.info", "true")
        .unwrap()
        .unwrap();
    let changed = Sampler::start(&other, &machine, Some(&after)).unwrap();
    assert!(changed.answer(&key, Instant::now()).await.is_err());
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_agents_collect_from_their_start_has_a_past_before_anybody_asks() {
    let (machine, dir) = machine_with_a_cpu();
    let options = Options {
        enable: vec!["cpu".into()],
        ..only_meminfo()
    };
    let sampler = Sampler::start(&options, &machine, None).unwrap();
    let mut first = None;
    loop {
        let before = sampler.counters().reads.load(Ordering::Relaxed);
        sampler.tick().await;
        let was_read = sampler.counters().reads.load(Ordering::Relaxed) > before;
        match first {
            None if was_read => first = Some(Instant::now()),
            // Two samples are half a second apart at least.
            Some(at) if was_read && at.elapsed() > Duration::from_millis(500) => break,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    // No time to read: only who has numbers already can answer.
    for (key, known) in [
        ("system.cpu.util", true),
        ("system.cpu.util[all,idle,avg15]", true),
        ("system.cpu.util[0]", false),
    ] {
        let asked = Key::parse(key).unwrap();
        let answer = sampler.answer(&asked, Instant::now()).await;
        assert_eq!(answer.is_ok(), known, "{key}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_is_made_of_a_reading_is_given_back_and_a_panic_there_costs_only_the_answer() {
    let (machine, dir) = machine("MemTotal: 10 kB\n");
    let sampler = Sampler::start(&only_meminfo(), &machine, None).unwrap();
    let asker = Asker::Prometheus;
    let count = |snapshot: Snapshot| snapshot.parts.iter().filter(|p| p.held.is_ok()).count();
    assert_eq!(sampler.make(asker, |_| true, soon(), count).await, Some(1));
    let broken = |_: Snapshot| -> usize { panic!("a bug") };
    assert_eq!(sampler.make(asker, |_| true, soon(), broken).await, None);
    assert_eq!(sampler.make(asker, |_| true, soon(), count).await, Some(1));
    // Nothing to read, and no time to read it.
    assert_eq!(sampler.make(asker, |_| false, soon(), count).await, Some(0));
    let now = Instant::now();
    assert_eq!(sampler.make(asker, |_| false, now, count).await, Some(0));
    std::fs::remove_dir_all(dir).unwrap();
}
