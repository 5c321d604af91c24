//! `nodeward import` beside a real systemd: the words of a unit are those that it starts a program with.

use std::path::PathBuf;

use libtest_mimic::Failed;

use crate::process::until;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "import::the_words_of_a_unit_are_those_of_systemd",
    needs: &[Peer::Root, Peer::Systemd, Peer::DbusDaemon],
    run: words,
}];

/// A flag that may be there many times, with any value.
const FLAG: &str = "--collector.textfile.directory=";

/// What is written behind the program; `D=` is the flag.
const LINE: &str = r#"D=plain "D=two words" 'D=sin"gle' D="mid dle"x D=a'b'"c" \
  # a comment between
  ; another
  D=\x41\102\u00e4 D=a\sb\tc D=^/(dev|proc)($|/) D=\d+\.\w D=50%% D=;x \
  D=${X} "D=p${X}q" D=n${NONE}n $MORE $NONE D=$$X D=a$X D=$ 'D=${QUOTES}' \
  D=${FILE} $FROM_FILE D=${TWICE} D=end"#;

const ENVIRONMENT: &str = r#"Environment="X=x  y" 'MORE=D="m 1"   D=m2' QUOTES="\"q\"" TWICE=unit
Environment=GONE=1 X=x"#;

/// A file of variables with all that may be in one.
const FILE: &str = r#"# a comment
; another
FILE = f # no comment  
 TWICE="fi\"le\\\
s"
FROM_FILE='D=f1 D="f 2"' "D=f3"
"#;

fn words() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let run = PathBuf::from(format!("/proc/{}/root/run", booted.first));
    let told = |text: &str| text.replace("D=", FLAG);
    std::fs::write(run.join("nodeward/words.env"), told(FILE))?;
    let unit = format!(
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nStandardOutput=file:/run/nodeward/words\n{}\n\
         EnvironmentFile=-/run/nodeward/none\nEnvironmentFile=/run/nodeward/words.env\nExecStart=/usr/bin/printf %%s\\\\n {}\n",
        told(ENVIRONMENT),
        told(LINE)
    );
    booted.units(&[("words", &unit)])?;
    booted.call(&["StartUnit", "ss", "nodeward-t-words.service", "replace"])?;
    let theirs = until("the words that systemd makes", || {
        let text = std::fs::read_to_string(run.join("nodeward/words")).ok()?;
        text.ends_with("=end\n").then_some(text)
    })?;
    let theirs: Vec<&str> = theirs
        .lines()
        .map(|line| line.strip_prefix(FLAG).unwrap_or(line))
        .collect();
    let mut import = ours::command("import", &scratch);
    let unit = run.join("systemd/system/nodeward-t-words.service");
    let output = import.arg(&unit).output()?;
    let yaml = String::from_utf8(output.stdout)?;
    let said = String::from_utf8(output.stderr)?;
    let list = yaml
        .lines()
        .find_map(|line| line.trim().strip_prefix("directories: "));
    let list = list.ok_or_else(|| format!("no directories in:\n{yaml}\n{said}"))?;
    let ours: Vec<String> = serde_json::from_str(list)?;
    match ours == theirs {
        true => Ok(()),
        false => Err(format!("systemd: {theirs:#?}\nours: {ours:#?}\n{said}").into()),
    }
}
