//! The paths of the API.

use hyper::body::Bytes;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::error;
use super::options::Role;

/// Where all paths begin.
pub(super) const ROOT: &str = "/api/v1/";

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Something is to be shown.
    Ask(Thing<'a>),
    /// Something is to be done.
    Order(Verb<'a>),
    /// What would be done is to be said.
    Plan,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing<'a> {
    State,
    Checks,
    Pools,
    Incidents,
    /// One, by its id.
    Incident(&'a str),
    /// The packets of evidence of one, or that of a number.
    Evidence(&'a str, Option<u32>),
    Events,
    OpenApi,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb<'a> {
    Pause,
    Resume,
    Maintenance,
    Approve,
    Reject,
    Acknowledge,
    Cancel,
    /// Of this node from a pool.
    Isolate(&'a str),
    /// Into a pool.
    Rejoin(&'a str),
}

impl<'a> Route<'a> {
    pub(super) fn find(path: &'a str) -> Option<Self> {
        Some(match path.strip_prefix(ROOT)? {
            "state" => Self::Ask(Thing::State),
            "checks" => Self::Ask(Thing::Checks),
            "pools" => Self::Ask(Thing::Pools),
            "incidents" => Self::Ask(Thing::Incidents),
            "events" => Self::Ask(Thing::Events),
            "openapi.json" => Self::Ask(Thing::OpenApi),
            "plan" => Self::Plan,
            "pause" => Self::Order(Verb::Pause),
            "resume" => Self::Order(Verb::Resume),
            "maintenance" => Self::Order(Verb::Maintenance),
            "approve" => Self::Order(Verb::Approve),
            "reject" => Self::Order(Verb::Reject),
            "ack" => Self::Order(Verb::Acknowledge),
            "cancel" => Self::Order(Verb::Cancel),
            other if other.starts_with("pools/") => {
                let (pool, verb) = other.strip_prefix("pools/")?.split_once('/')?;
                match verb {
                    "isolate" if is_pool(pool) => Self::Order(Verb::Isolate(pool)),
                    "rejoin" if is_pool(pool) => Self::Order(Verb::Rejoin(pool)),
                    _ => return None,
                }
            }
            other => {
                let mut parts = other.strip_prefix("incidents/")?.split('/');
                let id = parts.next().filter(|id| is_id(id))?;
                let thing = match (parts.next(), parts.next(), parts.next()) {
                    (None, ..) => Thing::Incident(id),
                    (Some("evidence"), None, _) => Thing::Evidence(id, None),
                    (Some("evidence"), Some(number), None) if is_number(number) => {
                        Thing::Evidence(id, Some(number.parse().ok()?))
                    }
                    _ => return None,
                };
                Self::Ask(thing)
            }
        })
    }

    /// The answer where there is no route.
    pub(super) fn none(path: &str) -> Response<Bytes> {
        let why = match path.strip_prefix("/api/v1/incidents/") {
            Some(_) => {
                "an incident's id has letters and digits only, at most 64; behind it there is /evidence and /evidence/NUMBER"
            }
            None => {
                "there is: GET state, checks, pools, incidents, incidents/ID, incidents/ID/evidence, incidents/ID/evidence/NUMBER, events, openapi.json; POST plan, pause, resume, maintenance, approve, \
                 reject, ack, cancel, pools/POOL/isolate, pools/POOL/rejoin; all below /api/v1/"
            }
        };
        error(StatusCode::NOT_FOUND, why)
    }

    /// What one must be allowed to go it.
    pub(super) const fn role(self) -> Role {
        match self {
            // It has what the config names probed, which who may only read is not to do.
            Self::Order(_) | Self::Plan => Role::Operate,
            Self::Ask(_) => Role::Read,
        }
    }

    /// The answer to a method that is not the route's.
    pub(super) fn refuses(self, method: &Method) -> Option<Response<Bytes>> {
        let (fits, allow) = match self {
            Self::Order(_) | Self::Plan => (*method == Method::POST, "POST"),
            Self::Ask(_) => (
                *method == Method::GET || *method == Method::HEAD,
                "GET, HEAD",
            ),
        };
        if fits {
            return None;
        }
        let mut refused = error(StatusCode::METHOD_NOT_ALLOWED, &format!("{allow} only"));
        let allow = HeaderValue::from_static(allow);
        refused.headers_mut().insert(ALLOW, allow);
        Some(refused)
    }
}

/// Whether a text can be the id of an incident, or a part of one.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether a text can be the number of a packet, in the one form that it has.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')
}

/// Whether a text can be the name of a pool.
fn is_pool(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_lead_anywhere() {
        assert_eq!(Route::find("/api/v1/state"), Some(Route::Ask(Thing::State)));
        let incident = Route::find("/api/v1/incidents/01JD");
        assert_eq!(incident, Some(Route::Ask(Thing::Incident("01JD"))));
        for (path, number) in [
            ("/api/v1/incidents/01JD/evidence", None),
            ("/api/v1/incidents/01JD/evidence/12", Some(12)),
        ] {
            let packets = Route::Ask(Thing::Evidence("01JD", number));
            assert_eq!(Route::find(path), Some(packets), "{path}");
        }
        for (path, verb) in [
            ("/api/v1/pools/web/isolate", Verb::Isolate("web")),
            ("/api/v1/pools/web-1.eu/rejoin", Verb::Rejoin("web-1.eu")),
        ] {
            assert_eq!(Route::find(path), Some(Route::Order(verb)), "{path}");
        }
        for path in [
            "/api/v1/pools/",
            "/api/v1/pools/web",
            "/api/v1/pools/web/drop",
            "/api/v1/pools//isolate",
            "/api/v1/pools/a%2fb/isolate",
            "/api/v1",
            "/api/v1/",
            "/api/v2/state",
            "/api/v1/state/",
            "/api/v1/State",
            "/api/v1/incidents/",
            "/api/v1/incidents/../state",
            "/api/v1/incidents/%30",
            "/api/v1/incidents/01JD/",
            "/api/v1/incidents/01JD/evidence/",
            "/api/v1/incidents/01JD/evidence/0",
            "/api/v1/incidents/01JD/evidence/01",
            "/api/v1/incidents/01JD/evidence/99999999999",
            "/api/v1/incidents/01JD/evidence/1/2",
        ] {
            assert_eq!(Route::find(path), None, "{path}");
        }
    }
}
