//! The list of subjects, and what is made from it: the `subjects:` section, the flags, the tables of names.

use super::held::{Built, build};
use super::{Flag, Invalid, Item, Machine, NONE_TAKEN, Subject};
use crate::dialect::otlp::Named;
use crate::dialect::prometheus::Declared;
use crate::dialect::zabbix::answer::Unsupported;
use crate::dialect::zabbix::key::Key;

/// What a flag is, whatever subject it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagDescriptor {
    /// Full name without dashes: `collector.cpu.info`.
    pub name: &'static str,
    /// One line.
    pub help: &'static str,
    /// Whether it takes no value and has a `--no-` twin.
    pub switch: bool,
    /// Whether help leaves it out.
    pub hidden: bool,
    /// The flag that it is an old spelling of.
    pub old_name_of: Option<&'static str>,
}

/// What a Zabbix key is, whatever subject answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemDescriptor {
    /// Name of the key.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static [&'static str],
    /// One line.
    pub help: &'static str,
}

impl ItemDescriptor {
    /// The one of `items` that a key asks for, unless the key has more parameters than that takes; none if it is none of them.
    pub fn asked<'a>(items: &'a [Self], key: &Key<'_>) -> Option<Result<&'a Self, Unsupported>> {
        let item = items.iter().find(|item| item.name == key.name())?;
        Some(enough(key, item.parameters).map(|()| item))
    }
}

/// Refuses a key that has more parameters than it takes.
pub(super) fn enough(key: &Key<'_>, parameters: &[&str]) -> Result<(), Unsupported> {
    match (key.count(), parameters) {
        (1.., []) => Err(Unsupported::NO_PARAMETERS),
        (1.., NONE_TAKEN) => Err(Unsupported::TOO_MANY),
        (given, taken) if given > taken.len() => Err(Unsupported::TOO_MANY),
        _ => Ok(()),
    }
}

/// One subject of the list, for docs, flags and the tables of names.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Whether pages tell it by default.
    pub on: bool,
    /// Whether batches tell it by default.
    pub exported: bool,
    /// Its families.
    pub families: &'static [&'static dyn Declared],
    /// Its instruments.
    pub instruments: &'static [&'static dyn Named],
    /// Its Zabbix keys.
    pub items: fn() -> Vec<ItemDescriptor>,
    /// The names of its Zabbix keys that mean something without parameters.
    pub alone: fn() -> Vec<&'static str>,
    /// Its flags.
    pub flags: fn() -> Vec<FlagDescriptor>,
}

fn items<S: Subject>() -> Vec<ItemDescriptor> {
    let describe = |i: &Item<S>| ItemDescriptor {
        name: i.name,
        parameters: i.parameters,
        help: i.help,
    };
    S::KEYS.iter().map(describe).collect()
}

fn alone<S: Subject>() -> Vec<&'static str> {
    let options = S::Options::default();
    let means = |name| Key::parse(name).ok();
    let items = S::KEYS.iter();
    let alone = items.filter(|i| means(i.name).is_some_and(|key| (i.want)(&options, &key).is_ok()));
    alone.map(|i| i.name).collect()
}

fn flags<S: Subject>() -> Vec<FlagDescriptor> {
    S::FLAGS.iter().map(|f| f.descriptor).collect()
}

fn set<O>(
    flags: &[Flag<O>],
    options: &mut O,
    name: &str,
    value: &str,
) -> Option<Result<(), String>> {
    let flag = flags.iter().find(|f| f.descriptor.name == name)?;
    Some((flag.set)(options, value))
}

macro_rules! subjects {
    ($($room:ident: $subject:path;)*) => {
        /// Every subject, in the order pages are written.
        pub static TABLE: &[Entry] = &[$(Entry {
            name: <$subject as Subject>::NAME,
            on: <$subject as Subject>::ON,
            exported: <$subject as Subject>::EXPORTED,
            families: <$subject as Subject>::FAMILIES,
            instruments: <$subject as Subject>::INSTRUMENTS,
            items: items::<$subject>,
            alone: alone::<$subject>,
            flags: flags::<$subject>,
        }),*];

        /// Which subjects are read, and how (`subjects:`).
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct Options {
            /// Subjects to tell on pages and in batches beside those that are told by default.
            pub enable: Vec<String>,
            /// Subjects not to read at all, not for Zabbix keys either.
            pub disable: Vec<String>,
            /// Whether there are defaults: pages tell what node_exporter's do, batches what hostmetrics does, and every Zabbix key is
            /// answered; `false` leaves only the subjects of `enable`.
            pub defaults: bool,
            $(
                #[doc = concat!("Options of the subject `", stringify!($room), "`.")]
                pub $room: <$subject as Subject>::Options,
            )*
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    enable: Vec::new(),
                    disable: Vec::new(),
                    defaults: true,
                    $($room: <$subject as Subject>::Options::default(),)*
                }
            }
        }

        impl Options {
            /// Sets one of node_exporter's flags for a subject, `collector.` included; none if no subject has it.
            pub fn set_flag(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
                $(
                    if let Some(set) = set(<$subject as Subject>::FLAGS, &mut self.$room, name, value) {
                        return Some(set);
                    }
                )*
                None
            }

            /// Builds the subjects that are to be read, in the order of the list; all that is wrong in one go.
            pub(super) fn build(&self, machine: &Machine) -> Result<Vec<Built>, Vec<Invalid>> {
                let mut built = Vec::new();
                let mut wrong = Vec::new();
                let options = self.derived();
                $(
                    let name = <$subject as Subject>::NAME;
                    let batched = !<$subject as Subject>::INSTRUMENTS.is_empty();
                    let asked = <$subject as Subject>::asked(&options.$room) && !self.disable.iter().any(|n| n == name);
                    // A key is answered unless its subject is switched off.
                    if self.reads(name, true) || asked {
                        match build::<$subject>(&options.$room, machine) {
                            Ok((run, face)) => built.push(Built {
                                run,
                                face,
                                on_pages: self.reads(name, <$subject as Subject>::ON) || asked,
                                in_batches: batched && (self.reads(name, <$subject as Subject>::EXPORTED) || asked),
                            }),
                            Err(invalid) => wrong.push(invalid),
                        }
                    }
                )*
                if wrong.is_empty() { Ok(built) } else { Err(wrong) }
            }
        }
    };
}

impl Options {
    /// Whether a subject is told where it is told by default if `on`; `disable` wins over `enable`.
    #[must_use]
    pub fn reads(&self, name: &str, on: bool) -> bool {
        let named = |list: &[String]| list.iter().any(|n| n == name);
        !named(&self.disable) && (named(&self.enable) || (self.defaults && on))
    }

    /// The options with what follows for one subject from those of another: what /proc/cpuinfo says of clocks is told beside what
    /// sysfs says of them, in one family.
    fn derived(&self) -> Self {
        let mut options = self.clone();
        options.cpufreq.info |= options.cpu.tells_info();
        options
    }

    /// Switches one subject on or off, as `--collector.NAME` does.
    pub fn switch(&mut self, name: &str, on: bool) {
        let (to, from) = if on {
            (&mut self.enable, &mut self.disable)
        } else {
            (&mut self.disable, &mut self.enable)
        };
        from.retain(|n| n != name);
        if !to.iter().any(|n| n == name) {
            to.push(name.to_owned());
        }
    }
}

subjects! {
    cpu: super::cpu::Cpu;
    meminfo: super::meminfo::Meminfo;
    filesystem: super::filesystem::Filesystem;
    netdev: super::netdev::Netdev;
    diskstats: super::diskstats::Diskstats;
    netstat: super::netstat::Netstat;
    timex: super::timex::Timex;
    sockstat: super::sockstat::Sockstat;
    tcpstat: super::tcpstat::Tcpstat;
    vmstat: super::vmstat::Vmstat;
    pressure: super::pressure::Pressure;
    loadavg: super::loadavg::Loadavg;
    hwmon: super::hwmon::Hwmon;
    netclass: super::netclass::Netclass;
    stat: super::stat::Stat;
    processes: super::processes::Processes;
    softnet: super::softnet::Softnet;
    schedstat: super::schedstat::Schedstat;
    mdadm: super::mdadm::Mdadm;
    filefd: super::filefd::Filefd;
    conntrack: super::conntrack::Conntrack;
    cpufreq: super::cpufreq::Cpufreq;
    udp_queues: super::udp_queues::UdpQueues;
    entropy: super::entropy::Entropy;
    edac: super::edac::Edac;
    bonding: super::bonding::Bonding;
    time: super::time::Time;
    arp: super::arp::Arp;
    interrupts: super::interrupts::Interrupts;
    thermal_zone: super::thermal_zone::ThermalZone;
    kernel_hung: super::kernel_hung::KernelHung;
    powersupplyclass: super::powersupplyclass::PowerSupplyClass;
    nvme: super::nvme::Nvme;
    nfs: super::nfs::Nfs;
    nfsd: super::nfsd::Nfsd;
    dmi: super::dmi::Dmi;
    infiniband: super::infiniband::Infiniband;
    os: super::os::Os;
    selinux: super::selinux::Selinux;
    uname: super::uname::Uname;
    systemd: super::systemd::Systemd;
    service_sessions: super::service_sessions::ServiceSessions;
    files: super::files::Files;
    packages: super::packages::Packages;
    users: super::users::Users;
    services: super::services::Services;
    // Last, so that what others write takes no name away from what is read.
    textfile: super::textfile::Textfile;
}
