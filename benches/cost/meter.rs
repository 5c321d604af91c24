//! CPU time and memory of a process, and medians.

/// A count as a double.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact far beyond what is counted here"
)]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// CPU seconds a process has used: all its threads, those that ended included. In ticks of 10 ms, so measure many repetitions.
pub fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<u64>().ok())
            .unwrap_or(0)
    };
    float(ticks(11) + ticks(12)) / 100.0
}

/// CPU seconds of all threads of a process that are there now, to the nanosecond (proc(5), schedstat): where a round is so short that
/// ticks would be all that is measured.
fn exact_cpu(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let spent = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            stat.split_whitespace().next()?.parse::<u64>().ok()
        });
    float(spent.sum()) / 1e9
}

/// CPU seconds of the processes of a group: an agent that forks answers in children.
pub fn cpu_of_group(leader: u32) -> f64 {
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned())?;
        rest.split_whitespace().nth(2)?.parse::<u32>().ok()
    };
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok())
        .filter(|pid| group(*pid) == Some(leader))
        .map(exact_cpu)
        .sum()
}

/// Resident bytes and anonymous resident bytes.
pub fn memory(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let value = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        float(value.unwrap_or(0)) * 1024.0
    };
    (kib("VmRSS:"), kib("RssAnon:"))
}

/// CPU seconds of this process itself.
pub fn own_cpu() -> f64 {
    cpu(std::process::id())
}

/// The median; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The value that a share of all is not above; 0 of nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into what is in memory"
)]
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = (float(values.len() as u64) * share) as usize;
    let at = at.min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(0.0)
}

/// Seconds as text with a fitting unit.
pub fn time(seconds: f64) -> String {
    if seconds >= 1e-3 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// Bytes as MiB.
pub fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / (1024.0 * 1024.0))
}
