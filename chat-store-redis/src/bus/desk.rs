//! What the engine wants to listen to, and what the server has confirmed.

use std::{collections::HashSet, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::error::Fault;

/// Channel names that the engine and the task of the connection hand each other.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: HashSet<Arc<str>>,
    /// What the server sends on the connection of now.
    confirmed: HashSet<Arc<str>>,
    /// Where the two may differ.
    open: HashSet<Arc<str>>,
    /// Joins that wait until the server has confirmed.
    waiting: Vec<Confirm>,
    /// Why there is no connection.
    down: Option<Fault>,
    /// Something may have been missed that no gap has told yet.
    missed: bool,
}

type Confirm = oneshot::Sender<Result<(), Fault>>;
/// Answers a join. Dropped unread it makes a gap.
pub(super) type Confirmed = oneshot::Receiver<Result<(), Fault>>;

/// What is to be asked of the server together, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) subscribe: Vec<Arc<str>>,
    pub(super) unsubscribe: Vec<Arc<str>>,
    waiting: Vec<Confirm>,
}

impl Desk {
    /// Wants these channels. `None` when the server sends them already.
    ///
    /// # Errors
    /// While there is no connection. The channels are wanted all the same.
    pub(super) fn join(&self, channels: Vec<String>) -> Result<Option<Confirmed>, Fault> {
        let mut state = self.state.lock();
        let mut settled = true;
        for channel in channels {
            if !state.is_confirmed(&channel) {
                let channel: Arc<str> = channel.into();
                state.open.insert(Arc::clone(&channel));
                state.wanted.insert(channel);
                settled = false;
            }
        }
        if settled {
            return Ok(None);
        }
        if let Some(why) = &state.down {
            let why = why.while_down();
            state.missed = true;
            return Err(why);
        }
        let (confirm, confirmed) = oneshot::channel();
        state.waiting.push(confirm);
        drop(state);
        self.changed.notify_one();
        Ok(Some(confirmed))
    }

    /// Wants these channels no more.
    pub(super) fn part(&self, channels: Vec<String>) {
        let mut state = self.state.lock();
        for channel in channels {
            if let Some(channel) = state.wanted.take(&*channel) {
                state.open.insert(channel);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until there may be something for a round.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is to be asked now.
    pub(super) fn round(&self) -> Round {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut round = Round { waiting: mem::take(&mut state.waiting), ..Round::default() };
        for channel in state.open.drain() {
            match (state.wanted.contains(&channel), state.confirmed.contains(&channel)) {
                (true, false) => round.subscribe.push(channel),
                (false, true) => round.unsubscribe.push(channel),
                _ => {}
            }
        }
        round
    }

    /// The server did what a round asked. Says whether a gap is to be told.
    pub(super) fn done(&self, round: Round) -> bool {
        let mut state = self.state.lock();
        for channel in &round.unsubscribe {
            state.confirmed.remove(channel);
        }
        state.confirmed.extend(round.subscribe);
        for confirm in round.waiting {
            // Who no longer waits was told that it failed.
            if confirm.send(Ok(())).is_err() {
                state.missed = true;
            }
        }
        mem::take(&mut state.missed)
    }

    /// There is a new connection, on which the server sends nothing yet.
    pub(super) fn up(&self) {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.confirmed.clear();
        state.open.clone_from(&state.wanted);
        state.down = None;
    }

    /// There is no connection; those who wait need not.
    pub(super) fn down(&self, why: &Fault) {
        let mut state = self.state.lock();
        // What nobody wanted yet cannot have been missed.
        state.missed |= !state.wanted.is_empty();
        state.confirmed.clear();
        state.down = Some(why.clone());
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        refuse(waiting, why);
    }
}

impl Round {
    /// The server did not do it.
    pub(super) fn refuse(self, why: &Fault) {
        refuse(self.waiting, why);
    }
}

fn refuse(waiting: Vec<Confirm>, why: &Fault) {
    for confirm in waiting {
        let _ = confirm.send(Err(why.while_down()));
    }
}

impl State {
    /// Sent by the server, and nothing else is asked of it.
    fn is_confirmed(&self, channel: &str) -> bool {
        self.confirmed.contains(channel)
            && self.wanted.contains(channel)
            && !self.open.contains(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(desk: &Desk, channel: &str) -> Result<Option<Confirmed>, Fault> {
        desk.join(vec![channel.to_owned()])
    }

    /// A round as the server carries it out; whether a gap is told.
    fn carry_out(desk: &Desk) -> bool {
        desk.done(desk.round())
    }

    fn names(channels: &[Arc<str>]) -> Vec<&str> {
        channels.iter().map(|name| &**name).collect()
    }

    fn asked(round: &Round) -> (Vec<&str>, Vec<&str>) {
        (names(&round.subscribe), names(&round.unsubscribe))
    }

    #[test]
    fn a_join_is_confirmed_by_the_round_that_asked_for_it() {
        let desk = Desk::default();
        desk.up();
        let mut ann = join(&desk, "ann").unwrap().unwrap();
        let round = desk.round();
        assert_eq!(asked(&round), (vec!["ann"], vec![]));
        let mut bob = join(&desk, "bob").unwrap().unwrap();
        let mut again = join(&desk, "ann").unwrap().unwrap();
        assert!(!desk.done(round));
        assert!(ann.try_recv().unwrap().is_ok());
        assert!(bob.try_recv().is_err() && again.try_recv().is_err(), "the next round's");
        assert!(!carry_out(&desk));
        assert!(bob.try_recv().unwrap().is_ok() && again.try_recv().unwrap().is_ok());
        assert!(join(&desk, "ann").unwrap().is_none(), "sent already");
    }

    #[test]
    fn the_last_word_counts_whenever_it_comes() {
        let desk = Desk::default();
        desk.up();
        let _ann = join(&desk, "ann").unwrap();
        let round = desk.round();
        desk.part(vec!["ann".to_owned()]);
        desk.done(round);
        let round = desk.round();
        assert_eq!(asked(&round), (vec![], vec!["ann"]));
        let mut back = join(&desk, "ann").unwrap().unwrap();
        desk.done(round);
        assert_eq!(asked(&desk.round()), (vec!["ann"], vec![]));
        assert!(back.try_recv().is_err());
        desk.part(vec!["bob".to_owned()]);
        assert_eq!(asked(&desk.round()), (vec![], vec![]), "never joined");
    }

    #[test]
    fn who_gave_up_waiting_makes_a_gap_once_it_is_confirmed() {
        let desk = Desk::default();
        desk.up();
        let first = desk.round();
        drop(join(&desk, "ann").unwrap());
        assert!(!desk.done(first), "this round did not ask for it");
        assert!(carry_out(&desk));
        assert!(!carry_out(&desk), "once");
    }

    #[test]
    fn what_is_wanted_outlives_a_connection() {
        let desk = Desk::default();
        let why = Fault::unavailable("down");
        desk.down(&why);
        desk.up();
        assert!(!carry_out(&desk), "nobody listened, nothing was missed");
        let mut ann = join(&desk, "ann").unwrap().unwrap();
        desk.down(&why);
        assert!(ann.try_recv().unwrap().is_err());
        assert!(join(&desk, "bob").is_err());
        desk.part(vec!["ann".to_owned()]);
        desk.up();
        let round = desk.round();
        assert_eq!(asked(&round), (vec!["bob"], vec![]));
        assert!(desk.done(round), "both were refused");
    }
}
