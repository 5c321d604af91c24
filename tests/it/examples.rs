//! The configs in the docs are taken by the real loader.

use crate::program::{Scratch, output};
use crate::tls::testing::Authority;

/// What stands in fences of this kind.
fn blocks<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    let rest = page.split(fence.as_str()).skip(1);
    rest.filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn every_config_of_the_docs_is_valid() {
    let scratch = Scratch::new();
    for secret in [
        "hook.token",
        "old.token",
        "new.token",
        "grafana.secret",
        "zabbix.secret",
        "team-b.password",
        "alice.token",
        "mail.password",
        "pagerduty.key",
    ] {
        scratch.write(secret, &format!("{secret} of the docs\n"));
    }
    scratch.write("pager.token", "secret-of-the-docs\n");
    let authority = Authority::new("ours");
    for name in ["ca", "siem"] {
        authority.write(scratch.path(), name);
    }
    authority
        .issue(&["db-01.example"])
        .write(scratch.path(), "db-01");
    authority
        .issue(&["web-1.example"])
        .write(scratch.path(), "web-1");
    authority.write(scratch.path(), "clients");
    for (page, least) in [
        ("README.md", 2),
        ("docs/HEALING.md", 3),
        ("docs/HOOKS.md", 5),
        ("docs/CHECKS.md", 5),
        ("docs/JOURNAL.md", 1),
        ("docs/API.md", 1),
        ("docs/NOTIFY.md", 1),
        ("docs/POOLS.md", 3),
        ("docs/OTLP.md", 3),
    ] {
        let file = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).unwrap();
        let mut examples = blocks(&text, "yaml");
        // The Collector's.
        examples.retain(|example| !example.starts_with("receivers:"));
        assert!(examples.len() >= least, "{page}: {examples:?}");
        for example in examples {
            // Indented ones are more of the checks.
            let whole = match example.starts_with(' ') {
                true => format!("checks:\n{example}\n"),
                false => format!("{example}\n"),
            };
            let config = scratch.write("nodeward.yml", &whole);
            let ended = output(&scratch, &["validate", config.to_str().unwrap()]);
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(0), "{page}: {whole}\n{said}");
        }
    }
}

#[test]
fn every_shipped_playbook_is_valid_as_it_is() {
    let scratch = Scratch::new();
    scratch.write("pager.token", "secret-of-the-docs\n");
    let config = scratch.write("nodeward.yml", "http: {listen: [\"127.0.0.1:0\"]}\n");
    let drop_ins = scratch.path().join("nodeward.d");
    std::fs::create_dir(&drop_ins).unwrap();
    let shipped = format!("{}/packaging/playbooks", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(shipped)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // The one that the others need comes first; each then joins those before.
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        std::fs::copy(&file, drop_ins.join(file.file_name().unwrap())).unwrap();
        let ended = output(&scratch, &["validate", config.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{}: {said}", file.display());
    }
}
