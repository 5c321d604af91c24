//! Content negotiation (RFC 9110, sections 12.5.1 and 12.5.3), lenient: what cannot be read counts as not said.

use crate::dialect::prometheus::Format;

/// One entry of an Accept-like header: its value, its parameters and its weight in thousandths.
fn entries(header: &str) -> impl Iterator<Item = (&str, Vec<(&str, &str)>, u32)> {
    header.split(',').take(32).map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let value = parts.next().unwrap_or("");
        let parameters: Vec<_> = parts
            .filter_map(|p| p.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let weight = parameters
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("q"))
            .map_or(1000, |(_, q)| thousandths(q));
        (value, parameters, weight)
    })
}

fn thousandths(q: &str) -> u32 {
    let q: f64 = q.parse().unwrap_or(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped before"
    )]
    let weight = (q.clamp(0.0, 1.0) * 1000.0) as u32;
    weight
}

/// The format for an Accept header: OpenMetrics if it is offered and weighs at least as much as text.
pub(super) fn format(accept: Option<&str>, openmetrics: bool) -> Format {
    let (Some(accept), true) = (accept, openmetrics) else {
        return Format::Text;
    };
    let (mut open, mut text) = (0, 0);
    for (value, parameters, weight) in entries(accept) {
        let version = parameters
            .iter()
            .find(|(n, _)| *n == "version")
            .map(|(_, v)| *v);
        match (value, version) {
            ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => {
                open = open.max(weight);
            }
            ("text/plain", None | Some("0.0.4")) => text = text.max(weight),
            _ => {}
        }
    }
    if open > 0 && open >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether an Accept-Encoding header takes gzip.
pub(super) fn gzip(header: Option<&str>) -> bool {
    header.is_some_and(|h| {
        entries(h).any(|(value, _, weight)| weight > 0 && value.eq_ignore_ascii_case("gzip"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

    #[test]
    fn openmetrics_only_when_offered_and_preferred() {
        assert_eq!(format(Some(PROMETHEUS_3), true), Format::OpenMetrics);
        assert_eq!(format(Some(PROMETHEUS_3), false), Format::Text);
        assert_eq!(format(Some("text/plain;version=0.0.4"), true), Format::Text);
        assert_eq!(format(Some("*/*"), true), Format::Text);
        assert_eq!(format(None, true), Format::Text);
        assert_eq!(format(Some(";;;,,=;q=x"), true), Format::Text);
    }

    #[test]
    fn gzip_unless_refused() {
        assert!(gzip(Some("gzip")));
        assert!(gzip(Some("deflate, GZIP;q=0.5")));
        assert!(!gzip(Some("gzip;q=0, br")));
        assert!(!gzip(None));
    }
}
