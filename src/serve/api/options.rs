//! The `api` section of the config file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::name::{LONGEST, is_name};
use crate::net::address::Address;
use crate::net::tls;
use crate::serve;
use crate::serve::tokens::Tokens;

/// Who asks the control socket as root goes by the first of these; holds of maintenance are under the second.
const TAKEN: [&str; 2] = ["root", "maintenance"];
/// A token of fewer characters can be guessed.
const SHORT: usize = 16;

/// What operators may ask and order over HTTP (`/api/v1/`). It is on once it has a token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Api")]
pub struct Options {
    /// Addresses where only the API is served, and then nowhere else. Default: none, it is served on `http.listen`.
    pub listen: Vec<String>,
    /// TLS on `listen`. Default: none.
    pub tls: Option<tls::ServerOptions>,
    /// Who may use it, each by the name that stands in the journal: up to 64 letters, digits, dots, dashes and underscores.
    pub tokens: BTreeMap<String, Token>,
}

/// One who may use the API: whoever sends `Authorization: Bearer TOKEN`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The file that holds the token, read again at each reload. A list of two files takes either token, so that one can be
    /// changed while it is in use.
    #[serde(skip_serializing)]
    pub token_file: Tokens,
    /// What it may do.
    pub role: Role,
}

/// What a token may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See all that the API shows.
    Read,
    /// That, and pause, maintain, approve, reject and cancel.
    Operate,
}

/// Why options cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A name.
    #[error(
        "a token's name has up to {LONGEST} letters, digits, dots, dashes and underscores, and is neither root, as the \
         control socket calls its own, nor maintenance, which has holds of its own"
    )]
    Name(String),
    /// Two names for one token.
    #[error("this is the token of {1:?} too: nobody could say who it was")]
    Same(String, String),
    /// `listen` and no token.
    #[error("nobody could use the API: name a token under tokens")]
    Nothing,
    /// `tls` and no `listen`.
    #[error("there is no listen that it could be for; TLS of http.listen is set by http.tls")]
    NoListen,
}

impl Invalid {
    /// The keys below `api` that it is about.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        match self {
            Self::Name(name) | Self::Same(name, _) => vec!["tokens", name],
            Self::Nothing => vec!["listen"],
            Self::NoListen => vec!["tls"],
        }
    }
}

impl Options {
    /// Checks across the fields, but for the addresses of `listen`: everything that is wrong.
    #[must_use]
    pub fn faults(&self) -> Vec<Invalid> {
        let mut faults = Vec::new();
        let mut before: Vec<(&str, &Token)> = Vec::new();
        for (name, token) in &self.tokens {
            if !is_name(name) || TAKEN.contains(&name.as_str()) {
                faults.push(Invalid::Name(name.clone()));
            }
            let shares = |other: &Token| token.token_file.share(&other.token_file);
            if let Some((other, _)) = before.iter().find(|(_, other)| shares(other)) {
                faults.push(Invalid::Same(name.clone(), (*other).to_owned()));
            }
            before.push((name, token));
        }
        if self.tokens.is_empty() && !self.listen.is_empty() {
            faults.push(Invalid::Nothing);
        }
        if self.tls.is_some() && self.listen.is_empty() {
            faults.push(Invalid::NoListen);
        }
        faults
    }

    /// What is worth a warning: places where others can read the tokens on their way, given where HTTP is served, and
    /// tokens that can be guessed.
    #[must_use]
    pub fn warnings(&self, http: &serve::Options) -> Vec<String> {
        if self.tokens.is_empty() {
            return Vec::new();
        }
        let (places, tls) = match self.listen.is_empty() {
            true => (&http.listen, &http.tls),
            false => (&self.listen, &self.tls),
        };
        let open = |text: &&String| Address::or_passed(text).is_ok_and(|a| !a.is_local());
        let place = places.iter().find(open).filter(|_| tls.is_none());
        let place = place.map(|place| {
            format!(
                "api: tokens cross the network to {place} in clear; set api.listen and api.tls, or listen on 127.0.0.1 only"
            )
        });
        let short = self.tokens.iter();
        let short = short.filter(|(_, token)| token.token_file.shortest() < SHORT);
        let short = short.map(|(name, _)| {
            format!(
                "api.tokens.{name}: a token of less than {SHORT} characters can be guessed; make one with openssl rand -hex 32"
            )
        });
        place.into_iter().chain(short).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn options(tokens: &[(&str, &[&str])]) -> Options {
        let token = |secrets: &[&str]| Token {
            token_file: Tokens(secrets.iter().map(|s| Secret::new(*s)).collect()),
            role: Role::Read,
        };
        let tokens = tokens.iter();
        Options {
            listen: Vec::new(),
            tls: None,
            tokens: tokens
                .map(|(name, secrets)| ((*name).to_owned(), token(secrets)))
                .collect(),
        }
    }

    #[test]
    fn names_and_tokens_are_one_to_one() {
        assert_eq!(
            options(&[("alice", &["a", "b"]), ("bob-2.x", &["c"])]).faults(),
            []
        );
        let said = |tokens: &[(&str, &[&str])]| -> Vec<String> {
            let faults = options(tokens).faults();
            faults
                .iter()
                .filter_map(|f| f.keys().get(1).map(|name| (*name).to_owned()))
                .collect()
        };
        assert_eq!(said(&[("root", &["a"])]), ["root"]);
        assert_eq!(said(&[("maintenance", &["a"])]), ["maintenance"]);
        assert_eq!(said(&[("a b", &["a"])]), ["a b"]);
        assert_eq!(said(&[("alice", &["a", "b"]), ("bob", &["b"])]), ["bob"]);
        let nobody = Options {
            listen: vec!["127.0.0.1:1".into()],
            ..Options::default()
        };
        assert_eq!(nobody.faults(), [Invalid::Nothing]);
    }

    #[test]
    fn tokens_in_clear_and_short_ones_are_warned_of() {
        let long = "0123456789abcdef";
        let of = |options: &Options, http: &str| {
            let http = serve::Options {
                listen: vec![http.to_owned()],
                ..serve::Options::default()
            };
            options.warnings(&http).len()
        };
        let good = options(&[("alice", &[long])]);
        assert_eq!(of(&good, "127.0.0.1:9100"), 0);
        assert_eq!(of(&good, "unix:/run/x"), 0);
        assert_eq!(of(&good, ":9100"), 1);
        let apart = Options {
            listen: vec!["[::1]:9300".into()],
            ..good
        };
        assert_eq!(of(&apart, ":9100"), 0);
        assert_eq!(
            of(&options(&[("alice", &[long, "short"])]), "127.0.0.1:1"),
            1
        );
        assert_eq!(of(&Options::default(), ":9100"), 0);
    }
}
