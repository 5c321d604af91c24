//! The web configuration file: promtool judges what the docs show, and node_exporter lets in whom we let in.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::tls::testing::Authority;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "web_config::promtool_takes_what_the_docs_show_and_so_do_we",
        needs: &[Peer::Promtool],
        run: docs,
    },
    PeerTest {
        name: "web_config::the_reference_lets_in_the_same",
        needs: &[Peer::NodeExporter, Peer::Curl],
        run: reference,
    },
];

/// Of the password `abc`.
const ABC: &str = "$2y$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

/// Certificates beside the file, and it.
fn laid(text: &str, scratch: &Scratch) -> Result<(), Failed> {
    let authority = Authority::new("ours");
    let directory = scratch.path();
    authority.write(directory, "ca");
    authority.issue(&["127.0.0.1"]).write(directory, "server");
    authority
        .issue(&["prometheus.example"])
        .write(directory, "client");
    authority
        .issue(&["other.example"])
        .write(directory, "other");
    std::fs::write(directory.join("web.yml"), text)?;
    Ok(())
}

fn docs() -> Result<(), Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/NODE_EXPORTER.md");
    let page = std::fs::read_to_string(page)?;
    let examples = page.split("```yaml web-config\n").skip(1);
    let examples: Vec<_> = examples
        .filter_map(|rest| rest.split("\n```").next())
        .collect();
    if examples.is_empty() {
        return Err("the docs show no web configuration file".into());
    }
    for example in examples {
        let scratch = Scratch::new()?;
        laid(&format!("{example}\n"), &scratch)?;
        let file = scratch.path().join("web.yml");
        let config = scratch.path().join("nodeward.yml");
        std::fs::write(&config, "http: {web_config: web.yml}\n")?;
        let mut theirs = Command::new(Peer::Promtool.find()?);
        theirs.args(["check", "web-config"]).arg(&file);
        let mut mine = ours::command("validate", &scratch);
        mine.arg(&config);
        for mut judge in [theirs, mine] {
            let out = judge.output()?;
            if !out.status.success() {
                let said = [out.stdout, out.stderr].concat();
                return Err(format!("{judge:?}: {}", String::from_utf8_lossy(&said)).into());
            }
        }
    }
    Ok(())
}

/// The code of an answer and what it has of the header, as curl sees them; 000 if there is none.
fn curl(url: &str, more: &[&str], directory: &Path) -> Result<String, Failed> {
    let mut command = Command::new(Peer::Curl.find()?);
    command
        .current_dir(directory)
        .args(["--silent", "--output", "/dev/null", "--max-time", "60"])
        .args(["--write-out", "%{http_code} %header{x-frame-options}"])
        .args(more)
        .arg(url);
    Ok(String::from_utf8(command.output()?.stdout)?)
}

/// One whose pairs of certificate and login are tried at both.
struct Case {
    name: &'static str,
    web: String,
    scheme: &'static str,
}

fn reference() -> Result<(), Failed> {
    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    let users = format!("basic_auth_users: {{ann: {ABC}}}\n");
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let asks = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n";
    let cases = [
        Case {
            name: "plain, users, headers",
            web: format!("{users}{headers}"),
            scheme: "http",
        },
        Case {
            name: "TLS alone",
            web: tls.into(),
            scheme: "https",
        },
        Case {
            name: "TLS, certificate of a client, users",
            web: format!("{tls}{asks}{users}{headers}"),
            scheme: "https",
        },
        Case {
            name: "TLS 1.3, a name of a client",
            web: format!(
                "{tls}{asks}  client_allowed_sans: [prometheus.example]\n  min_version: TLS13\n"
            ),
            scheme: "https",
        },
        Case {
            name: "TLS 1.2, one suite, one curve, a certificate if there is one",
            web: format!(
                "{tls}  client_ca_file: ca.pem\n  client_auth_type: VerifyClientCertIfGiven\n  max_version: TLS12\n  \
                 cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [CurveP256]\n"
            ),
            scheme: "https",
        },
    ];
    let mut wrong = Vec::new();
    for case in cases {
        let scratch = Scratch::new()?;
        laid(&case.web, &scratch)?;
        let file = format!(
            "--web.config.file={}",
            scratch.path().join("web.yml").display()
        );
        let mut command = Command::new(Peer::NodeExporter.find()?);
        command.args(["--web.listen-address=127.0.0.1:0", &file]);
        let mut theirs = Running::start("node_exporter", &mut command, &scratch)?;
        let mut mine = ours::run([&file], &scratch)?;
        let at = [theirs.address()?, mine.address()?];
        until("both to answer", || {
            let mut all = at.iter();
            all.all(|at| std::net::TcpStream::connect(at).is_ok())
                .then_some(())
        })?;
        for certificate in ["", "client", "other"] {
            for login in ["", "ann:abc", "ann:wrong", "eve:abc"] {
                for version in ["", "--tls-max=1.2"] {
                    let (crt, key) = (format!("{certificate}.crt"), format!("{certificate}.key"));
                    let mut more = vec!["--cacert", "ca.pem"];
                    if !certificate.is_empty() {
                        more.extend(["--cert", &crt, "--key", &key]);
                    }
                    if !login.is_empty() {
                        more.extend(["--user", login]);
                    }
                    if !version.is_empty() {
                        more.extend(["--tls-max", "1.2"]);
                    }
                    let ask = |at| {
                        curl(
                            &format!("{}://{at}/metrics", case.scheme),
                            &more,
                            scratch.path(),
                        )
                    };
                    let [their, my] = at.map(ask);
                    let (their, my) = (their?, my?);
                    if their != my {
                        wrong.push(format!(
                            "{}: {more:?}: {their:?} there, {my:?} here",
                            case.name
                        ));
                    }
                }
            }
        }
        mine.terminate()?;
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}
