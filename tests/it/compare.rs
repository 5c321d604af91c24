//! `nodeward compare` beside what is no exporter.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::program::{Scratch, output};

/// Answers every request with these bytes for as long as the test program lives; the URL.
fn serve(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            drop(stream.read(&mut asked));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    url
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[test]
fn what_cannot_be_compared_is_told_and_is_no_verdict() {
    let scratch = Scratch::new();
    let answer = |status: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let many: String = (0..100_001).map(|i| format!("node_{i} 1\n")).collect();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (url, expected) in [
        (serve(answer("404 Not Found")), "is this the path"),
        (serve(answer("401 Unauthorized")), "--password-file"),
        (serve(answer("302 Found")), "no redirect is followed"),
        (serve(ok("<html>\n")), "line 1: invalid metric name"),
        (
            serve(ok("node_x 1\nnode_y 2")),
            "line 2: the file ends within a line",
        ),
        (
            serve(ok("other_x 1\n")),
            "no family there begins with node_",
        ),
        (serve(ok(&many)), "more than 100000 families"),
        (
            serve("HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n".into()),
            "the most that is read",
        ),
        (serve("nonsense".into()), "HTTP"),
        (closed, "cannot connect"),
    ] {
        let output = output(&scratch, &["compare", &url]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains(expected), "no {expected:?} in {said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_is_asked_wrongly_is_a_fault_of_the_command_line() {
    let scratch = Scratch::new();
    let url = "http://127.0.0.1:1/metrics";
    let file = scratch.write("file", "x\n");
    let file = file.to_str().unwrap();
    for (args, expected) in [
        (&["gopher://x"][..], "begins with http://"),
        (&[url, "--ca-file", file], "--ca-file"),
        (&[url, "--ca-file", "/nowhere"], "--ca-file"),
        (&[url, "--server-name", "x"], "--server-name: "),
        (&[url, "--cert-file", file], "--key-file"),
        (
            &[
                "https://127.0.0.1:1",
                "--cert-file",
                file,
                "--key-file",
                file,
            ],
            "--cert-file: ",
        ),
        (&[url, "--username", "x"], "--password-file"),
        (
            &[url, "--username", "a:b", "--password-file", file],
            "colon",
        ),
        (
            &[url, "--username", "a", "--password-file", "/nowhere"],
            "--password-file: ",
        ),
        (&[url, "--with", url, "--collector.systemd"], "--with"),
    ] {
        let output = output(&scratch, &[&["compare"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
}
