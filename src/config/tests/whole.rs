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
