//! docs/METRICS.md: every name that is told, from the declarations.

use std::fmt::{self, Write};

use crate::app::told;
use crate::dialect::otlp::{Form, InstrumentKind, Named};
use crate::dialect::prometheus::Declared;
use crate::subject::{Entry, ItemDescriptor, NONE_TAKEN, TABLE};

const HEAD: &str = "# Every name that is told\n\n\
Made from the declarations in the source; `nodeward generate metrics` prints it. One chapter a subject, then nodeward's own series. The \
names, labels, units and values of `node_*` are node_exporter's, those of `system.*` hostmetrics', the keys the Zabbix agent's. \
An OTLP metric that is told only if `instruments` names it is asked for by `subjects: {NAME: {instruments: [...]}}`.\n";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    // Writing to a String cannot fail.
    match write_all(&mut page) {
        Ok(()) | Err(fmt::Error) => page,
    }
}

fn write_all(page: &mut String) -> fmt::Result {
    for entry in TABLE {
        subject(page, entry)?;
    }
    page.push_str("\n## nodeward itself\n");
    families(page, told::families().into_iter().flatten().copied())?;
    instruments(page, &told::instruments())?;
    keys(page, told::keys())?;
    let keys: Vec<_> = crate::dialect::zabbix::agent::KEYS
        .iter()
        .map(|key| format!("`{key}`"))
        .collect();
    writeln!(page, "\nKeys of the agent itself: {}.", keys.join(", "))
}

fn subject(page: &mut String, entry: &Entry) -> fmt::Result {
    let on = match (entry.on, entry.exported) {
        (true, true) => "told by default",
        (true, false) => "told by default, but in batches",
        (false, true) => "told by default in batches and to Zabbix, not on pages",
        (false, false) if (entry.items)().is_empty() => "not told by default",
        (false, false) => "told by default to Zabbix alone",
    };
    writeln!(
        page,
        "\n## {}\n\n{on}; flag `--[no-]collector.{}`",
        entry.name, entry.name
    )?;
    families(page, entry.families.iter().copied())?;
    instruments(page, entry.instruments)?;
    keys(page, (entry.items)().iter())
}

fn keys<'a>(page: &mut String, items: impl Iterator<Item = &'a ItemDescriptor>) -> fmt::Result {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    writeln!(page, "\n| Zabbix key | what |\n| --- | --- |")?;
    for item in items {
        let parameters = match item.parameters {
            [] | NONE_TAKEN => String::new(),
            some => format!("[{}]", some.join(",")),
        };
        writeln!(page, "| `{}{parameters}` | {} |", item.name, item.help)?;
    }
    Ok(())
}

fn families<'a>(page: &mut String, all: impl Iterator<Item = &'a dyn Declared>) -> fmt::Result {
    writeln!(
        page,
        "\n| family | type | labels | what |\n| --- | --- | --- | --- |"
    )?;
    for family in all {
        let family = family.descriptor();
        let (name, kind) = (family.name, family.kind.text());
        writeln!(
            page,
            "| `{name}` | {kind} | {} | {} |",
            family.labels.join(", "),
            family.help
        )?;
    }
    Ok(())
}

fn instruments(page: &mut String, all: &[&dyn Named]) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let head = "| OTLP metric | kind | unit | attributes | what |\n| --- | --- | --- | --- | --- |";
    writeln!(page, "\n{head}")?;
    all.iter().try_for_each(|i| instrument(page, *i))
}

fn instrument(page: &mut String, instrument: &dyn Named) -> fmt::Result {
    let named = instrument.descriptor();
    let kind = match named.kind {
        InstrumentKind::Counter => "counter",
        InstrumentKind::UpDown => "up-down counter",
        InstrumentKind::Gauge => "gauge",
        InstrumentKind::Histogram => "histogram",
    };
    let form = match named.form {
        Form::Int => "int",
        Form::Double => "double",
    };
    let attributes = instrument.attributes().join(", ");
    let (name, unit, what) = (named.name, named.unit, named.description);
    let only = match named.optional {
        true => "; only if `instruments` names it",
        false => "",
    };
    writeln!(
        page,
        "| `{name}` | {kind}, {form} | {unit} | {attributes} | {what}{only} |"
    )
}
