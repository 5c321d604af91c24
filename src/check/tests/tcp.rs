use serde_json::json;
use tokio::net::TcpSocket;

use super::*;

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_port_that_somebody_listens_on_passes_though_nobody_accepts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = probe(json!({"tcp": {"address": address}}), &world()).await;
    assert!(said.ok, "{}", said.why);
    drop(listener);
    let said = probe(json!({"tcp": {"address": address}}), &world()).await;
    assert!(!said.ok && said.why.contains("refused"), "{}", said.why);
    assert!(!said.blind, "a refusal tells how it is");
}

#[tokio::test]
async fn a_full_queue_times_out() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The queue takes one more than it is told to; the next connection is never answered.
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(SOON, tokio::net::TcpStream::connect(address)).await
    {
        held.push(stream);
    }
    let said = within(
        SOON,
        json!({"tcp": {"address": address.to_string()}}),
        &world(),
    )
    .await;
    assert!(
        !said.ok && !said.blind && said.why.starts_with("timed out"),
        "{}",
        said.why
    );
}

#[tokio::test]
async fn a_name_that_is_not_looked_up_says_nothing_of_the_service() {
    let failing = Resolver::over(|_| Err(std::io::Error::other("no name server")));
    let nowhere = Resolver::over(|_| Ok(Vec::new()));
    for (resolver, why) in [(failing, "no name server"), (nowhere, "has no address")] {
        let world = over(Host::default(), resolver);
        for options in [
            json!({"tcp": {"address": "web.invalid:80"}}),
            json!({"http": {"url": "http://web.invalid/"}}),
        ] {
            let said = probe(options, &world).await;
            assert!(said.blind && !said.ok && said.why.contains(why), "{said:?}");
        }
    }
}

#[tokio::test]
async fn a_name_server_that_hangs_times_out_and_holds_nobody() {
    let (release, world) = over_names_that_hang();
    let said = within(
        SOON,
        json!({"tcp": {"address": "hangs.invalid:80"}}),
        &world,
    )
    .await;
    assert!(
        said.blind && said.why.contains("could not be looked up in time"),
        "{}",
        said.why
    );
    drop(release);
}

#[tokio::test]
async fn a_unix_socket_is_an_address_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.sock");
    let address = format!("unix:{}", path.display());
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(
        probe(json!({"tcp": {"address": address}}), &world())
            .await
            .ok
    );
    drop(listener);
    assert!(
        !probe(json!({"tcp": {"address": address}}), &world())
            .await
            .ok
    );
}
