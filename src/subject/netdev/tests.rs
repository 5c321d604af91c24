//! The room as a whole, over made-up trees and the live network.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::{Files, Host, Roots};
use crate::subject::{Answer, Said};

const DEV: &str = "Inter-|\n face |\n lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n eth0: 101 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";

struct Tree {
    dir: PathBuf,
    machine: Machine,
}

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodeward-net-{}-{id}", std::process::id()));
        for (name, text) in files {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let roots = Roots {
            procfs: dir.join("proc"),
            sysfs: dir.join("sys"),
            ..Roots::default()
        };
        Self {
            machine: machine(roots),
            dir,
        }
    }

    fn page(&self, flags: &[(&str, &str)]) -> String {
        page(&self.machine, &options(flags))
    }

    fn say(&self, key: &str) -> Said {
        let key = Key::parse(key).unwrap();
        let item = Netdev::KEYS.iter().find(|i| i.name == key.name()).unwrap();
        let want = (item.want)(&Options::default(), &key)?;
        let taken = read(&self.machine, &Options::default(), &want);
        match item.answer {
            Answer::Now(say) => say(&Options::default(), &taken.reading, &key),
            Answer::Over { .. } | Answer::Either { .. } => unreachable!(),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn machine(roots: Roots) -> Machine {
    Machine {
        host: Arc::new(Host::new(roots)),
        runtime: None,
    }
}

fn options(flags: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    for (name, value) in flags {
        let name = format!("collector.netdev.{name}");
        let flag = Netdev::FLAGS.iter().find(|f| f.descriptor.name == name);
        (flag.unwrap().set)(&mut options, value).unwrap();
    }
    options
}

fn read(machine: &Machine, options: &Options, want: &Want) -> Taken<Reading> {
    let mut subject = Netdev::new(options, machine).unwrap();
    let mut files = Files::default();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut pass = Pass::new(&machine.host, &mut files, deadline);
    subject.read(&mut pass, want).unwrap()
}

fn page(machine: &Machine, options: &Options) -> String {
    let want = Netdev::want(options, Asker::Prometheus);
    let taken = read(machine, options, &want);
    let mut out = Out::new(Format::Text, 0);
    Netdev::prometheus(options, &taken.reading, &mut out.page());
    String::from_utf8(out.finish()).unwrap()
}

#[test]
fn columns_keep_their_names_but_for_four_with_detailed_metrics() {
    let tree = Tree::new(&[("proc/net/dev", DEV)]);
    let page = tree.page(&[]);
    assert!(page.contains("node_network_receive_errs_total{device=\"lo\"} 3\n"));
    assert!(page.contains("node_network_transmit_colls_total{device=\"eth0\"} 14\n"));
    assert!(!page.contains("nohandler"), "{page}");
    let page = tree.page(&[("enable-detailed-metrics", "true")]);
    assert!(page.contains("node_network_receive_errors_total{device=\"lo\"} 3\n"));
    assert!(page.contains("node_network_transmit_colls_total{device=\"eth0\"} 14\n"));
    assert!(!page.contains("receive_errs"), "{page}");
}

#[test]
fn the_network_of_the_first_process_comes_first() {
    let first = DEV.replace("101", "202");
    let tree = Tree::new(&[("proc/net/dev", DEV), ("proc/1/net/dev", &first)]);
    let page = tree.page(&[]);
    assert!(page.contains("node_network_receive_bytes_total{device=\"eth0\"} 202\n"));
}

#[test]
fn patterns_choose_interfaces_and_cannot_both_be_given() {
    let tree = Tree::new(&[("proc/net/dev", DEV)]);
    for flags in [("device-include", "^eth"), ("device-blacklist", "lo")] {
        let page = tree.page(&[flags]);
        assert!(page.contains("eth0") && !page.contains("\"lo\""), "{page}");
    }
    assert!(tree.page(&[("device-exclude", "")]).contains("\"lo\""));
    let both = options(&[("device-include", "a"), ("device-exclude", "b")]);
    let why = Netdev::new(&both, &tree.machine).err().unwrap().to_string();
    assert!(why.contains("device_include") && why.contains("device_exclude"));
}

#[test]
fn an_alias_that_cannot_be_read_is_empty() {
    let tree = Tree::new(&[
        ("proc/net/dev", DEV),
        ("sys/class/net/eth0/ifalias", "uplink \n"),
    ]);
    let page = tree.page(&[("label-ifalias", "true")]);
    assert!(page.contains("receive_bytes_total{device=\"eth0\",ifalias=\"uplink\"} 101\n"));
    assert!(page.contains("receive_bytes_total{device=\"lo\",ifalias=\"\"} 1\n"));
}

#[test]
fn keys_answer_with_the_texts_of_the_agents() {
    let tree = Tree::new(&[
        ("proc/net/dev", DEV),
        ("sys/class/net/eth0/speed", "1000\n"),
        ("sys/class/net/eth0/flags", "0x1003\n"),
        ("sys/class/net/lo/type", "772\n"),
    ]);
    let say = |key: &str| match tree.say(key) {
        Ok(value) => value.to_string(),
        Err(why) => why.to_string(),
    };
    let missing = "Cannot find information for this network interface in /proc/net/dev.";
    for (key, expected) in [
        (
            "net.if.discovery",
            "[{\"{#IFNAME}\":\"lo\"},{\"{#IFNAME}\":\"eth0\"}]",
        ),
        ("net.if.in[eth0]", "101"),
        ("net.if.in[lo,multicast]", "8"),
        ("net.if.out[lo,compressed]", "16"),
        ("net.if.total[lo,errors]", "14"),
        ("net.if.collisions[lo]", "14"),
        ("net.if.in", "Network interface name cannot be empty."),
        ("net.if.in[none,bad]", missing),
        ("net.if.in[lo,bad]", "Invalid second parameter."),
        ("net.if.out[lo,frame]", "Invalid second parameter."),
        ("net.if.get[(]", "Invalid first parameter."),
    ] {
        assert_eq!(say(key), expected, "{key}");
    }
    let all: serde_json::Value = serde_json::from_str(&say("net.if.get")).unwrap();
    assert_eq!(all["config"][0]["type"], "loopback");
    assert_eq!(all["config"][1]["speed"], 1000);
    assert_eq!(all["config"][1]["administrative_state"], "up");
    assert_eq!(all["values"][1]["in"]["bytes"], 101);
    let one: serde_json::Value = serde_json::from_str(&say("net.if.get[^eth]")).unwrap();
    assert_eq!(one["values"].as_array().unwrap().len(), 1);
}

#[test]
fn sockets_are_told_only_where_a_file_of_them_is() {
    let want = Netdev::want(&Options::default(), Asker::Otlp);
    let none = Tree::new(&[("proc/net/dev", DEV)]);
    assert_eq!(
        read(&none.machine, &Options::default(), &want)
            .reading
            .connections,
        None
    );
    let tcp = "  sl  local\n 0: 0100007F:0CEA 00000000:0000 0A 0:0\n";
    let some = Tree::new(&[("proc/net/dev", DEV), ("proc/net/tcp6", tcp)]);
    let states = read(&some.machine, &Options::default(), &want)
        .reading
        .connections;
    assert_eq!(states, Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
}

#[test]
fn the_live_kernel_tells_the_loopback_by_netlink_with_its_address() {
    let page = page(
        &machine(Roots::default()),
        &options(&[("address-info", "true")]),
    );
    assert!(page.contains("node_network_receive_nohandler_total{device=\"lo\"} "));
    assert!(page.contains("\nnode_network_receive_bytes_total{device=\"lo\"} "));
    let address = "node_network_address_info{address=\"127.0.0.1\",device=\"lo\",netmask=\"8\",scope=\"link-local\"} 1\n";
    // A network namespace may have its loopback down, and then no address on it.
    assert!(page.contains(address) || !page.contains("device=\"lo\",netmask"));
}
