//! The parameters of a query.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Parameters, each of which is known and stands once.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let known = match known {
                    [] => "this path takes none".to_owned(),
                    known => format!("there is {}", known.join(", ")),
                };
                return Err(format!("there is no parameter {name:?}; {known}"));
            }
            if all.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(format!("the parameter {name} stands twice"));
            }
        }
        Ok(Self(all))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number; `default` where nothing is said.
    pub(super) fn number(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, String> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| match *range.end() {
            i64::MAX => format!("{name} is a whole number from {} on", range.start()),
            end => format!("{name} is a whole number from {} to {end}", range.start()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_twice_or_out_of_range_is_said() {
        let parse = |text| Query::parse(Some(text), &["after", "limit"]);
        let query = parse("after=7").unwrap();
        assert_eq!(query.number("after", 0, 0..=i64::MAX), Ok(7));
        assert_eq!(query.number("limit", 100, 1..=1000), Ok(100));
        for (text, word) in [
            ("aftr=7", "aftr"),
            ("after=7&after=8", "twice"),
            ("x", "after, limit"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.contains(word), "{text}: {wrong}");
        }
        for text in [
            "after=",
            "after=-1",
            "after=1e3",
            "after=99999999999999999999",
        ] {
            let query = parse(text).unwrap();
            assert!(query.number("after", 0, 0..=i64::MAX).is_err(), "{text}");
        }
        assert!(Query::parse(Some("a=b"), &[]).unwrap_err().contains("none"));
    }
}
