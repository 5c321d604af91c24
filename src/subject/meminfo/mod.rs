//! Memory: /proc/meminfo, and /proc/swaps for batches and for a key that names a swap device.
//!
//! Owns the kernel's lines: those the reference knows are told under its names, those it leaves out under one family of
//! ours. Where one bad line costs the reference the whole file, here it costs that line.

mod otlp;
mod parse;
mod zabbix;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Family, Kind, Page, joined, listed};
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Asker, Chosen, Invalid, Item, ItemError, Machine, Past, Subject, Taken, Want,
};

#[doc(hidden)]
pub use parse::{Line, Swap, Values, swaps, values};

/// The subject.
pub struct Meminfo;

/// How memory is told.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Instruments to tell over OTLP beside those that always are. Default: none.
    pub instruments: Chosen<Meminfo>,
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Swap devices too.
    swaps: bool,
}

impl Want for Wanted {
    fn merge(&mut self, other: &Self) {
        self.swaps |= other.swaps;
    }
    fn covers(&self, other: &Self) -> bool {
        self.swaps || !other.swaps
    }
}

/// What the kernel says of its memory.
#[derive(Debug)]
pub struct Reading {
    values: Values,
    /// Swap devices, if they were asked for and could be read.
    swaps: Vec<Swap>,
}

macro_rules! table {
    ($($key:literal $family:literal $help:literal;)* + $($more:literal)*) => {
        /// Lines the reference tells, one family each.
        const TOLD_ALONE: usize = [$($key),*].len();
        /// The keys of /proc/meminfo in the kernel's order, then those the reference leaves out.
        static KEYS: [&str; [$($key,)* $($more),*].len()] = [$($key,)* $($more),*];
        static TOLD: [Family<Meminfo, 0>; TOLD_ALONE] =
            [$(Family::new($family, Kind::Gauge, [], $help)),*];
    };
}

table! {
    "MemTotal" "node_memory_MemTotal_bytes" "Memory the kernel manages";
    "MemFree" "node_memory_MemFree_bytes" "Memory nobody uses";
    "MemAvailable" "node_memory_MemAvailable_bytes" "Memory new programs could have without swapping, as the kernel estimates it";
    "Buffers" "node_memory_Buffers_bytes" "Cache of raw block devices";
    "Cached" "node_memory_Cached_bytes" "Page cache, without buffers and swap cache";
    "SwapCached" "node_memory_SwapCached_bytes" "Swapped memory that is in memory too";
    "Active" "node_memory_Active_bytes" "Memory used lately, reclaimed only under need";
    "Inactive" "node_memory_Inactive_bytes" "Memory not used lately, reclaimed first";
    "Active(anon)" "node_memory_Active_anon_bytes" "Active memory without a file behind it";
    "Inactive(anon)" "node_memory_Inactive_anon_bytes" "Inactive memory without a file behind it";
    "Active(file)" "node_memory_Active_file_bytes" "Active page cache";
    "Inactive(file)" "node_memory_Inactive_file_bytes" "Inactive page cache";
    "Unevictable" "node_memory_Unevictable_bytes" "Memory that cannot be reclaimed";
    "Mlocked" "node_memory_Mlocked_bytes" "Memory locked by mlock";
    "SwapTotal" "node_memory_SwapTotal_bytes" "Swap there is";
    "SwapFree" "node_memory_SwapFree_bytes" "Swap nobody uses";
    "Zswap" "node_memory_Zswap_bytes" "Memory compressed swap takes";
    "Zswapped" "node_memory_Zswapped_bytes" "Memory that is in compressed swap, before compression";
    "Dirty" "node_memory_Dirty_bytes" "Page cache waiting to be written";
    "Writeback" "node_memory_Writeback_bytes" "Page cache being written";
    "AnonPages" "node_memory_AnonPages_bytes" "Mapped memory without a file behind it";
    "Mapped" "node_memory_Mapped_bytes" "Mapped files";
    "Shmem" "node_memory_Shmem_bytes" "Shared memory and tmpfs";
    "Slab" "node_memory_Slab_bytes" "Kernel caches of objects";
    "SReclaimable" "node_memory_SReclaimable_bytes" "The part of Slab that can be reclaimed";
    "SUnreclaim" "node_memory_SUnreclaim_bytes" "The part of Slab that cannot be reclaimed";
    "KernelStack" "node_memory_KernelStack_bytes" "Kernel stacks of all tasks";
    "PageTables" "node_memory_PageTables_bytes" "Page tables of user space";
    "NFS_Unstable" "node_memory_NFS_Unstable_bytes" "NFS pages sent and not yet on the server's disk";
    "Bounce" "node_memory_Bounce_bytes" "Bounce buffers of block devices";
    "WritebackTmp" "node_memory_WritebackTmp_bytes" "Write buffers of FUSE";
    "CommitLimit" "node_memory_CommitLimit_bytes" "Memory that can be promised under strict overcommit";
    "Committed_AS" "node_memory_Committed_AS_bytes" "Memory promised to programs";
    "VmallocTotal" "node_memory_VmallocTotal_bytes" "Size of the vmalloc area";
    "VmallocUsed" "node_memory_VmallocUsed_bytes" "Used part of the vmalloc area";
    "VmallocChunk" "node_memory_VmallocChunk_bytes" "Largest free part of the vmalloc area";
    "Percpu" "node_memory_Percpu_bytes" "Memory of per-CPU allocations";
    "HardwareCorrupted" "node_memory_HardwareCorrupted_bytes" "Memory the kernel found broken and put aside";
    "AnonHugePages" "node_memory_AnonHugePages_bytes" "Transparent huge pages without a file behind them";
    "ShmemHugePages" "node_memory_ShmemHugePages_bytes" "Huge pages of shared memory and tmpfs";
    "ShmemPmdMapped" "node_memory_ShmemPmdMapped_bytes" "Huge pages of shared memory that are mapped";
    "CmaTotal" "node_memory_CmaTotal_bytes" "Size of the contiguous memory area";
    "CmaFree" "node_memory_CmaFree_bytes" "Free part of the contiguous memory area";
    "HugePages_Total" "node_memory_HugePages_Total" "Huge pages in the pool";
    "HugePages_Free" "node_memory_HugePages_Free" "Huge pages nobody uses";
    "HugePages_Rsvd" "node_memory_HugePages_Rsvd" "Huge pages promised and not yet used";
    "HugePages_Surp" "node_memory_HugePages_Surp" "Huge pages beyond the size of the pool";
    "Hugepagesize" "node_memory_Hugepagesize_bytes" "Size of a huge page";
    "DirectMap4k" "node_memory_DirectMap4k_bytes" "Memory the kernel maps in 4 KiB pages";
    "DirectMap2M" "node_memory_DirectMap2M_bytes" "Memory the kernel maps in 2 MiB pages";
    "DirectMap1G" "node_memory_DirectMap1G_bytes" "Memory the kernel maps in 1 GiB pages";
    + "KReclaimable" "SecPageTables" "FileHugePages" "FilePmdMapped" "Unaccepted" "Balloon" "GPUActive" "GPUReclaim" "Hugetlb"
}

crate::families! { Meminfo:
    MORE gauge "nodeward_meminfo_bytes" ["field"] "Lines of /proc/meminfo that have no family of their own";
}

static DECLARED: [&dyn Declared; TOLD_ALONE + 1] = joined(&[&listed(&TOLD), FAMILIES]);

impl Subject for Meminfo {
    const NAME: &'static str = "meminfo";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    const INSTRUMENTS: &'static [&'static dyn Named] = otlp::INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Wanted;
    type Reading = Reading;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &Options, asker: Asker) -> Wanted {
        Wanted {
            swaps: asker == Asker::Otlp,
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "meminfo")?;
        let mut errors = Vec::new();
        let values = values(&text, &mut errors);
        let complete = errors.is_empty();
        let mut listed = Vec::new();
        if want.swaps {
            match pass.file(Root::Proc, "swaps") {
                Ok(text) => listed = swaps(&text),
                Err(why) => errors.push(ItemError {
                    kind: "swaps",
                    item: "swaps".into(),
                    why: why.to_string(),
                }),
            }
        }
        Ok(Taken {
            reading: Reading {
                values,
                swaps: listed,
            },
            errors,
            complete,
        })
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        for (family, value) in TOLD.iter().zip(reading.values.all()) {
            if let Some(value) = value {
                page.value(family, value);
            }
        }
        let mut more = page.family(&MORE);
        for (key, value) in KEYS.iter().zip(reading.values.all()).skip(TOLD_ALONE) {
            if let Some(value) = value {
                more.push([key], value);
            }
        }
    }

    fn otlp(options: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        otlp::tell(options, past.now, batch);
    }
}

#[cfg(test)]
mod tests;
