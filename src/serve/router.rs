//! Paths and methods of the HTTP listener.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};

use super::hooks::{self, Hooks};
use super::press::Press;
use super::{Access, Requests, View, answer, landing, metrics, text, without_body};
use crate::gate::Pools;
use crate::net::server::{Admit, Handler, Head, Request};

/// What all hooks are counted under.
const HOOKS: &str = "/hooks";
/// What all of the API is counted under.
const API: &str = "/api";

/// Answers the requests of the HTTP listener.
pub struct Router {
    view: RwLock<Arc<View>>,
    requests: Arc<Requests>,
    press: Arc<Press>,
    ready: AtomicBool,
    pools: Pools,
    /// The state of the node, in one word.
    node: Box<dyn Fn() -> String + Send + Sync>,
}

/// Most of a body that nobody reads: some clients send one with a GET.
const UNREAD: usize = 1 << 10;

impl Handler for Router {
    fn admit(&self, head: &Head<'_>) -> Admit {
        if self.serves_hook(head.uri) {
            self.admit_hook(head)
        } else if self.serves_api(head.uri) {
            self.admit_api(head)
        } else {
            Admit::AtMost(UNREAD)
        }
    }

    async fn handle(&self, request: Request) -> Response<Bytes> {
        if self.serves_hook(&request.uri) {
            return self.hook(&request).await;
        }
        if self.serves_api(&request.uri) {
            return self.api(&request).await;
        }
        self.respond(&request.method, &request.uri, &request.headers)
            .await
    }
}

impl Router {
    /// A router that serves `view`.
    #[must_use]
    pub fn new(view: Arc<View>, requests: Arc<Requests>) -> Self {
        Self {
            view: RwLock::new(view),
            requests,
            press: Arc::default(),
            ready: AtomicBool::new(false),
            pools: Pools::default(),
            node: Box::new(|| "healthy".to_owned()),
        }
    }

    /// The same, with what `/health` tells of pools and of the node.
    #[must_use]
    pub fn with_health(
        mut self,
        pools: Pools,
        node: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.pools = pools;
        self.node = Box::new(node);
        self
    }

    /// What a load balancer is told: 503 while this node is held out of the pool, or of any. How the node is does not decide, for one
    /// alert that never resolves would take every node out.
    fn health(&self, pool: Option<&str>) -> Response<Bytes> {
        let node = (self.node)();
        match self.pools.is_held(pool) {
            Some(true) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("isolated, {node}\n"),
            ),
            Some(false) => text(StatusCode::OK, format!("{node}\n")),
            None => text(StatusCode::NOT_FOUND, "there is no such pool\n"),
        }
    }

    /// What is served now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves another view from the next request on.
    pub fn swap(&self, view: Arc<View>) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Says whether `/-/ready` answers 200.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether a path is a hook's, and hooks are served beside the rest.
    fn serves_hook(&self, uri: &Uri) -> bool {
        let hooks = &self.view().hooks;
        Hooks::is_hook(uri.path()) && !hooks.is_empty() && !hooks.are_apart()
    }

    /// Lets in the body of who may send to a hook.
    pub(super) fn admit_hook(&self, head: &Head<'_>) -> Admit {
        let refused = match Hooks::is_hook(head.uri.path()) {
            true => self.view().hooks.refuse(head),
            false => Some(hooks::nothing()),
        };
        match refused {
            Some(response) => {
                self.requests.count(HOOKS, response.status().as_u16());
                Admit::Refused(response)
            }
            None => Admit::AtMost(usize::MAX),
        }
    }

    /// Answers a request to a hook.
    pub(super) async fn hook(&self, request: &Request) -> Response<Bytes> {
        let response = match Hooks::is_hook(request.uri.path()) {
            true => self.view().hooks.respond(request).await,
            false => hooks::nothing(),
        };
        self.requests.count(HOOKS, response.status().as_u16());
        response
    }

    /// Whether a path is the API's, and that is served beside the rest.
    fn serves_api(&self, uri: &Uri) -> bool {
        Access::is_api(uri.path()) && self.view().api.is_beside()
    }

    /// Lets in the body of who may use the API.
    pub(super) fn admit_api(&self, head: &Head<'_>) -> Admit {
        let admitted = self.view().api.admit(head);
        if let Admit::Refused(response) = &admitted {
            self.requests.count(API, response.status().as_u16());
        }
        admitted
    }

    /// Answers a request to the API.
    pub(super) async fn api(&self, request: &Request) -> Response<Bytes> {
        let response = self.view().api.respond(request).await;
        self.requests.count(API, response.status().as_u16());
        response
    }

    /// Whether what serves this path asks for a login of its own.
    pub(super) fn has_login(&self, uri: &Uri) -> bool {
        let hook = self.serves_hook(uri) && self.view().hooks.has_login(uri.path());
        hook || self.serves_api(uri)
    }

    /// Answers one request to what is neither a hook nor the API.
    pub async fn respond(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let view = self.view();
        let path = uri.path();
        let telemetry = path == view.options.telemetry_path;
        let known = match path {
            _ if telemetry => "/metrics",
            "/" => "/",
            "/health" => "/health",
            _ if path.starts_with("/health/") => "/health",
            "/-/healthy" => "/-/healthy",
            "/-/ready" => "/-/ready",
            _ => "other",
        };
        let get = *method == Method::GET || *method == Method::HEAD;
        let mut response = match known {
            "other" => {
                let body = match Hooks::is_hook(path).then(|| view.hooks.apart()).flatten() {
                    Some(places) => format!("hooks are served at {places} (hooks.listen)\n"),
                    None => format!(
                        "nothing is served here; see / (metrics: {})\n",
                        view.options.telemetry_path
                    ),
                };
                text(StatusCode::NOT_FOUND, body)
            }
            _ if !get => {
                let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
                refused
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                refused
            }
            "/metrics" => self.scrape(&view, uri.query().unwrap_or(""), headers).await,
            "/" => answer(
                StatusCode::OK,
                "text/html; charset=utf-8",
                landing::page(&view.options),
            ),
            "/-/ready" if !self.ready.load(Ordering::Relaxed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
            }
            "/-/ready" => text(StatusCode::OK, "ready\n"),
            "/health" => self.health(path.strip_prefix("/health/")),
            _ => text(StatusCode::OK, "healthy\n"),
        };
        if *method == Method::HEAD {
            response = without_body(response);
        }
        self.requests.count(known, response.status().as_u16());
        response
    }

    async fn scrape(&self, view: &Arc<View>, query: &str, headers: &HeaderMap) -> Response<Bytes> {
        let most = view.options.max_requests;
        let scraping = self.requests.scraping();
        if most > 0 && scraping.now > most {
            let body = format!("{most} scrapes are being answered already (http.max_requests)\n");
            return text(StatusCode::SERVICE_UNAVAILABLE, body);
        }
        metrics::respond(view, &self.press, query, headers).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::gate::Plan;
    use crate::host::Host;
    use crate::model::hold::{Hold, Holds, Owner};
    use crate::model::moment::Timestamp;
    use crate::serve::api;
    use crate::subject::{Machine, Sampler};

    fn view() -> Arc<View> {
        let machine = Machine {
            host: Arc::new(Host::default()),
            runtime: None,
        };
        let sampler = Sampler::start(&crate::subject::Options::default(), &machine, None).unwrap();
        Arc::new(View {
            sampler: Arc::new(sampler),
            told: Vec::new(),
            hooks: Hooks::new(&hooks::Options::default(), hooks::Inbox::default()),
            api: Access::new(&api::Options::default(), None),
            options: crate::serve::Options {
                max_requests: 1,
                ..crate::serve::Options::default()
            },
        })
    }

    #[tokio::test]
    async fn a_scrape_too_many_is_turned_away_and_counted() {
        let requests = Arc::<Requests>::default();
        let router = Router::new(view(), Arc::clone(&requests));
        let (uri, headers) = ("/metrics".parse().unwrap(), HeaderMap::new());
        let scrape = || router.respond(&Method::GET, &uri, &headers);
        let (one, other) = tokio::join!(scrape(), scrape());
        let mut codes = [one, other].map(|answer| answer.status().as_u16());
        codes.sort_unstable();
        assert_eq!(codes, [200, 503]);
        assert_eq!(scrape().await.status(), StatusCode::OK);
        assert_eq!(requests.all(), [("/metrics", 200, 2), ("/metrics", 503, 1)]);
    }

    #[tokio::test]
    async fn a_hold_and_nothing_else_makes_health_say_no() {
        let pools = Pools::default();
        let options = serde_json::from_str(r#"{"web": {}, "db": {}}"#).unwrap();
        pools.change(&Plan::new(&options, &crate::gate::World::default()).unwrap());
        let router = Router::new(view(), Arc::<Requests>::default());
        let router = router.with_health(pools.clone(), || "unhealthy".to_owned());
        let mut holds = Holds::default();
        let hold = Hold {
            why: "a test".into(),
            since: Timestamp::now(),
            began: None,
            easing: false,
        };
        let ann = Owner::Operator("ann".into());
        for (held, all, web) in [(false, 200, 200), (true, 503, 503), (false, 200, 200)] {
            match held {
                true => holds.place("web", ann.clone(), hold.clone(), BTreeSet::new()),
                false => drop(holds.lift("web", &ann)),
            }
            pools.hold(&holds);
            for (path, code) in [
                ("/health", all),
                ("/health/web", web),
                ("/health/db", 200),
                ("/health/no", 404),
                ("/-/healthy", 200),
            ] {
                let uri = path.parse().unwrap();
                let answer = router.respond(&Method::GET, &uri, &HeaderMap::new()).await;
                assert_eq!(answer.status().as_u16(), code, "{path} {held}");
                if code == 503 {
                    assert_eq!(answer.body(), "isolated, unhealthy\n");
                }
            }
        }
    }
}
