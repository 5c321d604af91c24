//! The peers: what they are called and where they are. It starts none of them.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use crate::PeerTest;

/// What to do about a missing peer.
pub const HOW_TO_INSTALL: &str = "run tests/peers/install";

/// Something that a test needs besides this repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    NodeExporter,
    Prometheus,
    Promtool,
    /// Under the name that Debian gives it.
    Alertmanager,
    /// Of the package of Alertmanager.
    Amtool,
    Collector,
    ZabbixAgent,
    ZabbixAgent2,
    ZabbixGet,
    ZabbixServer,
    /// Of Zabbix 7.0, as Debian 13 has it, run by the loader of Debian 13.
    ZabbixServer7,
    /// The same.
    ZabbixAgent7,
    /// The same.
    ZabbixAgent2of7,
    Openssl,
    Postgres,
    Php,
    DbusDaemon,
    Polkitd,
    Podman,
    Runc,
    /// A statically linked one, for an image of one file.
    Busybox,
    Strace,
    Systemd,
    /// Of the package of systemd.
    SocketActivate,
    /// Of the package of systemd.
    Sysusers,
    /// Of the package of systemd.
    SystemdAnalyze,
    Unshare,
    Setpriv,
    Ip,
    Iptables,
    Rsyslogd,
    Haproxy,
    Curl,
    Nginx,
    DpkgDeb,
    CargoDeb,
    /// Python with grpcio and opentelemetry-proto.
    OtlpPython,
    /// Python with aiosmtpd and jsonschema.
    MailPython,
    /// Python with one of two versions of grafana-foundation-sdk: `old` or `new` is its first argument.
    GrafanaSchema,
    /// Makes requests of an OpenAPI document.
    Schemathesis,
    /// Python with syslog-rfc5424-parser and pycef.
    EventParsers,
    /// Not a program: the kernel's FUSE device.
    Fuse,
    /// Not a program: the right to make namespaces and mounts.
    Root,
}

impl Peer {
    /// The program's file name; for [`Peer::Root`] the account's.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeExporter => "node_exporter",
            Self::Prometheus => "prometheus",
            Self::Promtool => "promtool",
            Self::Alertmanager => "prometheus-alertmanager",
            Self::Amtool => "amtool",
            Self::Collector => "otelcol",
            Self::ZabbixAgent => "zabbix_agentd",
            Self::ZabbixAgent2 => "zabbix_agent2",
            Self::ZabbixGet => "zabbix_get",
            Self::ZabbixServer => "zabbix_server",
            Self::ZabbixServer7 => "zabbix_server_7",
            Self::ZabbixAgent7 => "zabbix_agentd_7",
            Self::ZabbixAgent2of7 => "zabbix_agent2_7",
            Self::Openssl => "openssl",
            Self::Postgres => "postgres",
            Self::Php => "php",
            Self::DbusDaemon => "dbus-daemon",
            Self::Polkitd => "polkitd",
            Self::Podman => "podman",
            Self::Runc => "runc",
            Self::Busybox => "busybox",
            Self::Strace => "strace",
            Self::Systemd => "systemd",
            Self::Sysusers => "systemd-sysusers",
            Self::SystemdAnalyze => "systemd-analyze",
            Self::SocketActivate => "systemd-socket-activate",
            Self::Unshare => "unshare",
            Self::Setpriv => "setpriv",
            Self::Ip => "ip",
            Self::Iptables => "iptables",
            Self::Rsyslogd => "rsyslogd",
            Self::Haproxy => "haproxy",
            Self::Curl => "curl",
            Self::Nginx => "nginx",
            Self::DpkgDeb => "dpkg-deb",
            Self::CargoDeb => "cargo-deb",
            Self::OtlpPython => "otlp-python",
            Self::MailPython => "mail-python",
            Self::GrafanaSchema => "grafana-schema",
            Self::Schemathesis => "schemathesis",
            Self::EventParsers => "event-parsers",
            Self::Fuse => "/dev/fuse",
            Self::Root => "root",
        }
    }

    /// The program's path. What `tests/peers/install` built comes before PATH: a distribution's
    /// package of the same name is often an older version with other defaults.
    pub fn find(self) -> Result<PathBuf, Failed> {
        match self {
            Self::Root if rustix::process::geteuid().is_root() => return Ok(PathBuf::new()),
            Self::Root => return Err("this test needs root".into()),
            Self::Fuse if Path::new("/dev/fuse").exists() => return Ok(PathBuf::from("/dev/fuse")),
            Self::Fuse => return Err("this kernel has no /dev/fuse".into()),
            _ => {}
        }
        places()
            .into_iter()
            .map(|place| place.join(self.name()))
            .find(|path| path.is_file())
            .ok_or_else(|| format!("{} is not installed: {HOW_TO_INSTALL}", self.name()).into())
    }
}

/// Directories to search, first match wins. The last three are not on everybody's PATH: Debian keeps the
/// agents in one, systemd and polkit in the others.
fn places() -> Vec<PathBuf> {
    let built = std::env::var_os("NODEWARD_PEERS")
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/nodeward/peers"))
        });
    let mut places: Vec<PathBuf> = built.into_iter().map(|root| root.join("bin")).collect();
    if let Some(path) = std::env::var_os("PATH") {
        places.extend(std::env::split_paths(&path));
    }
    places.extend(["/usr/sbin", "/lib/systemd", "/usr/lib/polkit-1"].map(PathBuf::from));
    places
}

/// Tests of the registry itself.
pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "programs::a_missing_program_says_how_to_get_it",
    needs: &[],
    run: || {
        if let Err(failed) = Peer::NodeExporter.find() {
            let text = failed.message().unwrap_or_default();
            if !(text.contains("node_exporter") && text.contains("tests/peers/install")) {
                return Err(format!("unhelpful: {text}").into());
            }
        }
        Ok(())
    },
}];
