//! A line for the ends of certificates, which all kinds that speak TLS share.

use serde_json::{Value, json};

use super::Outcome;
use crate::model::duration::Period;
use crate::net::tls::Chain;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// What is wrong with a line.
pub(super) fn fault(line: Option<Period>, secure: bool) -> Option<(&'static str, String)> {
    let useless = line.is_some() && !secure;
    useless.then(|| {
        let why = "means nothing without TLS, which shows a certificate";
        ("certificate_expires_in", why.to_owned())
    })
}

/// What came of a probe that was shown `chain` at `now`, in seconds of the epoch: it fails if one of the certificates ends before the
/// line.
pub(super) fn judged(
    outcome: Outcome,
    chain: Option<&Chain>,
    line: Option<Period>,
    now: u64,
) -> Outcome {
    let end = chain.and_then(|chain| Some((chain, chain.first_end()?)));
    let Some((chain, end)) = end else {
        return outcome;
    };
    let left = end.at.saturating_sub(now);
    let mut outcome = Outcome {
        certificate_end: Some(end.at),
        ..outcome
    };
    if let Value::Object(facts) = &mut outcome.facts {
        facts.insert("certificate_expires_at".into(), end.at.into());
        facts.insert("certificate_days_left".into(), json!(left / DAY));
    }
    let Some(line) = line.filter(|line| outcome.ok && left < line.get().as_secs()) else {
        return outcome;
    };
    let told = chain.told(end);
    outcome.ok = false;
    outcome.why = match left {
        0 => format!("{told}, which is past"),
        _ => format!("{told}, in less than {line}"),
    };
    outcome
}
