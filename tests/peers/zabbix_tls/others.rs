//! Those that are no GnuTLS: openssl with a key in both versions and both ways, and an agent 2 that is asked by us.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Failed;
use nodeward::dialect::zabbix::passive::Counters;
use nodeward::net::stream::Stream;
use nodeward::net::tls::mutual::{self, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Files, IDENTITY};
use crate::ours;
use crate::process::Running;
use crate::programs::Peer;
use crate::scratch::Scratch;

/// The key of `good.psk`, and another one.
const GOOD: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const BAD: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

/// What OpenSSL's own client and server make of a key, which speak both versions, whatever agents and servers choose.
pub fn versions() -> Result<(), Failed> {
    if !cfg!(feature = "psk") {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let files = Files::new(&scratch)?;
    let counters: Arc<Counters> = Arc::default();
    let taking = files.serve(files.options(), &counters)?;
    let asked = b"ZBXD\x01\x0e\0\0\0\0\0\0\0agent.hostname";
    let mut wrong = Vec::new();
    for version in ["-tls1_2", "-tls1_3"] {
        for (identity, key, answered) in [
            (IDENTITY, GOOD, true),
            (IDENTITY, BAD, false),
            ("peer 2", GOOD, false),
        ] {
            let own = [version, "-psk", key, "-psk_identity", identity];
            let mut client = Command::new(Peer::Openssl.find()?)
                .args([
                    "s_client", "-quiet", "-ign_eof", "-cipher", "PSK", "-connect",
                ])
                .arg(taking.address.to_string())
                .args(own)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            if let Some(mut stdin) = client.stdin.take() {
                // Whoever was refused already hears nothing more.
                drop(stdin.write_all(asked));
            }
            let said = client.wait_with_output()?.stdout;
            if said.ends_with(b"peer") != answered {
                wrong.push(format!("taking {own:?}: {}", said.escape_ascii()));
            }
            // s_server warns of another identity, and goes on.
            if identity != IDENTITY {
                continue;
            }
            let mut server = Command::new(Peer::Openssl.find()?);
            server
                .args(["s_server", "-rev", "-nocert", "-accept", "127.0.0.1:0"])
                .args(own);
            let said = turned_round(&files, &mut server, &scratch)?;
            if (said.as_deref() == Ok("olleh\n")) != answered {
                wrong.push(format!("making {own:?}: {said:?}"));
            }
        }
        // A certificate is no key, whoever issued it.
        let mut server = Command::new(Peer::Openssl.find()?);
        server.current_dir(scratch.path()).args([
            "s_server",
            "-rev",
            "-accept",
            "127.0.0.1:0",
            version,
            "-cert",
            "ours.crt",
            "-key",
            "ours.key",
        ]);
        if let Ok(said) = turned_round(&files, &mut server, &scratch)? {
            wrong.push(format!(
                "a certificate was taken for a key, {version}: {said:?}"
            ));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// What a server that turns lines round says to us, who connect to it by the key; or why nothing.
fn turned_round(
    files: &Files<'_>,
    server: &mut Command,
    scratch: &Scratch,
) -> Result<Result<String, String>, Failed> {
    let mut server = Running::start("openssl", server, scratch)?;
    let at = server.address()?;
    let client = mutual::Client::new(mutual::Options {
        connect: Some(Kind::Psk),
        psk_identity: Some(IDENTITY.into()),
        psk_file: Some(files.at("good.psk")),
        ..mutual::Options::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(at).await;
        let stream = Stream::Tcp(stream.map_err(|error| error.to_string())?);
        let stream = client.connect(stream).await;
        let mut stream = stream.map_err(|refusal| refusal.to_string())?;
        let mut said = [0; 6];
        let talk = async {
            stream.write_all(b"hello\n").await?;
            stream.flush().await?;
            stream.read_exact(&mut said).await
        };
        talk.await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }))
}

/// agent 2, which is built with OpenSSL where zabbix_get has GnuTLS.
pub fn agent2() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let files = Files::new(&scratch)?;
    let home = scratch.path().display();
    let tls = format!(
        "TLSAccept=psk,cert\nTLSConnect=cert\nTLSCAFile={home}/ours-ca.crt\nTLSCertFile={home}/ours.crt\nTLSKeyFile={home}/ours.key\n\
         TLSPSKIdentity={IDENTITY}\nTLSPSKFile={home}/good.psk\n"
    );
    let (agent, port) = crate::zabbix::agent(Peer::ZabbixAgent2, &tls, &scratch)?;
    let by_cert = |own: &str| {
        format!(
            "accept: [cert], ca_file: {home}/ours-ca.crt, cert_file: {home}/{own}.crt, key_file: {home}/{own}.key"
        )
    };
    let by_key =
        |key: &str| format!("accept: [psk], psk_identity: {IDENTITY}, psk_file: {home}/{key}.psk");
    let mut cases = vec![(by_cert("ours"), true), (by_cert("theirs"), false)];
    if cfg!(feature = "psk") {
        cases.extend([(by_key("good"), true), (by_key("bad"), false)]);
    }
    let config = files.at("nodeward.yml");
    let said = |word: &str, arguments: &[String]| -> Result<(String, Option<i32>), Failed> {
        let mut command = ours::command(word, &scratch);
        let out = command
            .arg(format!("--config={}", config.display()))
            .args(arguments)
            .output()?;
        let text = [out.stdout, out.stderr].concat();
        Ok((
            String::from_utf8_lossy(&text).into_owned(),
            out.status.code(),
        ))
    };
    for (tls, agreed) in cases {
        std::fs::write(
            &config,
            format!(
                "zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1], hostname: peer, tls: {{{tls}}}}}\n"
            ),
        )?;
        let keys = ["agent.ping", "agent.hostname"].map(|key| format!("--key={key}"));
        let url = [format!("zabbix://127.0.0.1:{port}")];
        let (text, code) = said("compare", &[&url[..], &keys].concat())?;
        // An alert of TLS 1.3 may be lost where the agent closes at once.
        let hint = "does it take what zabbix.tls.accept says";
        let expected = match agreed {
            true => Some(0),
            false => Some(69),
        };
        if code != expected || !(agreed || text.contains("no TLS: ") || text.contains(hint)) {
            return Err(format!("{tls}: {code:?}: {text}\n{}", agent.log()).into());
        }
        let (text, code) = said("doctor", &[])?;
        let finding = match agreed {
            true => "another agent answers there, of version",
            false => "somebody listens there",
        };
        if !text.contains(finding) || (agreed && code != Some(1)) {
            return Err(format!("{tls}: {code:?}: {text}\n{}", agent.log()).into());
        }
    }
    Ok(())
}
