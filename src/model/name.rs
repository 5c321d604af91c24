//! Names that people give to what stands in the config.

/// The longest, in bytes.
pub const LONGEST: usize = 64;

/// Whether a name has 1 to [`LONGEST`] letters, digits, dots, dashes and underscores (ASCII).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(LONGEST);
        for good in ["a", "web-1.example_2", &longest] {
            assert!(is_name(good), "{good}");
        }
        let longer = "x".repeat(LONGEST + 1);
        for bad in ["", "a b", "a/b", "é", &longer] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
