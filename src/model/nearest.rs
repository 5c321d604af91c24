//! The nearest right word for a wrong one.
//!
//! Owns the edit distance and what counts as near. It knows no key.

/// Words longer than this get no suggestion; the distance costs the product of both lengths.
const LONGEST: usize = 64;

/// The candidate nearest to `word`: one that is the same but for case and separators
/// (`ServerActive`, `server-active`, `server_active`), or one at most two edits away and less than
/// half the word, or else the one that the word goes on from (`automatic`: `auto`) or breaks off from (`obs`: `observe`), of at least three letters. The first of equals.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let edits = if fold(candidate) == folded {
                0
            } else {
                distance(word, candidate)?
            };
            let near = edits <= 2 && edits * 2 <= word.chars().count();
            let begins = goes_on(word, candidate) || goes_on(candidate, word);
            (near || begins).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Whether a word begins with all of a shorter one that has three letters or more.
fn goes_on(word: &str, shorter: &str) -> bool {
    shorter.len() >= 3 && word.len() <= LONGEST && word.starts_with(shorter)
}

/// A key as nodeward would spell it: lower case, words joined by underscores.
pub fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len() + 4);
    let mut after_lower = false;
    for c in word.chars() {
        if c.is_uppercase() && after_lower {
            folded.push('_');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        match c {
            '-' | '.' | ' ' => folded.push('_'),
            c => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string
/// alignment). `None` when either is too long to bother.
fn distance(a: &str, b: &str) -> Option<usize> {
    let a: Vec<char> = a.chars().take(LONGEST + 1).collect();
    let b: Vec<char> = b.chars().take(LONGEST + 1).collect();
    if a.len() > LONGEST || b.len() > LONGEST {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (row, &x) in a.iter().enumerate() {
        let mut this = vec![row + 1];
        let mut previous_b = None;
        for (column, &y) in b.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&last, column) + usize::from(x != y);
            let inserted = cell(&this, column) + 1;
            let deleted = cell(&last, column + 1) + 1;
            let mut best = replaced.min(inserted).min(deleted);
            if previous_a == Some(y) && previous_b == Some(x) {
                best = best.min(cell(&before, column.wrapping_sub(1)) + 1);
            }
            this.push(best);
            previous_b = Some(y);
        }
        before = last;
        last = this;
        previous_a = Some(x);
    }
    last.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let keys = ["listen", "server", "server_active", "log", "ip"];
        for (word, meant) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("Server", Some("server")),
            ("ServerActive", Some("server_active")),
            ("server-active", Some("server_active")),
            ("servr", Some("server")),
            ("lgo", Some("log")),
            ("to", None),
            ("entirely_else", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
        let modes = ["off", "observe", "approve", "auto"];
        for (word, meant) in [
            ("automatic", Some("auto")),
            ("obs", Some("observe")),
            ("au", None),
            ("of", Some("off")),
        ] {
            assert_eq!(nearest(word, modes), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("a", "", 1),
            ("ab", "ba", 1),
            ("abc", "axcd", 2),
        ] {
            assert_eq!(distance(a, b), Some(edits), "{a} {b}");
        }
    }
}
