//! The frame as a whole: reads shared, keys answered, hangs kept apart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::Roots;

fn machine(meminfo: &str) -> (Machine, std::path::PathBuf) {
    use std::sync::atomic::{AtomicU32, Ordering};
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
    let sampler = Sampler::start(&only_meminfo(), &machine).unwrap();
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
    let sampler = Sampler::start(&only_meminfo(), &machine).unwrap();
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
async fn a_missing_file_is_absent_and_counted() {
    let (machine, dir) = machine("");
    std::fs::remove_dir_all(dir).unwrap();
    let sampler = Sampler::start(&only_meminfo(), &machine).unwrap();
    let snapshot = sampler.snapshot(Asker::Prometheus, |_| true, soon()).await;
    let held = snapshot.parts[0].held.as_ref().err();
    assert!(matches!(held, Some(Missing::Absent(Absent::NotHere(_)))));
    assert_eq!(sampler.counters().errors(), [("meminfo", "subject", 1)]);
}
