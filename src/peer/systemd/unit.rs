//! What systemd lists: units, unit files, and facts about the manager itself.

use std::fmt::Write as _;

/// A unit that systemd has in memory (`ListUnits` of org.freedesktop.systemd1.Manager).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// Full name, for example `ssh.service`.
    pub name: String,
    /// `Description=`; the name where there is none.
    pub description: String,
    /// `loaded`, `not-found`, `bad-setting`, `error`, `masked`, ...
    pub load_state: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`, ...
    pub active_state: String,
    /// Finer state, different for each type of unit, for example `running` or `mounted`.
    pub sub_state: String,
    /// The unit whose state this one follows, or empty.
    pub followed: String,
    /// Object path of the unit.
    pub path: String,
    /// Queued job, or 0.
    pub job_id: u32,
    /// Type of the queued job, for example `start`, or empty.
    pub job_type: String,
    /// Object path of the queued job, or `/`.
    pub job_path: String,
}

/// A unit file on disk (`ListUnitFiles`), loaded or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Path of the file.
    pub path: String,
    /// `enabled`, `disabled`, `static`, `masked`, `generated`, ...
    pub state: String,
}

impl UnitFile {
    /// The unit's name: the last component of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What systemd knows of one unit. What a unit of its kind lacks is empty or 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, ...
    pub load_state: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    pub active_state: String,
    /// Finer state: `running`, `dead`, `auto-restart`, ...
    pub sub_state: String,
    /// How its last run ended: `success`, `exit-code`, `signal`, `timeout`, `watchdog`, `start-limit-hit`, ...
    pub result: String,
    /// How often systemd itself started it again; 0 after a restart by hand.
    pub restarts: u64,
    /// Name of its last run: 32 hexadecimal digits, another for each run.
    pub invocation: String,
    /// When its main process was last started, in microseconds since boot.
    pub main_started_at: u64,
    /// When its state last changed, in microseconds since boot.
    pub changed_at: u64,
    /// Exit status or signal of its main process, if it ended.
    pub main_status: u64,
    /// Whether its conditions held when it was last started.
    pub condition: bool,
    /// Kind of the job that is queued for it: `start`, `stop`, `restart`, ...
    pub job: Option<String>,
}

/// Facts about the manager. A property that this version of systemd lacks is empty or 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Version as packaged, for example `252.39-1~deb12u1`.
    pub version: String,
    /// `kvm`, `docker`, ... or empty on bare metal.
    pub virtualization: String,
    /// `initializing`, `starting`, `running`, `degraded`, `maintenance`, `stopping`.
    pub system_state: String,
    /// Compile-time features, for example `+PAM -SELINUX`.
    pub features: String,
    /// Units in state `failed`.
    pub failed_units: u64,
    /// Units loaded.
    pub units: u64,
    /// Jobs queued.
    pub jobs: u64,
}

/// The object path of the unit called `name`, loaded or not.
///
/// Asking for properties at this path makes systemd load the unit. Bytes other than letters and
/// digits are written `_xx` in hexadecimal, and so is a digit in first place
/// (`sd_bus_path_encode(3)`).
#[must_use]
pub fn unit_path(name: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    if name.is_empty() {
        path.push('_');
    }
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            _ = write!(path, "_{byte:02x}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_are_escaped_as_sd_bus_does() {
        let root = "/org/freedesktop/systemd1/unit/";
        for (name, path) in [
            ("ssh.service", "ssh_2eservice"),
            ("getty@tty1.service", "getty_40tty1_2eservice"),
            ("dev-sda1.device", "dev_2dsda1_2edevice"),
            ("0a.service", "_30a_2eservice"),
            ("a_b\u{e9}.mount", "a_5fb_c3_a9_2emount"),
            ("", "_"),
        ] {
            assert_eq!(unit_path(name), format!("{root}{path}"), "{name}");
        }
    }

    #[test]
    fn a_unit_file_is_named_by_its_last_component() {
        let file = |path: &str| UnitFile {
            path: path.to_owned(),
            state: String::new(),
        };
        assert_eq!(file("/lib/systemd/system/a@.service").name(), "a@.service");
        assert_eq!(file("b.timer").name(), "b.timer");
    }
}
