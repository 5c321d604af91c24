//! The room as a whole, over made-up machines.

use std::time::{Duration, Instant};

use super::*;
use crate::dialect::zabbix::key::Key;
use crate::subject::tests::captured::Captured;
use crate::subject::{Answer, Ring};

const STATS: &str = "   8       0 sda 10 1 200 3000 20 2 400 5000 7 8000 9000\n\
   8       1 sda1 1 1 1 1 1 1 1 1 1 1 1\n 253       0 dm-0 5 0 8 1 0 0 0 0 0 0 0\n 7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n";

fn machine() -> Captured {
    Captured::new(&[
        ("proc/diskstats", STATS),
        (
            "udev/b8:0",
            "S:disk/by-id/ata-X_1\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\nE:ID_MODEL=X\nE:ID_SERIAL=X_1\nE:ID_SERIAL_SHORT=1\n",
        ),
        (
            "udev/b253:0",
            "S:mapper/vg0-var\nE:DM_NAME=vg0-var\nE:DM_UUID=LVM-u\n",
        ),
        ("sys/block/sda/queue/rotational", "1\n"),
        ("sys/dev/block/8:0/uevent", "DEVNAME=sda\nDEVTYPE=disk\n"),
        ("sys/dev/block/8:0/size", "1000\n"),
        ("sys/dev/block/8:0/queue/logical_block_size", "512\n"),
        (
            "sys/dev/block/8:1/uevent",
            "DEVNAME=sda1\nDEVTYPE=partition\n",
        ),
        ("sys/dev/block/8:1/size", "900\n"),
    ])
}

#[test]
fn the_patterns_choose_devices_for_pages_alone() {
    let machine = machine();
    let (page, errors) = machine.page::<Diskstats>(&[]);
    assert!(errors.is_empty());
    assert!(
        page.contains("node_disk_read_bytes_total{device=\"sda\"} 102400\n"),
        "{page}"
    );
    assert!(page.contains("node_disk_read_time_seconds_total{device=\"sda\"} 3\n"));
    assert!(page.contains("serial=\"1\",revision=\"\",rotational=\"1\"} 1\n"));
    assert!(page.contains("node_disk_ata_write_cache{device=\"sda\"} 1\n"));
    assert!(!page.contains("sda1") && !page.contains("loop0") && !page.contains("discards"));
    let (page, _) = machine.page::<Diskstats>(&[("diskstats.ignored-devices", "")]);
    assert!(page.contains("sda1") && page.contains("loop0"));
    let (page, _) = machine.page::<Diskstats>(&[("diskstats.device-include", "^loop")]);
    assert!(!page.contains("sda") && page.contains("loop0"));
}

#[test]
fn sizes_are_told_if_they_are_asked_for() {
    let machine = machine();
    let limits = |options: &Options| {
        let mut told = machine.batch::<Diskstats>(options);
        told.retain(|name, _| name.starts_with("system.disk.limit"));
        told
    };
    let asked = Options {
        instruments: Chosen::all(),
        ..Options::default()
    };
    let expected = [
        ("system.disk.limit sda".to_owned(), 512_000.0),
        ("system.disk.limit sda1".to_owned(), 460_800.0),
    ];
    assert_eq!(limits(&asked), expected.into());
    assert_eq!(limits(&Options::default()).len(), 0);
}

#[test]
fn keys_answer_with_counts_and_the_texts_of_the_agents() {
    let machine = machine();
    for (key, expected) in [
        ("vfs.dev.read[sda,sectors]", "200"),
        ("vfs.dev.read[/dev/sda,operations]", "10"),
        ("vfs.dev.write[,sectors]", "401"),
        ("vfs.dev.read[all,operations]", "16"),
        ("vfs.dev.read[/dev/mapper/vg0-var,operations]", "5"),
        ("vfs.dev.read[/dev/disk/by-id/ata-X_1,operations]", "10"),
        (
            "vfs.dev.read[none,sectors]",
            "Cannot obtain disk information.",
        ),
        ("vfs.dev.read[none,bad]", "Invalid second parameter."),
        ("vfs.dev.read[sda,sps,bad]", "Invalid third parameter."),
        (
            "vfs.dev.read[sda,sectors,avg1]",
            "Invalid number of parameters.",
        ),
        (
            "vfs.dev.discovery",
            r#"[{"{#DEVNAME}":"sda","{#DEVTYPE}":"disk"},{"{#DEVNAME}":"sda1","{#DEVTYPE}":"partition"}]"#,
        ),
        (
            "vfs.dev.get[disk_stats,.*]",
            r#"{"config":[{"devid":"ata-X_1","name":"sda","size_bytes":512000,"type":"disk"}],"values":[{"name":"sda","stats":{"bytes_read":102400,"bytes_written":204800,"io_time_ms":8000,"reads_completed":10,"writes_completed":20}}]}"#,
        ),
        (
            "vfs.dev.get[disks]",
            r#"{"config":[{"devid":"ata-X_1","logical_block_size":512,"model":"X","name":"sda","path":"/dev/sda","serial":"1","size_bytes":512000,"type":"disk"}]}"#,
        ),
        (
            "vfs.dev.get[devices]",
            r#"{"config":[{"devid":"ata-X_1","name":"sda","partitions":{"sda1":460800},"type":"disk"}]}"#,
        ),
        ("vfs.dev.get[disks,(]", "Invalid second parameter."),
        ("vfs.dev.get[all]", "Invalid first parameter."),
    ] {
        assert_eq!(machine.text::<Diskstats>(key), expected, "{key}");
    }
}

#[test]
fn a_rate_is_what_was_added_in_the_time_that_passed() {
    let item = &Diskstats::KEYS[1];
    let Answer::Either { say, pick, .. } = &item.answer else {
        panic!("rates and counts");
    };
    let key = |text| Key::parse(text).unwrap();
    let mut ring = Ring::default();
    let start = Instant::now();
    for (second, written) in [(0, 100), (60, 700)] {
        let stats = STATS.replace(" 400 ", &format!(" {written} "));
        let machine = Captured::new(&[("proc/diskstats", &stats)]);
        let taken = machine.taken::<Diskstats>(&[]);
        let numbers = pick(&taken.reading, &key("vfs.dev.write[sda]")).unwrap();
        ring.push(
            start + Duration::from_secs(second),
            numbers,
            Duration::from_secs(900),
        );
        assert!(pick(&taken.reading, &key("vfs.dev.write[none]")).is_none());
    }
    assert_eq!(
        say(&ring, &key("vfs.dev.write[sda]")).unwrap().to_string(),
        "10.000000"
    );
    assert_eq!(
        say(&ring, &key("vfs.dev.write[sda,ops]"))
            .unwrap()
            .to_string(),
        "0.000000"
    );
    let none = say(&Ring::default(), &key("vfs.dev.write[sda]")).unwrap_err();
    assert_eq!(
        none.as_str(),
        "Cannot obtain device name used internally by the kernel."
    );
}
