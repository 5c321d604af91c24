//! docs/CONFIG.md.
//!
//! Owns the layout of the page alone.

use std::fmt::Write as _;

use schemars::JsonSchema;

use super::sample::flow;
use super::{Key, Part, keys};

const HEAD: &str = "\
# Configuration

Every key, made from the types that read them; do not edit this page by hand.
`nodeward generate config` prints a sample file with all of this, `nodeward generate schema` a JSON
schema for editors, and `nodeward validate` says everything that is wrong with a file in one go.

- **The file**: `--config FILE`, else `$NODEWARD_CONFIG`, else `/etc/nodeward/nodeward.yml` if it
  or a drop-in of it exists, else none: every key has a default.
- **Drop-ins**: `nodeward.d/*.yml` beside `nodeward.yml`, in the order of their names byte by byte
  (`10.yml` before `9.yml`, `B.yml` before `a.yml`), are laid over it: maps merge, anything else is
  replaced; `null` takes a section back to its defaults and switches off what is optional. Where
  there are drop-ins, `nodeward.yml` itself need not be there.
- **Durations** have a unit: `500ms`, `30s`, `2m`, `1h30m`, `1d`. **Sizes** too: `64KiB`, `4MiB`
  (powers of 1024), `1MB` (powers of 1000).
- **Secrets** never stand in the file. A key that ends in `_file` names a file; a relative path
  begins at the directory of the main config file; `credential:NAME` names a systemd credential of
  the unit.
- **YAML** is read as version 1.2: `yes`, `no`, `on` and `off` are texts; a text that looks like a
  number needs quotes; aliases work, merge keys (`<<`) and tags (`!`) do not.
- `SIGHUP` and `nodeward reload` read the file again, all or nothing.
";

/// The page about every key of `T`; top-level keys of `first` stand first.
pub fn page<T: JsonSchema>(first: &[&str]) -> String {
    let mut page = HEAD.to_owned();
    for key in keys::<T>(first) {
        section(&mut page, &key, "##");
    }
    page
}

fn section(page: &mut String, key: &Key, level: &str) {
    line(page, &format!("\n{level} `{}`", key.path));
    if !key.about.is_empty() && key.part != Part::Leaf {
        line(page, &format!("\n{}", key.about));
    }
    let section_of_keys = matches!(key.part, Part::Section | Part::Optional);
    let is_section = |child: &&Key| {
        section_of_keys
            && level == "##"
            && child.part == Part::Section
            && !child.children.is_empty()
    };
    let (sections, rows): (Vec<&Key>, Vec<&Key>) = key.children.iter().partition(is_section);
    if !section_of_keys || !rows.is_empty() {
        line(
            page,
            "\n| key | type | default | meaning |\n| --- | --- | --- | --- |",
        );
    }
    if section_of_keys {
        rows.iter().for_each(|child| row(page, child));
    } else {
        row(page, key);
    }
    sections
        .iter()
        .for_each(|child| section(page, child, "###"));
}

fn row(page: &mut String, key: &Key) {
    let default = match &key.default {
        _ if key.required => "required".to_owned(),
        Some(default) => format!("`{}`", flow(default)),
        None => "none".to_owned(),
    };
    let mut about = key.about.clone();
    for (word, meaning) in &key.words {
        about.push_str(&format!(" `{word}`: {meaning}"));
    }
    let escape = |text: &str| text.replace('|', "\\|");
    let cells = [format!("`{}`", key.path), key.kind.clone(), default, about];
    let cells: Vec<String> = cells.iter().map(|cell| escape(cell.trim())).collect();
    line(page, &format!("| {} |", cells.join(" | ")));
    key.children.iter().for_each(|child| row(page, child));
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    writeln!(page, "{text}").ok();
}
