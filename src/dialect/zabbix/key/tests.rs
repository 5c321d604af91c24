use proptest::prelude::*;

use super::*;

fn params(text: &str) -> Vec<String> {
    let key = Key::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
    assert_eq!(key.name(), "k", "{text}");
    key.params().map(str::to_owned).collect()
}

/// Each line was put to the classic agents of 6.0 and 7.0, with file names as parameters.
#[test]
fn parameters_are_what_the_classic_agent_takes_them_for() {
    let cases: &[(&str, &[&str])] = &[
        ("k", &[]),
        ("k[]", &[""]),
        ("k[,]", &["", ""]),
        ("k[ , ]", &["", ""]),
        ("k[a]", &["a"]),
        ("k[  a]", &["a"]),
        ("k[a ]", &["a "]),
        ("k[a b]", &["a b"]),
        ("k[\ta\n]", &["\ta\n"]),
        ("k[a,b]", &["a", "b"]),
        ("k[a,,]", &["a", "", ""]),
        (r#"k["a"]"#, &["a"]),
        (r#"k["a" ]"#, &["a"]),
        (r#"k[ "a"]"#, &["a"]),
        (r#"k["a" , b]"#, &["a", "b"]),
        (r#"k["a "]"#, &["a "]),
        (r#"k[" a"]"#, &[" a"]),
        (r#"k["a,b"]"#, &["a,b"]),
        (r#"k["a]b"]"#, &["a]b"]),
        (r#"k[""]"#, &[""]),
        (r#"k["a\"b"]"#, &[r#"a"b"#]),
        (r#"k["a\\"b"]"#, &[r#"a\"b"#]),
        (r#"k["a\sb"]"#, &[r"a\sb"]),
        (r#"k["a\\b"]"#, &[r"a\\b"]),
        (r#"k[a"b]"#, &[r#"a"b"#]),
        (r#"k[a"b,c"d]"#, &[r#"a"b"#, r#"c"d"#]),
        (r#"k[\"a"]"#, &[r#"\"a""#]),
        ("k[a[b]", &["a[b"]),
        ("k[[a]]", &["a"]),
        ("k[[ a]]", &["a"]),
        ("k[[a ]]", &["a "]),
        ("k[ [a]]", &["a"]),
        ("k[[a] ]", &["a"]),
        ("k[[a] ,b]", &["a", "b"]),
        ("k[[a,b]]", &["a,b"]),
        ("k[[a],[b]]", &["a", "b"]),
        ("k[[]]", &[""]),
        ("k[[],x]", &["", "x"]),
        ("k[[,]]", &[","]),
        ("k[[a[b]]", &["a[b"]),
        (r#"k[["a"]]"#, &[r#""a""#]),
        (r#"k[["a" ]]"#, &[r#""a" "#]),
        (r#"k[["a]",b]]"#, &[r#""a]",b"#]),
        ("k[ä,€]", &["ä", "€"]),
    ];
    for (text, expected) in cases {
        assert_eq!(params(text), *expected, "{text}");
    }
}

#[test]
fn what_is_no_key_is_told_apart_by_cause() {
    let cases = [
        ("", NotAKey::NoName),
        (" k", NotAKey::NoName),
        ("[", NotAKey::NoName),
        ("[]", NotAKey::NoName),
        ("ä", NotAKey::NoName),
        ("\nk", NotAKey::NoName),
        ("{\"request\"", NotAKey::NoName),
        ("k ", NotAKey::AfterName(1)),
        ("k\n", NotAKey::AfterName(1)),
        ("k]", NotAKey::AfterName(1)),
        ("a b", NotAKey::AfterName(1)),
        ("k:x", NotAKey::AfterName(1)),
        ("k[", NotAKey::Unclosed),
        ("k[a", NotAKey::Unclosed),
        ("k[a,", NotAKey::Unclosed),
        ("k[\"]", NotAKey::Unclosed),
        ("k[\"a]", NotAKey::Unclosed),
        (r#"k["\"]"#, NotAKey::Unclosed),
        (r#"k["\\"]"#, NotAKey::Unclosed),
        ("k[a,\"b]", NotAKey::Unclosed),
        ("k[[a]", NotAKey::Unclosed),
        ("k[a,[b]", NotAKey::Unclosed),
        ("k[\"a\"b]", NotAKey::AfterParameter(5)),
        ("k[[a]x]", NotAKey::AfterParameter(5)),
        ("k[[a]b,c]", NotAKey::AfterParameter(5)),
        ("k[[\"a\"x]]", NotAKey::AfterParameter(6)),
        ("k[[[a]]]", NotAKey::Nested(3)),
        ("k[[a,[b]]]", NotAKey::Nested(5)),
        ("k[] ", NotAKey::Trailing(3)),
        ("k[]x", NotAKey::Trailing(3)),
        ("k[a]b", NotAKey::Trailing(4)),
        ("k[a][b]", NotAKey::Trailing(4)),
        ("k[a]]", NotAKey::Trailing(4)),
        ("k[[a]]]", NotAKey::Trailing(6)),
        ("k[\"a\"]]", NotAKey::Trailing(6)),
    ];
    for (text, expected) in cases {
        assert_eq!(Key::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn an_absent_parameter_reads_as_empty() {
    let key = Key::parse("vfs.fs.size[/]").unwrap();
    assert_eq!((key.count(), key.param(0), key.param(1)), (1, "/", ""));
    assert_eq!(Key::parse("agent.ping").unwrap().count(), 0);
    assert_eq!(Key::parse("agent.ping[]").unwrap().count(), 1);
}

#[test]
fn keys_are_equal_however_they_were_quoted() {
    let bare = Key::parse("net.if.in[eth0,bytes]").unwrap();
    for text in [
        r#"net.if.in["eth0","bytes"]"#,
        "net.if.in[ eth0, bytes]",
        "net.if.in[[eth0],[bytes]]",
    ] {
        let key = Key::parse(text).unwrap();
        assert_eq!(key, bare, "{text}");
        assert_eq!(key.to_string(), "net.if.in[eth0,bytes]");
    }
}

#[test]
fn bytes_that_are_no_text_survive_as_replacement_characters_in_parameters_only() {
    let key = Key::parse_bytes(b"k[\xff,b]").unwrap();
    assert_eq!((key.param(0), key.param(1)), ("\u{fffd}", "b"));
    assert_eq!(Key::parse_bytes(b"k\xff"), Err(NotAKey::AfterName(1)));
}

#[test]
fn a_parameter_ending_in_a_backslash_keeps_its_form() {
    for text in [r"k[a\]", r"k[[a,b\]]", r#"k[["]",\]]"#] {
        let key = Key::parse(text).unwrap();
        assert_eq!(key.to_string(), text);
    }
}

proptest! {
    #[test]
    fn the_canonical_form_parses_to_an_equal_key(text in r#"k(\[[ ,"\\\[\]aä]{0,12}\]?)?"#) {
        if let Ok(key) = Key::parse(&text) {
            let canonical = key.to_string();
            let again = Key::parse(&canonical);
            prop_assert_eq!(again.as_ref(), Ok(&key), "{} -> {}", text, canonical);
            prop_assert_eq!(again.map(|key| key.to_string()), Ok(canonical));
        }
    }

    #[test]
    fn quoting_carries_any_text_that_does_not_end_in_a_backslash(text in ".*[^\\\\]") {
        let quoted = format!("k[\"{}\"]", text.replace('"', "\\\""));
        let key = Key::parse(&quoted);
        prop_assert_eq!(key.as_ref().map(|key| key.param(0)), Ok(text.as_str()));
    }

    #[test]
    fn no_bytes_make_the_parser_fail_badly(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _either = Key::parse_bytes(&bytes);
    }
}
