//! Bodies of webhooks that lie in files, for `plan` and `rehearse`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Exit;
use crate::model::moment::Timestamp;
use crate::net::server::Limits;
use crate::serve::hooks;

/// Reads a body; `-` is standard input. No more than a hook takes.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let most = Limits::default().body;
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut body)
    } else {
        File::open(file).and_then(|open| open.take(limit).read_to_end(&mut body))
    };
    match read {
        Ok(size) if size > most => Err(format!("it is larger than {most} bytes, as no hook takes")),
        Ok(_) => Ok(body),
        Err(error) => Err(error.to_string()),
    }
}

/// The files of a directory whose names end with `.json`, by name.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, Exit> {
    let failed = |why: String| {
        super::fail(&format!(
            "read the directory of bodies {}: {why}",
            directory.display()
        ))
    };
    let entries = std::fs::read_dir(directory).map_err(|error| failed(error.to_string()))?;
    let files = entries.map(|entry| entry.map(|entry| entry.path()));
    let files: Result<Vec<PathBuf>, io::Error> = files.collect();
    let mut files = files.map_err(|error| failed(error.to_string()))?;
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort();
    if files.is_empty() {
        return Err(failed("there is no *.json in it".to_owned()));
    }
    Ok(files)
}

/// When a body was sent, as far as its alerts say: when the last of them began or, if it is resolved, ended.
pub(super) fn sent_at(body: &[u8]) -> Option<Timestamp> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let listed = body.get("alerts").or_else(|| body.pointer("/data/alerts"));
    let alerts = match listed.unwrap_or(&body) {
        Value::Array(alerts) => alerts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let time = |alert: &Value, name: &str| Timestamp::parse(alert.get(name)?.as_str()?);
    let sent = alerts.iter().filter_map(|alert| {
        let began = time(alert, "startsAt").or_else(|| time(alert, "activeAt"));
        match alert.get("status").and_then(Value::as_str) {
            Some("resolved") => time(alert, "endsAt").max(began),
            _ => began,
        }
    });
    sent.max()
}

/// The hook of the config that `--hook` names.
pub(super) fn known<'a>(
    hooks: &'a hooks::Options,
    name: Option<&'a String>,
) -> Result<Option<&'a str>, Exit> {
    let Some(name) = name else { return Ok(None) };
    if hooks.named.contains_key(name) {
        return Ok(Some(name));
    }
    let known = || hooks.named.keys().map(String::as_str);
    let meant = super::meant(name, known());
    Err(super::usage(&format!(
        "--hook: no hook is called {name:?}; {meant}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_was_sent_when_the_last_of_its_alerts_began_or_ended() {
        let sent = |text: &str| sent_at(text.as_bytes()).map(|at| at.to_string());
        let alert = |status: &str, began: &str, ended: &str| {
            format!(r#"{{"status": "{status}", "startsAt": "{began}", "endsAt": "{ended}"}}"#)
        };
        let (first, second) = ("2026-11-22T10:00:00.000Z", "2026-11-22T10:15:00.000Z");
        let firing = alert("firing", first, second);
        let over = alert("resolved", first, second);
        assert_eq!(sent(&firing).as_deref(), Some(first));
        let both = format!(r#"{{"alerts": [{firing}, {over}]}}"#);
        assert_eq!(sent(&both).as_deref(), Some(second));
        assert_eq!(sent(&format!("[{firing}]")).as_deref(), Some(first));
        for none in ["{}", "[]", "{", "7", r#"{"event_id": "7"}"#] {
            assert_eq!(sent(none), None, "{none}");
        }
    }

    #[test]
    fn a_body_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.json");
        let most = Limits::default().body;
        std::fs::write(&file, vec![b' '; most]).unwrap();
        assert_eq!(read(&file).unwrap().len(), most);
        std::fs::write(&file, vec![b' '; most + 1]).unwrap();
        assert!(read(&file).unwrap_err().contains("larger than"));
        assert!(read(directory.path()).is_err());
    }
}
