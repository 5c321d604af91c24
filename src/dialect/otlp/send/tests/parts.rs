//! A receiver that takes less at a time than is sent.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
};
use prost::Message as _;

use super::*;

/// Takes requests of at most so many points, and notes when each point is of that it takes.
#[derive(Clone)]
struct Narrow {
    most: usize,
    /// So many requests are not taken at first.
    away: Arc<Mutex<u32>>,
    got: Arc<Mutex<Vec<u64>>>,
}

impl Narrow {
    fn new(most: usize, away: u32) -> Self {
        Self {
            most,
            away: Arc::new(Mutex::new(away)),
            got: Arc::default(),
        }
    }

    fn got(&self) -> Vec<u64> {
        let mut got = self.got.lock().unwrap().clone();
        got.sort_unstable();
        got
    }
}

impl Carry for Narrow {
    fn packing(&self) -> Packing {
        Packing {
            protocol: Protocol::Grpc,
            compression: Compression::Gzip,
        }
    }

    async fn carry(&self, packed: Bytes) -> Answer {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return later(None);
        }
        let message = self.packing().unpack(&packed).unwrap();
        let request = ExportMetricsServiceRequest::decode(message).unwrap();
        let scope = &request.resource_metrics[0].scope_metrics[0];
        let points = scope.metrics.iter().flat_map(|metric| match &metric.data {
            Some(metric::Data::Gauge(gauge)) => &gauge.data_points,
            other => panic!("{other:?}"),
        });
        let at: Vec<u64> = points.map(|point| point.time_unix_nano).collect();
        if at.len() > self.most {
            return Answer::Never {
                reason: Reason::TooLarge,
                told: "answered 413".into(),
            };
        }
        self.got.lock().unwrap().extend(at);
        taken()
    }

    fn peer(&self) -> String {
        "http://receiver".into()
    }
}

/// A request of two metrics, the first with three points and the second with four.
fn seven() -> Bytes {
    let metric = |times: std::ops::Range<u64>| Metric {
        data: Some(metric::Data::Gauge(Gauge {
            data_points: times
                .map(|time_unix_nano| NumberDataPoint {
                    time_unix_nano,
                    ..NumberDataPoint::default()
                })
                .collect(),
        })),
        ..Metric::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric(0..3), metric(3..7)],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec().into()
}

fn started(
    narrow: &Narrow,
    spool: Option<Arc<Spool>>,
    counts: Arc<Counts>,
) -> (Sender, tokio::task::JoinHandle<()>) {
    let carriers = [Some(narrow.clone()), None, None];
    let (sender, lanes) = Sender::over(Queue::new(10_000), 10_000, counts, spool, carriers);
    (sender, tokio::spawn(lanes.run()))
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_the_receiver_goes_in_parts() {
    for most in [1, 2, 6] {
        let narrow = Narrow::new(most, 0);
        let (sender, _running) = started(&narrow, None, Arc::default());
        sender.send(Metrics, seven(), 7);
        until(|| sender.counts().items(Metrics) == 7).await;
        assert_eq!(narrow.got(), [0, 1, 2, 3, 4, 5, 6], "{most}");
        assert_eq!(sender.counts().dropped(Metrics, Reason::TooLarge), 0);
        assert!(sender.counts().failures(Metrics, Reason::TooLarge) >= 1);
        assert_eq!(sender.depth(Metrics), Depth::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_point_that_is_too_large_alone_is_dropped_and_counted() {
    let narrow = Narrow::new(0, 0);
    let (sender, _running) = started(&narrow, None, Arc::default());
    sender.send(Metrics, seven(), 7);
    until(|| sender.counts().dropped(Metrics, Reason::TooLarge) == 7).await;
    assert_eq!(sender.depth(Metrics), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn what_waited_on_the_disk_goes_in_parts_too() {
    let place = tempfile::tempdir().unwrap();
    let counts = Arc::default();
    let spool = spooled::spool_in(&place, &counts);
    let narrow = Narrow::new(2, 3);
    let (sender, _running) = started(&narrow, Some(Arc::clone(&spool)), counts);
    sender.send(Metrics, seven(), 7);
    until(|| spool.depth().records == 1).await;
    until(|| sender.counts().items(Metrics) == 7).await;
    assert_eq!(narrow.got(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(spool.depth().records, 0);
}

#[tokio::test(start_paused = true)]
async fn what_goes_in_parts_stays_on_the_disk_until_the_last_is_taken() {
    let place = tempfile::tempdir().unwrap();
    let counts = Arc::default();
    let spool = spooled::spool_in(&place, &counts);
    let narrow = Narrow::new(2, 3);
    let (sender, running) = started(&narrow, Some(Arc::clone(&spool)), counts);
    sender.send(Metrics, seven(), 7);
    until(|| spool.depth().records == 1).await;
    let written = || -> u64 {
        let files = std::fs::read_dir(place.path().join("spool")).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    };
    let before = written();
    until(|| !narrow.got().is_empty()).await;
    // Killed amid them: nothing was written beside it, for which there might be no room, and it is still there.
    assert_eq!((spool.depth().records, written()), (1, before));
    running.abort();
    running.await.unwrap_err();
    drop(sender);
    drop(spool);
    let counts = Arc::default();
    let spool = spooled::spool_in(&place, &counts);
    let back = Narrow::new(2, 0);
    let (sender, _running) = started(&back, Some(Arc::clone(&spool)), counts);
    until(|| spool.depth().records == 0 && sender.counts().items(Metrics) == 7).await;
    assert_eq!(back.got(), [0, 1, 2, 3, 4, 5, 6]);
}
