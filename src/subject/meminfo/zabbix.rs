//! Zabbix keys of memory and swap.

use super::{Line, Meminfo, Options, Reading, Wanted};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::subject::{Answer, Args, Item, Said};

const NO_TOTAL: Unsupported =
    Unsupported::new("Cannot calculate percentage because total is zero.");
const NO_VALUE: Unsupported = Unsupported::new("Cannot obtain value from /proc/meminfo.");
const NO_AVAILABLE: Unsupported =
    Unsupported::new("Cannot obtain the value of MemAvailable from /proc/meminfo.");
const LINUX_2_4: Unsupported = Unsupported::new("Supported for Linux 2.4 only.");

pub(super) static KEYS: &[Item<Meminfo>] = &[
    Item {
        name: "vm.memory.size",
        parameters: &["mode"],
        help: "Memory in bytes or percent; modes total (default), free, used, pused, available, pavailable, buffers, cached, active, inactive, anon, slab",
        want: |_, args| match args.param(0) {
            "" | "total" | "free" | "used" | "pused" | "available" | "pavailable" | "buffers"
            | "cached" | "active" | "inactive" | "anon" | "slab" => Ok(Wanted { swaps: false }),
            "shared" => Err(LINUX_2_4),
            _ => Err(Unsupported::invalid_parameter(1)),
        },
        answer: Answer::Now(memory),
    },
    Item {
        name: "system.swap.size",
        parameters: &["device", "type"],
        help: "Swap in bytes or percent; device all (default) or as in /proc/swaps; types free (default), pfree, pused, total, used",
        want: |_, args| {
            let swaps = !matches!(args.param(0), "" | "all");
            match args.param(1) {
                "" | "free" | "pfree" | "pused" | "total" | "used" => Ok(Wanted { swaps }),
                _ if swaps => Err(Unsupported::invalid_parameter(1)),
                _ => Err(Unsupported::invalid_parameter(2)),
            }
        },
        answer: Answer::Now(swap),
    },
];

fn memory(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let get = |line| reading.values.get(line).ok_or(NO_VALUE);
    let total = || get(Line::TOTAL);
    let used = || Ok(total()?.saturating_sub(get(Line::FREE)?));
    // Kernels before 3.14 estimate nothing: the agent then adds what is likely to be free.
    let available = || match reading.values.get(Line::AVAILABLE) {
        Some(available) => Ok(available),
        None => [Line::FREE, Line::BUFFERS, Line::CACHED]
            .into_iter()
            .try_fold(0u64, |sum, line| {
                Ok(sum.saturating_add(reading.values.get(line).ok_or(NO_AVAILABLE)?))
            }),
    };
    match args.param(0) {
        "free" => get(Line::FREE).map(Value::from),
        "used" => used().map(Value::from),
        "pused" => percent(used()?, total()?),
        "available" => available().map(Value::from),
        "pavailable" => percent(available()?, total()?),
        "buffers" => get(Line::BUFFERS).map(Value::from),
        "cached" => get(Line::CACHED).map(Value::from),
        "active" => get(Line::ACTIVE).map(Value::from),
        "inactive" => get(Line::INACTIVE).map(Value::from),
        "anon" => get(Line::ANON).map(Value::from),
        "slab" => get(Line::SLAB).map(Value::from),
        _ => total().map(Value::from),
    }
}

fn percent(part: u64, total: u64) -> Said {
    if total == 0 {
        return Err(NO_TOTAL);
    }
    Ok(share(part, total).into())
}

#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn share(part: u64, total: u64) -> f64 {
    part as f64 / total as f64 * 100.0
}

fn swap(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let (total, free) = match args.param(0) {
        "" | "all" => (
            reading.values.get(Line::SWAP_TOTAL).ok_or(NO_VALUE)?,
            reading.values.get(Line::SWAP_FREE).ok_or(NO_VALUE)?,
        ),
        device => {
            let swap = reading.swaps.iter().find(|swap| swap.device == device);
            // The agents know no device on Linux and refuse each; so do we those that are none.
            let swap = swap.ok_or(Unsupported::invalid_parameter(1))?;
            (swap.total, swap.total.saturating_sub(swap.used))
        }
    };
    let used = total.saturating_sub(free);
    match args.param(1) {
        "total" => Ok(total.into()),
        "used" => Ok(used.into()),
        // Without swap all of it is free.
        "pfree" if total == 0 => Ok(100.0.into()),
        "pused" if total == 0 => Ok(0.0.into()),
        "pfree" => Ok(share(free, total).into()),
        "pused" => Ok(share(used, total).into()),
        _ => Ok(free.into()),
    }
}
