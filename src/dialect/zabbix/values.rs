//! Whatever a key is answered with, whoever asks: the agent's own keys at once, all others by [`Answers`].
//!
//! Owns what passive and active checks have in common. Nothing is counted here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::agent::Agent;
use super::answer::{Answers, Unsupported};
use super::key::Key;
use super::rules::Rules;
use tokio::task::spawn_blocking;

/// Who is asked for values.
pub struct Values {
    agent: Agent,
    answers: Arc<dyn Answers>,
    rules: Arc<Rules>,
}

impl Values {
    /// Values of an agent, and those that `answers` knows, as far as the rules allow.
    pub fn new(agent: Agent, answers: Arc<dyn Answers>, rules: Rules) -> Self {
        Self {
            agent,
            answers,
            rules: Arc::new(rules),
        }
    }

    /// The host's name, as it is written on the server.
    pub fn hostname(&self) -> &str {
        &self.agent.hostname
    }

    /// The value of a key until `deadline`.
    ///
    /// # Errors
    /// Why there is none, in the agent's words.
    pub async fn value(
        &self,
        key: &Key<'_>,
        deadline: Instant,
    ) -> Result<Cow<'_, str>, Unsupported> {
        if !self.allowed(key, deadline).await {
            return Err(Unsupported::UNSUPPORTED_KEY);
        }
        if let Some(answer) = self.agent.answer(key) {
            return answer.map(Cow::Borrowed);
        }
        let answer = self.answers.answer(key, deadline);
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(answer) => answer.map(|value| Cow::Owned(value.into_string())),
            Err(_) => Err(Unsupported::TIMED_OUT),
        }
    }

    async fn allowed(&self, key: &Key<'_>, deadline: Instant) -> bool {
        if !self.rules.asks_paths(key) {
            return self.rules.allow(key, &|_| None);
        }
        let (rules, key) = (Arc::clone(&self.rules), key.clone().into_owned());
        let answers = Arc::clone(&self.answers);
        // Links are the disk's to follow. What is not known in time is not allowed.
        let looked = spawn_blocking(move || rules.allow(&key, &|path| answers.real_path(path)));
        let looked = tokio::time::timeout_at(deadline.into(), looked).await;
        matches!(looked, Ok(Ok(true)))
    }
}
