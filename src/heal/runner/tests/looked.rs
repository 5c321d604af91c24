//! In which order a look is made.

use super::*;
use crate::heal::evidence::{Occasion, Packet};
use crate::heal::machine::Effect;
use crate::heal::runner::effect::carry_out;
use crate::journal::Hash;

/// Says when it gathers and when it looks, each of which takes its time.
struct Slow(Arc<Mutex<Vec<&'static str>>>);

impl Slow {
    fn takes<T: Send + 'static>(
        &self,
        begins: &'static str,
        ends: &'static str,
        found: T,
    ) -> Later<T> {
        let said = Arc::clone(&self.0);
        Box::pin(async move {
            said.lock().unwrap().push(begins);
            tokio::time::sleep(Duration::from_secs(2)).await;
            said.lock().unwrap().push(ends);
            found
        })
    }
}

impl Hands for Slow {
    fn now(&self) -> Moment {
        World::new().now()
    }

    fn look(&self, _: Job) -> Later<Look> {
        self.takes("looks", "has looked", seen("it"))
    }

    fn gather(&self, _: Job, occasion: Occasion) -> Later<Option<Packet>> {
        let packet = Packet {
            occasion,
            text: "{}\n".into(),
            digest: Hash::of("{}\n"),
            missing: Vec::new(),
        };
        self.takes("gathers", "has gathered", Some(packet))
    }

    fn act(&self, _: Job, _: Started) -> Later<(Outcome, Value)> {
        Box::pin(std::future::pending())
    }

    fn probe(&self, _: Job) -> Later<(Sight, Value)> {
        Box::pin(std::future::pending())
    }

    fn after(&self, _: Job) -> Later<After> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_guards_see_is_not_older_for_the_evidence_that_comes_with_it() {
    let (book, id, _) = book_of_one("auto");
    let said = Arc::new(Mutex::new(Vec::new()));
    let hands = Slow(Arc::clone(&said));
    let answered = Arc::new(Mutex::new(None));
    let answers = Arc::clone(&answered);
    let answer = move |event| *answers.lock().unwrap() = Some(event);
    let effect = Effect::Look(1, Some(Occasion::BeforeAction));
    carry_out(&hands, book.job(&id).unwrap(), &effect, answer).await;
    assert_eq!(
        *said.lock().unwrap(),
        ["gathers", "has gathered", "looks", "has looked"]
    );
    let answered = answered.lock().unwrap().take();
    let Some(Event::Looked(1, look)) = answered else {
        panic!("{answered:?}");
    };
    assert!(look.evidence.is_some());
}
