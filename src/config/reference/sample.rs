//! The sample config: every key at its default, commented out.
//!
//! Owns its layout alone. Settings begin with `#` and no space, explanations with `# `: taking the
//! bare `#` away everywhere gives a config that equals the defaults, and a test does so.

use schemars::JsonSchema;
use serde_json::Value;

use super::{Key, Part, SCHEMA_FILE, keys};

const WIDTH: usize = 100;

/// The sample of `T`; top-level keys of `first` stand first.
pub fn sample<T: JsonSchema>(first: &[&str]) -> String {
    let mut lines = vec![
        format!("# yaml-language-server: $schema={SCHEMA_FILE}"),
        "# The line above lets editors complete and check keys, once this was run beside this file:"
            .to_owned(),
        format!("#   nodeward generate schema > {SCHEMA_FILE}"),
        "# Every key stands here at its default. Take the # before a section and a key away to set it."
            .to_owned(),
        "# nodeward validate FILE tells what is wrong with it.".to_owned(),
    ];
    for key in keys::<T>(first) {
        lines.push(String::new());
        setting(&mut lines, &key, 0);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A key that has a default.
fn setting(lines: &mut Vec<String>, key: &Key, depth: usize) {
    let indent = "  ".repeat(depth);
    explain(lines, key, &indent);
    let value = match (&key.default, key.part) {
        (_, Part::Section) if !key.children.is_empty() => String::new(),
        (Some(default), _) => format!(" {}", flow(default)),
        (None, Part::Section) => " {}".to_owned(),
        (None, _) => String::new(),
    };
    lines.push(format!("{indent}#{}:{value}", key.name));
    for child in &key.children {
        match key.part {
            Part::Section => setting(lines, child, depth + 1),
            _ => example(lines, child, &indent, 1),
        }
    }
}

/// A key below something that is not there by default: an explanation all through.
fn example(lines: &mut Vec<String>, key: &Key, indent: &str, depth: usize) {
    let inner = "  ".repeat(depth);
    let need = if key.required { ", required" } else { "" };
    let default = key
        .default
        .as_ref()
        .map(|default| format!(", default {}", flow(default)));
    let kind = key.kind.replace('`', "");
    let name = if key.name == "[]" {
        "-".to_owned()
    } else {
        format!("{}:", key.name)
    };
    let about = if key.about.is_empty() {
        String::new()
    } else {
        format!(". {}", key.about)
    };
    let text = format!("{name} {kind}{need}{}{about}", default.unwrap_or_default());
    lines.push(format!("{indent}# {inner}{text}"));
    key.children
        .iter()
        .for_each(|child| example(lines, child, indent, depth + 1));
}

fn explain(lines: &mut Vec<String>, key: &Key, indent: &str) {
    let mut text = key.about.clone();
    if key.part != Part::Section {
        let kind = key.kind.replace('`', "");
        text = format!("{text} ({kind})").trim_start().to_owned();
    }
    let mut line = format!("{indent}#");
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() >= WIDTH {
            lines.push(std::mem::replace(&mut line, format!("{indent}#")));
        }
        line.push(' ');
        line.push_str(word);
    }
    if !text.is_empty() {
        lines.push(line);
    }
}

/// A value in YAML's flow style, texts without quotes where that is safe.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(flow).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Letters first and nothing YAML or a reader could take for something else.
fn is_plain(text: &str) -> bool {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let duration = text.parse::<crate::model::duration::Period>().is_ok();
    let size = text.parse::<crate::model::size::Size>().is_ok();
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    duration || size || (begins && !word && text.chars().all(ordinary))
}
