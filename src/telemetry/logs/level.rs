//! What is logged: a level, and exceptions by target.

use std::borrow::Cow;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::model::nearest::nearest;

/// Our own crate, as it shows in targets.
const OURS: &str = "nodeward";

/// A level with exceptions, such as `info` or `info,nodeward::peer=debug,hyper=info`.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    text: String,
    targets: Targets,
}

/// Why a text is no [`Level`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongLevel {
    /// A word that is no level.
    #[error("{0:?} is not a log level{meant}", meant = meant(.0))]
    Word(String),
    /// More than one level without a target.
    #[error(
        "{0:?} is a second level: only one may stand without a target, as in info,target=debug"
    )]
    Second(String),
    /// An exception without a target.
    #[error("{0:?} names no target: write an exception as target=level")]
    Target(String),
}

impl Level {
    /// The filter of `tracing`.
    #[must_use]
    pub fn targets(&self) -> Targets {
        self.targets.clone()
    }
}

impl Default for Level {
    fn default() -> Self {
        let text = "info".to_owned();
        Self {
            text,
            targets: all(LevelFilter::INFO),
        }
    }
}

/// `level` for us, warnings and errors at most for everybody else.
fn all(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OURS, level)
}

/// The level that a wrong word is nearest to, or all there are.
fn meant(word: &str) -> String {
    let words = ["off", "error", "warn", "info", "debug", "trace"];
    match nearest(word, words) {
        Some(meant) => format!("; did you mean {meant:?}?"),
        None => ": use off, error, warn, info, debug or trace".into(),
    }
}

fn word(text: &str) -> Result<LevelFilter, WrongLevel> {
    match text.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(WrongLevel::Word(text.to_owned())),
    }
}

impl FromStr for Level {
    type Err = WrongLevel;

    // Not `Targets::from_str`: there a misspelt level is a target of which everything is logged.
    fn from_str(text: &str) -> Result<Self, WrongLevel> {
        let (mut general, mut exceptions) = (None, Vec::new());
        for part in text.split(',').map(str::trim) {
            match part.rsplit_once('=') {
                Some(("", _)) => return Err(WrongLevel::Target(part.to_owned())),
                Some((target, level)) => exceptions.push((target.to_owned(), word(level)?)),
                None if general.is_some() => return Err(WrongLevel::Second(part.to_owned())),
                None => general = Some(word(part)?),
            }
        }
        let targets = all(general.unwrap_or(LevelFilter::INFO)).with_targets(exceptions);
        Ok(Self {
            text: text.to_owned(),
            targets,
        })
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Level {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Level {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Level {
    fn schema_name() -> Cow<'static, str> {
        "LogLevel".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "examples": ["info", "info,nodeward::peer=debug"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level as At;

    fn logs(level: &str, target: &str, at: At) -> bool {
        level
            .parse::<Level>()
            .unwrap()
            .targets()
            .would_enable(target, &at)
    }

    #[test]
    fn a_level_holds_for_us_and_is_capped_at_warnings_for_libraries() {
        assert!(logs("debug", "nodeward::app", At::DEBUG));
        assert!(!logs("info", "nodeward::app", At::DEBUG));
        assert!(logs("debug", "hyper", At::WARN));
        assert!(!logs("debug", "hyper", At::INFO));
        assert!(!logs("error", "hyper", At::WARN));
        assert!(!logs("off", "nodeward", At::ERROR));
        assert!(logs("WARN", "nodeward", At::WARN));
    }

    #[test]
    fn the_longest_target_wins_and_a_missing_general_level_is_info() {
        let level = "nodeward::peer=debug, nodeward::peer::systemd=error";
        assert!(logs(level, "nodeward::peer::haproxy", At::DEBUG));
        assert!(!logs(level, "nodeward::peer::systemd", At::WARN));
        assert!(logs(level, "nodeward::app", At::INFO));
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| text.parse::<Level>().unwrap_err();
        assert_eq!(wrong("inof"), WrongLevel::Word("inof".to_owned()));
        let said = wrong("inof").to_string();
        assert!(said.contains("did you mean \"info\"?"), "{said}");
        assert_eq!(wrong(""), WrongLevel::Word(String::new()));
        assert_eq!(wrong("info,debug"), WrongLevel::Second("debug".to_owned()));
        assert_eq!(
            wrong("info,=debug"),
            WrongLevel::Target("=debug".to_owned())
        );
        assert_eq!(wrong("info,a=loud"), WrongLevel::Word("loud".to_owned()));
    }
}
