//! Where a nodeward that runs, and its journal, are found: for commands that need nothing else of the config.

use std::path::PathBuf;

use super::Exit;
use crate::app::{self, BadSettings, Flags};
use crate::config::{self, Config};

/// How a place is found by flags, config and variables.
type Place = fn(&Flags, &Config, &dyn Fn(&str) -> Option<String>) -> Option<PathBuf>;

/// The control socket; none if there is none.
pub(super) fn socket(flags: &Flags) -> Result<Option<PathBuf>, Exit> {
    find(flags, flags.socket.is_some(), "control socket", app::socket)
}

/// The state directory; none if nobody names one.
pub(super) fn state(flags: &Flags) -> Result<Option<PathBuf>, Exit> {
    let named = flags.state_dir.is_some();
    find(flags, named, "state directory", app::state_directory)
}

/// `named`: the flags name it, so that no config is asked.
fn find(flags: &Flags, named: bool, what: &str, place: Place) -> Result<Option<PathBuf>, Exit> {
    let (config, wrong) = match config::locate(flags.config.clone()) {
        Some(file) if !named => config::places(&file)
            .map_err(|errors| super::bad_settings(&BadSettings::Config(errors.to_string())))?,
        _ => (Config::default(), None),
    };
    let found = place(flags, &config, &|name| std::env::var(name).ok());
    if let (Some(why), Some(path)) = (wrong, &found) {
        super::say(&format!(
            "nodeward: the config cannot be read: {why}; the {what} is looked for at {}",
            path.display()
        ));
    }
    Ok(found)
}
