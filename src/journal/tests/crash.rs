//! A process that is killed while it commits.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

const PLACE: &str = "NODEWARD_TEST_JOURNAL";

/// No test: what the killed process runs. It says each number once its commit is acknowledged.
#[tokio::test]
#[ignore = "started by the test below"]
async fn commits_until_killed() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let (journal, _) = Journal::open(Path::new(&place), &Options::default()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let journal = journal.clone();
        tasks.spawn(async move {
            for i in 0.. {
                let commit = Commit {
                    entries: vec![entry(&format!("{worker}-{i}"))],
                    incidents: vec![incident(&format!("{worker}"), true)],
                    ..Commit::default()
                };
                let seq = journal.commit(commit).await.unwrap().seq;
                writeln!(std::io::stdout(), "acknowledged {seq} {worker}-{i}").unwrap();
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9_in_the_middle_of_commits() {
    let bench = Bench::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("journal::tests::crash::commits_until_killed")
            .env(PLACE, bench.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        let mut note = |line: &str| {
            if let Some(rest) = line.split("acknowledged ").nth(1)
                && let Some((seq, text)) = rest.split_once(' ')
            {
                acknowledged.push((seq.parse::<usize>().unwrap(), text.to_owned()));
            }
        };
        for line in said.by_ref().take(100 * round) {
            note(&line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it managed to say before it died; a cut last line said nothing.
        let rest: Vec<_> = said.map_while(Result::ok).collect();
        rest.iter().rev().skip(1).rev().for_each(|line| note(line));
        assert!(acknowledged.len() > 50 * round);

        let lines = bench.lines();
        for (seq, text) in acknowledged {
            let line = lines.get(seq - 1).unwrap();
            assert!(line.starts_with(&format!("{{\"seq\":{seq},")), "{line}");
            assert!(line.contains(&format!("\"text\":\"{text}\"")), "{line}");
        }
        let (journal, restored) = bench.open();
        assert_eq!(restored.head.seq, lines.len() as i64);
        assert_eq!(restored.incidents.len(), 8);
        journal.close().await;
    }
}

#[cfg(feature = "faults")]
#[tokio::test]
async fn dying_at_the_commit_itself_keeps_what_was_committed_and_nothing_else() {
    use std::os::unix::process::ExitStatusExt;

    for (point, records) in [
        ("journal.before_commit:3", 2),
        ("journal.after_commit:3", 3),
        ("journal.after_commit", 1),
    ] {
        let bench = Bench::new();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("journal::tests::crash::commits_one_by_one")
            .env(PLACE, bench.path())
            .env("NODEWARD_FAULT", point)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "{point}");
        let (journal, restored) = bench.open();
        assert_eq!(restored.head.seq, records, "{point}");
        journal.close().await;
    }
}

/// No test: what the process runs that dies at a point.
#[tokio::test]
#[ignore = "started by the test above"]
async fn commits_one_by_one() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let (journal, _) = Journal::open(Path::new(&place), &Options::default()).unwrap();
    for i in 0..10 {
        let commit = Commit::of(entry(&i.to_string()));
        journal.commit(commit).await.unwrap();
    }
}
