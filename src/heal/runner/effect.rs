//! What a step wants of the world, and how the world's answers come back as events.

use super::super::evidence::Packet;
use super::super::hands::{Hands, Later};
use super::super::incident::State;
use super::super::job::Job;
use super::super::machine::{Effect, Event};
use crate::telemetry::fault::fault;

/// Has the world do something; ready once `answer` was given all there is to say.
pub(super) fn carry_out(
    hands: &dyn Hands,
    job: Job,
    effect: &Effect,
    answer: impl Fn(Event) + Clone + Send + 'static,
) -> Later<()> {
    match *effect {
        Effect::Look(asked, gathers) => {
            let gathered: Later<Option<Packet>> = match gathers {
                Some(occasion) => hands.gather(job.clone(), occasion),
                None => Box::pin(std::future::ready(None)),
            };
            let look = hands.look(job);
            Box::pin(async move {
                // First, so that what the guards see is not older for it.
                let gathered = gathered.await;
                let mut look = look.await;
                look.evidence = gathered.map(Box::new);
                answer(Event::Looked(asked, look));
            })
        }
        Effect::Gather(occasion) => {
            let gathered = hands.gather(job, occasion);
            Box::pin(async move {
                if let Some(packet) = gathered.await {
                    answer(Event::Gathered(packet));
                }
            })
        }
        Effect::Isolate(asked) => {
            let pool = match &job.incident.state {
                State::Isolating { pool, .. } => pool.as_str(),
                _ => "",
            };
            let isolate = hands.isolate(pool);
            Box::pin(async move {
                let (complete, data) = isolate.await;
                answer(Event::Isolated(asked, complete, data));
            })
        }
        Effect::Act => {
            let made = job.incident.attempts.len();
            let attempt = u32::try_from(made).unwrap_or(u32::MAX);
            let started = answer.clone();
            let started = Box::new(move |data| started(Event::Started(attempt, data)));
            let act = hands.act(job, started);
            Box::pin(async move {
                fault("heal.before_effect");
                let (outcome, data) = act.await;
                fault("heal.after_effect");
                answer(Event::Done(attempt, outcome, data));
            })
        }
        Effect::Probe(round) => {
            let probe = hands.probe(job);
            Box::pin(async move {
                let (sight, data) = probe.await;
                answer(Event::Probed(round, sight, data));
            })
        }
    }
}
