//! Declared families: the only names a page can say.

use std::marker::PhantomData;

/// The type of a family, as in `# TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Values counted in buckets.
    Histogram,
    /// Values told by their quantiles; `unknown` in OpenMetrics.
    Summary,
    /// Of unknown type: `untyped` in text 0.0.4, `unknown` in OpenMetrics.
    Untyped,
}

impl Kind {
    /// The word text 0.0.4 uses.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// A family of the subject or component `S` with `N` labels.
pub struct Family<S, const N: usize> {
    name: &'static str,
    kind: Kind,
    labels: [&'static str; N],
    help: &'static str,
    owner: PhantomData<fn() -> S>,
}

impl<S, const N: usize> Family<S, N> {
    /// Declares a family. `name` is the full name on the page, suffix included; `help` is one line, without a full stop.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            help,
            owner: PhantomData,
        }
    }

    /// Its name on the page.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn labels(&self) -> &[&'static str; N] {
        &self.labels
    }

    pub(super) fn descriptor(&self) -> Descriptor<'_> {
        Descriptor {
            name: self.name,
            kind: self.kind,
            labels: &self.labels,
            help: self.help,
        }
    }
}

/// What a family is, whoever owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// Full name on the page.
    pub name: &'a str,
    /// Its type.
    pub kind: Kind,
    /// Its label names, in the order they are written.
    pub labels: &'a [&'static str],
    /// Its help text.
    pub help: &'a str,
}

/// A declared family of any owner and any number of labels: what docs and lists are made from.
pub trait Declared: Sync {
    /// What it is.
    fn descriptor(&self) -> Descriptor<'_>;
    /// Whether a family of this name on a page is it.
    fn tells(&self, name: &str) -> bool {
        self.descriptor().name == name
    }
}

impl<S, const N: usize> Declared for Family<S, N> {
    fn descriptor(&self) -> Descriptor<'_> {
        Family::descriptor(self)
    }
}

/// Families of the owner `S` with `N` labels whose names come from the machine: its sensors, the fields of a file.
pub struct Rule<S, const N: usize>(Family<S, N>);

impl<S, const N: usize> Rule<S, N> {
    /// Declares them; see [`Family::new`]. The name has one `*`, for what comes from the machine.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Self {
        Self(Family::new(name, kind, labels, help))
    }

    pub(super) const fn family(&self) -> &Family<S, N> {
        &self.0
    }

    /// Whether `name` is one the rule makes.
    #[must_use]
    pub fn makes(&self, name: &str) -> bool {
        self.0.name.split_once('*').is_some_and(|(start, end)| {
            name.strip_prefix(start)
                .is_some_and(|rest| rest.ends_with(end))
                && is_name(name)
        })
    }
}

impl<S, const N: usize> Declared for Rule<S, N> {
    fn descriptor(&self) -> Descriptor<'_> {
        self.0.descriptor()
    }
    fn tells(&self, name: &str) -> bool {
        self.makes(name)
    }
}

/// Whether text may be the name of a family, as Prometheus has had it from the start.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':';
    text.bytes().next().is_some_and(word) && text.bytes().all(|b| word(b) || b.is_ascii_digit())
}

/// The families of a table as a list, for [`joined`].
#[must_use]
#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
pub const fn listed<S: 'static, const L: usize, const N: usize>(
    table: &'static [Family<S, L>; N],
) -> [&'static dyn Declared; N] {
    let mut list: [&'static dyn Declared; N] = [&table[0]; N];
    let mut at = 1;
    while at < N {
        list[at] = &table[at];
        at += 1;
    }
    list
}

/// Lists of families as one; `N` is the sum of their lengths, which is checked when it is compiled.
#[must_use]
#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
pub const fn joined<const N: usize>(
    lists: &[&[&'static dyn Declared]],
) -> [&'static dyn Declared; N] {
    let mut all: [&'static dyn Declared; N] = [lists[0][0]; N];
    let (mut list, mut count) = (0, 0);
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            all[count] = lists[list][at];
            at += 1;
            count += 1;
        }
        list += 1;
    }
    assert!(count == N, "N is the sum of the lengths");
    all
}

/// Declares families of one owner as constants, and the list of them all.
///
/// ```
/// use nodeward::families;
/// struct Uptime;
/// families! { Uptime:
///     SECONDS gauge "nodeward_uptime_seconds" [] "Seconds since boot";
///     BOOTS counter "nodeward_boots_total" ["kind"] "Boots seen";
///     TOOK histogram(BOUNDS) "nodeward_boot_duration_seconds" [] "How long a boot took";
/// }
/// const BOUNDS: [f64; 3] = [1.0, 10.0, 60.0];
/// assert_eq!(FAMILIES.len(), 3);
/// ```
#[macro_export]
macro_rules! families {
    ($owner:ty: $($name:ident $kind:ident $(($bounds:path))? $text:literal [$($label:literal),*] $help:literal;)*) => {
        $($crate::families! { @one $owner, $name $kind $(($bounds))? $text [$($label),*] $help })*
        /// Every family declared here.
        pub static FAMILIES: &[&dyn $crate::dialect::prometheus::Declared] = &[$(&$name),*];
    };
    (@one $owner:ty, $name:ident histogram ($bounds:path) $text:literal [$($label:literal),*] $help:literal) => {
        static $name: $crate::dialect::prometheus::Histogram<
            $owner,
            { <[&str]>::len(&[$($label),*]) },
            { <[f64]>::len(&$bounds) },
        > = $crate::dialect::prometheus::Histogram::new($text, &$bounds, [$($label),*], $help);
    };
    (@one $owner:ty, $name:ident $kind:ident $text:literal [$($label:literal),*] $help:literal) => {
        static $name: $crate::dialect::prometheus::Family<$owner, { <[&str]>::len(&[$($label),*]) }> =
            $crate::dialect::prometheus::Family::new($text, $crate::families!(@$kind), [$($label),*], $help);
    };
    (@counter) => { $crate::dialect::prometheus::Kind::Counter };
    (@gauge) => { $crate::dialect::prometheus::Kind::Gauge };
    (@untyped) => { $crate::dialect::prometheus::Kind::Untyped };
}
