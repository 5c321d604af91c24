//! zabbix_get, agent 2 and openssl beside us under TLS, by certificate and by pre-shared key, and what comes to such a port that is neither.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Failed;
use nodeward::dialect::zabbix::passive::{Counters, Options, Outcome};
use nodeward::model::duration::Period;
use nodeward::net::stream::Stream;
use nodeward::net::tls::mutual::{self, Kind};

use crate::PeerTest;
use crate::process::{patience, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::zabbix_wire::Ours;

mod others;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "zabbix_tls::zabbix_get_is_answered_by_certificate_and_by_key_and_strangers_are_not",
        needs: &[Peer::ZabbixGet, Peer::Openssl],
        run: strangers,
    },
    PeerTest {
        name: "zabbix_tls::what_is_no_handshake_is_closed_in_time_and_counted",
        needs: &[Peer::Openssl],
        run: no_handshake,
    },
    PeerTest {
        name: "zabbix_tls::openssl_has_the_same_key_in_both_versions_and_both_ways",
        needs: &[Peer::Openssl],
        run: others::versions,
    },
    PeerTest {
        name: "zabbix_tls::an_agent_2_is_compared_and_examined_under_tls",
        needs: &[Peer::Openssl, Peer::ZabbixAgent2],
        run: others::agent2,
    },
];

/// The name of the key.
pub const IDENTITY: &str = "peer 1";
/// A subject with what has to be escaped, as Zabbix and OpenSSL write it.
const SUBJECT: &str = "CN=a\\, b\\+c\\;d é,OU=Ops,O=Example";
/// The same as `openssl req -subj` takes it.
const SUBJECT_ASKED: &str = "/O=Example/OU=Ops/CN=a, b\\+c;d é";
/// The authority of all but strangers.
pub const ISSUER: &str = "CN=ours,O=Example";

/// Certificates of RSA, as GnuTLS builds of Zabbix ask for, and keys.
pub struct Files<'a>(&'a Scratch);

impl<'a> Files<'a> {
    pub fn new(scratch: &'a Scratch) -> Result<Self, Failed> {
        let files = Self(scratch);
        for authority in ["ours", "theirs"] {
            let (key, cert) = (format!("{authority}-ca.key"), format!("{authority}-ca.crt"));
            let subject = format!("/O=Example/CN={authority}");
            files.openssl(&[
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-utf8", "-keyout",
                &key, "-out", &cert, "-subj", &subject,
            ])?;
            let (own_key, own) = (format!("{authority}.key"), format!("{authority}.crt"));
            files.openssl(&[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-utf8",
                "-keyout",
                &own_key,
                "-out",
                &own,
                "-subj",
                SUBJECT_ASKED,
                "-CA",
                &cert,
                "-CAkey",
                &key,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])?;
        }
        for (name, half) in [
            ("good.psk", "0123456789abcdef"),
            ("bad.psk", "fedcba9876543210"),
        ] {
            std::fs::write(files.at(name), format!("{}\n", half.repeat(4)))?;
        }
        Ok(files)
    }

    fn openssl(&self, arguments: &[&str]) -> Result<(), Failed> {
        let mut command = Command::new(Peer::Openssl.find()?);
        let out = command
            .current_dir(self.0.path())
            .args(arguments)
            .output()?;
        match out.status.success() {
            true => Ok(()),
            false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr)).into()),
        }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What nodeward takes: everything that is protected, of who is of our authority.
    fn options(&self) -> mutual::Options {
        let mut options = mutual::Options {
            accept: vec![Kind::Cert],
            ca_file: Some(self.at("ours-ca.crt")),
            cert_file: Some(self.at("ours.crt")),
            key_file: Some(self.at("ours.key")),
            server_cert_issuer: Some(ISSUER.into()),
            server_cert_subject: Some(SUBJECT.into()),
            ..mutual::Options::default()
        };
        if cfg!(feature = "psk") {
            options.accept.push(Kind::Psk);
            options.psk_identity = Some(IDENTITY.into());
            options.psk_file = Some(self.at("good.psk"));
        }
        options
    }

    fn serve(&self, tls: mutual::Options, counters: &Arc<Counters>) -> Result<Ours, Failed> {
        let options = Options {
            server: vec!["127.0.0.1".to_owned()],
            hostname: Some("peer".to_owned()),
            tls: Some(tls),
            timeout: Period::secs(1),
            ..Options::default()
        };
        Ours::by(&options, Arc::clone(counters))
    }

    /// Why zabbix_get with these options is refused.
    fn refused(&self, tls: &[&str]) -> Result<String, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let server = mutual::Server::new(self.options());
        std::thread::scope(|scope| {
            let asking =
                scope.spawn(|| self.get(port, tls).map_err(|failed| format!("{failed:?}")));
            let met = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let (stream, _) = tokio::time::timeout(patience(), listener.accept()).await??;
                let met = server.meet(Stream::Tcp(stream)).await;
                Ok::<_, Failed>(met.err().map(|why| why.to_string()))
            })?;
            asking.join().map_err(|_| "zabbix_get could not be run")??;
            met.ok_or_else(|| "it was let in".into())
        })
    }

    /// What zabbix_get says with these options.
    fn get(&self, port: u16, tls: &[&str]) -> Result<String, Failed> {
        let mut command = Command::new(Peer::ZabbixGet.find()?);
        command.current_dir(self.0.path()).args(["-s", "127.0.0.1"]);
        command.args(["-p", &port.to_string(), "-k", "agent.hostname"]);
        let out = command.args(tls).output()?;
        let said = [out.stdout, out.stderr].concat();
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }
}

fn by_key<'a>(identity: &'a str, file: &'a str) -> Vec<&'a str> {
    vec![
        "--tls-connect",
        "psk",
        "--tls-psk-identity",
        identity,
        "--tls-psk-file",
        file,
    ]
}

fn by_cert<'a>(cert: &'a str, key: &'a str) -> Vec<&'a str> {
    vec![
        "--tls-connect",
        "cert",
        "--tls-ca-file",
        "ours-ca.crt",
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
    ]
}

fn strangers() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let files = Files::new(&scratch)?;
    let counters = Arc::default();
    let ours = files.serve(files.options(), &counters)?;
    let with = |more: &[&'static str]| {
        let mut all = by_cert("ours.crt", "ours.key");
        all.extend_from_slice(more);
        all
    };
    let psk = cfg!(feature = "psk");
    let cases = [
        (with(&[]), true),
        (
            with(&[
                "--tls-agent-cert-issuer",
                ISSUER,
                "--tls-agent-cert-subject",
                SUBJECT,
            ]),
            true,
        ),
        (with(&["--tls-agent-cert-subject", "CN=a"]), false),
        (by_cert("theirs.crt", "theirs.key"), false),
        (by_key(IDENTITY, "good.psk"), psk),
        (by_key(IDENTITY, "bad.psk"), false),
        (by_key("peer 2", "good.psk"), false),
        (Vec::new(), false),
    ];
    let mut wrong = Vec::new();
    for (tls, answered) in &cases {
        let said = files.get(ours.address.port(), tls)?;
        if (said == "peer") != *answered {
            wrong.push(format!("{tls:?}: {said}"));
        }
    }
    let answered = cases.iter().filter(|(_, answered)| *answered).count();
    // One of them the client itself gave up, once it had seen our certificate: that is a handshake or an end. Who has its answer is counted
    // a moment later.
    until("what was answered and what was not is counted", || {
        let answered = counters.get(Outcome::Answered) == answered as u64;
        (answered && counters.get(Outcome::Tls) >= 4).then_some(())
    })?;
    // The same, with another issuer than theirs wanted: only keys are left.
    let mut picky = files.options();
    picky.server_cert_issuer = Some("CN=theirs,O=Example".into());
    let ours = files.serve(picky, &counters)?;
    for (tls, answered) in [(with(&[]), false), (by_key(IDENTITY, "good.psk"), psk)] {
        let said = files.get(ours.address.port(), &tls)?;
        if (said == "peer") != answered {
            wrong.push(format!("with another issuer, {tls:?}: {said}"));
        }
    }
    // Who looks into the log of a host whose key is another is told so.
    if psk {
        for tls in [by_key(IDENTITY, "bad.psk"), by_key("peer 2", "good.psk")] {
            let said = files.refused(&tls)?;
            if !said.contains("identity") {
                wrong.push(format!("{tls:?}: {said}"));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

fn no_handshake() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let files = Files::new(&scratch)?;
    let counters: Arc<Counters> = Arc::default();
    let mut tls = vec![files.options()];
    let mut only_cert = files.options();
    only_cert.accept = vec![Kind::Cert];
    (only_cert.psk_identity, only_cert.psk_file) = (None, None);
    tls.push(only_cert);
    // The head of a greeting of 512 bytes, and its first few.
    let half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half";
    for tls in tls {
        let ours = files.serve(tls, &counters)?;
        for (bytes, outcome) in [
            (
                &b"\x16garbage that is no record of TLS whatsoever"[..],
                Outcome::Tls,
            ),
            (b"ZBXD\x01\x0a\0\0\0\0\0\0\0agent.ping", Outcome::Tls),
            (b"GET / HTTP/1.0\r\n\r\n", Outcome::Tls),
            (half, Outcome::TimedOut),
            (b"\x16", Outcome::TimedOut),
            (b"", Outcome::TimedOut),
        ] {
            let before = counters.get(outcome);
            let mut stream = TcpStream::connect(ours.address)?;
            stream.set_read_timeout(Some(patience()))?;
            stream.write_all(bytes)?;
            let mut reply = Vec::new();
            let closed = stream.read_to_end(&mut reply);
            if closed.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                return Err(format!("{}: not closed", bytes.escape_ascii()).into());
            }
            // An alert of TLS at most, and never an answer.
            if reply.windows(4).any(|four| four == b"ZBXD") {
                return Err(format!("{}: answered", bytes.escape_ascii()).into());
            }
            // Counted once the connection is over, which is a moment later here.
            let about = bytes.escape_ascii();
            let what = format!("{about} to be counted as {outcome:?}");
            until(&what, || {
                (counters.get(outcome) == before + 1).then_some(())
            })?;
        }
    }
    Ok(())
}
