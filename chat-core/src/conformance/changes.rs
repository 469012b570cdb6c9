//! `changes`: what changed after a rev.

use std::collections::BTreeMap;

use super::{
    Nodes,
    random::{Script, seeds},
    world::{ALL, Room, at, edit, ids, react, seqs, user},
};
use crate::{
    model::{Conversation, Member, Message, UserId},
    store::{ChangesPage, ChangesQuery, ConversationChange, PrivateChange, Revision},
};

pub(super) async fn new_messages_come_by_seq_then_revised_ones_by_changed_rev(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 6).await;
    let since = room.conversation().await.rev;
    let new = room.send_many(1, 3).await;
    room.revised(0, &sent[4], edit("five")).await;
    room.revised(1, &new[2], edit("new and edited")).await;
    room.revised(1, &sent[1], react("👍", true)).await;
    room.revised(0, &sent[3], Revision::Delete).await;
    room.revised(0, &sent[4], edit("five again")).await;
    let page = room.on(&nodes.other).since(None, since).await;
    assert_eq!(ids(&page.messages), ids(&new), "sent after it, by seq");
    assert_eq!(page.messages[2].body, "new and edited", "as they stand now");
    assert_eq!(ids(&page.revised), [sent[1].id, sent[3].id, sent[4].id], "by changed_rev");
    assert_eq!(page.revised[0].reactions[0].count, 1);
    assert!(page.revised[1].is_deleted());
    assert_eq!(page.revised[2].body, "five again", "the state, once");
    assert_eq!(page.conversation, None, "the conversation itself did not change");
    assert_eq!(page.through_rev, room.conversation().await.rev);
}

pub(super) async fn the_conversation_comes_on_the_first_page_when_it_changed(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 4).await;
    let since = room.conversation().await.rev;
    room.host_changed(ConversationChange::AddMembers(vec![user("new")])).await;
    room.send_many(0, 4).await;
    let pages = all_pages(&room, None, since, |_| 2).await;
    assert!(pages.len() >= 2);
    let (conversation, members) = pages[0].conversation.clone().expect("it changed");
    assert_eq!(conversation, room.conversation().await);
    let now = room.store.members(room.id, None, ALL).await.expect("members answers");
    assert_eq!(members, now, "with its members by id");
    assert!(pages[1..].iter().all(|page| page.conversation.is_none()), "once");
    let page = room.since(None, since + 1).await;
    assert_eq!(page.conversation, None, "not for who has that rev");
    assert!(room.since(None, 0).await.conversation.is_some(), "making it is a change");
}

pub(super) async fn at_or_beyond_the_head_there_is_nothing(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send(0, "hello").await;
    room.revised(0, &sent, edit("hello!")).await;
    let head = room.conversation().await.rev;
    for since in [head, head + 1, head + 1_000_000, i64::MAX as u64] {
        let page = room.since(Some(&room.users[1]), since).await;
        let nothing = ChangesPage {
            messages: vec![],
            revised: vec![],
            conversation: None,
            through_rev: head,
            next: None,
        };
        assert_eq!(page, nothing, "since {since}");
    }
}

pub(super) async fn pages_have_no_hole_and_no_double(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 9).await;
    let since = room.conversation().await.rev;
    room.send_many(1, 5).await;
    for n in [7, 0, 4, 2] {
        room.revised(0, &sent[n], edit("edited")).await;
    }
    for limit in 1..=12 {
        let pages = all_pages(&room, None, since, |_| limit).await;
        let new: Vec<u64> = pages.iter().flat_map(|page| seqs(&page.messages)).collect();
        let revised: Vec<u64> = pages.iter().flat_map(|page| seqs(&page.revised)).collect();
        assert_eq!(new, [10, 11, 12, 13, 14], "limit {limit}");
        assert_eq!(revised, [8, 1, 5, 3], "limit {limit}");
        let full = pages.iter().rev().skip(1);
        for page in full {
            assert_eq!(page.messages.len() + page.revised.len(), limit, "pages are filled");
        }
        let head = room.conversation().await.rev;
        assert!(pages.iter().all(|page| page.through_rev == head));
    }
}

pub(super) async fn a_position_survives_being_written_down(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 5).await;
    // Known to who has this rev, and no part of the answer.
    room.revised(0, &sent[4], edit("edited before")).await;
    let since = room.conversation().await.rev;
    room.send_many(0, 3).await;
    for message in &sent[..4] {
        room.revised(0, message, edit("edited")).await;
    }
    let (mut new, mut revised, mut position) = (Vec::new(), Vec::new(), None);
    loop {
        let query = ChangesQuery { viewer: None, since, position, limit: 2 };
        let page = room.changes(query).await;
        new.extend(seqs(&page.messages));
        revised.extend(seqs(&page.revised));
        let Some(next) = page.next else { break };
        // A client carries it back as text.
        position = Some(next.to_string().parse().expect("a position can be read again"));
        assert!(new.len() + revised.len() <= 7, "the pages come to an end");
    }
    assert_eq!((new, revised), (vec![6, 7, 8], vec![1, 2, 3, 4]));
}

pub(super) async fn changes_honour_what_is_gone_for_the_viewer(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 6).await;
    let since = room.conversation().await.rev;
    let new = room.send_many(0, 3).await;
    for n in [0, 2, 4] {
        room.revised(0, &sent[n], edit("edited")).await;
    }
    let gone = vec![sent[2].id, new[1].id];
    room.private(1, PrivateChange::DeleteMessages(gone)).await;
    let bob = room.users[1].clone();
    let page = room.since(Some(&bob), since).await;
    assert_eq!(seqs(&page.messages), [7, 9]);
    assert_eq!(seqs(&page.revised), [1, 5]);
    assert_eq!(page.through_rev, room.conversation().await.rev, "the head is the same for all");
    let pages = all_pages(&room, Some(&bob), since, |_| 1).await;
    assert_eq!(pages.iter().flat_map(|page| seqs(&page.messages)).collect::<Vec<_>>(), [7, 9]);
    room.private(1, PrivateChange::Clear).await;
    let page = room.since(Some(&bob), since).await;
    assert!(page.messages.is_empty() && page.revised.is_empty());
    assert_eq!(seqs(&room.since(Some(&room.users[0]), since).await.messages), [7, 8, 9]);
}

/// Whatever happens, and whichever rev somebody has.
pub(super) async fn changes_from_any_rev_rebuild_the_state(nodes: &Nodes) {
    for drawn in seeds(2) {
        let seed = drawn.0;
        let mut script = Script::new(seed, nodes, 1).await;
        let room = script.room(0);
        let mut states = vec![State::of(&room).await];
        for _ in 0..80 {
            script.play(&script_target(nodes, seed)).await;
            let state = State::of(&room).await;
            if states.last().is_none_or(|last| last.rev() < state.rev()) {
                states.push(state);
            }
        }
        let now = State::of(&room).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        let empty = State { conversation: None, members: vec![], messages: BTreeMap::new() };
        for known in states.into_iter().chain([empty]) {
            let since = known.rev();
            let mut rebuilt = known;
            for page in all_pages(&room, None, since, |_| rng.usize(1..9)).await {
                rebuilt.apply(page, since);
            }
            rebuilt.set_rev(now.rev());
            assert_eq!(rebuilt, now, "rebuilt from rev {since}");
        }
    }
}

/// Also when it goes on while somebody catches up page by page.
pub(super) async fn what_happens_between_pages_is_not_lost(nodes: &Nodes) {
    for drawn in seeds(2) {
        let seed = drawn.0;
        let mut script = Script::new(seed, nodes, 1).await;
        let room = script.room(0);
        for _ in 0..25 {
            script.play(&script_target(nodes, seed)).await;
        }
        let mut known = State::of(&room).await;
        let start = known.rev();
        for _ in 0..40 {
            script.play(&script_target(nodes, seed)).await;
        }
        let (mut since, mut position, mut busy) = (start, None, 40);
        for page in 0.. {
            assert!(page < 1_000, "the pages come to an end");
            let query = ChangesQuery { viewer: None, since, position, limit: 2 };
            let page = room.changes(query).await;
            position = page.next;
            let through = page.through_rev;
            known.apply(page, since);
            if busy > 0 {
                busy -= 1;
                script.play(&script_target(nodes, seed)).await;
            } else if position.is_none() && since == through {
                break;
            }
            if position.is_none() {
                since = through;
            }
        }
        let now = State::of(&room).await;
        known.set_rev(now.rev());
        assert_eq!(known, now, "caught up from rev {start}");
    }
}

fn script_target(nodes: &Nodes, seed: u64) -> std::sync::Arc<dyn crate::store::Store> {
    if seed.is_multiple_of(2) { nodes.one.clone() } else { nodes.other.clone() }
}

/// All pages of an answer, each with a limit of its own.
async fn all_pages(
    room: &Room,
    viewer: Option<&UserId>,
    since: u64,
    mut limit: impl FnMut(usize) -> usize,
) -> Vec<ChangesPage> {
    let mut pages: Vec<ChangesPage> = Vec::new();
    loop {
        assert!(pages.len() < 1_000, "the pages come to an end");
        let position = pages.last().and_then(|page| page.next);
        let viewer = viewer.cloned();
        let limit = limit(pages.len());
        let page = room.changes(ChangesQuery { viewer, since, position, limit }).await;
        let last = page.next.is_none();
        pages.push(page);
        if last {
            return pages;
        }
    }
}

/// What a client keeps of a conversation.
#[derive(Debug, PartialEq)]
struct State {
    conversation: Option<Conversation>,
    members: Vec<Member>,
    messages: BTreeMap<u64, Message>,
}

impl State {
    async fn of(room: &Room) -> Self {
        let members = room.store.members(room.id, None, ALL).await.expect("members answers");
        let log = room.log(None).await;
        let messages = log.into_iter().map(|message| (message.seq, message)).collect();
        Self { conversation: Some(room.conversation().await), members, messages }
    }

    fn rev(&self) -> u64 {
        self.conversation.as_ref().map_or(0, |conversation| conversation.rev)
    }

    fn apply(&mut self, page: ChangesPage, since: u64) {
        if let Some((conversation, members)) = page.conversation {
            self.conversation = Some(conversation);
            self.members = members;
        }
        for message in &page.messages {
            assert!(message.rev > since, "new messages were sent after {since}");
        }
        for message in &page.revised {
            assert!(message.rev <= since && message.changed_rev > since, "revised ones before");
        }
        for message in page.messages.into_iter().chain(page.revised) {
            self.messages.insert(message.seq, message);
        }
    }

    /// A client counts these itself from what comes in.
    fn set_rev(&mut self, rev: u64) {
        let last = self.messages.values().next_back().map_or(0, |message| message.seq);
        if let Some(conversation) = &mut self.conversation {
            conversation.rev = rev;
            conversation.last_seq = last;
            let times = self.messages.values().map(|message| message.created_at);
            let times = times.chain([conversation.created_at, at(-1)]);
            conversation.last_activity_at = times.max().unwrap_or_default();
        }
    }
}
