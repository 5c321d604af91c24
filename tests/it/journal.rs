//! `nodeward journal`, on a journal that this process writes.

use std::process::Stdio;

use nodeward::journal::{Commit, Entry, IncidentRow, Journal, Kind, Options};
use nodeward::model::id::IncidentId;
use serde_json::Value;

use crate::program::{Scratch, command, output};

/// A journal of two incidents in the scratch directory, still open.
async fn filled(scratch: &Scratch) -> Journal {
    let (journal, _) = Journal::open(scratch.path(), &Options::default()).unwrap();
    for (id, open) in [("01JAAA", true), ("01JABB", false)] {
        let id = IncidentId::new(id);
        let state = |from: &str, to: &str| {
            let entry = Entry::new(Kind::State).incident(&id).from(from).to(to);
            entry.target(&"unit:web.service".parse().unwrap())
        };
        let commit = Commit {
            entries: vec![
                Entry::new(Kind::Alert).incident(&id),
                state("received", "settling"),
                state("settling", "waiting"),
            ],
            incidents: vec![IncidentRow {
                id: id.clone(),
                open,
                revision: None,
                body: "{}".into(),
            }],
            ..Commit::default()
        };
        journal.commit(commit).await.unwrap();
    }
    journal
}

fn run(scratch: &Scratch, args: &[&str]) -> (i32, String, String) {
    let mut all = vec!["journal"];
    all.extend(args);
    let out = output(scratch, &all);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        out.status.code().unwrap(),
        text(out.stdout),
        text(out.stderr),
    )
}

#[tokio::test]
async fn list_show_export_and_verify_read_it_while_it_is_held() {
    let scratch = Scratch::new();
    let _journal = filled(&scratch).await;

    let (code, exported, said) = run(&scratch, &["export"]);
    assert_eq!((code, said.as_str()), (0, "6 records exported\n"));
    let records: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seqs: Vec<_> = records.iter().map(|r| r["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    assert_eq!(records[5]["to"], "waiting");
    assert_eq!(records[5]["hash"].as_str().unwrap().len(), 64);

    let (code, listed, said) = run(&scratch, &["list", "--incident", "01ja", "--limit", "0"]);
    assert_eq!((code, listed.as_str()), (1, ""));
    assert!(said.contains("01JAAA, 01JABB"), "{said}");
    let (code, listed, said) = run(
        &scratch,
        &[
            "list",
            "--incident",
            "01jaa",
            "--kind",
            "state",
            "--limit",
            "1",
        ],
    );
    assert_eq!(
        (code, said.as_str()),
        (0, "1 record; older ones with --limit 0\n")
    );
    assert_eq!(listed, format!("{}\n", exported.lines().nth(2).unwrap()));
    let (code, _, said) = run(&scratch, &["list", "--since", "soon"]);
    assert_eq!(code, 2, "{said}");
    let (_, listed, _) = run(&scratch, &["list", "--since", "1h"]);
    assert_eq!(listed, exported);

    let (code, told, said) = run(&scratch, &["show", "01JABB"]);
    assert_eq!((code, told.lines().count()), (0, 3));
    assert!(
        told.contains("#6 state    unit:web.service settling -> waiting"),
        "{told}"
    );
    assert_eq!(said, "incident 01JABB: closed, 3 records\n");
    let (code, _, said) = run(&scratch, &["show", "01Z"]);
    assert_eq!(code, 1);
    assert!(said.contains("no incident 01Z"), "{said}");

    let last = records[5]["hash"].as_str().unwrap();
    let siem = scratch.write(
        "siem.log",
        &format!(
            "x\n<107>1 - a nodeward 1 STATE [nodeward@32473 seq=\"6\" chain=\"{last}\"] {}\n",
            "0b".repeat(32)
        ),
    );
    let siem = siem.to_str().unwrap();
    let (code, out, said) = run(&scratch, &["verify", "--anchor", siem]);
    assert_eq!((code, out.as_str()), (0, ""));
    let all = format!(
        "6 records, 1 to 6: the chain holds; the last hash is {last}; 1 anchor of 2 lines found\n"
    );
    assert_eq!(said, all);
    let export = scratch.write("export.jsonl", &exported);
    let (code, _, said) = run(&scratch, &["verify", "--anchor", export.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.ends_with("; 6 anchors of 6 lines found\n"), "{said}");
    let forged = scratch.write("forged.log", &"0f".repeat(32));
    let (code, _, said) = run(&scratch, &["verify", "--anchor", forged.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(said.contains("no record has the hash 0f0f"), "{said}");
}

#[tokio::test]
async fn each_way_to_tamper_is_found_and_the_first_record_that_it_concerns_is_named() {
    let there = Scratch::new();
    filled(&there).await.close().await;
    let (_, exported, _) = run(&there, &["export"]);
    let anchors = there.write("anchors.jsonl", &exported);
    let anchors = anchors.to_str().unwrap();
    let ways = [
        (
            "edit",
            "UPDATE entries SET line = replace(line, 'waiting', 'nothing') WHERE seq = 3",
            "record 3",
        ),
        ("delete", "DELETE FROM entries WHERE seq = 4", "records 4 to 4 are missing"),
        (
            "insert",
            "UPDATE entries SET seq = -seq WHERE seq >= 5; UPDATE entries SET seq = 1 - seq WHERE seq < 0;
             INSERT INTO entries SELECT 5, time, kind, incident, line, hash FROM entries WHERE seq = 1",
            "record 5",
        ),
        (
            "reorder",
            "UPDATE entries SET seq = -1 WHERE seq = 2; UPDATE entries SET seq = 2 WHERE seq = 5;
             UPDATE entries SET seq = 5 WHERE seq = -1",
            "record 2",
        ),
        (
            "cut the tail",
            "DELETE FROM entries WHERE seq >= 5",
            "record 5 of line 5 of the anchor file is not there, the last one is 4",
        ),
        (
            "cut the head",
            "INSERT INTO floor (one, seq, hash) SELECT 1, seq, hash FROM entries WHERE seq = 2;
             DELETE FROM entries WHERE seq <= 2",
            "record 1 of line 1 of the anchor file is gone",
        ),
    ];
    for (way, sql, named) in ways {
        let scratch = Scratch::new();
        let file = scratch.path().join("journal.db");
        std::fs::copy(there.path().join("journal.db"), &file).unwrap();
        let (code, _, said) = run(&scratch, &["verify", "--anchor", anchors]);
        assert_eq!(code, 0, "{way}: {said}");
        let database = rusqlite::Connection::open(&file).unwrap();
        database.execute_batch(sql).unwrap();
        drop(database);
        let (code, out, said) = run(&scratch, &["verify", "--anchor", anchors]);
        assert_eq!((code, out.as_str()), (1, ""), "{way}: {said}");
        let broken = format!("nodeward: the journal is broken: {named}");
        assert!(said.starts_with(&broken), "{way}: {said}");
        if way == "cut the head" {
            // Without a config no more is known than what each keeps.
            assert!(said.contains("journal.keep (1h)"), "{said}");
            let config = scratch.write("nodeward.yml", "journal: {keep: 2h}");
            let config = [
                "verify",
                "--anchor",
                anchors,
                "--config",
                config.to_str().unwrap(),
            ];
            let (_, _, said) = run(&scratch, &config);
            assert!(said.contains("journal.keep (2h)"), "{said}");
            let wrong = scratch.write("wrong.yml", "journal: {keep: 2parsecs}");
            let wrong = wrong.to_str().unwrap();
            let (_, _, said) = run(
                &scratch,
                &["verify", "--anchor", anchors, "--config", wrong],
            );
            assert!(said.contains("journal.keep 1h"), "{said}");
        }
    }
}

#[tokio::test]
async fn where_there_is_none_that_is_said_and_a_reader_that_goes_away_is_fine() {
    let scratch = Scratch::new();
    let (code, _, said) = run(&scratch, &["list"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("there is none in ") && said.contains("--state-dir"),
        "{said}"
    );
    assert!(scratch.path().read_dir().unwrap().next().is_none());

    let state = scratch.path().join("elsewhere");
    let (journal, _) = Journal::open(&state, &Options::default()).unwrap();
    let many = Commit {
        entries: vec![Entry::new(Kind::Alert); 20_000],
        ..Commit::default()
    };
    journal.commit(many).await.unwrap();
    let config = scratch.write("n.yml", &format!("state: {}\n", state.display()));
    let args = ["journal", "export", "--config", config.to_str().unwrap()];
    let mut child = command(&scratch, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!(
        (out.status.code(), out.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[tokio::test]
async fn a_closed_one_is_read_without_any_right_to_write_there() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let scratch = Scratch::new();
    filled(&scratch).await.close().await;
    let copy = scratch.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let (from, to) = (scratch.path().join("journal.db"), copy.join("journal.db"));
    std::fs::copy(from, &to).unwrap();
    for (path, mode) in [(&to, 0o444), (&copy, 0o555)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    // The program itself may lie where only its owner may look.
    let program = scratch.path().join("nodeward");
    std::fs::copy(env!("CARGO_BIN_EXE_nodeward"), &program).unwrap();
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut export = std::process::Command::new(program);
    export.args(["journal", "export", "--state-dir"]).arg(&copy);
    // To root no mode is a bar.
    if rustix::process::geteuid().is_root() {
        export.uid(65_534).gid(65_534);
    }
    let ended = export.env_clear().output().unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(
        (ended.status.code(), said.as_str()),
        (Some(0), "6 records exported\n")
    );
}
