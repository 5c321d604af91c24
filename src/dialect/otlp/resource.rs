//! The resource: who and what machine the telemetry is about.
//!
//! Owns the attribute names of the semantic conventions 1.44.0 and the order in which sources
//! override one another. It reads nothing: the facts come in an
//! [`Identity`].
//! Surprising: `host.id` and `service.instance.id` are left out where no machine id is known. An
//! invented one would change with each restart and split every series of the host in two.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use uuid::{Uuid, uuid};

use crate::host::Identity;

/// The namespace that the semantic conventions fix for `service.instance.id`.
const INSTANCE: Uuid = uuid!("4d63009a-8d0f-11ee-aad7-4c796ed8e320");

/// What the user says about the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `otlp.resource` of the config; an empty value removes the attribute.
    pub config: BTreeMap<String, String>,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, decoded.
    pub attributes: Vec<(String, String)>,
}

/// The attributes of everything sent: config over `OTEL_SERVICE_NAME` over
/// `OTEL_RESOURCE_ATTRIBUTES` over what was detected. Sorted by key, each once.
pub fn attributes(identity: &Identity, overrides: &Overrides) -> Vec<(String, String)> {
    let mut all = detected(identity);
    all.extend(overrides.attributes.iter().cloned());
    if let Some(name) = &overrides.service_name {
        all.insert("service.name".to_owned(), name.clone());
    }
    for (key, value) in &overrides.config {
        if value.is_empty() {
            all.remove(key);
        } else {
            all.insert(key.clone(), value.clone());
        }
    }
    all.into_iter().collect()
}

/// [`attributes`] as the message that each request holds.
pub fn resource(attributes: &[(String, String)]) -> Resource {
    let pair = |(key, value): &(String, String)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.clone())),
        }),
        ..KeyValue::default()
    };
    Resource {
        attributes: attributes.iter().map(pair).collect(),
        ..Resource::default()
    }
}

fn detected(identity: &Identity) -> BTreeMap<String, String> {
    let release = identity
        .os_release
        .as_deref()
        .map(os_release)
        .unwrap_or_default();
    let kernel = format!("Linux {}", identity.kernel_release.trim());
    let description = match release.get("PRETTY_NAME") {
        Some(name) => format!("{name} ({})", kernel.trim_end()),
        None => kernel.trim_end().to_owned(),
    };
    let machine_id = identity.machine_id.as_deref().and_then(machine_id);
    let hostname = identity.hostname.trim();
    [
        ("service.name", Some("nodeward".to_owned())),
        (
            "service.version",
            Some(env!("CARGO_PKG_VERSION").to_owned()),
        ),
        ("service.instance.id", machine_id.map(instance)),
        (
            "host.name",
            (!hostname.is_empty()).then(|| hostname.to_owned()),
        ),
        ("host.id", machine_id.map(str::to_owned)),
        ("host.arch", architecture(identity.machine.trim())),
        ("os.type", Some("linux".to_owned())),
        ("os.name", release.get("NAME").cloned()),
        ("os.version", release.get("VERSION_ID").cloned()),
        ("os.description", Some(description)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

/// The machine id if the text holds one: 32 hexadecimal digits (machine-id(5)). An image's file is
/// often empty or says `uninitialized`.
fn machine_id(text: &str) -> Option<&str> {
    let id = text.trim();
    let fits = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (fits && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

fn instance(machine_id: &str) -> String {
    Uuid::new_v5(&INSTANCE, machine_id.as_bytes()).to_string()
}

/// `uname -m` in the words of `host.arch`; others pass as they are, which the conventions allow.
fn architecture(machine: &str) -> Option<String> {
    let word = match machine {
        "" => return None,
        "x86_64" => "amd64",
        "aarch64" | "aarch64_be" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "ppc64le" | "ppc64" => "ppc64",
        "ppc" | "ppcle" => "ppc32",
        "ia64" => "ia64",
        arm if arm.starts_with("arm") => "arm32",
        other => other,
    };
    Some(word.to_owned())
}

/// The assignments of os-release(5). Lines that are none are skipped; the last of a name counts.
fn os_release(text: &str) -> BTreeMap<&str, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, unquote(value)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// Shell quoting as os-release(5) allows it: one pair of quotes, and a backslash that guards
/// the next character outside single quotes.
fn unquote(value: &str) -> String {
    let quote = value
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''));
    let inner = quote
        .and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    if quote == Some('\'') {
        return inner.to_owned();
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(letter) = rest.next() {
        text.extend(if letter == '\\' {
            rest.next()
        } else {
            Some(letter)
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(identity: &Identity, overrides: &Overrides) -> BTreeMap<String, String> {
        let attributes = resource(&attributes(identity, overrides)).attributes;
        let keys: Vec<_> = attributes.iter().map(|pair| pair.key.clone()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        let map: BTreeMap<_, _> = attributes
            .into_iter()
            .map(|pair| match pair.value.unwrap().value.unwrap() {
                Value::StringValue(text) => (pair.key, text),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(map.len(), keys.len());
        map
    }

    fn debian() -> Identity {
        Identity {
            hostname: "web-1\n".into(),
            machine_id: Some("0123456789abcdef0123456789abcdef\n".into()),
            os_release: Some(
                "# made by hand\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n\
                 NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\nnonsense\nLOGO=\n"
                    .into(),
            ),
            machine: "x86_64".into(),
            kernel_release: "6.1.0-18-amd64".into(),
            ..Identity::default()
        }
    }

    #[test]
    fn tells_the_service_the_host_and_the_system() {
        let told = told(&debian(), &Overrides::default());
        let expected = [
            ("host.arch", "amd64"),
            ("host.id", "0123456789abcdef0123456789abcdef"),
            ("host.name", "web-1"),
            (
                "os.description",
                "Debian GNU/Linux 12 (bookworm) (Linux 6.1.0-18-amd64)",
            ),
            ("os.name", "Debian GNU/Linux"),
            ("os.type", "linux"),
            ("os.version", "12"),
            // Python: uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), id)
            (
                "service.instance.id",
                "2f1423a8-dc20-5c0e-839d-70474f2dc393",
            ),
            ("service.name", "nodeward"),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        assert_eq!(
            told,
            expected
                .map(|(key, value)| (key.into(), value.into()))
                .into()
        );
    }

    #[test]
    fn invents_no_identity() {
        for text in [
            None,
            Some(""),
            Some("uninitialized\n"),
            Some("0123"),
            Some(&"0".repeat(32)),
        ] {
            let identity = Identity {
                machine_id: text.map(str::to_owned),
                ..Identity::default()
            };
            let told = told(&identity, &Overrides::default());
            let keys: Vec<_> = told.keys().map(String::as_str).collect();
            let expected = [
                "os.description",
                "os.type",
                "service.name",
                "service.version",
            ];
            assert_eq!(keys, expected, "{text:?}");
            assert_eq!(told["os.description"], "Linux");
        }
    }

    #[test]
    fn the_config_beats_the_service_name_which_beats_the_attributes() {
        let mut overrides = Overrides {
            attributes: [
                ("service.name", "attributes"),
                ("k8s.node.name", "n1"),
                ("a", ""),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            ..Overrides::default()
        };
        assert_eq!(told(&debian(), &overrides)["service.name"], "attributes");
        overrides.service_name = Some("variable".into());
        let both = told(&debian(), &overrides);
        assert_eq!(both["service.name"], "variable");
        assert_eq!(both["k8s.node.name"], "n1");
        overrides.config = [
            ("service.name", "config"),
            ("service.namespace", "shop"),
            ("host.id", ""),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let all = told(&debian(), &overrides);
        assert_eq!(all["service.name"], "config");
        assert_eq!(all["service.namespace"], "shop");
        assert!(!all.contains_key("host.id"));
    }

    #[test]
    fn unquotes_as_a_shell_would() {
        for (text, expected) in [
            ("plain", "plain"),
            ("\"a b\"", "a b"),
            ("'a $b\\'", "a $b\\"),
            (r#""a \"b\" \$c \\""#, r#"a "b" $c \"#),
            ("\"", "\""),
            ("\"open", "\"open"),
            ("a\\", "a"),
            ("", ""),
        ] {
            assert_eq!(unquote(text), expected, "{text}");
        }
    }

    #[test]
    fn names_architectures_as_the_conventions_do() {
        for (machine, expected) in [
            ("aarch64", "arm64"),
            ("armv7l", "arm32"),
            ("i686", "x86"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(architecture(machine).as_deref(), Some(expected));
        }
    }
}
