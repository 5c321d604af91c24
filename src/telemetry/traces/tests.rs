//! Spans from the macro to the carrier, decoded there by the messages of opentelemetry-proto.

use std::sync::Mutex;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tracing::{info, info_span};
use tracing_subscriber::Registry;

use super::*;
use crate::telemetry::capture::Captured;
use crate::telemetry::{Telemetry, logs};

const LONG: Duration = Duration::from_secs(60);

/// Keeps what it is given, or refuses all.
#[derive(Debug, Default)]
struct Kept {
    bodies: Mutex<Vec<Bytes>>,
    refuses: bool,
}

impl Carry for Kept {
    fn carry(&self, body: Bytes) -> Carried<'_> {
        Box::pin(async move {
            // A carrier that wrongly makes a span of its own.
            let _span = info_span!(target: TARGET, "carry").entered();
            if self.refuses {
                return Err("the queue is full".to_owned());
            }
            self.bodies.lock().unwrap().push(body);
            Ok(())
        })
    }
}

impl Kept {
    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies.lock().unwrap();
        bodies
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap())
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self
            .requests()
            .into_iter()
            .flat_map(|request| request.resource_spans);
        resources
            .flat_map(|r| r.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

fn traced(within: impl AsyncFnOnce(&Telemetry, &Handle)) -> String {
    let captured = Captured::default();
    captured.logs(&logs::Options::default(), false, |telemetry| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        runtime.block_on(within(telemetry, &handle));
    });
    captured.text()
}

fn resource() -> Vec<(String, String)> {
    vec![("service.name".to_owned(), "nodeward".to_owned())]
}

fn settled(telemetry: &Telemetry, carry: &Arc<Kept>, handle: &Handle) {
    let carry: Arc<dyn Carry> = Arc::<Kept>::clone(carry);
    telemetry
        .traces
        .turn_on(carry, &resource(), handle)
        .unwrap();
}

#[test]
fn marked_spans_are_carried_with_parents_attributes_and_resource_and_nothing_else() {
    let kept = Arc::new(Kept::default());
    traced(async |telemetry, handle| {
        settled(telemetry, &kept, handle);
        let reload =
            info_span!(target: TARGET, "config.reload", files = 2, unset = tracing::field::Empty);
        reload.in_scope(|| {
            info!("an event stays an event");
            info_span!("not marked").in_scope(|| {
                info_span!(target: "nodeward::trace::export", "otlp.export").in_scope(|| ());
            });
            info_span!(target: "nodeward::tracery", "no prefix").in_scope(|| ());
        });
        drop(reload);
        tokio::time::sleep(LONG).await;
    });
    let spans = kept.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["otlp.export", "config.reload"]);
    let (export, reload) = (&spans[0], &spans[1]);
    assert_eq!(
        (&export.parent_span_id, &export.trace_id),
        (&reload.span_id, &reload.trace_id)
    );
    assert!(reload.parent_span_id.is_empty() && reload.end_time_unix_nano > 0);
    let keys: Vec<_> = reload
        .attributes
        .iter()
        .map(|pair| pair.key.as_str())
        .collect();
    assert_eq!(keys, ["files"]);
    assert!(export.attributes.is_empty() && reload.events.is_empty());
    let requests = kept.requests();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(resource.attributes.len(), 1);
    assert_eq!(resource.attributes[0].key, "service.name");
}

#[test]
fn carrying_traces_makes_no_traces() {
    let kept = Arc::new(Kept::default());
    traced(async |telemetry, handle| {
        settled(telemetry, &kept, handle);
        drop(info_span!(target: TARGET, "once").entered());
        tokio::time::sleep(LONG).await;
    });
    assert_eq!(kept.spans().len(), 1);
}

#[test]
fn off_means_that_no_span_is_made() {
    traced(async |telemetry, handle| {
        let filter = Marked(Arc::clone(&telemetry.traces.on));
        // What the layer says to tracing beforehand: never means that the macro makes no span.
        let interest = |metadata| Filter::<Registry>::callsite_enabled(&filter, metadata);
        let kept = Arc::new(Kept::default());
        settled(telemetry, &kept, handle);
        let span = info_span!(target: TARGET, "on");
        let metadata = span.metadata().unwrap();
        assert!(interest(metadata).is_always());
        drop(span);
        assert!(telemetry.traces.flush(LONG).await);
        telemetry.traces.turn_off();
        assert!(interest(metadata).is_never());
        drop(info_span!(target: TARGET, "after"));
        tokio::time::sleep(LONG).await;
        assert_eq!(kept.spans().len(), 1, "only the one while they were on");
    });
}

#[test]
fn a_flush_hands_over_what_waits_without_waiting_for_the_batch() {
    traced(async |telemetry, handle| {
        let kept = Arc::new(Kept::default());
        settled(telemetry, &kept, handle);
        drop(info_span!(target: TARGET, "last words").entered());
        let before = tokio::time::Instant::now();
        assert!(telemetry.traces.flush(LONG).await);
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(kept.spans().len(), 1);
        assert_eq!(
            telemetry.traces.counts(),
            Counts {
                carried: 1,
                lost: 0
            }
        );
    });
}

#[test]
fn a_carrier_that_never_answers_delays_a_flush_by_its_patience_only() {
    #[derive(Debug)]
    struct Stuck;
    impl Carry for Stuck {
        fn carry(&self, _: Bytes) -> Carried<'_> {
            Box::pin(std::future::pending())
        }
    }
    traced(async |telemetry, handle| {
        telemetry
            .traces
            .turn_on(Arc::new(Stuck), &resource(), handle)
            .unwrap();
        drop(info_span!(target: TARGET, "lost").entered());
        assert!(!telemetry.traces.flush(Duration::from_secs(3)).await);
    });
}

#[test]
fn a_carrier_that_refuses_costs_its_batch_one_count_and_one_line() {
    let kept = Arc::new(Kept {
        refuses: true,
        ..Kept::default()
    });
    let log = traced(async |telemetry, handle| {
        settled(telemetry, &kept, handle);
        for _ in 0..3 {
            drop(info_span!(target: TARGET, "refused").entered());
            tokio::time::sleep(LINGER_AND_MORE).await;
        }
        assert_eq!(
            telemetry.traces.counts(),
            Counts {
                carried: 0,
                lost: 3
            }
        );
    });
    assert_eq!(log.matches("traces were not taken").count(), 1, "{log}");
}

const LINGER_AND_MORE: Duration = Duration::from_secs(5);

#[test]
fn spans_nobody_takes_away_are_bounded() {
    traced(async |telemetry, handle| {
        let kept = Arc::new(Kept::default());
        settled(telemetry, &kept, handle);
        // Without a yield the task cannot run.
        for _ in 0..2000 {
            drop(info_span!(target: TARGET, "flood").entered());
        }
        tokio::time::sleep(LONG).await;
        assert_eq!(
            telemetry.traces.counts(),
            Counts {
                carried: 1024,
                lost: 976
            }
        );
        assert!(kept.requests().len() >= 8);
    });
}

#[test]
fn a_new_carrier_takes_over() {
    traced(async |telemetry, handle| {
        let (old, new) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        settled(telemetry, &old, handle);
        drop(info_span!(target: TARGET, "waits").entered());
        settled(telemetry, &new, handle);
        drop(info_span!(target: TARGET, "new").entered());
        tokio::time::sleep(LONG).await;
        assert_eq!((old.spans().len(), new.spans().len()), (0, 2));
    });
}

#[test]
fn only_the_target_itself_and_what_is_below_it_is_marked() {
    for (target, marked) in [
        ("nodeward::trace", true),
        ("nodeward::trace::export", true),
        ("nodeward::traces", false),
        ("nodeward", false),
        ("trace", false),
    ] {
        assert_eq!(is_marked(target), marked, "{target}");
    }
}
