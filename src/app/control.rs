//! Where the control socket lies: the server and its clients look in the same order.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::Control;
use crate::journal;

const NAME: &str = "nodeward.sock";
const RUN: &str = "/run/nodeward";

/// The control socket: `--socket`, else `control:`, else `$RUNTIME_DIRECTORY`, else /run/nodeward if that directory is
/// there, else the state directory (`$STATE_DIRECTORY`, `$XDG_STATE_HOME/nodeward`, `~/.local/state/nodeward`); none if
/// it is off or there is no such directory.
#[must_use]
pub fn socket(
    flag: Option<&Path>,
    config: Option<&Control>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<PathBuf> {
    match (flag, config) {
        (Some(flag), _) => return Some(flag.to_owned()),
        (None, Some(Control::Off)) => return None,
        (None, Some(Control::Socket(path))) => return Some(path.clone()),
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
        .or_else(|| journal::directory(None, None, variable))?;
    Some(directory.join(NAME))
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
        let flag = Path::new("/f");
        let at = Control::Socket("/c".into());
        assert_eq!(
            socket(Some(flag), Some(&Control::Off), &variables),
            Some("/f".into())
        );
        assert_eq!(socket(None, Some(&at), &variables), Some("/c".into()));
        assert_eq!(socket(None, Some(&Control::Off), &variables), None);
        assert_eq!(
            socket(None, None, &variables),
            Some("/run/a/nodeward.sock".into())
        );
    }
}
