//! Certificates that were taken back, and files that change while connections come and go.

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use webpki::EndEntityCert;

use super::*;
use crate::telemetry::capture::Captured;
use crate::telemetry::logs;

/// A list of an authority that takes these certificates back, and is out of date with the first day of `year`.
fn take_back(authority: &Authority, pairs: &[&Pair], year: i32) -> String {
    take_back_in(2001, authority, pairs, year)
}

/// The same, issued on the first day of the year `issued`.
fn take_back_in(issued: i32, authority: &Authority, pairs: &[&Pair], year: i32) -> String {
    let taken = pairs.iter().map(|pair| {
        let der = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
        let serial = EndEntityCert::try_from(&der).unwrap().serial().to_vec();
        RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(issued, 1, 1),
        next_update: date_time_ymd(year, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: taken.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&authority.issuer).unwrap().pem().unwrap()
}

/// Both ends, with lists of what was taken back.
struct Lists {
    files: Files,
    ours: Authority,
    good: Pair,
    bad: Pair,
}

impl Lists {
    fn new() -> Self {
        let files = Files::new();
        let at = files.directory.path();
        let ours = Authority::new("ours");
        ours.write(at, "ours");
        let (good, bad) = (ours.issue(&["good.example"]), ours.issue(&["bad.example"]));
        good.write(at, "good");
        bad.write(at, "bad");
        let lists = Self {
            files,
            ours,
            good,
            bad,
        };
        lists.write(&take_back(&lists.ours, &[&lists.bad], 3000));
        lists
    }

    fn write(&self, text: &str) {
        std::fs::write(self.files.at("crl").unwrap(), text).unwrap();
    }

    fn of(&self, own: &str) -> Options {
        Options {
            crl_file: self.files.at("crl"),
            ..self.files.cert(own, "ours")
        }
    }

    /// The same with a key beside certificates, where OpenSSL takes the handshakes.
    #[cfg(feature = "psk")]
    fn and_key(&self, own: &str) -> Options {
        Options {
            accept: vec![Kind::Cert, Kind::Psk],
            psk_identity: Some("web 1".into()),
            psk_file: self.files.at("a.psk"),
            ..self.of(own)
        }
    }

    /// Listeners of each library.
    fn listeners(&self) -> Vec<Options> {
        vec![
            self.of("good"),
            #[cfg(feature = "psk")]
            self.and_key("good"),
        ]
    }

    fn faults(&self) -> String {
        let faults = self.of("good").faults();
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        faults.join("\n")
    }
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_is_refused_both_ways() {
    let lists = Lists::new();
    let revoked = "revoked by its authority";
    for listener in lists.listeners() {
        assert!(good(&meet(&listener, &lists.of("good")).await));
        let (taken, made) = meet(&listener, &lists.files.cert("bad", "ours")).await;
        let why = taken.unwrap_err().to_string();
        assert!(why.contains(revoked), "{why}");
        // Said with an alert, not by an end without a word.
        assert!(matches!(made, Err(Refusal::Ours(_))), "{made:?}");
        let listener = Options {
            cert_file: lists.files.at("bad.crt"),
            key_file: lists.files.at("bad.key"),
            crl_file: None,
            ..listener
        };
        let (taken, made) = meet(&listener, &lists.of("good")).await;
        let why = made.unwrap_err().to_string();
        assert!(why.contains(revoked), "{why}");
        assert!(matches!(taken, Err(Refusal::Ours(_))), "{taken:?}");
    }
}

#[tokio::test]
async fn a_list_that_is_no_use_lets_nobody_in_and_is_said() {
    let lists = Lists::new();
    let theirs = Authority::new("theirs");
    // Of the same name, but signed with another key.
    let forged = Authority::new("ours");
    for (list, said) in [
        (
            take_back(&lists.ours, &[], 2002),
            "out of date since 2002-01-01",
        ),
        (take_back(&theirs, &[], 3000), "has no list of an authority"),
        (
            take_back(&forged, &[], 3000),
            "cannot be used: BadSignature",
        ),
    ] {
        lists.write(&list);
        assert_eq!(lists.faults(), "");
        let client = lists.files.cert("good", "ours");
        for listener in lists.listeners() {
            let why = meet(&listener, &client).await.0.unwrap_err().to_string();
            assert!(why.contains("tls.crl_file") && why.contains(said), "{why}");
        }
        let why = meet(&client, &lists.of("good"))
            .await
            .1
            .unwrap_err()
            .to_string();
        assert!(why.contains("tls.crl_file") && why.contains(said), "{why}");
    }
    // One good and one broken: which of them is said, and nothing of what is in it.
    let list = take_back(&lists.ours, &[], 3000);
    let broken = "-----BEGIN X509 CRL-----\nMAEA\n-----END X509 CRL-----\n";
    for (text, said) in [
        (format!("{list}{broken}"), "list 2 in "),
        (broken.to_owned(), "list 1 in "),
        (lists.good.cert.clone(), "no list in "),
        (list.replace("-----END", "----END"), "has no END line"),
    ] {
        lists.write(&text);
        let faults = lists.faults();
        assert!(
            faults.starts_with("crl_file: ") && faults.contains(said) && !faults.contains("MAEA"),
            "{faults}"
        );
    }
}

/// What agent 2 does with the same files: it goes by the list that was issued last, wherever that stands.
#[tokio::test]
async fn of_two_lists_of_an_authority_the_one_that_was_issued_last_counts() {
    let lists = Lists::new();
    let old = take_back_in(2001, &lists.ours, &[], 2002);
    let late = take_back_in(2010, &lists.ours, &[&lists.bad], 3000);
    for text in [format!("{old}{late}"), format!("{late}{old}")] {
        lists.write(&text);
        assert_eq!(warnings(&lists.of("good")), [""; 0]);
        for listener in lists.listeners() {
            assert!(good(&meet(&listener, &lists.of("good")).await));
            let bad = lists.files.cert("bad", "ours");
            assert!(meet(&listener, &bad).await.0.is_err());
        }
    }
    // Nor does one help that was issued before and is good for longer.
    let long = take_back_in(2001, &lists.ours, &[], 3000);
    let late = take_back_in(2010, &lists.ours, &[], 2011);
    lists.write(&format!("{long}{late}"));
    let said = warnings(&lists.of("good"));
    assert!(
        said.len() == 1 && said[0].contains("list 2 in ") && said[0].contains("since 2011-01-01"),
        "{said:?}"
    );
    for listener in lists.listeners() {
        assert!(!good(&meet(&listener, &lists.of("good")).await));
    }
}

fn warnings(options: &Options) -> Vec<String> {
    let warnings = options.warnings();
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_list_that_is_out_of_date_is_worth_a_warning_at_the_start_and_when_it_comes() {
    let lists = Lists::new();
    let options = lists.of("good");
    assert_eq!(warnings(&options), [""; 0]);
    let connects = Options {
        accept: Vec::new(),
        connect: Some(Kind::Cert),
        ..options.clone()
    };
    let ends = Ends::new(&options, &options);
    // Who only connects has nobody else to say it.
    let alone = Client::new(connects);
    alone.look();
    let other = Authority::new("other");
    let (old, fresh) = (
        take_back(&lists.ours, &[], 2002),
        take_back(&other, &[], 3000),
    );
    lists.write(&format!("{fresh}{old}"));
    let said = warnings(&options);
    let path = options.crl_file.as_ref().unwrap().display().to_string();
    let [warning] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(
        warning.starts_with(&format!("crl_file: list 2 in {path}, of ")),
        "{warning}"
    );
    assert!(
        warning.contains("CN=ours") && warning.contains("since 2002-01-01T00:00:00Z"),
        "{warning}"
    );
    let alone = logged(|| {
        alone.look();
        alone.look();
    });
    for said in [ends.look().join("\n"), alone] {
        assert_eq!(said.matches("tls.crl_file: list 2").count(), 1, "{said}");
    }
}

/// What is logged while `within` runs, on this thread.
fn logged(within: impl FnOnce()) -> String {
    let captured = Captured::default();
    captured.logs(&logs::Options::default(), false, |_| within());
    captured.text()
}

/// Two ends that stay, each of which takes what was written as soon as it is told to look.
struct Ends {
    server: Server,
    client: Client,
}

impl Ends {
    fn new(server: &Options, client: &Options) -> Self {
        let ends = Self {
            server: Server::new(server.clone()),
            client: Client::new(client.clone()),
        };
        ends.server.look();
        ends.client.look();
        ends
    }

    /// What is logged by looks, the second of which finds the same.
    fn look(&self) -> Vec<String> {
        let text = logged(|| {
            for _ in 0..2 {
                self.server.look();
                self.client.look();
            }
        });
        text.lines().map(str::to_owned).collect()
    }

    fn meets(&self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let met = runtime.unwrap().block_on(ends(&self.server, &self.client));
        good(&met)
    }
}

#[test]
fn files_that_change_are_read_again_and_broken_ones_leave_what_was_there() {
    let lists = Lists::new();
    let at = lists.files.directory.path();
    for (server, client) in [
        (lists.of("good"), lists.of("good")),
        #[cfg(feature = "psk")]
        (lists.and_key("good"), lists.of("good")),
        #[cfg(feature = "psk")]
        (
            lists.files.psk("web 1", "a.psk"),
            lists.files.psk("web 1", "a.psk"),
        ),
    ] {
        let ends = Ends::new(&server, &client);
        assert!(ends.look().is_empty(), "nothing has changed");
        assert!(ends.meets());
        let files = [
            ("tls.crl_file", &server.crl_file),
            ("tls.ca_file", &server.ca_file),
            ("tls.cert_file", &server.cert_file),
            ("tls.key_file", &server.key_file),
            ("tls.psk_file", &server.psk_file),
        ];
        for (key, file) in files {
            let Some(file) = file else { continue };
            let key = key.trim_start_matches("tls.");
            let before = std::fs::read(file).unwrap();
            for broken in [Some("nothing of use"), None] {
                match broken {
                    Some(text) => std::fs::write(file, text).unwrap(),
                    None => std::fs::remove_file(file).unwrap(),
                }
                // Each end whose file it is says it once, however often it looks.
                let both = [&server, &client];
                let theirs = both.iter().filter(|end| end.files().contains(file)).count();
                let said = ends.look();
                assert_eq!(said.len(), theirs, "{said:#?}");
                for line in &said {
                    assert!(
                        line.contains("those before stay") && line.contains(key),
                        "{line}"
                    );
                    assert!(!line.contains("nothing of use"), "{line}");
                }
                assert!(ends.meets(), "{key} of before is gone");
            }
            std::fs::write(file, &before).unwrap();
            ends.look();
        }
        // And what is good is taken: a certificate is taken back, another authority takes the place of the first, a key is another one.
        assert!(ends.meets());
        if server.crl_file.is_some() {
            lists.write(&take_back(&lists.ours, &[&lists.good], 3000));
            ends.look();
            assert!(!ends.meets(), "it was taken back");
            lists.write(&take_back(&lists.ours, &[], 3000));
            ends.look();
            assert!(ends.meets());
            let other = Authority::new("other");
            other.write(at, "ours");
            ends.look();
            assert!(!ends.meets(), "the authority is another one");
            lists.write(&take_back(&other, &[], 3000));
            other.issue(&["good.example"]).write(at, "good");
            ends.look();
            assert!(
                ends.meets(),
                "cert_file and key_file are those of the other authority"
            );
            lists.ours.write(at, "ours");
            lists.good.write(at, "good");
            lists.write(&take_back(&lists.ours, &[], 3000));
        } else {
            let file = server.psk_file.as_ref().unwrap();
            std::fs::write(file, "ab".repeat(32)).unwrap();
            ends.server.look();
            assert!(!ends.meets(), "only one end has the new key");
            ends.client.look();
            assert!(ends.meets());
        }
    }
}
