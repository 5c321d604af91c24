//! What the tests of gates share: a load balancer that does as it is told.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::plan::Planned;
use super::*;

/// A load balancer, as far as a gate knows one.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) name: String,
    pub(super) sees: bool,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// All that it was told that was not the same as before, and whether that lifts.
    pub(super) told: Vec<(Say, bool)>,
    /// What the next tellings come to; then all is heard.
    pub(super) answers: VecDeque<Result<Heard, String>>,
    /// What the last answer is for ever.
    pub(super) always: Option<Result<Heard, String>>,
    pub(super) hangs: bool,
    pub(super) view: View,
    pub(super) cut: u64,
    /// What others may have told, as it was said the last time.
    pub(super) beside: Words,
    /// Whether it says that somebody else had the node out when it looked last.
    pub(super) others: Option<bool>,
}

impl Fake {
    pub(super) fn new(name: &str, sees: bool) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            sees,
            ..Self::default()
        })
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    /// As any load balancer does: one whose time is over cannot answer.
    async fn takes_time(&self) {
        match self.with(|state| state.hangs) {
            true => std::future::pending().await,
            false => tokio::task::yield_now().await,
        }
    }

    pub(super) fn told(&self) -> Vec<(Say, bool)> {
        self.with(|state| state.told.clone())
    }
}

#[async_trait]
impl Gate for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    async fn tell(&self, wanted: &Wanted, _: Instant) -> Result<Heard, String> {
        self.takes_time().await;
        self.with(|state| {
            let word = (wanted.say, wanted.lifts);
            state.beside = wanted.beside;
            let answer = state.answers.pop_front().or_else(|| state.always.clone());
            let answer = answer.unwrap_or(Ok(Heard::Yes));
            let takes = !matches!(wanted.say, Say::In(_));
            if self.sees && takes && !wanted.recorded && answer == Ok(Heard::Yes) {
                return Ok(Heard::Unrecorded);
            }
            if state.told.last() != Some(&word) {
                state.told.push(word);
            }
            answer
        })
    }

    fn sees(&self) -> Option<&dyn Sees> {
        self.sees.then_some(self as &dyn Sees)
    }
}

#[async_trait]
impl Sees for Fake {
    fn others(&self) -> Option<bool> {
        self.with(|state| state.others)
    }

    async fn view(&self, _: Instant) -> Result<View, String> {
        self.takes_time().await;
        Ok(self.with(|state| state.view.clone()))
    }

    async fn cut(&self, _: Instant) -> Result<u64, String> {
        self.takes_time().await;
        Ok(self.with(|state| {
            state.cut += state.view.sessions;
            std::mem::take(&mut state.view.sessions)
        }))
    }
}

/// A plan of one pool, `web`, with these gates.
pub(super) fn plan(options: &str, gates: Vec<Arc<dyn Gate>>) -> Plan {
    let name: Arc<str> = "web".into();
    let planned = Planned {
        name: Arc::clone(&name),
        pool: serde_json::from_str(options).unwrap(),
        gates,
        sampler: None,
    };
    Plan([(name, Arc::new(planned))].into())
}
