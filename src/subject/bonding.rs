//! Interfaces made of others: /sys/class/net/bonding_masters (Linux Documentation/networking/bonding.rst).

use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::host::parse::{fields, label};
use crate::subject::{Absent, Asker, Invalid, ItemError, Lane, Machine, NoOptions, Subject, Taken};

const CLASS: &str = "class/net";

/// The subject.
pub struct Bonding;

crate::families! { Bonding:
    SLAVES gauge "node_bonding_slaves" ["master"] "Interfaces a bond is made of";
    ACTIVE gauge "node_bonding_active" ["master"] "Interfaces of a bond that are up";
}

/// What was read: name, interfaces, those that are up.
#[derive(Debug, Default)]
pub struct Reading(Vec<(String, u64, u64)>);

/// A list of names in a file; none of them leads elsewhere.
fn list(pass: &mut Pass<'_>, path: &str) -> Result<Vec<String>, crate::host::ReadError> {
    // More than an attribute's first bytes: a bond may have many interfaces.
    let text = pass.once(crate::host::Root::Sys, path)?;
    let names = fields(text).map(|name| label(name).into_owned());
    Ok(names.filter(|name| !name.contains('/')).collect())
}

impl Subject for Bonding {
    const NAME: &'static str = "bonding";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut bonds: Vec<(String, u64, u64)> = Vec::new();
        let mut errors = Vec::new();
        for bond in list(pass, &format!("{CLASS}/bonding_masters"))? {
            let mut error = |item: &str, why: crate::host::ReadError| {
                errors.push(ItemError {
                    kind: "bond",
                    item: item.into(),
                    why: why.to_string(),
                });
            };
            let slaves = match list(pass, &format!("{CLASS}/{bond}/bonding/slaves")) {
                Ok(slaves) => slaves,
                Err(why) => {
                    error(&bond, why);
                    continue;
                }
            };
            let mut up = 0;
            for slave in &slaves {
                let status = |kind: &str| {
                    let place = format!("{CLASS}/{bond}/{kind}_{slave}/bonding_slave");
                    pass.attribute(&format!("{place}/mii_status"))
                };
                // What older kernels call it.
                match status("lower").or_else(|_| status("slave")) {
                    Ok(text) => up += u64::from(text == b"up"),
                    // It is not known to be up, so that a bond is not taken for whole.
                    Err(why) => error(slave, why),
                }
            }
            if !bonds.iter().any(|(known, ..)| *known == bond) {
                bonds.push((bond, slaves.len() as u64, up));
            }
        }
        Ok(Taken::lacking(Reading(bonds), errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&SLAVES);
        reading
            .0
            .iter()
            .for_each(|(name, all, _)| samples.push([name], *all));
        let mut samples = page.family(&ACTIVE);
        reading
            .0
            .iter()
            .for_each(|(name, _, up)| samples.push([name], *up));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn an_interface_that_says_nothing_is_not_up() {
        let machine = Captured::new(&[
            ("sys/class/net/bonding_masters", "bond0 bond1 gone ../x\n"),
            ("sys/class/net/bond0/bonding/slaves", "eth0 eth1 eth2\n"),
            (
                "sys/class/net/bond0/lower_eth0/bonding_slave/mii_status",
                "up\n",
            ),
            (
                "sys/class/net/bond0/slave_eth1/bonding_slave/mii_status",
                "down\n",
            ),
            ("sys/class/net/bond1/bonding/slaves", "\n"),
        ]);
        let (page, errors) = machine.page::<Bonding>(&[]);
        assert_eq!(
            page,
            "node_bonding_slaves{master=\"bond0\"} 3\nnode_bonding_slaves{master=\"bond1\"} 0\n\
             node_bonding_active{master=\"bond0\"} 1\nnode_bonding_active{master=\"bond1\"} 0\n"
        );
        assert_eq!(errors.len(), 2, "{errors:?}");
    }
}
