use super::*;
use crate::dialect::otlp::{Cumulative, Metrics};
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::subject::tests::captured::Captured;
use crate::subject::{Answer, Said};

fn read(text: &str) -> (Reading, Vec<ItemError>) {
    let mut errors = Vec::new();
    let values = values(text.as_bytes(), &mut errors);
    let swaps = Vec::new();
    (Reading { values, swaps }, errors)
}

fn page(reading: &Reading) -> String {
    let mut out = Out::new(Format::Text, 0);
    Meminfo::prometheus(&Options::default(), reading, &mut out.page());
    let page = String::from_utf8(out.finish()).unwrap();
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn ask(reading: &Reading, key: &str) -> String {
    let key = Key::parse(key).unwrap();
    let item = zabbix::KEYS.iter().find(|i| i.name == key.name()).unwrap();
    let said: Said = (item.want)(&Options::default(), &key).and_then(|_| match &item.answer {
        Answer::Now(say) => say(&Options::default(), reading, &key),
        Answer::Over { .. } | Answer::Either { .. } => unreachable!(),
    });
    said.map_or_else(|why| why.to_string(), |value| value.to_string())
}

#[test]
fn every_line_is_read_as_the_reference_reads_it() {
    for (line, told) in [
        ("MemTotal: 10 kB", "node_memory_MemTotal_bytes 10240\n"),
        ("MemTotal:\t77", "node_memory_MemTotal_bytes 77\n"),
        ("MemTotal: 0x10 kB\r", "node_memory_MemTotal_bytes 16384\n"),
        ("MemTotal: 010 kB", "node_memory_MemTotal_bytes 8192\n"),
        ("MemTotal: 1_0", "node_memory_MemTotal_bytes 10\n"),
        (
            "MemTotal: 18446744073709551615 kB",
            "node_memory_MemTotal_bytes 18446744073709550592\n",
        ),
        (
            "MemTotal: 18014398509481985 kB",
            "node_memory_MemTotal_bytes 1024\n",
        ),
        ("HugePages_Free: 3 kB", "node_memory_HugePages_Free 3\n"),
        ("Active(anon): 6 kB", "node_memory_Active_anon_bytes 6144\n"),
        ("Active_anon: 6 kB", ""),
        ("memtotal: 6 kB", ""),
        ("MemTotal 6 kB", ""),
        ("SomethingNew: 1 2 3", ""),
        ("", ""),
        ("MemTotal: 1\nMemTotal: 2", "node_memory_MemTotal_bytes 2\n"),
        (
            "Hugetlb: 4 kB",
            "nodeward_meminfo_bytes{field=\"Hugetlb\"} 4096\n",
        ),
    ] {
        let (reading, errors) = read(line);
        assert_eq!(page(&reading), told, "{line}");
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
}

#[test]
fn a_bad_line_costs_that_line_and_is_counted() {
    for bad in [
        "MemFree:",
        "MemFree: lots kB",
        "MemFree: 08 kB",
        "MemFree: -5 kB",
        "MemFree: +5 kB",
        "MemFree: 1.5 kB",
        "MemFree: 18446744073709551616",
        "MemFree: 5 MB",
        "MemFree: 5 KB",
        "MemFree: 5 kB x",
    ] {
        let (reading, errors) = read(&format!("MemTotal: 1 kB\n{bad}\nCached: 2 kB"));
        assert_eq!(
            page(&reading),
            "node_memory_MemTotal_bytes 1024\nnode_memory_Cached_bytes 2048\n",
            "{bad}"
        );
        assert_eq!(errors.len(), 1, "{bad}");
        assert_eq!(errors[0].item, "MemFree:");
    }
}

#[test]
fn stops_silently_at_a_line_longer_than_64_kib_as_the_reference_does() {
    for (length, told) in [(65_535, 2), (65_536, 1)] {
        let long = "x".repeat(length);
        let (reading, errors) = read(&format!("MemTotal: 1\n{long}\nMemFree: 1\n"));
        assert_eq!(page(&reading).lines().count(), told);
        assert!(errors.is_empty());
    }
}

#[test]
fn keys_out_of_the_kernels_order_are_found_too() {
    let mut text = String::new();
    for key in KEYS.iter().rev() {
        text.push_str(&format!("{key}: 1\n"));
    }
    let (reading, errors) = read(&text);
    assert_eq!(page(&reading).lines().count(), KEYS.len());
    assert!(errors.is_empty());
}

#[test]
fn the_batch_tells_six_states_and_no_invented_zero() {
    let text = "MemTotal: 100\nMemFree: 10\nMemAvailable: 50\nBuffers: 3\nCached: 20\nSReclaimable: 4\nSUnreclaim: 5\n";
    let tell = |text: &str| {
        let (reading, _) = read(text);
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 1, 2);
        let past = Past {
            now: &reading,
            before: None,
        };
        Meminfo::otlp(&Options::default(), past, &mut metrics.batch());
        format!("{:?}", metrics.metrics())
    };
    let all = tell(text);
    for (state, value) in [
        ("used", 50),
        ("free", 10),
        ("buffered", 3),
        ("cached", 24),
        ("slab_reclaimable", 4),
        ("slab_unreclaimable", 5),
    ] {
        let at = all.find(&format!("(\"{state}\")")).expect(state);
        let value = format!("AsInt({value})");
        let rest = all.get(at..).unwrap();
        assert!(
            rest.contains(&value) && rest.find("AsInt") == rest.find(&value),
            "{state}: {all}"
        );
    }
    // 100 - (10 + 3 + 24): as before Linux 3.14.
    assert!(tell(&text.replace("MemAvailable: 50\n", "")).contains("AsInt(63)"));
    assert!(!tell("MemFree: 10\n").contains("(\"used\")"));
}

#[test]
fn the_keys_answer_as_the_agents_do() {
    let (mut reading, _) = read(
        "MemTotal: 300\nMemFree: 100\nMemAvailable: 150\nBuffers: 3\nCached: 20\nActive: 7\n\
         Inactive: 8\nAnonPages: 9\nSlab: 11\nSwapTotal: 8\nSwapFree: 6\n",
    );
    reading.swaps = swaps(
        b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
          /dev/sda2                               partition\t8\t2\t-2\n\
          /swap\\040file file 4 0 -3\nbroken\n",
    );
    for (key, said) in [
        ("vm.memory.size", "300"),
        ("vm.memory.size[]", "300"),
        ("vm.memory.size[total]", "300"),
        ("vm.memory.size[free]", "100"),
        ("vm.memory.size[used]", "200"),
        ("vm.memory.size[pused]", "66.666667"),
        ("vm.memory.size[available]", "150"),
        ("vm.memory.size[pavailable]", "50.000000"),
        ("vm.memory.size[buffers]", "3"),
        ("vm.memory.size[cached]", "20"),
        ("vm.memory.size[active]", "7"),
        ("vm.memory.size[inactive]", "8"),
        ("vm.memory.size[anon]", "9"),
        ("vm.memory.size[slab]", "11"),
        ("vm.memory.size[shared]", "Supported for Linux 2.4 only."),
        ("vm.memory.size[Total]", "Invalid first parameter."),
        ("system.swap.size", "6"),
        ("system.swap.size[all,total]", "8"),
        ("system.swap.size[,used]", "2"),
        ("system.swap.size[,pfree]", "75.000000"),
        ("system.swap.size[,pused]", "25.000000"),
        ("system.swap.size[,bad]", "Invalid second parameter."),
        ("system.swap.size[/dev/x]", "Invalid first parameter."),
        ("system.swap.size[/dev/x,bad]", "Invalid first parameter."),
        ("system.swap.size[/dev/sda2]", "6144"),
        ("system.swap.size[/swap file,total]", "4096"),
    ] {
        assert_eq!(ask(&reading, key), said, "{key}");
    }
    let (none, _) = read("MemTotal: 0\nMemFree: 0\nSwapTotal: 0\nSwapFree: 0\n");
    for (key, said) in [
        (
            "vm.memory.size[pused]",
            "Cannot calculate percentage because total is zero.",
        ),
        (
            "vm.memory.size[slab]",
            "Cannot obtain value from /proc/meminfo.",
        ),
        ("system.swap.size[,pfree]", "100.000000"),
        ("system.swap.size[,pused]", "0.000000"),
    ] {
        assert_eq!(ask(&none, key), said, "{key}");
    }
}

#[test]
fn what_is_asked_for_by_name_is_told_too() {
    let machine = Captured::new(&[
        (
            "proc/meminfo",
            "MemTotal: 400\nMemFree: 100\nMemAvailable: 300\nBuffers: 4\nCached: 16\nDirty: 5\nShmem: 6\n\
             SReclaimable: 24\nSUnreclaim: 8\nHugePages_Total: 8\nHugePages_Free: 2\nHugePages_Rsvd: 1\n\
             HugePages_Surp: 3\nHugepagesize: 2048 kB\n",
        ),
        (
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/sda2 partition 8 2 -2\n/dev/none partition 0 0 -3\n",
        ),
    ]);
    let plain = machine.batch::<Meminfo>(&Options::default());
    let all = Options {
        instruments: Chosen::all(),
    };
    let mut told = machine.batch::<Meminfo>(&all);
    told.retain(|name, _| !plain.contains_key(name));
    let page = told.remove("system.memory.page_size");
    assert!(page.is_some_and(|size| size >= 4096.0 && size % 4096.0 == 0.0));
    let huge = "system.memory.linux.hugepages";
    let expected = [
        ("system.memory.utilization used".into(), 0.25),
        ("system.memory.utilization free".into(), 0.25),
        ("system.memory.utilization buffered".into(), 0.01),
        ("system.memory.utilization cached".into(), 0.1),
        ("system.memory.utilization slab_reclaimable".into(), 0.06),
        ("system.memory.utilization slab_unreclaimable".into(), 0.02),
        ("system.memory.limit".into(), 400.0),
        ("system.linux.memory.available".into(), 300.0),
        ("system.linux.memory.dirty".into(), 5.0),
        ("system.memory.linux.shared".into(), 6.0),
        ("system.memory.linux.slab.usage reclaimable".into(), 24.0),
        ("system.memory.linux.slab.usage unreclaimable".into(), 8.0),
        (format!("{huge}.limit"), 8.0),
        (format!("{huge}.page_size"), 2_097_152.0),
        (format!("{huge}.reserved"), 1.0),
        (format!("{huge}.surplus"), 3.0),
        (format!("{huge}.usage used"), 6.0),
        (format!("{huge}.usage free"), 2.0),
        (format!("{huge}.utilization used"), 0.75),
        (format!("{huge}.utilization free"), 0.25),
        ("system.paging.utilization /dev/sda2 used".into(), 0.25),
        ("system.paging.utilization /dev/sda2 free".into(), 0.75),
    ];
    assert_eq!(told, expected.into());
    machine.put(
        "proc/meminfo",
        "MemTotal: 0\nMemFree: 0\nHugePages_Total: 0\nHugePages_Free: 0\n",
    );
    let told = machine.batch::<Meminfo>(&all);
    let shares = told
        .keys()
        .filter(|name| name.starts_with("system.memory") && name.contains("utilization"));
    assert_eq!(shares.count(), 0, "nothing has no parts");
    assert_eq!(told[&format!("{huge}.usage used")], 0.0);
}
