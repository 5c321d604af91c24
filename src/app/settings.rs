//! Config file, variables and flags joined: what is to run.

use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Flags, control};
use crate::check;
use crate::config::web::Web;
use crate::config::{self, Config, cross};
use crate::dialect::otlp::{self, Origin, Settings as Otlp};
use crate::gate;
use crate::heal::plan::Mode;
use crate::heal::playbook::Matcher;
use crate::host;
use crate::model::nearest::nearest;
use crate::net::address::Address;
use crate::net::tls;
use crate::subject::Invalid;

/// What is to run, whoever said so.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The config, with the flags laid over it.
    pub config: Config,
    /// Where telemetry goes.
    pub otlp: Otlp,
    /// The files the config came from.
    pub files: Vec<PathBuf>,
    /// Changes when the config changes.
    pub fingerprint: u64,
    /// What is worth a warning and no more.
    pub warnings: Vec<String>,
    /// The web configuration file, if one is named.
    pub web: Option<Web>,
    /// Where the files say what.
    origin: cross::Origin,
}

/// Settings that cannot work; the text holds all that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The command line says what cannot be.
    #[error("{0}")]
    Flags(String),
    /// The config does.
    #[error("{0}")]
    Config(String),
}

impl Settings {
    /// Reads the config, lays the flags over it, and asks the `OTEL_*` variables of the process.
    pub fn resolve(flags: &Flags) -> Result<Self, BadSettings> {
        Self::from(
            flags,
            config::locate(flags.config.clone()).as_deref(),
            &|name| std::env::var(name).ok(),
        )
    }

    /// The same of a given file and given variables.
    pub fn from(
        flags: &Flags,
        file: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BadSettings> {
        let loaded = match file {
            Some(file) => {
                config::load(file).map_err(|errors| BadSettings::Config(errors.to_string()))?
            }
            None => config::none(),
        };
        let mut config = loaded.config;
        let wrong = flags.apply(&mut config, file.is_some());
        if !wrong.is_empty() {
            return Err(BadSettings::Flags(wrong.join("\n")));
        }
        let mut files = loaded.files;
        let mut agent_notes = Vec::new();
        if let Some(path) = &flags.zabbix_conf {
            // Its lines may hold secrets.
            let agentd = config::agentd::read(path);
            let agentd = agentd.map_err(|errors| BadSettings::Config(errors.without_lines()))?;
            let laid = agentd.apply(&mut config.zabbix);
            laid.map_err(|errors| BadSettings::Config(errors.without_lines()))?;
            let notes = agentd
                .ignored(&config.zabbix)
                .into_iter()
                .chain(agentd.stricter())
                .chain(agentd.lacking());
            agent_notes.extend(notes.map(|note| format!("{}: {note}", path.display())));
            files.extend(agentd.files);
        }
        let (otlp, complaints) = otlp::resolve(&config.otlp, variable);
        let mut wrong: Vec<(&[&str], String)> = Vec::new();
        let mut warnings = loaded.warnings;
        warnings.extend(agent_notes);
        let web = config.http.web_config.as_deref().map(config::web::read);
        let web = web
            .transpose()
            .map_err(|errors| BadSettings::Config(errors.without_lines()))?;
        let web_tls = web.as_ref().filter(|web| web.file.has_tls());
        if let Some(web) = web_tls.filter(|_| config.http.tls.is_some()) {
            let why = format!(
                "tls: stands beside that of {}; keep one of both",
                web.path.display()
            );
            wrong.push((&["http"][..], why));
        }
        if web_tls.is_none() || !config.api.listen.is_empty() {
            warnings.extend(config.api.warnings(&config.http));
        }
        warnings.extend(web.iter().flat_map(|web| web.warnings.iter().cloned()));
        for complaint in complaints {
            match complaint.origin {
                Origin::Key("endpoint") if flags.otlp_endpoint.is_some() => {
                    return Err(BadSettings::Flags(format!("--otlp.{}", complaint.text)));
                }
                Origin::Key(_) => wrong.push((&["otlp"][..], complaint.text)),
                _ => warnings.push(complaint.text),
            }
        }
        if !tells_anybody(&config, &otlp) {
            let why = "listen: nothing is served or sent: there is no http.listen, no zabbix.listen, no zabbix.server_active and no OTLP endpoint";
            match control::socket(flags, &config, variable) {
                None => wrong.push((&["http"], format!("{why}, and not even a control socket"))),
                Some(_) => warnings.push(format!("http: {why}")),
            }
        }
        let exposed = config.hooks.exposed(&config.http);
        for (hook, place) in &exposed {
            if let Some(playbook) = armed(&config, hook) {
                let why = format!(
                    "{hook}: anybody who reaches {place} could start playbook {playbook:?}, which is in auto mode; set \
                     bearer_token_file, basic, hmac or client_certificate, or listen on 127.0.0.1 only"
                );
                wrong.push((&["hooks"], why));
            }
        }
        if !wrong.is_empty() {
            let errors = loaded.origin.errors(wrong);
            return Err(BadSettings::Config(errors.to_string()));
        }
        for (hook, place) in exposed {
            warnings.push(format!(
                "hooks.{hook}: anybody who reaches {place} may send alerts; set bearer_token_file, basic, hmac or client_certificate, \
                 or listen on 127.0.0.1 only"
            ));
        }
        for (section, tls) in [
            ("http", &config.http.tls),
            ("hooks", &config.hooks.tls),
            ("api", &config.api.tls),
        ] {
            let found = tls.iter().flat_map(tls::ServerOptions::warnings);
            warnings.extend(found.map(|found| format!("{section}.tls.{found}")));
        }
        let found = config.zabbix.tls.iter();
        let found = found.flat_map(tls::mutual::Options::warnings);
        warnings.extend(found.map(|found| format!("zabbix.tls.{found}")));
        warnings.extend(programs(&config));
        warnings.extend(checks_matched(&config));
        for flag in &flags.lacking {
            warnings.push(format!("--{flag}: nodeward has no such subject yet"));
        }
        // What the agent's file says is as much of the config as what ours does.
        let fingerprint = match &flags.zabbix_conf {
            Some(_) => std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default()
                .hash_one((loaded.fingerprint, format!("{:?}", config.zabbix))),
            None => loaded.fingerprint,
        };
        Ok(Self {
            config,
            otlp,
            files,
            fingerprint,
            warnings,
            web,
            origin: loaded.origin,
        })
    }

    /// Whether it is to serve on the sockets that systemd passes.
    #[must_use]
    pub fn takes_passed(&self) -> bool {
        let mut listen = self.config.http.listen.iter();
        listen.any(|text| Address::or_passed(text) == Ok(Address::Passed))
    }

    /// What subjects refuse of their options, at its place in the files; where these say nothing of the subject, it was
    /// said by flags.
    #[must_use]
    pub fn refused(&self, wrong: &[Invalid]) -> BadSettings {
        let sections: Vec<_> = wrong
            .iter()
            .map(|w| (["subjects", w.subject], &w.why))
            .collect();
        let by_flags = !sections.iter().any(|(section, _)| self.origin.has(section));
        let found = sections
            .iter()
            .map(|(section, why)| (&section[..], (*why).clone()));
        let text = self.origin.errors(found).to_string();
        match by_flags {
            true => BadSettings::Flags(text),
            false => BadSettings::Config(text),
        }
    }

    /// Checks that cannot work here, at their places in the files.
    #[must_use]
    pub fn wrong_checks(&self, wrong: &[check::Invalid]) -> BadSettings {
        let wrong = wrong.iter().map(|wrong| {
            let mut path = vec!["checks", &wrong.check];
            path.extend(&wrong.keys);
            (path, wrong.why.clone())
        });
        self.wrong_keys(&wrong.collect::<Vec<_>>())
    }

    /// Pools whose gates cannot work here, at their places in the files.
    #[must_use]
    pub fn wrong_pools(&self, wrong: &[gate::Invalid]) -> BadSettings {
        let wrong = wrong.iter().map(|wrong| {
            let gate = wrong.keys.last().map_or("", String::as_str);
            let why = format!("{gate}: {}", wrong.why);
            (vec!["pools", &wrong.pool, "gates"], why)
        });
        self.wrong_keys(&wrong.collect::<Vec<_>>())
    }

    /// The config's fault: keys that cannot work in this world.
    pub fn wrong_keys(&self, wrong: &[(Vec<&str>, String)]) -> BadSettings {
        let found = wrong.iter().map(|(path, why)| (&path[..], why.clone()));
        BadSettings::Config(self.origin.errors(found).to_string())
    }
}

/// What of playbooks' own probes cannot work in this world; each with its keys.
pub(super) fn wrong_probes<'a>(
    config: &'a Config,
    world: &check::World,
) -> Vec<(Vec<&'a str>, String)> {
    let mut wrong = Vec::new();
    for (name, playbook) in &config.playbooks {
        for (key, probe) in playbook.own_probes() {
            if let Err(why) = probe.options().prober(Duration::ZERO, world) {
                wrong.push((vec!["playbooks", name, key], why));
            }
        }
    }
    wrong
}

/// Programs that would not be run as they are now. They may still come, or change: a package may be installed after its config.
fn programs(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, playbook) in &config.playbooks {
        for (key, program) in playbook.programs() {
            if let Err(why) = host::root_alone_can_change(Path::new(program)) {
                warnings.push(format!(
                    "playbooks.{name}.{key}: {program} would not be run: {why}"
                ));
            }
        }
    }
    warnings.dedup();
    warnings
}

/// A playbook that acts without asking and that a hook may start.
fn armed<'a>(config: &'a Config, hook: &str) -> Option<&'a str> {
    let allowed = config.hooks.named.get(hook)?.playbooks.as_ref();
    let may = |name: &String| allowed.is_none_or(|names| names.contains(name));
    let mut armed = config.playbooks.iter();
    armed
        .find(|(name, playbook)| playbook.mode == Mode::Auto && may(name))
        .map(|(name, _)| name.as_str())
}

/// Whether anybody is told anything. What works by itself one day counts too.
/// Checks that a playbook matches and the config does not have: only an alert of somebody else could be labelled so.
fn checks_matched(config: &Config) -> Vec<String> {
    let mut said = Vec::new();
    for (playbook, options) in &config.playbooks {
        let listed = options.matching.get("check").map(Matcher::listed);
        for name in listed.unwrap_or_default() {
            if config.checks.contains_key(name) {
                continue;
            }
            let meant = nearest(name, config.checks.keys().map(String::as_str));
            let meant =
                meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
            said.push(format!(
                "playbooks.{playbook}.match.check: no check is called {name:?}{meant}"
            ));
        }
    }
    said
}

fn tells_anybody(config: &Config, otlp: &Otlp) -> bool {
    !config.http.listen.is_empty()
        || !config.zabbix.listen.is_empty()
        || config.zabbix.is_active()
        || otlp.is_on()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, flags: &Flags, endpoint: Option<&str>) -> Result<Settings, BadSettings> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("n.yml");
        std::fs::write(&file, text).unwrap();
        Settings::from(flags, Some(&file), &|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => endpoint.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn the_agents_file_lies_over_the_config_and_its_secrets_are_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        let flags = Flags {
            zabbix_conf: Some(file.clone()),
            ..Flags::default()
        };
        let text = "zabbix:\n  listen: [\"127.0.0.1:10050\"]\n  server: [127.0.0.1]\n  rules: [{deny: \"*\"}]\n";
        let over = |said: &str| {
            std::fs::write(&file, said).unwrap();
            resolve(text, &flags, None)
        };
        let zabbix = over("Hostname=x\nAllowKey=agent.ping\n")
            .unwrap()
            .config
            .zabbix;
        let rules: Vec<String> = zabbix.rules.iter().map(ToString::to_string).collect();
        assert_eq!(rules, ["deny *", "allow agent.ping"]);
        assert_eq!(zabbix.listen, ["127.0.0.1:10050"]);
        assert_eq!(zabbix.hostname.as_deref(), Some("x"));
        let said = over("Plugin.X.Password=s3cret\n").unwrap_err().to_string();
        assert!(
            said.contains("a.conf:1:1: ") && !said.contains("s3cret"),
            "{said}"
        );
    }

    #[test]
    fn a_config_that_tells_nobody_is_refused_and_a_control_socket_alone_is_warned_of() {
        let nothing = "http:\n  listen: []\ncontrol: off\n";
        let flags = Flags::default();
        let refused = resolve(nothing, &flags, None).unwrap_err();
        assert!(
            matches!(&refused, BadSettings::Config(why) if why.contains("n.yml:2:11: http: listen: nothing")),
            "{refused}"
        );
        let sends = resolve(nothing, &flags, Some("http://127.0.0.1:4318")).unwrap();
        assert!(sends.warnings.is_empty());
        let socket = Flags {
            socket: Some("/run/x.sock".into()),
            ..Flags::default()
        };
        assert_eq!(resolve(nothing, &socket, None).unwrap().warnings.len(), 1);
    }

    #[test]
    fn programs_that_would_not_be_run_are_warned_of_since_they_may_come() {
        let text = "hooks: {am: {kind: alertmanager}}\nplaybooks:\n  p:\n    match: {alertname: Down}\n    target: node\n    ladder:\n      \
                    - do: {command: {argv: [/bin/true]}}\n      - do: {command: {argv: [/bin/no-such-program]}}\n    \
                    verify: {all: [{command: {argv: [/etc/passwd]}}]}\n";
        let settings = resolve(text, &Flags::default(), None).unwrap();
        let said = settings.warnings.iter();
        let said: Vec<_> = said.filter(|said| said.contains("playbooks")).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("playbooks.p.ladder: /bin/no-such-program would not be run: "));
        assert!(said[1].starts_with("playbooks.p.verify: /etc/passwd would not be run: "));
    }

    #[test]
    fn a_match_of_a_check_that_is_not_there_is_warned_of() {
        let text = "checks: {web: {probe: {tcp: {address: '127.0.0.1:1'}}}}\nplaybooks:\n  p:\n    \
                    match: {check: {in: [wbe, web]}}\n    target: {service: web}\n    \
                    ladder: [{do: {clean: {page_cache: true}}}]\n    verify: {all: [{check: web}]}\n";
        let settings = resolve(text, &Flags::default(), None).unwrap();
        let said = settings
            .warnings
            .iter()
            .filter(|said| said.contains("match"));
        assert_eq!(
            said.collect::<Vec<_>>(),
            ["playbooks.p.match.check: no check is called \"wbe\"; did you mean \"web\"?"]
        );
    }

    #[test]
    fn the_receiver_of_the_command_line_beats_that_of_the_file_and_of_the_variable() {
        let with = |endpoint: &str| {
            let flags = Flags {
                otlp_endpoint: Some(endpoint.into()),
                ..Flags::default()
            };
            let text = "otlp: {endpoint: 'http://file:1', interval: 15s}";
            resolve(text, &flags, Some("http://variable:1"))
        };
        let settings = with("http://flag:1").unwrap();
        let route = settings.otlp.route(otlp::Signal::Metrics).unwrap();
        assert_eq!(route.endpoint.authority(), "flag:1");
        assert_eq!(settings.otlp.interval, Duration::from_secs(15));
        let refused = with("flag:1").unwrap_err();
        assert!(
            matches!(&refused, BadSettings::Flags(why) if why.starts_with("--otlp.endpoint: ")),
            "{refused}"
        );
    }

    #[test]
    fn what_a_flag_says_wrong_is_told_of_the_flag() {
        let flags = Flags {
            listen: vec!["9100".into()],
            telemetry_path: Some("metrics".into()),
            ..Flags::default()
        };
        let refused = resolve("", &flags, None).unwrap_err();
        let BadSettings::Flags(why) = &refused else {
            panic!("{refused}");
        };
        for flag in ["--web.listen-address", "--web.telemetry-path"] {
            assert!(why.contains(flag), "{why}");
        }
    }

    #[test]
    fn options_that_only_their_subject_can_refuse_have_a_place() {
        let text = "subjects:\n  systemd:\n    bus: {address: 'unix:path=x'}\n";
        let settings = resolve(text, &Flags::default(), None).unwrap();
        let wrong = Invalid {
            subject: "systemd",
            why: "bus: is no path".into(),
        };
        let said = settings.refused(&[wrong]);
        assert!(
            matches!(&said, BadSettings::Config(why) if why.contains("n.yml:3:10: subjects.systemd: bus: is no path")),
            "{said}"
        );
        let by_flags = Invalid {
            subject: "filesystem",
            why: "two patterns".into(),
        };
        let said = settings.refused(&[by_flags]);
        assert!(
            matches!(&said, BadSettings::Flags(why) if why.contains("subjects.filesystem: two")),
            "{said}"
        );
    }
}
