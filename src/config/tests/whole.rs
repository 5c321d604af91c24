//! The config of nodeward itself: its sections, its checks across fields, its generated texts.

use std::path::{Path as FilePath, PathBuf};

use super::super::fault::{Source, Sources};
use super::super::{Config, Control, Loaded, none, page, read, sample, schema};

fn config(text: &str) -> Result<Loaded, String> {
    let source = Source {
        path: PathBuf::from("n.yml"),
        text: text.to_owned(),
    };
    read(Sources(vec![source]), FilePath::new("/etc/nodeward")).map_err(|errors| errors.to_string())
}

#[test]
fn a_broken_config_of_ours_is_told_what_is_wrong_and_where() {
    super::compare_with_table("whole.txt", |text| config(text).map(|_| ()));
}

#[test]
fn names_of_subjects_are_checked_against_the_list_of_subjects() {
    let text = "subjects: {enable: [meminfo, nosuch], disable: [meminfo], memnfo: {}}";
    let said = config(text).unwrap_err();
    assert!(
        said.contains("unknown key \"memnfo\" in subjects; did you mean \"meminfo\"?"),
        "{said}"
    );
    let said = config(&text.replace(", memnfo: {}", "")).unwrap_err();
    let unknown = "n.yml:1:30: subjects.enable[1]: no subject is called \"nosuch\"; there are ";
    assert!(said.contains(unknown), "{said}");
    let both = "n.yml:1:49: subjects.disable[0]: \"meminfo\" is enabled too; keep one of both";
    assert!(said.contains(both), "{said}");
}

#[test]
fn the_generated_sample_is_the_default_config_commented_out() {
    let sample = sample();
    assert_eq!(config(&sample).unwrap().config, Config::default());
    let live = super::uncommented(&sample);
    assert_eq!(config(&live).unwrap().config, Config::default(), "{live}");
}

#[test]
fn the_sections_reach_their_components() {
    let loaded = config(
        "node: {name: web-1}\nhttp: {listen: [\"127.0.0.1:9101\"]}\nsubjects: {disable: [meminfo]}\n\
         control: off\nzabbix: {listen: [\"0.0.0.0:10050\"], server: [10.0.0.5], timeout: 5s}\n",
    )
    .unwrap();
    let config = loaded.config;
    assert_eq!(config.node.name.as_deref(), Some("web-1"));
    assert_eq!(config.http.listen, ["127.0.0.1:9101"]);
    assert!(!config.subjects.reads("meminfo", true));
    assert_eq!(config.control, Some(Control::Off));
    assert_eq!(config.zabbix.server, ["10.0.0.5"]);
    assert_eq!(none().config, Config::default());
}

#[test]
fn a_fault_found_while_starting_is_shown_like_the_others() {
    let loaded = config("http:\n  listen: [\"127.0.0.1:9101\"]\n").unwrap();
    let found = || [(&["http"][..], "listen: taken".to_owned())];
    let said = loaded.origin.errors(found()).to_string();
    assert!(
        said.starts_with("n.yml:2:11: http: listen: taken\n  2 |"),
        "{said}"
    );
    let said = none().origin.errors(found()).to_string();
    assert_eq!(said, "http: listen: taken\n1 error");
}

#[test]
fn every_key_says_what_it_means_and_what_it_is_by_default() {
    let page = page();
    for row in page.lines().filter(|row| row.starts_with("| `")) {
        assert!(!row.ends_with("|  |"), "no doc comment: {row}");
    }
    assert!(schema().starts_with("{\n"));
}

#[test]
fn hooks_are_named_hold_their_secrets_and_are_taken_away_by_null() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["old", "new"] {
        std::fs::write(directory.path().join(name), format!("{name}-token\n")).unwrap();
    }
    let loaded = |text: &str| {
        let source = Source {
            path: PathBuf::from("n.yml"),
            text: text.to_owned(),
        };
        read(Sources(vec![source]), directory.path()).map_err(|errors| errors.to_string())
    };
    let one = loaded("hooks: {alertmanager: {bearer_token_file: old}, grafana: null, zabbix: {}}")
        .unwrap();
    let hooks = one.config.hooks;
    assert_eq!(
        hooks.named.keys().collect::<Vec<_>>(),
        ["alertmanager", "zabbix"]
    );
    let tokens = |hook: &str| {
        let tokens = hooks.named[hook]
            .bearer_token_file
            .iter()
            .flat_map(|t| &t.0);
        tokens.map(|t| t.reveal().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tokens("alertmanager"), ["old-token"]);
    assert!(tokens("zabbix").is_empty());
    let two =
        loaded("hooks: {listen: [\"127.0.0.1:9300\"], grafana: {bearer_token_file: [old, new]}}")
            .unwrap();
    let hook = &two.config.hooks.named["grafana"];
    assert_eq!(hook.bearer_token_file.as_ref().unwrap().0.len(), 2);
    assert_eq!(two.config.hooks.listen, ["127.0.0.1:9300"]);
    for (text, expected) in [
        (
            "hooks: {team: {}}",
            "n.yml:1:15: hooks: team: kind is missing",
        ),
        (
            "hooks: {alertmanager: {bearer_token_file: gone}}",
            "cannot read the secret",
        ),
        (
            "hooks: {grafana: {bearer_token_file: [old, new, old]}}",
            "takes at most 2 of them",
        ),
        (
            "hooks: {grafana: {bearer_token: x}}",
            "unknown key \"bearer_token\" in hooks.grafana",
        ),
        (
            "hooks: {listen: [\"9300\"], grafana: {}}",
            "hooks.listen[0]",
        ),
        (
            "hooks: {listen: [\"127.0.0.1:9100\"], grafana: {}}",
            "is http.listen[0] already",
        ),
        (
            "hooks: {grafana: {severities: {p1: bad}}}",
            "\"bad\" is not one of",
        ),
    ] {
        let said = loaded(text).unwrap_err();
        assert!(said.contains(expected), "{text}: {said}");
    }
}
