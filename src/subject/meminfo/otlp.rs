//! Memory as hostmetrics tells it.

use super::{Line, Meminfo, Options, Reading, Values};
use crate::dialect::Number;
use crate::dialect::otlp::{Batch, Instrument};
use crate::host::page_size;

crate::instruments! { Meminfo:
    USAGE updown int "system.memory.usage" "By" ["state"] "Memory by what it is used for";
    PAGING updown int "system.paging.usage" "By" ["device", "state"] "Swap by device";
    UTILIZATION gauge double optional "system.memory.utilization" "1" ["state"] "Share of the memory by what it is used for";
    LIMIT updown int optional "system.memory.limit" "By" [] "Memory the kernel manages";
    PAGE_SIZE gauge int optional "system.memory.page_size" "By" [] "Size of a page";
    AVAILABLE updown int optional "system.linux.memory.available" "By" [] "Memory new programs could have without swapping, as the kernel estimates it";
    DIRTY updown int optional "system.linux.memory.dirty" "By" [] "Page cache waiting to be written";
    SHARED updown int optional "system.memory.linux.shared" "By" [] "Shared memory and tmpfs";
    SLAB updown int optional "system.memory.linux.slab.usage" "By" ["system.memory.linux.slab.state"] "Kernel caches of objects";
    HUGE_LIMIT updown int optional "system.memory.linux.hugepages.limit" "{page}" [] "Huge pages in the pool";
    HUGE_SIZE updown int optional "system.memory.linux.hugepages.page_size" "By" [] "Size of a huge page";
    HUGE_RESERVED updown int optional "system.memory.linux.hugepages.reserved" "{page}" [] "Huge pages promised and not yet used";
    HUGE_SURPLUS updown int optional "system.memory.linux.hugepages.surplus" "{page}" [] "Huge pages beyond the size of the pool";
    HUGE_USAGE updown int optional "system.memory.linux.hugepages.usage" "{page}" ["system.memory.linux.hugepages.state"] "Huge pages used and free";
    HUGE_UTILIZATION gauge double optional "system.memory.linux.hugepages.utilization" "1" ["system.memory.linux.hugepages.state"] "Share of the huge pages used and free";
    PAGING_UTILIZATION gauge double optional "system.paging.utilization" "1" ["device", "state"] "Share of the swap used and free by device";
}

/// Instruments that are one line of the file each.
static LINES: [(&Instrument<Meminfo, 0>, Line); 8] = [
    (&LIMIT, Line::TOTAL),
    (&AVAILABLE, Line::AVAILABLE),
    (&DIRTY, Line::DIRTY),
    (&SHARED, Line::SHMEM),
    (&HUGE_LIMIT, Line::HUGE_TOTAL),
    (&HUGE_SIZE, Line::HUGE_SIZE),
    (&HUGE_RESERVED, Line::HUGE_RESERVED),
    (&HUGE_SURPLUS, Line::HUGE_SURPLUS),
];

/// A part of a whole, from 0 to 1; none of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    let whole = Number::from(whole).as_f64();
    (whole > 0.0).then(|| Number::from(part).as_f64() / whole)
}

/// What memory is used for.
fn states(values: &Values) -> [(&'static str, Option<u64>); 6] {
    let get = |line| values.get(line);
    let reclaimable = get(Line::SRECLAIMABLE);
    // The reference counts reclaimable slab as cache, beside telling it alone.
    let cached = get(Line::CACHED).map(|c| c.saturating_add(reclaimable.unwrap_or(0)));
    let used = get(Line::TOTAL).and_then(|total| {
        let rest = match get(Line::AVAILABLE) {
            Some(available) => available,
            // Kernels before 3.14 estimate nothing.
            None => get(Line::FREE)?
                .saturating_add(get(Line::BUFFERS)?)
                .saturating_add(cached?),
        };
        Some(total.saturating_sub(rest))
    });
    [
        ("used", used),
        ("free", get(Line::FREE)),
        ("buffered", get(Line::BUFFERS)),
        ("cached", cached),
        ("slab_reclaimable", reclaimable),
        ("slab_unreclaimable", get(Line::SUNRECLAIM)),
    ]
}

pub(super) fn tell(options: &Options, reading: &Reading, batch: &mut Batch<'_, '_, Meminfo>) {
    let values = &reading.values;
    let chosen = &options.instruments;
    let states = states(values);
    let mut usage = batch.instrument(&USAGE);
    for (state, value) in states {
        if let Some(value) = value {
            usage.push([state], value);
        }
    }
    drop(usage);
    if chosen.has(&UTILIZATION)
        && let Some(total) = values.get(Line::TOTAL)
    {
        let mut utilization = batch.instrument(&UTILIZATION);
        for (state, value) in states {
            if let Some(share) = value.and_then(|value| share(value, total)) {
                utilization.push([state], share);
            }
        }
    }
    for (instrument, line) in LINES {
        if chosen.has(instrument)
            && let Some(value) = values.get(line)
        {
            batch.value(instrument, value);
        }
    }
    if chosen.has(&PAGE_SIZE) {
        batch.value(&PAGE_SIZE, page_size() as u64);
    }
    if chosen.has(&SLAB) {
        let mut slab = batch.instrument(&SLAB);
        for (state, line) in [
            ("reclaimable", Line::SRECLAIMABLE),
            ("unreclaimable", Line::SUNRECLAIM),
        ] {
            if let Some(value) = values.get(line) {
                slab.push([state], value);
            }
        }
    }
    huge_pages(options, values, batch);
    let mut paging = batch.instrument(&PAGING);
    let swaps = || {
        reading.swaps.iter().flat_map(|swap| {
            let free = swap.total.saturating_sub(swap.used);
            [("used", swap.used), ("free", free)].map(|(state, value)| (swap, state, value))
        })
    };
    for (swap, state, value) in swaps() {
        paging.push([&swap.device, state], value);
    }
    drop(paging);
    if chosen.has(&PAGING_UTILIZATION) {
        let mut utilization = batch.instrument(&PAGING_UTILIZATION);
        for (swap, state, value) in swaps() {
            if let Some(share) = share(value, swap.total) {
                utilization.push([&swap.device, state], share);
            }
        }
    }
}

fn huge_pages(options: &Options, values: &Values, batch: &mut Batch<'_, '_, Meminfo>) {
    let (Some(total), Some(free)) = (values.get(Line::HUGE_TOTAL), values.get(Line::HUGE_FREE))
    else {
        return;
    };
    let states = [("used", total.saturating_sub(free)), ("free", free)];
    if options.instruments.has(&HUGE_USAGE) {
        let mut usage = batch.instrument(&HUGE_USAGE);
        for (state, value) in states {
            usage.push([state], value);
        }
    }
    if options.instruments.has(&HUGE_UTILIZATION) {
        let mut utilization = batch.instrument(&HUGE_UTILIZATION);
        for (state, value) in states {
            if let Some(share) = share(value, total) {
                utilization.push([state], share);
            }
        }
    }
}
