//! Servers that do what servers should not, and some that do.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// A server that greets, and then says what `answers` have for each line; whatever it heard.
async fn server(
    greeting: &str,
    answers: &[(&'static str, String)],
) -> (Server, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (greeting, answers) = (greeting.to_owned(), answers.to_vec());
    let heard = tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut heard = String::new();
        drop(stream.write_all(greeting.as_bytes()).await);
        let mut in_mail = false;
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(read) if read > 0 => {}
                _ => return heard,
            }
            heard.push_str(&line);
            let ends = in_mail && line == ".\r\n";
            let found = answers.iter().find(|(asked, _)| match in_mail {
                true => ends && *asked == ".",
                false => line.starts_with(asked),
            });
            let answer = match found {
                Some((_, answer)) => answer.as_str(),
                None if in_mail && !ends => continue,
                None if line.starts_with("DATA") => "354 go on\r\n",
                None if line.starts_with("EHLO") => "250-x\r\n250 AUTH LOGIN PLAIN\r\n",
                None => "250 ok\r\n",
            };
            in_mail = !ends && (in_mail || line.starts_with("DATA") && answer.starts_with("354"));
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    let host = "127.0.0.1".to_owned();
    let server = Server {
        place: Place::Tcp { host, port },
        security: Security::Plain,
        tls: Connector::default(),
        login: None,
        resolver: Resolver::default(),
    };
    (server, heard)
}

async fn sent(
    server: &Server,
    to: &[&str],
    content: &str,
    within: Duration,
) -> Result<Outcome, Error> {
    let from: Mailbox = "a@b".parse().unwrap();
    let to: Vec<Mailbox> = to.iter().map(|to| to.parse().unwrap()).collect();
    let to: Vec<&Mailbox> = to.iter().collect();
    let mail = Mail {
        hello: "db 01\r\n",
        from: &from,
        to: &to,
        content,
    };
    server.send(&mail, Instant::now() + within).await
}

const LONG: Duration = Duration::from_secs(60);

fn answer(asked: &'static str, text: &str) -> (&'static str, String) {
    (asked, format!("{text}\r\n"))
}

#[tokio::test]
async fn a_mail_is_said_as_the_protocol_wants_it() {
    let (server, heard) = server("220 x\r\n", &[]).await;
    let content = "Subject: x\r\n\r\n.\r\n..a\r\nb.\r\n";
    let outcome = sent(&server, &["c@d", "e@f"], content, LONG).await.unwrap();
    assert_eq!((outcome.taken, outcome.left.len()), (vec![0, 1], 0));
    assert_eq!(
        heard.await.unwrap(),
        "EHLO localhost\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n\
         Subject: x\r\n\r\n..\r\n...a\r\nb.\r\n.\r\nQUIT\r\n"
    );
}

#[tokio::test]
async fn who_is_refused_is_told_from_who_is_put_off() {
    let refusals = [
        answer("RCPT TO:<c@d>", "550 nobody"),
        answer("RCPT TO:<g@h>", "450 later"),
    ];
    let (server, heard) = server("220 x\r\n", &refusals).await;
    let outcome = sent(&server, &["c@d", "e@f", "g@h"], "x\r\n", LONG)
        .await
        .unwrap();
    assert_eq!(outcome.taken, [1]);
    let left = outcome
        .left
        .iter()
        .map(|(place, reply)| (*place, reply.code));
    assert_eq!(left.collect::<Vec<_>>(), [(0, 550), (2, 450)]);
    assert!(heard.await.unwrap().contains("DATA"));
    let (server, heard) = self::server("220 x\r\n", &refusals).await;
    let outcome = sent(&server, &["c@d"], "x\r\n", LONG).await.unwrap();
    assert!(outcome.taken.is_empty());
    assert!(!heard.await.unwrap().contains("DATA"));
}

#[tokio::test]
async fn only_what_is_said_of_the_mail_is_for_ever() {
    for (greeting, refusal, for_ever) in [
        ("554 go away\r\n", answer("-", ""), false),
        ("220 x\r\n", answer("EHLO", "502 what"), false),
        ("220 x\r\n", answer("MAIL", "451 later"), false),
        ("220 x\r\n", answer("MAIL", "550 not you"), true),
        ("220 x\r\n", answer("RCPT", "421 I am going"), false),
        ("220 x\r\n", answer("DATA", "554 no"), true),
        ("220 x\r\n", answer("DATA", "250 what"), false),
        ("220 x\r\n", answer(".", "554 spam"), true),
        ("220 x\r\n", answer(".", "452 full"), false),
    ] {
        let (server, _) = server(greeting, std::slice::from_ref(&refusal)).await;
        let error = sent(&server, &["c@d"], "x\r\n", LONG).await.unwrap_err();
        assert_eq!(error.is_for_ever(), for_ever, "{refusal:?}: {error}");
    }
}

#[tokio::test]
async fn a_login_is_refused_or_not_offered_and_says_so_without_the_password() {
    let login = Some(("u".to_owned(), Secret::new("hunter2")));
    for (answers, why) in [
        (vec![answer("AUTH", "535 5.7.8 no")], "535 5.7.8 no to AUTH"),
        (vec![answer("EHLO", "250 x")], "neither AUTH PLAIN nor"),
    ] {
        let (mut server, _) = server("220 x\r\n", &answers).await;
        server.login.clone_from(&login);
        let error = sent(&server, &["c@d"], "x\r\n", LONG).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains(why) && !error.is_for_ever(), "{said}");
        assert!(!format!("{said}{error:?}").contains("hunter2"));
    }
    // RFC 4954 section 4, and the draft that LOGIN never got beyond.
    let both = [
        answer("EHLO", "250-x\r\n250 AUTH=LOGIN"),
        answer("AUTH LOGIN", "334 VXNlcm5hbWU6"),
    ];
    let both = [&both[..], &[answer("dQ==", "334 UGFzc3dvcmQ6")]].concat();
    let (mut server, heard) = server("220 x\r\n", &both).await;
    server.login = login;
    sent(&server, &["c@d"], "x\r\n", LONG).await.unwrap();
    assert!(
        heard
            .await
            .unwrap()
            .contains("AUTH LOGIN\r\ndQ==\r\naHVudGVyMg==\r\nMAIL")
    );
}

#[tokio::test]
async fn tls_begins_at_once_or_not_at_all() {
    for (offered, said) in [
        ("250 x", "offers no STARTTLS"),
        ("250-x\r\n250 STARTTLS", "more in clear than it was asked"),
    ] {
        let answers = [
            answer("EHLO", offered),
            answer("STARTTLS", "220 go\r\n250 injected"),
        ];
        let (mut server, heard) = server("220 x\r\n", &answers).await;
        server.security = Security::StartTls;
        let error = sent(&server, &["c@d"], "x\r\n", LONG).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(
            !heard.await.unwrap().contains("MAIL"),
            "nothing is said in clear"
        );
    }
}

#[tokio::test]
async fn whatever_a_server_does_it_ends() {
    let endless = "220-x\r\n".repeat(100_000);
    for (greeting, within, why) in [
        (endless.as_str(), LONG, "longer than 16384 bytes"),
        ("HTTP/1.1 400 Bad Request\r\n", LONG, "no SMTP"),
        ("", Duration::from_millis(200), "timed out"),
        ("220-slow\r\n", Duration::from_millis(200), "timed out"),
    ] {
        let (server, _) = server(greeting, &[]).await;
        let error = sent(&server, &["c@d"], "x\r\n", within).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
