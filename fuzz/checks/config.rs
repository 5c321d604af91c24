//! The config: a file and a drop-in make a config or at least one error, whose place is in the text.

use std::path::{Path, PathBuf};

use nodeward::config::fault::{Source, Sources};
use nodeward::config::{load, read};

/// Takes the bytes as a config file; those behind a NUL as its drop-in.
pub fn check(bytes: &[u8]) {
    let parts = bytes.splitn(2, |byte| *byte == 0);
    let source = |(file, part): (usize, &[u8])| Source {
        path: PathBuf::from(format!("{file}.yml")),
        text: load::decode(part, file).0,
    };
    let sources = Sources(parts.enumerate().map(source).collect());
    let errors = match read(sources.clone(), Path::new("/nowhere")) {
        Ok(loaded) => {
            let again = read(sources, Path::new("/nowhere"));
            assert_eq!(again.map(|again| again.fingerprint), Ok(loaded.fingerprint));
            return;
        }
        Err(errors) => errors,
    };
    assert!(errors.count() > 0);
    for fault in errors.faults() {
        let Some(place) = fault.place else { continue };
        let text = sources.0.get(place.file).map(|source| source.text.as_str());
        let lines = text.unwrap_or_default().split('\n').count() + 1;
        assert!((1..=lines).contains(&place.line), "{fault:?}");
        assert!(place.column >= 1 && place.width >= 1, "{fault:?}");
    }
    let said = errors.to_string();
    assert!(said.len() < 1 << 20);
    assert!(
        said.ends_with(" error") || said.ends_with(" errors"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "an escape reached the terminal");
}
