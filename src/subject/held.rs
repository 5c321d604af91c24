//! The erased layer between typed subjects and the sampler: the trait [`Subject`] is not
//! object-safe, so each subject is run, faced and held through these.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Absent, Answer, Args, Asker, Item, ItemError, Lane, Machine, Past, Ring, Said};
use super::{Invalid, Subject, Want};
use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::Out;
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::Pass;

/// What to read of some subject.
pub(super) trait AnyWant: Send + Sync {
    fn merge(&mut self, other: &dyn AnyWant);
    fn covers(&self, other: &dyn AnyWant) -> bool;
    fn as_any(&self) -> &dyn Any;
    fn boxed(&self) -> Box<dyn AnyWant>;
}

impl<W: Want> AnyWant for W {
    fn merge(&mut self, other: &dyn AnyWant) {
        if let Some(other) = other.as_any().downcast_ref() {
            Want::merge(self, other);
        }
    }
    fn covers(&self, other: &dyn AnyWant) -> bool {
        other
            .as_any()
            .downcast_ref()
            .is_some_and(|other| Want::covers(self, other))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn boxed(&self) -> Box<dyn AnyWant> {
        Box::new(self.clone())
    }
}

/// A reading of some subject, told in any dialect.
pub trait Held: Send + Sync {
    /// Writes the reading to a page.
    fn prometheus(&self, out: &mut Out);
    /// Writes the reading to a batch; `before` is what the same asker held last time.
    fn otlp(&self, before: Option<&dyn Held>, metrics: &mut Metrics<'_>);
    /// Answers the key with index `item` from this reading alone.
    fn say(&self, item: usize, args: &Args<'_>) -> Said;
    /// The numbers a key that tells over time needs of this reading.
    fn pick(&self, item: usize, args: &Args<'_>) -> Option<Box<[u64]>>;
    /// What could not be read.
    fn errors(&self) -> &[ItemError];
    /// Whether the success series may say 1.
    fn complete(&self) -> bool;
    /// How many items a cap left out.
    fn left_out(&self) -> u64;
    /// The typed reading, for a subject's own use.
    fn as_any(&self) -> &dyn Any;
}

struct Reading<S: Subject> {
    options: Arc<S::Options>,
    reading: S::Reading,
    errors: Vec<ItemError>,
    complete: bool,
}

impl<S: Subject> Held for Reading<S> {
    fn prometheus(&self, out: &mut Out) {
        S::prometheus(&self.options, &self.reading, &mut out.page());
    }

    fn otlp(&self, before: Option<&dyn Held>, metrics: &mut Metrics<'_>) {
        let before = before.and_then(|b| b.as_any().downcast_ref());
        let past = Past {
            now: &self.reading,
            before,
        };
        S::otlp(&self.options, past, &mut metrics.batch());
    }

    fn say(&self, item: usize, args: &Args<'_>) -> Said {
        match S::KEYS.get(item).map(|i| &i.answer) {
            Some(Answer::Now(say) | Answer::Either { now: say, .. }) => {
                say(&self.options, &self.reading, args)
            }
            Some(Answer::Over { .. }) | None => Err(Unsupported::UNSUPPORTED_KEY),
        }
    }

    fn pick(&self, item: usize, args: &Args<'_>) -> Option<Box<[u64]>> {
        match S::KEYS.get(item).map(|i| &i.answer) {
            Some(Answer::Over { pick, .. } | Answer::Either { pick, .. }) => {
                pick(&self.reading, args)
            }
            Some(Answer::Now(_)) | None => None,
        }
    }

    fn errors(&self) -> &[ItemError] {
        &self.errors
    }

    fn complete(&self) -> bool {
        self.complete
    }

    fn left_out(&self) -> u64 {
        S::left_out(&self.reading)
    }

    fn as_any(&self) -> &dyn Any {
        &self.reading
    }
}

/// A subject's reader, which lives on its lane's thread.
pub(super) trait Run: Send {
    fn read(&mut self, pass: &mut Pass<'_>, want: &dyn AnyWant) -> Result<Arc<dyn Held>, Absent>;
}

struct Runner<S: Subject> {
    subject: S,
    options: Arc<S::Options>,
}

impl<S: Subject> Run for Runner<S> {
    fn read(&mut self, pass: &mut Pass<'_>, want: &dyn AnyWant) -> Result<Arc<dyn Held>, Absent> {
        let Some(want) = want.as_any().downcast_ref::<S::Want>() else {
            return Err(Absent::Failed("asked for what another subject has".into()));
        };
        let taken = self.subject.read(pass, want)?;
        Ok(Arc::new(Reading::<S> {
            options: Arc::clone(&self.options),
            reading: taken.reading,
            errors: taken.errors,
            complete: taken.complete,
        }))
    }
}

/// How a key is answered, without its subject's type.
pub(super) enum Way {
    Now,
    Over {
        keep: std::time::Duration,
        series: String,
    },
}

/// What the asking side knows of a subject.
pub(super) trait Face: Send + Sync {
    fn name(&self) -> &'static str;
    fn lane(&self) -> Lane;
    fn options(&self) -> &dyn Any;
    /// Whether `other` is of the same subject with the same options.
    fn is_same(&self, other: &dyn Face) -> bool;
    fn want(&self, asker: Asker) -> Box<dyn AnyWant>;
    /// The names of its Zabbix keys, each at its number.
    fn items(&self) -> Box<dyn Iterator<Item = &'static str>>;
    /// Those of them whose numbers are kept from the start.
    fn collected(&self) -> &'static [&'static str];
    fn parameters(&self, item: usize) -> &'static [&'static str];
    fn ask(&self, item: usize, args: &Args<'_>) -> Result<(Box<dyn AnyWant>, Way), Unsupported>;
    fn say_over(&self, item: usize, ring: &Ring, args: &Args<'_>) -> Said;
}

struct Facing<S: Subject> {
    options: Arc<S::Options>,
    subject: PhantomData<fn() -> S>,
}

impl<S: Subject> Facing<S> {
    fn get(item: usize) -> Result<&'static Item<S>, Unsupported> {
        S::KEYS.get(item).ok_or(Unsupported::UNSUPPORTED_KEY)
    }
}

impl<S: Subject> Face for Facing<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn lane(&self) -> Lane {
        S::LANE
    }

    fn options(&self) -> &dyn Any {
        &*self.options
    }

    fn is_same(&self, other: &dyn Face) -> bool {
        S::NAME == other.name() && other.options().downcast_ref() == Some(&*self.options)
    }

    fn want(&self, asker: Asker) -> Box<dyn AnyWant> {
        Box::new(S::want(&self.options, asker))
    }

    fn items(&self) -> Box<dyn Iterator<Item = &'static str>> {
        Box::new(S::KEYS.iter().map(|item| item.name))
    }

    fn collected(&self) -> &'static [&'static str] {
        S::COLLECTED
    }

    fn parameters(&self, item: usize) -> &'static [&'static str] {
        S::KEYS.get(item).map_or(&[], |item| item.parameters)
    }

    fn ask(&self, item: usize, args: &Args<'_>) -> Result<(Box<dyn AnyWant>, Way), Unsupported> {
        let item = Self::get(item)?;
        let want = (item.want)(&self.options, args)?;
        let way = match &item.answer {
            Answer::Now(_) => Way::Now,
            Answer::Either { at_hand, .. } if at_hand(args) => Way::Now,
            Answer::Over { keep, series, .. } | Answer::Either { keep, series, .. } => Way::Over {
                keep: *keep,
                series: format!("{} {}", item.name, series(args)),
            },
        };
        Ok((Box::new(want), way))
    }

    fn say_over(&self, item: usize, ring: &Ring, args: &Args<'_>) -> Said {
        match &Self::get(item)?.answer {
            Answer::Over { say, .. } | Answer::Either { say, .. } => say(ring, args),
            Answer::Now(_) => Err(Unsupported::UNSUPPORTED_KEY),
        }
    }
}

/// A subject split into the half that reads and the half that is asked.
pub(super) struct Built {
    pub(super) run: Box<dyn Run>,
    pub(super) face: Box<dyn Face>,
    /// Whether pages tell it.
    pub(super) on_pages: bool,
    /// Whether batches tell it.
    pub(super) in_batches: bool,
}

type Halves = (Box<dyn Run>, Box<dyn Face>);

pub(super) fn build<S: Subject>(
    options: &S::Options,
    machine: &Machine,
) -> Result<Halves, Invalid> {
    let subject = S::new(options, machine)?;
    let options = Arc::new(options.clone());
    let face = Facing::<S> {
        options: Arc::clone(&options),
        subject: PhantomData,
    };
    Ok((Box::new(Runner { subject, options }), Box::new(face)))
}
