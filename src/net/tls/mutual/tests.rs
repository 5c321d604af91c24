//! Two ends, each with its own options.

use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::Refusal;
use super::super::testing::{Authority, Pair};
use super::*;
use crate::net::stream::Stream;

mod changes;

/// Files of two hosts of one authority, and of a stranger.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for authority in ["ours", "theirs"] {
            let issuer = Authority::new(authority);
            issuer.write(at, authority);
            issuer.issue(&["agent.example"]).write(at, authority);
        }
        for (name, key) in [("a.psk", "0123456789abcdef"), ("b.psk", "fedcba9876543210")] {
            std::fs::write(at.join(name), key.repeat(4)).unwrap();
        }
        Self { directory }
    }

    fn at(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }

    /// By certificate: the one of `own`, and taking those of `trusted`.
    fn cert(&self, own: &str, trusted: &str) -> Options {
        Options {
            accept: vec![Kind::Cert],
            connect: Some(Kind::Cert),
            ca_file: self.at(&format!("{trusted}.pem")),
            cert_file: self.at(&format!("{own}.crt")),
            key_file: self.at(&format!("{own}.key")),
            ..Options::default()
        }
    }

    #[cfg(feature = "psk")]
    fn psk(&self, identity: &str, file: &str) -> Options {
        Options {
            accept: vec![Kind::Psk],
            connect: Some(Kind::Psk),
            psk_identity: Some(identity.to_owned()),
            psk_file: self.at(file),
            ..Options::default()
        }
    }
}

/// What became of a connection at both ends: what was said, or why nothing was.
type Met = (Result<String, Refusal>, Result<String, Refusal>);

async fn meet(server: &Options, client: &Options) -> Met {
    ends(&Server::new(server.clone()), &Client::new(client.clone())).await
}

async fn ends(server: &Server, client: &Client) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let taking = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = match server.meet(Stream::Tcp(stream)).await? {
            Some(stream) => stream,
            None => return Err(Refusal::Other("nothing came".into())),
        };
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(b"reply").await.unwrap();
        stream.flush().await.unwrap();
        // Whoever is gone has what it wanted.
        stream.shutdown().await.ok();
        Ok(String::from_utf8(said.to_vec()).unwrap())
    };
    let making = async {
        let stream = Stream::Tcp(TcpStream::connect(at).await.unwrap());
        let mut stream = client.connect(stream).await?;
        let mut said = [0; 5];
        let talk = async {
            stream.write_all(b"hello").await?;
            stream.flush().await?;
            stream.read_exact(&mut said).await.map(drop)
        };
        talk.await.map_err(|error| super::refusal::of(&error))?;
        Ok(String::from_utf8(said.to_vec()).unwrap())
    };
    tokio::join!(taking, making)
}

fn good(met: &Met) -> bool {
    met.0.as_deref() == Ok("hello") && met.1.as_deref() == Ok("reply")
}

#[tokio::test]
async fn each_end_takes_a_certificate_of_its_authority_with_the_issuer_and_subject_it_wants() {
    let files = Files::new();
    let ours = files.cert("ours", "ours");
    assert!(ours.faults().is_empty(), "{:?}", ours.faults());
    assert!(good(&meet(&ours, &ours).await));
    let named = |issuer: &str, subject: &str| Options {
        server_cert_issuer: Some(issuer.to_owned()),
        server_cert_subject: Some(subject.to_owned()),
        ..ours.clone()
    };
    let right = named("CN=ours", "CN=rcgen self signed cert");
    assert!(good(&meet(&right, &right).await));
    for wrong in [
        named("CN=theirs", "CN=rcgen self signed cert"),
        named("CN=ours", "CN=x"),
    ] {
        let (taken, _) = meet(&wrong, &ours).await;
        let why = taken.unwrap_err().to_string();
        assert!(
            why.contains("of its certificate is") && why.contains("server_cert_"),
            "{why}"
        );
        let (_, made) = meet(&ours, &wrong).await;
        let why = made.unwrap_err().to_string();
        assert!(why.contains("of its certificate is"), "{why}");
    }
    let theirs = files.cert("theirs", "ours");
    let (taken, made) = meet(&ours, &theirs).await;
    assert!(matches!(taken, Err(Refusal::Certificate(_))), "{taken:?}");
    assert!(made.is_err());
    let (_, made) = meet(&theirs, &ours).await;
    assert!(matches!(made, Err(Refusal::Certificate(_))), "{made:?}");
}

#[tokio::test]
async fn what_is_not_accepted_is_told_from_what_is() {
    let files = Files::new();
    let (plain, cert) = (Options::default(), files.cert("ours", "ours"));
    let both = Options {
        accept: vec![Kind::Unencrypted, Kind::Cert],
        ..cert.clone()
    };
    for client in [&plain, &cert] {
        assert!(good(&meet(&both, client).await));
    }
    assert!(good(&meet(&plain, &plain).await));
    let why = |met: (Result<String, Refusal>, _)| met.0.unwrap_err().to_string();
    assert!(why(meet(&cert, &plain).await).contains("not encrypted"));
    assert!(why(meet(&plain, &cert).await).contains("neither psk nor cert"));
}

#[cfg(feature = "psk")]
#[tokio::test]
async fn who_has_the_key_comes_in_and_nobody_else() {
    let files = Files::new();
    let (key, cert) = (files.psk("web 1", "a.psk"), files.cert("ours", "ours"));
    assert!(key.faults().is_empty(), "{:?}", key.faults());
    assert!(good(&meet(&key, &key).await));
    for other in [
        files.psk("web 1", "b.psk"),
        files.psk("web 2", "a.psk"),
        cert.clone(),
    ] {
        let (taken, made) = meet(&key, &other).await;
        assert!(taken.is_err() && made.is_err(), "{taken:?} {made:?}");
    }
    let (taken, _) = meet(&key, &files.psk("web 1", "b.psk")).await;
    let why = taken.unwrap_err().to_string();
    assert!(why.contains("keys or their identities differ"), "{why}");
    // A server without the key and with a certificate is none to somebody who wants the key.
    assert!(meet(&cert, &key).await.1.is_err());
    let all = Options {
        accept: vec![Kind::Unencrypted, Kind::Psk, Kind::Cert],
        psk_identity: key.psk_identity.clone(),
        psk_file: key.psk_file.clone(),
        ..cert.clone()
    };
    assert!(all.faults().is_empty(), "{:?}", all.faults());
    for client in [&Options::default(), &key, &cert] {
        let met = meet(&all, client).await;
        assert!(good(&met), "{client:?}: {met:?}");
    }
    let (taken, _) = meet(&all, &files.cert("theirs", "ours")).await;
    assert!(matches!(taken, Err(Refusal::Certificate(_))), "{taken:?}");
    let picky = Options {
        server_cert_subject: Some("CN=x".into()),
        ..all.clone()
    };
    assert!(meet(&picky, &cert).await.0.is_err());
    assert!(good(&meet(&picky, &key).await));
    let (taken, _) = meet(&all, &files.psk("web 1", "b.psk")).await;
    assert!(taken.is_err());
}

#[test]
fn what_does_not_fit_together_is_said_with_its_key() {
    let said = |options: &Options, listens, connects| -> Vec<String> {
        let faults = options.check(listens, connects);
        faults.iter().map(|fault| fault.key.to_owned()).collect()
    };
    let files = Files::new();
    let cert = files.cert("ours", "ours");
    assert_eq!(said(&cert, true, true), [""; 0]);
    assert_eq!(said(&Options::default(), true, true), ["accept", "connect"]);
    let idle = Options {
        accept: vec![Kind::Unencrypted],
        connect: None,
        server_cert_issuer: Some("CN=a".into()),
        crl_file: files.at("x"),
        psk_identity: Some("x".repeat(129)),
        ..cert.clone()
    };
    assert_eq!(
        said(&idle, true, false),
        [
            "ca_file",
            "cert_file",
            "key_file",
            "psk_identity",
            "server_cert_issuer",
            "crl_file",
            "psk_identity"
        ]
    );
    let bare = Options {
        accept: vec![Kind::Cert],
        ..Options::default()
    };
    assert_eq!(
        said(&bare, true, false),
        ["ca_file", "cert_file", "key_file"]
    );
    let psk = Options {
        connect: Some(Kind::Psk),
        ..Options::default()
    };
    match cfg!(feature = "psk") {
        true => assert_eq!(said(&psk, false, true), ["psk_identity", "psk_file"]),
        false => {
            let faults = psk.check(false, true);
            let why = faults.first().unwrap();
            assert!(
                why.key == "connect" && why.why.contains("feature psk"),
                "{why}"
            );
        }
    }
    let gone = Options {
        key_file: Some(Path::new("/nonexistent/key").to_owned()),
        ..cert
    };
    let faults = gone.faults();
    assert_eq!(
        faults.iter().map(|fault| fault.key).collect::<Vec<_>>(),
        ["key_file"]
    );
}
