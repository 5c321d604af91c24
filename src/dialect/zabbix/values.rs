//! Whatever a key is answered with, whoever asks: the agent's own keys at once, all others by [`Answers`].
//!
//! Owns what passive and active checks have in common. Nothing is counted here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::agent::Agent;
use super::answer::{Answers, Unsupported};
use super::key::Key;
use super::rules::Rules;

/// Who is asked for values.
pub struct Values {
    agent: Agent,
    answers: Arc<dyn Answers>,
    rules: Rules,
}

impl Values {
    /// Values of an agent, and those that `answers` knows, as far as the rules allow.
    pub fn new(agent: Agent, answers: Arc<dyn Answers>, rules: Rules) -> Self {
        Self {
            agent,
            answers,
            rules,
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
        self.for_own_use(key, deadline).await
    }

    /// The same for nodeward's own use, such as the name of the host: rules are for who asks.
    ///
    /// # Errors
    /// As [`Values::value`].
    pub async fn for_own_use(
        &self,
        key: &Key<'_>,
        deadline: Instant,
    ) -> Result<Cow<'_, str>, Unsupported> {
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
        let paths = self.rules.paths(key);
        if paths.is_empty() {
            return self.rules.allow(key, &|_| None);
        }
        // Links are the disk's to follow. What is not known in time is not allowed.
        let looking = self.answers.real_paths(paths.clone(), deadline);
        let looked = tokio::time::timeout_at(deadline.into(), looking).await;
        let Ok(Some(real)) = looked else {
            return false;
        };
        let real: HashMap<String, Option<String>> = paths.into_iter().zip(real).collect();
        self.rules
            .allow(key, &|path| real.get(path).cloned().flatten())
    }
}
