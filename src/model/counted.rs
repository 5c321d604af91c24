//! Numbers of things, in words.

use std::fmt::Display;

/// A number and what it counts, in the plural where it is not one: `1 attempt`, `2 attempts`.
#[must_use]
pub fn counted(number: impl Display, one: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {one}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let all = [0, 1, 2, 11].map(|number| counted(number, "attempt"));
        assert_eq!(
            all,
            ["0 attempts", "1 attempt", "2 attempts", "11 attempts"]
        );
    }
}
