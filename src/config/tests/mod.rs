//! Broken configs and what is said about them, over types that have every shape a section can have.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cross::Cross;
use super::fault::{Faults, Source, Sources};
use super::load::{Read, decode, read, sources};
use super::secret::Near;
use super::tree::Path;
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::model::size::Size;

#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct House {
    http: Http,
    log: Log,
    checks: BTreeMap<String, Probe>,
    /// Off unless it is there.
    psk: Option<Psk>,
    ladder: Vec<Rung>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Http {
    listen: Vec<std::net::SocketAddr>,
    #[schemars(range(min = 1, max = 10_000))]
    max_connections: u32,
    port: u16,
    idle: Period,
    body: Size,
    tls: bool,
    ratio: f64,
    web_file: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            max_connections: 128,
            port: 9100,
            idle: Period::secs(30),
            body: Size::mib(4),
            tls: false,
            ratio: 0.5,
            web_file: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Log {
    format: Format,
    level: Option<Level>,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Debug,
    Info,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Probe {
    url: String,
    #[serde(default)]
    expect: Option<u16>,
    every: Period,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Psk {
    identity: String,
    key_file: Secret,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Rung {
    /// Nothing but wait.
    Wait,
    Systemd(Unit),
    Command(Command),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unit {
    unit: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Command {
    #[schemars(length(min = 1, max = 3))]
    argv: Vec<String>,
}

fn house(text: &str) -> Result<Read<House>, String> {
    files(&[("n.yml", text)])
}

fn files(files: &[(&str, &str)]) -> Result<Read<House>, String> {
    let sources = files
        .iter()
        .map(|(name, text)| Source {
            path: PathBuf::from(name),
            text: (*text).to_owned(),
        })
        .collect();
    let near = Near::new("/etc/nodeward", None);
    read(Sources(sources), &near, Faults::default(), across).map_err(|errors| errors.to_string())
}

fn across(house: &House, cross: &mut Cross<'_>) {
    if house.http.tls && house.psk.is_none() {
        cross.fault(&Path::of(&["http", "tls"]), "tls needs psk");
    }
}

#[test]
fn every_broken_config_is_told_what_is_wrong_and_where() {
    let cases = compare_with_table("broken.txt", |text| house(text).map(|_| ()));
    assert!(cases >= 40);
}

/// Holds a table of broken configs to its answers and returns their number. The table has blocks
/// of a config, a line of `=`, and what is said about it, divided by lines of `-`. With
/// `NODEWARD_WRITE` set, the answers are written anew; read the difference.
fn compare_with_table(name: &str, load: impl Fn(&str) -> Result<(), String>) -> usize {
    let file = format!("{}/src/config/tests/{name}", env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(&file).unwrap();
    let blocks = || table.split_terminator("--------\n");
    let mut said = String::new();
    for block in blocks() {
        let (text, _) = block.split_once("========\n").unwrap();
        let errors = load(text).expect_err(text);
        said.push_str(&format!("{text}========\n{errors}\n--------\n"));
    }
    if std::env::var_os("NODEWARD_WRITE").is_some() {
        std::fs::write(&file, &said).unwrap();
        return blocks().count();
    }
    for (old, new) in blocks().zip(said.split_terminator("--------\n")) {
        assert_eq!(old, new);
    }
    blocks().count()
}

#[test]
fn drop_ins_merge_maps_and_replace_the_rest_and_faults_name_their_file() {
    let main = "http: {port: 1, listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]}\nlog: {name: a}";
    let upper = "http: {listen: [\"127.0.0.1:3\"]}\nchecks: {web: {url: x, every: 1s}}";
    let read = files(&[("n.yml", main), ("n.d/10.yml", upper), ("n.d/20.yml", "")]).unwrap();
    assert_eq!(read.config.http.port, 1);
    assert_eq!(read.config.http.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert_eq!(
        (read.config.log.name.as_str(), read.config.checks.len()),
        ("a", 1)
    );
    assert_eq!(read.files.len(), 3);
    let said = files(&[
        ("n.yml", "http: {prt: 1}"),
        ("n.d/10.yml", "http:\n  port: x"),
    ]);
    let said = said.unwrap_err();
    assert!(
        said.contains("n.yml:1:8: unknown key \"prt\" in http"),
        "{said}"
    );
    assert!(
        said.contains("n.d/10.yml:2:9: http.port: expected a whole number"),
        "{said}"
    );
    assert!(said.ends_with("2 errors"), "{said}");
}

#[test]
fn a_section_left_empty_keeps_its_defaults_and_null_switches_off() {
    let read = house("http:\nlog: {level: null}\npsk: null\n").unwrap();
    assert_eq!(read.config, House::default());
    assert_eq!(house("# nothing\n").unwrap().config, House::default());
    assert_eq!(house("").unwrap().config, House::default());
}

#[test]
fn lines_may_end_as_on_any_system() {
    for text in [
        "log:\n  format: x\n",
        "log:\r\n  format: x\r\n",
        "log:\r  format: x\r",
    ] {
        let (text, _) = decode(text.as_bytes(), 0);
        let said = house(&text).unwrap_err();
        assert!(said.starts_with("n.yml:2:11: "), "{said}");
        assert!(said.contains("\n  2 |   format: x\n"), "{said}");
    }
}

#[test]
fn the_fingerprint_follows_values_and_not_their_layout() {
    let of = |text: &str| house(text).unwrap().fingerprint;
    let one = of("http: {port: 1, tls: false}\n");
    assert_eq!(one, of("# a comment\nhttp:\n  tls: false\n  port: 1\n"));
    assert_ne!(one, of("http: {port: 2, tls: false}\n"));
    assert_ne!(of("log: {name: ab}"), of("log: {name: a}"));
}

#[test]
fn names_of_files_begin_at_the_config_and_secrets_are_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("psk"), "c0ffee\n").unwrap();
    let text = "http: {web_file: web.yml}\npsk: {identity: a, key_file: psk}";
    let source = Source {
        path: PathBuf::from("n.yml"),
        text: text.to_owned(),
    };
    let near = Near::new(directory.path(), None);
    let config = read::<House>(Sources(vec![source]), &near, Faults::default(), across)
        .unwrap()
        .config;
    assert_eq!(config.http.web_file, Some(directory.path().join("web.yml")));
    assert_eq!(config.psk.as_ref().unwrap().key_file.reveal(), "c0ffee");
    assert!(!format!("{config:?}").contains("c0ffee"));
}

#[test]
fn files_are_found_read_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let texts = |main: &str| {
        let mut faults = Faults::default();
        let sources = sources(&at(main), &mut faults);
        let names: Vec<_> = sources
            .0
            .iter()
            .map(|source| {
                source
                    .path
                    .strip_prefix(directory.path())
                    .unwrap()
                    .to_owned()
            })
            .collect();
        (names, faults.into_errors(sources).to_string())
    };
    std::fs::write(at("n.yml"), "\u{feff}http: {}\n").unwrap();
    std::fs::create_dir(at("n.d")).unwrap();
    for name in ["b.yml", "a.yaml", ".hidden.yml", "c.yml.bak"] {
        std::fs::write(at("n.d").join(name), "").unwrap();
    }
    let (names, said) = texts("n.yml");
    assert_eq!(
        names,
        ["n.yml", "n.d/a.yaml", "n.d/b.yml"].map(PathBuf::from)
    );
    assert_eq!(said, "0 errors");
    std::fs::write(at("n.d/b.yml"), b"log:\n  name: \xff").unwrap();
    let (_, said) = texts("n.yml");
    assert!(
        said.contains("n.d/b.yml:2:9: this is no UTF-8 text"),
        "{said}"
    );
    std::fs::create_dir(at("alone.d")).unwrap();
    std::fs::write(at("alone.d/a.yml"), "").unwrap();
    let (names, said) = texts("alone.yml");
    assert_eq!(
        (names, said.as_str()),
        (vec![PathBuf::from("alone.d/a.yml")], "0 errors")
    );
    let (_, said) = texts("gone.yml");
    assert!(
        said.contains("gone.yml: cannot read the config: No such file"),
        "{said}"
    );
    std::fs::write(at("large.yml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    let (_, said) = texts("large.yml");
    assert!(said.contains("large.yml: larger than 1MiB"), "{said}");
}

/// A config, or at least one error.
fn answered(outcome: Result<Read<House>, String>) -> bool {
    outcome
        .err()
        .is_none_or(|said| !said.ends_with("\n0 errors") && said.contains(" error"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let (text, _) = decode(&bytes, 0);
        prop_assert!(answered(house(&text)));
    }

    #[test]
    fn no_yaml_like_text_makes_the_loader_panic(
        text in "([a-z\\[\\]{}:,&*!|>'\"#%@`\\-? \n\t0-9.~<é]|http: |listen|port: |log|\n  |- |psk:){0,80}"
    ) {
        prop_assert!(answered(house(&text)));
    }
}

/// A sample with every setting in force.
fn uncommented(sample: &str) -> String {
    let live = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let (before, after) = line.split_at(indent);
        match after.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{before}{setting}\n"),
            _ => format!("{line}\n"),
        }
    };
    sample.lines().map(live).collect()
}

#[test]
fn the_sample_holds_every_key_at_its_default() {
    let sample = super::reference::sample::<House>(&["log"]);
    let live = uncommented(&sample);
    assert!(sample.starts_with("# yaml-language-server: $schema=nodeward.schema.json\n"));
    assert_eq!(house(&sample).unwrap().config, House::default());
    assert_eq!(house(&live).unwrap().config, House::default());
}

mod actions;
mod hostile;
mod whole;
