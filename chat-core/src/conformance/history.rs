//! `history` and `message`.

use super::{
    Nodes,
    world::{ALL, Room, at, ids, message_id, react, seqs, user},
};
use crate::{
    model::{Message, UserId},
    store::{
        ChangeOutcome, ConversationChange, HistoryQuery, MessageRef, Page, PrivateChange, Revision,
    },
};

pub(super) async fn latest_gives_the_newest_oldest_first(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 10).await;
    for (limit, expected, more) in
        [(1, 10..=10, true), (4, 7..=10, true), (10, 1..=10, false), (100, 1..=10, false)]
    {
        let page = room.history(None, Page::Latest, limit).await;
        assert_eq!(seqs(&page.messages), expected.collect::<Vec<u64>>());
        assert_eq!(page.has_more, more, "limit {limit}");
    }
}

pub(super) async fn before_gives_the_newest_with_a_smaller_seq(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 10).await;
    let cases = [
        (8, 3, vec![5, 6, 7], true),
        (4, 3, vec![1, 2, 3], false),
        (5, 3, vec![2, 3, 4], true),
        (1, 3, vec![], false),
        (0, 3, vec![], false),
        (11, 2, vec![9, 10], true),
        (i64::MAX as u64, 2, vec![9, 10], true),
    ];
    for (before, limit, expected, more) in cases {
        let page = room.history(None, Page::Before(before), limit).await;
        assert_eq!(seqs(&page.messages), expected, "before {before}");
        assert_eq!(page.has_more, more, "before {before}");
    }
}

pub(super) async fn after_gives_the_oldest_with_a_larger_seq(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 10).await;
    let cases = [
        (0, 3, vec![1, 2, 3], true),
        (7, 3, vec![8, 9, 10], false),
        (6, 3, vec![7, 8, 9], true),
        (10, 3, vec![], false),
        (i64::MAX as u64, 3, vec![], false),
    ];
    for (after, limit, expected, more) in cases {
        let page = room.history(None, Page::After(after), limit).await;
        assert_eq!(seqs(&page.messages), expected, "after {after}");
        assert_eq!(page.has_more, more, "after {after}");
    }
}

pub(super) async fn an_empty_conversation_has_an_empty_history(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    for page in [Page::Latest, Page::Before(5), Page::After(0)] {
        let page = room.history(Some(&room.users[0]), page, 10).await;
        assert!(page.messages.is_empty() && !page.has_more);
    }
}

pub(super) async fn only_members_and_the_host_read_the_history(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 2).await;
    let [ann, bob] = [&room.users[0], &room.users[1]];
    let (stranger, store) = (user("stranger"), &nodes.one);
    for page in [Page::Latest, Page::Before(2), Page::After(0)] {
        let read = |viewer: Option<&UserId>, limit| {
            let query = HistoryQuery { viewer: viewer.cloned(), page, limit };
            async move { store.history(room.id, query).await.expect("history answers") }
        };
        for viewer in [None, Some(ann), Some(bob)] {
            assert!(read(viewer, 10).await.is_some_and(|page| !page.messages.is_empty()));
        }
        assert_eq!(read(Some(&stranger), 10).await, None);
    }
    let remove = ConversationChange::RemoveMember(bob.clone());
    let removed = store.change(room.id, None, remove, 10, at(9)).await.expect("change answers");
    assert!(matches!(removed, ChangeOutcome::Changed(..)), "{removed:?}");
    for page in [Page::Latest, Page::Before(2), Page::After(0)] {
        let query = HistoryQuery { viewer: Some(bob.clone()), page, limit: 10 };
        assert_eq!(nodes.other.history(room.id, query).await.expect("history answers"), None);
    }
}

pub(super) async fn paging_both_ways_gives_every_message_once(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 23).await;
    let mut back: Vec<Message> = Vec::new();
    let mut at = Page::Latest;
    loop {
        let page = room.history(None, at, 5).await;
        assert!(!page.messages.is_empty(), "what says that there is more is followed by more");
        back.splice(0..0, page.messages);
        assert!(back.len() <= sent.len(), "no message comes twice");
        if !page.has_more {
            break;
        }
        at = Page::Before(back[0].seq);
    }
    assert_eq!(back, sent);
    let mut forth: Vec<Message> = Vec::new();
    loop {
        let page = room.history(None, Page::After(forth.len() as u64), 5).await;
        assert!(!page.messages.is_empty(), "what says that there is more is followed by more");
        forth.extend(page.messages);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(forth, sent);
}

pub(super) async fn a_viewer_does_not_see_what_is_cleared_or_deleted_for_them(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 10).await;
    let bob = room.users[1].clone();
    room.private(1, PrivateChange::DeleteMessages(vec![sent[8].id, sent[2].id])).await;
    let all = room.history(Some(&bob), Page::Latest, ALL).await;
    assert_eq!(seqs(&all.messages), [1, 2, 4, 5, 6, 7, 8, 10]);
    let page = room.history(Some(&bob), Page::Latest, 3).await;
    assert_eq!(seqs(&page.messages), [7, 8, 10], "a page is filled with what can be seen");
    assert!(page.has_more);
    let page = room.history(Some(&bob), Page::After(0), 3).await;
    assert_eq!(seqs(&page.messages), [1, 2, 4]);
    let page = room.history(Some(&bob), Page::Before(5), 3).await;
    assert_eq!((seqs(&page.messages), page.has_more), (vec![1, 2, 4], false));
    let page = room.history(Some(&bob), Page::After(7), 2).await;
    assert_eq!((seqs(&page.messages), page.has_more), (vec![8, 10], false));

    room.private(1, PrivateChange::Clear).await;
    let page = room.history(Some(&bob), Page::Latest, 5).await;
    assert!(page.messages.is_empty() && !page.has_more, "all is cleared");
    room.send_many(0, 3).await;
    for page in [Page::Latest, Page::After(0), Page::Before(100)] {
        let page = room.history(Some(&bob), page, 3).await;
        assert_eq!((seqs(&page.messages), page.has_more), (vec![11, 12, 13], false));
    }
    let page = room.history(Some(&bob), Page::After(5), 2).await;
    assert_eq!((seqs(&page.messages), page.has_more), (vec![11, 12], true));
    for viewer in [None, Some(&room.users[0])] {
        assert_eq!(room.log(viewer).await.len(), 13, "for others it stays");
    }
}

pub(super) async fn deletions_for_one_conversation_do_not_reach_another(nodes: &Nodes) {
    let ann = user("ann");
    let rooms = [
        Room::group_of(nodes, vec![ann.clone()]).await,
        Room::group_of(nodes, vec![ann.clone()]).await,
    ];
    let (mine, other) = (rooms[0].send(0, "one").await, rooms[1].send(0, "two").await);
    let delta = rooms[0].private(0, PrivateChange::DeleteMessages(vec![mine.id, other.id])).await;
    assert_eq!(delta.deleted, [mine.id]);
    assert_eq!(ids(&rooms[1].log(Some(&ann)).await), [other.id]);
    assert!(rooms[0].log(Some(&ann)).await.is_empty());
}

pub(super) async fn tombstones_stay_in_the_history(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 3).await;
    room.revised(0, &sent[1], Revision::Delete).await;
    let log = room.log(Some(&room.users[1])).await;
    assert_eq!(seqs(&log), [1, 2, 3], "seq has no hole");
    assert!(log[1].is_deleted());
}

pub(super) async fn a_message_is_found_by_id_number_and_seq(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 3).await;
    let revised = room.revised(1, &sent[1], react("👍", true)).await;
    let references = |message: &Message| {
        [
            MessageRef::Id(message.id),
            MessageRef::Number(message.number),
            MessageRef::Seq(room.id, message.seq),
        ]
    };
    for reference in references(&revised) {
        let found = nodes.other.message(reference, None).await.expect("message answers");
        assert_eq!(found.as_ref(), Some(&revised), "{reference:?}");
    }
    room.private(1, PrivateChange::DeleteMessages(vec![sent[1].id])).await;
    for reference in references(&revised) {
        let found = nodes.other.message(reference, Some(&room.users[1])).await;
        assert_eq!(found.expect("message answers"), None, "deleted for this viewer");
        let found = nodes.other.message(reference, Some(&room.users[0])).await;
        assert!(found.expect("message answers").is_some(), "and for nobody else");
    }
    room.private(0, PrivateChange::Clear).await;
    for reference in references(&sent[0]) {
        let found = nodes.other.message(reference, Some(&room.users[0])).await;
        assert_eq!(found.expect("message answers"), None, "cleared for this viewer");
    }
}

pub(super) async fn an_unknown_message_is_absent(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    room.send(0, "only one").await;
    let unknown = [
        MessageRef::Id(message_id()),
        MessageRef::Number(0),
        MessageRef::Number(1 << 52),
        MessageRef::Number(i64::MAX as u64),
        MessageRef::Seq(room.id, 0),
        MessageRef::Seq(room.id, 2),
        MessageRef::Seq(room.id, i64::MAX as u64),
        MessageRef::Seq(super::world::conversation_id(), 1),
    ];
    for reference in unknown {
        for viewer in [None, Some(&room.users[0])] {
            let found = room.store.message(reference, viewer).await;
            assert_eq!(found.expect("message answers"), None, "{reference:?}");
        }
    }
}
