use std::time::Duration;

use tokio::net::UnixListener;

use super::*;

const NAMES: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                     srv_check_result srv_check_state";
const COLUMNS: &str =
    "# pxname,svname,scur,stot,bck,sid,type,check_rise,check_fall,check_health,last_chk,";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn read(states: &str, counts: &str) -> Result<Vec<Server>, Malformed> {
    let states = format!("1\n{NAMES}\n{states}\n");
    let counts = format!("{COLUMNS}\n{counts}\n");
    servers(states.as_bytes(), counts.as_bytes(), "web")
}

#[test]
fn a_name_holds_no_second_command() {
    for right in ["web", "web-1", "a_b.c:80", &"x".repeat(255)] {
        assert_eq!(name(right).to_string(), right);
    }
    for wrong in [
        "",
        "a b",
        "a;b",
        "a\nb",
        "a/b",
        "a\\b",
        "#1",
        "<<",
        "é",
        "a\0",
        &"x".repeat(256),
    ] {
        assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
    }
}

#[test]
fn both_lists_are_joined_by_the_number_of_the_server() {
    let states = "4 web 1 a 127.0.0.1 2 0 50 100 3 6\n4 web 2 b 127.0.0.1 0 5 1 1 0 0\n4 web 3 new 127.0.0.1 2 0 1 1 3 6";
    let counts = "web,b,0,3,1,2,2,,,,,\nweb,a,5,70,0,1,2,2,3,4,\"quoted, \"\"twice\"\"\nover lines\",\nweb,BACKEND,5,73,1,0,1,,,,,";
    let read = read(states, counts).unwrap();
    let a = Server {
        name: "a".into(),
        admin: Admin(0),
        up: true,
        weight: 50,
        initial_weight: 100,
        backup: false,
        sessions: 5,
        total: 70,
        check: Some(true),
    };
    let b = Server {
        name: "b".into(),
        admin: Admin(5),
        up: false,
        weight: 1,
        initial_weight: 1,
        backup: true,
        sessions: 0,
        total: 3,
        check: None,
    };
    assert_eq!(read, [a, b]);
}

#[test]
fn a_server_takes_sessions_only_if_nothing_is_against_it() {
    for (operational, mask, weight, takes) in [
        (2, 0, 1, true),
        (1, 0, 1, true),
        (0, 0, 1, false),
        (3, 0, 1, false),
        (2, 0, 0, false),
        (2, 8, 1, false),
        (2, 1, 1, false),
        (2, 2, 1, false),
        (2, 16, 1, false),
        (2, 32, 1, false),
        (2, 4, 1, true),
        (9, 0, 1, false),
    ] {
        let state = format!("4 web 1 a - {operational} {mask} {weight} 1 3 6");
        let read = read(&state, "web,a,0,0,0,1,2,,,,,").unwrap();
        assert_eq!(read[0].takes_sessions(), takes, "{state}");
    }
}

/// The values of HAProxy 2.6 with `rise 2 fall 3`, as `show servers state` and `show stat` told them.
#[test]
fn a_check_counts_only_once_it_is_made_anew() {
    for (what, result, state, health, passes) in [
        ("up", 3, 6, "2,3,4", Some(true)),
        ("down", 2, 6, "2,3,0", Some(false)),
        ("one failure while up", 2, 6, "2,3,3", Some(false)),
        ("one pass while down", 3, 6, "2,3,1", Some(false)),
        ("in maintenance", 3, 14, "2,3,0", None),
        ("just back from it", 3, 6, "2,3,2", None),
        ("not checked yet", 0, 6, "2,3,2", None),
        ("without checks", 0, 0, ",,", None),
        (
            "absurd",
            3,
            6,
            "18446744073709551615,18446744073709551615,0",
            Some(false),
        ),
    ] {
        let state = format!("4 web 1 a - 2 0 1 1 {result} {state}");
        let read = read(&state, &format!("web,a,0,0,0,1,2,{health},,")).unwrap();
        assert_eq!(read[0].check, passes, "{what}");
    }
}

#[test]
fn a_list_is_taken_whole_or_not_at_all() {
    let good = ("4 web 1 a - 2 0 1 1 3 6", "web,a,0,0,0,1,2,,,,,");
    assert_eq!(read(good.0, good.1).unwrap().len(), 1);
    for (states, counts, why) in [
        ("4 web 1 a - 2 0 1 1 3", good.1, "srv_check_state"),
        ("4 web 1 a - 2 x 1 1 3 6", good.1, "srv_admin_state"),
        ("4 web 1 a - 2 -1 1 1 3 6", good.1, "srv_admin_state"),
        (
            "4 web 1 a - 2 4294967296 1 1 3 6",
            good.1,
            "srv_admin_state",
        ),
        (good.0, "web,a,0", "type"),
        (good.0, "web,a,,0,0,1,2,,,,,", "scur"),
        (good.0, "web,a,+1,0,0,1,2,,,,,", "scur"),
        (good.0, "other,a,0,0,0,1,2,,,,,", "other"),
    ] {
        let refused = read(states, counts).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    for (answer, why) in [
        ("No such proxy.\n\n", "No such proxy."),
        ("", ""),
        ("2\n# be_id\n", "version \"2\""),
        ("1\n# be_id srv_id\n", "column srv_op_state"),
    ] {
        let refused = servers(answer.as_bytes(), b"", "web").unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(servers(b"\xff\n", b"", "web"), Err(Malformed::Encoding));
}

#[test]
fn sessions_have_a_client_and_a_server() {
    let line =
        "0x5580: proto=tcpv4 src=127.0.0.1:40556 fe=f be=web srv=web-1 ts=00 epoch=0x1 age=0s";
    let own = "0x5581: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00";
    let answer = format!("{line}\n{own}\n0x5582: nothing\n\n");
    let read = sessions(answer.as_bytes()).unwrap();
    let of = |client: &str, backend: &str, server: &str| Session {
        client: client.into(),
        backend: backend.into(),
        server: server.into(),
    };
    let expected = [
        of("127.0.0.1:40556", "web", "web-1"),
        of("unix:1", "<NONE>", "<none>"),
    ];
    assert_eq!(read, expected);
    let denied = sessions(b"Permission denied\n\n");
    assert_eq!(denied, Err(Malformed::Said("Permission denied".into())));
}

/// Somebody on a socket who answers each connection as given, and then keeps it open or not.
async fn peer(answer: &'static [u8], times: usize, closes: bool) -> (tempfile::TempDir, Runtime) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut command = [0; 256];
            if stream.read(&mut command).await.is_err() {
                continue;
            }
            for _ in 0..times {
                if stream.write_all(answer).await.is_err() {
                    break;
                }
            }
            if !closes {
                open.push(stream);
            }
        }
    });
    let runtime = Runtime::new(
        Place::Unix(path),
        name("web"),
        name("web-1"),
        Resolver::default(),
    );
    (dir, runtime)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::test]
async fn says_which_setting_helps() {
    for (answer, says) in [
        (&b"Permission denied\n\n"[..], "level admin"),
        (
            b"No such server.\n\n",
            "no server \"web-1\" in its backend \"web\" (`server`",
        ),
        (b"No such backend.\n\n", "no backend \"web\" (`backend`)"),
        (
            b"Unknown command, but maybe\n one\n\n",
            "does not know `set server web/web-1 state drain`",
        ),
        (
            b"Some \x1b[31mnews\nand more\n\n",
            "refused `set server web/web-1 state drain`: Some  [31mnews",
        ),
        (b"", "without an answer"),
        (b"Permi", "cut off"),
    ] {
        let (_dir, runtime) = peer(answer, 1, true).await;
        let error = runtime.set_state(State::Drain, soon()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(says) && !text.contains(char::is_control),
            "{text}"
        );
    }
    let (_dir, runtime) = peer(b"\n", 1, true).await;
    runtime
        .set_weight(Weight::Percent(10), soon())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_without_end_costs_its_bound_alone() {
    let (_dir, runtime) = peer(b"0x1: src=a be=b srv=c\n", usize::MAX, true).await;
    let sessions = runtime.sessions(soon()).await;
    assert!(
        matches!(sessions, Err(Error::TooLong { .. })),
        "{sessions:?}"
    );
    let ordered = runtime.shutdown_sessions(soon()).await;
    assert!(matches!(ordered, Err(Error::TooLong { .. })), "{ordered:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_late() {
    let (_dir, runtime) = peer(b"1\n", 1, false).await;
    let deadline = Instant::now() + Duration::from_millis(50);
    let servers = runtime.servers(deadline).await;
    assert!(matches!(servers, Err(Error::Late { .. })), "{servers:?}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let place = "unix:/nonexistent/admin.sock".parse().unwrap();
    let runtime = Runtime::new(place, name("web"), name("web-1"), Resolver::default());
    let error = runtime.servers(soon()).await.unwrap_err().to_string();
    assert!(
        error.contains("unix:/nonexistent/admin.sock") && error.contains("`stats socket`"),
        "{error}"
    );
}
