//! What is read as YAML, and what is refused.

use std::path::PathBuf;

use super::super::fault::Sources;
use super::super::tree::Style;
use super::*;

fn read(text: &str) -> Result<Node, String> {
    let source = Source {
        path: PathBuf::from("n.yml"),
        text: text.to_owned(),
    };
    let mut faults = Faults::default();
    let node = parse(0, &source, &mut 0, &mut faults);
    match node {
        Some(node) if faults.is_empty() => Ok(node),
        _ => Err(faults.into_errors(Sources(vec![source])).to_string()),
    }
}

fn first_line(text: &str) -> String {
    read(text).unwrap_err().lines().next().unwrap().to_owned()
}

#[test]
fn every_key_and_value_has_its_place() {
    let node = read("a:\n  - x\n  - {é: 'yes', c: off}\n").unwrap();
    let entry = &node.entries()[0];
    assert_eq!((entry.at.line, entry.at.column, entry.at.width), (1, 1, 1));
    let path = Path(vec![
        Step::Key("a".to_owned()),
        Step::Index(1),
        Step::Key("é".to_owned()),
    ]);
    let found = node.find(&path).unwrap();
    assert_eq!(
        (found.place.line, found.place.column, found.place.width),
        (3, 9, 5)
    );
    assert_eq!(found.value, Value::Text("yes".to_owned(), Style::Quoted));
}

#[test]
fn what_yaml_allows_and_a_config_does_not_is_refused() {
    for (text, message) in [
        (
            "a: 1\nb: 2\na: 3",
            "n.yml:3:1: key \"a\" is given twice; the first is at line 1, column 1",
        ),
        (
            "x:\n  - {b: 1, b: 2}",
            "n.yml:2:12: key \"b\" is given twice in x[0]; the first is at line 2, column 6",
        ),
        (
            "a: 1\n---\nb: 2",
            "n.yml:2:1: a second document begins here; a config is one",
        ),
        (
            "[a]: 1",
            "n.yml:1:1: a key must be one word, not a list or a map",
        ),
        (": 1", "n.yml:1:1: a key is missing before the colon"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x",
            "n.yml:3:3: merge keys (<<) are not read; an alias can stand for a whole value only",
        ),
        (
            "a: !!str 1",
            "n.yml:1:10: tags (!) are not read; write the value alone",
        ),
        (
            "a: &x [*x]",
            "n.yml:1:8: this alias stands inside the value it repeats",
        ),
    ] {
        assert_eq!(first_line(text), message, "{text}");
    }
    assert!(first_line("a: [1").starts_with("n.yml:"));
    assert!(first_line("%YAML 1.1\n---\na: 1").contains("this is no YAML"));
    assert!(first_line("a: *nowhere").contains("this is no YAML"));
}

#[test]
fn aliases_are_expanded_but_never_a_billion_times() {
    let node = read("a: &x {b: [1]}\nc: *x\n").unwrap();
    assert_eq!(node.entries()[0].node, node.entries()[1].node);
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = level - 1;
        let items = vec![format!("*a{below}"); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(first_line(&laughs).contains("more than 100000 values"));
    let mut deep = String::from("a0: &a0 [x]\n");
    for level in 1..100 {
        deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(first_line(&deep).contains("nested deeper than 64 levels"));
    assert!(read(&"[".repeat(100_000)).is_err());
}
