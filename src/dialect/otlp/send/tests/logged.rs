//! What the sender logs, and how seldom.

use super::*;

/// What is logged while `work` runs, line by line.
#[expect(
    clippy::await_holding_lock,
    reason = "one test, one runtime: nobody on it waits for this lock"
)]
async fn logged(work: impl Future<Output = ()>) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let alone = crate::telemetry::capture::alone();
    let guard = tracing::subscriber::set_default(subscriber);
    work.await;
    drop(guard);
    drop(alone);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_line_is_logged_only_when_something_changes() {
    let part = || Answer::Taken {
        rejected: 1,
        told: "too old".into(),
    };
    let mut answers = vec![later(None); 6];
    answers.extend([never(), never(), taken(), taken(), part(), part(), taken()]);
    let script = Script::new(answers);
    let lines = logged(async {
        let (sender, _running) = metrics_over(&script);
        for interval in 0..40 {
            send(&sender, &interval.to_string());
            seconds(60).await;
        }
    })
    .await;
    let expected = [
        "WARN http://receiver does not take metrics over otlp now, they are kept (at most 10000 bytes) and sent again: answered 503",
        "WARN http://receiver refuses metrics over otlp, 10 items are dropped (rejected): answered 400",
        "INFO http://receiver takes metrics over otlp again after ",
        "WARN http://receiver took metrics over otlp but for 1 of 10 items; it says: too old",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.trim_start().starts_with(expected), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_refuses_a_signal_or_a_login_is_told_with_the_setting_that_helps() {
    for (reason, answer, told) in [
        (
            Reason::NotFound,
            "answered 404 Not Found",
            "(not_found): answered 404 Not Found; if it takes no traces, otlp.traces: false stops sending them",
        ),
        (
            Reason::Unauthorized,
            "answered UNAUTHENTICATED: no token",
            "(unauthorized): answered UNAUTHENTICATED: no token; logins are headers: otlp.headers_file or OTEL_EXPORTER_OTLP_HEADERS",
        ),
    ] {
        let script = Script::new([Answer::Never {
            reason,
            told: answer.into(),
        }]);
        let lines = logged(async {
            let (sender, lanes) = over(1000, [None, Some(script.clone()), None]);
            let _running = tokio::spawn(lanes.run());
            sender.send(Traces, Bytes::from_static(b"a"), 3);
            seconds(1).await;
        })
        .await;
        let told =
            format!("WARN http://receiver refuses traces over otlp, 3 items are dropped {told}");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_eq!(lines[0].trim_start(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_told_once() {
    let script = Script::new([later(Some(3600))]);
    let lines = logged(async {
        let (sender, lanes) = over(1000, [Some(script.clone()), None, None]);
        let _running = tokio::spawn(lanes.run());
        for _ in 0..20 {
            send(&sender, &"x".repeat(200));
            seconds(1).await;
        }
    })
    .await;
    let full = lines.iter().filter(|line| line.contains("is full"));
    assert_eq!((lines.len(), full.count()), (2, 1), "{lines:#?}");
}
