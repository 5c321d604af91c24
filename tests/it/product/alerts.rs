//! docs/ALERTS.md: what is below its mark is made from the rules. `NODEWARD_WRITE=1` makes it anew.

use std::fmt::Write;
use std::fs;

use super::rules::{alerts, thresholds};
use super::{files, promql, root, text, yaml};

const MARK: &str = "<!-- From here on made from alert-rules/. -->\n";

/// What the chapters are called, file by file.
const CHAPTERS: &[(&str, &str)] = &[
    ("hardware.yml", "Hardware"),
    ("software.yml", "Software"),
    ("resources.yml", "Resources"),
    ("network.yml", "Communication"),
    ("state.yml", "State of the node"),
    ("nodeward.yml", "nodeward itself"),
    ("playbooks.yml", "For the shipped playbooks"),
];

/// A template of an annotation, for people: `{{ $labels.device }}` as DEVICE, what may be missing left out.
fn plain(template: &str) -> String {
    let template = template
        .strip_prefix("{{ $labels.instance }}: ")
        .unwrap_or(template);
    let mut said = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        said.push_str(before);
        let (inside, after) = behind.split_once("}}").expect(template);
        rest = after;
        if inside.contains("$value") {
            said.push('N');
            // A unit right behind it, as in KiB.
            if after.starts_with(|c: char| c.is_alphabetic()) {
                said.push(' ');
            }
        } else if inside.trim().starts_with("with ") {
            (_, rest) = after.split_once("{{ end }}").expect(template);
        } else {
            let labels = inside.split("$labels.").skip(1);
            let labels: Vec<String> = labels.map(|l| l.trim().to_uppercase()).collect();
            said.push_str(&labels.join(" or "));
        }
    }
    said + rest
}

fn made() -> String {
    let alerts = alerts();
    let mut page = String::new();
    writeln!(
        page,
        "\n## All alerts\n\n| alert | severity | after | says |\n| --- | --- | --- | --- |"
    )
    .unwrap();
    for (file, _) in CHAPTERS {
        for (_, rule) in alerts.iter().filter(|(of, _)| of == file) {
            let name = text(&rule["alert"]);
            let summary = plain(text(&rule["annotations"]["summary"]));
            writeln!(
                page,
                "| [{name}](#{}) | {} | {} | {} |",
                name.to_lowercase(),
                text(&rule["labels"]["severity"]),
                rule["for"].as_str().unwrap_or(""),
                summary.replace('|', "\\|"),
            )
            .unwrap();
        }
    }
    writeln!(
        page,
        "\n## All thresholds\n\n| threshold | number | alerts |\n| --- | --- | --- |"
    )
    .unwrap();
    for (threshold, number) in thresholds() {
        let record = format!("threshold:{threshold}");
        let of = alerts
            .iter()
            .filter(|(_, rule)| promql::metrics(text(&rule["expr"])).contains(&record))
            .map(|(_, rule)| text(&rule["alert"]).to_owned());
        let of: Vec<String> = of.collect();
        writeln!(page, "| `{threshold}` | {number} | {} |", of.join(", ")).unwrap();
    }
    for (file, title) in CHAPTERS {
        writeln!(page, "\n## {title}\n\n`alert-rules/{file}`").unwrap();
        for (_, rule) in alerts.iter().filter(|(of, _)| of == file) {
            let say = &rule["annotations"];
            let expression = text(&rule["expr"]).trim_end();
            writeln!(
                page,
                "\n### {}\n\n{} {}\n\n```promql\n{expression}\n```",
                text(&rule["alert"]),
                plain(text(&say["description"])),
                plain(text(&say["action"])),
            )
            .unwrap();
        }
    }
    page
}

#[test]
fn every_alert_is_described_as_it_is_in_the_rules() {
    for (file, _) in alerts() {
        assert!(CHAPTERS.iter().any(|(of, _)| *of == file), "{file}");
    }
    let path = root().join("docs/ALERTS.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(MARK).expect("the mark in docs/ALERTS.md");
    let made = made();
    if std::env::var_os("NODEWARD_WRITE").is_some() {
        fs::write(&path, format!("{head}{MARK}{made}")).unwrap();
    } else {
        assert!(
            rest == made,
            "docs/ALERTS.md is not what the rules make it; NODEWARD_WRITE=1 cargo test --test it alerts"
        );
    }
}

#[test]
fn the_example_of_overrides_is_the_one_that_is_tested() {
    let page = fs::read_to_string(root().join("docs/ALERTS.md")).unwrap();
    let example = &files("alert-rules/examples", ".yml")[0];
    let text = fs::read_to_string(example).unwrap();
    let (_, rules) = text.split_once("groups:\n").unwrap();
    assert!(
        page.contains(rules),
        "docs/ALERTS.md lacks {}",
        example.display()
    );
    let tested = yaml(&root().join("alert-rules/tests/overrides.yml"));
    let name = format!(
        "../examples/{}",
        example.file_name().unwrap().to_str().unwrap()
    );
    assert!(super::list(&tested["rule_files"]).contains(&name.into()));
}
