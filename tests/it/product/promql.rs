//! What a PromQL expression names: a tokenizer, no parser. Prometheus itself judges the syntax in the peer tests; this
//! one only has to see every name, every matcher and every label that is grouped by.

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
const WORDS: &[&str] = &["and", "or", "unless", "bool", "offset", "inf", "Inf", "nan"];

/// A metric with what stands in its braces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    pub name: String,
    pub matchers: Vec<Matcher>,
}

/// `label op "value"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matcher {
    pub label: String,
    pub op: String,
    pub value: String,
}

/// What an expression names.
#[derive(Debug, Default)]
pub struct Named {
    pub selectors: Vec<Selector>,
    /// Labels of `by`, `without`, `on` and their kin.
    pub labels: BTreeSet<String>,
}

/// The metric names in `expression`.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let selectors = named(expression).selectors.into_iter();
    selectors.map(|selector| selector.name).collect()
}

/// All that `expression` names.
pub fn named(expression: &str) -> Named {
    let mut named = Named::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' => upto(rest, first).1,
            '[' => upto(rest, ']').1,
            _ if first.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            _ if is_name(first) => word(rest, &mut named),
            _ => &rest[first.len_utf8()..],
        };
    }
    named
}

/// Takes the word that `rest` begins with, and what belongs to it; what follows.
fn word<'a>(rest: &'a str, named: &mut Named) -> &'a str {
    let next = rest.trim_start_matches(is_name);
    let name = &rest[..rest.len() - next.len()];
    let coming = next.trim_start();
    if BEFORE_LABELS.contains(&name) {
        if !coming.starts_with('(') {
            return next;
        }
        let (labels, next) = upto(coming, ')');
        let labels = labels.split(',').map(str::trim).filter(|l| !l.is_empty());
        named.labels.extend(labels.map(str::to_owned));
        return next;
    }
    let function =
        coming.starts_with('(') || coming.starts_with("by ") || coming.starts_with("without ");
    if function || WORDS.contains(&name) {
        return next;
    }
    let (inside, next) = match coming.starts_with('{') {
        true => upto(coming, '}'),
        false => ("", next),
    };
    named.selectors.push(Selector {
        name: name.to_owned(),
        matchers: matchers(inside),
    });
    next
}

fn matchers(mut inside: &str) -> Vec<Matcher> {
    let mut all = Vec::new();
    while let Some(at) = inside.find(['=', '!']) {
        let label = inside[..at].trim_matches([' ', ',']);
        let behind = inside[at..].trim_start_matches(['=', '!', '~']);
        let op = &inside[at..inside.len() - behind.len()];
        let quoted = behind.trim_start();
        let quote = quoted.chars().next().expect(inside);
        let (value, next) = upto(quoted, quote);
        all.push(Matcher {
            label: label.to_owned(),
            op: op.to_owned(),
            value: value.to_owned(),
        });
        inside = next;
    }
    all
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// What stands between the first character and the next `end`, and what follows; quoted ends do not count.
fn upto(text: &str, end: char) -> (&str, &str) {
    let mut quoted = None;
    let start = text.chars().next().map_or(0, char::len_utf8);
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match quoted {
            None if c == '\\' => drop(chars.next()),
            None if c == end => return (&text[start..at], &text[at + c.len_utf8()..]),
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
    type Words = &'static [&'static str];
    let cases: &[(&str, Words, Words, Words)] = &[
        ("up", &["up"], &[], &[]),
        ("1e3 * a:b_c", &["a:b_c"], &[], &[]),
        (
            "rate(a_total{x=\"}\", y=~'b'}[5m] offset 1h)",
            &["a_total"],
            &["x = }", "y =~ b"],
            &[],
        ),
        (
            "sum by (b, c) (a) / on (d) group_left a2",
            &["a", "a2"],
            &[],
            &["b", "c", "d"],
        ),
        (
            "sum(a) by (c) and on(job) b == bool 1",
            &["a", "b"],
            &[],
            &["c", "job"],
        ),
        (
            "((x < y) or x) unless z{} > 0 or vector(0)",
            &["x", "x", "y", "z"],
            &[],
            &[],
        ),
        ("-rate(a[$__rate_interval]) * Inf", &["a"], &[], &[]),
        (
            "a{b!=\"c\\\"d\",e!~\"f{2}\"} * on (x) group_left () c",
            &["a", "c"],
            &["b != c\\\"d", "e !~ f{2}"],
            &["x"],
        ),
    ];
    for (expression, names, matchers, labels) in cases {
        let seen = named(expression);
        let mut seen_names: Vec<&str> = seen.selectors.iter().map(|s| &*s.name).collect();
        seen_names.sort_unstable();
        assert_eq!(seen_names, *names, "{expression}");
        let all = seen.selectors.iter().flat_map(|s| &s.matchers);
        let all: Vec<String> = all
            .map(|m| format!("{} {} {}", m.label, m.op, m.value))
            .collect();
        assert_eq!(all, *matchers, "{expression}");
        let grouped: Vec<&str> = seen.labels.iter().map(|l| &**l).collect();
        assert_eq!(grouped, *labels, "{expression}");
    }
}
