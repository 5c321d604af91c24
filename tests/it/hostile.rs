//! What comes in from strangers: a bounded answer or a close, a counter, and the program stays up.

use std::io::{Read, Write};

use crate::program::{Program, Scratch, connect, exchange, get, value};

const CONFIG: &str = "http: {listen: ['127.0.0.1:0']}\n\
    zabbix: {listen: ['127.0.0.1:0'], server: ['127.0.0.1']}\n";

fn start(scratch: &Scratch) -> (Program, String, String) {
    let config = scratch.write("nodeward.yml", CONFIG);
    let mut program = Program::start(scratch, &["--config", config.to_str().unwrap()]);
    let (http, zabbix) = (program.http(), program.address("passive checks on "));
    (program, http, zabbix)
}

/// A plain Zabbix request or reply.
fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [b"ZBXD\x01", &length.to_le_bytes()[..], &[0; 4], body].concat()
}

#[test]
fn http_garbage_is_answered_or_closed_and_counted() {
    let scratch = Scratch::new();
    let (program, http, _) = start(&scratch);
    let huge = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (bytes, codes) in [
        (
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
            &["400", ""][..],
        ),
        (
            b"ZBXD\x01\x0a\x00\x00\x00\x00\x00\x00\x00agent.ping",
            &["400", ""],
        ),
        (b"GET\r\n\r\n", &["400"]),
        (b"GET / HTTP/9.9\r\n\r\n", &["400", "505", ""]),
        (
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            &["400"],
        ),
        (huge.as_bytes(), &["431"]),
        (many.as_bytes(), &["431", "400"]),
        (b"DELETE /metrics HTTP/1.0\r\n\r\n", &["405"]),
        (b"BREW /metrics HTTP/1.0\r\n\r\n", &["405"]),
        (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", &["405"]),
        (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", &["404"]),
        (b"GET /metrics?collect[]=nope HTTP/1.0\r\n\r\n", &["400"]),
        (
            b"GET /metrics?collect[]=%ff&x=%zz HTTP/1.0\r\n\r\n",
            &["400"],
        ),
        (b"GET /metrics HTTP/1.1\r\nHost", &["400", ""]),
    ] {
        let answer = String::from_utf8_lossy(&exchange(&http, bytes)).into_owned();
        let code = answer.split(' ').nth(1).unwrap_or("");
        assert!(
            codes.contains(&code),
            "{:?}: {answer}",
            String::from_utf8_lossy(bytes)
        );
    }
    let page = get(&http, "/metrics").1;
    let bad = value(
        &page,
        "nodeward_http_connection_errors_total{kind=\"bad_request\"}",
    );
    assert!(bad.is_some_and(|count| count >= 5.0), "{bad:?}");
    let not_found = "nodeward_http_requests_total{path=\"other\",code=\"404\"}";
    assert_eq!(value(&page, not_found), Some(1.0));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn zabbix_garbage_is_closed_and_counted_and_the_next_check_answered() {
    let scratch = Scratch::new();
    let (program, http, zabbix) = start(&scratch);
    let mut bomb = b"ZBXD\x03".to_vec();
    bomb.extend_from_slice(&20u32.to_le_bytes());
    bomb.extend_from_slice(&u32::MAX.to_le_bytes());
    bomb.extend_from_slice(&[0x78; 20]);
    let mut oversized = b"ZBXD\x01".to_vec();
    oversized.extend_from_slice(&(1u32 << 30).to_le_bytes());
    oversized.extend_from_slice(&[0; 4]);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"agent.ping\n",
        b"ZBXD",
        b"ZBXD\x01\x0a\x00\x00\x00\x00\x00\x00\x00agent",
        b"ZBXD\x05\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00agent.ping",
        &bomb,
        &oversized,
    ] {
        assert_eq!(
            exchange(&zabbix, bytes),
            b"",
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(exchange(&zabbix, &packet(b"agent.ping")), packet(b"1"));
    let refused = packet(b"ZBX_NOTSUPPORTED\0Unsupported item key.");
    assert_eq!(exchange(&zabbix, &packet(b"system.run[id]")), refused);
    let page = get(&http, "/metrics").1;
    let malformed = value(&page, "nodeward_zabbix_checks_total{outcome=\"malformed\"}");
    assert!(malformed.is_some_and(|count| count >= 5.0), "{malformed:?}");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn ten_thousand_connections_are_bounded_and_leave_it_serving() {
    let scratch = Scratch::new();
    let (program, http, zabbix) = start(&scratch);
    for address in [&http, &zabbix] {
        let mut held = std::collections::VecDeque::new();
        for _ in 0..10_000 {
            let mut stream = connect(address);
            // Half a request, never finished.
            drop(stream.write_all(b"G"));
            held.push_back(stream);
            if held.len() > 800 {
                held.pop_front();
            }
        }
        let mut last = connect(address);
        let mut byte = [0];
        // Beyond the bound a connection is closed at once, with nothing said.
        assert!(matches!(last.read(&mut byte), Ok(0) | Err(_)));
    }
    let fds = std::fs::read_dir(format!("/proc/{}/fd", program.pid()))
        .unwrap()
        .count();
    assert!(fds < 1000, "{fds} descriptors");
    let (code, page) = (0..200)
        .map(|_| get(&http, "/metrics"))
        .find(|(code, _)| *code == 200)
        .expect("serves again once the connections are gone");
    assert_eq!(code, 200);
    let refused = value(&page, "nodeward_http_connections_refused_total");
    assert!(refused.is_some_and(|count| count > 0.0), "{refused:?}");
    assert_eq!(exchange(&zabbix, &packet(b"agent.ping")), packet(b"1"));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn ten_readers_at_once_share_reads_and_all_get_a_page() {
    let scratch = Scratch::new();
    let (program, http, _) = start(&scratch);
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let http = http.clone();
            std::thread::spawn(move || get(&http, "/metrics"))
        })
        .collect();
    for reader in readers {
        let (code, page) = reader.join().unwrap();
        assert_eq!(code, 200);
        assert!(value(&page, "node_memory_MemFree_bytes").is_some());
    }
    assert_eq!(program.end(), Some(0));
}
