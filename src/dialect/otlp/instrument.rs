//! Declared instruments: the only metric names a batch can say.

use std::marker::PhantomData;

/// What kind of stream an instrument makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstrumentKind {
    /// A monotonic cumulative sum.
    Counter,
    /// A cumulative sum that goes up and down.
    UpDown,
    /// A gauge.
    Gauge,
    /// A cumulative histogram with explicit bounds.
    Histogram,
}

/// How the values of an instrument are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `as_int`.
    Int,
    /// `as_double`.
    Double,
}

/// An instrument of the subject or component `S` with `N` attributes.
pub struct Instrument<S, const N: usize> {
    descriptor: InstrumentDescriptor,
    attributes: [&'static str; N],
    owner: PhantomData<fn() -> S>,
}

/// What an instrument is, whoever owns it, but for its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstrumentDescriptor {
    /// Metric name.
    pub name: &'static str,
    /// Kind of stream.
    pub kind: InstrumentKind,
    /// Encoding of the values.
    pub form: Form,
    /// UCUM unit.
    pub unit: &'static str,
    /// One line.
    pub description: &'static str,
    /// Whether it is told only where the config names it.
    pub optional: bool,
    /// Those of its attributes whose values are whole numbers, and not texts.
    pub numbered: &'static [&'static str],
}

impl<S, const N: usize> Instrument<S, N> {
    /// Declares an instrument.
    #[must_use]
    pub const fn new(descriptor: InstrumentDescriptor, attributes: [&'static str; N]) -> Self {
        Self {
            descriptor,
            attributes,
            owner: PhantomData,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.descriptor.name
    }

    pub(super) const fn attributes(&self) -> &[&'static str; N] {
        &self.attributes
    }

    pub(super) const fn descriptor(&self) -> &InstrumentDescriptor {
        &self.descriptor
    }
}

/// A declared instrument of any owner: what docs and lists are made from.
pub trait Named: Sync {
    /// What it is.
    fn descriptor(&self) -> InstrumentDescriptor;
    /// Its attribute keys.
    fn attributes(&self) -> &[&'static str];
}

impl<S, const N: usize> Named for Instrument<S, N> {
    fn descriptor(&self) -> InstrumentDescriptor {
        self.descriptor
    }
    fn attributes(&self) -> &[&'static str] {
        &self.attributes
    }
}

/// Declares instruments of one owner as constants, and the list of them all.
///
/// ```
/// use nodeward::instruments;
/// struct Cpu;
/// instruments! { Cpu:
///     TIME counter double "system.cpu.time" "s" ["state"] "Seconds each state took";
///     CALLS counter int "cpu.calls" "{call}" ["version" int, "name"] "Calls by version, a number";
///     CORES updown int optional "system.cpu.physical.count" "{cpu}" [] "Cores there are";
///     SPELL histogram(BOUNDS) double "cpu.spell" "s" [] "How long it ran at a time";
/// }
/// const BOUNDS: [f64; 2] = [0.001, 0.01];
/// assert_eq!(INSTRUMENTS.len(), 4);
/// ```
#[macro_export]
macro_rules! instruments {
    ($owner:ty: $($name:ident $kind:ident $(($bounds:path))? $form:ident $($optional:ident)? $text:literal $unit:literal [$($attribute:literal $($whole:ident)?),*] $help:literal;)*) => {
        $($crate::instruments! { @one $owner, $name
            {
                $crate::dialect::otlp::InstrumentDescriptor {
                    name: $text,
                    kind: $crate::instruments!(@$kind),
                    form: $crate::instruments!(@$form),
                    unit: $unit,
                    description: $help,
                    optional: $crate::instruments!(@when $($optional)?),
                    numbered: &[$($($crate::instruments!(@numbered $whole $attribute),)?)*],
                }
            }
            $(($bounds))? [$($attribute),*]
        })*
        /// Every instrument declared here.
        pub static INSTRUMENTS: &[&dyn $crate::dialect::otlp::Named] = &[$(&$name),*];
    };
    (@one $owner:ty, $name:ident $descriptor:block ($bounds:path) [$($attribute:literal),*]) => {
        static $name: $crate::dialect::otlp::Histogram<
            $owner,
            { <[&str]>::len(&[$($attribute),*]) },
            { <[f64]>::len(&$bounds) },
        > = $crate::dialect::otlp::Histogram::new($descriptor, &$bounds, [$($attribute),*]);
    };
    (@one $owner:ty, $name:ident $descriptor:block [$($attribute:literal),*]) => {
        static $name: $crate::dialect::otlp::Instrument<$owner, { <[&str]>::len(&[$($attribute),*]) }> =
            $crate::dialect::otlp::Instrument::new($descriptor, [$($attribute),*]);
    };
    (@numbered int $attribute:literal) => { $attribute };
    (@when) => { false };
    (@when optional) => { true };
    (@histogram) => { $crate::dialect::otlp::InstrumentKind::Histogram };
    (@counter) => { $crate::dialect::otlp::InstrumentKind::Counter };
    (@updown) => { $crate::dialect::otlp::InstrumentKind::UpDown };
    (@gauge) => { $crate::dialect::otlp::InstrumentKind::Gauge };
    (@int) => { $crate::dialect::otlp::Form::Int };
    (@double) => { $crate::dialect::otlp::Form::Double };
}
