//! What must hold for any bytes, one check a parser: driven by the fuzzer, and by `cargo test` over
//! the committed corpus.

mod anchors;
mod cgroup;
mod config;
mod cpu_list;
mod cpu_stat;
mod cpuinfo;
mod diskstats;
mod haproxy_answer;
mod hook_alertmanager;
mod hook_zabbix;
mod http_request;
mod mdstat;
mod meminfo;
mod mountinfo;
mod net_dev;
mod net_place;
mod net_tcp;
mod netlink;
mod otlp_answer;
mod proc_counts;
mod process_stat;
mod reading_selector;
mod recorded_hashes;
mod redaction;
mod scraped_page;
mod smtp_reply;
mod spool;
mod textfile;
mod unit_words;
mod web_config;
mod zabbix_active;
mod zabbix_conf;
mod zabbix_delay;
mod zabbix_key;
mod zabbix_packet;
mod zabbix_passive;

/// Panics if something does not hold.
pub type Check = fn(&[u8]);

/// Every check under the name of its target and its corpus.
pub const ALL: &[(&str, Check)] = &[
    ("anchors", anchors::check),
    ("cgroup", cgroup::check),
    ("config", config::check),
    ("cpu_list", cpu_list::check),
    ("cpu_stat", cpu_stat::check),
    ("cpuinfo", cpuinfo::check),
    ("diskstats", diskstats::check),
    ("haproxy_answer", haproxy_answer::check),
    ("hook_alertmanager", hook_alertmanager::check),
    ("hook_zabbix", hook_zabbix::check),
    ("http_request", http_request::check),
    ("mdstat", mdstat::check),
    ("meminfo", meminfo::check),
    ("mountinfo", mountinfo::check),
    ("net_dev", net_dev::check),
    ("net_place", net_place::check),
    ("net_tcp", net_tcp::check),
    ("netlink", netlink::check),
    ("otlp_answer", otlp_answer::check),
    ("proc_counts", proc_counts::check),
    ("process_stat", process_stat::check),
    ("reading_selector", reading_selector::check),
    ("recorded_hashes", recorded_hashes::check),
    ("redaction", redaction::check),
    ("scraped_page", scraped_page::check),
    ("smtp_reply", smtp_reply::check),
    ("spool", spool::check),
    ("textfile", textfile::check),
    ("unit_words", unit_words::check),
    ("web_config", web_config::check),
    ("zabbix_active", zabbix_active::check),
    ("zabbix_conf", zabbix_conf::check),
    ("zabbix_delay", zabbix_delay::check),
    ("zabbix_key", zabbix_key::check),
    ("zabbix_packet", zabbix_packet::check),
    ("zabbix_passive", zabbix_passive::check),
];
