//! What nodeward must be allowed, and the polkit rule that allows just that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::model::target::Target;
use crate::peer::systemd::Verb;

/// Something an action needs and a plain user lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// To have systemd do this with a unit: a polkit rule, or root.
    Unit {
        /// What.
        verb: Verb,
        /// With which.
        unit: String,
    },
    /// To use the container engine's socket, which is as good as root.
    Engine,
    /// To delete files below a directory.
    Delete(PathBuf),
    /// To be root.
    Root(&'static str),
}

/// Why no rule is made for a user or a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NeedsName(String);

/// A polkit rule that lets `user` do exactly `allowed` with systemd's units, and nothing else that polkit's action
/// `org.freedesktop.systemd1.manage-units` covers. For `/etc/polkit-1/rules.d/50-nodeward.rules` (polkit(8)).
///
/// A rule that looks at the verb alone is as good as root: a transient unit may run anything.
///
/// # Errors
/// When the user's name or a unit's is none, or nothing is allowed.
pub fn polkit(user: &str, allowed: &[(Verb, String)]) -> Result<String, NeedsName> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@$".contains(&b);
    if user.is_empty() || user.starts_with('-') || !user.bytes().all(plain) {
        return Err(NeedsName(format!("{user:?} is no name of a user")));
    }
    let mut units: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (verb, unit) in allowed {
        Target::new("unit", unit).map_err(|e| NeedsName(e.to_string()))?;
        units.entry(unit).or_default().insert(verb.as_str());
    }
    if units.is_empty() {
        return Err(NeedsName(
            "no unit to allow anything for: no playbook acts on one".to_owned(),
        ));
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let lines: Vec<String> = units
        .iter()
        .map(|(unit, verbs)| {
            let verbs: Vec<String> = verbs.iter().map(|verb| quoted(verb)).collect();
            format!("        {}: [{}]", quoted(unit), verbs.join(", "))
        })
        .collect();
    Ok(format!(
        "// Made by nodeward generate polkit. What is not listed is refused to this user, even if another rule would allow it.\n\
         polkit.addRule(function (action, subject) {{\n    \
             if (action.id != \"org.freedesktop.systemd1.manage-units\" || subject.user != {user}) {{\n        \
                 return polkit.Result.NOT_HANDLED;\n    \
             }}\n    \
             var allowed = {{\n{units}\n    }};\n    \
             var unit = action.lookup(\"unit\");\n    \
             var verb = action.lookup(\"verb\");\n    \
             if (Object.prototype.hasOwnProperty.call(allowed, unit) && allowed[unit].indexOf(verb) >= 0) {{\n        \
                 return polkit.Result.YES;\n    \
             }}\n    \
             return polkit.Result.NO;\n\
         }});\n",
        user = quoted(user),
        units = lines.join(",\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_each_unit_once_with_all_its_verbs() {
        let allowed = [
            (Verb::Restart, "web.service".to_owned()),
            (Verb::ResetFailed, "web.service".to_owned()),
            (Verb::Restart, "web.service".to_owned()),
            (Verb::Start, "odd\\x20name.service".to_owned()),
        ];
        let rule = polkit("nodeward", &allowed).unwrap();
        assert!(rule.contains("subject.user != \"nodeward\""), "{rule}");
        assert!(
            rule.contains("\"web.service\": [\"reset-failed\", \"restart\"]"),
            "{rule}"
        );
        assert!(
            rule.contains("\"odd\\\\x20name.service\": [\"start\"]"),
            "{rule}"
        );
        assert!(
            rule.ends_with("    return polkit.Result.NO;\n});\n"),
            "{rule}"
        );
    }

    #[test]
    fn refuses_names_that_could_be_code_and_an_empty_list() {
        let one = [(Verb::Start, "a.service".to_owned())];
        for user in ["", "a\"b", "-x", "a b", "a\nb"] {
            assert!(polkit(user, &one).is_err(), "{user:?}");
        }
        let bad = [(Verb::Start, "a\"]; evil()//.service".to_owned())];
        assert!(polkit("nodeward", &bad).is_err());
        assert!(polkit("nodeward", &[]).is_err());
    }
}
