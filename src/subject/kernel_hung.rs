//! Tasks that hung: /proc/sys/kernel/hung_task_detect_count (Documentation/admin-guide/sysctl/kernel.rst), Linux 6.13.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::{Pass, Root};
use crate::subject::{Absent, Asker, Invalid, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct KernelHung;

crate::families! { KernelHung:
    TASKS counter "node_kernel_hung_tasks_total" [] "Tasks that the kernel found hung";
}

impl Subject for KernelHung {
    const NAME: &'static str = "kernel_hung";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = u64;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<u64>, Absent> {
        let tasks = pass.number(Root::Proc, "sys/kernel/hung_task_detect_count")?;
        Ok(tasks.into())
    }

    fn prometheus(_: &NoOptions, reading: &u64, page: &mut Page<'_, Self>) {
        page.value(&TASKS, *reading);
    }
}
