//! Which words name a secret, or are one.

use std::ops::Range;

use super::bytes::byte;

/// A name with one of these in it has a secret behind it, whatever its case.
pub const WITHIN: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "requirepass",
    "storepass",
    "keypass",
    "dbpass",
    "userpass",
    "masterauth",
    "pwd",
    "bindpw",
    "rootpw",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "api.key",
    "accesskey",
    "access_key",
    "access-key",
    "privatekey",
    "private_key",
    "private-key",
    "sessid",
    "sessionid",
    "session_id",
    "session-id",
    "connectionstring",
    "connection_string",
    "signature",
    "authorization",
    "cookie",
];

/// A name that is one of these, or ends with it behind `_`, `-` or `.`, has one too.
pub const ENDS: &[&str] = &["pass", "pw", "key", "auth", "psk", "otp", "salt", "dsn"];

/// Headers of which all that follows is taken.
pub(super) const HEADERS: &[&str] = &["authorization", "cookie"];

/// Names behind which a blank is enough, as in the settings of Redis and of LDAP.
pub(super) const SPACED: &[&str] = &["requirepass", "masterauth", "bindpw", "rootpw"];

/// A word that begins so and is so long at least is a token that somebody issued.
pub const ISSUED: &[(&str, usize)] = &[
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("SG.", 20),
    ("dop_v1_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 15),
    ("hvs.", 20),
    ("npm_", 20),
    ("pypi-", 20),
    ("rk_live_", 16),
    ("sk_live_", 16),
    ("sk-", 20),
    ("xoxa-", 12),
    ("xoxb-", 12),
    ("xoxp-", 12),
    ("xoxr-", 12),
    ("xoxs-", 12),
    ("ya29.", 20),
];

/// Whether a word is one that environments are set with.
pub(super) fn is_setting(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    word.len() > 1 && word.bytes().all(fits)
}

pub(super) fn names_a_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let name = lower.trim_start_matches('-');
    let ends = |end: &str| {
        let before = name.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['_', '-', '.']))
    };
    WITHIN.iter().any(|part| name.contains(part))
        || ENDS.iter().any(|end| ends(end))
        // As in `sslKey`.
        || (word.len() > 3 && word.ends_with("Key"))
}

pub(super) fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest", "negotiate", "apikey"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Ways to log in to a mail server, behind which the login itself may stand.
pub(super) fn is_mechanism(word: &str) -> bool {
    ["plain", "login", "xoauth2", "oauthbearer"]
        .iter()
        .any(|mechanism| word.eq_ignore_ascii_case(mechanism))
}

/// A token by its shape: where it begins and ends within the word.
pub(super) fn issued(word: &str) -> Option<Range<usize>> {
    // A JSON web token: three parts, the first of which is an object.
    if word.len() >= 30 && word.matches('.').count() >= 2 && word.starts_with("eyJ") {
        return Some(0..word.len());
    }
    ISSUED.iter().find_map(|(begin, least)| {
        let at = word.find(begin)?;
        let before = at.checked_sub(1).map(|at| byte(word.as_bytes(), at));
        let starts = before.is_none_or(|b| matches!(b, b'.' | b'-' | b'_'));
        (starts && word.len() - at >= *least).then_some(at..word.len())
    })
}
