//! The configuration file of a Zabbix agent (`zabbix_agentd.conf`, `zabbix_agent2.conf`) as our `zabbix` section.
//!
//! Owns what each of its names means here: most set a key of ours, some have no meaning for nodeward and are told once, and a name
//! that neither agent has is an error, as it is for them: `DenyKeys=...` must not pass for a rule. What would make a host less guarded
//! than its agent was (encryption that cannot be had, a rule that is none) refuses the start, with its line.

mod encryption;
mod lines;
mod names;
mod strict;

use std::path::Path;

use super::fault::{Errors, Fault, Faults, Sources};
use super::items;
use crate::dialect::zabbix::options::Options;
use crate::dialect::zabbix::rules::{Rule, Rules};
use crate::model::duration::Period;

pub use lines::{Line, of_text};
use names::{Meaning, NAMES, meaning, meant};

/// What a file says.
#[derive(Debug, Default)]
pub struct Agentd {
    /// The files that it is made of.
    pub files: Vec<std::path::PathBuf>,
    /// What it sets, laid over other options by [`Agentd::apply`].
    lines: Vec<Line>,
    sources: Sources,
}

/// Reads a file with all that it includes.
///
/// # Errors
/// What cannot be read, and every line that is none, has a name that no agent has, or cannot be taken over though it guards the host.
pub fn read(path: &Path) -> Result<Agentd, Errors> {
    let (mut sources, mut faults) = (Sources::default(), Faults::default());
    let lines = lines::read(path, &mut sources, &mut faults);
    let files = sources.0.iter().map(|source| source.path.clone()).collect();
    let agentd = Agentd {
        files,
        lines,
        sources,
    };
    for line in &agentd.lines {
        if let Some(why) = fault(line) {
            faults.push(Fault::at(line.place, why));
        }
    }
    if faults.is_empty() {
        // Laid over nothing, the whole shows what no single line does.
        agentd.lay(&mut Options::default(), false)?;
        return Ok(agentd);
    }
    Err(faults.into_errors(agentd.sources))
}

/// What is wrong with a line, taken alone.
fn fault(line: &Line) -> Option<String> {
    let name = &line.name;
    let known = meaning(name).is_some();
    (!known).then(|| format!("no Zabbix agent has a setting {name:?}{}", meant(name)))
}

impl Agentd {
    /// Lays what the file says over the options: what it does not name stays, and its rules go behind those there are. Faults of values
    /// have their lines.
    ///
    /// # Errors
    /// Every value that is none, and a whole by which nobody would be spoken to.
    pub fn apply(&self, options: &mut Options) -> Result<(), Errors> {
        self.lay(options, true)
    }

    fn lay(&self, options: &mut Options, whole: bool) -> Result<(), Errors> {
        let mut faults = Faults::default();
        let mut listen = Listen::default();
        let mut rules = Vec::new();
        // First those by which others are idle or not.
        let says_how = |line: &&Line| encryption::says_how(&line.name);
        let others = self.lines.iter().filter(|line| !says_how(line));
        for line in self.lines.iter().filter(says_how).chain(others) {
            if encryption::is_idle(&line.name, options) {
                continue;
            }
            let mut over = options.clone();
            match set(&mut over, &mut listen, &mut rules, line) {
                Ok(()) => *options = over,
                Err(why) => faults.push(Fault::at(line.place, format!("{}: {why}", line.name))),
            }
        }
        encryption::complete(options, &self.lines);
        // What guards the host already stays in front.
        options.rules.extend(rules);
        listen.over(options, self.lines.iter().any(|line| line.name == "Server"));
        // Taken alone, the file may lack the name that what it is laid over has.
        if whole
            && options.hostname.is_none()
            && let Some((line, why)) = self.unanswered("HostnameItem")
        {
            let why = format!("HostnameItem: {why}: say the host's name with Hostname");
            faults.push(Fault::at(line.place, why));
        }
        if whole && options.listen.is_empty() && !options.is_active() {
            let why = "nobody would be spoken to, and no agent starts so: say who may ask with Server, or who is brought values with ServerActive";
            faults.push(Fault::of_file(why.to_owned()));
        }
        let mut wrong: Vec<String> = Vec::new();
        for invalid in options.check().err().into_iter().flatten() {
            wrong.push(invalid.to_string());
        }
        for fault in options.tls.iter().flat_map(|tls| tls.faults()) {
            wrong.push(format!("tls.{fault}"));
        }
        for why in self.placed(wrong, &mut faults) {
            faults.push(Fault::of_file(why));
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(faults.into_errors(self.sources.clone())),
        }
    }

    /// The last line of a name whose key nodeward does not have, and why that is nothing.
    fn unanswered(&self, name: &str) -> Option<(&Line, String)> {
        let line = self.lines.iter().rev().find(|line| line.name == name)?;
        Some((line, items::unknown(&line.value)?))
    }

    /// Notes faults of the options at the lines that set what they are about; the others are given back.
    fn placed(&self, wrong: Vec<String>, faults: &mut Faults) -> Vec<String> {
        let mut others = Vec::new();
        for text in wrong {
            let key = text.split([' ', ':']).next().unwrap_or_default();
            let name = NAMES
                .iter()
                .find(|(_, ours)| *ours == key)
                .map(|(name, _)| *name);
            let line = self
                .lines
                .iter()
                .rev()
                .find(|line| Some(line.name.as_str()) == name);
            match line {
                Some(line) => faults.push(Fault::at(line.place, format!("{}: {text}", line.name))),
                None => others.push(text),
            }
        }
        others
    }

    /// Names that say nothing here, laid over these options, each once, in one line; none if there is none.
    #[must_use]
    pub fn ignored(&self, options: &Options) -> Option<String> {
        let mut names: Vec<&str> = Vec::new();
        for line in &self.lines {
            let inside = meaning(&line.name) == Some(Meaning::Inside)
                || encryption::is_idle(&line.name, options);
            if inside && !names.contains(&line.name.as_str()) {
                names.push(&line.name);
            }
        }
        (!names.is_empty()).then(|| format!("without meaning here: {}", names.join(", ")))
    }

    /// Where the rules of the file deny more here than the agent does with them.
    #[must_use]
    pub fn stricter(&self) -> Option<String> {
        let own: Vec<Rule> = self.lines.iter().filter_map(rule).collect();
        strict::told(&own)
    }

    /// What the agent did and nodeward does not, each name once.
    #[must_use]
    pub fn lacking(&self) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        for name in ["HostMetadataItem", "HostInterfaceItem"] {
            let unanswered = self.unanswered(name);
            told.extend(
                unanswered
                    .map(|(_, why)| format!("{name}: {why}; the server is told nothing by it")),
            );
        }
        for line in &self.lines {
            let why = match meaning(&line.name) {
                Some(Meaning::Lacking(why)) if !line.value.is_empty() => why,
                Some(Meaning::Taken)
                    if line.name == "EnableRemoteCommands" && line.value == "1" =>
                {
                    "nodeward runs no commands for a server (system.run)"
                }
                _ => continue,
            };
            let said = format!("{}: {why}", line.name);
            if !told.contains(&said) {
                told.push(said);
            }
        }
        told
    }
}

/// Where the agent listens.
#[derive(Default)]
struct Listen {
    ips: Option<Vec<String>>,
    port: Option<u16>,
    /// How many processes answer; none, and nobody is answered.
    agents: Option<u64>,
}

impl Listen {
    /// Lays it over the options, where the file says who may ask (`served`) or not.
    fn over(self, options: &mut Options, served: bool) {
        if self.agents == Some(0) || (served && options.server.is_empty()) {
            options.listen.clear();
        } else if let (None, Some(port), false) = (&self.ips, self.port, options.listen.is_empty())
        {
            for address in &mut options.listen {
                if let Some((ip, _)) = address.rsplit_once(':') {
                    *address = format!("{ip}:{port}");
                }
            }
        } else if !options.server.is_empty()
            && (self.ips.is_some()
                || (options.listen.is_empty() && (served || self.port.is_some())))
        {
            options.listen = self.addresses();
        }
    }

    fn addresses(self) -> Vec<String> {
        let port = self.port.unwrap_or(10050);
        let ips = self.ips.unwrap_or_default();
        let has = |any: &str| ips.iter().any(|ip| ip == any);
        // 0.0.0.0 alone opens no more than the agent did; `[::]` takes IPv4 along.
        if ips.is_empty() || (has("0.0.0.0") && has("::")) {
            return vec![format!(":{port}")];
        }
        let address = |ip: &String| match ip.contains(':') {
            true => format!("[{ip}]:{port}"),
            false => format!("{ip}:{port}"),
        };
        ips.iter().map(address).collect()
    }
}

fn set(
    options: &mut Options,
    listen: &mut Listen,
    rules: &mut Vec<Rule>,
    line: &Line,
) -> Result<(), String> {
    let value = line.value.as_str();
    let text = || value.to_owned();
    let list = || -> Vec<String> {
        let parts = value.split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let given = || (!value.is_empty()).then(text);
    let answered = || given().filter(|key| items::unknown(key).is_none());
    match line.name.as_str() {
        "Server" => options.server = list(),
        "ServerActive" => options.server_active = list(),
        "ListenIP" => listen.ips = Some(list()),
        "ListenPort" => listen.port = Some(number(value, 1024, 32_767)?),
        "StartAgents" => listen.agents = Some(number(value, 0, 100)?),
        "Hostname" if value.contains(',') => {
            return Err("several names of one host are not taken over; keep one".to_owned());
        }
        "Hostname" => options.hostname = given(),
        // Those of which nodeward has no key are told by the whole.
        "HostnameItem" => options.hostname_item = answered(),
        "HostMetadata" => options.host_metadata = text(),
        "HostMetadataItem" => options.host_metadata_item = answered(),
        "HostInterface" => options.host_interface = text(),
        "HostInterfaceItem" => options.host_interface_item = answered(),
        "RefreshActiveChecks" => options.refresh_active_checks = Some(seconds(value, 1, 86_400)?),
        "HeartbeatFrequency" => options.heartbeat = seconds(value, 0, 3600)?,
        "BufferSend" => options.buffer_send = seconds(value, 1, 3600)?,
        "BufferSize" => options.buffer_size = number(value, 2, 65_535)?,
        "Timeout" => options.timeout = seconds(value, 1, 30)?,
        "AllowKey" | "DenyKey" => {
            let rule = rule(line);
            Rules::new(rule.as_slice()).map_err(|why| why.to_string())?;
            rules.extend(rule);
        }
        name if name.starts_with("TLS") => encryption::set(options, name, value)?,
        "EnableRemoteCommands" => drop(number::<u8>(value, 0, 1)?),
        _ => {}
    }
    Ok(())
}

/// The rule that a line is, if it is one.
fn rule(line: &Line) -> Option<Rule> {
    let pattern = Some(line.value.clone());
    match line.name.as_str() {
        "AllowKey" => Some(Rule {
            allow: pattern,
            deny: None,
        }),
        "DenyKey" => Some(Rule {
            allow: None,
            deny: pattern,
        }),
        _ => None,
    }
}

fn number<N: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<N, String> {
    let wrong = || format!("{text:?} is no whole number from {least} to {most}");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(wrong)?;
    let within = (least..=most).contains(&number);
    within
        .then_some(number)
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(wrong)
}

/// A number of seconds, with or without a suffix.
fn seconds(text: &str, least: u64, most: u64) -> Result<Period, String> {
    let seconds = crate::dialect::zabbix::active::delay::seconds(text);
    let within = seconds.filter(|seconds| (least..=most).contains(seconds));
    let wrong = || format!("{text:?} is no number of seconds from {least} to {most}");
    within.map(Period::secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
