//! Expressions in the style that users have: panels, recording rules, alerts.
//!
//! `$i` stands for the matchers of one exporter on one machine.

/// Where an expression is asked, and what for.
pub struct Asked {
    /// The machines whose series it is about.
    pub hosts: &'static [&'static str],
    /// The expression.
    pub text: &'static str,
    /// Whether there must be no result: an alert that does not fire, as it must not.
    pub quiet: bool,
}

const fn on(hosts: &'static [&'static str], text: &'static str) -> Asked {
    Asked {
        hosts,
        text,
        quiet: false,
    }
}

const fn quiet(hosts: &'static [&'static str], text: &'static str) -> Asked {
    Asked {
        hosts,
        text,
        quiet: true,
    }
}

const LIVE: &[&str] = &["live"];
const BOTH: &[&str] = &["live", "server"];
const SERVER: &[&str] = &["server"];
const STORAGE: &[&str] = &["storage"];
const ARM: &[&str] = &["arm"];
const VM: &[&str] = &["vm"];
/// Machines that say what they run.
const KNOWN: &[&str] = &["live", "server", "arm", "vm"];
const SYSTEMD: &[&str] = &["systemd"];
const ALL: &[&str] = &["live", "server", "storage", "arm", "vm"];

/// All of them, by what they read.
#[rustfmt::skip]
pub const EXPRESSIONS: &[Asked] = &[
    // cpu
    on(ALL, r#"count by (instance) (count by (instance, cpu) (node_cpu_seconds_total{$i}))"#),
    on(BOTH, r#"1 - avg without (cpu, mode) (rate(node_cpu_seconds_total{$i, mode="idle"}[20s]))"#),
    on(BOTH, r#"sum by (mode) (irate(node_cpu_seconds_total{$i}[20s]))"#),
    on(BOTH, r#"100 * sum by (instance) (rate(node_cpu_seconds_total{$i, mode=~"user|system|nice"}[20s])) / scalar(count(count by (cpu) (node_cpu_seconds_total{$i})))"#),
    on(BOTH, r#"sum without (cpu) (increase(node_cpu_seconds_total{$i, mode!~"idle|iowait|steal"}[20s]))"#),
    on(ALL, r#"topk(1, sum by (cpu) (node_cpu_seconds_total{$i, mode="user"}))"#),
    on(SERVER, r#"bottomk(2, node_cpu_seconds_total{$i, mode="idle"})"#),
    on(SERVER, r#"count by (model_name) (node_cpu_info{$i})"#),
    on(SERVER, r#"sum by (package) (node_cpu_core_throttles_total{$i})"#),
    on(BOTH, r#"max by (mode) (node_cpu_guest_seconds_total{$i})"#),
    quiet(BOTH, r#"sum by (instance) (rate(node_cpu_seconds_total{$i, mode="steal"}[20s])) > 100"#),
    // cpufreq
    on(SERVER, r#"avg by (instance) (node_cpu_scaling_frequency_hertz{$i}) / 1e9"#),
    on(SERVER, r#"node_cpu_scaling_frequency_hertz{$i} / on (instance, cpu) node_cpu_scaling_frequency_max_hertz{$i}"#),
    on(SERVER, r#"count by (governor) (node_cpu_scaling_governor{$i} == 1)"#),
    on(ARM, r#"max(node_cpu_scaling_frequency_max_hertz{$i}) - min(node_cpu_scaling_frequency_min_hertz{$i})"#),
    // meminfo
    on(ALL, r#"node_memory_MemTotal_bytes{$i}"#),
    on(ALL, r#"1 - node_memory_MemAvailable_bytes{$i} / node_memory_MemTotal_bytes{$i}"#),
    on(ALL, r#"100 * (1 - (node_memory_MemFree_bytes{$i} + node_memory_Cached_bytes{$i} + node_memory_Buffers_bytes{$i}) / node_memory_MemTotal_bytes{$i})"#),
    on(SERVER, r#"(node_memory_SwapTotal_bytes{$i} - node_memory_SwapFree_bytes{$i}) / (node_memory_SwapTotal_bytes{$i} > 0)"#),
    on(ALL, r#"clamp_max(node_memory_Committed_AS_bytes{$i} / node_memory_CommitLimit_bytes{$i}, 10)"#),
    on(ALL, r#"sort_desc({$i, __name__=~"node_memory_(Slab|SReclaimable|SUnreclaim)_bytes"})"#),
    on(SERVER, r#"predict_linear(node_memory_MemAvailable_bytes{$i}[20s], 3600) / 2^30"#),
    on(SERVER, r#"deriv(node_memory_Dirty_bytes{$i}[20s])"#),
    quiet(ALL, r#"node_memory_MemAvailable_bytes{$i} / node_memory_MemTotal_bytes{$i} > 1"#),
    // filesystem
    on(ALL, r#"count by (fstype) (node_filesystem_size_bytes{$i})"#),
    on(ALL, r#"100 - 100 * node_filesystem_avail_bytes{$i, fstype!~"tmpfs|ramfs"} / (node_filesystem_size_bytes{$i} > 0)"#),
    on(BOTH, r#"predict_linear(node_filesystem_avail_bytes{$i, fstype!=""}[20s], 24 * 3600) > bool 0"#),
    on(BOTH, r#"node_filesystem_files_free{$i} / on (instance, device, mountpoint, fstype, device_error) (node_filesystem_files{$i} > 0)"#),
    on(ALL, r#"sum by (instance) (node_filesystem_readonly{$i})"#),
    on(ALL, r#"max by (mountpoint) (node_filesystem_device_error{$i})"#),
    on(SERVER, r#"count by (mountpoint) (node_filesystem_mount_info{$i})"#),
    quiet(ALL, r#"node_filesystem_avail_bytes{$i} > node_filesystem_size_bytes{$i}"#),
    // netdev
    on(BOTH, r#"sum by (instance) (rate(node_network_receive_bytes_total{$i, device!="lo"}[20s]) * 8)"#),
    on(BOTH, r#"rate(node_network_transmit_packets_total{$i}[20s])"#),
    on(LIVE, r#"increase(node_network_receive_errs_total{$i}[20s]) / (increase(node_network_receive_packets_total{$i}[20s]) > 0)"#),
    on(SERVER, r#"topk(3, node_network_receive_bytes_total{$i} + node_network_transmit_bytes_total{$i})"#),
    on(SERVER, r#"label_replace(sum by (device) (node_network_receive_drop_total{$i}), "kind", "$1", "device", "([a-z]+).*")"#),
    quiet(BOTH, r#"rate(node_network_receive_errs_total{$i}[20s]) > 1000"#),
    // diskstats
    on(BOTH, r#"rate(node_disk_read_bytes_total{$i}[20s]) + rate(node_disk_written_bytes_total{$i}[20s])"#),
    on(SERVER, r#"node_disk_read_time_seconds_total{$i} / node_disk_reads_completed_total{$i}"#),
    on(BOTH, r#"sum by (device) (rate(node_disk_io_time_weighted_seconds_total{$i, device=~"(nvme|sd|vd|xvd|dm-).+"}[20s]))"#),
    on(BOTH, r#"max_over_time(node_disk_io_now{$i}[20s])"#),
    on(SERVER, r#"node_disk_written_bytes_total{$i} * on (instance, device) group_left (model, serial) node_disk_info{$i}"#),
    on(SERVER, r#"sum by (name) (node_disk_device_mapper_info{$i})"#),
    // netstat
    on(BOTH, r#"rate(node_netstat_Tcp_InSegs{$i}[20s])"#),
    on(ALL, r#"node_netstat_Tcp_CurrEstab{$i}"#),
    on(SERVER, r#"node_netstat_Tcp_RetransSegs{$i} / node_netstat_Tcp_OutSegs{$i}"#),
    on(BOTH, r#"{$i, __name__=~"node_netstat_Udp6?_(In|Out)Datagrams"}"#),
    on(BOTH, r#"irate(node_netstat_IpExt_OutOctets{$i}[20s])"#),
    // timex
    on(ALL, r#"abs(node_timex_offset_seconds{$i}) < bool 0.05"#),
    on(ALL, r#"min_over_time(node_timex_sync_status{$i}[20s])"#),
    on(ALL, r#"node_timex_tick_seconds{$i} * 1e6"#),
    on(ALL, r#"node_timex_status{$i} % 64"#),
    // sockstat
    on(BOTH, r#"node_sockstat_sockets_used{$i}"#),
    on(SERVER, r#"node_sockstat_TCP_mem_bytes{$i} / 1024"#),
    on(SERVER, r#"node_sockstat_TCP_tw{$i} + node_sockstat_TCP_inuse{$i}"#),
    on(ALL, r#"sum({$i, __name__=~"node_sockstat_(RAW|UDP|UDPLITE)6?_inuse"})"#),
    // tcpstat
    on(LIVE, r#"count(node_tcp_connection_states{$i} >= 0) > bool 0"#),
    on(LIVE, r#"sum by (state) (node_tcp_connection_states{$i, state="listen"})"#),
    // vmstat
    on(BOTH, r#"rate(node_vmstat_pgmajfault{$i}[20s])"#),
    on(BOTH, r#"rate(node_vmstat_pgfault{$i}[20s]) - rate(node_vmstat_pgmajfault{$i}[20s])"#),
    on(BOTH, r#"delta(node_vmstat_oom_kill{$i}[20s])"#),
    quiet(BOTH, r#"increase(node_vmstat_oom_kill{$i}[20s]) > 100"#),
    // pressure
    on(BOTH, r#"rate(node_pressure_cpu_waiting_seconds_total{$i}[20s])"#),
    on(BOTH, r#"max by (instance) (rate(node_pressure_io_waiting_seconds_total{$i}[20s])) * 100"#),
    on(SERVER, r#"node_pressure_memory_stalled_seconds_total{$i} <= node_pressure_memory_waiting_seconds_total{$i}"#),
    // loadavg
    on(ALL, r#"node_load1{$i}"#),
    on(ALL, r#"node_load15{$i} / on (instance) count by (instance) (count by (instance, cpu) (node_cpu_seconds_total{$i}))"#),
    on(SERVER, r#"quantile_over_time(0.5, node_load5{$i}[20s])"#),
    // hwmon
    on(SERVER, r#"max by (chip) (node_hwmon_temp_celsius{$i})"#),
    on(SERVER, r#"node_hwmon_temp_celsius{$i} / on (instance, chip, sensor) node_hwmon_temp_crit_celsius{$i}"#),
    on(SERVER, r#"node_hwmon_temp_celsius{$i} * on (instance, chip) group_left (chip_name) node_hwmon_chip_names{$i}"#),
    on(SERVER, r#"count(node_hwmon_temp_crit_alarm_celsius{$i} > 0)"#),
    quiet(SERVER, r#"node_hwmon_temp_crit_alarm_celsius{$i} == 1"#),
    // netclass
    on(SERVER, r#"count by (operstate) (node_network_info{$i, device!="lo"})"#),
    on(BOTH, r#"node_network_up{$i} == 1"#),
    on(SERVER, r#"rate(node_network_receive_bytes_total{$i}[20s]) / on (instance, device) (node_network_speed_bytes{$i} > 0)"#),
    on(BOTH, r#"stddev by (instance) (node_network_mtu_bytes{$i})"#),
    on(BOTH, r#"changes(node_network_carrier_changes_total{$i}[20s])"#),
    // stat
    on(BOTH, r#"rate(node_context_switches_total{$i}[20s]) / 1000"#),
    on(BOTH, r#"rate(node_intr_total{$i}[20s])"#),
    on(ALL, r#"node_procs_blocked{$i} > bool 50"#),
    on(ALL, r#"(node_time_seconds{$i} - node_boot_time_seconds{$i}) > bool 600"#),
    on(ALL, r#"node_boot_time_seconds{$i}"#),
    on(SERVER, r#"topk(3, node_softirqs_total{$i})"#),
    // processes
    on(ALL, r#"sum by (instance) (node_processes_state{$i}) > bool 0"#),
    on(SERVER, r#"node_processes_state{$i, state=~"Z|D|R"}"#),
    on(BOTH, r#"node_processes_max_threads{$i}"#),
    on(SERVER, r#"node_processes_threads{$i} / node_processes_max_threads{$i}"#),
    // softnet
    on(BOTH, r#"sum by (instance) (rate(node_softnet_processed_total{$i}[20s]))"#),
    on(SERVER, r#"node_softnet_times_squeezed_total{$i} / on (instance, cpu) node_softnet_processed_total{$i}"#),
    quiet(BOTH, r#"rate(node_softnet_dropped_total{$i}[20s]) > 1000"#),
    // schedstat
    on(SERVER, r#"sum by (cpu) (node_schedstat_waiting_seconds_total{$i}) / sum by (cpu) (node_schedstat_running_seconds_total{$i})"#),
    on(VM, r#"node_schedstat_timeslices_total{$i}"#),
    // mdadm
    on(STORAGE, r#"node_md_disks_required{$i} - ignoring (state) node_md_disks{$i, state="active"}"#),
    on(STORAGE, r#"node_md_disks{$i, state="failed"} > 0"#),
    on(STORAGE, r#"node_md_blocks_synced{$i} / node_md_blocks{$i}"#),
    on(STORAGE, r#"count by (state) (node_md_state{$i} == 1)"#),
    // filefd
    on(ALL, r#"node_filefd_allocated{$i} * 100 / node_filefd_maximum{$i} > bool 90"#),
    on(SERVER, r#"node_filefd_allocated{$i}"#),
    // conntrack
    on(SERVER, r#"node_nf_conntrack_entries{$i} / node_nf_conntrack_entries_limit{$i}"#),
    on(SERVER, r#"node_nf_conntrack_stat_drop{$i} + node_nf_conntrack_stat_early_drop{$i}"#),
    // udp_queues
    on(ALL, r#"sum by (queue) (node_udp_queues{$i, ip="v4"})"#),
    // entropy
    on(ALL, r#"node_entropy_available_bits{$i} / on (instance) node_entropy_pool_size_bits{$i}"#),
    // edac
    on(SERVER, r#"sum by (controller) (node_edac_correctable_errors_total{$i})"#),
    on(SERVER, r#"node_edac_uncorrectable_errors_total{$i} > 0"#),
    on(SERVER, r#"sum without (csrow) (node_edac_csrow_correctable_errors_total{$i, csrow!="unknown"})"#),
    // bonding
    on(SERVER, r#"node_bonding_slaves{$i} - node_bonding_active{$i}"#),
    on(STORAGE, r#"(node_bonding_active{$i} != node_bonding_slaves{$i}) or on () vector(0)"#),
    // time
    on(SERVER, r#"node_time_clocksource_current_info{$i} unless on (instance, device) node_time_clocksource_available_info{$i, clocksource="none"}"#),
    on(ALL, r#"abs(timestamp(node_time_seconds{$i}) - node_time_seconds{$i}) < bool 5"#),
    on(ALL, r#"node_time_zone_offset_seconds{$i} / 3600"#),
    // arp
    on(SERVER, r#"sum(node_arp_entries{$i})"#),
    // interrupts
    on(SERVER, r#"topk(5, sum by (type, devices) (node_interrupts_total{$i}))"#),
    on(LIVE, r#"sum by (cpu) (rate(node_interrupts_total{$i}[20s]))"#),
    // thermal_zone
    on(SERVER, r#"max by (type) (node_thermal_zone_temp{$i})"#),
    on(SERVER, r#"node_thermal_zone_temp{$i} > 40 and node_thermal_zone_temp{$i} < 120"#),
    on(SERVER, r#"node_cooling_device_cur_state{$i} / node_cooling_device_max_state{$i}"#),
    // kernel_hung
    on(SERVER, r#"node_kernel_hung_tasks_total{$i} > 0"#),
    // powersupplyclass
    on(ARM, r#"node_power_supply_online{$i}"#),
    on(ARM, r#"count by (power_supply) ({$i, __name__=~"node_power_supply_.+"})"#),
    // nvme
    on(SERVER, r#"count by (model, state) (node_nvme_info{$i})"#),
    on(SERVER, r#"node_nvme_namespace_used_bytes{$i} / on (instance, device, nsid) node_nvme_namespace_size_bytes{$i}"#),
    // infiniband
    on(SERVER, r#"sum by (device) (node_infiniband_port_data_received_bytes_total{$i} + node_infiniband_port_data_transmitted_bytes_total{$i})"#),
    on(SERVER, r#"node_infiniband_state_id{$i} != 4"#),
    // nfs
    on(SERVER, r#"sum by (instance, proto) (node_nfs_requests_total{$i})"#),
    on(SERVER, r#"node_nfs_rpc_retransmissions_total{$i} / (node_nfs_rpcs_total{$i} > 0)"#),
    // nfsd
    on(STORAGE, r#"sum by (instance, proto) (node_nfsd_requests_total{$i})"#),
    on(STORAGE, r#"node_nfsd_reply_cache_hits_total{$i} / (node_nfsd_reply_cache_hits_total{$i} + node_nfsd_reply_cache_misses_total{$i})"#),
    // dmi
    on(SERVER, r#"count by (system_vendor, product_name) (node_dmi_info{$i})"#),
    // os
    on(KNOWN, r#"node_os_info{$i} unless on (instance) node_os_info{$i, id=""}"#),
    on(VM, r#"(node_os_support_end_timestamp_seconds{$i} - 1.7e9) / 86400"#),
    on(VM, r#"node_os_version{$i} >= 12"#),
    // selinux
    on(ALL, r#"node_selinux_enabled{$i}"#),
    // uname
    on(ALL, r#"count by (sysname, machine) (node_uname_info{$i})"#),
    on(ALL, r#"node_load1{$i} * on (instance) group_left (nodename) node_uname_info{$i}"#),
    on(ALL, r#"count(count by (release) (node_uname_info{$i}))"#),
    // systemd
    on(SYSTEMD, r#"count by (type) (node_systemd_unit_state{$i, state="active"} == 1)"#),
    on(SYSTEMD, r#"sum by (state) (node_systemd_units{$i})"#),
    on(SYSTEMD, r#"max by (name) (changes(node_systemd_unit_state{$i, state="active", name=~".+[.]target"}[20s]))"#),
    on(SYSTEMD, r#"node_systemd_system_running{$i} >= 0"#),
    on(SYSTEMD, r#"label_replace(node_systemd_version{$i}, "major", "$1", "version", "([0-9]+).*")"#),
    quiet(SYSTEMD, r#"increase(node_systemd_service_restart_total{$i}[20s]) > 5"#),
    // textfile
    on(SERVER, r#"node_textfile_scrape_error{$i}"#),
    on(SERVER, r#"count(time() - node_textfile_mtime_seconds{$i} > 0)"#),
    on(SERVER, r#"histogram_quantile(0.9, took_seconds_bucket{$i})"#),
    on(SERVER, r#"size_bytes_sum{$i} / size_bytes_count{$i}"#),
    // of all
    on(ALL, r#"up{$i}"#),
    on(ALL, r#"count(node_scrape_collector_success{$i, collector=~"cpu|meminfo|filesystem|netdev"} == 1)"#),
    on(ALL, r#"absent(node_load1{$i, job="none"})"#),
    on(ALL, r#"count(node_exporter_build_info{$i})"#),
    on(ALL, r#"process_start_time_seconds{$i} > bool 1.7e9"#),
    quiet(ALL, r#"absent(node_cpu_seconds_total{$i})"#),
    quiet(ALL, r#"resets(node_context_switches_total{$i}[20s]) > 0"#),
];
