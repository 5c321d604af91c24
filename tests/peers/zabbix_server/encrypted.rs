//! A real server asks a host by a pre-shared key and another by certificate, and hears both.

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::house::{Release, Zabbix};
use super::{list, text};
use crate::ours;
use crate::process::{free_port, until};
use crate::scratch::Scratch;
use crate::zabbix_tls::{Files, IDENTITY, ISSUER};

/// Kinds of encryption, as the API numbers them.
const PSK: u8 = 2;
const CERT: u8 = 4;

/// An item that is asked for, and one that is brought.
const ITEMS: [(&str, u8); 2] = [("agent.ping", 0), ("system.uptime", 7)];

pub fn both_ways(release: Release) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let files = Files::new(&scratch)?;
    let own = format!(
        "TLSCAFile={}\nTLSCertFile={}\nTLSKeyFile={}\n",
        files.at("ours-ca.crt").display(),
        files.at("ours.crt").display(),
        files.at("ours.key").display()
    );
    let zabbix = Zabbix::start_with(release, &scratch, &own)?;
    let home = scratch.path().display();
    let by_cert = format!(
        "accept: [cert], connect: cert, ca_file: {home}/ours-ca.crt, cert_file: {home}/ours.crt, key_file: {home}/ours.key, \
         server_cert_issuer: \"{ISSUER}\""
    );
    let mut hosts = vec![("by certificate", CERT, by_cert)];
    if cfg!(feature = "psk") {
        let by_key = format!(
            "accept: [psk], connect: psk, psk_identity: {IDENTITY}, psk_file: {home}/good.psk"
        );
        hosts.push(("by key", PSK, by_key));
    }
    let mut running = Vec::new();
    for (name, kind, tls) in hosts {
        let port = free_port()?;
        let host = host(&zabbix, name, kind, port)?;
        let config = format!(
            "http: {{listen: [\"127.0.0.1:0\"]}}\nzabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1], server_active: [\"127.0.0.1:{}\"], \
             hostname: {name}, refresh_active_checks: 1s, buffer_send: 1s, tls: {{{tls}}}}}\n",
            zabbix.port
        );
        let own = Scratch::new()?;
        let mut nodeward = ours::configured(&config, &own)?;
        nodeward.listens(port)?;
        running.push((host, nodeward, own));
    }
    for (host, nodeward, _) in &running {
        let mut last = Value::Null;
        let settled = until("both items to have a value", || {
            let wanted =
                json!({"hostids": host, "output": ["key_", "lastclock", "state", "error"]});
            last = zabbix.call("item.get", &wanted).ok()?;
            let whole = |item: &Value| text(item, "lastclock") != "0" && text(item, "state") == "0";
            (list(&last).len() == ITEMS.len() && list(&last).iter().all(whole)).then_some(())
        });
        if settled.is_err() {
            return Err(format!("{last:#}\n{}\n{}", nodeward.log(), zabbix.log()).into());
        }
    }
    // Only now it is sure that the server has taken up the hosts that were made.
    for (_, _, own) in &running {
        examined(&zabbix, own)?;
    }
    Ok(())
}

/// The doctor of a nodeward that runs: all is well, and each fault is told with what to change.
fn examined(zabbix: &Zabbix, own: &Scratch) -> Result<(), Failed> {
    let good = std::fs::read_to_string(own.path().join("nodeward.yml"))?;
    let server = format!("127.0.0.1:{}", zabbix.port);
    let mut cases: Vec<(String, i32, Vec<&str>)> = vec![
        (
            good.clone(),
            0,
            vec![
                "TLS is agreed",
                "it knows the host",
                "the clocks are ",
                "it may ask passively",
                "nodeward answers there as",
            ],
        ),
        (
            good.replace("hostname: by", "hostname: not by"),
            1,
            vec![
                "not found\"",
                "change: make a host there whose",
                "another agent answers there",
            ],
        ),
        (
            good.replace(&server, &format!("127.0.0.1:{}", free_port()?)),
            1,
            vec![
                "cannot connect: ",
                "change: the port in zabbix.server_active",
            ],
        ),
        (
            good.replace("server: [127.0.0.1]", "server: [127.0.0.2]"),
            1,
            vec![
                "zabbix.server does not list 127.0.0.1",
                "change: add the address",
            ],
        ),
        (
            good.replace("connect: cert", "connect: unencrypted")
                .replace("connect: psk", "connect: unencrypted"),
            1,
            vec![
                "not allowed for host",
                "change: look at the host on the server (Encryption",
            ],
        ),
        (
            good.replace(&server, "nowhere.invalid"),
            1,
            vec![
                "its name is not found",
                "change: the name in zabbix.server_active",
            ],
        ),
    ];
    if good.contains("good.psk") {
        let wrong = good.replace("good.psk", "bad.psk");
        cases.push((
            wrong,
            1,
            vec!["TLS is not agreed", "psk_identity and the key"],
        ));
    }
    let file = own.path().join("examined.yml");
    for (config, expected, parts) in cases {
        std::fs::write(&file, config)?;
        let mut doctor = ours::command("doctor", own);
        let out = doctor.arg("--config").arg(&file).output()?;
        let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        let lost = parts.iter().find(|part| !text.contains(**part));
        if out.status.code() != Some(expected) || lost.is_some() {
            return Err(format!("{}, without {lost:?}:\n{text}", out.status).into());
        }
    }
    Ok(())
}

/// A host that is asked and heard by one kind alone.
fn host(zabbix: &Zabbix, name: &str, kind: u8, port: u16) -> Result<Value, Failed> {
    let group = zabbix.call("hostgroup.get", &json!({"output": ["groupid"], "limit": 1}))?;
    let mut wanted = json!({
        "host": name, "groups": group, "tls_connect": kind, "tls_accept": kind,
        "interfaces": [{"type": 1, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "", "port": port.to_string()}],
    });
    match kind {
        PSK => {
            wanted["tls_psk_identity"] = json!(IDENTITY);
            wanted["tls_psk"] = json!("0123456789abcdef".repeat(4));
        }
        _ => wanted["tls_issuer"] = json!(ISSUER),
    }
    let host = zabbix.call("host.create", &wanted)?["hostids"][0].clone();
    let interface = json!({"hostids": host, "output": ["interfaceid"]});
    let interface = zabbix.call("hostinterface.get", &interface)?[0]["interfaceid"].clone();
    for (key, of) in ITEMS {
        let mut item = json!({
            "hostid": host, "name": key, "key_": key, "type": of, "value_type": 3, "delay": "1s",
        });
        if of == 0 {
            item["interfaceid"] = interface.clone();
        }
        zabbix.call("item.create", &item)?;
    }
    Ok(host)
}
