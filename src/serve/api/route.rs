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
    Order(Verb),
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing<'a> {
    State,
    Checks,
    Incidents,
    /// One, by its id.
    Incident(&'a str),
    Events,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Pause,
    Resume,
    Maintenance,
    Approve,
    Reject,
    Cancel,
}

impl<'a> Route<'a> {
    pub(super) fn find(path: &'a str) -> Option<Self> {
        Some(match path.strip_prefix(ROOT)? {
            "state" => Self::Ask(Thing::State),
            "checks" => Self::Ask(Thing::Checks),
            "incidents" => Self::Ask(Thing::Incidents),
            "events" => Self::Ask(Thing::Events),
            "pause" => Self::Order(Verb::Pause),
            "resume" => Self::Order(Verb::Resume),
            "maintenance" => Self::Order(Verb::Maintenance),
            "approve" => Self::Order(Verb::Approve),
            "reject" => Self::Order(Verb::Reject),
            "cancel" => Self::Order(Verb::Cancel),
            other => {
                let id = other.strip_prefix("incidents/").filter(|id| is_id(id))?;
                Self::Ask(Thing::Incident(id))
            }
        })
    }

    /// The answer where there is no route.
    pub(super) fn none(path: &str) -> Response<Bytes> {
        let why = match path.strip_prefix("/api/v1/incidents/") {
            Some(_) => "an incident's id has letters and digits only, at most 64",
            None => {
                "there is: GET state, checks, incidents, incidents/ID, events; POST pause, resume, maintenance, approve, \
                 reject, cancel; all below /api/v1/"
            }
        };
        error(StatusCode::NOT_FOUND, why)
    }

    /// What one must be allowed to go it.
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Order(_) => Role::Operate,
            Self::Ask(_) => Role::Read,
        }
    }

    /// The answer to a method that is not the route's.
    pub(super) fn refuses(self, method: &Method) -> Option<Response<Bytes>> {
        let (fits, allow) = match self {
            Self::Order(_) => (*method == Method::POST, "POST"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_lead_anywhere() {
        assert_eq!(Route::find("/api/v1/state"), Some(Route::Ask(Thing::State)));
        let incident = Route::find("/api/v1/incidents/01JD");
        assert_eq!(incident, Some(Route::Ask(Thing::Incident("01JD"))));
        for path in [
            "/api/v1",
            "/api/v1/",
            "/api/v2/state",
            "/api/v1/state/",
            "/api/v1/State",
            "/api/v1/incidents/",
            "/api/v1/incidents/../state",
            "/api/v1/incidents/%30",
        ] {
            assert_eq!(Route::find(path), None, "{path}");
        }
    }
}
