//! Which keys may be asked at all: an ordered list, the first rule that fits decides, and what none fits may be asked.
//!
//! Owns the rules of `zabbix.rules`, which the `AllowKey` and `DenyKey` lines of an agent's file become. They are at least as strict
//! as those: a rule is held against a key that has been taken apart, and a parameter that is a path against every spelling of it,
//! with `..` and links resolved. A deny fits when any spelling does and whatever parameters come behind, so that neither a comma more
//! nor a way around leads past it; an allow fits only when every spelling does and no parameter is over. Whoever answers may take any
//! text for a path below the root: so does a deny, while an allow means the text. Where a link within sysfs leads, an allow need not say.

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

    /// The paths of which it decides where they lead: of those parameters that a rule says more about than a star.
    pub fn paths(&self, key: &Key<'_>) -> Vec<String> {
        let named = self.0.iter().filter(|one| fits(&one.name, key.name()));
        let named: Vec<&Vec<String>> = named.filter_map(|one| one.params.as_ref()).collect();
        let told = |at: usize| {
            let mut patterns = named.iter().filter_map(|params| params.get(at));
            patterns.any(|pattern| pattern != "*")
        };
        let last = named.iter().map(|params| params.len()).max().unwrap_or(0);
        let asked = key.params().take(last).enumerate();
        asked
            .filter(|(at, _)| told(*at))
            .flat_map(|(_, param)| paths(param))
            .collect()
    }

    /// Whether a key may be asked; `real` tells the path that another leads to, if it leads anywhere.
    pub fn allow(&self, key: &Key<'_>, real: &dyn Fn(&str) -> Option<String>) -> bool {
        let params = self.0.iter().filter_map(|one| one.params.as_ref());
        let last = params.map(Vec::len).max().unwrap_or(0);
        let spellings = key.params().take(last);
        let spellings: Vec<Spellings<'_>> =
            spellings.map(|param| Spellings::new(param, real)).collect();
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

    fn fits(&self, key: &Key<'_>, spellings: &[Spellings<'_>]) -> bool {
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
            let all = |(pattern, spelled): (&String, &Spellings<'_>)| {
                spelled.sure.iter().all(|one| fits(pattern, one))
            };
            return enough && params.iter().zip(spellings).all(all);
        }
        let mut given = spellings.iter();
        params.iter().all(|pattern| match given.next() {
            Some(spelled) => {
                let mut all = spelled.sure.iter().chain(&spelled.maybe);
                all.any(|one| fits(pattern, one))
            }
            None => fits(pattern, ""),
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

/// How else a parameter could be written.
struct Spellings<'a> {
    /// As it is, and if it is a path, without `..` and where it leads.
    sure: Vec<Cow<'a, str>>,
    /// What it is if whoever answers takes it for a path, and paths from the root without their slash.
    maybe: Vec<Cow<'a, str>>,
}

impl<'a> Spellings<'a> {
    fn new(param: &'a str, real: &dyn Fn(&str) -> Option<String>) -> Self {
        let paths = paths(param);
        let led: Vec<String> = paths.iter().filter_map(|path| real(path)).collect();
        let bare = |path: &String| path.trim_start_matches('/').to_owned();
        let mut maybe: Vec<_> = paths.iter().chain(&led).map(bare).map(Cow::Owned).collect();
        let mut sure = vec![Cow::Borrowed(param)];
        // Links to devices there are the kernel's: whoever allows /sys/class/net/*/speed means what they lead to.
        let kernels = matches!(&paths[..], [path] if path.starts_with("/sys/"))
            && led.iter().all(|path| path.starts_with("/sys/devices/"));
        if param.starts_with('/') {
            sure.extend(paths.into_iter().map(Cow::Owned));
            let led = led.into_iter().map(Cow::Owned);
            match kernels {
                true => maybe.extend(led),
                false => sure.extend(led),
            }
        } else {
            if param.split('/').any(|part| part == "..") {
                sure.extend(maybe.clone());
            }
            maybe.extend(paths.into_iter().chain(led).map(Cow::Owned));
        }
        Self { sure, maybe }
    }
}

/// A text as a path from the root: as written, and by its text without `..`; none of no text.
fn paths(param: &str) -> Vec<String> {
    if param.is_empty() {
        return Vec::new();
    }
    let written = match param.starts_with('/') {
        true => param.to_owned(),
        false => format!("/{param}"),
    };
    let plain = plain(&written);
    match plain == written {
        true => vec![plain],
        false => vec![written, plain],
    }
}

/// A path from the root without doubled slashes, `.` and `..`, by its text alone.
pub fn plain(path: &str) -> String {
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
mod tests;
