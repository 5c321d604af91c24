//! docs/DEPENDENCIES.md names every dependency of Cargo.toml, and no other.

use std::collections::BTreeSet;

#[test]
fn every_dependency_has_its_line_and_every_line_its_dependency() {
    let root = env!("CARGO_MANIFEST_DIR");
    let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).unwrap();
    let page = std::fs::read_to_string(format!("{root}/docs/DEPENDENCIES.md")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let declared: BTreeSet<&str> = section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .collect();
    let told: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .map(|(name, _)| name)
        .filter(|name| !matches!(*name, "crate" | "---"))
        .collect();
    assert_eq!(declared, told);
}
