//! NVMe controllers and their namespaces: /sys/class/nvme.
//!
//! `size` counts 512 bytes whatever the namespace formats; the reference multiplies it by the size of its blocks, and so its sizes are told
//! here too, 8 times too large with blocks of 4 KiB.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::host::parse::{label, unsigned};
use crate::subject::{
    Absent, Asker, Invalid, ItemError, Lane, Machine, NoOptions, Subject, Taken, devices,
};

const CLASS: &str = "class/nvme";

/// The subject.
pub struct Nvme;

crate::families! { Nvme:
    INFO gauge "node_nvme_info" ["device", "firmware_revision", "model", "serial", "state", "cntlid"] "What a controller says of itself";
    NAMESPACE gauge "node_nvme_namespace_info" ["device", "nsid", "ana_state"] "A namespace, and how it can be reached";
    CAPACITY gauge "node_nvme_namespace_capacity_bytes" ["device", "nsid"] "Its size as node_exporter computes it: right for blocks of 512 bytes alone";
    SIZE gauge "node_nvme_namespace_size_bytes" ["device", "nsid"] "Its size as node_exporter computes it: right for blocks of 512 bytes alone";
    USED gauge "node_nvme_namespace_used_bytes" ["device", "nsid"] "What is used of it";
    BLOCK gauge "node_nvme_namespace_logical_block_size_bytes" ["device", "nsid"] "Size of its blocks";
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading(Vec<Controller>);

#[derive(Debug)]
struct Controller {
    name: String,
    texts: [String; 5],
    namespaces: Vec<Namespace>,
}

#[derive(Debug)]
struct Namespace {
    id: String,
    reach: String,
    /// Size, what is used, and size of a block.
    numbers: [u64; 3],
}

/// The number of a namespace: 2 of `nvme0n2`, and of a path to one, `nvme0c1n2`, none.
fn id(name: &str) -> Option<String> {
    let rest = name
        .split_once("nvme")?
        .1
        .trim_start_matches(|c: char| c.is_ascii_digit());
    let number = rest.strip_prefix('n')?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| label(&bytes).into_owned())
}

impl Subject for Nvme {
    const NAME: &'static str = "nvme";
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
        let mut errors = Vec::new();
        let mut controllers = Vec::new();
        let files = &["firmware_rev", "model", "serial", "state", "cntlid"];
        for (name, texts) in devices::read(pass, CLASS, |_| true, files, &mut errors)? {
            if texts.iter().any(Option::is_none) {
                errors.push(ItemError {
                    kind: "device",
                    item: name.clone(),
                    why: "a file of it cannot be read".into(),
                });
            }
            let class = format!("{CLASS}/{name}");
            let files = &["size", "nuse", "queue/logical_block_size", "ana_state"];
            let is = |name: &str| id(name).is_some();
            let found = devices::read(pass, &class, is, files, &mut errors);
            let mut namespaces = Vec::new();
            for (name, [size, used, block, reach]) in found.unwrap_or_default() {
                let number = |text: Option<Vec<u8>>| text.and_then(|t| unsigned(&t));
                namespaces.push(Namespace {
                    id: id(&name).unwrap_or_default(),
                    reach: text(reach).unwrap_or_else(|| "unknown".into()),
                    numbers: [size, used, block].map(|text| number(text).unwrap_or_default()),
                });
            }
            controllers.push(Controller {
                name,
                texts: texts.map(|bytes| text(bytes).unwrap_or_default()),
                namespaces,
            });
        }
        Ok(Taken::lacking(Reading(controllers), errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&INFO);
        for controller in &reading.0 {
            let [firmware, model, serial, state, id] = &controller.texts;
            samples.push([&controller.name, firmware, model, serial, state, id], 1u64);
        }
        let all = || {
            reading.0.iter().flat_map(|controller| {
                let namespaces = controller.namespaces.iter();
                namespaces.map(move |namespace| (&controller.name, namespace))
            })
        };
        let mut samples = page.family(&NAMESPACE);
        for (device, namespace) in all() {
            samples.push([device, &namespace.id, &namespace.reach], 1u64);
        }
        for (family, value) in [
            (
                &CAPACITY,
                (|[size, _, block]| size.wrapping_mul(block)) as fn([u64; 3]) -> u64,
            ),
            (&SIZE, |[size, _, block]| size.wrapping_mul(block)),
            (&USED, |[_, used, block]| used.wrapping_mul(block)),
            (&BLOCK, |[_, _, block]| block),
        ] {
            let mut samples = page.family(family);
            for (device, namespace) in all() {
                samples.push([device, &namespace.id], value(namespace.numbers));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn a_namespace_is_found_by_its_name() {
        for (name, expected) in [
            ("nvme0n1", Some("1")),
            ("nvme12n34p5", Some("34")),
            ("nvme0c1n2", None),
            ("hwmon3", None),
            ("ng0n1", None),
        ] {
            assert_eq!(id(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_controller_is_told_with_its_namespaces() {
        let machine = Captured::new(&[
            ("sys/class/nvme/nvme0/model", "Example \n"),
            ("sys/class/nvme/nvme0/nvme0n1/size", "100\n"),
            ("sys/class/nvme/nvme0/nvme0n1/nuse", "5\n"),
            (
                "sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size",
                "512\n",
            ),
        ]);
        let (page, errors) = machine.page::<Nvme>(&[]);
        assert_eq!(errors.len(), 1);
        assert!(
            page.contains("node_nvme_namespace_used_bytes{device=\"nvme0\",nsid=\"1\"} 2560\n")
        );
        assert!(
            page.contains("nsid=\"1\",ana_state=\"unknown\"} 1\n"),
            "{page}"
        );
    }
}
