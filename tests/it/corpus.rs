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

/// The corpus of a check, in a fixed order.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(fuzz().join("corpus").join(name))
        .unwrap_or_else(|error| panic!("{name} has no corpus: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {name} is empty");
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_file_of_the_corpus_passes_its_check() {
    for (name, check) in checks::ALL {
        for (path, bytes) in corpus(name) {
            // The harness shows this only when the check panics.
            println!("{}", path.display());
            check(&bytes);
        }
    }
}

/// No fuzzer, but it needs no other compiler either: the same damage in each run, on every file.
/// `NODEWARD_DAMAGE` says how often each file is damaged (default 20); `NODEWARD_DAMAGE_ONLY` names
/// one check.
#[test]
fn every_damaged_file_of_the_corpus_passes_its_check() {
    let times = std::env::var("NODEWARD_DAMAGE");
    let times: u64 = times.map_or(20, |times| times.parse().unwrap());
    let only = std::env::var("NODEWARD_DAMAGE_ONLY").ok();
    for (name, check) in checks::ALL {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let files = corpus(name);
        for (path, bytes) in &files {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
            for time in 0..times {
                let other = &files[dice.below(files.len())].1;
                let mut bytes = bytes.clone();
                for _ in 0..=dice.below(4) {
                    damage(&mut bytes, other, &mut dice);
                }
                if std::panic::catch_unwind(|| check(&bytes)).is_err() {
                    let path = path.display();
                    panic!("{path}, damage {time}: {}", bytes.escape_ascii());
                }
            }
        }
    }
}

/// Numbers that look random and are the same in each run (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

fn damage(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    const ODD: &[&[u8]] = &[
        b"\0",
        b"\n",
        b" ",
        b"\xff",
        b"\xc3",
        b"\"",
        b"\\",
        b"[",
        b"]",
        b",",
        b"{",
        b"}",
        b":",
        b"-1",
        b"0",
        b"18446744073709551616",
        b"1e999",
        b"\xe2\x82\xac",
    ];
    let at = dice.below(bytes.len() + 1);
    let end = at + dice.below(bytes.len() - at + 1).min(1 + dice.below(16));
    match dice.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        5 => {
            let from = dice.below(other.len() + 1);
            bytes.splice(at.., other[from..].iter().copied());
        }
        _ => {
            let odd = ODD[dice.below(ODD.len())];
            bytes.splice(at..at, odd.iter().copied());
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
