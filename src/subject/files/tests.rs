use super::*;
use crate::subject::tests::captured::Captured;

const DISPLAYED: &str = "Unsupported item key.";

fn options(contents: &[&str], details: &[&str]) -> Options {
    let list = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
    Options {
        contents: list(contents),
        details: list(details),
    }
}

/// What a key says on a machine with a list of contents.
fn said(machine: &Captured, options: &Options, key: &str) -> String {
    match machine.says::<Files>(options, key) {
        Ok(value) => value.into_string(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn contents_are_told_of_what_is_listed_and_of_nothing_that_it_leads_to() {
    let machine = Captured::new(&[
        ("srv/a", "one\n\n"),
        ("srv/nul", "one\0two"),
        ("etc/shadow", "secret"),
        ("srv/b", "->../etc/shadow"),
        ("srv/c", "->a"),
        ("srv/sub", "->../etc"),
    ]);
    let listed = options(&["/srv/*", "/srv/sub/*"], &[]);
    for (key, value) in [
        ("vfs.file.contents[/srv/a]", "one"),
        ("vfs.file.contents[/srv/a,]", "one"),
        ("vfs.file.contents[srv/a]", "one"),
        ("vfs.file.contents[/srv/nul]", "one"),
        ("vfs.file.contents[/srv/c]", "one"),
        ("vfs.file.contents[/etc/../srv/a]", "one"),
        ("vfs.file.contents[/srv/b]", DISPLAYED),
        ("vfs.file.contents[/srv/sub/shadow]", DISPLAYED),
        ("vfs.file.contents[/srv/../etc/shadow]", DISPLAYED),
        ("vfs.file.contents[/srv/./../etc/shadow]", DISPLAYED),
        ("vfs.file.contents[/etc/shadow]", DISPLAYED),
        ("vfs.file.cksum[/srv/b,sha256]", DISPLAYED),
        ("vfs.file.md5sum[/etc/shadow]", DISPLAYED),
        ("vfs.file.size[/etc/shadow,lines]", DISPLAYED),
        ("vfs.file.get[/etc/shadow]", DISPLAYED),
        ("vfs.dir.count[/etc]", DISPLAYED),
        ("vfs.file.contents[]", "Invalid first parameter."),
        (
            "vfs.file.contents[/srv/none]",
            "Cannot open file: [2] No such file or directory",
        ),
        ("vfs.file.contents[/srv/sub]", DISPLAYED),
        // Existence, size and times are no secret.
        ("vfs.file.exists[/etc/shadow]", "1"),
        ("vfs.file.size[/etc/shadow]", "6"),
    ] {
        assert_eq!(said(&machine, &listed, key), value, "{key}");
    }
}

#[test]
fn a_file_of_64_kib_is_told_and_a_larger_one_is_not() {
    let (fits, large) = ("x".repeat(64 << 10), "x".repeat((64 << 10) + 1));
    let machine = Captured::new(&[("a", &fits), ("b", &large)]);
    let listed = options(&["/*"], &[]);
    assert_eq!(said(&machine, &listed, "vfs.file.contents[/a]"), fits);
    assert_eq!(
        said(&machine, &listed, "vfs.file.contents[/b]"),
        "File is too large for this check."
    );
}

#[test]
fn what_is_in_a_directory_is_counted_within_the_list() {
    let machine = Captured::new(&[
        ("srv/d/a.log", "12345"),
        ("srv/d/sub/b.log", "123"),
        ("srv/d/up", "->../../etc"),
        ("etc/shadow", "secret"),
    ]);
    let listed = options(&[], &["/srv/**"]);
    for (key, value) in [
        ("vfs.dir.count[/srv/d]", "4"),
        ("vfs.dir.count[/srv/d/]", "4"),
        ("vfs.dir.count[/srv/d,log$]", "2"),
        ("vfs.dir.count[/srv/d,,,sym]", "1"),
        ("vfs.dir.count[/srv/d,log$,,,,0]", "1"),
        ("vfs.dir.count[/srv/d,log$,,,,,4]", "1"),
        ("vfs.dir.count[/srv/d,,,,,,,,,,sub]", "2"),
        ("vfs.dir.size[/srv/d,log$]", "8"),
        ("vfs.dir.count[/srv/d/up]", DISPLAYED),
        (
            "vfs.dir.count[/srv/d/a.log]",
            "First parameter is not a directory.",
        ),
        (
            "vfs.dir.count[/srv/d,,,,,,1X]",
            "Invalid minimum size \"1X\".",
        ),
    ] {
        assert_eq!(said(&machine, &listed, key), value, "{key}");
    }
}
