use super::*;
use crate::subject::tests::captured::Captured;

/// Paragraphs in the form of deb-control(5).
const STATUS: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n\
    Package: libz\nStatus: install ok installed\nInstalled-Size: 3\nArchitecture: amd64\nMulti-Arch: same\nVersion: 1:2-3\nDescription: a\n text: of\n Package: x\n\n\
    Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
    Package: kept\nStatus: hold ok installed\nArchitecture: i386\nVersion: 1\n\n\
    Package: half\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1\n";

#[test]
fn dpkg_names_an_architecture_where_it_tells_packages_apart() {
    let machine = Captured::new(&[("var/lib/dpkg/status", STATUS)]);
    let says = |key: &str| machine.text::<Packages>(key);
    for (key, value) in [
        (
            "system.sw.packages",
            "[dpkg] dpkg, half, kept:i386, libz:amd64",
        ),
        (
            "system.sw.packages[,,short]",
            "dpkg, half, kept:i386, libz:amd64",
        ),
        ("system.sw.packages[amd64$]", "[dpkg] libz:amd64"),
        ("system.sw.packages[nothing]", "[dpkg]"),
        ("system.sw.packages[(]", "[dpkg]"),
        (
            "system.sw.packages[,rpm]",
            "Cannot obtain package information.",
        ),
        ("system.sw.packages[,,long]", "Invalid third parameter."),
    ] {
        assert_eq!(says(key), value, "{key}");
    }
    assert_eq!(
        says("system.sw.packages.get[^libz]"),
        "[{\"name\":\"libz\",\"manager\":\"dpkg\",\"version\":\"1:2-3\",\"size\":3072,\"arch\":\"amd64\",\
         \"buildtime\":{\"timestamp\":0,\"value\":\"\"},\"installtime\":{\"timestamp\":0,\"value\":\"\"}}]"
            .parse::<serde_json::Value>()
            .unwrap()
            .to_string()
    );
}

#[test]
fn pacman_has_a_directory_a_package() {
    let desc = "%NAME%\nzlib\n\n%VERSION%\n1:1.3-1\n\n%ARCH%\nx86_64\n\n%SIZE%\n300\n\n%BUILDDATE%\n1700000000\n\n%INSTALLDATE%\n1700000001\n\n%LICENSE%\nNAME\nx\n";
    let machine = Captured::new(&[
        ("var/lib/pacman/local/zlib-1:1.3-1/desc", desc),
        ("var/lib/pacman/local/ALPM_DB_VERSION", "9\n"),
    ]);
    assert_eq!(
        machine.text::<Packages>("system.sw.packages"),
        "[pacman] zlib"
    );
    let said = machine.text::<Packages>("system.sw.packages.get");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said[0]["size"], 300);
    assert_eq!(said[0]["version"], "1:1.3-1");
    assert_eq!(said[0]["installtime"]["timestamp"], 1_700_000_001);
}

// A header that rpm 4.18 wrote, and what rpm and the agents of 7.0 told of it.
#[test]
fn rpm_has_a_database() {
    const HEADER: &[u8] = include_bytes!("../../../tests/fixtures/rpm/nodeward-probe.header");
    let machine = Captured::new(&[("var/lib/rpm/.rpm.lock", "")]);
    let none = machine.text::<Packages>("system.sw.packages");
    assert_eq!(none, "Cannot obtain package information.");
    let database = rusqlite::Connection::open(machine.path("var/lib/rpm/rpmdb.sqlite")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);\
             INSERT INTO Packages (blob) VALUES ('no bytes'), (7)",
        )
        .unwrap();
    for header in [HEADER, b"\0\0"] {
        let insert = "INSERT INTO Packages (blob) VALUES (?)";
        database.execute(insert, [header]).unwrap();
    }
    drop(database);
    let mut kept = None;
    let mut list = |now| {
        let mut errors = Vec::new();
        let list = machine.pass(|pass| rpm::read(pass, &mut errors, &mut kept, now));
        let whys = errors.into_iter().map(|error| error.why);
        (list.unwrap().1, whys.collect::<Vec<_>>())
    };
    let (first, errors) = list(0);
    assert_eq!(errors, ["3 packages without a header that is one"]);
    // It changed too short a time ago to be kept.
    let (second, _) = list(i64::MAX);
    assert!(!Arc::ptr_eq(&first, &second));
    let (third, again) = list(i64::MAX);
    assert!(Arc::ptr_eq(&second, &third));
    assert_eq!(again, errors);
    machine.put("var/lib/rpm/rpmdb.sqlite-wal", "");
    let (fourth, _) = list(i64::MAX);
    assert!(!Arc::ptr_eq(&third, &fourth));
    assert_eq!(first, fourth);
    for (key, said) in [
        ("system.sw.packages", "[rpm] nodeward-probe-1.2-3.noarch"),
        (
            "system.sw.packages[noarch$,rpm,short]",
            "nodeward-probe-1.2-3.noarch",
        ),
        ("system.sw.packages[^x,rpm]", "[rpm]"),
    ] {
        assert_eq!(machine.text::<Packages>(key), said, "{key}");
    }
    let said = machine.text::<Packages>("system.sw.packages.get[^nodeward]");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    for (name, value) in [
        ("name", "nodeward-probe"),
        ("manager", "rpm"),
        ("version", "1.2-3"),
        ("arch", "noarch"),
    ] {
        assert_eq!(said[0][name], value);
    }
    assert_eq!(said[0]["size"], 5_000);
    assert_eq!(said[0]["buildtime"]["timestamp"], 1_795_769_955);
    assert_eq!(said[0]["installtime"]["timestamp"], 1_795_769_958);
    machine.put("var/lib/rpm/rpmdb.sqlite", "no database");
    let none = machine.text::<Packages>("system.sw.packages");
    assert_eq!(none, "Cannot obtain package information.");
}

#[test]
fn what_is_no_header_of_rpm_is_no_package() {
    const HEADER: &[u8] = include_bytes!("../../../tests/fixtures/rpm/nodeward-probe.header");
    assert!(rpm::package(HEADER).is_some());
    for end in 0..HEADER.len() {
        assert!(rpm::package(&HEADER[..end]).is_none(), "{end}");
    }
    for at in 0..HEADER.len() {
        let mut odd = HEADER.to_vec();
        odd[at] = 0xff;
        // Whatever it says, it is read to its end.
        drop(rpm::package(&odd));
    }
}

#[test]
fn a_machine_without_either_says_so() {
    let machine = Captured::new(&[]);
    for key in ["system.sw.packages", "system.sw.packages.get"] {
        let said = machine.text::<Packages>(key);
        assert_eq!(said, "Cannot obtain package information.");
    }
}
