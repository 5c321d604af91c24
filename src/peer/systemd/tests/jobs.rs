//! Jobs against a stand-in: signals before the answer, forged signals, refusals, silence.

use super::fake::refused;
use super::*;

const JOB: &str = "/org/freedesktop/systemd1/job/7";

fn path(text: &str) -> zbus::ObjectPath<'_> {
    zbus::ObjectPath::try_from(text).unwrap()
}

fn ended(sender: &str, job: &str, result: &str) -> Message {
    Message::signal(MANAGER_PATH, call::MANAGER, "JobRemoved")
        .sender(sender)
        .build(&(7_u32, path(job), "a.service", result))
        .unwrap()
}

/// As systemd answers through a bus: with its unique name.
fn answered_by(sender: &str, call: &Message, body: &impl Body) -> Message {
    Message::method_return(&call.header())
        .sender(sender)
        .build(body)
        .unwrap()
}

trait Body: serde::Serialize + zbus::DynamicType {}
impl<T: serde::Serialize + zbus::DynamicType> Body for T {}

/// Runs one restart against a stand-in that answers the call with what `restart` makes.
fn restarted(
    restart: impl Fn(&Message) -> Vec<Message> + Clone + Send + 'static,
    within: Duration,
) -> (Result<String, Undone>, Vec<String>, Vec<String>) {
    let (running, listening) = (running(), listening());
    let (asked, calls) = std::sync::mpsc::channel();
    serve(&listening, move || {
        let (restart, asked) = (restart.clone(), asked.clone());
        Box::new(move |call| {
            let member = call.header().member().unwrap().to_string();
            asked.send(member.clone()).unwrap();
            match member.as_str() {
                "AddMatch" => vec![answered(call, &())],
                "Subscribe" => vec![answered_by(":1.0", call, &())],
                _ => restart(call),
            }
        })
    });
    let systemd = Arc::new(client(&running, &listening.options(false)));
    let started = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&started);
    let outcome = running.handle.spawn(async move {
        let note = |job: &str| told.lock().unwrap().push(job.to_owned());
        systemd.job(Verb::Restart, "a.service", within, note).await
    });
    let outcome = futures(outcome);
    let started = started.lock().unwrap().clone();
    (outcome, started, calls.try_iter().collect())
}

fn futures<T>(task: tokio::task::JoinHandle<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(task).unwrap()
}

#[test]
fn a_job_that_ends_before_the_answer_to_its_call_is_not_missed() {
    let (outcome, started, calls) = restarted(
        |call| {
            vec![
                ended(":1.0", "/org/freedesktop/systemd1/job/6", "failed"),
                ended(":1.0", JOB, "done"),
                answered_by(":1.0", call, &path(JOB)),
            ]
        },
        FAR,
    );
    assert_eq!(outcome, Ok("done".to_owned()));
    assert_eq!(started, [JOB]);
    assert_eq!(calls, ["AddMatch", "Subscribe", "RestartUnit"]);
}

#[test]
fn only_systemd_itself_can_say_that_a_job_ended() {
    let (outcome, ..) = restarted(
        |call| {
            vec![
                ended(":1.66", JOB, "done"),
                answered_by(":1.0", call, &path(JOB)),
                ended(":1.66", JOB, "done"),
                ended(":1.0", JOB, "timeout"),
            ]
        },
        FAR,
    );
    assert_eq!(outcome, Ok("timeout".to_owned()));
}

#[test]
fn what_was_refused_was_not_done_and_what_got_no_answer_may_have_been() {
    let kind = |name: &'static str| {
        let (outcome, started, _) = restarted(move |call| vec![refused(call, name)], FAR);
        assert!(started.is_empty());
        outcome.unwrap_err()
    };
    assert!(matches!(
        kind("org.freedesktop.DBus.Error.AccessDenied"),
        Undone::Refused(Error::Refused { .. })
    ));
    assert!(matches!(
        kind("org.freedesktop.DBus.Error.NoReply"),
        Undone::Unclear(_)
    ));
    let (outcome, ..) = restarted(|_| Vec::new(), Duration::from_secs(2));
    assert!(matches!(outcome, Err(Undone::Unclear(Error::Late { .. }))));
}

#[test]
fn a_job_that_outlives_the_deadline_is_named() {
    let (outcome, started, _) = restarted(
        |call| vec![answered_by(":1.0", call, &path(JOB))],
        Duration::from_secs(2),
    );
    let Err(Undone::Unclear(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(error.to_string().contains(JOB), "{error}");
    assert_eq!(started, [JOB]);
}

#[test]
fn nobody_at_the_address_means_not_done() {
    let running = running();
    let options = Options {
        private: false,
        address: Some("unix:path=/nonexistent/nodeward".to_owned()),
    };
    let systemd = client(&running, &options);
    let outcome = futures(
        running
            .handle
            .spawn(async move { systemd.job(Verb::Stop, "a.service", FAR, |_| ()).await }),
    );
    assert!(matches!(
        outcome,
        Err(Undone::Refused(Error::Connect { .. }))
    ));
}
