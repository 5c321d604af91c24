//! Our own logs: what is logged, in which form, and changing both while running.
//!
//! Lines go to stderr and nowhere else; keeping them is the service manager's work. When stderr is
//! the journal (`$JOURNAL_STREAM` names it), each line begins with its priority, `<N>`, and has no
//! time, which the journal adds itself (systemd.exec(5), sd-daemon(3)). A stderr that is closed or
//! broken loses lines and nothing else.

mod level;
mod line;

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer, Registry, reload};

pub use level::{Level, WrongLevel};
use line::Lines;

/// What is logged and how.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Least level that is logged: off, error, warn, info, debug or trace. It can be followed by
    /// exceptions for parts of the program, as in `info,nodeward::peer=debug`. Libraries log
    /// warnings and errors only, unless named. Default: info.
    pub level: Level,
    /// Form of the lines: text or json. Default: text.
    pub format: Format,
}

/// Form of the log lines.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `time=... level=info msg="..." key=value`, one line each (logfmt).
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes the logs of a running process.
#[derive(Debug, Clone)]
pub struct Control {
    filter: reload::Handle<EventsOnly, Registry>,
    lines: Arc<line::Switch>,
}

impl Control {
    /// Makes `options` hold from here on, for all threads.
    pub fn apply(&self, options: &Options) {
        self.lines.set(options.format);
        // It fails only when the subscriber is gone, and the logs with it.
        self.filter.reload(EventsOnly(options.level.targets())).ok();
    }
}

/// The layer that writes lines, and its control.
pub(super) fn layer<W>(
    options: &Options,
    writer: W,
    journal: bool,
) -> (impl Layer<Registry> + Send + Sync + 'static, Control)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(EventsOnly(options.level.targets()));
    let lines = Arc::new(line::Switch::new(options.format));
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines {
            switch: Arc::clone(&lines),
            journal,
        })
        .with_writer(writer)
        .with_ansi(false)
        // Otherwise a failed write is reported by eprintln!, which panics on a broken stderr.
        .log_internal_errors(false)
        .with_filter(filter);
    (
        layer,
        Control {
            filter: handle,
            lines,
        },
    )
}

/// Lets events through by level and target. Lines tell nothing of spans, so that a span costs
/// nothing where nobody else wants it.
#[derive(Debug)]
struct EventsOnly(Targets);

impl EventsOnly {
    fn lets(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.0.would_enable(metadata.target(), metadata.level())
    }
}

impl<S> Filter<S> for EventsOnly {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.lets(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

/// Whether stderr is the journal's stream, as `$JOURNAL_STREAM` tells.
#[must_use]
pub fn stderr_is_journal() -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| names(named.as_bytes(), stat.st_dev, stat.st_ino))
}

/// Whether `DEVICE:INODE` in decimal is this device and inode.
fn names(stream: &[u8], device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}").as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::capture::Captured;
    use tracing::{debug, error, info, warn};

    fn options(level: &str, format: Format) -> Options {
        Options {
            level: level.parse().unwrap(),
            format,
        }
    }

    #[test]
    fn text_is_one_readable_line_of_keys_and_values() {
        let captured = Captured::default();
        captured.logs(&options("info", Format::Text), false, |_| {
            info!(
                address = "127.0.0.1:9100",
                subjects = 6_u64,
                "serving metrics"
            );
        });
        let text = captured.text();
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.starts_with("time=2") && time.ends_with('Z'), "{time}");
        assert_eq!(
            rest,
            "level=info msg=\"serving metrics\" in=telemetry::logs::tests \
             address=127.0.0.1:9100 subjects=6\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line_with_typed_values() {
        let captured = Captured::default();
        captured.logs(&options("info", Format::Json), false, |_| {
            warn!(
                count = 3_u64,
                delta = -1_i64,
                share = 0.5,
                odd = f64::NAN,
                yes = true,
                "a \"b\""
            );
        });
        let line: serde_json::Value = serde_json::from_str(&captured.text()).unwrap();
        assert_eq!(line["level"], "warn");
        assert_eq!(line["msg"], "a \"b\"");
        assert_eq!(line["target"], "nodeward::telemetry::logs::tests");
        assert_eq!((&line["count"], &line["delta"]), (&3.into(), &(-1).into()));
        assert_eq!((&line["share"], &line["yes"]), (&0.5.into(), &true.into()));
        assert_eq!(line["odd"], "NaN");
    }

    #[test]
    fn a_line_for_the_journal_has_a_priority_and_no_time() {
        let captured = Captured::default();
        captured.logs(&options("debug", Format::Text), true, |_| {
            error!("e");
            warn!("w");
            info!("i");
            debug!("d");
        });
        let text = captured.text();
        let starts: Vec<_> = text
            .lines()
            .map(|line| line.split(" in=").next().unwrap())
            .collect();
        assert_eq!(
            starts,
            [
                "<3>level=error msg=e",
                "<4>level=warn msg=w",
                "<6>level=info msg=i",
                "<7>level=debug msg=d"
            ]
        );
    }

    #[test]
    fn hostile_text_stays_inside_its_line_and_its_value() {
        for format in [Format::Text, Format::Json] {
            let captured = Captured::default();
            captured.logs(&options("info", format), false, |_| {
                let hostile = "x\nlevel=error msg=\"forged\"\u{1b}[31m\u{2028}\u{202e}";
                info!(label = hostile, "saw {hostile}");
            });
            let text = captured.text();
            assert_eq!(text.lines().count(), 1, "{text}");
            for bad in ['\u{1b}', '\u{2028}', '\u{202e}'] {
                assert!(!text.contains(bad), "{text:?}");
            }
            assert!(!text.contains("x\nlevel"));
        }
    }

    #[test]
    fn an_absurdly_long_value_is_cut() {
        let captured = Captured::default();
        captured.logs(&options("info", Format::Text), false, |_| {
            info!(label = "\u{e9}".repeat(100_000), "long");
        });
        assert!(captured.text().len() < 10_000);
        assert!(captured.text().contains('\u{2026}'));
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("reading the page")]
        struct Outer(#[source] std::io::Error);
        let captured = Captured::default();
        captured.logs(&options("info", Format::Text), false, |_| {
            let outer = Outer(std::io::Error::other("no luck"));
            error!(error = &outer as &dyn std::error::Error, "scrape failed");
        });
        assert!(
            captured
                .text()
                .contains("error=\"reading the page: no luck\"")
        );
    }

    #[test]
    fn level_and_format_change_while_running() {
        let captured = Captured::default();
        captured.logs(&options("warn", Format::Text), false, |telemetry| {
            info!("before");
            telemetry.logs.apply(&options("info", Format::Json));
            info!("after");
        });
        let text = captured.text();
        assert!(!text.contains("before"));
        assert!(
            text.starts_with('{') && text.contains("\"after\""),
            "{text}"
        );
    }

    #[test]
    fn libraries_log_warnings_only_unless_they_are_named() {
        let captured = Captured::default();
        captured.logs(&options("debug,chatty=debug", Format::Text), false, |_| {
            debug!(target: "hyper::proto", "quiet");
            warn!(target: "hyper::proto", "loud");
            debug!(target: "chatty", "named");
            debug!(target: "nodeward::app", "ours");
        });
        let text = captured.text();
        let told = ["quiet", "loud", "named", "ours"].map(|word| text.contains(word));
        assert_eq!(told, [false, true, true, true], "{text}");
    }

    #[test]
    fn a_broken_stderr_loses_lines_and_nothing_else() {
        struct Broken;
        impl std::io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
        let options = options("info", Format::Text);
        let _alone = crate::telemetry::capture::alone();
        let (subscriber, _control) = crate::telemetry::subscriber(&options, || Broken, false);
        tracing::subscriber::with_default(subscriber, || info!("into the void"));
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        assert!(names(b"9:35183", 9, 35183));
        for other in [
            &b"9:3518"[..],
            b"9:351830",
            b"09:35183",
            b"9",
            b"",
            b"\xff:1",
        ] {
            assert!(!names(other, 9, 35183));
        }
    }

    #[test]
    fn options_are_read_from_the_config_and_wrong_ones_name_the_right_words() {
        let read = |text: &str| serde_json::from_str::<Options>(text);
        assert_eq!(read("{}").unwrap(), options("info", Format::Text));
        let given = read(r#"{"level": "warn,nodeward::peer=trace", "format": "json"}"#).unwrap();
        assert_eq!(given, options("warn,nodeward::peer=trace", Format::Json));
        let error = read(r#"{"level": "inof"}"#).unwrap_err().to_string();
        assert!(error.contains("inof") && error.contains("info"), "{error}");
    }
}
