//! Which keys may be asked at all: an ordered list, the first rule that fits decides, and what none fits may be asked.
//!
//! Owns the rules of `zabbix.rules`, which the `AllowKey` and `DenyKey` lines of an agent's file become. They are at least as strict
//! as those: a rule is held against a key that has been taken apart, and a parameter that is a path against every spelling of it,
//! with `..` and links resolved. A deny fits when any spelling does and whatever parameters come behind, so that neither a comma more
//! nor a way around leads past it; an allow fits only when every spelling does and no parameter is over.

use std::borrow::Cow;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key::Key;

/// More rules are refused.
const MOST: usize = 1000;
/// A pattern that is longer is refused.
const LONGEST: usize = 4096;

/// One rule: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Keys that may be asked, such as `vfs.file.contents[/var/log/*]`; `*` stands for any text, as a last parameter for any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<String>,
    /// Keys that may not be asked, such as `vfs.file.*[*]`; a name without brackets is meant with whatever parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<String>,
}

/// Why a text is no pattern of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARule {
    /// Neither of both, or both.
    #[error("a rule is either allow or deny")]
    Both,
    /// The pattern is none.
    #[error(
        "{0:?} is no pattern of keys: write NAME, NAME[PARAMETER,...] or *, with * for any text"
    )]
    Pattern(String),
    /// Too many of them.
    #[error("there are {0} rules; at most {MOST} are allowed")]
    Many(usize),
}

/// The rules, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules(Vec<One>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct One {
    allows: bool,
    name: String,
    params: Option<Vec<String>>,
}

impl Rules {
    /// Takes them apart.
    ///
    /// # Errors
    /// The first that is none.
    pub fn new(rules: &[Rule]) -> Result<Self, NotARule> {
        if rules.len() > MOST {
            return Err(NotARule::Many(rules.len()));
        }
        let one = |rule: &Rule| match (&rule.allow, &rule.deny) {
            (Some(pattern), None) => One::new(true, pattern),
            (None, Some(pattern)) => One::new(false, pattern),
            _ => Err(NotARule::Both),
        };
        rules.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a key has parameters whose real paths decide.
    pub fn asks_paths(&self, key: &Key<'_>) -> bool {
        let named = |one: &One| one.params.is_some() && fits(&one.name, key.name());
        key.params().any(|param| param.starts_with('/')) && self.0.iter().any(named)
    }

    /// Whether a key may be asked; `real` tells the path that another leads to, if it leads anywhere.
    pub fn allow(&self, key: &Key<'_>, real: &dyn Fn(&str) -> Option<String>) -> bool {
        let spellings: Vec<Vec<Cow<'_, str>>> =
            key.params().map(|param| spellings(param, real)).collect();
        let decides = self.0.iter().find(|one| one.fits(key, &spellings));
        decides.is_none_or(|one| one.allows)
    }
}

impl One {
    fn new(allows: bool, pattern: &str) -> Result<Self, NotARule> {
        let wrong = || NotARule::Pattern(pattern.chars().take(120).collect());
        let (name, params) = match pattern.split_once('[') {
            None => (pattern, None),
            Some((name, _)) => {
                let rest = pattern.get(name.len()..).unwrap_or_default();
                // The grammar of parameters is that of keys.
                let key = format!("k{rest}");
                let key = Key::parse(&key).map_err(|_| wrong())?;
                (name, Some(key.params().map(str::to_owned).collect()))
            }
        };
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-*".contains(&byte);
        if name.is_empty() || pattern.len() > LONGEST || !name.bytes().all(good) {
            return Err(wrong());
        }
        Ok(Self {
            allows,
            name: name.to_owned(),
            params,
        })
    }

    fn fits(&self, key: &Key<'_>, spellings: &[Vec<Cow<'_, str>>]) -> bool {
        if !fits(&self.name, key.name()) {
            return false;
        }
        // A star alone is every key, as it is for the agent.
        let Some(params) = self.params.as_ref() else {
            return !self.allows || self.name == "*" || key.count() == 0;
        };
        let open = params.last().is_some_and(|last| last == "*");
        if self.allows {
            let enough = match open {
                true => key.count() >= params.len(),
                false => key.count() == params.len(),
            };
            let all = |(pattern, spelled): (&String, &Vec<Cow<'_, str>>)| {
                spelled.iter().all(|one| fits(pattern, one))
            };
            return enough && params.iter().zip(spellings).all(all);
        }
        let none = vec![Cow::Borrowed("")];
        let mut given = spellings.iter().chain(std::iter::repeat(&none));
        params.iter().all(|pattern| {
            let spelled = given.next().unwrap_or(&none);
            spelled.iter().any(|one| fits(pattern, one))
        })
    }
}

/// Whether a text is what a pattern says, in which `*` is any text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if text.get(t) == Some(byte) => {
                p += 1;
                t += 1;
            }
            // The last star takes one letter more.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

/// A parameter as it is, and if it is a path, without `..` and where it leads.
fn spellings<'a>(param: &'a str, real: &dyn Fn(&str) -> Option<String>) -> Vec<Cow<'a, str>> {
    let mut all = vec![Cow::Borrowed(param)];
    if param.starts_with('/') {
        let plain = plain(param);
        all.push(Cow::Owned(plain));
        all.extend(real(param).map(Cow::Owned));
    }
    all
}

/// A path without doubled slashes, `.` and `..`, by its text alone.
fn plain(path: &str) -> String {
    let mut plain = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            // Above the root is the root.
            Component::ParentDir => drop(plain.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain.to_string_lossy().into_owned()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.allow, &self.deny) {
            (Some(pattern), _) => write!(f, "allow {pattern}"),
            (None, pattern) => write!(f, "deny {}", pattern.as_deref().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(texts: &[&str]) -> Rules {
        let rule = |text: &&str| {
            let (kind, pattern) = text.split_once(' ').unwrap();
            let pattern = Some(pattern.to_owned());
            match kind {
                "allow" => Rule {
                    allow: pattern,
                    deny: None,
                },
                _ => Rule {
                    allow: None,
                    deny: pattern,
                },
            }
        };
        Rules::new(&texts.iter().map(rule).collect::<Vec<_>>()).unwrap()
    }

    /// A machine on which /tmp/link leads to /etc/shadow, and what lies below /tmp/dir to below /etc.
    fn real(path: &str) -> Option<String> {
        let path = plain(path);
        match path.as_str() {
            "/tmp/link" => Some("/etc/shadow".to_owned()),
            _ => Some(path.replace("/tmp/dir", "/etc")),
        }
    }

    fn asks(rules: &Rules, key: &str) -> bool {
        rules.allow(&Key::parse(key).unwrap(), &real)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = rules(&[
            "allow vfs.file.size[/var/log/*]",
            "deny vfs.file.*[*]",
            "allow *",
        ]);
        for (key, may) in [
            ("vfs.file.size[/var/log/syslog]", true),
            ("vfs.file.size[\"/var/log/syslog\"]", true),
            ("vfs.file.size[/var/log/../../etc/passwd]", false),
            ("vfs.file.size[/var/log/syslog,lines]", false),
            ("vfs.file.contents[/var/log/syslog]", false),
            ("vfs.file.contents", false),
            ("agent.ping", true),
        ] {
            assert_eq!(asks(&rules, key), may, "{key}");
        }
        assert!(asks(&Rules::default(), "anything[at,all]"));
    }

    /// Each of these is answered by an agent with the same lines: a comma more, a way around, a link.
    #[test]
    fn what_leads_past_a_deny_of_the_agent_leads_past_none_of_ours() {
        let rules = rules(&[
            "deny vfs.file.contents[/etc/*]",
            "deny vm.memory.size",
            "deny net.tcp.port[,22]",
        ]);
        for key in [
            "vfs.file.contents[/etc/debian_version]",
            "vfs.file.contents[/etc/debian_version,]",
            "vfs.file.contents[/etc/debian_version,utf8,,]",
            "vfs.file.contents[/tmp/../etc/debian_version]",
            "vfs.file.contents[//etc//debian_version]",
            "vfs.file.contents[/./etc/debian_version]",
            "vfs.file.contents[ \"/etc/debian_version\"]",
            "vfs.file.contents[[/etc/debian_version]]",
            "vfs.file.contents[/../etc/shadow]",
            "vfs.file.contents[/tmp/link]",
            "vfs.file.contents[/tmp/dir/shadow]",
            "vm.memory.size[total]",
            "net.tcp.port[,22]",
            "net.tcp.port[,22,]",
        ] {
            assert!(!asks(&rules, key), "{key}");
        }
        assert!(asks(&rules, "vfs.file.contents[/var/log/syslog]"));
        assert!(asks(&rules, "net.tcp.port[,2222]"));
    }

    #[test]
    fn an_allow_reaches_no_further_than_the_agents() {
        let rules = rules(&[
            "allow vfs.file.size[/tmp/*]",
            "allow system.cpu.load",
            "allow system.sw.os[*]",
            "deny *",
        ]);
        for (key, may) in [
            ("vfs.file.size[/tmp/a]", true),
            ("vfs.file.size[/tmp/link]", false),
            ("vfs.file.size[/tmp/../etc/shadow]", false),
            ("system.cpu.load", true),
            ("system.cpu.load[all]", false),
            ("system.sw.os[name]", true),
            ("system.sw.os[name,x]", true),
            ("system.sw.os", false),
            ("agent.ping", false),
        ] {
            assert_eq!(asks(&rules, key), may, "{key}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for pattern in ["", "a b", "a[", "a[b", "a[b]c", "[*]", "a;b"] {
            let rule = Rule {
                allow: None,
                deny: Some(pattern.to_owned()),
            };
            assert_eq!(
                Rules::new(&[rule]),
                Err(NotARule::Pattern(pattern.to_owned()))
            );
        }
        assert_eq!(Rules::new(&[Rule::default()]), Err(NotARule::Both));
        assert!(matches!(
            Rules::new(&vec![Rule::default(); 1001]),
            Err(NotARule::Many(1001))
        ));
    }

    proptest! {
        #[test]
        fn a_deny_without_parameters_and_one_with_a_star_leave_nothing(key in "[a-z.]{1,8}(\\[[a-z/.,\"]{0,12}\\])?") {
            if let Ok(parsed) = Key::parse(&key) {
                for pattern in [parsed.name().to_owned(), format!("{}[*]", parsed.name()), "*".to_owned()] {
                    let rules = rules(&[&format!("deny {pattern}")]);
                    prop_assert!(!rules.allow(&parsed, &real), "{} {}", pattern, key);
                }
            }
        }

        #[test]
        fn stars_stand_for_any_text(a in "[ab]{0,6}", b in "[ab]{0,6}", c in "[ab]{0,6}") {
            let (text, ends, middle) = (format!("{a}{b}{c}"), format!("{a}*{c}"), format!("*{b}*"));
            prop_assert!(fits(&ends, &text) && fits(&middle, &text));
            prop_assert_eq!(fits(&a, &b), a == b);
        }
    }
}
