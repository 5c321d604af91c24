//! Units of systemd: the arguments of `ExecStart=`, with drop-ins and variables (systemd.unit(5), systemd.service(5), systemd.exec(5)).
//!
//! Nothing is asked of a running systemd: what it alone knows (specifiers, variables of the manager) is told, not guessed. Below an
//! image or a captured machine, paths begin where `etc/systemd/system` does.

use std::path::{Path, PathBuf};

use super::words::{Variables, Word, expand, specified, split};
use super::{Imported, environment, exporter};
use crate::config::bounded;

/// Where units and their drop-ins lie, the first before the others.
const PLACES: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// The most drop-ins that are read.
const MOST: usize = 256;
/// Programs that make a command line of their own of what follows.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "env", "ksh"];

/// Whether a file is a unit.
pub(super) fn takes(path: &Path, text: &str) -> bool {
    path.extension().is_some_and(|end| end == "service")
        || text.lines().any(|line| line.trim() == "[Service]")
}

/// What a unit and its drop-ins say, as far as it matters here.
#[derive(Default)]
struct Service {
    start: Vec<String>,
    environment: Vec<String>,
    files: Vec<String>,
    pass: Vec<String>,
    unset: Vec<String>,
}

impl Service {
    /// Takes the settings of one more file. An empty one forgets those before.
    fn read(&mut self, text: &str) {
        let mut within = false;
        for line in joined(text) {
            let line = line.trim();
            if line.starts_with('[') {
                within = line == "[Service]";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| within) else {
                continue;
            };
            let list = match key.trim() {
                "ExecStart" => &mut self.start,
                "Environment" => &mut self.environment,
                "EnvironmentFile" => &mut self.files,
                "PassEnvironment" => &mut self.pass,
                "UnsetEnvironment" => &mut self.unset,
                _ => continue,
            };
            match value.trim() {
                "" => list.clear(),
                value => list.push(value.to_owned()),
            }
        }
    }
}

/// Lines, those that end with a backslash together with what follows them; without comments.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let slashes = line.bytes().rev().take_while(|b| *b == b'\\').count();
        let whole = open.take().unwrap_or_default();
        match line.strip_suffix('\\') {
            Some(line) if slashes % 2 == 1 => open = Some(format!("{whole}{line} ")),
            _ => lines.push(whole + line),
        }
    }
    lines.extend(open);
    lines
}

/// Where the file system begins that a unit is of: the unit may be of an image.
fn root(unit: &Path) -> Option<PathBuf> {
    let directory = unit.parent()?;
    PLACES.iter().find_map(|place| {
        let fits = directory.ends_with(place);
        let mut above = directory.ancestors();
        fits.then(|| above.nth(Path::new(place).components().count()))?
            .map(Path::to_owned)
    })
}

/// The drop-ins of a unit in the order of their names; of two of one name that of the first place counts.
fn drop_ins(unit: &Path) -> Result<Vec<PathBuf>, String> {
    let name = unit.file_name().unwrap_or_default().to_string_lossy();
    let mut names = vec![format!("{name}.d")];
    // A unit of a template has the template's too.
    if let Some((template, rest)) = name.split_once('@') {
        let end = rest.rsplit_once('.').map_or("", |(_, end)| end);
        names.push(format!("{template}@.{end}.d"));
    }
    let directories = match root(unit) {
        Some(root) => PLACES.iter().map(|place| root.join(place)).collect(),
        None => vec![unit.parent().unwrap_or(Path::new("")).to_owned()],
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for (directory, name) in directories
        .iter()
        .flat_map(|directory| names.iter().map(move |name| (directory, name)))
    {
        let directory = directory.join(name);
        let cannot = |why: std::io::Error| format!("read {}: {why}", directory.display());
        let listing = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            listing => listing.map_err(cannot)?,
        };
        for entry in listing.take(MOST) {
            let path = entry.map_err(cannot)?.path();
            let known = found
                .iter()
                .any(|other| other.file_name() == path.file_name());
            if path.extension().is_some_and(|end| end == "conf") && !known {
                found.push(path);
            }
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(found)
}

/// Reads the arguments of a unit.
pub(super) fn import(path: &Path, text: &str) -> Result<Imported, String> {
    let mut service = Service::default();
    service.read(text);
    let (mut notes, mut left) = (Vec::new(), Vec::new());
    for drop_in in drop_ins(path)? {
        // A link to /dev/null takes a drop-in of that name away.
        if std::fs::canonicalize(&drop_in).is_ok_and(|to| to == Path::new("/dev/null")) {
            continue;
        }
        service.read(&bounded::text(&drop_in)?);
        notes.push(format!("Drop-in {}.", drop_in.display()));
    }
    let root = root(path).unwrap_or_else(|| PathBuf::from("/"));
    let variables = variables(&service, &root, (&mut notes, &mut left))?;
    let Some(start) = service.start.last() else {
        return Err("it has no ExecStart".into());
    };
    if service.start.len() > 1 {
        left.push("ExecStart: there are several, and the last was taken".to_owned());
    }
    let line = start.trim_start_matches(['@', '-', ':', '+', '!', '|']);
    let signs = start.get(..start.len() - line.len()).unwrap_or_default();
    let words = split(line).map_err(|why| format!("ExecStart: {why}"))?;
    let mut words = words.into_iter();
    let program = words.next().ok_or("ExecStart names no program")?;
    let name = program.rsplit('/').next().unwrap_or_default();
    if SHELLS.contains(&name) {
        let why = format!(
            "ExecStart runs {program}, which makes a command line of its own: give the exporter's arguments after --"
        );
        return Err(why);
    }
    if signs.contains('@') {
        words.next();
    }
    // Another command may follow; `\;` is a semicolon.
    let words = words.take_while(|word| word != ";");
    let words: Vec<Word> = words.map(|word| specified(&word)).collect();
    let mut unset = Vec::new();
    let words = match signs.contains(':') {
        true => words,
        false => {
            expand(words, &variables, &mut unset).map_err(|why| format!("ExecStart: {why}"))?
        }
    };
    left.extend(unset.iter().map(|name| {
        format!("${name}: neither Environment nor EnvironmentFile sets it; it was taken as empty")
    }));
    let mut imported = exporter::import([vec![Word::plain(program)], words].concat());
    notes.append(&mut imported.notes);
    left.append(&mut imported.left);
    Ok(Imported {
        notes,
        left,
        ..imported
    })
}

/// The variables that the unit sets; those of files count before its own.
fn variables(
    service: &Service,
    root: &Path,
    (notes, left): (&mut Vec<String>, &mut Vec<String>),
) -> Result<Variables, String> {
    let mut variables = Variables::new();
    for line in &service.environment {
        let words = split(line).map_err(|why| format!("Environment: {why}"))?;
        for word in words.iter().map(|word| specified(word)) {
            match (word.doubt, word.text.split_once('=')) {
                (Some(why), _) => left.push(format!("Environment={}: {why}", word.text)),
                (None, Some((name, value))) => {
                    variables.insert(name.to_owned(), value.to_owned());
                }
                (None, None) => left.push(format!("Environment={}: it sets nothing", word.text)),
            }
        }
    }
    for file in &service.files {
        let (file, may_lack) = match file.strip_prefix('-') {
            Some(file) => (file, true),
            None => (file.as_str(), false),
        };
        let word = specified(file);
        if let Some(why) = word.doubt {
            left.push(format!("EnvironmentFile={file}: {why}"));
            continue;
        }
        if word.text.contains(['*', '?', '[']) {
            left.push(format!(
                "EnvironmentFile={file}: a pattern, which is not looked up"
            ));
            continue;
        }
        let path = root.join(word.text.trim_start_matches('/'));
        match bounded::text(&path) {
            Ok(text) => {
                variables.extend(environment::variables(&text));
                notes.push(format!("Variables of {}.", path.display()));
            }
            Err(_) if may_lack && !path.exists() => {}
            Err(why) => left.push(format!("EnvironmentFile: {why}")),
        }
    }
    for name in service.pass.iter().flat_map(|line| line.split_whitespace()) {
        if !variables.contains_key(name) {
            left.push(format!(
                "PassEnvironment={name}: only the service manager knows its value"
            ));
        }
    }
    for name in service
        .unset
        .iter()
        .flat_map(|line| line.split_whitespace())
    {
        let (name, value) = name
            .split_once('=')
            .map_or((name, None), |(n, v)| (n, Some(v)));
        if value.is_none() || variables.get(name).map(String::as_str) == value {
            variables.remove(name);
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_unit_is_read_with_its_drop_ins_and_variables() {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| put(directory.path(), name, text);
        let unit = put(
            "usr/lib/systemd/system/node_exporter.service",
            "[Unit]\nExecStart=/bin/none\n[Service]\nEnvironment=MORE=--collector.systemd \"MOUNTS=^/(dev|proc)($|/)\"\n\
            EnvironmentFile=-/etc/default/none\nEnvironmentFile=/etc/default/exporter\n# \\\n\
            ExecStart = -/usr/bin/node_exporter $ARGS \\\n  # a comment between\n  ; another\n  ${MORE} \\\n  \
            --collector.filesystem.mount-points-exclude=${MOUNTS} $EMPTY\n[Install]\nExecStart=/bin/none\n",
        );
        put(
            "etc/default/exporter",
            "ARGS=\"--web.listen-address=:9200 --no-collector.hwmon\"\n",
        );
        put(
            "etc/systemd/system/node_exporter.service.d/20-b.conf",
            "[Service]\nEnvironment=MORE=--collector.interrupts\n",
        );
        put(
            "usr/lib/systemd/system/node_exporter.service.d/20-b.conf",
            "[Service]\nExecStart=\n",
        );
        put(
            "usr/lib/systemd/system/node_exporter.service.d/10-a.conf",
            "[Service]\nEnvironment=MORE=\n",
        );
        put(
            "usr/lib/systemd/system/node_exporter.service.d/other",
            "[Service]\nExecStart=\n",
        );
        let imported = import(&unit, &bounded::text(&unit).unwrap()).unwrap();
        assert_eq!(imported.config.http.listen, [":9200"]);
        assert_eq!(imported.config.subjects.enable, ["interrupts"]);
        assert_eq!(imported.config.subjects.disable, ["hwmon"]);
        let json = serde_json::to_value(&imported.config.subjects).unwrap();
        assert_eq!(
            json["filesystem"]["mount_points_exclude"],
            "^/(dev|proc)($|/)"
        );
        assert_eq!(imported.left.len(), 1, "{:?}", imported.left);
        assert!(imported.left[0].starts_with("$EMPTY: "));
        let read: Vec<bool> = [
            "10-a.conf",
            "etc/systemd/system/node_exporter.service.d/20-b.conf",
            "default/exporter",
        ]
        .iter()
        .zip(&imported.notes)
        .map(|(name, note)| note.ends_with(&format!("{name}.")))
        .collect();
        assert_eq!(read, [true; 3], "{:?}", imported.notes);
    }

    #[test]
    fn what_only_systemd_knows_is_told() {
        let text = "[Service]\nEnvironment=A=%h\nPassEnvironment=HOME\nEnvironmentFile=/etc/%p/x\nEnvironmentFile=/none/there\n\
            ExecStart=/usr/bin/node_exporter --path.rootfs=%t --log.level=warn \\; x\n";
        let imported = import("/nowhere/x.service".as_ref(), text).unwrap();
        for expected in [
            "Environment=A=%h: ",
            "EnvironmentFile=/etc/%p/x: ",
            "EnvironmentFile: read /none/there: ",
            "PassEnvironment=HOME: ",
            "--path.rootfs=%t: it has the specifier %t",
            "\\;: it is no flag",
        ] {
            let told = imported.left.iter().any(|left| left.starts_with(expected));
            assert!(told, "no {expected} in {:?}", imported.left);
        }
        for (text, expected) in [
            ("[Service]\n", "no ExecStart"),
            (
                "[Service]\nExecStart=/bin/sh -c 'exec node_exporter'\n",
                "after --",
            ),
            ("[Service]\nExecStart=/bin/x \"a\n", "a quote has no end"),
            ("[Service]\nExecStart=/bin/x\nExecStart=\n", "no ExecStart"),
        ] {
            let why = import("/nowhere/x.service".as_ref(), text).err().unwrap();
            assert!(why.contains(expected), "{why}");
        }
    }
}
