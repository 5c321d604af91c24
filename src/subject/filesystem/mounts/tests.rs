//! Tables of mounts from made-up lines.

use super::*;

fn table(text: &str, rootfs: &str) -> Mounts {
    let known = Mounts::default();
    Mounts::new(text.as_bytes(), b"", Path::new(rootfs), |_, _| true, &known)
}

#[test]
fn the_root_is_stripped_as_text_and_joined_as_a_path() {
    for (rootfs, mount, told, path) in [
        ("/", "/a/b", "/a/b", "/a/b"),
        ("/", "/a/../b/.", "/a/../b/.", "/b"),
        ("/r", "/r/a", "/a", "/r/a"),
        ("/r", "/r", "/", "/r"),
        ("/r", "/rx", "x", "/r/x"),
        ("/r", "/other", "/other", "/r/other"),
        ("/r", "/../../..", "/../../..", "/"),
        ("/r", "a", "a", "/r/a"),
        ("/r", "", "/", "/r"),
    ] {
        let table = table(&format!("1 1 8:1 / {mount} rw - ext4 d rw\n"), rootfs);
        let entry = &table.entries[0];
        assert_eq!(&*entry.mount.mount_point, told, "{rootfs} {mount}");
        assert_eq!(&*entry.mount.told_path, path, "{rootfs} {mount}");
    }
}

#[test]
fn a_name_that_is_told_undecoded_has_two_paths() {
    let text = "1 1 8:1 / /a\\134b rw - ext4 d rw\n1 1 8:1 / /a\\040b rw - ext4 d rw\n";
    let table = table(text, "/");
    let [first, second] = &table.entries[..] else {
        panic!("two mounts");
    };
    assert_eq!(&*first.mount.mount_point, "/a\\134b");
    assert_eq!(&*first.mount.path, "/a\\b");
    assert_ne!(first.told_at, first.at);
    assert_eq!(&*second.mount.mount_point, "/a b");
    assert_eq!(&*second.mount.raw_point, "/a\\040b");
    assert_eq!(second.told_at, second.at);
}

#[test]
fn the_same_mount_is_marked_as_repeated_whatever_its_options() {
    let text =
        "1 1 8:1 / /a rw - ext4 d rw\n2 1 8:1 / /a ro - ext4 d rw\n3 1 8:2 / /a rw - ext4 d rw\n";
    let table = table(text, "/");
    let marks: Vec<_> = table
        .entries
        .iter()
        .map(|e| (e.repeated, e.covered))
        .collect();
    assert_eq!(marks, [(false, false), (true, true), (false, true)]);
    assert_eq!(table.paths.len(), 1);
}

#[test]
fn mounts_whose_lines_are_the_same_are_kept() {
    let first = table("1 1 8:1 / /a rw - ext4 d rw\n", "/");
    let text = b"1 1 8:1 / /a rw - ext4 d rw\nbad\n2 1 8:1 / /b rw - ext4 d rw\n";
    let asked = std::cell::Cell::new(0);
    let shows = |_: &str, _: &str| {
        asked.set(asked.get() + 1);
        true
    };
    let second = Mounts::new(text, b"", Path::new("/"), shows, &first);
    assert_eq!((second.entries.len(), second.errors.len()), (2, 1));
    assert_eq!(asked.get(), 1);
    assert!(second.is_of(text));
}

#[test]
fn devices_are_named_as_they_were_mounted_first_and_bind_mounts_left_out() {
    let lines = [
        "1 1 8:1 / / rw - ext4 /dev/root rw",
        "1 1 8:1 /sub /bind rw - ext4 /dev/sda1 rw",
        "1 1 8:1 / /again ro - ext4 /dev/sda1 rw",
        "1 1 8:1 / / ro - ext4 /dev/sda1 rw",
        "1 1 0:9 /@ /btrfs rw - btrfs /dev/sdb rw,subvolid=5,subvol=/@",
        "1 1 0:9 /@/x /btrfs/bind rw - btrfs /dev/sdb rw,subvol=/@",
        "1 1 0:10 / /pool relatime - zfs pool/data rw",
        "1 1 0:11 / /tmp rw - tmpfs tmpfs rw",
    ];
    let table = table(&lines.join("\n"), "/");
    let types = [&b"ext4"[..], b"btrfs", b"zfs"];
    let devices = table.on_devices(&types, |name, _| name.replace("root", "sda1").into());
    let told = |d: &Device| {
        let mount = &table.entries[d.at].mount;
        (d.name.to_string(), mount.real_point.to_string(), mount.mode)
    };
    let told: Vec<_> = devices.iter().map(told).collect();
    let expected = [
        ("/dev/sda1", "/", "rw"),
        ("/dev/sda1", "/again", "ro"),
        ("/dev/sdb", "/btrfs", "rw"),
        ("pool/data", "/pool", "unknown"),
    ];
    assert_eq!(told, expected.map(|(d, p, m)| (d.into(), p.into(), m)));
}

#[test]
fn a_path_is_local_if_nothing_on_the_way_is_remote() {
    let lines = [
        "1 1 8:1 / / rw - ext4 d rw",
        "1 1 0:1 / /net rw - nfs4 server:/ rw",
        "1 1 0:2 / /net/tmp rw - tmpfs t rw",
        "1 1 0:3 / /network rw - tmpfs t rw",
        "1 1 0:4 / /fuse rw - fuse.sshfs s rw",
    ];
    let table = table(&lines.join("\n"), "/");
    let local: Vec<_> = table.paths.iter().zip(&table.local).collect();
    let found: Vec<_> = local
        .iter()
        .filter(|(_, l)| **l)
        .map(|(p, _)| &***p)
        .collect();
    assert_eq!(found, ["/", "/network"]);
}

#[test]
fn options_are_those_of_proc_mounts() {
    for (mount, own, expected) in [
        ("rw,relatime", "rw,discard", "rw,relatime,discard"),
        ("rw,nosuid", "ro", "ro,nosuid"),
        ("ro,nosuid", "rw,sync,size=4k", "ro,sync,nosuid,size=4k"),
        ("rw", "rw", "rw"),
    ] {
        let table = table(&format!("1 1 8:1 / /a {mount} - ext4 d {own}\n"), "/");
        assert_eq!(&*table.entries[0].mount.options, expected);
    }
}
