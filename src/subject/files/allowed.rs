//! Which paths may be asked for: patterns of absolute paths, without `..`.

use crate::dialect::zabbix::rules::fits;

/// More patterns are refused.
const MOST: usize = 1000;

/// The patterns, taken apart at their slashes.
#[derive(Debug, Default)]
pub(super) struct Allowed(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    names: Vec<String>,
    /// Whether all that lies below is meant.
    below: bool,
}

impl Allowed {
    /// Takes patterns apart.
    ///
    /// # Errors
    /// The first that is none.
    pub(super) fn new(patterns: &[String]) -> Result<Self, String> {
        if patterns.len() > MOST {
            return Err(format!(
                "there are {} patterns; at most {MOST} are allowed",
                patterns.len()
            ));
        }
        let one = |text: &String| {
            let (path, below) = match text.strip_suffix("/**") {
                Some(path) => (path, true),
                None => (text.as_str(), false),
            };
            let names: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
            let bad = |name: &String| {
                name.is_empty() || name == "." || name == ".." || name.contains("**")
            };
            let root = below && path.is_empty();
            match !root && (!text.starts_with('/') || names.iter().any(bad)) {
                true => Err(format!(
                    "{text:?} is no absolute path such as /var/log/*.log or /srv/data/**"
                )),
                false => Ok(Pattern { names, below }),
            }
        };
        patterns.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path without `..` and doubled slashes is meant.
    pub(super) fn has(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        self.0.iter().any(|pattern| {
            let enough = match pattern.below {
                true => names.len() > pattern.names.len(),
                false => names.len() == pattern.names.len(),
            };
            enough && pattern.names.iter().zip(&names).all(|(p, n)| fits(p, n))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::zabbix::rules::plain;

    #[test]
    fn a_star_is_part_of_one_name_and_two_are_all_below() {
        let allowed = |pattern: &str, path: &str| {
            let allowed = Allowed::new(&[pattern.to_owned()]).unwrap();
            allowed.has(&plain(path))
        };
        for (pattern, path, is) in [
            ("/etc/passwd", "/etc/passwd", true),
            ("/etc/passwd", "//etc/./passwd/", true),
            ("/etc/passwd", "/etc/passwd/../shadow", false),
            ("/etc/passwd", "/tmp/../etc/passwd", true),
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "/var/log/a/b.log", false),
            ("/var/log/*", "/var/log", false),
            ("/srv/**", "/srv/a/b", true),
            ("/srv/**", "/srv", false),
            ("/srv/**", "/srv/../etc/shadow", false),
            ("/**", "/etc/shadow", true),
        ] {
            assert_eq!(allowed(pattern, path), is, "{pattern} {path}");
        }
        for bad in ["", "etc", "/", "/a//b", "/a/../b", "/a/**/b", "/a/"] {
            assert!(Allowed::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
