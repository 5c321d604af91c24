use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::testing::{Authority, Pair};
use super::*;
use crate::net::accept::{self, Drain, Serve};
use crate::net::bind::Bound;
use crate::net::resolve::Resolver;
use crate::net::stream::{Peer, Stream};

mod open;

/// Says the names in the certificate of the peer, then what it reads.
struct Echo;

impl Serve for Echo {
    async fn serve(self: Arc<Self>, mut stream: Stream, _: Peer, _: Drain) {
        let names = stream
            .certificate()
            .map_or_else(|| "nobody".to_owned(), |shown| shown.names());
        stream.write_all(names.as_bytes()).await.ok();
        stream.write_all(b"\n").await.ok();
        stream.flush().await.ok();
        let mut buffer = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..read]).await.ok();
            stream.flush().await.ok();
        }
        stream.shutdown().await.ok();
    }
}

struct Listening {
    at: std::net::SocketAddr,
    slot: Slot,
    counters: Arc<Counters>,
}

async fn listen(options: ServerOptions) -> Listening {
    serve(Echo, Server::new(options).unwrap()).await
}

async fn serve<S: Serve>(service: S, server: Server) -> Listening {
    beside(service, server, Arc::default()).await
}

/// One of several listeners that are counted together.
async fn beside<S: Serve>(service: S, server: Server, counters: Arc<Counters>) -> Listening {
    let bound = Bound::to(&"127.0.0.1:0".parse().unwrap(), &Resolver::default()).await;
    let bound = bound.unwrap();
    let at = bound.local().unwrap();
    let slot = Slot::default();
    slot.set(Some(Arc::new(server)));
    let service = Handshakes::new(Arc::new(service), slot.clone(), Arc::clone(&counters));
    tokio::spawn(accept::accept(
        bound,
        Arc::new(service),
        accept::Limits::default(),
        Arc::default(),
        std::future::pending(),
    ));
    Listening { at, slot, counters }
}

/// Passes on what comes to a plain address.
struct Relay(String);

impl Serve for Relay {
    async fn serve(self: Arc<Self>, mut stream: Stream, _: Peer, _: Drain) {
        let mut plain = TcpStream::connect(&self.0).await.unwrap();
        let both = tokio::io::copy_bidirectional(&mut stream, &mut plain);
        both.await.ok();
    }
}

/// Puts TLS before a plain address, HTTP/2 included; where it is spoken.
pub(crate) async fn before(address: &str, options: ServerOptions) -> std::net::SocketAddr {
    let server = Server::new(options).unwrap();
    {
        let mut state = server.kept.state();
        let config = Arc::make_mut(&mut state.as_mut().unwrap().made.config);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    serve(Relay(address.to_owned()), server).await.at
}

impl Listening {
    /// The first line that comes over a connection, or why there is none.
    async fn ask(&self, connector: &Connector, host: &str) -> Result<String, Refusal> {
        let stream = Stream::Tcp(TcpStream::connect(self.at).await.unwrap());
        let read = async {
            let mut stream = connector.connect(stream, host, Some(b"http/1.1")).await?;
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                line.push(stream.read_u8().await?);
            }
            line.pop();
            Ok::<_, std::io::Error>(String::from_utf8(line).unwrap())
        };
        read.await.map_err(
            |error| match error.get_ref().map(|inner| inner.downcast_ref()) {
                Some(Some(refused)) => Refusal::clone(refused),
                _ => Refusal::of(&error).unwrap_or_else(|| panic!("{error:?}")),
            },
        )
    }

    async fn failed(&self, failure: Failure) {
        while self.counters.failed(failure) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// A directory with an authority, `ca.pem`, and what it issues.
pub(crate) struct Place {
    directory: TempDir,
    pub(crate) authority: Authority,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("ours");
        authority.write(directory.path(), "ca");
        Self {
            directory,
            authority,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn serving(&self, pair: &Pair) -> ServerOptions {
        let (cert_file, key_file) = pair.write(self.directory.path(), "server");
        serde_json::from_value(serde_json::json!({"cert_file": cert_file, "key_file": key_file}))
            .unwrap()
    }

    pub(crate) fn trusting(&self) -> ClientOptions {
        ClientOptions {
            ca_file: Some(self.path("ca.pem")),
            ..ClientOptions::default()
        }
    }

    /// Options with a certificate of one's own.
    pub(crate) fn showing(&self, name: &str, pair: &Pair) -> ClientOptions {
        let (cert_file, key_file) = pair.write(self.directory.path(), name);
        ClientOptions {
            cert_file: Some(cert_file),
            key_file: Some(key_file),
            ..self.trusting()
        }
    }

    fn known(&self, name: &str, pair: &Pair) -> Connector {
        Connector::new(self.showing(name, pair))
    }
}

fn said(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_compared_whole_and_as_texts() {
    let names = [
        "Web-1.example",
        "*.wild.example",
        "10.0.0.5",
        "spiffe://example/a",
    ];
    let pair = Authority::new("ours").issue(&names);
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(pair.cert.as_bytes()).unwrap();
    let shown = Certificate::new(der);
    let has = |name: &str| shown.is_one_of(&["other".parse().unwrap(), name.parse().unwrap()]);
    for name in [
        "web-1.EXAMPLE",
        "*.wild.example",
        "10.0.0.5",
        "spiffe://example/a",
    ] {
        assert!(has(name), "{name}");
    }
    for name in [
        "a.wild.example",
        "example",
        "10.0.0.6",
        "spiffe://example/A",
        "spiffe://example/a/b",
    ] {
        assert!(!has(name), "{name}");
    }
    assert!(!shown.is_one_of(&[]));
    assert_eq!(
        shown.names(),
        "Web-1.example, *.wild.example, spiffe://example/a"
    );
    for text in ["", "a b", "admin@example", "é"] {
        assert!(text.parse::<Name>().is_err(), "{text}");
    }
}

#[test]
fn faults_name_the_key_the_file_and_the_reason() {
    let place = Place::new();
    let pair = place.authority.issue(&["localhost"]);
    let good = place.serving(&pair);
    assert_eq!(said(&good.faults()), "");
    let other = place.authority.issue(&["localhost"]);
    other.write(place.directory.path(), "other");
    std::fs::write(place.path("text"), "hello").unwrap();
    std::fs::write(place.path("torn"), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    let locked = pair.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    std::fs::write(place.path("locked"), locked).unwrap();
    let with = |cert: &str, key: &str| ServerOptions {
        cert_file: place.path(cert),
        key_file: place.path(key),
        ..good.clone()
    };
    for (options, key, why) in [
        (with("gone", "server.key"), "cert_file", "No such file"),
        (with("text", "server.key"), "cert_file", "no certificate in"),
        (with("torn", "server.key"), "cert_file", "no END line"),
        (with("server.crt", "text"), "key_file", "no private key in"),
        (with("server.crt", "locked"), "key_file", "is encrypted"),
        (
            with("server.crt", "other.key"),
            "key_file",
            "does not belong to the certificate",
        ),
        (
            ServerOptions {
                client_ca_file: Some(place.path("server.key")),
                ..good.clone()
            },
            "client_ca_file",
            "no certificate in",
        ),
        (
            ServerOptions {
                client_auth_type: Some(ClientAuth::VerifyClientCertIfGiven),
                ..good.clone()
            },
            "client_auth_type",
            "needs client_ca_file",
        ),
        (
            ServerOptions {
                client_allowed_sans: vec!["a".parse().unwrap()],
                ..good.clone()
            },
            "client_allowed_sans",
            "needs client_ca_file",
        ),
        (
            ServerOptions {
                min_version: Version::TLS13,
                max_version: Some(Version::TLS12),
                ..good.clone()
            },
            "max_version",
            "older",
        ),
    ] {
        let said = said(&options.faults());
        assert!(said.starts_with(key) && said.contains(why), "{said}");
        assert!(!said.contains(pair.key.lines().nth(1).unwrap()), "{said}");
    }
    let client = ClientOptions {
        cert_file: Some(place.path("server.crt")),
        ..ClientOptions::default()
    };
    assert!(said(&client.faults(true)).contains("set key_file too"));
    let client = ClientOptions {
        ca_file: Some(place.path("text")),
        ..ClientOptions::default()
    };
    assert!(said(&client.faults(true)).starts_with("tls.ca_file: no certificate in"));
}

#[test]
fn an_expired_certificate_and_a_key_for_everybody_are_worth_a_warning() {
    let place = Place::new();
    let good = place.serving(&place.authority.issue(&["localhost"]));
    assert_eq!(said(&good.warnings()), "");
    let old = place.serving(&place.authority.issue_until(&["localhost"], 2020));
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&old.key_file, mode).unwrap();
    assert_eq!(said(&old.faults()), "");
    let said = said(&old.warnings());
    assert!(said.contains("expired on 2020-01-01T00:00:00Z"), "{said}");
    assert!(
        said.contains("everybody on this machine may read"),
        "{said}"
    );
    assert_eq!(Server::new(old).unwrap().not_after(), Some(1_577_836_800));
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_its_name() {
    let place = Place::new();
    let listening =
        listen(place.serving(&place.authority.issue(&["web-1.example", "127.0.0.1"]))).await;
    let connector = Connector::new(place.trusting());
    for host in ["web-1.example", "127.0.0.1"] {
        assert_eq!(listening.ask(&connector, host).await.unwrap(), "nobody");
    }
    let wrong = listening
        .ask(&connector, "web-2.example")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("is for web-1.example, 127.0.0.1, not for web-2.example"),
        "{wrong}"
    );
    let named = Connector::new(ClientOptions {
        server_name: Some("web-1.example".into()),
        ..place.trusting()
    });
    listening.ask(&named, "web-2.example").await.unwrap();
    Authority::new("others").write(place.directory.path(), "others");
    let stranger = Connector::new(ClientOptions {
        ca_file: Some(place.path("others.pem")),
        ..ClientOptions::default()
    });
    let wrong = listening
        .ask(&stranger, "web-1.example")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("no authority that is trusted here: set tls.ca_file"),
        "{wrong}"
    );
    listening.failed(Failure::Certificate).await;
    assert_eq!(listening.counters.done.get(), 3);
}

#[tokio::test]
async fn an_expired_server_is_not_trusted() {
    let place = Place::new();
    let listening = listen(place.serving(&place.authority.issue_until(&["localhost"], 2020))).await;
    let wrong = listening
        .ask(&Connector::new(place.trusting()), "localhost")
        .await;
    let wrong = wrong.unwrap_err().to_string();
    assert_eq!(wrong, "its certificate expired on 2020-01-01T00:00:00Z");
}

#[tokio::test]
async fn who_must_have_a_certificate_comes_in_with_an_allowed_one_alone() {
    let place = Place::new();
    let required = ServerOptions {
        client_ca_file: Some(place.path("ca.pem")),
        client_allowed_sans: vec!["am.example".parse().unwrap()],
        ..place.serving(&place.authority.issue(&["localhost"]))
    };
    let listening = listen(required.clone()).await;
    let am = place.known("am", &place.authority.issue(&["am.example"]));
    let other = place.known("other", &place.authority.issue(&["other.example"]));
    let stranger = place.known("stranger", &Authority::new("others").issue(&["am.example"]));
    let old = place.known("old", &place.authority.issue_until(&["am.example"], 2020));
    let nobody = Connector::new(place.trusting());
    assert_eq!(listening.ask(&am, "localhost").await.unwrap(), "am.example");
    for refused in [&other, &stranger, &old] {
        let why = listening.ask(refused, "localhost").await.unwrap_err();
        assert!(matches!(why, Refusal::Ours(_)), "{why:?}");
    }
    let why = listening
        .ask(&nobody, "localhost")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("asks for a client certificate: set tls.cert_file"),
        "{why}"
    );
    assert_eq!(listening.counters.failed(Failure::Certificate), 4);
    let listening = listen(ServerOptions {
        client_auth_type: Some(ClientAuth::VerifyClientCertIfGiven),
        client_allowed_sans: Vec::new(),
        ..required
    })
    .await;
    assert_eq!(listening.ask(&nobody, "localhost").await.unwrap(), "nobody");
    assert_eq!(
        listening.ask(&other, "localhost").await.unwrap(),
        "other.example"
    );
    assert!(listening.ask(&stranger, "localhost").await.is_err());
}

#[tokio::test]
async fn only_versions_that_are_allowed_are_spoken() {
    let place = Place::new();
    let options = place.serving(&place.authority.issue(&["localhost"]));
    let connector = Connector::new(place.trusting());
    for version in [Version::TLS12, Version::TLS13] {
        let only = ServerOptions {
            min_version: version,
            max_version: Some(version),
            ..options.clone()
        };
        let listening = listen(only).await;
        assert_eq!(
            listening.ask(&connector, "localhost").await.unwrap(),
            "nobody"
        );
    }
}

#[tokio::test]
async fn what_is_no_tls_is_counted_and_costs_nobody_else() {
    let place = Place::new();
    let listening = listen(place.serving(&place.authority.issue(&["localhost"]))).await;
    for (sent, failure) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], Failure::NotTls),
        (b"\x16\x03\x01\x02\x00\x01\x00", Failure::Closed),
        (
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            Failure::Protocol,
        ),
    ] {
        let mut stream = TcpStream::connect(listening.at).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut away = Vec::new();
        stream.read_to_end(&mut away).await.ok();
        listening.failed(failure).await;
    }
    let connector = Connector::new(place.trusting());
    listening.ask(&connector, "localhost").await.unwrap();
    listening.slot.set(None);
    let mut plain = TcpStream::connect(listening.at).await.unwrap();
    let mut line = [0; 7];
    plain.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"nobody\n");
    let why = listening.ask(&connector, "localhost").await.unwrap_err();
    assert_eq!(why, Refusal::NotTls);
}

#[tokio::test]
async fn who_says_nothing_is_waited_for_so_long_and_among_so_many() {
    let place = Place::new();
    let listening = listen(place.serving(&place.authority.issue(&["localhost"]))).await;
    let mut silent = Vec::new();
    while listening.counters.failed(Failure::Busy) == 0 {
        silent.push(TcpStream::connect(listening.at).await.unwrap());
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    listening.failed(Failure::Timeout).await;
    let connector = Connector::new(place.trusting());
    listening.ask(&connector, "localhost").await.unwrap();
}

#[tokio::test]
async fn a_flooded_listener_takes_no_room_of_another() {
    let place = Place::new();
    let server = || Server::new(place.serving(&place.authority.issue(&["localhost"]))).unwrap();
    let flooded = beside(Echo, server(), Arc::default()).await;
    let other = beside(Echo, server(), Arc::clone(&flooded.counters)).await;
    let mut silent = Vec::new();
    while flooded.counters.failed(Failure::Busy) == 0 {
        silent.push(TcpStream::connect(flooded.at).await.unwrap());
        tokio::task::yield_now().await;
    }
    let connector = Connector::new(place.trusting());
    other.ask(&connector, "localhost").await.unwrap();
}

async fn a_second_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn changed_files_are_taken_and_broken_ones_leave_those_before() {
    let place = Place::new();
    let options = place.serving(&place.authority.issue(&["first.example"]));
    let listening = listen(options.clone()).await;
    let connector = Connector::new(place.trusting());
    listening.ask(&connector, "first.example").await.unwrap();
    a_second_later().await;
    place.serving(&place.authority.issue(&["second.example"]));
    listening.ask(&connector, "second.example").await.unwrap();
    // Half of a change: the certificate is there, its key not yet.
    let third = place.authority.issue(&["third.example"]);
    std::fs::write(&options.cert_file, &third.cert).unwrap();
    a_second_later().await;
    listening.ask(&connector, "second.example").await.unwrap();
    std::fs::write(&options.key_file, &third.key).unwrap();
    a_second_later().await;
    listening.ask(&connector, "third.example").await.unwrap();
    std::fs::remove_file(&options.key_file).unwrap();
    a_second_later().await;
    listening.ask(&connector, "third.example").await.unwrap();
}

#[tokio::test]
async fn a_client_takes_a_changed_authority_and_keeps_the_one_before_a_broken_one() {
    let place = Place::new();
    let listening = listen(place.serving(&place.authority.issue(&["localhost"]))).await;
    Authority::new("others").write(place.directory.path(), "trusted");
    let trusted = place.path("trusted.pem");
    let connector = Connector::new(ClientOptions {
        ca_file: Some(trusted.clone()),
        ..ClientOptions::default()
    });
    listening.ask(&connector, "localhost").await.unwrap_err();
    std::fs::write(&trusted, &place.authority.pem).unwrap();
    a_second_later().await;
    listening.ask(&connector, "localhost").await.unwrap();
    std::fs::write(&trusted, "nothing").unwrap();
    a_second_later().await;
    listening.ask(&connector, "localhost").await.unwrap();
}

#[test]
fn the_authorities_of_the_system_are_read_once_for_all() {
    let Some(file) = roots::file() else { return };
    assert!(file.is_absolute() && Path::new(&file).exists());
    let (one, two) = (roots::system().unwrap(), roots::system().unwrap());
    assert!(Arc::ptr_eq(&one, &two) && !one.is_empty());
}
