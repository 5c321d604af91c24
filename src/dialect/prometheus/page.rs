//! The page being written: families of typed owners go in, text or OpenMetrics comes out.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;

use foldhash::fast::RandomState;

use super::picked::{Picked, Sample};
use super::text::Text;
use super::{Descriptor, Family, Rule, Series, openmetrics::OpenMetrics};
use crate::dialect::Number;

/// The formats a page can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The Content-Type of the page.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
        }
    }
}

/// A page of any owner: what [`Page`] writes through.
pub struct Out {
    form: Form,
    opened: HashSet<u64, RandomState>,
    seen: HashSet<u64, RandomState>,
    hash: RandomState,
    duplicates: u64,
    samples: u64,
}

pub(super) enum Form {
    Text(Text),
    OpenMetrics(OpenMetrics),
    Picked(Picked),
}

impl Form {
    fn new(format: Format, size: usize) -> Self {
        match format {
            Format::Text => Self::Text(Text::with_capacity(size)),
            Format::OpenMetrics => Self::OpenMetrics(OpenMetrics::default()),
        }
    }
}

impl Out {
    /// An empty page; `size` bytes are set aside for it.
    #[must_use]
    pub fn new(format: Format, size: usize) -> Self {
        Self::of(Form::new(format, size))
    }

    /// No page, but the samples of the families of these names: for whoever compares values; see [`Out::picked`].
    #[must_use]
    pub fn picking(names: Vec<String>) -> Self {
        Self::of(Form::Picked(Picked::new(names)))
    }

    fn of(form: Form) -> Self {
        Self {
            form,
            opened: HashSet::default(),
            seen: HashSet::default(),
            hash: RandomState::default(),
            duplicates: 0,
            samples: 0,
        }
    }

    /// Begins another page in the same memory.
    pub fn restart(&mut self, format: Format) {
        match (&mut self.form, format) {
            (Form::Text(text), Format::Text) => text.clear(),
            (form, format) => *form = Form::new(format, 0),
        }
        self.opened.clear();
        self.seen.clear();
        self.duplicates = 0;
        self.samples = 0;
    }

    /// Forgets the page, and gives memory back where more than `most` bytes are held.
    pub fn shrink(&mut self, most: usize) {
        if let Form::Text(text) = &mut self.form {
            text.shrink(most);
        }
        self.seen.clear();
        self.seen.shrink_to(most / size_of::<u64>());
    }

    /// Begins a family; false if there was one of its name.
    pub(super) fn open(&mut self, family: Descriptor<'_>) -> bool {
        let fresh = self.opened.insert(self.hash.hash_one(family.name));
        self.seen.clear();
        match &mut self.form {
            Form::Text(text) => text.open(family),
            Form::OpenMetrics(open) => open.open(family),
            Form::Picked(picked) => picked.open(family),
        }
        fresh
    }

    /// Notes what makes a series of the open family; false if it was noted before.
    pub(super) fn see(&mut self, parts: &[&str]) -> bool {
        let mut hasher = self.hash.build_hasher();
        for part in parts {
            hasher.write(part.as_bytes());
            hasher.write_u8(0xff);
        }
        self.seen.insert(hasher.finish())
    }

    /// Where a series of `lines` samples is written, or nowhere if it is refused, which is counted.
    pub(super) fn admit(&mut self, is: bool, lines: u64) -> Option<&mut Form> {
        if !is {
            self.duplicates += 1;
            return None;
        }
        self.samples += lines;
        Some(&mut self.form)
    }

    /// The page as the owner `S` sees it.
    pub fn page<S>(&mut self) -> Page<'_, S> {
        Page {
            out: self,
            owner: PhantomData,
        }
    }

    /// Series and families refused because they were there already.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Samples written.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The page, which is finished with this: [`Out::restart`] comes next.
    pub fn bytes(&mut self) -> Cow<'_, [u8]> {
        match &mut self.form {
            Form::Text(text) => Cow::Borrowed(text.bytes()),
            Form::OpenMetrics(open) => Cow::Owned(std::mem::take(open).finish()),
            Form::Picked(_) => Cow::Borrowed(&[]),
        }
    }

    /// The finished page.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.form {
            Form::Text(text) => text.finish(),
            Form::OpenMetrics(open) => open.finish(),
            Form::Picked(_) => Vec::new(),
        }
    }

    /// The samples picked, one list a name in the order given; none if a page was written.
    #[must_use]
    pub fn picked(self) -> Vec<Vec<Sample>> {
        match self.form {
            Form::Picked(picked) => picked.finish(),
            Form::Text(_) | Form::OpenMetrics(_) => Vec::new(),
        }
    }
}

/// The page as one owner sees it: it takes only that owner's families.
pub struct Page<'a, S> {
    pub(super) out: &'a mut Out,
    owner: PhantomData<fn() -> S>,
}

impl<S> Page<'_, S> {
    /// Opens a family; its header is written with its first sample. All its samples go in now:
    /// a family opened a second time is refused and counted.
    pub fn family<const N: usize>(&mut self, family: &'static Family<S, N>) -> Samples<'_, N> {
        self.open(family.descriptor(), *family.labels())
    }

    /// Opens a family whose name is made by a rule, as [`Page::family`]. One that the rule does not make is refused.
    pub fn made<const N: usize>(
        &mut self,
        rule: &'static Rule<S, N>,
        name: &str,
    ) -> Samples<'_, N> {
        let declared = rule.family().descriptor();
        let mut samples = self.open(Descriptor { name, ..declared }, *rule.family().labels());
        samples.refused |= !rule.makes(name);
        samples
    }

    fn open<const N: usize>(
        &mut self,
        family: Descriptor<'_>,
        labels: [&'static str; N],
    ) -> Samples<'_, N> {
        Samples {
            refused: !self.out.open(family),
            labels,
            out: self.out,
            count: 0,
        }
    }

    /// Writes a family of one sample without labels.
    pub fn value(&mut self, family: &'static Family<S, 0>, value: impl Into<Number>) {
        self.family(family).push([], value);
    }
}

/// The samples of one open family.
pub struct Samples<'a, const N: usize> {
    out: &'a mut Out,
    labels: [&'static str; N],
    refused: bool,
    count: u64,
}

impl<const N: usize> Samples<'_, N> {
    /// Writes one sample; a series that is there already is refused and counted.
    pub fn push(&mut self, labels: [&str; N], value: impl Into<Number>) {
        let names = self.labels;
        match self.admit(&labels, 1) {
            None => {}
            Some(Form::Text(text)) => text.sample((&names, &labels), value.into()),
            Some(Form::OpenMetrics(open)) => open.sample(&labels, value.into()),
            Some(Form::Picked(picked)) => picked.sample(&labels, value.into()),
        }
    }

    /// Writes one sample with those of the labels that have a value; as [`Samples::push`].
    pub fn push_known(&mut self, labels: [Option<&str>; N], value: impl Into<Number>) {
        let all = self.labels.into_iter().zip(labels);
        let (names, values): (Vec<&str>, Vec<&str>) =
            all.filter_map(|(name, value)| Some((name, value?))).unzip();
        let value = value.into();
        let shown = labels.map(Option::unwrap_or_default);
        match self.admit(&shown, 1) {
            None => {}
            Some(Form::Text(text)) => text.sample((&names, &values), value),
            Some(Form::OpenMetrics(open)) => {
                open.foreign(&names, &values, Series::Number(value.as_f64()));
            }
            Some(Form::Picked(picked)) => picked.sample(&shown, value),
        }
    }

    /// The names of its labels.
    pub(super) const fn labels(&self) -> [&'static str; N] {
        self.labels
    }

    /// Where something with these labels, `lines` samples, may be written; none, which is counted, if it was already.
    pub(super) fn admit(&mut self, labels: &[&str; N], lines: u64) -> Option<&mut Form> {
        let duplicate = if N == 0 {
            self.count > 0
        } else {
            !self.out.see(labels)
        };
        self.count += 1;
        self.out.admit(!duplicate && !self.refused, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Owner;
    crate::families! { Owner:
        PLAIN gauge "plain" [] "A plain one";
        LABELLED counter "labelled_total" ["a", "b"] "With \\ and\nnewline";
    }

    fn page(format: Format) -> (String, u64) {
        let mut out = Out::new(format, 0);
        let mut page = out.page::<Owner>();
        page.value(&PLAIN, 1.5);
        let mut samples = page.family(&LABELLED);
        samples.push(["x", "q\"\\\n"], 3u64);
        samples.push(["x", "y"], u64::MAX);
        samples.push(["x", "y"], 4u64);
        page.value(&PLAIN, 2.0);
        assert_eq!(FAMILIES.len(), 2);
        let duplicates = out.duplicates();
        (String::from_utf8(out.finish()).unwrap(), duplicates)
    }

    #[test]
    fn text_has_headers_escapes_and_no_series_twice() {
        let (text, duplicates) = page(Format::Text);
        assert_eq!(
            text,
            "# HELP plain A plain one\n# TYPE plain gauge\nplain 1.5\n\
             # HELP labelled_total With \\\\ and\\nnewline\n# TYPE labelled_total counter\n\
             labelled_total{a=\"x\",b=\"q\\\"\\\\\\n\"} 3\n\
             labelled_total{a=\"x\",b=\"y\"} 18446744073709551615\n"
        );
        assert_eq!(duplicates, 2);
    }

    #[test]
    fn samples_are_picked_by_the_name_of_their_family() {
        let mut out = Out::picking(vec!["labelled_total".into(), "none".into()]);
        let mut page = out.page::<Owner>();
        page.value(&PLAIN, 1.5);
        let mut samples = page.family(&LABELLED);
        samples.push(["x", "y"], 3u64);
        samples.push(["x", "y"], 4u64);
        samples.push(["x", "z"], 5u64);
        let picked = out.picked();
        let values: Vec<_> = picked[0].iter().map(|s| s.value).collect();
        assert_eq!(values, [3.0, 5.0]);
        let labels = vec![("a", "x".to_owned()), ("b", "y".to_owned())];
        assert_eq!(picked[0][0].labels, labels);
        assert!(picked[1].is_empty());
    }

    #[test]
    fn openmetrics_names_counters_once_and_ends() {
        let (text, _) = page(Format::OpenMetrics);
        assert!(text.contains("# TYPE labelled counter\n"), "{text}");
        assert!(text.contains("labelled_total{a=\"x\",b=\"y\"} "), "{text}");
        assert!(!text.contains("_total_total"), "{text}");
        assert!(text.contains("plain 1.5\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(!text.contains("and\nnewline"), "{text}");
    }
}
