//! What servers ask for and what they are brought.

use super::*;

#[tokio::test]
async fn what_is_asked_for_is_brought_with_its_numbers_and_its_session() {
    let mut server = Server::new().await;
    let options = Options {
        listen: vec!["10.1.2.3:10050".to_owned()],
        host_metadata_item: Some("metadata".to_owned()),
        host_interface: "web-1.example".to_owned(),
        ..options(&[server.address])
    };
    let active = start(&options, None, None).await;
    let asked = server.hears("active checks").await;
    let answer = list(&[
        (1001, "count", "1s"),
        (1002, "no.such", "1h"),
        (1003, "hang", "1h"),
        (1004, "count", "bad"),
        (1005, "a b", "1h"),
    ]);
    let request = asked.answer(&answer).await;
    let session = request["session"].as_str().unwrap().to_owned();
    assert!(session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit()));
    let expected = json!({
        "request": "active checks", "host": "web 1", "version": "7.0.0", "variant": 2, "session": session, "config_revision": 0,
        "host_metadata": "os=\"linux\"", "interface": "web-1.example", "ip": "10.1.2.3", "port": 10050,
    });
    assert_eq!(request, expected);
    let mut found = Vec::new();
    let mut counted = 0;
    while found.len() < 3 || counted < 2 {
        let data = server.hears_data().await;
        let answer = taken(&data);
        let data = data.answer(&answer).await;
        assert_eq!(
            (&data["session"], &data["host"], &data["version"]),
            (&json!(session), &json!("web 1"), &json!("7.0.0"))
        );
        for value in data["data"].as_array().unwrap() {
            let item = value["itemid"].as_u64().unwrap();
            assert!(value["clock"].as_u64().unwrap() > 1_700_000_000 && value["ns"].is_u64());
            if item == 1001 {
                assert_eq!(
                    (&value["state"], value["value"].as_str().unwrap()),
                    (&Value::Null, &*counted.to_string())
                );
                counted += 1;
            } else {
                assert_eq!(value["state"], 1);
                found.push((item, value["value"].as_str().unwrap().to_owned()));
            }
        }
    }
    found.sort();
    let expected = [
        (1002, "Unsupported item key."),
        (1004, "Invalid update interval \"bad\"."),
        (1005, "Invalid item key format."),
    ];
    assert_eq!(found, expected.map(|(item, why)| (item, why.to_owned())));
    // It hangs until its time is over, and holds up nothing meanwhile.
    let late = loop {
        let data = server.hears_data().await;
        let answer = taken(&data);
        let data = data.answer(&answer).await;
        let values = data["data"].as_array().unwrap().clone();
        if let Some(value) = values.into_iter().find(|value| value["itemid"] == 1003) {
            break value;
        }
    };
    assert_eq!(late["value"], "Timeout occurred while gathering data.");
    // Asked again, it knows the revision; and a server that tells one is told that this agent lives.
    let again = server.hears("active checks").await.request;
    assert_eq!(again["config_revision"], 7);
    let expected = json!({"request": "active check heartbeat", "host": "web 1", "heartbeat_freq": 60, "version": "7.0.0", "variant": 2});
    assert_eq!(
        server.hears("active check heartbeat").await.request,
        expected
    );
    assert_eq!(told(&active).counts.items(), [5, 4, 0]);
}

#[tokio::test]
async fn each_of_several_servers_has_a_session_of_its_own() {
    let (mut one, mut other) = (Server::new().await, Server::new().await);
    let _active = start(&options(&[one.address, other.address]), None, None).await;
    let mut sessions = Vec::new();
    for (server, item) in [(&mut one, 1), (&mut other, 2)] {
        let asked = server.hears("active checks").await;
        sessions.push(asked.answer(&list(&[(item, "count", "1s")])).await["session"].clone());
    }
    assert_ne!(sessions[0], sessions[1]);
    // One that says nothing keeps no value from the other.
    let stuck = one.hears_data().await;
    for (number, session) in [(1, &sessions[1]), (2, &sessions[1])] {
        let data = other.hears_data().await;
        assert_eq!(
            (&data.request["session"], &data.request["data"][0]["id"]),
            (session, &json!(number))
        );
        assert_eq!(data.request["data"][0]["itemid"], 2);
        let answer = taken(&data);
        data.answer(&answer).await;
    }
    assert_eq!(stuck.request["session"], sessions[0]);
}

#[tokio::test]
async fn what_is_no_answer_is_counted_and_asked_again() {
    let good = packet::encode(br#"{"response":"success","data":[]}"#);
    let endless = {
        let mut packet = packet::encode(b"");
        packet[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
        packet
    };
    for (bytes, kind) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], 3),
        (&packet::encode(b"no JSON"), 3),
        (&packet::encode(br#"{"response":"success","data":7}"#), 3),
        (&endless, 3),
        (&good[..20], 2),
        (b"", 2),
        (
            &packet::encode(br#"{"response":"failed","info":"host [web 1] not found"}"#),
            4,
        ),
    ] {
        let mut server = Server::new().await;
        let active = start(&options(&[server.address]), None, None).await;
        server.hears("active checks").await.bytes(bytes).await;
        let counts = told(&active).counts;
        until(|| counts.failed(counts::Request::Checks, kind) == 1).await;
        server.hears("active checks").await.bytes(&good).await;
        until(|| counts.answered(counts::Request::Checks) == 1).await;
        active.stop(Instant::now()).await;
    }
}

#[tokio::test]
async fn values_are_held_back_while_the_server_says_so_and_commands_are_refused() {
    let mut server = Server::new().await;
    let active = start(&options(&[server.address]), None, None).await;
    let mut held = list(&[(1, "count", "1s")]);
    held["upload"] = json!("disabled");
    held["commands"] = json!([{"command": "reboot", "id": 9, "wait": 1, "timeout": 3}]);
    server.hears("active checks").await.answer(&held).await;
    let refusal = server.hears("agent data").await;
    assert_eq!(
        refusal.request["commands"],
        json!([{"id": 9, "error": "Unsupported item key."}])
    );
    assert_eq!(refusal.request["data"], json!([]));
    let answer = taken(&refusal);
    refusal.answer(&answer).await;
    until(|| told(&active).waiting[0].in_memory() >= 2).await;
    assert_eq!(told(&active).counts.values(Fate::Taken), 0);
    server
        .hears("active checks")
        .await
        .answer(&json!({"response": "success"}))
        .await;
    let data = server.hears("agent data").await;
    assert!(
        data.request["data"].as_array().unwrap().len() >= 2 && data.request["commands"].is_null()
    );
}

#[tokio::test]
async fn a_redirect_is_followed_to_a_server_that_the_config_lists_and_back() {
    let (mut one, mut other) = (Server::new().await, Server::new().await);
    let mut options = options(&[]);
    options.server_active = vec![format!("{};{}", one.address, other.address)];
    let active = start(&options, None, None).await;
    let to = |address: &str, revision: u64| json!({"response": "failed", "redirect": {"revision": revision, "address": address}});
    one.hears("active checks")
        .await
        .answer(&to("192.0.2.1:10051", 1))
        .await;
    until(|| told(&active).counts.failed(counts::Request::Checks, 4) == 1).await;
    one.hears("active checks")
        .await
        .answer(&to(&other.address.to_string(), 2))
        .await;
    other
        .hears("active checks")
        .await
        .answer(&list(&[(1, "count", "1s")]))
        .await;
    let data = other.hears_data().await;
    let answer = taken(&data);
    data.answer(&answer).await;
    other
        .hears_checks()
        .await
        .answer(&json!({"response": "failed", "redirect": {"reset": true}}))
        .await;
    one.hears("active checks")
        .await
        .answer(&json!({"response": "success"}))
        .await;
    one.hears("agent data").await;
}

#[tokio::test]
async fn a_server_that_failed_is_redirected_to_again_by_the_same_decision() {
    let mut servers = [
        Server::new().await,
        Server::new().await,
        Server::new().await,
    ];
    let mut options = options(&[]);
    let names = servers.each_ref().map(|server| server.address.to_string());
    options.server_active = vec![names.join(";")];
    let active = start(&options, None, None).await;
    let to = json!({"response": "failed", "redirect": {"revision": 2, "address": &names[2]}});
    let [one, two, three] = &mut servers;
    one.hears("active checks").await.answer(&to).await;
    drop(three.hears("active checks").await);
    two.hears("active checks").await.answer(&to).await;
    three.hears("active checks").await.answer(&list(&[])).await;
    until(|| told(&active).counts.answered(counts::Request::Checks) == 1).await;
}

#[tokio::test]
async fn the_next_node_of_a_cluster_is_asked_where_one_is_away() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = gone.local_addr().unwrap();
    drop(gone);
    let mut server = Server::new().await;
    let mut options = options(&[]);
    options.server_active = vec![format!("{away};{}", server.address)];
    let active = start(&options, None, None).await;
    server.hears("active checks").await.answer(&list(&[])).await;
    assert_eq!(told(&active).counts.failed(counts::Request::Checks, 0), 1);
}

#[tokio::test]
async fn own_values_are_brought_when_they_change_to_servers_that_may_be_others() {
    let (mut one, mut other) = (Server::new().await, Server::new().await);
    let mut options = options(&[one.address]);
    options.trapper = Some(trapper::Options {
        servers: vec![one.address.to_string(), other.address.to_string()],
        keys: vec!["nodeward.count".to_owned(), "nodeward.none".to_owned()],
        interval: Period::secs(3600),
    });
    let active = start(&options, None, None).await;
    for server in [&mut one, &mut other] {
        // Not taken, it comes again as it was.
        let first = server.hears("sender data").await;
        let values = first.request["data"].clone();
        drop(first);
        let again = server.hears("sender data").await;
        let data = again.request["data"].as_array().unwrap().clone();
        assert_eq!(data[0], values[0]);
        assert!(
            data.iter()
                .all(|value| value["host"] == "web 1" && value["key"] == "nodeward.count")
        );
        assert!(
            data[0]["value"].is_string() && data[0]["clock"].is_u64() && data[0]["ns"].is_u64()
        );
        again.answer(&json!({"response": "success", "info": "processed: 0; failed: 1; total: 1; seconds spent: 0.1"})).await;
    }
    assert_eq!(active.told().len(), 2);
    let rejected = || {
        active
            .told()
            .iter()
            .all(|told| told.counts.values(Fate::Rejected) == 1)
    };
    until(rejected).await;
}
