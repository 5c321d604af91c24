//! zabbix-templates/: keys, macros, references and identifiers of the templates.
//!
//! The uuids are made from names, so that a template written anew stays the same one on every server: FNV-1a of 128
//! bits over the path of names, with the marks of version 4. `NODEWARD_WRITE=1` writes those that are wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nodeward::dialect::zabbix::agent;
use nodeward::dialect::zabbix::key::Key;
use nodeward::subject::TABLE;
use serde_json::Value;

use super::{files, list, text, yaml};

/// The media type lies beside them; what makes it hold is a server that runs it (`tests/peers`).
fn template_files() -> Vec<PathBuf> {
    let mut files = files("zabbix-templates", ".yaml");
    files.retain(|path| !yaml(path)["zabbix_export"]["templates"].is_null());
    assert!(!files.is_empty());
    files
}

fn templates() -> Vec<(Value, String)> {
    let read = |path: &PathBuf| {
        let export = yaml(path)["zabbix_export"].clone();
        (export, fs::read_to_string(path).unwrap())
    };
    template_files().iter().map(read).collect()
}

/// Visits every map, with its path of list names and identities.
fn walk<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, value);
    for (name, inside) in value.as_object().into_iter().flatten() {
        for element in list(inside).iter().filter(|element| element.is_object()) {
            let identity = ["key", "template", "name"]
                .iter()
                .find_map(|field| element[*field].as_str())
                .unwrap_or_default();
            walk(element, &format!("{path}/{name}/{identity}"), visit);
        }
        if inside.is_object() {
            walk(inside, path, visit);
        }
    }
}

/// Every item, prototype and discovery rule of an export.
fn items(export: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    walk(export, "", &mut |_, value| {
        if value["key"].is_string() && value["uuid"].is_string() {
            found.push(value);
        }
    });
    found
}

#[test]
fn templates_ask_for_no_key_that_is_not_answered() {
    for (export, _) in templates() {
        let mut asked = 0;
        for item in items(&export) {
            let kind = item["type"].as_str().unwrap_or("ZABBIX_PASSIVE");
            if !["ZABBIX_PASSIVE", "ZABBIX_ACTIVE"].contains(&kind) {
                continue;
            }
            asked += 1;
            let text = text(&item["key"]);
            let key = Key::parse(text).unwrap_or_else(|_| panic!("{text} is no key"));
            if agent::KEYS.contains(&key.name()) {
                continue;
            }
            let subjects = TABLE.iter().flat_map(|entry| (entry.items)());
            let parameters = subjects
                .chain(nodeward::app::told::keys().copied())
                .find(|known| known.name == key.name())
                .unwrap_or_else(|| panic!("nothing answers {text}"))
                .parameters;
            assert!(
                key.count() <= parameters.len(),
                "{text} takes {parameters:?}"
            );
        }
        assert!(asked > 0);
    }
}

#[test]
fn what_a_template_refers_to_is_in_it() {
    for (export, source) in templates() {
        let keys: BTreeSet<&str> = items(&export).iter().map(|i| text(&i["key"])).collect();
        let template = &export["templates"][0];
        let host = text(&template["template"]);
        let names = |of: &Value| -> BTreeSet<String> {
            list(of)
                .iter()
                .map(|e| text(&e["name"]).to_owned())
                .collect()
        };
        let maps = names(&template["valuemaps"]);
        let mut graphs = names(&export["graphs"]);
        for rule in list(&template["discovery_rules"]) {
            graphs.append(&mut names(&rule["graph_prototypes"]));
        }
        walk(&export, "", &mut |path, value| {
            if let Some(key) = value["master_item"]["key"].as_str() {
                assert!(keys.contains(key), "{path}: no master {key}");
            }
            if let Some(map) = value["valuemap"]["name"].as_str() {
                assert!(maps.contains(map), "{path}: no value map {map}");
            }
            if let Some(key) = value["item"]["key"].as_str() {
                assert!(keys.contains(key), "{path}: no item {key}");
                assert_eq!(value["item"]["host"], host, "{path}");
            }
            if value["name"] == "graphid" {
                let graph = text(&value["value"]["name"]);
                assert!(graphs.contains(graph), "{path}: no graph {graph}");
            }
            for field in ["expression", "recovery_expression"] {
                for key in keys_of(value[field].as_str().unwrap_or_default(), host) {
                    assert!(keys.contains(key), "{path}: no item {key}");
                }
            }
        });
        let declared: BTreeSet<&str> = list(&template["macros"])
            .iter()
            .map(|m| text(&m["macro"]))
            .collect();
        let used: BTreeSet<String> = source
            .split("{$")
            .skip(1)
            .map(|rest| rest.split(['}', ':']).next().unwrap())
            .filter(|name| !name.contains("..."))
            .map(|name| format!("{{${name}}}"))
            .collect();
        assert_eq!(
            used.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            declared
        );
        for name in declared {
            assert!(
                source.matches(name.trim_end_matches('}')).count() > 1,
                "{name} is not used"
            );
        }
    }
}

/// The keys in `/HOST/KEY` of an expression.
fn keys_of<'a>(expression: &'a str, host: &str) -> Vec<&'a str> {
    let prefix = format!("/{host}/");
    let mut keys = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find(&prefix) {
        rest = &rest[at + prefix.len()..];
        let name = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c))
            .unwrap_or(rest.len());
        // No key of ours has a bracket inside its brackets.
        let end = if rest[name..].starts_with('[') {
            name + rest[name..].find(']').expect(expression) + 1
        } else {
            name
        };
        keys.push(&rest[..end]);
    }
    keys
}

#[test]
fn every_item_and_trigger_says_what_it_means() {
    for (export, _) in templates() {
        walk(&export, "", &mut |path, value| {
            let told = value["key"].is_string() || value["expression"].is_string();
            if told && value["uuid"].is_string() {
                let description = text(&value["description"]);
                assert!(!description.is_empty(), "{path}");
            }
        });
    }
}

/// The variant of a template for active checks: the same items, brought by nodeward. That the server reaches the agent is nothing then;
/// that values come is.
fn active(passive: &str) -> String {
    let (name, active) = ("by Zabbix agent", "by Zabbix agent active");
    let mut out: Vec<String> = Vec::new();
    let mut lines = passive.lines().peekable();
    while let Some(line) = lines.next() {
        // The server's own item, and what belongs to it, up to the next element of the list.
        if line == "          name: 'Agent: availability'"
            || line == "          name: Agent availability"
        {
            out.pop();
            while lines
                .next_if(|line| !line.starts_with("        - uuid: "))
                .is_some()
            {}
            continue;
        }
        out.push(
            line.replace(name, active)
                .replace("by passive checks", "by active checks"),
        );
        let indent = line.len() - line.trim_start().len();
        let is_item = line.trim_start().starts_with("name: ")
            && lines
                .peek()
                .is_some_and(|next| next.trim_start().starts_with("key: "));
        if is_item {
            out.push(format!("{}type: ZABBIX_ACTIVE", " ".repeat(indent)));
        }
        if line == "          key: agent.ping" {
            while let Some(line) = lines.next_if(|line| !line.starts_with("        - uuid: ")) {
                out.push(line.to_owned());
            }
            let template = passive
                .lines()
                .find_map(|line| line.strip_prefix("      template: "));
            let template = template.unwrap().replace(name, active);
            out.push(format!(
                "          triggers:\n\
                 \u{20}           - uuid: {:032}\n\
                 \u{20}             expression: 'nodata(/{template}/agent.ping,{{$AGENT.TIMEOUT}})=1'\n\
                 \u{20}             name: The agent brings nothing\n\
                 \u{20}             event_name: 'The agent has brought nothing for {{$AGENT.TIMEOUT}}'\n\
                 \u{20}             priority: HIGH\n\
                 \u{20}             description: 'The node is down, nodeward is, the network between it and the server is, or its zabbix.hostname is not the name of this host.'\n\
                 \u{20}             tags:\n\
                 \u{20}               - tag: scope\n\
                 \u{20}                 value: availability",
                0
            ));
        }
    }
    out.push(String::new());
    with_uuids(out.join("\n"))
}

/// A template with the uuids that its names make.
fn with_uuids(source: String) -> String {
    let parsed = super::parsed(Path::new("active"), &source);
    let mut right = Vec::new();
    let export = &parsed["zabbix_export"];
    walk(export, "", &mut |path, value| {
        if let Some(there) = value["uuid"].as_str() {
            right.push((
                format!("uuid: {there}\n"),
                format!("uuid: {}\n", uuid(&of(export, path))),
            ));
        }
    });
    right.into_iter().fold(source, |source, (there, right)| {
        source.replacen(&there, &right, 1)
    })
}

#[test]
fn every_template_has_a_variant_for_active_checks() {
    for path in template_files() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if stem.ends_with("_active") {
            continue;
        }
        let made = active(&fs::read_to_string(&path).unwrap());
        let file = path.with_file_name(format!("{stem}_active.yaml"));
        if std::env::var_os("NODEWARD_WRITE").is_some() {
            fs::write(&file, &made).unwrap();
        }
        assert!(
            fs::read_to_string(&file).is_ok_and(|there| there == made),
            "NODEWARD_WRITE=1 cargo test --test it product writes {}",
            file.display()
        );
    }
}

#[test]
fn every_uuid_is_made_from_the_names() {
    for path in template_files() {
        hold(&path);
    }
}

fn hold(file: &Path) {
    let mut source = fs::read_to_string(file).unwrap();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    let export = &yaml(file)["zabbix_export"];
    walk(export, "", &mut |path, value| {
        if let Some(there) = value["uuid"].as_str() {
            let right = uuid(&of(export, path));
            assert!(seen.insert(right.clone()), "{path} is there twice");
            if there != right {
                wrong.push((there.to_owned(), right, path.to_owned()));
            }
        }
    });
    assert!(!seen.is_empty());
    if std::env::var_os("NODEWARD_WRITE").is_some() {
        for (there, right, _) in wrong.drain(..) {
            let line = |uuid: &str| format!("uuid: {uuid}\n");
            source = source.replacen(&line(&there), &line(&right), 1);
        }
        fs::write(file, source).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{}: {wrong:#?}\nNODEWARD_WRITE=1 cargo test --test it uuid writes them",
        file.display()
    );
}

/// The path that names something for good: graphs and triggers that lie beside a template are those of one variant.
fn of(export: &Value, path: &str) -> String {
    let name = text(&export["templates"][0]["template"]);
    let beside = ["/graphs/", "/triggers/"]
        .iter()
        .any(|list| path.starts_with(list));
    match beside && name.ends_with(" active") {
        true => format!("/{name}{path}"),
        false => path.to_owned(),
    }
}

/// FNV-1a, 128 bits, with the version and variant of a random uuid: what Zabbix asks for.
fn uuid(path: &str) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let start: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let hash = path.bytes().fold(start, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    let version = (hash & !(0xf << 76)) | (0x4 << 76);
    let variant = (version & !(0xc << 60)) | (0x8 << 60);
    format!("{variant:032x}")
}
