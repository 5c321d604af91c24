//! TLS between us and the receiver: who is not trusted gets nothing, and what is refused is sent again once that is set right.

use super::*;
use crate::net::tls::ClientOptions;
use crate::net::tls::testing::Authority;
use crate::net::tls::tests::{Place, before};

const BOTH: [Protocol; 2] = [Protocol::HttpProtobuf, Protocol::Grpc];

fn secured(port: u16, protocol: Protocol, tls: ClientOptions) -> Route {
    let plain = route(&format!("127.0.0.1:{port}"), protocol, Compression::Gzip);
    let secure = format!("https://127.0.0.1:{port}");
    let secure: crate::net::endpoint::Endpoint = secure.parse().unwrap();
    Route {
        endpoint: secure.at(plain.endpoint.path().as_str()).unwrap(),
        tls,
        ..plain
    }
}

fn reply(protocol: Protocol) -> Reply {
    match protocol {
        Protocol::HttpProtobuf => Reply::http(200),
        Protocol::Grpc => Reply::grpc(0),
    }
}

#[tokio::test]
async fn only_an_authority_that_is_trusted_lets_telemetry_out() {
    for protocol in BOTH {
        let server = Server::answering(protocol, reply(protocol)).await;
        let place = Place::new();
        let pair = place.authority.issue(&["127.0.0.1"]);
        let port = before(&server.address, place.serving(&pair)).await.port();
        assert_eq!(
            exchange(&secured(port, protocol, place.trusting())).await,
            taken()
        );
        let others = tempfile::tempdir().unwrap();
        let stranger = ClientOptions {
            ca_file: Some(Authority::new("others").write(others.path(), "others")),
            ..ClientOptions::default()
        };
        let Answer::Later { reason, wait, told } =
            exchange(&secured(port, protocol, stranger)).await
        else {
            panic!("{protocol:?}: a stranger's authority was trusted");
        };
        assert_eq!((reason, wait), (Reason::Connect, None));
        assert!(told.contains("ca_file"), "{told}");
        assert_eq!(server.asked().len(), 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_waited_out() {
    for protocol in BOTH {
        let server = Server::answering(protocol, reply(protocol)).await;
        let place = Place::new();
        let pair = place.authority.issue_until(&["127.0.0.1"], 2020);
        let port = before(&server.address, place.serving(&pair)).await.port();
        let Answer::Later { reason, told, .. } =
            exchange(&secured(port, protocol, place.trusting())).await
        else {
            panic!("{protocol:?}: an expired certificate was trusted");
        };
        assert_eq!(reason, Reason::Connect);
        assert!(told.contains("expired on 2020-01-01"), "{told}");
        assert_eq!(server.asked().len(), 0);
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_certificate_gets_the_one_of_the_route() {
    for protocol in BOTH {
        let server = Server::answering(protocol, reply(protocol)).await;
        let place = Place::new();
        let mut serving = place.serving(&place.authority.issue(&["127.0.0.1"]));
        serving.client_ca_file = Some(place.path("ca.pem"));
        let port = before(&server.address, serving).await.port();
        let mine = place.showing("mine", &place.authority.issue(&["node.example"]));
        assert_eq!(exchange(&secured(port, protocol, mine)).await, taken());
        let foreign = Authority::new("others").issue(&["node.example"]);
        for unknown in [place.trusting(), place.showing("foreign", &foreign)] {
            let answer = exchange(&secured(port, protocol, unknown)).await;
            assert!(
                matches!(answer, Answer::Later { .. }),
                "{protocol:?} {answer:?}"
            );
        }
        assert_eq!(server.asked().len(), 1);
    }
}
