//! Cipher suites and curves that a listener may be told to use, by the names that Go gives them (crypto/tls), since the exporters' web
//! configuration file has those.
//!
//! Owns the names. The suites of TLS 1.3 are always all there, as in Go; naming one changes nothing.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::provider;
use crate::model::nearest::nearest;

const SUITES: [(&str, CipherSuite); 9] = [
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const CURVES: [(&str, NamedGroup); 3] = [
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
];
/// Go has it, ring has not.
const P521: &str = "CurveP521";

/// A cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite(CipherSuite);

/// An elliptic curve for the exchange of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Curve(NamedGroup);

fn known<T: PartialEq + Copy>(
    all: &[(&'static str, T)],
    text: &str,
    what: &str,
) -> Result<T, String> {
    let names = || all.iter().map(|(name, _)| *name);
    let found = all.iter().find(|(name, _)| *name == text);
    found.map(|(_, found)| *found).ok_or_else(|| {
        let meant = nearest(text, names()).map(|name| format!("; did you mean {name}?"));
        let meant = meant.unwrap_or_else(|| {
            let all: Vec<_> = names().collect();
            format!("; there are {}", all.join(", "))
        });
        format!("no {what} is called {text:?}{meant}")
    })
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // rustls has none without forward secrecy and none with CBC, whatever else Go still takes.
        let unsafe_there =
            text.contains("_CBC_") || text.starts_with("TLS_RSA_") || text.contains("_RC4_");
        if unsafe_there && !SUITES.iter().any(|(name, _)| *name == text) {
            return Err(format!(
                "{text} is not spoken here, nor is any suite with CBC or without forward secrecy: leave it out; clients that know \
                 no other cannot connect"
            ));
        }
        known(&SUITES, text, "cipher suite").map(Self)
    }
}

impl FromStr for Curve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == P521 {
            return Err(format!(
                "{P521} is not spoken here: leave it out, or name CurveP384, which every client that knows it has too"
            ));
        }
        known(&CURVES, text, "curve").map(Self)
    }
}

fn name<T: PartialEq>(all: &[(&'static str, T)], one: &T) -> &'static str {
    let found = all.iter().find(|(_, other)| other == one);
    found.map_or("", |(name, _)| name)
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&SUITES, &self.0))
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&CURVES, &self.0))
    }
}

macro_rules! as_text {
    ($($type:ident: $schema:literal;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $schema.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1 })
            }
        }
    )*};
}

as_text! {
    Suite: "CipherSuite";
    Curve: "Curve";
}

impl Suite {
    /// Whether a client of TLS 1.2 could use it.
    pub(super) fn is_of_tls12(self) -> bool {
        let all = provider();
        let mut all = all.cipher_suites.iter();
        all.any(|suite| suite.suite() == self.0 && matches!(suite, SupportedCipherSuite::Tls12(_)))
    }
}

/// The algorithms that are left of all, in the order that is named; all, where none is.
pub(super) fn chosen(suites: &[Suite], curves: &[Curve]) -> Arc<CryptoProvider> {
    let mut provider = CryptoProvider::clone(&provider());
    if !suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        let newest = all
            .iter()
            .filter(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)));
        let older = suites
            .iter()
            .filter(|suite| suite.is_of_tls12())
            .filter_map(|suite| all.iter().find(|one| one.suite() == suite.0));
        provider.cipher_suites = newest.chain(older).copied().collect();
    }
    if !curves.is_empty() {
        let all = std::mem::take(&mut provider.kx_groups);
        let named = |curve: &Curve| all.iter().find(|group| group.name() == curve.0);
        provider.kx_groups = curves.iter().filter_map(named).copied().collect();
    }
    Arc::new(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_what_is_spoken() {
        for (name, _) in SUITES {
            let suite: Suite = name.parse().unwrap();
            assert_eq!(suite.to_string(), name);
            let here = |one: &SupportedCipherSuite| one.suite() == suite.0;
            assert!(provider().cipher_suites.iter().any(here), "{name}");
        }
        for (name, _) in CURVES {
            let curve: Curve = name.parse().unwrap();
            assert_eq!(curve.to_string(), name);
            assert_eq!(chosen(&[], &[curve]).kx_groups.len(), 1, "{name}");
        }
    }

    #[test]
    fn what_is_not_spoken_is_refused_by_name() {
        let cbc = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA";
        for (wrong, said) in [
            (cbc.parse::<Suite>().unwrap_err(), cbc),
            (
                "TLS_RSA_WITH_AES_128_GCM_SHA256"
                    .parse::<Suite>()
                    .unwrap_err(),
                "forward secrecy",
            ),
            (
                "TLS_AES_128_GCM_SHA25".parse::<Suite>().unwrap_err(),
                "did you mean TLS_AES_128_GCM_SHA256?",
            ),
            ("CurveP521".parse::<Curve>().unwrap_err(), "CurveP384"),
            ("P-256".parse::<Curve>().unwrap_err(), "CurveP256"),
        ] {
            assert!(wrong.contains(said), "{wrong}");
        }
    }

    #[test]
    fn suites_of_tls_1_2_are_chosen_and_those_of_1_3_always_there() {
        let one: Suite = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".parse().unwrap();
        let left = chosen(&[one], &[]).cipher_suites.clone();
        assert_eq!(left.len(), 4);
        assert_eq!(left.last().unwrap().suite(), one.0);
        assert!(one.is_of_tls12());
    }
}
