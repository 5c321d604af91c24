//! Totals of this machine by another library, `sysinfo`, that shares no line with ours.

use std::time::{Duration, Instant};

use nodeward::app::{Flags, House, Settings};
use nodeward::dialect::zabbix::key::Key;
use sysinfo::System;

/// The number a Zabbix key tells of this machine.
async fn told(house: &House, key: &str) -> f64 {
    let key = Key::parse(key).unwrap();
    let value = house
        .view
        .sampler
        .answer(&key, Instant::now() + Duration::from_secs(30))
        .await;
    value.unwrap().to_string().parse().unwrap()
}

#[tokio::test]
async fn totals_agree_with_sysinfo() {
    let settings = Settings::from(&Flags::default(), None, &|_| None).unwrap();
    let house = House::build(&settings).unwrap();
    let mut system = System::new().unwrap();
    system.refresh_memory();
    system.refresh_cpu_all();
    #[expect(clippy::cast_precision_loss, reason = "bytes below 2^53")]
    let bytes = |n: u64| n as f64;
    assert_eq!(
        told(&house, "vm.memory.size[total]").await,
        bytes(system.total_memory())
    );
    assert_eq!(
        told(&house, "system.swap.size[,total]").await,
        bytes(system.total_swap())
    );
    assert_eq!(
        told(&house, "system.cpu.num").await,
        bytes(system.cpus().len() as u64)
    );
    assert_eq!(house.identity.boot_time, System::boot_time().ok());
    let boot = house.identity.boot_time.map(bytes);
    assert_eq!(Some(told(&house, "system.boottime").await), boot);
    let before = System::uptime().unwrap();
    let uptime = told(&house, "system.uptime").await;
    let after = System::uptime().unwrap();
    // Either may cut or round a second.
    assert!((bytes(before) - 1.0..=bytes(after) + 1.0).contains(&uptime));
    assert_eq!(
        Some(house.identity.hostname.clone()),
        System::host_name().ok()
    );
    assert_eq!(
        Some(house.identity.kernel_release.clone()),
        System::kernel_version().ok()
    );
}

#[tokio::test]
async fn what_moves_lies_between_two_readings_of_sysinfo() {
    let settings = Settings::from(&Flags::default(), None, &|_| None).unwrap();
    let house = House::build(&settings).unwrap();
    let available = || {
        let mut system = System::new().unwrap();
        system.refresh_memory();
        system.available_memory()
    };
    // Memory moves up and down: a reading framed by two others is within their range at some time.
    for _ in 0..200 {
        let before = available();
        let ours = told(&house, "vm.memory.size[available]").await;
        let after = available();
        #[expect(clippy::cast_precision_loss, reason = "bytes below 2^53")]
        let range = before.min(after) as f64..=before.max(after) as f64;
        if range.contains(&ours) {
            return;
        }
    }
    panic!("in 200 rounds our available memory never lay between two of sysinfo's");
}
