//! The kernel's pool of randomness: /proc/sys/kernel/random (random(4)).

use crate::dialect::prometheus::{Declared, Page};
use crate::host::{Pass, Root};
use crate::subject::{Absent, Asker, Invalid, ItemError, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Entropy;

crate::families! { Entropy:
    AVAILABLE gauge "node_entropy_available_bits" [] "Bits of entropy the kernel has gathered";
    POOL gauge "node_entropy_pool_size_bits" [] "Bits the pool of entropy holds";
}

/// Bits available, and bits of the pool.
pub struct Reading(u64, Option<u64>);

impl Subject for Entropy {
    const NAME: &'static str = "entropy";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let available = pass.number(Root::Proc, "sys/kernel/random/entropy_avail")?;
        let mut errors = Vec::new();
        let pool = pass.number(Root::Proc, "sys/kernel/random/poolsize");
        let pool =
            pool.map_err(|e| errors.push(ItemError::new("number", b"poolsize", e.to_string())));
        Ok(Taken::lacking(Reading(available, pool.ok()), errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        page.value(&AVAILABLE, reading.0);
        if let Some(pool) = reading.1 {
            page.value(&POOL, pool);
        }
    }
}
