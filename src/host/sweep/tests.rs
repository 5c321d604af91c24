use std::fs::{self, File};
use std::path::PathBuf;

use super::*;

const ALWAYS: &(dyn Fn() -> bool + Sync) = &|| true;
const DAY: Duration = Duration::from_secs(86_400);

/// A directory under a path without links, and files of some days' age in it.
fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

fn file(path: PathBuf, bytes: usize, days: u32) {
    fs::write(&path, vec![b'x'; bytes]).unwrap();
    let then = SystemTime::now() - DAY * days;
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(then)
        .unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn older(days: u32) -> Sweep {
    Sweep {
        older_than: Some(DAY * days),
        ..Sweep::default()
    }
}

#[test]
fn old_files_go_at_every_depth_and_the_rest_stays() {
    let (_keep, path) = directory();
    fs::create_dir_all(path.join("a/b")).unwrap();
    file(path.join("a/b/old"), 10_000, 8);
    file(path.join("a/young"), 10_000, 6);
    file(path.join("old"), 10_000, 30);
    let swept = sweep(&path, &older(7), ALWAYS).unwrap();
    assert_eq!((swept.files, swept.failed), (2, 0));
    assert!(swept.bytes >= 20_000 && swept.left >= 10_000);
    assert!(swept.reached && !swept.cut);
    assert_eq!(names(&path), ["a"]);
    assert_eq!(names(&path.join("a")), ["b", "young"]);
    assert_eq!(names(&path.join("a/b")), Vec::<String>::new());
    assert_eq!(sweep(&path, &older(7), ALWAYS).unwrap().files, 0);
}

#[test]
fn a_link_goes_and_what_it_leads_to_stays() {
    let (_keep, path) = directory();
    let (_other, outside) = directory();
    file(outside.join("precious"), 10, 100);
    std::os::unix::fs::symlink(&outside, path.join("way")).unwrap();
    std::os::unix::fs::symlink(outside.join("precious"), path.join("name")).unwrap();
    let none = Sweep::default();
    let swept = sweep(&path, &none, ALWAYS).unwrap();
    assert_eq!((swept.files, names(&path).len()), (2, 0));
    assert_eq!(names(&outside), ["precious"]);
}

#[test]
fn a_link_on_the_way_to_the_directory_is_refused() {
    let (_keep, path) = directory();
    fs::create_dir(path.join("real")).unwrap();
    std::os::unix::fs::symlink(path.join("real"), path.join("link")).unwrap();
    let said = sweep(&path.join("link"), &older(1), ALWAYS)
        .unwrap_err()
        .to_string();
    assert!(said.contains("a link"), "{said}");
    assert!(sweep(Path::new("relative"), &older(1), ALWAYS).is_err());
    assert!(sweep(&path.join("real/.."), &older(1), ALWAYS).is_err());
}

#[test]
fn the_oldest_go_first_until_the_rest_is_small_enough() {
    let (_keep, path) = directory();
    for day in 1..=6 {
        file(path.join(format!("day{day}")), 100_000, day);
    }
    let each = sweep(&path, &older(1000), ALWAYS).unwrap().left / 6;
    let rule = Sweep {
        max_size: Some(each * 4),
        ..Sweep::default()
    };
    let swept = sweep(&path, &rule, ALWAYS).unwrap();
    assert_eq!((swept.files, swept.reached), (2, true));
    assert_eq!(names(&path), ["day1", "day2", "day3", "day4"]);
    // An age keeps what is younger, goal or not.
    let rule = Sweep {
        max_size: Some(0),
        older_than: Some(DAY * 3 + DAY / 2),
        ..Sweep::default()
    };
    let swept = sweep(&path, &rule, ALWAYS).unwrap();
    assert_eq!((swept.files, swept.reached), (1, false));
    assert_eq!(names(&path), ["day1", "day2", "day3"]);
}

#[test]
fn more_files_than_are_remembered_are_dealt_with_in_several_passes() {
    let (_keep, path) = directory();
    for number in 0..REMEMBERED + 10 {
        File::create(path.join(format!("{number}"))).unwrap();
    }
    fs::write(path.join("large"), vec![b'x'; 4096]).unwrap();
    let rule = Sweep {
        max_size: Some(0),
        ..Sweep::default()
    };
    let swept = sweep(&path, &rule, ALWAYS).unwrap();
    assert!(swept.reached);
    assert_eq!(swept.left, 0);
}

#[test]
fn enough_free_space_means_nothing_to_do() {
    let (_keep, path) = directory();
    file(path.join("a"), 10, 1);
    let rule = Sweep {
        until_free: Some(1),
        ..Sweep::default()
    };
    let swept = sweep(&path, &rule, ALWAYS).unwrap();
    assert_eq!((swept.files, swept.reached), (0, true));
    assert!(swept.free > 0);
}

#[test]
fn it_stops_when_told_to() {
    let (_keep, path) = directory();
    file(path.join("a"), 10, 9);
    let swept = sweep(&path, &older(1), &|| false).unwrap();
    assert!(swept.cut);
    assert_eq!(names(&path), ["a"]);
}
