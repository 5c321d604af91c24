//! Where the control socket lies: the server and its clients look in the same order.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Flags;
use crate::config::{Config, Control};
use crate::journal;

const NAME: &str = "nodeward.sock";
const RUN: &str = "/run/nodeward";

/// A path that means the same to whoever it is handed to: relative ones begin at the working directory.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The control socket: `--socket`, else `control:`, else `$RUNTIME_DIRECTORY`, else /run/nodeward if that directory is
/// there, else the [state directory](journal::directory); none if it is off or there is no such directory.
#[must_use]
pub fn socket(
    flags: &Flags,
    config: &Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<PathBuf> {
    match (&flags.socket, &config.control) {
        (Some(flag), _) => return Some(absolute(flag.clone())),
        (None, Some(Control::Off)) => return None,
        (None, Some(Control::Socket(path))) => return Some(absolute(path.clone())),
        (None, None) => {}
    }
    // systemd names several directories with colons between them; the first is the main one.
    let named = |name: &str| {
        let value = variable(name)?;
        let first = value.split(':').next()?.to_owned();
        (!first.is_empty()).then(|| PathBuf::from(first))
    };
    let directory = named("RUNTIME_DIRECTORY")
        .or_else(|| Path::new(RUN).is_dir().then(|| PathBuf::from(RUN)))
        .or_else(|| state_directory(flags, config, variable))?;
    Some(absolute(directory.join(NAME)))
}

/// The state directory, as flags, config and variables name it.
#[must_use]
pub fn state_directory(
    flags: &Flags,
    config: &Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<PathBuf> {
    let directory = journal::directory(
        flags.state_dir.as_deref(),
        config.state.as_deref(),
        variable,
    );
    directory.map(absolute)
}

/// Makes the directory of the socket, for this user alone, if it is not there. Where somebody `named` the socket, no more
/// than that one directory: a path with more of them missing is more likely a mistake.
pub(super) fn make_directory(socket: &Path, named: bool) -> Result<(), String> {
    let Some(directory) = socket.parent().filter(|d| !d.exists()) else {
        return Ok(());
    };
    let made = std::fs::DirBuilder::new()
        .recursive(!named)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| {
        let directory = directory.display();
        match error.kind() {
            ErrorKind::NotFound => {
                format!("neither {directory} nor the directory it belongs in is there; make that one first")
            }
            _ => format!("cannot make the directory {directory}: {error}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_the_config_beats_the_directories() {
        let variables = |name: &str| match name {
            "RUNTIME_DIRECTORY" => Some("/run/a:/run/b".to_owned()),
            _ => None,
        };
        let flags = Flags {
            socket: Some("/f".into()),
            state_dir: Some("/s".into()),
            ..Flags::default()
        };
        let config = |control| Config {
            control,
            ..Config::default()
        };
        let (off, at) = (config(Some(Control::Off)), Control::Socket("/c".into()));
        assert_eq!(socket(&flags, &off, &variables), Some("/f".into()));
        let flags = Flags {
            socket: None,
            ..flags
        };
        let at = config(Some(at));
        assert_eq!(socket(&flags, &at, &variables), Some("/c".into()));
        assert_eq!(socket(&flags, &off, &variables), None);
        assert_eq!(
            socket(&flags, &config(None), &variables),
            Some("/run/a/nodeward.sock".into())
        );
    }

    #[test]
    fn relative_places_begin_at_the_working_directory() {
        let here = std::env::current_dir().unwrap();
        let none = |_: &str| None;
        let flags = |socket: Option<&str>| Flags {
            socket: socket.map(Into::into),
            state_dir: Some("state".into()),
            ..Flags::default()
        };
        let config = Config::default();
        let at = |flags: &Flags| socket(flags, &config, &none);
        assert_eq!(at(&flags(Some("a.sock"))), Some(here.join("a.sock")));
        assert_eq!(
            state_directory(&flags(None), &config, &none),
            Some(here.join("state"))
        );
        if !Path::new(RUN).is_dir() {
            assert_eq!(at(&flags(None)), Some(here.join("state").join(NAME)));
        }
    }

    #[test]
    fn without_a_directory_for_sockets_it_lies_with_the_state() {
        if Path::new(RUN).is_dir() {
            return;
        }
        let variables = |name: &str| (name == "STATE_DIRECTORY").then(|| "/v".to_owned());
        let at = |flag: Option<&str>, config: Option<&str>| {
            let flags = Flags {
                state_dir: flag.map(Into::into),
                ..Flags::default()
            };
            let config = Config {
                state: config.map(Into::into),
                ..Config::default()
            };
            socket(&flags, &config, &variables)
        };
        let there = |directory: &str| Some(Path::new(directory).join(NAME));
        assert_eq!(at(Some("/f"), Some("/c")), there("/f"));
        assert_eq!(at(None, Some("/c")), there("/c"));
        assert_eq!(at(None, None), there("/v"));
    }
}
