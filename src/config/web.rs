//! The web configuration file of Prometheus' exporters (`--web.config.file`): read as the config is, with places for what is wrong, but of
//! one file alone.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::cross::Cross;
use super::fault::{Errors, Faults};
use super::load;
use super::secret::Near;
use super::tree;
use crate::serve::web::File;

/// Of a file's mode: everybody may read it.
const READ_BY_OTHERS: u32 = 0o004;

/// A file that was read without a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Web {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub file: File,
    /// What is worth a warning and no more.
    pub warnings: Vec<String>,
}

/// Reads it, and the files it names, which begin at its directory; may block.
///
/// # Errors
/// Everything that is wrong, as a compiler shows it.
pub fn read(path: &Path) -> Result<Web, Errors> {
    let mut faults = Faults::default();
    let sources = load::source(path, &mut faults);
    // Only a path that is empty or a lost working directory has no absolute form.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let near = Near::new(absolute.parent().unwrap_or(&absolute), None);
    let file = load::read::<File>(sources, &near, faults, validate)?.config;
    let mode = std::fs::metadata(path).map_or(0, |seen| seen.mode());
    let mut warnings = file.warnings();
    if file.has_secrets() && mode & READ_BY_OTHERS != 0 {
        warnings.push("everybody on this machine may read it; chmod 640 it".into());
    }
    let shown = path.display();
    let warnings = warnings.iter().map(|said| format!("{shown}: {said}"));
    Ok(Web {
        path: path.to_owned(),
        warnings: warnings.collect(),
        file,
    })
}

/// Takes a file apart that is no file, for whoever tests that.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8]) -> Result<File, Errors> {
    let mut faults = Faults::default();
    let (text, fault) = load::decode(bytes, 0);
    fault.into_iter().for_each(|fault| faults.push(fault));
    let source = super::fault::Source {
        path: "web.yml".into(),
        text,
    };
    let sources = super::fault::Sources(vec![source]);
    let read = load::read::<File>(sources, &Near::new("/nonexistent", None), faults, |_, _| ());
    read.map(|read| read.config)
}

fn validate(file: &File, cross: &mut Cross<'_>) {
    for (keys, why) in file.faults() {
        cross.fault(&tree::Path::of(&keys), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file with this text.
    fn said(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        std::fs::write(&path, text).unwrap();
        match read(&path) {
            Ok(web) => web.warnings.join("\n"),
            Err(errors) => errors.without_lines(),
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place_and_what_to_do() {
        let tls = "tls_server_config: {cert_file: a, key_file: b,";
        for (text, place, what) in [
            ("bogus: 1", "1:1: ", "unknown key \"bogus\""),
            (
                "tls_server_confg: {}",
                "1:1: ",
                "did you mean \"tls_server_config\"?",
            ),
            (
                "tls_server_config: {min_version: TLS13}",
                "1:20: ",
                "TLS needs cert_file, or cert",
            ),
            ("tls_server_config: {cert_file: a}", "1:20: ", "key_file"),
            (&format!("{tls} cert: x}}"), ":54: ", "keep one of both"),
            (
                &format!("{tls} min_version: TLS10}}"),
                ":61: ",
                "write TLS12",
            ),
            (
                &format!("{tls} max_version: SSL30}}"),
                ":61: ",
                "there are TLS12 and TLS13",
            ),
            (
                &format!("{tls} client_auth_type: RequireAnyClientCert}}"),
                ":66: ",
                "RequireAndVerifyClientCert with",
            ),
            (
                &format!("{tls} client_auth_type: RequestClientCert}}"),
                ":66: ",
                "write NoClientCert",
            ),
            (
                &format!("{tls} client_auth_type: RequireAndVerifyClientCrt}}"),
                ":66: ",
                "did you mean RequireAndVerifyClientCert?",
            ),
            (
                &format!("{tls} client_auth_type: RequireAndVerifyClientCert}}"),
                ":66: ",
                "needs client_ca_file",
            ),
            (
                &format!("{tls} cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]}}"),
                ":64: ",
                "leave it out",
            ),
            (
                &format!("{tls} curve_preferences: [CurveP521]}}"),
                ":68: ",
                "name CurveP384",
            ),
            (
                &format!("{tls} client_allowed_sans: ['a@b.example']}}"),
                ":70: ",
                "no DNS name",
            ),
            (
                &format!("{tls} min_version: TLS13, max_version: TLS12}}"),
                ":81: ",
                "older than min_version",
            ),
            (&format!("{tls}}}"), ":32: ", "cannot read"),
            ("basic_auth_users: {ann: secret}", ":25: ", "no bcrypt hash"),
            (
                "http_server_config: {headers: {X-Frame-Options: allow}}",
                ":49: ",
                "deny, sameorigin",
            ),
            (
                "http_server_config: {headers: {X-Foo: a}}",
                ":32: ",
                "unknown key \"X-Foo\"",
            ),
            (
                "http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}",
                ":50: ",
                "no header",
            ),
            ("rate_limit: {interval: 1s}", "1:13: ", "nobody in"),
            (
                "rate_limit: {interval: 5, burst: 1}",
                ":24: ",
                "5 has no unit",
            ),
            (": : x", "web.yml:1:", ""),
            ("[]", "1:1: ", "expected a map"),
        ] {
            let said = said(text);
            assert!(
                said.contains(place) && said.contains(what),
                "{text}:\n{said}"
            );
            assert!(!said.contains("secret"), "{said}");
        }
        let gone = read(Path::new("/nonexistent/web.yml"))
            .unwrap_err()
            .to_string();
        assert!(gone.contains("cannot read"), "{gone}");
    }

    #[test]
    fn what_asks_for_nothing_is_taken_and_what_is_only_strange_is_warned_of() {
        for text in [
            "",
            "# nothing\n",
            "basic_auth_users:\n",
            "tls_server_config: {}",
            "http_server_config: {headers:, http2: false}",
            "rate_limit: {interval: 0s}",
        ] {
            assert_eq!(said(text), "", "{text}");
        }
        assert!(said("http_server_config: {http2: true}").contains("HTTP/1.1"));
        let hash = "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
        // A name that ends so is not the name of a file.
        let users = format!("basic_auth_users: {{my_file: '{hash}'}}");
        assert!(said(&users).contains("chmod 640"), "{}", said(&users));
    }
}
