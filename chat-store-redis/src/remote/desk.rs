//! Who waits for which answer, and whether anybody answers at all.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::wire::{Answered, Trouble};

pub(super) type Answer = Result<Box<RawValue>, Trouble>;

#[derive(Debug)]
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    /// Nobody answers: to be told at once, not after a deadline each.
    silent: watch::Sender<bool>,
    /// Answers can come in.
    listening: watch::Sender<bool>,
}

#[derive(Debug)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    last_heard: Instant,
}

/// Waits for an answer. Nobody does any more once it is dropped.
pub(super) struct Expected<'a> {
    desk: &'a Desk,
    id: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Default for Desk {
    fn default() -> Self {
        let waiting = Waiting { answers: HashMap::new(), last_heard: Instant::now() };
        let (silent, listening) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { waiting: Mutex::new(waiting), silent, listening }
    }
}

impl Desk {
    /// Expects the answer to the question with this id.
    pub(super) fn expect(&self, id: u64) -> Expected<'_> {
        let (into, answer) = oneshot::channel();
        self.waiting.lock().answers.insert(id, into);
        Expected { desk: self, id, answer }
    }

    /// Takes in what was published. Any answer is a sign of life, also one for which nobody waits any more.
    pub(super) fn hear(&self, payload: &[u8]) {
        let Ok(Answered { id, answer }) = serde_json::from_slice(payload) else {
            metrics::counter!("parlor_redis_skipped_total").increment(1);
            return;
        };
        let waiting = {
            let mut waiting = self.waiting.lock();
            waiting.last_heard = Instant::now();
            waiting.answers.remove(&id)
        };
        if self.silent.send_if_modified(std::mem::take) {
            metrics::gauge!("parlor_remote_store_up").set(1.0);
            tracing::info!("the store answers again");
        }
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }

    /// A question that was asked at `since` got no answer within its deadline.
    pub(super) fn unanswered(&self, since: Instant) {
        metrics::counter!("parlor_remote_store_unanswered_total").increment(1);
        if self.waiting.lock().last_heard >= since {
            return;
        }
        if !self.silent.send_replace(true) {
            metrics::gauge!("parlor_remote_store_up").set(0.0);
            tracing::warn!("nobody answers for the store, asking for a sign of life");
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    /// Waits until it is so.
    pub(super) async fn until_silent(&self, silent: bool) {
        // The sender lives as long as this.
        let _ = self.silent.subscribe().wait_for(|is| *is == silent).await;
    }

    pub(super) fn set_listening(&self, listening: bool) {
        self.listening.send_replace(listening);
    }

    /// Waits until answers can come in.
    pub(super) async fn until_listening(&self) {
        let _ = self.listening.subscribe().wait_for(|is| *is).await;
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.desk.waiting.lock().answers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(id: u64) -> Vec<u8> {
        format!(r#"{{"id":{id},"answer":{{"Ok":[1,2]}}}}"#).into_bytes()
    }

    #[tokio::test]
    async fn an_answer_finds_who_asked_and_nobody_else() {
        let desk = Desk::default();
        let (mut one, mut other) = (desk.expect(1), desk.expect(2));
        desk.hear(&answer(2));
        desk.hear(&answer(2));
        desk.hear(b"nonsense");
        assert!(one.answer.try_recv().is_err());
        assert_eq!(other.answer.try_recv().unwrap().unwrap().get(), "[1,2]");
        drop((one, other));
        assert!(desk.waiting.lock().answers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_silent_when_nobody_was_heard_since_a_question_and_until_somebody_is() {
        let desk = Desk::default();
        let first = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        desk.hear(&answer(7));
        desk.unanswered(first);
        assert!(!desk.is_silent(), "somebody was heard");
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = Instant::now();
        desk.unanswered(second);
        assert!(desk.is_silent());
        desk.until_silent(true).await;
        desk.hear(&answer(8));
        desk.until_silent(false).await;
    }
}
