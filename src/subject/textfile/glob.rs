//! Paths with `*`, `?`, `[a-z]` and `\` in them, as the reference's flag takes them (Go's path/filepath, Match).

use std::path::{Path, PathBuf};

use crate::host::names;

/// The most directories one pattern stands for.
const MOST: usize = 1024;

/// The paths that a pattern stands for; the pattern itself if there are none, so that it is told as missing.
pub(super) fn expand(pattern: &str) -> Vec<PathBuf> {
    let is_plain = !pattern.contains(['*', '?', '[', '\\']);
    if is_plain {
        return vec![pattern.into()];
    }
    let start = if pattern.starts_with('/') { "/" } else { "." };
    let mut found = vec![PathBuf::from(start)];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let below = |dir: &PathBuf| -> Vec<PathBuf> {
            if !part.contains(['*', '?', '[', '\\']) {
                return vec![dir.join(part)];
            }
            let names = names(dir).unwrap_or_default();
            let fits =
                |name: &&std::ffi::OsString| matches(part.as_bytes(), name.as_encoded_bytes());
            names
                .iter()
                .filter(fits)
                .map(|name| dir.join(name))
                .collect()
        };
        found = found
            .iter()
            .flat_map(below)
            .filter(|path| exists(path))
            .take(MOST)
            .collect();
    }
    match found.is_empty() {
        true => vec![pattern.into()],
        false => found,
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a name fits a part of a pattern.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // Where the last star stands, and what of the name it has taken so far.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        let fits = match pattern {
            [b'*', rest @ ..] => {
                star = Some((rest, name));
                pattern = rest;
                continue;
            }
            [] if name.is_empty() => return true,
            _ => one(pattern, name),
        };
        match (fits, star) {
            (Some((rest, after)), _) => (pattern, name) = (rest, after),
            (None, Some((rest, [_, after @ ..]))) => {
                star = Some((rest, after));
                (pattern, name) = (rest, after);
            }
            (None, _) => return false,
        }
    }
}

/// What is left of pattern and name when one character of it fits.
fn one<'p, 'n>(pattern: &'p [u8], name: &'n [u8]) -> Option<(&'p [u8], &'n [u8])> {
    let (first, after) = name.split_first()?;
    match pattern {
        [b'?', rest @ ..] => Some((rest, after)),
        [b'[', class @ ..] => {
            let end = class.iter().skip(1).position(|b| *b == b']')? + 1;
            let (inside, rest) = class.split_at_checked(end)?;
            let (negated, inside) = match inside {
                [b'^', inside @ ..] => (true, inside),
                inside => (false, inside),
            };
            let mut within = false;
            let mut left = inside;
            while let [low, others @ ..] = left {
                left = others;
                let high = match left {
                    [b'-', high, others @ ..] => {
                        left = others;
                        high
                    }
                    _ => low,
                };
                within |= (low..=high).contains(&first);
            }
            (within != negated).then_some((rest.get(1..)?, after))
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            (literal == first).then_some((rest, after))
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_its_pattern() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c", "abcd", false),
            ("?", "", false),
            ("a?", "ab", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[ab", "a", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*.d", "x.d.d", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
