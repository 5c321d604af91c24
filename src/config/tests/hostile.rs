//! Texts made to cost as much as they can.

/// Bytes a text has about; the limit of a file is 32 times that, and the cost grows with it.
const LONG: usize = 1 << 15;

#[test]
fn every_hostile_text_gets_an_answer_of_bounded_length() {
    let cases: Vec<(&str, String)> = vec![
        (
            "unknown keys",
            (0..LONG / 10).map(|i| format!("k{i}: 1\n")).collect(),
        ),
        ("dups", "http: 1\n".repeat(LONG / 8)),
        (
            "bad checks",
            format!(
                "checks:\n{}",
                (0..2000)
                    .map(|i| format!("  c{i}: {{url: x, every: 3x}}\n"))
                    .collect::<String>()
            ),
        ),
        (
            "long line flow",
            format!("http: {{listen: [{}]}}", "x, ".repeat(LONG / 3 - 20)),
        ),
        ("deep flow", "{a: ".repeat(60) + &"[x],".repeat(10)),
        (
            "anchors",
            format!(
                "{}{}",
                (0..60).map(|i| format!("&a{i} [")).collect::<String>(),
                "x, ".repeat(LONG / 3 - 400)
            ),
        ),
        (
            "aliases",
            format!(
                "a: &a [{}]\n{}",
                "x, ".repeat(100),
                (0..10000)
                    .map(|i| format!("b{i}: *a\n"))
                    .collect::<String>()
            ),
        ),
        ("quotes", "\"".repeat(LONG)),
        ("colons", ": ".repeat(LONG / 2)),
        ("questions", "? ".repeat(LONG / 2)),
        ("dashes", "- ".repeat(LONG / 2)),
        ("open", "[".repeat(LONG)),
        ("braces", "{".repeat(LONG)),
        ("comments", "#\n".repeat(LONG / 2)),
        ("spaces", " ".repeat(LONG)),
        ("newlines", "\n".repeat(LONG)),
        ("tabs", "\t".repeat(LONG)),
        ("pipes", "a: |\n".to_owned() + &"  x\n".repeat(LONG / 4)),
        ("plain multi", "a: ".to_owned() + &"  x\n".repeat(LONG / 4)),
        ("long key", "x".repeat(LONG)),
        (
            "long keys deep",
            format!(
                "{}1",
                (0..64)
                    .map(|i| format!("{}{}:\n{}", "k".repeat(900), i, " ".repeat(i + 1)))
                    .collect::<String>()
            ),
        ),
        ("amp", "&a ".repeat(LONG / 3)),
        ("tags", "!a ".repeat(LONG / 3)),
        ("percents", "%a\n".repeat(LONG / 3)),
        ("tag dir", "%TAG ! x\n".repeat(LONG / 9)),
        (
            "escapes",
            format!("a: \"{}\"", "\\x41".repeat(LONG / 4 - 10)),
        ),
        (
            "log names",
            format!(
                "log: {{{}}}",
                (0..4000)
                    .map(|i| format!("nme{i}: 1, "))
                    .collect::<String>()
            ),
        ),
    ];
    for (name, text) in cases {
        let said = super::house(&text).err().unwrap_or_default();
        assert!(said.len() < 100_000, "{name}: {} bytes", said.len());
    }
}
