//! A piece of text that is fixed, or the value of one of the alert's labels.

use serde::{Deserialize, Serialize};

use super::Site;
use crate::model::alert::Labels;

/// Longest value of a label that may be used, in bytes.
const LONGEST: usize = 256;

/// A whole argument or field: a text, or `{from: LABEL}` for the value of that label of the alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Word {
    /// This text.
    Fixed(String),
    /// The value of a label.
    Label(Label),
}

/// A label whose value is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its name; the playbook's `match` must list it too.
    pub from: String,
}

impl Word {
    /// The text it stands for.
    ///
    /// # Errors
    /// When the alert lacks the label, or its value is empty, longer than 256 bytes, begins with a dash, or holds a control
    /// character: then it could be an option or another argument to some program.
    pub fn resolve<'a>(&'a self, labels: &'a Labels) -> Result<&'a str, String> {
        let name = match self {
            Self::Fixed(text) => return Ok(text),
            Self::Label(label) => &label.from,
        };
        let value = labels
            .get(name)
            .ok_or_else(|| format!("the alert has no label {name:?}"))?;
        let why = match value.as_str() {
            "" => "is empty",
            value if value.len() > LONGEST => "is longer than 256 bytes",
            value if value.starts_with('-') => "begins with a dash",
            value if value.chars().any(char::is_control) => "holds a control character",
            _ => return Ok(value),
        };
        Err(format!(
            "the value of label {name:?} {why}, so it is not passed on"
        ))
    }

    /// What is wrong with it at `site`, called `what` there.
    pub(super) fn check(&self, what: &str, site: &Site<'_>) -> Option<String> {
        match self {
            Self::Fixed(text) => text
                .contains('\0')
                .then(|| format!("{what} holds a zero byte")),
            Self::Label(Label { from }) => (!site.labels.contains(&from.as_str())).then(|| {
                format!(
                    "{what} uses the label {from:?}, which must also stand in the playbook's match"
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(label: &str) -> Word {
        Word::Label(Label { from: label.into() })
    }

    #[test]
    fn takes_plain_values_and_refuses_what_could_be_more_than_one_word() {
        let labels = |value: &str| Labels::from([("name".to_owned(), value.to_owned())]);
        let good = labels("web 1; rm -rf $(x)");
        assert_eq!(from("name").resolve(&good), Ok("web 1; rm -rf $(x)"));
        assert_eq!(Word::Fixed("-x".into()).resolve(&good), Ok("-x"));
        for bad in ["", "-x", "a\nb", "a\0", "\u{85}", &"x".repeat(257)] {
            assert!(from("name").resolve(&labels(bad)).is_err(), "{bad:?}");
        }
        let said = from("other").resolve(&good).unwrap_err();
        assert_eq!(said, "the alert has no label \"other\"");
    }

    #[test]
    fn a_label_must_stand_in_the_match() {
        let site = Site {
            target: "node",
            labels: &["name"],
        };
        assert_eq!(from("name").check("argv[1]", &site), None);
        let said = from("other").check("argv[1]", &site).unwrap();
        assert!(said.contains("match"), "{said}");
    }

    #[test]
    fn is_written_as_a_text_or_a_map() {
        let words: Vec<Word> = serde_json::from_str(r#"["a", {"from": "b"}]"#).unwrap();
        assert_eq!(words, [Word::Fixed("a".into()), from("b")]);
        assert!(serde_json::from_str::<Word>(r#"{"from": "b", "x": 1}"#).is_err());
    }
}
