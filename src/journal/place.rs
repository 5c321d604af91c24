//! Where the state lies.

use std::path::{Path, PathBuf};

/// The state directory: `--state-dir`, else `state:`, else `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/nodeward`, else
/// `~/.local/state/nodeward`; `None` if there is not even a home.
#[must_use]
pub fn directory(
    flag: Option<&Path>,
    config: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<PathBuf> {
    if let Some(named) = flag.or(config) {
        return Some(named.to_owned());
    }
    let named = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // systemd names several directories with colons between them; the first is the main one.
    let first = |value: String| Some(value.split(':').next()?.to_owned());
    variable("STATE_DIRECTORY")
        .and_then(first)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| named("XDG_STATE_HOME").map(|home| home.join("nodeward")))
        .or_else(|| named("HOME").map(|home| home.join(".local/state/nodeward")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_the_config_beats_the_variables() {
        let of = |set: &'static [(&'static str, &'static str)]| {
            move |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            }
        };
        let all = of(&[
            ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/h"),
        ]);
        let (flag, config) = (Path::new("/f"), Path::new("/c"));
        assert_eq!(directory(Some(flag), Some(config), &all), Some("/f".into()));
        assert_eq!(directory(None, Some(config), &all), Some("/c".into()));
        assert_eq!(directory(None, None, &all), Some("/var/lib/a".into()));
        let home = of(&[("STATE_DIRECTORY", ""), ("HOME", "/h")]);
        assert_eq!(
            directory(None, None, &home),
            Some("/h/.local/state/nodeward".into())
        );
        let xdg = of(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(directory(None, None, &xdg), Some("/x/nodeward".into()));
        assert_eq!(directory(None, None, &of(&[])), None);
    }
}
