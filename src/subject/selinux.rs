//! Whether SELinux guards this machine, and how: selinuxfs below sysfs, /etc/selinux/config (selinux_config(5)).
//!
//! Both are read below the roots, so that a container that is given the host's tells the host's; node_exporter asks its own kernel
//! and its own /etc.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{lines, trim, unsigned};
use crate::host::{Pass, Root};
use crate::subject::{Absent, Asker, Invalid, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Selinux;

crate::families! { Selinux:
    CONFIG gauge "node_selinux_config_mode" [] "Mode at the next boot: 1 enforcing, 0 permissive, -1 disabled; only where it is enabled";
    CURRENT gauge "node_selinux_current_mode" [] "Mode now: 1 enforcing, 0 permissive; only where it is enabled";
    ENABLED gauge "node_selinux_enabled" [] "Whether SELinux is enabled";
}

/// The modes now and at the next boot; none where it is not enabled.
pub struct Reading(Option<(f64, f64)>);

/// The mode that the config asks for; disabled if it says nothing.
fn configured(text: &[u8]) -> f64 {
    let mut values = lines(text).filter_map(|line| trim(line).strip_prefix(b"SELINUX="));
    match values.next() {
        Some(b"enforcing" | b"\"enforcing\"") => 1.0,
        Some(b"permissive" | b"\"permissive\"") => 0.0,
        _ => -1.0,
    }
}

impl Subject for Selinux {
    const NAME: &'static str = "selinux";
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
        let Ok(enforcing) = pass.attribute("fs/selinux/enforce") else {
            return Ok(Reading(None).into());
        };
        // Without a policy everything is labelled as the kernel itself, and nothing is guarded.
        let own = pass.once(Root::Proc, "self/attr/current");
        if own.is_ok_and(|label| trim(label).strip_suffix(b"\0").unwrap_or(label) == b"kernel") {
            return Ok(Reading(None).into());
        }
        let now = match unsigned(&enforcing) {
            Some(0) => 0.0,
            Some(_) => 1.0,
            None => -1.0,
        };
        let next = pass.once(Root::Rootfs, "etc/selinux/config");
        let next = next.map_or(-1.0, configured);
        Ok(Reading(Some((now, next))).into())
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        if let Some((now, next)) = reading.0 {
            page.value(&CONFIG, next);
            page.value(&CURRENT, now);
        }
        page.value(&ENABLED, reading.0.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn tells_both_modes_where_it_is_enabled() {
        let machine = Captured::new(&[("proc/self/attr/current", "unconfined_t\0")]);
        let (page, _) = machine.page::<Selinux>(&[]);
        assert_eq!(page, "node_selinux_enabled 0\n");
        machine.put("sys/fs/selinux/enforce", "0");
        let (page, _) = machine.page::<Selinux>(&[]);
        let told =
            "node_selinux_config_mode -1\nnode_selinux_current_mode 0\nnode_selinux_enabled 1\n";
        assert_eq!(page, told);
        let config =
            "# SELINUX=disabled\nSELINUXTYPE=targeted\n SELINUX=enforcing \nSELINUX=permissive\n";
        machine.put("etc/selinux/config", config);
        let (page, _) = machine.page::<Selinux>(&[]);
        assert!(page.starts_with("node_selinux_config_mode 1\n"), "{page}");
        machine.put("proc/self/attr/current", "kernel\0");
        let (page, _) = machine.page::<Selinux>(&[]);
        assert_eq!(page, "node_selinux_enabled 0\n");
    }
}
