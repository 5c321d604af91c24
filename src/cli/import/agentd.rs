//! A Zabbix agent's configuration file as our config.

use std::path::Path;

use super::Imported;
use crate::config::agentd;

/// Names of which an agent's file has one.
const KNOWN: [&str; 4] = ["Server", "ServerActive", "Hostname", "HostnameItem"];

/// Whether a text is an agent's file.
pub(super) fn takes(_: &Path, text: &str) -> bool {
    text.lines().any(|line| {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        name.is_some_and(|name| KNOWN.contains(&name))
    })
}

/// Reads it, with what it includes.
pub(super) fn import(path: &Path, _: &str) -> Result<Imported, String> {
    // Its lines may hold secrets.
    let agentd = agentd::read(path).map_err(|errors| errors.without_lines())?;
    let mut imported = Imported::default();
    let laid = agentd.apply(&mut imported.config.zabbix);
    laid.map_err(|errors| errors.without_lines())?;
    let ignored = agentd.ignored(&imported.config.zabbix);
    let ignored = ignored.map(|ignored| format!("Names {ignored}."));
    imported.notes.extend(ignored);
    imported.notes.extend(agentd.stricter());
    imported.left = agentd.lacking();
    Ok(imported)
}
