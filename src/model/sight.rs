//! How something looks from here.

/// What a probe says of what it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It is well.
    Well,
    /// It is not.
    Ill,
    /// Nothing was seen that would tell: neither a reason to act nor a proof of anything.
    Blind,
}

impl Sight {
    /// Of several things that must all be well.
    #[must_use]
    pub fn all(sights: impl IntoIterator<Item = Self>) -> Self {
        sights
            .into_iter()
            .fold(Self::Well, |all, one| match (all, one) {
                (Self::Ill, _) | (_, Self::Ill) => Self::Ill,
                (Self::Blind, _) | (_, Self::Blind) => Self::Blind,
                (Self::Well, Self::Well) => Self::Well,
            })
    }
}

/// Of what was seen.
impl From<bool> for Sight {
    fn from(well: bool) -> Self {
        if well { Self::Well } else { Self::Ill }
    }
}
