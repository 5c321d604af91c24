//! The config as files on disk: drop-ins, faults over several files, what is not there.

use std::fs;

use nodeward::config::load;

#[test]
fn drop_ins_are_laid_over_the_file_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("nodeward.d")).unwrap();
    fs::write(
        at("nodeward.yml"),
        "node: {name: a}\nhttp: {max_requests: 1}\n",
    )
    .unwrap();
    fs::write(at("nodeward.d/20.yml"), "node: {name: c}\n").unwrap();
    fs::write(
        at("nodeward.d/10.yml"),
        "node: {name: b}\nhttp: {max_requests: 2}\n",
    )
    .unwrap();
    let loaded = load(&at("nodeward.yml")).unwrap();
    assert_eq!(loaded.config.node.name.as_deref(), Some("c"));
    assert_eq!(loaded.config.http.max_requests, 2);
    let files = ["nodeward.yml", "nodeward.d/10.yml", "nodeward.d/20.yml"].map(at);
    assert_eq!(loaded.files, files);
    fs::write(at("nodeward.d/30.yml"), "# only a comment\n").unwrap();
    assert_eq!(
        load(&at("nodeward.yml")).unwrap().fingerprint,
        loaded.fingerprint
    );
    fs::write(at("nodeward.d/30.yml"), "node: {name: d}\n").unwrap();
    assert_ne!(
        load(&at("nodeward.yml")).unwrap().fingerprint,
        loaded.fingerprint
    );
}

#[test]
fn one_broken_file_does_not_hide_the_faults_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("nodeward.d")).unwrap();
    fs::write(at("nodeward.yml"), "node: {nme: a}\n").unwrap();
    fs::write(at("nodeward.d/10.yml"), "http: [\n").unwrap();
    fs::write(at("nodeward.d/20.yml"), b"node:\n  name: \xff\n").unwrap();
    fs::write(at("nodeward.d/30.yml"), "http:\n  max_requests: many\n").unwrap();
    let said = load(&at("nodeward.yml")).unwrap_err().to_string();
    let said = said.replace(&format!("{}/", directory.path().display()), "");
    for part in [
        "nodeward.yml:1:8: unknown key \"nme\" in node; did you mean \"name\"?\n",
        "nodeward.d/10.yml:1:7: this is no YAML: ",
        "nodeward.d/20.yml:2:9: this is no UTF-8 text; save the file as UTF-8\n",
        "nodeward.d/30.yml:2:17: http.max_requests: expected a whole number",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(said.ends_with("4 errors"), "{said}");
}

#[test]
fn a_config_that_is_not_there_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let said = load(&directory.path().join("gone.yml"))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("gone.yml: cannot read the config: No such file"),
        "{said}"
    );
    assert!(said.ends_with("1 error"), "{said}");
    let said = load(directory.path()).unwrap_err().to_string();
    assert!(
        said.contains("cannot read the config: Is a directory"),
        "{said}"
    );
}

#[test]
fn every_config_shown_in_the_readme_can_be_read() {
    let readme = include_str!("../../README.md");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nodeward.yml");
    let mut shown = 0;
    for block in readme.split("```yaml\n# nodeward.yml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        fs::write(&file, text).unwrap();
        load(&file).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        shown += 1;
    }
    assert!(shown > 0);
}
