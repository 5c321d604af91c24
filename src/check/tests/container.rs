use serde_json::json;

use super::*;
use crate::peer::container::tests::{Fake, STATE};

fn asking(fake: &Fake) -> World {
    World {
        container: Arc::new(fake.engine()),
        ..world()
    }
}

#[tokio::test]
async fn one_look_is_one_call_and_what_the_engine_does_not_say_is_not_known() {
    for (answer, healthy, ok, blind, why) in [
        ((200, STATE), false, true, false, "api is running"),
        ((200, STATE), true, false, false, "its health starting"),
        (
            (404, r#"{"message":"no such container"}"#),
            true,
            false,
            false,
            "knows no container",
        ),
        (
            (500, r#"{"message":"disk full"}"#),
            false,
            false,
            true,
            "disk full",
        ),
        ((200, "{"), false, false, true, "not what its API promises"),
        ((200, ""), false, false, true, "not what its API promises"),
        ((0, ""), false, false, true, "closed the connection"),
    ] {
        let fake = Fake::answering(&[answer]);
        let options = json!({"container": {"name": "api", "healthy": healthy}});
        let seen = probe(options, &asking(&fake)).await;
        assert_eq!((seen.ok, seen.blind), (ok, blind), "{seen:?}");
        assert!(seen.why.contains(why), "{seen:?}");
        assert_eq!(fake.asked().await, ["GET /containers/api/json"]);
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_or_hangs_says_nothing_of_the_container() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let engine: crate::peer::container::Options =
        serde_json::from_value(json!({"socket": socket})).unwrap();
    let world = World {
        container: Arc::new(Engine::new(&engine)),
        ..world()
    };
    let options = json!({"container": {"name": "api"}});
    let seen = probe(options.clone(), &world).await;
    assert!(
        seen.blind && seen.why.contains("no container engine"),
        "{seen:?}"
    );
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let seen = within(Duration::from_millis(300), options, &world).await;
    assert!(seen.blind && !seen.ok, "{seen:?}");
}
