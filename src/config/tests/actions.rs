//! Actions as people write them: the examples of docs/ACTIONS.md, and what is said of wrong ones.

use super::*;
use crate::action::{Do, Site};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rung {
    r#do: Do,
}

fn written(text: &str) -> Result<Do, String> {
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("scheduler.token"), "secret\n").unwrap();
    let sources = Sources(vec![Source {
        path: PathBuf::from("n.yml"),
        text: text.to_owned(),
    }]);
    let near = Near::new(secrets.path(), None);
    read(sources, &near, Faults::default(), |_: &Rung, _| ())
        .map(|read| read.config.r#do)
        .map_err(|errors| errors.to_string())
}

#[test]
fn every_example_of_the_docs_is_read_and_nothing_is_wrong_with_it() {
    let file = format!("{}/docs/ACTIONS.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(file).unwrap();
    let examples: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("do: "))
        .collect();
    assert!(examples.len() >= 10, "{examples:?}");
    for example in examples {
        let action = written(example).unwrap_or_else(|why| panic!("{example}: {why}"));
        let target = if example.contains("container:") {
            "container"
        } else {
            "unit"
        };
        let site = Site {
            target,
            labels: &["name", "instance", "job"],
        };
        assert_eq!(action.check(&site), Vec::<String>::new(), "{example}");
    }
}

#[test]
fn a_wrong_action_is_told_where_and_how() {
    for (text, says) in [
        ("do: {systemd: restrat}", "did you mean \"restart\"?"),
        (
            "do: {systemd: restrat}",
            "is not one of restart, start, reload, stop, reset-failed;",
        ),
        (
            "do: {systemd: {verb: restart, reset_faild: true}}",
            "did you mean \"reset_failed\"?",
        ),
        ("do: {sytemd: restart}", "did you mean \"systemd\"?"),
        ("do: {command: {argv: [/bin/x, 5]}}", "quotes"),
        (
            "do: {command: {argv: [/bin/x, {form: name}]}}",
            "did you mean \"from\"?",
        ),
        (
            "do: {clean: {directories: [/var/cache/x], older_than: 7}}",
            "7 has no unit",
        ),
        (
            "do: {http: {url: \"http://a\", method: post}}",
            "did you mean \"POST\"?",
        ),
    ] {
        let said = written(text).expect_err(text);
        assert!(said.contains(says), "{text}: {said}");
    }
}
