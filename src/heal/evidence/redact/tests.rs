use super::*;
use crate::heal::evidence::clip;

fn plain(text: &str) -> String {
    Redactor::default().text(text)
}

#[test]
fn what_has_the_name_of_a_secret_is_taken_and_nothing_else_of_its_line() {
    for (text, left) in [
        ("password=hunter2 user=ann", "password=[redacted] user=ann"),
        (
            "DB_PASSWORD: hunter2, next",
            "DB_PASSWORD: [redacted], next",
        ),
        (
            r#"{"api_key": "k-1", "n": 3}"#,
            r#"{"api_key": "[redacted]", "n": 3}"#,
        ),
        (
            r#"{\"token\":\"abc def\",\"n\":3}"#,
            r#"{\"token\":\"[redacted]\",\"n\":3}"#,
        ),
        (r#"secret='it\'s me' x"#, "secret='[redacted]' x"),
        (
            "GET /x?access_token=abc&n=1 HTTP/1.1",
            "GET /x?access_token=[redacted]&n=1 HTTP/1.1",
        ),
        (
            "run --password hunter2 --verbose",
            "run --password [redacted] --verbose",
        ),
        ("run --password --verbose", "run --password --verbose"),
        (
            r#"["--password","hunter2","-v"] ["--token", "--all"]"#,
            r#"["--password","[redacted]","-v"] ["--token", "--all"]"#,
        ),
        ("tlsKey => x", "tlsKey => [redacted]"),
        (
            "key: v monkey=1 bypass=2 keyboard=3",
            "key: [redacted] monkey=1 bypass=2 keyboard=3",
        ),
        ("secrets: [a, b]", "secrets: [redacted]"),
        (
            "Failed password for root from 10.0.0.1 port 22",
            "Failed password for root from 10.0.0.1 port 22",
        ),
        ("auth=Basic dXNlcjpw next", "auth=[redacted] next"),
    ] {
        assert_eq!(plain(text), left);
    }
}

#[test]
fn headers_addresses_and_tokens_are_known_by_where_they_stand_or_how_they_look() {
    for (text, left) in [
        (
            "Authorization: Digest username=\"a\", x",
            "Authorization: [redacted]",
        ),
        ("> Cookie: a=b; c=d", "> Cookie: [redacted]"),
        (
            "Cookie: theme=\"dark\"; session=abc123",
            "Cookie: [redacted]",
        ),
        (
            r#"{"Cookie":"theme=\"dark\"; s=abc","n":3}"#,
            r#"{"Cookie":"[redacted]","n":3}"#,
        ),
        (
            r#"msg="got Cookie: s=abc" level=info"#,
            r#"msg="got Cookie: [redacted]" level=info"#,
        ),
        (
            r#"Digest username="a", response="6629fae4""#,
            "Digest [redacted]",
        ),
        (
            "GET https://x/y?sv=1&sig=a%2Fb&n=1 sig=11",
            "GET https://x/y?sv=1&sig=[redacted]&n=1 sig=11",
        ),
        (
            "https://hooks.slack.com/services/T/B/x https://api.telegram.org/bot1:x/send",
            "https://hooks.slack.com/services/[redacted] https://api.telegram.org/bot[redacted]",
        ),
        (
            "-H 'Authorization: Bearer abc.def' -v",
            "-H 'Authorization: [redacted]' -v",
        ),
        ("sent Bearer abcdefgh to it", "sent Bearer [redacted] to it"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("got Basic dXNlcjpwYXNz", "got Basic [redacted]"),
        (
            "postgres://ann:hunter2@db/x",
            "postgres://ann:[redacted]@db/x",
        ),
        (
            "postgres://ann:hun/ter@2@db/x",
            "postgres://ann:[redacted]@db/x",
        ),
        (
            "https://tok3n@git.example/x",
            "https://[redacted]@git.example/x",
        ),
        (
            "https://npm.example/@scope/x http://[::1]:80/@y",
            "https://npm.example/@scope/x http://[::1]:80/@y",
        ),
        ("id AKIAIOSFODNN7EXAMPLE.", "id [redacted]"),
        ("x ghp_0123456789abcdefghij y", "x [redacted] y"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "[redacted]",
        ),
    ] {
        assert_eq!(plain(text), left);
    }
}

#[test]
fn a_private_key_goes_line_by_line_also_where_half_of_it_is_missing() {
    let whole = "a\n1 -----BEGIN RSA PRIVATE KEY-----\n2 MIIE\n3 -----END RSA PRIVATE KEY-----\nb";
    assert_eq!(plain(whole), "a\n[redacted]\n[redacted]\n[redacted]\nb");
    let (_, end) = whole.split_once("2 ").unwrap();
    assert_eq!(plain(end), "[redacted]\n[redacted]\nb");
    let (begin, _) = whole.split_once("\n3").unwrap();
    assert_eq!(plain(begin), "a\n[redacted]\n[redacted]");
    let public = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----";
    assert_eq!(plain(public), public);
}

#[test]
fn values_of_an_environment_are_taken_wherever_they_stand() {
    let known = [
        "s3cr3t-value".to_owned(),
        "short".to_owned(),
        "s3cr3t".to_owned(),
    ];
    let redactor = Redactor::knowing(known);
    assert_eq!(
        redactor.text("got s3cr3t-value and s3cr3t, not short"),
        "got [redacted] and [redacted], not short"
    );
    assert_eq!(setting("A=b=c"), "A=[redacted]");
    assert_eq!(setting("no name"), MARK);
    assert_eq!(value_of("A_KEY=b=c").as_deref(), Some("b=c"));
    assert_eq!(value_of("LC_ALL=C.UTF-8"), None);
    assert_eq!(
        redactor.commands("env DSN_X=abc run --n=1 a=b [\"B2='c d' e\",\"B3=f\"]\nB4=g"),
        "env DSN_X=[redacted] run --n=1 a=b [\"B2='[redacted]' e\",\"B3=[redacted]\"]\nB4=[redacted]"
    );
    assert_eq!(
        redactor.text("kernel: IN=eth0 OUT="),
        "kernel: IN=eth0 OUT="
    );
}

#[test]
fn what_programs_take_as_a_secret_is_one() {
    for (text, left) in [
        (
            "redis --requirepass pw --port 1",
            "redis --requirepass [redacted] --port 1",
        ),
        ("masterauth pw", "masterauth [redacted]"),
        (
            "-storepass pw dbpass=pw",
            "-storepass [redacted] dbpass=[redacted]",
        ),
        (
            "curl -u ann:pw -v -u 1000:1000 -u ann",
            "curl -u ann:[redacted] -v -u 1000:1000 -u ann",
        ),
        (
            r#"["curl","--user","ann:p w","-v"]"#,
            r#"["curl","--user","ann:[redacted]","-v"]"#,
        ),
        ("sshpass -p pw ssh a", "sshpass -p [redacted] ssh a"),
        (
            r#"["sshpass","-p","p w","ssh"]"#,
            r#"["sshpass","-p","[redacted]","ssh"]"#,
        ),
        (
            "ALTER USER a PASSWORD 'p w' for key 'PRIMARY'",
            "ALTER USER a PASSWORD '[redacted]' for key 'PRIMARY'",
        ),
        (
            r#"{"name":"DB_PASSWORD","value":"pw"} {"name": "a", "value": "b"}"#,
            r#"{"name":"DB_PASSWORD","value":"[redacted]"} {"name": "a", "value": "b"}"#,
        ),
        (
            r#"{\"name\":\"DB_PASSWORD\",\"value\":\"pw\"}"#,
            r#"{\"name\":\"DB_PASSWORD\",\"value\":\"[redacted]\"}"#,
        ),
        (
            "/usr/bin/mysqldump -uroot -ppw -p -P3306 --all db",
            "/usr/bin/mysqldump -uroot -p[redacted] -p -P3306 --all db",
        ),
        (
            r#"["mysql","-p","-pp w","-h"] ["mariadb", "-p'x y'"]"#,
            r#"["mysql","-p","-p[redacted]","-h"] ["mariadb", "-p[redacted]"]"#,
        ),
        ("mysql -p'p w' -h db", "mysql -p'[redacted]' -h db"),
        ("ssh -p22 mkdir -p/a/b mysql", "ssh -p22 mkdir -p/a/b mysql"),
        (
            "curl -uann:pw x -Uproxy:p@w! y -u1000:1000 -uann@x.org:pw -url://x",
            "curl -uann:[redacted] x -Uproxy:[redacted] y -u1000:1000 -uann@x.org:[redacted] -url://x",
        ),
        (
            r#"["curl","-uann:p w","-v"] "-u'ann:p w'""#,
            r#"["curl","-uann:[redacted]","-v"] "-u'ann:[redacted]'""#,
        ),
        (
            "CREATE USER 'a'@'%' IDENTIFIED BY 'p w' REQUIRE SSL",
            "CREATE USER 'a'@'%' IDENTIFIED BY '[redacted]' REQUIRE SSL",
        ),
        (
            r#"alter user a identified with caching_sha2_password as "$A$x" x"#,
            r#"alter user a identified with caching_sha2_password as "[redacted]" x"#,
        ),
        (
            "CREATE USER a IDENTIFIED BY pw; GRANT x TO a IDENTIFIED BY PASSWORD '*AB'",
            "CREATE USER a IDENTIFIED BY [redacted]; GRANT x TO a IDENTIFIED BY PASSWORD '[redacted]'",
        ),
        (
            "device identified by its serial, SET PASSWORD FOR a = PASSWORD('p w')",
            "device identified by its serial, SET PASSWORD FOR a = PASSWORD('[redacted]')",
        ),
    ] {
        assert_eq!(plain(text), left);
    }
    let redactor = Redactor::default();
    for (text, left) in [
        (
            "run --password=S3cr&tW0rd -v",
            "run --password=[redacted] -v",
        ),
        ("AB=b;c}d \"B2=e|f\"", "AB=[redacted] \"B2=[redacted]\""),
        (
            r#"run --password "correct horse" PASSPHRASE="correct horse" -v"#,
            r#"run --password "[redacted]" PASSPHRASE="[redacted]" -v"#,
        ),
    ] {
        assert_eq!(redactor.commands(text), left);
    }
    assert_eq!(
        Redactor::knowing([" s3cr3t-value\n".to_owned()]).text("a s3cr3t-value"),
        "a [redacted]"
    );
}

#[test]
fn what_looks_like_a_name_is_a_secret_where_one_stands() {
    for (text, left) in [
        (
            "mysql -u root -pMySecret1 shop",
            "mysql -u root -p[redacted] shop",
        ),
        (
            r#"["mysqldump","-pmytoken=1","shop"]"#,
            r#"["mysqldump","-p[redacted]","shop"]"#,
        ),
        (r#""--password" victory"#, r#""--password" [redacted]"#),
        ("mysql -password x y", "mysql -password [redacted] y"),
        (
            r#"<add key="password" value="Q16x"/> <add key="size" value="7"/>"#,
            r#"<add key="password" value="[redacted]"/> <add key="[redacted]" value="7"/>"#,
        ),
        (
            "<property value='1' name='db.password' value = 'a b'/>",
            "<property value='1' name='db.password' value = '[redacted]'/>",
        ),
        (
            "<password>a b</password><n>1</n> <x:apiKey>c</x:apiKey>",
            "<password>[redacted]</password><n>1</n> <x:apiKey>[redacted]</x:apiKey>",
        ),
        (
            "bindpw x, bind_pw=y",
            "bindpw [redacted], bind_pw=[redacted]",
        ),
        ("rootpw {SSHA}x", "rootpw [redacted]"),
        (
            "redis-cli -h db -a x -n 1; ls -a y",
            "redis-cli -h db -a [redacted] -n 1; ls -a [redacted]",
        ),
        ("ls -a y | redis-cli -n 1", "ls -a y | redis-cli -n 1"),
        (
            r#"["redis-cli","-a","x y","ping"]"#,
            r#"["redis-cli","-a","[redacted]","ping"]"#,
        ),
        (
            "docker login -u ann -p x registry",
            "docker login -u ann -p [redacted] registry",
        ),
        (
            "docker run -p 80:80 web; systemd-logind -p 7",
            "docker run -p 80:80 web; systemd-logind -p 7",
        ),
        (
            "C: AUTH PLAIN AGFubgBwdw== x; a1 authenticate plain AGFu",
            "C: AUTH PLAIN [redacted] x; a1 authenticate plain [redacted]",
        ),
        (
            "250-AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2, in plain words",
            "250-AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2, in plain words",
        ),
        (
            "a%3D1%26client_secret%3Dx%2Fy%26pass%3dz%26n%3D2 n",
            "a%3D1%26client_secret%3D[redacted]%26pass%3d[redacted]%26n%3D2 n",
        ),
    ] {
        assert_eq!(plain(text), left);
        assert_eq!(plain(left), left, "twice is once");
    }
}

#[test]
fn colours_and_escapes_hide_no_secret() {
    let shown = |text: &str| plain(&clip::plain(text));
    for (text, left) in [
        ("\u{1b}[36mpassword=\u{1b}[0mhunter2", "password=[redacted]"),
        ("\u{1b}[36mtoken\u{1b}[0m=abc", "token=[redacted]"),
        ("\u{1b}[36mkey\u{1b}(B\u{1b}[m=abc", "key=[redacted]"),
        ("\u{1b}[32mghp_0123456789abcdefghij", "[redacted]"),
        ("\u{1b}[0mBearer abcdefgh", "Bearer [redacted]"),
        (
            "Authorization: \u{1b}[32mBearer abcdefgh",
            "Authorization: [redacted]",
        ),
        (
            r#"{"msg":"\u001b[36mkey=\u001b[0mabc"}"#,
            r#"{"msg":"key=[redacted]"}"#,
        ),
        ("password=\u{0}hunter2", r"password=\u{0}[redacted]"),
        (
            "--password\u{0}hunter2\u{0}-v",
            r"--password\u{0}[redacted]\u{0}-v",
        ),
        (r"a\nkey=abc", r"a\nkey=[redacted]"),
        (
            r"\u000akey=abc \x0akey=abc \012key=abc",
            r"\u000akey=[redacted] \x0akey=[redacted] \012key=[redacted]",
        ),
        (r"\nauth: abc", r"\nauth: [redacted]"),
        (r"\nghp_0123456789abcdefghij", r"\n[redacted]"),
        (
            r"\neyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            r"\n[redacted]",
        ),
        (r"\nBearer abcdefgh", r"\nBearer [redacted]"),
        (r"DOMAIN\token=abc", r"DOMAIN\token=[redacted]"),
    ] {
        assert_eq!(shown(text), left);
    }
}

proptest::proptest! {
    /// What is taken stays taken, and a secret behind its name is never left, whatever stands around it.
    #[test]
    fn no_text_around_it_saves_a_secret(
        before in "(.|\\\\|\u{1b}\\[[0-9;]{0,4}[mK]|\u{1b}){0,40}",
        after in "(.|\u{1b}\\[[0-9;]{0,4}m|\u{1b}){0,40}",
        colour in "(\u{1b}\\[[0-9;]{0,4}m|\\\\u001b\\[1m)?",
        quote in "[\"' ]?",
    ) {
        let line = |text: &str| text.replace('\n', " ");
        let text = format!("{} {colour}password{colour}={colour}{quote}q7Xk9zzT {quote}{}", line(&before), line(&after));
        let once = plain(&clip::plain(&text));
        proptest::prop_assert!(!once.contains("q7Xk9zzT"), "{once}");
        proptest::prop_assert_eq!(plain(&once), once);
    }
}
