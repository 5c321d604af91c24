//! The web configuration file: it makes terms that can be put into force, or at least one error that shows no line of it.

use nodeward::config::web;
use nodeward::serve::web::Terms;

/// Takes the bytes as such a file.
pub fn check(bytes: &[u8]) {
    match web::parse(bytes) {
        Ok(file) => {
            drop(Terms::new(&file));
            if let Ok(Some(tls)) = file.tls() {
                assert!(file.has_tls(), "{tls:?}");
            }
        }
        Err(errors) => {
            let said = errors.without_lines();
            assert!(errors.count() > 0 && !said.is_empty() && said.len() < 1 << 20);
        }
    }
}
