//! What is let through of one property: a pattern to include or one to exclude, as node_exporter's pairs of flags mean it.

use super::Invalid;
use crate::model::pattern::Pattern;

/// What is let through.
#[derive(Debug)]
pub(super) struct Filter {
    include: Option<Pattern>,
    exclude: Option<Pattern>,
}

impl Filter {
    /// A filter of two options of a subject, `NAME_include` and `NAME_exclude`, of which one may be set. An empty pattern is
    /// none. Without either, what `default` matches is excluded.
    pub(super) fn new(
        subject: &'static str,
        name: &str,
        include: Option<&Pattern>,
        exclude: Option<&Pattern>,
        default: Option<&str>,
    ) -> Result<Self, Invalid> {
        let given = |p: Option<&Pattern>| p.filter(|p| !p.as_str().is_empty()).cloned();
        let include = given(include);
        let exclude = match (exclude, &include, default) {
            (None, None, Some(default)) => Some(Pattern::new(default).map_err(|e| Invalid {
                subject,
                why: e.to_string(),
            })?),
            (exclude, ..) => given(exclude),
        };
        if include.is_some() && exclude.is_some() {
            return Err(Invalid {
                subject,
                why: format!("{name}_include and {name}_exclude cannot both be set; remove one"),
            });
        }
        Ok(Self { include, exclude })
    }

    pub(super) fn passes(&self, text: &str) -> bool {
        self.exclude.as_ref().is_none_or(|p| !p.matches(text))
            && self.include.as_ref().is_none_or(|p| p.matches(text))
    }
}

/// The pattern of a flag.
pub(super) fn pattern(text: &str) -> Result<Option<Pattern>, String> {
    Pattern::new(text).map(Some).map_err(|e| e.to_string())
}
