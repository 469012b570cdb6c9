//! Unread counts equal a recount by the client, after whatever happened.

use std::{collections::BTreeSet, sync::Arc};

use parlor::{Chat, command::*, model::*};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::*;

const PEOPLE: [&str; 3] = ["ann", "bob", "cid"];

/// Something that one of the people does. Positions are taken modulo what there is.
#[derive(Debug, Clone)]
enum Act {
    Send,
    SendBySystem,
    Delete(u64),
    DeleteForMe(u64),
    Edit(u64),
    MarkRead(u64),
    MarkDelivered(u64),
    MarkUnread(u64),
    Clear,
    Hide,
    Archive(bool),
}

fn acts() -> impl Strategy<Value = Vec<(usize, usize, Act)>> {
    let seq = 0_u64..40;
    let act = prop_oneof![
        8 => Just(Act::Send),
        1 => Just(Act::SendBySystem),
        2 => seq.clone().prop_map(Act::Delete),
        2 => seq.clone().prop_map(Act::DeleteForMe),
        1 => seq.clone().prop_map(Act::Edit),
        3 => seq.clone().prop_map(Act::MarkRead),
        1 => seq.clone().prop_map(Act::MarkDelivered),
        2 => seq.prop_map(Act::MarkUnread),
        1 => Just(Act::Clear),
        1 => Just(Act::Hide),
        1 => any::<bool>().prop_map(Act::Archive),
    ];
    proptest::collection::vec((0..PEOPLE.len(), 0..2_usize, act), 1..60)
}

/// What one person's device has heard, and what it counts from that.
struct Reader {
    name: &'static str,
    device: Device,
    deleted: BTreeSet<String>,
}

impl Reader {
    /// Hears everything up to the server's state.
    async fn catch_up(&mut self, summary: &ConversationSummary) {
        let id = summary.conversation.id;
        loop {
            let copy = self.device.follower.copy(id);
            if copy.rev >= summary.conversation.rev && copy.member_rev >= summary.me.member_rev {
                return;
            }
            let event = self.device.next().await.unwrap();
            let deleted = event["deleted"].as_array().into_iter().flatten();
            self.deleted.extend(deleted.map(|id| id.as_str().unwrap().to_owned()));
        }
    }

    /// Counts what the rules call unread, from its own copy.
    fn recount(&self, id: ConversationId, state: &MemberState) -> u32 {
        let from = state.unread_from.map_or(state.read_seq, |from| state.read_seq.min(from - 1));
        let counts = |message: &&Value| {
            message["seq"].as_u64().unwrap() > from.max(state.cleared_seq)
                && message["sender_id"] != self.name
                && message["kind"] != "system"
                && message.get("deleted_at").is_none()
                && !self.deleted.contains(message["id"].as_str().unwrap())
        };
        let copy = self.device.follower.copy(id);
        copy.messages.values().filter(counts).count() as u32
    }

    /// The state that the device was told last, if it was told one.
    fn told(&self, id: ConversationId) -> Option<MemberState> {
        let told = self.device.heard.iter().rev().find(|event| {
            event["type"] == "member.changed" && event["conversation_id"] == id.to_string()
        })?;
        Some(serde_json::from_value(told["state"].clone()).unwrap())
    }
}

async fn perform(chat: &Chat, name: &str, id: ConversationId, act: &Act) {
    let caller = chat.as_user(identity(name));
    let last = caller.conversation(id).await.unwrap().conversation.last_seq;
    let at = |seq: u64| AtSeq { conversation_id: id, seq: seq % (last + 2) };
    let inside = InConversation { conversation_id: id };
    let scope = |scope, message_id| Delete { conversation_id: id, message_id, scope };
    let message = async |seq: u64| {
        let system = chat.system();
        let page = system.history(id, Some(seq % (last + 1) + 1)).await.unwrap();
        page.messages.last().map(|message| message.id)
    };
    let command = match act {
        Act::Send => Command::Send(Send { conversation_id: id, message: text("x") }),
        Act::SendBySystem => {
            let mut announcement = text("x");
            announcement.kind = MessageKind::System;
            chat.system().send(id, announcement).await.unwrap();
            return;
        }
        Act::Delete(seq) => match message(*seq).await {
            Some(message) => Command::Delete(scope(DeleteFor::Everyone, message)),
            None => return,
        },
        Act::DeleteForMe(seq) => match message(*seq).await {
            Some(message) => Command::Delete(scope(DeleteFor::Me, message)),
            None => return,
        },
        Act::Edit(seq) => match message(*seq).await {
            Some(message_id) => {
                let edit = MessageEdit { body: Some("y".into()), ..MessageEdit::default() };
                Command::Edit(Edit { conversation_id: id, message_id, edit })
            }
            None => return,
        },
        Act::MarkRead(seq) => Command::MarkRead(at(*seq)),
        Act::MarkDelivered(seq) => Command::MarkDelivered(at(*seq)),
        Act::MarkUnread(seq) => Command::MarkUnread(at(*seq)),
        Act::Clear => Command::Clear(inside),
        Act::Hide => Command::Hide(inside),
        Act::Archive(archived) => {
            let patch = SettingsPatch { archived: Some(*archived), ..SettingsPatch::default() };
            Command::UpdateSettings(UpdateSettings { conversation_id: id, patch })
        }
    };
    // Others' messages are not theirs to delete or edit, and deleted ones nobody's: then nothing changes.
    if let Err(error) = caller.dispatch(command).await {
        use parlor::Error::{Conflict, Forbidden, NotFound};
        assert!(matches!(error, Forbidden(_) | NotFound | Conflict(_)), "{error}");
    }
}

/// All counts of one person, compared with the recount.
async fn check(chat: &Chat, reader: &mut Reader, ids: &[ConversationId], act: &Act) {
    let caller = chat.as_user(identity(reader.name));
    let page = caller.conversations(ListConversations::default()).await.unwrap();
    let mut total = (0, 0);
    for id in ids {
        let summary = caller.conversation(*id).await.unwrap();
        reader.catch_up(&summary).await;
        let counted = reader.recount(*id, &summary.me);
        assert_eq!(summary.me.unread, counted, "{} after {act:?}: {:?}", reader.name, summary.me);
        // What the device was told counts from the same positions; nothing is told at a send.
        if let Some(told) = reader.told(*id) {
            assert_eq!(reader.recount(*id, &told), counted, "{} was told {told:?}", reader.name);
        }
        let listed = page.conversations.iter().find(|entry| entry.conversation.id == *id);
        let hidden = summary.me.is_hidden(summary.conversation.last_seq);
        assert_eq!(listed.is_none(), hidden, "{} after {act:?}", reader.name);
        if let Some(listed) = listed {
            assert_eq!(listed.me, summary.me);
        }
        if counted > 0 && !hidden && !summary.me.archived {
            total = (total.0 + 1, total.1 + counted);
        }
    }
    let Reply::Unread(unread) = caller.dispatch(Command::UnreadTotal).await.unwrap() else {
        panic!("the total")
    };
    assert_eq!((unread.conversations, unread.messages), total, "{} after {act:?}", reader.name);
}

async fn run(acts: Vec<(usize, usize, Act)>) {
    let (store, _directory) = sqlite().await;
    let chat = Chat::builder(Arc::new(store)).configure(unlimited).build().await.unwrap();
    let ids = [group(&chat, &PEOPLE).await, group(&chat, &PEOPLE).await];
    let mut readers = Vec::new();
    for name in PEOPLE {
        let device = Device::connect(&chat, identity(name)).await;
        readers.push(Reader { name, device, deleted: BTreeSet::new() });
    }
    for (who, place, act) in &acts {
        let before = readers[*who].device.heard.len();
        perform(&chat, PEOPLE[*who], ids[*place], act).await;
        for reader in &mut readers {
            check(&chat, reader, &ids, act).await;
        }
        // What the act told its own device, it told with the count of that moment.
        for event in &readers[*who].device.heard[before..] {
            if event["type"] == "member.changed" {
                let state: MemberState = serde_json::from_value(event["state"].clone()).unwrap();
                let counted = readers[*who].recount(ids[*place], &state);
                assert_eq!(state.unread, counted, "told to {} at {act:?}", PEOPLE[*who]);
            }
        }
    }
    assert!(readers.iter().all(|reader| reader.device.follower.holes == 0));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn unread_counts_are_what_the_client_recounts(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(acts));
    }
}
