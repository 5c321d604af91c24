//! Connections that are open when what their listener speaks changes.

use super::*;

/// Repeats what it reads, until it is told to come to its end.
struct Patient;

impl Serve for Patient {
    async fn serve(self: Arc<Self>, mut stream: Stream, _: Peer, drain: Drain) {
        loop {
            let read = tokio::select! {
                read = stream.read_u8() => read,
                () = drain.clone().on() => break,
            };
            let Ok(byte) = read else { return };
            stream.write_all(&[byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.ok();
    }
}

/// Whether a connection still has answers.
async fn answers(stream: &mut Stream) -> bool {
    stream.write_all(b"x").await.is_ok() && stream.read_u8().await.is_ok()
}

#[tokio::test]
async fn a_connection_ends_once_other_tls_is_spoken_and_not_before() {
    let place = Place::new();
    let options = place.serving(&place.authority.issue(&["localhost"]));
    let server = |options: &ServerOptions| Arc::new(Server::new(options.clone()).unwrap());
    let listening = serve(Patient, Server::new(options.clone()).unwrap()).await;
    let plain = || async { Stream::Tcp(TcpStream::connect(listening.at).await.unwrap()) };
    let connector = Connector::new(place.trusting());
    let secure = || async {
        let stream = connector.connect(plain().await, "localhost", Some(b"http/1.1"));
        let mut stream = stream.await.unwrap();
        assert!(answers(&mut stream).await);
        stream
    };

    let mut kept = secure().await;
    listening.slot.set(Some(server(&options)));
    assert!(answers(&mut kept).await, "the same again is no change");
    let asking = ServerOptions {
        client_ca_file: Some(place.path("ca.pem")),
        client_auth_type: Some(ClientAuth::VerifyClientCertIfGiven),
        ..options.clone()
    };
    listening.slot.set(Some(server(&asking)));
    assert!(kept.read_u8().await.is_err());

    // A file of its settings is another one.
    let mut kept = secure().await;
    let others = Authority::new("others");
    std::fs::write(
        place.path("ca.pem"),
        format!("{}{}", place.authority.pem, others.pem),
    )
    .unwrap();
    a_second_later().await;
    let mut next = secure().await;
    assert!(kept.read_u8().await.is_err());
    assert!(answers(&mut next).await, "it was made under what is spoken");

    listening.slot.set(None);
    assert!(next.read_u8().await.is_err());
    let mut kept = plain().await;
    assert!(answers(&mut kept).await);
    listening.slot.set(None);
    assert!(answers(&mut kept).await);
    listening.slot.set(Some(server(&options)));
    assert!(kept.read_u8().await.is_err());
}
