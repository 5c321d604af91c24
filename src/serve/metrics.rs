//! `GET /metrics`: which subjects, how long, in which format.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};

use super::press::Press;
use super::{View, accept, answer, text};
use crate::subject::{Asker, lacks};

/// The deadline of a scrape that says none: Prometheus's own default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest anybody may ask to wait.
const LONGEST: Duration = Duration::from_secs(120);
/// What is kept back of the scrape's own timeout, to write and send the page.
const MARGIN: Duration = Duration::from_millis(500);
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Which subjects a query asks for.
#[derive(Debug, PartialEq, Eq)]
enum Filter {
    All,
    Only(Vec<String>),
    Without(Vec<String>),
}

impl Filter {
    /// `collect[]` and `exclude[]`, as node_exporter takes them: what is not there can be left out, and asking for it is an error. A
    /// collector that only node_exporter has tells nothing, so that jobs that name it go on.
    fn parse<'a>(
        query: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, String> {
        let mut collect = Vec::new();
        let mut exclude = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let list = match name.as_ref() {
                "collect[]" => &mut collect,
                "exclude[]" => &mut exclude,
                _ => continue,
            };
            let asked = name == "collect[]";
            if asked && !lacks(&value) && !known.clone().any(|k| k == value) {
                return Err(format!(
                    "{name}={value}: no such subject, or it is not enabled; enabled: {}\n",
                    known.collect::<Vec<_>>().join(", ")
                ));
            }
            list.push(value.into_owned());
        }
        match (collect.is_empty(), exclude.is_empty()) {
            (true, true) => Ok(Self::All),
            (false, true) => Ok(Self::Only(collect)),
            (true, false) => Ok(Self::Without(exclude)),
            (false, false) => Err("collect[] and exclude[] cannot be used in one request\n".into()),
        }
    }

    fn takes(&self, subject: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.iter().any(|s| s == subject),
            Self::Without(list) => !list.iter().any(|s| s == subject),
        }
    }
}

/// When the scrape must be answered.
fn patience(headers: &HeaderMap) -> Duration {
    let asked = headers
        .get(SCRAPE_TIMEOUT)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<f64>().ok())
        .and_then(|v| Duration::try_from_secs_f64(v).ok())
        .filter(|v| !v.is_zero())
        .map_or(TIMEOUT, |v| v.min(LONGEST));
    // A short timeout keeps a part of itself, not half a second.
    asked - MARGIN.min(asked / 5)
}

pub(super) async fn respond(
    view: &Arc<View>,
    press: &Arc<Press>,
    query: &str,
    headers: &HeaderMap,
) -> Response<Bytes> {
    let filter = match Filter::parse(query, view.sampler.names().collect::<Vec<_>>().into_iter()) {
        Ok(filter) => filter,
        Err(reason) => return text(StatusCode::BAD_REQUEST, reason),
    };
    let value = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let format = accept::format(value(header::ACCEPT), view.options.openmetrics);
    let gzip = accept::gzip(value(header::ACCEPT_ENCODING));
    let deadline = Instant::now() + patience(headers);
    let (served, printer) = (Arc::clone(view), Arc::clone(press));
    let made = view.sampler.make(
        Asker::Prometheus,
        |subject| filter.takes(subject),
        deadline,
        move |snapshot| printer.page(&served, &snapshot, format, gzip),
    );
    let Some(page) = made.await else {
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page could not be written\n",
        );
    };
    let mut response = answer(StatusCode::OK, format.content_type(), page);
    let headers = response.headers_mut();
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding"),
    );
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, String> {
        Filter::parse(query, ["cpu", "meminfo"].into_iter())
    }

    #[test]
    fn filters_as_node_exporter_does() {
        assert_eq!(filter(""), Ok(Filter::All));
        assert_eq!(filter("x=1&foo"), Ok(Filter::All));
        assert_eq!(
            filter("collect[]=cpu"),
            Ok(Filter::Only(vec!["cpu".into()]))
        );
        assert_eq!(
            filter("collect%5B%5D=cpu"),
            Ok(Filter::Only(vec!["cpu".into()]))
        );
        assert_eq!(
            filter("exclude[]=cpu"),
            Ok(Filter::Without(vec!["cpu".into()]))
        );
        assert!(filter("collect[]=cpu&exclude[]=meminfo").is_err());
        assert!(filter("collect[]=cpu&collect[]=zfs").is_ok());
        assert!(filter("collect[]=").is_err());
        assert_eq!(
            filter("exclude[]=nope"),
            Ok(Filter::Without(vec!["nope".into()]))
        );
        assert!(
            filter("collect[]=nope")
                .unwrap_err()
                .contains("cpu, meminfo")
        );
    }

    #[test]
    fn the_scrape_says_how_long_it_waits() {
        let mut headers = HeaderMap::new();
        assert_eq!(patience(&headers), Duration::from_millis(9500));
        for (said, kept) in [
            ("5", 4500),
            ("1", 800),
            ("nan", 9500),
            ("-1", 9500),
            ("1e9", 119_500),
        ] {
            headers.insert(SCRAPE_TIMEOUT, said.parse().unwrap());
            assert_eq!(patience(&headers), Duration::from_millis(kept), "{said}");
        }
    }
}
