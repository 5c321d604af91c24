//! The house: which layer may know which, and which file may use which crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layers, lowest first; those of one row do not know one another.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["telemetry"],
    &["host", "net"],
    &["journal"],
    &["dialect"],
    &["peer"],
    &["subject"],
    &["gate"],
    &["check", "action", "notify"],
    &["heal"],
    &["serve"],
    &["config"],
    &["app"],
    &["cli"],
];

/// Crates that one place only may use, or one in each of two layers, so that a new major version touches little.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("zbus", &["peer/systemd"]),
    ("opentelemetry", &["telemetry/"]),
    ("opentelemetry_sdk", &["telemetry/"]),
    ("opentelemetry_otlp", &["telemetry/"]),
    ("tracing_opentelemetry", &["telemetry/"]),
    ("opentelemetry_proto", &["dialect/otlp/"]),
    ("prometheus_client", &["dialect/prometheus/openmetrics"]),
    ("granit_parser", &["config/parse.rs"]),
    ("clap", &["cli/"]),
    ("rusqlite", &["journal/", "host/database.rs"]),
    ("sysinfo", &["host/summary.rs"]),
    ("syslog", &["notify/syslog/local.rs"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), code(&text))
        })
        .collect()
}

/// The text without comments and test modules: doc links and tests may look up.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    text.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

/// Names that follow `crate::`, the names of a `crate::{a, b}` group included.
fn crate_paths(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if at > 0 && code.as_bytes()[at - 1] == b'$' {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && depth == 0 && !c.is_whitespace() => {
                        names.push(word(&group[i..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            names.push(word(rest));
        }
    }
    names
}

fn is_test_file(path: &Path) -> bool {
    path.components()
        .any(|c| c.as_os_str() == "tests" || c.as_os_str() == "tests.rs")
}

#[test]
fn every_module_knows_only_lower_layers() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let layer = path
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        if is_test_file(&path) || layer == "lib.rs" || layer == "main.rs" {
            continue;
        }
        let own = rank(&layer).unwrap_or_else(|| panic!("{layer} is no layer of the house"));
        for name in crate_paths(&code) {
            let Some(other) = rank(&name) else { continue };
            if name != layer && other >= own {
                wrong.push(format!("{}: {layer} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_dialect_knows_no_subject_and_another_dialect_neither() {
    let dialects = ["prometheus", "otlp", "zabbix"];
    for (path, code) in sources() {
        let mut parts = path
            .components()
            .map(|c| c.as_os_str().to_string_lossy().into_owned());
        if parts.next().as_deref() != Some("dialect") {
            continue;
        }
        let own = parts.next().unwrap_or_default();
        if !dialects.contains(&own.as_str()) {
            continue;
        }
        for other in dialects.iter().filter(|d| **d != own) {
            let path_of = format!("dialect::{other}");
            assert!(
                !code.contains(&path_of),
                "{}: {own} uses {other}",
                path.display()
            );
        }
    }
}

#[test]
fn crates_that_change_often_are_used_in_one_place() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let name = path.to_string_lossy().into_owned();
        if is_test_file(&path) {
            continue;
        }
        for (krate, places) in KEPT_TO {
            let used = code
                .match_indices(&format!("{krate}::"))
                .any(|(at, _)| at == 0 || !is_word(code.as_bytes()[at - 1]));
            if used && !places.iter().any(|place| name.starts_with(place)) {
                wrong.push(format!("{name} uses {krate}, which belongs to {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

#[test]
fn only_the_host_layer_and_the_config_read_files_and_nobody_runs_a_shell() {
    let readers = [
        "host/",
        "config/",
        "telemetry/",
        "net/",
        "journal/",
        // Files of its own, as the journal's are.
        "dialect/spool/",
        "cli/",
        "app/control.rs",
    ];
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        if is_test_file(&path) {
            continue;
        }
        let name = path.to_string_lossy().into_owned();
        for call in ["std::fs::", "File::open", "OpenOptions"] {
            if code.contains(call) && !readers.iter().any(|r| name.starts_with(r)) {
                wrong.push(format!("{name} uses {call}"));
            }
        }
        // One room runs programs, by their path.
        let runs = code.contains("process::Command") && name != "host/program/group.rs";
        if runs || code.contains("Command::new(\"sh\")") {
            wrong.push(format!("{name} starts a program"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut lengths: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for (path, _) in sources() {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        if !is_test_file(&path) {
            assert!(text.starts_with("//!"), "{} has no head", path.display());
        }
        lengths.insert(text.lines().count(), path);
    }
    let (longest, path) = lengths.last_key_value().unwrap();
    assert!(
        *longest <= 600,
        "{} has {longest} lines: split it by noun",
        path.display()
    );
}
