//! Texts of others from which secrets are taken: what is taken stays taken, and what has the name of a secret is never left.

use nodeward::heal::evidence::redact::Redactor;

const SECRET: &str = "q7Xk9zzT";

/// Takes secrets out of the bytes as a text and as command lines, and out of a text that surely has one.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let known = text.split_whitespace().take(3).map(str::to_owned);
    for redactor in [Redactor::default(), Redactor::knowing(known)] {
        for once in [redactor.text(&text), redactor.commands(&text)] {
            assert_eq!(redactor.text(&once), once, "{text:?}");
        }
        let planted = format!("{text}\n db_password={SECRET} {text}");
        let left = redactor.text(&planted);
        assert!(!left.contains(SECRET) || text.contains(SECRET), "{left:?}");
    }
}
