//! TLS with the programs of others: Alertmanager shows a client certificate to a hook.

#[allow(
    clippy::unwrap_used,
    reason = "it makes certificates for tests of the library too"
)]
#[path = "../../src/net/tls/testing.rs"]
pub mod testing;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{Running, free_port, patience, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours, web};
use testing::Authority;

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "tls::alertmanager_is_let_in_by_its_certificate_and_not_by_another",
    needs: &[Peer::Alertmanager],
    run: alertmanager,
}];

fn alertmanager() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let directory = scratch.path();
    let authority = Authority::new("ours");
    let ca = authority.write(directory, "ca");
    let pair = |name: &str, names: &[&str]| authority.issue(names).write(directory, name);
    let (cert, key) = pair("server", &["127.0.0.1"]);
    let port = free_port()?;
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "hooks": {
            "listen": [format!("127.0.0.1:{port}")],
            "tls": {"cert_file": cert, "key_file": key, "client_ca_file": ca},
            "alertmanager": {"client_certificate": {"names": ["alertmanager.example"]}},
        },
    });
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let page = nodeward.address()?;
    nodeward.listens(port)?;
    for (name, code) in [("other", 403), ("alertmanager", 200)] {
        let (cert, key) = pair(name, &[&format!("{name}.example")]);
        let tls = json!({"ca_file": ca, "cert_file": cert, "key_file": key});
        let url = format!("https://127.0.0.1:{port}/hooks/alertmanager");
        let _sending = sending(&url, &tls, name, &scratch)?;
        let series =
            format!("nodeward_hook_requests_total{{hook=\"alertmanager\",code=\"{code}\"}} ");
        until("the answer to a notification", || {
            let text = web::page(page, "/metrics").ok()?;
            text.contains(&series).then_some(())
        })?;
    }
    nodeward.terminate()?;
    Ok(())
}

/// An Alertmanager that posts one alert to `url`.
fn sending(url: &str, tls: &Value, name: &str, scratch: &Scratch) -> Result<Running, Failed> {
    let directory = scratch.path();
    let routes = json!({
        "route": {"receiver": "nodeward", "group_wait": "100ms", "group_interval": "1s"},
        "receivers": [{"name": "nodeward", "webhook_configs": [{"url": url, "http_config": {"tls_config": tls}}]}],
    });
    let file = directory.join(format!("{name}.yml"));
    std::fs::write(&file, routes.to_string())?;
    let port = free_port()?;
    let mut command = Command::new(Peer::Alertmanager.find()?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", directory.join(name).display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let mut alertmanager = Running::start(name, &mut command, scratch)?;
    let address = alertmanager.listens(port)?;
    let alerts = json!([{"labels": {"alertname": "UnitDown", "node": "here"}}]);
    post(address, &alerts.to_string())?;
    Ok(alertmanager)
}

fn post(address: SocketAddr, body: &str) -> Result<(), Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    write!(
        stream,
        "POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(answer.into()),
    }
}
