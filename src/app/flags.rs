//! What the command line said, as far as it changes the config.

use std::path::PathBuf;

use crate::config::Config;
use crate::host::Roots;
use crate::net::address::Address;
use crate::subject::TABLE;

/// The flags of `run` and `show`: node_exporter's own and ours.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--zabbix-conf`.
    pub zabbix_conf: Option<PathBuf>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// `--path.procfs`.
    pub procfs: Option<PathBuf>,
    /// `--path.sysfs`.
    pub sysfs: Option<PathBuf>,
    /// `--path.rootfs`.
    pub rootfs: Option<PathBuf>,
    /// `--path.udev.data`.
    pub udev_data: Option<PathBuf>,
    /// `--web.listen-address`, each.
    pub listen: Vec<String>,
    /// `--web.systemd-socket`.
    pub systemd_socket: bool,
    /// `--web.config.file`; empty is none, whatever the config says.
    pub web_config: Option<PathBuf>,
    /// `--web.telemetry-path`.
    pub telemetry_path: Option<String>,
    /// `--web.max-requests`.
    pub max_requests: Option<u32>,
    /// `--web.disable-exporter-metrics`.
    pub disable_exporter_metrics: bool,
    /// `--otlp.endpoint`.
    pub otlp_endpoint: Option<String>,
    /// `--log.level`.
    pub log_level: Option<String>,
    /// `--log.format`.
    pub log_format: Option<String>,
    /// `--collector.disable-defaults`.
    pub disable_defaults: bool,
    /// `--[no-]collector.NAME`: subject and whether it is on.
    pub switches: Vec<(String, bool)>,
    /// `--collector.NAME.x`: flag without dashes, and value; `true` or `false` for a switch.
    pub subject_flags: Vec<(String, String)>,
    /// Flags, without dashes, of collectors that node_exporter has and nodeward lacks.
    pub lacking: Vec<String>,
    /// Whether any of node_exporter's own flags was given, or its name: then, without a config file, its defaults are taken,
    /// `:9100` included, since somebody put nodeward in its place.
    pub in_place: bool,
}

impl Flags {
    /// Lays the flags over a config, `given` if there is a file; all that is wrong with them in one go.
    pub fn apply(&self, config: &mut Config, given: bool) -> Vec<String> {
        self.apply_roots(&mut config.roots);
        let mut wrong = self.apply_http(&mut config.http, given);
        wrong.extend(self.apply_subjects(&mut config.subjects));
        wrong.extend(self.apply_log(&mut config.log).err());
        if let Some(endpoint) = &self.otlp_endpoint {
            config.otlp.endpoint = Some(endpoint.clone());
        }
        wrong
    }

    /// The roots, where a flag names one.
    fn apply_roots(&self, roots: &mut Roots) {
        for (flag, root) in [
            (&self.procfs, &mut roots.procfs),
            (&self.sysfs, &mut roots.sysfs),
            (&self.rootfs, &mut roots.rootfs),
            (&self.udev_data, &mut roots.udev_data),
        ] {
            if let Some(path) = flag {
                root.clone_from(path);
            }
        }
    }

    /// The subjects, where a flag switches or sets one; all that is wrong in one go.
    fn apply_subjects(&self, subjects: &mut crate::subject::Options) -> Vec<String> {
        if self.disable_defaults {
            subjects.defaults = false;
        }
        for (name, on) in &self.switches {
            subjects.switch(name, *on);
        }
        let mut wrong = Vec::new();
        for (name, value) in &self.subject_flags {
            let mut flags = TABLE.iter().flat_map(|entry| (entry.flags)());
            let now = flags
                .find(|flag| flag.name == name)
                .and_then(|flag| flag.old_name_of);
            let given = |now: &&str| self.subject_flags.iter().any(|(other, _)| other == now);
            // As the reference has it, an old one that says nothing was not given.
            if let Some(now) = now.filter(given).filter(|_| !value.is_empty()) {
                wrong.push(format!(
                    "--{name} is the old name of --{now}, and both are given: leave the old one out"
                ));
            }
            if let Some(Err(why)) = subjects.set_flag(name, value) {
                wrong.push(format!("--{name}={value}: {why}"));
            }
        }
        wrong
    }

    /// The logs, where a flag says how.
    fn apply_log(&self, log: &mut crate::telemetry::logs::Options) -> Result<(), String> {
        if let Some(level) = &self.log_level {
            log.level = level
                .parse()
                .map_err(|why| format!("--log.level={level}: {why}"))?;
        }
        match self.log_format.as_deref() {
            Some("json") => log.format = crate::telemetry::logs::Format::Json,
            Some(_) => log.format = crate::telemetry::logs::Format::Text,
            None => {}
        }
        Ok(())
    }

    /// The listener, where a flag says how; all that is wrong in one go.
    fn apply_http(&self, http: &mut crate::serve::Options, config_given: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for text in &self.listen {
            if let Err(why) = text.parse::<Address>() {
                wrong.push(format!("--web.listen-address={text}: {why}"));
            }
        }
        if let Some(file) = &self.web_config {
            let named = !file.as_os_str().is_empty();
            http.web_config = named.then(|| file.clone());
        }
        if self.systemd_socket {
            http.listen = vec![Address::Passed.to_string()];
        } else if !self.listen.is_empty() {
            http.listen.clone_from(&self.listen);
        } else if self.in_place && !config_given {
            http.listen = vec![":9100".into()];
        }
        if let Some(path) = &self.telemetry_path {
            if !path.starts_with('/') {
                wrong.push(format!(
                    "--web.telemetry-path={path}: a path begins with a slash"
                ));
            }
            http.telemetry_path.clone_from(path);
        }
        if let Some(most) = self.max_requests {
            http.max_requests = most;
        }
        if self.disable_exporter_metrics {
            http.own_metrics = false;
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporters_flags_bring_its_defaults_unless_a_config_speaks() {
        let mut http = crate::serve::Options::default();
        Flags::default().apply_http(&mut http, false);
        assert_eq!(http.listen, ["127.0.0.1:9100"]);
        let flags = Flags {
            in_place: true,
            ..Flags::default()
        };
        flags.apply_http(&mut http.clone(), true);
        assert_eq!(http.listen, ["127.0.0.1:9100"]);
        flags.apply_http(&mut http, false);
        assert_eq!(http.listen, [":9100"]);
    }

    #[test]
    fn a_flag_and_its_old_name_are_not_taken_together() {
        let mut old = 0;
        for flag in TABLE.iter().flat_map(|entry| (entry.flags)()) {
            let Some(now) = flag.old_name_of else {
                continue;
            };
            old += 1;
            let wrong = |value: &str| {
                let flags = Flags {
                    subject_flags: vec![(now.into(), "a".into()), (flag.name.into(), value.into())],
                    ..Flags::default()
                };
                flags.apply_subjects(&mut crate::subject::Options::default())
            };
            assert!(
                wrong("b")[0].contains(&format!("--{now}, and both")),
                "{now}"
            );
            assert_eq!(wrong(""), [] as [String; 0], "{now}");
        }
        assert_eq!(old, 7);
    }
}
