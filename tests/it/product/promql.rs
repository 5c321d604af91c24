//! Names of metrics in a PromQL expression: a tokenizer, no parser. Prometheus itself judges the syntax in the peer
//! tests; this one only has to see every name.

use std::collections::BTreeSet;

/// Words that are followed by a list of labels.
const BEFORE_LABELS: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const WORDS: &[&str] = &["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// The metric names in `expression`.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' => after(rest, first),
            '{' => after(rest, '}'),
            '[' => after(rest, ']'),
            _ if first.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            _ if is_name(first) => {
                let next = rest.trim_start_matches(is_name);
                let name = &rest[..rest.len() - next.len()];
                let coming = next.trim_start();
                if BEFORE_LABELS.contains(&name) {
                    if coming.starts_with('(') {
                        after(coming, ')')
                    } else {
                        next
                    }
                } else {
                    let function = coming.starts_with('(')
                        || coming.starts_with("by ")
                        || coming.starts_with("without ");
                    if !function && !WORDS.contains(&name) {
                        names.insert(name.to_owned());
                    }
                    next
                }
            }
            _ => &rest[first.len_utf8()..],
        };
    }
    names
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// What follows the next `end` behind the first character; quoted ends do not count.
fn after(text: &str, end: char) -> &str {
    let mut quoted = None;
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match quoted {
            None if c == end => return &text[at + c.len_utf8()..],
            None if c == '"' || c == '\'' => quoted = Some(c),
            Some(_) if c == '\\' => drop(chars.next()),
            Some(quote) if c == quote => quoted = None,
            _ => {}
        }
    }
    panic!("no {end} in {text}")
}

#[test]
fn every_name_of_an_expression_is_seen_and_nothing_else() {
    let cases: &[(&str, &[&str])] = &[
        ("up", &["up"]),
        ("1e3 * a:b_c", &["a:b_c"]),
        ("rate(a_total{x=\"}\", y=~'b'}[5m] offset 1h)", &["a_total"]),
        ("sum by (b, c) (a) / on (d) group_left a2", &["a", "a2"]),
        ("sum(a) by (c) and on(job) b == bool 1", &["a", "b"]),
        (
            "((x < y) or x) unless z{} > 0 or vector(0)",
            &["x", "y", "z"],
        ),
        ("-rate(a[$__rate_interval]) * 8", &["a"]),
    ];
    for (expression, names) in cases {
        let seen = metrics(expression);
        assert_eq!(
            seen.iter().map(String::as_str).collect::<Vec<_>>(),
            *names,
            "{expression}"
        );
    }
}
