//! Rules and ways around them.

use proptest::prelude::*;

use super::*;

fn rules(texts: &[&str]) -> Rules {
    let rule = |text: &&str| {
        let (kind, pattern) = text.split_once(' ').unwrap();
        let pattern = Some(pattern.to_owned());
        match kind {
            "allow" => Rule {
                allow: pattern,
                deny: None,
            },
            _ => Rule {
                allow: None,
                deny: pattern,
            },
        }
    };
    Rules::new(&texts.iter().map(rule).collect::<Vec<_>>()).unwrap()
}

/// A machine on which /tmp/link leads to /etc/shadow, what lies below /tmp/dir to below /etc, and the kernel's links into /sys/devices.
fn real(path: &str) -> Option<String> {
    let path = plain(path);
    match path.as_str() {
        "/tmp/link" => Some("/etc/shadow".to_owned()),
        "/sys/out" => Some("/etc/shadow".to_owned()),
        _ => Some(
            path.replace("/tmp/dir", "/etc")
                .replace("/sys/class/net/", "/sys/devices/virtual/net/"),
        ),
    }
}

fn asks(rules: &Rules, key: &str) -> bool {
    rules.allow(&Key::parse(key).unwrap(), &real)
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = rules(&[
        "allow vfs.file.size[/var/log/*]",
        "deny vfs.file.*[*]",
        "allow *",
    ]);
    for (key, may) in [
        ("vfs.file.size[/var/log/syslog]", true),
        ("vfs.file.size[\"/var/log/syslog\"]", true),
        ("vfs.file.size[/var/log/../../etc/passwd]", false),
        ("vfs.file.size[/var/log/syslog,lines]", false),
        ("vfs.file.contents[/var/log/syslog]", false),
        ("vfs.file.contents", false),
        ("agent.ping", true),
    ] {
        assert_eq!(asks(&rules, key), may, "{key}");
    }
    assert!(asks(&Rules::default(), "anything[at,all]"));
}

/// Each of these is answered by an agent with the same lines: a comma more, a way around, a link.
#[test]
fn what_leads_past_a_deny_of_the_agent_leads_past_none_of_ours() {
    let rules = rules(&[
        "deny vfs.file.contents[/etc/*]",
        "deny vm.memory.size",
        "deny net.tcp.port[,22]",
        "deny vfs.fs.size[/]",
        "deny vfs.fs.inode[/secret]",
        "deny vfs.fs.inode[hidden]",
    ]);
    for key in [
        "vfs.file.contents[/etc/debian_version]",
        "vfs.file.contents[/etc/debian_version,]",
        "vfs.file.contents[/etc/debian_version,utf8,,]",
        "vfs.file.contents[/tmp/../etc/debian_version]",
        "vfs.file.contents[//etc//debian_version]",
        "vfs.file.contents[/./etc/debian_version]",
        "vfs.file.contents[ \"/etc/debian_version\"]",
        "vfs.file.contents[[/etc/debian_version]]",
        "vfs.file.contents[/../etc/shadow]",
        "vfs.file.contents[/tmp/link]",
        "vfs.file.contents[/tmp/dir/shadow]",
        "vm.memory.size[total]",
        "net.tcp.port[,22]",
        "net.tcp.port[,22,]",
        "vfs.file.contents[etc/shadow]",
        "vfs.file.contents[tmp/link]",
        "vfs.file.contents[/var/../tmp/link]",
        "vfs.fs.size[.]",
        "vfs.fs.size[./,pused]",
        "vfs.fs.size[..]",
        "vfs.fs.size[tmp/..]",
        "vfs.fs.inode[secret]",
        "vfs.fs.inode[secret/]",
        "vfs.fs.inode[../secret]",
        "vfs.fs.inode[./secret]",
        "vfs.fs.inode[/hidden]",
        "vfs.fs.inode[x/../hidden]",
    ] {
        assert!(!asks(&rules, key), "{key}");
    }
    assert!(asks(&rules, "vfs.file.contents[/var/log/syslog]"));
    assert!(asks(&rules, "net.tcp.port[,2222]"));
    assert!(asks(&rules, "vfs.fs.size[tmp]"));
    assert!(asks(&rules, "vfs.fs.inode[secrets]"));
    let looked = |key: &str| rules.paths(&Key::parse(key).unwrap());
    assert_eq!(looked("vfs.fs.size[../a,b]"), ["/../a", "/a"]);
    assert_eq!(looked("net.tcp.port[x]"), ["/x"]);
    for key in [
        "vfs.fs.size",
        "vfs.fs.size[]",
        "vm.memory.size[/a]",
        "other[/a]",
    ] {
        assert_eq!(looked(key), [] as [&str; 0], "{key}");
    }
}

/// As a hardened site has them for the stock templates, whose files in sysfs lie behind links of the kernel's.
#[test]
fn an_allow_of_a_file_in_sysfs_means_what_the_kernel_links_it_to() {
    let listed = rules(&["allow vfs.file.contents[/sys/class/net/*/speed]", "deny *"]);
    for (key, may) in [
        ("vfs.file.contents[/sys/class/net/lo/speed]", true),
        (
            "vfs.file.contents[/sys/devices/virtual/net/lo/speed]",
            false,
        ),
        (
            "vfs.file.contents[/sys/class/net/lo/../../../x/speed]",
            false,
        ),
        (
            "vfs.file.contents[/sys/class/net/../../../tmp/dir/speed]",
            false,
        ),
        ("vfs.file.contents[sys/class/net/lo/speed]", false),
    ] {
        assert_eq!(asks(&listed, key), may, "{key}");
    }
    assert!(!asks(
        &rules(&["allow vfs.file.contents[/sys/*]", "deny *"]),
        "vfs.file.contents[/sys/out]"
    ));
    let guarded = rules(&[
        "deny vfs.file.contents[/sys/devices/*]",
        "allow vfs.file.contents[/sys/*]",
    ]);
    assert!(!asks(
        &guarded,
        "vfs.file.contents[/sys/class/net/lo/speed]"
    ));
}

#[test]
fn an_allow_reaches_no_further_than_the_agents() {
    let rules = rules(&[
        "allow vfs.file.size[/tmp/*]",
        "allow system.cpu.load",
        "allow system.sw.os[*]",
        "allow net.if.in[lo,packets]",
        "allow vfs.fs.size[data*]",
        "deny *",
    ]);
    for (key, may) in [
        ("vfs.file.size[/tmp/a]", true),
        ("vfs.file.size[/tmp/link]", false),
        ("vfs.file.size[/tmp/../etc/shadow]", false),
        ("system.cpu.load", true),
        ("system.cpu.load[all]", false),
        ("system.sw.os[name]", true),
        ("system.sw.os[name,x]", true),
        ("system.sw.os", false),
        ("net.if.in[lo,packets]", true),
        ("vfs.fs.size[data/a]", true),
        ("vfs.fs.size[data/../etc]", false),
        ("agent.ping", false),
    ] {
        assert_eq!(asks(&rules, key), may, "{key}");
    }
}

#[test]
fn what_is_no_rule_is_told() {
    for pattern in ["", "a b", "a[", "a[b", "a[b]c", "[*]", "a;b"] {
        let rule = Rule {
            allow: None,
            deny: Some(pattern.to_owned()),
        };
        assert_eq!(
            Rules::new(&[rule]),
            Err(NotARule::Pattern(pattern.to_owned()))
        );
    }
    assert_eq!(Rules::new(&[Rule::default()]), Err(NotARule::Both));
    assert!(matches!(
        Rules::new(&vec![Rule::default(); 1001]),
        Err(NotARule::Many(1001))
    ));
}

proptest! {
    #[test]
    fn a_deny_without_parameters_and_one_with_a_star_leave_nothing(key in "[a-z.]{1,8}(\\[[a-z/.,\"]{0,12}\\])?") {
        if let Ok(parsed) = Key::parse(&key) {
            for pattern in [parsed.name().to_owned(), format!("{}[*]", parsed.name()), "*".to_owned()] {
                let rules = rules(&[&format!("deny {pattern}")]);
                prop_assert!(!rules.allow(&parsed, &real), "{} {}", pattern, key);
            }
        }
    }

    #[test]
    fn stars_stand_for_any_text(a in "[ab]{0,6}", b in "[ab]{0,6}", c in "[ab]{0,6}") {
        let (text, ends, middle) = (format!("{a}{b}{c}"), format!("{a}*{c}"), format!("*{b}*"));
        prop_assert!(fits(&ends, &text) && fits(&middle, &text));
        prop_assert_eq!(fits(&a, &b), a == b);
    }
}
