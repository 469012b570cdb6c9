//! What waits is counted.

use super::*;
use crate::engine::budget::UNCOUNTED;
use crate::{Timestamp, event::SessionEvent};

fn event(conversation_id: ConversationId, bytes: usize) -> Arc<Outgoing> {
    let event =
        Event::Session(SessionEvent::ConversationRemoved { conversation_id, through_rev: None });
    Arc::new(Outgoing { event: Arc::new(event), frame: vec![b'x'; bytes].into() })
}

#[test]
fn what_waits_counts_against_the_budget_over_the_first_bytes() {
    let budget = Arc::new(Budget::new(1000));
    let outbox = Outbox::new(Bounds { events: 256, bytes: 10_000 }, Arc::clone(&budget));
    let id = ConversationId::new(Timestamp::from_millis(1));
    assert!(outbox.go_live());
    outbox.offer(event(id, UNCOUNTED));
    assert_eq!(budget.used(), 0);
    outbox.offer(event(id, 600));
    assert_eq!(budget.used(), 600);
    let mut taken = Vec::new();
    assert_eq!(outbox.take(&mut taken, 1), Ok(true));
    assert_eq!((taken.len(), budget.used()), (1, 0));
    outbox.offer(event(id, UNCOUNTED + 300));
    assert!(!outbox.is_closed());
    assert_eq!(budget.used(), 900);
    // Others would have no room: whoever has used up what is their own is too slow.
    outbox.offer(event(id, 600));
    assert!(outbox.is_closed());
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_waits_aside_is_bounded_in_bytes_and_counts_against_the_budget() {
    let budget = Arc::new(Budget::new(1 << 20));
    let used = || budget.used();
    let outbox = Outbox::new(Bounds { events: 256, bytes: 1000 }, Arc::clone(&budget));
    let [one, other] = [1, 2].map(|at| ConversationId::new(Timestamp::from_millis(at)));
    outbox.hold();
    outbox.offer(event(one, 300));
    outbox.offer(event(other, 100));
    assert_eq!(used(), 400);
    outbox.offer(event(one, 300));
    assert_eq!(used(), 100, "the conversation is read again, nothing of it waits");
    assert!(!outbox.go_live());
    assert!(outbox.next_held().is_some() && outbox.next_held().is_none());
    assert_eq!(used(), 0);
    assert_eq!(outbox.take_missed(), HashSet::from([one]));
    outbox.offer(event(other, 100));
    outbox.close(CloseReason::Ended);
    assert_eq!(used(), 0);
}
