//! A made-up machine for the tests of a room: a few files, and what a subject tells of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::dialect::Number;
use crate::dialect::otlp::{Cumulative, Metrics};
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::{Files, Host, Pass, Roots};
use crate::subject::{Answer, Asker, Machine, Past, Said, Subject, Taken};

/// A machine of files below `proc`, `sys` and `udev`, and of links.
pub(in crate::subject) struct Captured {
    dir: tempfile::TempDir,
    machine: Machine,
}

impl Captured {
    /// Files by their paths; a text that begins with `->` is a link to what follows.
    pub(in crate::subject) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let below = |name| dir.path().join(name);
        let roots = Roots {
            procfs: below("proc"),
            sysfs: below("sys"),
            rootfs: dir.path().to_owned(),
            udev_data: below("udev"),
        };
        let machine = Machine {
            host: Arc::new(Host::new(roots)),
            runtime: None,
        };
        let captured = Self { dir, machine };
        files
            .iter()
            .for_each(|(name, text)| captured.put(name, text));
        captured
    }

    pub(in crate::subject) fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("->") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => std::fs::write(path, text).unwrap(),
        }
    }

    pub(in crate::subject) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// The options that flags of a subject make, `collector.` left out.
    pub(in crate::subject) fn options<S: Subject>(flags: &[(&str, &str)]) -> S::Options {
        let mut options = S::Options::default();
        for (name, value) in flags {
            let name = format!("collector.{name}");
            let flag = S::FLAGS.iter().find(|f| f.descriptor.name == name);
            (flag.unwrap().set)(&mut options, value).unwrap();
        }
        options
    }

    fn read<S: Subject>(&self, options: &S::Options, want: &S::Want) -> Taken<S::Reading> {
        let mut subject = S::new(options, &self.machine).unwrap();
        self.pass(|pass| subject.read(pass, want).unwrap())
    }

    /// One pass over it.
    pub(in crate::subject) fn pass<T>(&self, read: impl FnOnce(&mut Pass<'_>) -> T) -> T {
        let mut files = Files::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        read(&mut Pass::new(&self.machine.host, &mut files, deadline))
    }

    pub(in crate::subject) fn taken<S: Subject>(
        &self,
        flags: &[(&str, &str)],
    ) -> Taken<S::Reading> {
        let options = Self::options::<S>(flags);
        self.read::<S>(&options, &S::want(&options, Asker::Prometheus))
    }

    /// The page of a subject, without its comments; and what could not be read.
    pub(in crate::subject) fn page<S: Subject>(
        &self,
        flags: &[(&str, &str)],
    ) -> (String, Vec<String>) {
        let taken = self.taken::<S>(flags);
        let mut out = Out::new(Format::Text, 0);
        S::prometheus(&Self::options::<S>(flags), &taken.reading, &mut out.page());
        assert_eq!(out.duplicates(), 0);
        let text = String::from_utf8(out.finish()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let told = lines.map(|line| format!("{line}\n")).collect();
        let errors = taken.errors.into_iter();
        (
            told,
            errors
                .map(|e| format!("{} {}: {}", e.kind, e.item, e.why))
                .collect(),
        )
    }

    /// The points of a subject's first batch, by metric and values of attributes.
    pub(in crate::subject) fn batch<S: Subject>(
        &self,
        options: &S::Options,
    ) -> BTreeMap<String, f64> {
        let taken = self.read::<S>(options, &S::want(options, Asker::Otlp));
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 1, 2);
        let past = Past {
            now: &taken.reading,
            before: None,
        };
        S::otlp(options, past, &mut metrics.batch());
        points(metrics.metrics())
    }

    /// What a key is answered with that needs no past.
    pub(in crate::subject) fn say<S: Subject>(&self, key: &str) -> Said {
        self.says::<S>(&S::Options::default(), key)
    }

    /// As [`Self::say`], with options.
    pub(in crate::subject) fn says<S: Subject>(&self, options: &S::Options, key: &str) -> Said {
        let key = Key::parse(key).unwrap();
        let item = S::KEYS.iter().find(|i| i.name == key.name()).unwrap();
        let want = (item.want)(options, &key)?;
        let taken = self.read::<S>(options, &want);
        match item.answer {
            Answer::Now(say) | Answer::Either { now: say, .. } => {
                say(options, &taken.reading, &key)
            }
            Answer::Over { .. } => unreachable!(),
        }
    }

    /// The same as text, error or not.
    pub(in crate::subject) fn text<S: Subject>(&self, key: &str) -> String {
        match self.say::<S>(key) {
            Ok(value) => value.to_string(),
            Err(why) => why.to_string(),
        }
    }
}

/// Points by metric and values of attributes, with a blank between.
pub(in crate::subject) fn points(metrics: &[Metric]) -> BTreeMap<String, f64> {
    let of = |metric: &Metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.clone(),
        Some(Data::Sum(sum)) => sum.data_points.clone(),
        other => panic!("{other:?}"),
    };
    let mut points = BTreeMap::new();
    for metric in metrics {
        for point in of(metric) {
            let value = match point.value.unwrap() {
                Value::AsInt(value) => Number::Signed(value).as_f64(),
                Value::AsDouble(value) => value,
            };
            let texts = point.attributes.iter().map(|pair| {
                match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
                    any_value::Value::StringValue(text) => format!(" {text}"),
                    other => panic!("{other:?}"),
                }
            });
            let name = texts.fold(metric.name.clone(), |name, text| name + &text);
            assert_eq!(points.insert(name, value), None);
        }
    }
    points
}
