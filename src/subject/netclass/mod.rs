//! What network interfaces are and how they are set up: /sys/class/net (Linux Documentation/ABI/testing/sysfs-class-net).
//!
//! It counts no traffic: that is `netdev`. Drivers answer many of these attributes, and an interface that is down refuses some:
//! what cannot be read is left out, of that interface alone. Most of them rtnetlink tells too, of all interfaces at once: where it speaks
//! of the same interfaces only the rest is read, since each file costs a walk and many of them the kernel's one lock of all interfaces.
//! The files of the first few interfaces stay open.

pub mod link;

use std::collections::HashMap;

use crate::dialect::prometheus::{Declared, Family, Kind, Page, joined, listed};
use crate::host::parse::{label, signed_of_any_base};
use crate::host::{Device, Dump, Pass, Root};
use crate::model::pattern::Pattern;
use crate::subject::filter::pattern;
use crate::subject::{Absent, Asker, Flag, Invalid, Lane, Machine, Subject, Taken};
use link::Link;

const CLASS: &str = "class/net";
/// The bit of `flags` that says that an interface is wanted up (netdevice(7)).
const IFF_UP: i64 = 1;
/// Interfaces whose files are held open at most: each takes seven descriptors.
const HELD: usize = 16;

/// The subject.
pub struct Netclass {
    ignored: Option<Pattern>,
    /// Whether rtnetlink may be asked.
    own_network: bool,
    /// Whether it was seen to speak of the interfaces of sysfs.
    agreed: bool,
    /// Interfaces whose files are open, by name and number: a name may pass to another.
    held: HashMap<(String, i32), Device>,
}

/// Options of the set-up of interfaces.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Interfaces not to read. Default: none.
    pub ignored_devices: Option<Pattern>,
    /// Leave out the speed of an interface that does not know it, instead of telling -125000. Default: false.
    pub ignore_invalid_speed: bool,
}

macro_rules! attributes {
    ($($kind:ident $family:literal $file:literal $help:literal;)*) => {
        const COUNT: usize = [$($file),*].len();
        /// One family an attribute that is a number.
        static NUMBERS: [Family<Netclass, 1>; COUNT] =
            [$(Family::new(concat!("node_network_", $family), Kind::$kind, ["device"], $help)),*];
        static FILES: [&str; COUNT] = [$($file),*];
    };
}

attributes! {
    Gauge "flags" "flags" "Flags of an interface, as bits (netdevice(7))";
    Gauge "speed_bytes" "speed" "Bytes a second an interface can carry; -125000 where it does not know";
    Gauge "address_assign_type" "addr_assign_type" "Where the address comes from: 0 permanent, 1 random, 2 stolen, 3 set";
    Gauge "carrier" "carrier" "Whether there is a carrier";
    Counter "carrier_changes_total" "carrier_changes" "Changes of the carrier";
    Counter "carrier_up_changes_total" "carrier_up_count" "How often the carrier came";
    Counter "carrier_down_changes_total" "carrier_down_count" "How often the carrier went";
    Gauge "device_id" "dev_id" "Number that tells interfaces with one address apart";
    Gauge "dormant" "dormant" "Whether an interface waits for something outside, such as 802.1X";
    Gauge "iface_id" "ifindex" "Number of an interface";
    Gauge "iface_link" "iflink" "Number of the interface it is linked to, its own if none";
    Gauge "iface_link_mode" "link_mode" "0 default, 1 dormant";
    Gauge "mtu_bytes" "mtu" "Largest packet in bytes";
    Gauge "name_assign_type" "name_assign_type" "Where the name comes from: 1 kernel, 2 predictable, 3 set, 4 renamed";
    Gauge "net_dev_group" "netdev_group" "Group of an interface";
    Gauge "transmit_queue_length" "tx_queue_len" "Length of the transmit queue in packets";
    Gauge "protocol_type" "type" "Type of the hardware, as ARP numbers it";
}
const FLAGS_AT: usize = 0;
const SPEED_AT: usize = 1;

crate::families! { Netclass:
    UP gauge "node_network_up" ["device"] "Whether the operational state is up";
    INFO gauge "node_network_info" ["device", "address", "broadcast", "duplex", "operstate", "adminstate", "ifalias"] "What an interface says of itself";
}
static DECLARED: [&dyn Declared; COUNT + 2] = joined(&[FAMILIES, &listed(&NUMBERS)]);

const TEXTS: [&str; 5] = ["address", "broadcast", "duplex", "operstate", "ifalias"];

/// What was read.
#[derive(Debug, Default)]
pub struct Reading(Vec<Interface>);

#[derive(Debug, PartialEq, Eq)]
struct Interface {
    name: String,
    /// In the order of the families; none for what cannot be read or is no number.
    numbers: [Option<i64>; COUNT],
    /// In the order of the texts; empty for what cannot be read.
    texts: [String; TEXTS.len()],
}

impl Interface {
    /// Reads what the link does not tell; where there is one, the files stay open.
    fn read(name: String, device: &mut Device, link: Option<&Link<'_>>) -> Self {
        let mut attribute = |file: &'static str| match link {
            Some(_) => device.held(file),
            None => device.attribute(file),
        };
        let numbers = FILES.map(|file| match link.and_then(|link| link.number(file)) {
            Some(known) => known,
            None => signed_of_any_base(&attribute(file).ok()?),
        });
        let texts = TEXTS.map(|file| match link.and_then(|link| link.text(file)) {
            Some(known) => known,
            None => attribute(file).map_or_else(|_| String::new(), |t| label(&t).into_owned()),
        });
        Self {
            name,
            numbers,
            texts,
        }
    }
}

impl Subject for Netclass {
    const NAME: &'static str = "netclass";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.netclass.ignored-devices",
            "Interfaces not to read, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.ignored_devices = p),
        ),
        Flag::switch(
            "collector.netclass.ignore-invalid-speed",
            "Leave out speeds that are not known",
            |o: &mut Options, v| {
                o.ignore_invalid_speed = v == "true";
                Ok(())
            },
        ),
        Flag::switch(
            "collector.netclass.netlink",
            "Taken and not used: rtnetlink is asked where it tells the same",
            |_: &mut Options, _| Ok(()),
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, machine: &Machine) -> Result<Self, Invalid> {
        let given = |p: &&Pattern| !p.as_str().is_empty();
        Ok(Self {
            ignored: options.ignored_devices.as_ref().filter(given).cloned(),
            own_network: machine.host.shares_network(),
            agreed: false,
            held: HashMap::new(),
        })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let ignores = |name: &str| self.ignored.as_ref().is_some_and(|p| p.matches(name));
        let names = pass.devices(CLASS)?;
        let dump = self.own_network.then(|| pass.dump(Dump::Links).ok());
        let dump = dump.flatten().unwrap_or_default();
        let links = link::links(&dump);
        let mut interfaces = Vec::new();
        let mut held = HashMap::new();
        let mut agree = true;
        for name in names.into_iter().filter(|name| !ignores(name)) {
            let link = links.get(name.as_bytes());
            let known = link.map(|link| (name.clone(), link.index));
            let mut device = match known.as_ref().and_then(|known| self.held.remove(known)) {
                Some(device) => device,
                None => {
                    // Beside the interfaces lies a file of the bonding driver.
                    let path = pass.path(Root::Sys, &format!("{CLASS}/{name}"));
                    let Ok(device) = Device::find(&path) else {
                        continue;
                    };
                    device
                }
            };
            agree = agree && (self.agreed || link.is_some_and(|link| link.is(&device)));
            let link = link.filter(|_| self.agreed);
            interfaces.push(Interface::read(name, &mut device, link));
            if let Some(known) = known
                && link.is_some()
                && held.len() < HELD
            {
                held.insert(known, device);
            }
        }
        self.held = held;
        // Sysfs shows the network of who mounted it, which need not be ours: the first reading is of files, and finds out.
        self.agreed = agree && !interfaces.is_empty();
        Ok(Reading(interfaces).into())
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut up = page.family(&UP);
        for interface in &reading.0 {
            let [_, _, _, state, _] = &interface.texts;
            up.push([&interface.name], state == "up");
        }
        let mut info = page.family(&INFO);
        for Interface {
            name,
            texts,
            numbers,
        } in &reading.0
        {
            let [address, broadcast, duplex, state, alias] = texts;
            let wanted = match numbers.get(FLAGS_AT).copied().flatten() {
                None => "unknown",
                Some(flags) if flags & IFF_UP != 0 => "up",
                Some(_) => "down",
            };
            info.push(
                [name, address, broadcast, duplex, state, wanted, alias],
                1u64,
            );
        }
        for (at, family) in NUMBERS.iter().enumerate() {
            let mut samples = page.family(family);
            for interface in &reading.0 {
                let Some(mut value) = interface.numbers.get(at).copied().flatten() else {
                    continue;
                };
                if at == SPEED_AT {
                    if value < 0 && options.ignore_invalid_speed {
                        continue;
                    }
                    // From Mbit/s.
                    value = value.wrapping_mul(1_000_000) / 8;
                }
                samples.push([&interface.name], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    /// The files are what the reference reads; rtnetlink has to say the same of this machine.
    #[test]
    fn rtnetlink_says_what_the_files_say() {
        let machine = Machine {
            host: std::sync::Arc::default(),
            runtime: None,
        };
        let mut subject = Netclass::new(&Options::default(), &machine).unwrap();
        assert!(subject.own_network);
        // An interface may change between the two.
        let same = (0..20).any(|_| {
            let mut read = || {
                let before = subject.agreed;
                let mut files = crate::host::Files::default();
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
                let mut pass = Pass::new(&machine.host, &mut files, deadline);
                (subject.read(&mut pass, &()).unwrap().reading.0, before)
            };
            let ((files, asked), (linked, agreed), (again, _)) = (read(), read(), read());
            subject.agreed = false;
            assert!(!asked && files.iter().any(|i| i.name == "lo"));
            assert!(!subject.held.is_empty());
            agreed && files == linked && files == again
        });
        assert!(same);
    }

    #[test]
    fn an_interface_tells_what_it_can_and_the_bonding_file_is_none() {
        let machine = Captured::new(&[
            ("sys/class/net/bonding_masters", "bond0\n"),
            ("sys/class/net/eth0/flags", "0x1003\n"),
            ("sys/class/net/eth0/speed", "1000\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/ifalias", "uplink \n"),
            ("sys/class/net/eth0/mtu", "many\n"),
            ("sys/class/net/tun0/speed", "-1\n"),
            ("sys/class/net/veth1/speed", "10\n"),
        ]);
        let flags = [("netclass.ignored-devices", "^veth")];
        let (page, _) = machine.page::<Netclass>(&flags);
        for line in [
            "node_network_up{device=\"eth0\"} 1\n",
            "node_network_up{device=\"tun0\"} 0\n",
            "operstate=\"up\",adminstate=\"up\",ifalias=\"uplink\"} 1\n",
            "operstate=\"\",adminstate=\"unknown\",ifalias=\"\"} 1\n",
            "node_network_flags{device=\"eth0\"} 4099\n",
            "node_network_speed_bytes{device=\"eth0\"} 125000000\n",
            "node_network_speed_bytes{device=\"tun0\"} -125000\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
        assert!(!page.contains("bonding") && !page.contains("mtu") && !page.contains("veth"));
        let flags = [("netclass.ignore-invalid-speed", "true")];
        let (page, _) = machine.page::<Netclass>(&flags);
        assert!(!page.contains("-125000"));
    }
}
