//! Replays the fuzzers' corpus, and holds the parts of a fuzz target together.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/checks/mod.rs"]
mod checks;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a directory, without their extensions.
fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(directory)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_file_of_the_corpus_passes_its_check() {
    for (name, check) in checks::ALL {
        let directory = fuzz().join("corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{name} has no corpus: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            // The harness shows this only when the check panics.
            println!("{}", file.display());
            check(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_fuzz_target_has_a_check_a_corpus_and_a_binary() {
    let all: BTreeSet<_> = checks::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut listed = names("checks");
    listed.remove("mod");
    assert_eq!(
        listed, all,
        "files in fuzz/checks and the list in its mod.rs"
    );
    assert_eq!(names("fuzz_targets"), all, "files in fuzz/fuzz_targets");
    assert_eq!(names("corpus"), all, "directories in fuzz/corpus");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in all {
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml lacks {name}");
    }
}
