//! Names of the machine and of its kernel: uname(2), always of the machine we run on and in our own UTS namespace; and for
//! Zabbix what the system calls itself: /proc/version, os-release(5).

use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{label, lines};
use crate::host::{Pass, ReadError, Root, Uname as Names, uname};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, Machine, NONE_TAKEN, NoOptions, Said, Subject,
    Taken, Want,
};

/// The subject.
pub struct Uname;

crate::families! { Uname:
    INFO gauge "node_uname_info" ["sysname", "release", "version", "machine", "nodename", "domainname"] "Names of the machine and of its kernel";
}

/// What is read beside the names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    full: bool,
    /// /proc/version, /proc/version_signature and os-release.
    system: bool,
}

impl Want for Wanted {
    fn merge(&mut self, other: &Self) {
        self.full |= other.full;
        self.system |= other.system;
    }
    fn covers(&self, other: &Self) -> bool {
        self.full >= other.full && self.system >= other.system
    }
}

/// A text, or why there is none.
type Text = Result<String, String>;

/// The names, and what was asked for beside them.
pub struct Reading {
    names: Names,
    full: Option<String>,
    system: Option<System>,
}

/// What the system calls itself.
struct System {
    version: Text,
    signature: Text,
    name: Text,
}

impl System {
    fn read(pass: &mut Pass<'_>) -> Self {
        let first = |text: Result<crate::host::Text, ReadError>| match text {
            Ok(text) => Ok(label(lines(&text).next().unwrap_or_default()).into_owned()),
            Err(e) => {
                let (path, code) = (
                    e.path.display(),
                    e.source.raw_os_error().unwrap_or_default(),
                );
                let why = e.source.to_string();
                let why = why.split(" (os error").next().unwrap_or_default();
                // As the agents say it.
                Err(format!("Cannot open {path}: [{code}] {why}"))
            }
        };
        Self {
            version: first(pass.file(Root::Proc, "version")),
            signature: first(pass.file(Root::Proc, "version_signature")),
            name: pass
                .once(Root::Rootfs, "etc/os-release")
                .ok()
                .and_then(pretty)
                .ok_or_else(|| "Cannot read /etc/os-release.".to_owned()),
        }
    }
}

/// The name for people in the text of os-release(5), without its quotes.
fn pretty(release: &[u8]) -> Option<String> {
    let value = lines(release).find_map(|line| line.strip_prefix(b"PRETTY_NAME="))?;
    let value = label(value.trim_ascii());
    Some(value.trim_matches('"').to_owned())
}

fn system(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    let system = reading.system.as_ref().ok_or(Unsupported::TIMED_OUT)?;
    let text = match args.param(0) {
        "short" => &system.signature,
        "name" => &system.name,
        _ => &system.version,
    };
    text.clone().map(Value::from).map_err(Unsupported::from)
}

/// The shape that Zabbix 7.0 has.
fn everything(_: &NoOptions, reading: &Reading, _: &Args<'_>) -> Said {
    let system = reading.system.as_ref().ok_or(Unsupported::TIMED_OUT)?;
    let [_, release, _, machine, ..] = reading.names();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().unwrap_or_default().to_owned();
    let (name, full) = (system.name.clone(), system.version.clone());
    let (name, full) = (name.unwrap_or_default(), full.unwrap_or_default());
    let pretty = [&name, &*machine, &*release].join(" ");
    let told = serde_json::json!({
        "os_type": "linux",
        "product_name": name,
        "architecture": machine,
        "kernel_major": number(),
        "kernel_minor": number(),
        "kernel_patch": number(),
        "kernel": release,
        "version_pretty": pretty.trim_start(),
        "version_full": full,
    });
    Ok(told.to_string().into())
}

impl Reading {
    fn names(&self) -> [std::borrow::Cow<'_, str>; 6] {
        let n = &self.names;
        [
            n.sysname(),
            n.release(),
            n.version(),
            n.machine(),
            n.nodename(),
            n.domainname(),
        ]
        .map(|name| label(name.to_bytes()))
    }
}

fn hostname(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    let [_, _, _, _, node, _] = reading.names();
    let name = match args.param(0) {
        "shorthost" => node.split('.').next().unwrap_or_default().to_owned(),
        "fqdn" => reading.full.clone().unwrap_or_else(|| node.into_owned()),
        _ => node.into_owned(),
    };
    Ok(match args.param(1) {
        "lower" => name.to_lowercase().into(),
        _ => name.into(),
    })
}

impl Subject for Uname {
    const NAME: &'static str = "uname";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[
        Item {
            name: "system.uname",
            parameters: &[],
            help: "Name of the kernel, the host, and release, version and machine type of the kernel",
            want: |_, _| Ok(Wanted::default()),
            answer: Answer::Now(|_, reading: &Reading, _| {
                let [system, release, version, machine, node, _] = reading.names();
                Ok(Value::from(
                    [system, node, release, version, machine].join(" "),
                ))
            }),
        },
        Item {
            name: "system.sw.arch",
            parameters: &[],
            help: "Machine type of the kernel, such as x86_64",
            want: |_, _| Ok(Wanted::default()),
            answer: Answer::Now(|_, reading: &Reading, _| {
                let [_, _, _, machine, ..] = reading.names();
                Ok(Value::from(machine.into_owned()))
            }),
        },
        Item {
            name: "system.hostname",
            parameters: &["type", "transform"],
            help: "Name of the host; types host (default), shorthost, fqdn; transform none (default) or lower",
            want: |_, args| {
                let full = match args.param(0) {
                    "" | "host" | "shorthost" => false,
                    "fqdn" => true,
                    _ => return Err(Unsupported::invalid_parameter(1)),
                };
                match args.param(1) {
                    "" | "none" | "lower" => Ok(Wanted {
                        full,
                        ..Wanted::default()
                    }),
                    _ => Err(Unsupported::invalid_parameter(2)),
                }
            },
            answer: Answer::Now(hostname),
        },
        Item {
            name: "system.sw.os",
            parameters: &["info"],
            help: "What the system calls itself; full (default): /proc/version, short: /proc/version_signature, name: as in os-release",
            want: |_, args| match args.param(0) {
                "" | "full" | "short" | "name" => Ok(Wanted {
                    system: true,
                    ..Wanted::default()
                }),
                _ => Err(Unsupported::invalid_parameter(1)),
            },
            answer: Answer::Now(system),
        },
        Item {
            name: "system.sw.os.get",
            parameters: NONE_TAKEN,
            help: "What the system and its kernel call themselves, as JSON",
            want: |_, _| {
                Ok(Wanted {
                    system: true,
                    ..Wanted::default()
                })
            },
            answer: Answer::Now(everything),
        },
    ];
    type Options = NoOptions;
    type Want = Wanted;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) -> Wanted {
        Wanted::default()
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let names = uname();
        let node = label(names.nodename().to_bytes()).into_owned();
        let full = want.full.then(|| pass.host().full_name(&node)).flatten();
        let system = want.system.then(|| System::read(pass));
        Ok(Reading {
            names,
            full,
            system,
        }
        .into())
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let names = reading.names();
        page.family(&INFO).push(
            std::array::from_fn(|at| names.get(at).map_or("", |n| n)),
            1u64,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_system_stands_in_quotes_or_not() {
        for (text, name) in [
            (
                "ID=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
                Some("Debian GNU/Linux 12 (bookworm)"),
            ),
            ("PRETTY_NAME=Arch\r\n", Some("Arch")),
            ("NAME=x\n", None),
        ] {
            assert_eq!(pretty(text.as_bytes()).as_deref(), name, "{text}");
        }
    }
}
