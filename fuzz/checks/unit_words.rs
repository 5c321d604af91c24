//! Units and files of variables that others wrote: words that were split are split the same when they are written with quotes.

use nodeward::cli::import::environment::variables;
use nodeward::cli::import::words::{expand, specified, split};

/// Reads the bytes as a file of variables, and as a line of words with these.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let variables = variables(&text);
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    assert!(
        variables
            .keys()
            .all(|name| !name.is_empty() && name.bytes().all(word))
    );
    let Ok(words) = split(&text) else {
        return;
    };
    let quoted = words.iter().map(|word| {
        let word = word.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{word}\"")
    });
    let line = quoted.collect::<Vec<_>>().join(" ");
    assert_eq!(split(&line).as_ref(), Ok(&words), "{line}");
    let plain = words.iter().map(|word| specified(word)).collect();
    let mut unset = Vec::new();
    drop(expand(plain, &variables, &mut unset));
    assert!(unset.iter().all(|name| !variables.contains_key(name)));
}
