//! The configs of docs/POOLS.md, run as they stand there, with addresses of this machine.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

use super::driven::{Driven, Relay};
use super::web::{Visitor, Web};
use super::{becomes, on_runtime};
use crate::PeerTest;
use crate::process::{Running, free_port};
use crate::programs::Peer;
use crate::scratch::Scratch;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "haproxy::the_configs_of_the_docs_run",
        needs: &[Peer::Haproxy],
        run: || on_runtime(haproxy()),
    },
    PeerTest {
        name: "nginx::the_config_of_the_docs_goes_on_to_the_next_server",
        needs: &[Peer::Nginx],
        run: || on_runtime(nginx()),
    },
];

/// What stands in fences of this kind in docs/POOLS.md.
fn blocks(kind: &str) -> Result<Vec<String>, Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/POOLS.md");
    let page = std::fs::read_to_string(page)?;
    let fence = format!("```{kind}\n");
    let rest = page.split(fence.as_str()).skip(1);
    let found = rest.filter_map(|rest| rest.split("\n```").next());
    Ok(found.map(|block| format!("{block}\n")).collect())
}

/// The block with what stands left of each pair replaced; each must be there.
fn placed(block: &str, places: &[(&str, String)]) -> Result<String, Failed> {
    let mut text = block.to_owned();
    for (from, to) in places {
        if !text.contains(from) {
            return Err(format!("no {from} in\n{block}").into());
        }
        text = text.replace(from, to);
    }
    match text.contains("10.0.0.") {
        true => Err(format!("an address is left in\n{text}").into()),
        false => Ok(text),
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Who answers a new visitor.
async fn answers(port: u16) -> Result<String, Failed> {
    Visitor::new(7, port).await?.asks().await
}

/// Waits until so many new visitors in a row are answered by all of these, and by nobody else.
async fn served_by(port: u16, expected: &[&str]) -> Result<(), Failed> {
    becomes(&format!("to be served by {expected:?}"), async || {
        let mut names = Vec::new();
        for _ in 0..6 {
            match answers(port).await {
                Ok(name) => names.push(name),
                Err(_) => return Ok(None),
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok((names == expected).then_some(()))
    })
    .await
}

async fn haproxy() -> Result<(), Failed> {
    let blocks = blocks("haproxy")?;
    let [agent, runtime] = blocks.as_slice() else {
        return Err(format!("not two configs of HAProxy: {}", blocks.len()).into());
    };
    for (block, asked) in [(agent, true), (runtime, false)] {
        let (one, two) = (Web::start("one")?, Web::start("two")?);
        let (relay, scratch, port) = (Relay::start()?, Scratch::new()?, free_port()?);
        let socket = scratch.path().join("admin.sock");
        let mut places = vec![
            ("10.0.0.5:80", local(port)),
            ("10.0.0.7:8080", local(one.port)),
            ("10.0.0.8:8080", local(two.port)),
        ];
        let gate = match asked {
            true => {
                let (ours, theirs) = (relay.port, free_port()?);
                let at = |port| format!("agent-addr 127.0.0.1 agent-port {port}");
                places.push(("agent-addr 10.0.0.7 agent-port 9201", at(ours)));
                // Nobody answers for the other one, which changes nothing.
                places.push(("agent-addr 10.0.0.8 agent-port 9201", at(theirs)));
                let agent = relay.agent;
                format!(r#"{{"haproxy_agent": {{"listen": ["127.0.0.1:{agent}"]}}}}"#)
            }
            false => {
                let path = socket.display().to_string();
                places.push(("/run/haproxy/admin.sock", path.clone()));
                format!(
                    r#"{{"haproxy_runtime": {{"socket": "unix:{path}", "backend": "web", "server": "web-1"}}}}"#
                )
            }
        };
        let config = scratch.path().join("config");
        std::fs::write(&config, placed(block, &places)?)?;
        let program = Peer::Haproxy.find()?;
        let checked = Command::new(&program)
            .arg("-c")
            .arg("-f")
            .arg(&config)
            .output()?;
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(
            checked.status.success() && !said.contains("WARNING"),
            "{said}"
        );
        let mut command = Command::new(&program);
        command.arg("-db").arg("-f").arg(&config);
        let mut running = Running::start("haproxy", &mut command, &scratch)?;
        running.listens(port)?;
        let options = format!(r#"{{"gates": [{gate}], "drain": "1s"}}"#);
        let mut driven = Driven::start(&options, asked.then_some(relay.agent)).await?;
        served_by(port, &["one", "two"]).await?;
        driven.hold();
        assert!(driven.pools.out("web").await.complete);
        served_by(port, &["two"]).await?;
        driven.lift().await?;
        served_by(port, &["one", "two"]).await?;
    }
    Ok(())
}

async fn nginx() -> Result<(), Failed> {
    let blocks = blocks("nginx")?;
    let [block] = blocks.as_slice() else {
        return Err(format!("not one config of nginx: {}", blocks.len()).into());
    };
    let (one, two) = (Web::start("one")?, Web::start("two")?);
    let (scratch, port) = (Scratch::new()?, free_port()?);
    let block = placed(
        block,
        &[
            ("10.0.0.5:80", local(port)),
            ("10.0.0.7:8080", local(one.port)),
            ("10.0.0.8:8080", local(two.port)),
        ],
    )?;
    let config = scratch.path().join("nginx.conf");
    let dir = scratch.path().display();
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        temporary.push_str(&format!("{kind}_temp_path {dir}/{kind};\n"));
    }
    std::fs::write(
        &config,
        format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{temporary}{block}}}\n"
        ),
    )?;
    let mut command = Command::new(Peer::Nginx.find()?);
    command.arg("-p").arg(scratch.path()).arg("-c").arg(&config);
    command.args(["-e", "stderr"]);
    let mut running = Running::start("nginx", &mut command, &scratch)?;
    running.listens(port)?;
    served_by(port, &["one", "two"]).await?;
    let gone = one.port;
    drop(one);
    becomes("the end of a web server", async || {
        let there = TcpStream::connect((Ipv4Addr::LOCALHOST, gone)).is_ok();
        Ok((!there).then_some(()))
    })
    .await?;
    // Not one is lost, from the first on.
    for _ in 0..20 {
        assert_eq!(answers(port).await?, "two");
    }
    Ok(())
}
