use super::*;

fn list(entries: &[&str]) -> AllowList {
    AllowList::parse(entries).unwrap_or_else(|bad| panic!("{bad:?}"))
}

async fn allows(entries: &[&str], peer: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    let resolver = Resolver::default();
    list(entries)
        .allows(peer.parse().unwrap(), &resolver, deadline)
        .await
}

#[tokio::test]
async fn addresses_and_networks_let_in_whom_they_name() {
    let cases = [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.9", false),
        ("127.0.0.1", "::ffff:127.0.0.1", true),
        ("::ffff:127.0.0.1", "127.0.0.1", true),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
        ("::1", "::1", true),
        ("::1", "127.0.0.1", false),
        ("127.0.0.1", "::1", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.1.2.3/8", "10.255.0.1", true),
        ("10.0.0.1/32", "10.0.0.1", true),
        ("10.0.0.1/32", "10.0.0.0", false),
        ("10.0.0.0/31", "10.0.0.1", true),
        ("10.0.0.0/31", "10.0.0.2", false),
        ("::ffff:10.0.0.0/104", "10.9.9.9", true),
        ("::ffff:10.0.0.0/104", "11.0.0.1", false),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe00::1", false),
        ("fd00::/8", "10.0.0.1", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false),
        ("0.0.0.0/0", "192.0.2.1", true),
        ("0.0.0.0/0", "::ffff:192.0.2.1", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "192.0.2.1", true),
        ("::/0", "2001:db8::1", true),
        ("0.0.0.0", "127.0.0.1", false),
        ("::", "::1", false),
        (" 127.0.0.1 ", "127.0.0.1", true),
    ];
    for (entry, peer, expected) in cases {
        assert_eq!(allows(&[entry], peer).await, expected, "{entry} {peer}");
    }
    assert!(allows(&["10.0.0.1", "127.0.0.1"], "127.0.0.1").await);
    assert!(!allows(&[], "127.0.0.1").await);
}

#[test]
fn tells_a_list_that_is_open_to_all() {
    assert!(list(&["0.0.0.0/0"]).is_open());
    assert!(list(&["10.0.0.1", "::/0"]).is_open());
    assert!(!list(&["10.0.0.0/8", "a.example"]).is_open());
}

#[test]
fn names_every_bad_entry_with_its_fault() {
    let prefix = |entry: &str, most| BadEntry::Prefix {
        entry: entry.to_owned(),
        most,
    };
    let cases = [
        ("", BadEntry::Empty),
        (" ", BadEntry::Empty),
        ("127.0.0.1/33", prefix("127.0.0.1/33", 32)),
        ("::1/129", prefix("::1/129", 128)),
        ("127.0.0.1/-1", prefix("127.0.0.1/-1", 32)),
        ("127.0.0.1/+1", prefix("127.0.0.1/+1", 32)),
        ("127.0.0.1/", prefix("127.0.0.1/", 32)),
        ("127.0.0.1/999", prefix("127.0.0.1/999", 32)),
        (
            "a.example/24",
            BadEntry::NoNetwork("a.example/24".to_owned()),
        ),
        ("300.1.2.3", BadEntry::Address("300.1.2.3".to_owned())),
        ("10.0.0", BadEntry::Address("10.0.0".to_owned())),
        ("10.0.0.5.", BadEntry::Address("10.0.0.5.".to_owned())),
        ("300.1.2.3/8", BadEntry::Address("300.1.2.3/8".to_owned())),
        ("fe80::zz", BadEntry::Address("fe80::zz".to_owned())),
        ("1:2:3", BadEntry::Address("1:2:3".to_owned())),
        ("127.0.0.1:10", BadEntry::Port("127.0.0.1:10".to_owned())),
        ("[::1]", BadEntry::Port("[::1]".to_owned())),
        (
            "10.0.0.1,10.0.0.2",
            BadEntry::Several("10.0.0.1,10.0.0.2".to_owned()),
        ),
        ("*", BadEntry::Name("*".to_owned())),
        ("bad name", BadEntry::Name("bad name".to_owned())),
        ("-x", BadEntry::Name("-x".to_owned())),
        ("a..b", BadEntry::Name("a..b".to_owned())),
    ];
    for (entry, expected) in &cases {
        assert_eq!(
            AllowList::parse(&[entry]).unwrap_err(),
            std::slice::from_ref(expected),
            "{entry}"
        );
        assert!(expected.to_string().contains(entry.trim()));
    }
    let all: Vec<_> = cases.iter().map(|case| case.0).collect();
    assert_eq!(AllowList::parse(&all).unwrap_err().len(), cases.len());
}

#[tokio::test]
async fn a_name_lets_in_the_addresses_it_has() {
    assert!(allows(&["localhost"], "127.0.0.1").await);
    assert!(!allows(&["localhost"], "192.0.2.1").await);
}

#[tokio::test]
async fn an_address_that_is_listed_does_not_wait_for_a_name() {
    let list = list(&["never.invalid", "127.0.0.1"]);
    let already = Instant::now();
    assert!(
        list.allows("127.0.0.1".parse().unwrap(), &Resolver::default(), already)
            .await
    );
    assert!(list.names[0].lock().next.is_none(), "no look-up was begun");
}

#[tokio::test]
async fn waiting_for_a_name_ends_at_the_deadline() {
    let list = list(&["never.invalid"]);
    // As if a look-up hung: nobody will tell.
    list.names[0].lock().looking = true;
    let already = Instant::now();
    assert!(
        !list
            .allows("127.0.0.1".parse().unwrap(), &Resolver::default(), already)
            .await
    );
}

#[test]
fn a_name_serves_its_last_addresses_while_it_is_looked_up_or_cannot_be() {
    let (old, new) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let start = Instant::now();
    let mut known = Known {
        looking: true,
        ..Known::default()
    };
    assert_eq!(known.has(old, start), None, "the first look is waited for");

    known.settle(Some(vec![old]), start);
    assert_eq!(known.next, Some(start + FRESH));
    assert_eq!(known.has(old, start), Some(true));
    assert_eq!(known.has(new, start), Some(false));

    known.looking = true;
    let soon = start + FRESH + Duration::from_secs(1);
    assert_eq!(known.has(old, soon), Some(true), "served while looking");
    assert_eq!(known.has(new, soon), None, "it may just have moved");
    let idle = start + 10 * FRESH;
    assert_eq!(
        known.has(old, idle),
        None,
        "an old answer is looked up first"
    );

    known.settle(None, soon);
    assert_eq!(known.next, Some(soon + RETRY));
    assert_eq!(
        known.has(old, idle),
        Some(true),
        "the last good answer stays in force"
    );
    assert!(known.holds(old, start + STALE));
    let long = start + STALE + Duration::from_secs(1);
    assert_eq!(known.has(old, long), Some(false), "but not for ever");
    assert!(!known.holds(old, long));

    known.settle(Some(vec![new]), long);
    assert_eq!(known.has(old, long), Some(false));
    assert_eq!(known.has(new, long), Some(true));
}
