use std::path::Path;

use serde_json::json;

use super::*;

/// Of the text `abc`: FIPS 180-2, appendix B.1.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn file(path: &Path, more: serde_json::Value) -> serde_json::Value {
    let mut options = json!({"path": path});
    let more = more.as_object().unwrap().clone();
    options.as_object_mut().unwrap().extend(more);
    json!({"file": options})
}

#[tokio::test]
async fn a_file_must_be_what_it_should_be() {
    let (world, directory) = (world(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("data"), "abc").unwrap();
    std::os::unix::fs::symlink("data", at("link")).unwrap();
    std::fs::write(at("sums"), format!("{ABC}  data\n{ABC}  torn\n")).unwrap();
    std::fs::write(at("torn"), "abd").unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let old = std::fs::File::create(at("old")).unwrap();
    old.set_modified(std::time::SystemTime::now() - 2 * day)
        .unwrap();
    for (name, more, ok, why) in [
        ("data", json!({}), true, "has 3 bytes"),
        ("data", json!({"sha256": ABC}), true, "its hash"),
        (
            "data",
            json!({"sha256": ABC.to_uppercase()}),
            true,
            "its hash",
        ),
        ("link", json!({"sha256": ABC}), true, "its hash"),
        ("data", json!({"recorded": at("sums")}), true, "its hash"),
        (
            "torn",
            json!({"recorded": at("sums")}),
            false,
            "sums has ba78",
        ),
        (
            "torn",
            json!({"sha256": ABC}),
            false,
            "where sha256 says ba78",
        ),
        ("data", json!({"min_size": "4B"}), false, "less than 4B"),
        ("data", json!({"max_size": "2B"}), false, "more than 2B"),
        ("data", json!({"max_age": "1h"}), true, "has 3 bytes"),
        ("old", json!({"max_age": "1d"}), false, "changed 2d"),
        ("old", json!({"max_age": "3d"}), true, "has 0 bytes"),
        ("gone", json!({}), false, "there is no file"),
        ("data/x", json!({}), false, "there is no file"),
    ] {
        let seen = probe(file(&at(name), more.clone()), &world).await;
        assert_eq!(seen.ok, ok, "{name} {more}: {seen:?}");
        assert!(!seen.blind, "{name} {more}: {seen:?}");
        assert!(seen.why.contains(why), "{name} {more}: {seen:?}");
    }
    let seen = probe(file(&at("data"), json!({"sha256": ABC})), &world).await;
    assert_eq!(seen.facts["sha256"], ABC);
    assert_eq!(seen.facts["size"], 3);
}

#[tokio::test]
async fn what_was_not_read_says_nothing_of_the_file() {
    let (world, directory) = (world(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("data"), "abc").unwrap();
    std::fs::write(at("sums"), format!("{ABC}  other\n")).unwrap();
    for (more, why) in [
        (
            json!({"recorded": at("gone")}),
            "recorded: there is no file",
        ),
        (json!({"recorded": at("sums")}), "no line of it"),
        (json!({"recorded": directory.path()}), "a directory"),
        (
            json!({"sha256": ABC, "hash_limit": "2B"}),
            "larger than hash_limit (2B)",
        ),
    ] {
        let seen = probe(file(&at("data"), more.clone()), &world).await;
        assert!(seen.blind && !seen.ok, "{more}: {seen:?}");
        assert!(seen.why.contains(why), "{more}: {seen:?}");
    }
}

#[tokio::test]
async fn what_is_no_regular_file_fails_and_holds_nobody() {
    let (world, directory) = (world(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    let mode = rustix::fs::Mode::RUSR;
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), pipe, mode, 0).unwrap();
    std::os::unix::fs::symlink("pipe", at("link")).unwrap();
    std::os::unix::fs::symlink("loop", at("loop")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (path, why) in [
        (at("pipe"), "a pipe"),
        (at("link"), "a pipe"),
        (at("socket"), "a socket"),
        (at("loop"), "cannot be read"),
        ("/dev/zero".into(), "a device"),
        (directory.path().to_owned(), "a directory"),
    ] {
        let seen = probe(file(&path, json!({"sha256": ABC})), &world).await;
        assert!(!seen.ok && !seen.blind, "{seen:?}");
        assert!(seen.why.contains(why), "{seen:?}");
    }
}

#[tokio::test]
async fn a_changed_file_is_seen_by_the_next_probe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let options = Options::from([("it".to_owned(), check(file(&path, json!({"sha256": ABC}))))]);
    let plan = Plan::new(&options, &world()).unwrap();
    for (text, ok) in [("abc", true), ("abd", false), ("abc", true), ("", false)] {
        // In place, within a step of the file system's clock, and of the same size.
        std::fs::write(&path, text).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let seen = plan.probe("it", deadline).await.unwrap();
        assert_eq!(seen.ok, ok, "{text}: {seen:?}");
    }
}

#[tokio::test]
async fn a_directory_must_be_there_and_take_what_is_written() {
    let (world, directory) = (world(), tempfile::tempdir().unwrap());
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let gone = directory.path().join("gone");
    for (path, more, ok, why) in [
        (directory.path(), json!({}), true, "MiB free"),
        (
            directory.path(),
            json!({"writable": true, "not_read_only": true, "free_at_least": "1B", "inodes_free_at_least": 1}),
            true,
            "MiB free",
        ),
        (
            directory.path(),
            json!({"free_at_least": "100000TiB"}),
            false,
            "less than 100000TiB",
        ),
        (&file, json!({}), false, "is no directory"),
        (
            &gone,
            json!({"writable": true}),
            false,
            "there is no directory",
        ),
    ] {
        let mut options = json!({"path": path});
        let more = more.as_object().unwrap().clone();
        options.as_object_mut().unwrap().extend(more);
        let seen = probe(json!({"directory": options}), &world).await;
        assert_eq!(seen.ok, ok, "{seen:?}");
        assert!(!seen.blind && seen.why.contains(why), "{seen:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
