//! Content survives byte for byte.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Nodes,
    world::{ALL, Room, append, at, conversation_id, edit, fresh, key, react, user},
};
use crate::{
    Limits, Timestamp,
    model::{
        Attachment, ConversationPatch, DirectKey, MessageKind, Metadata, NewMessage, Role,
        SettingsPatch, UserId,
    },
    store::{ChangeOutcome, ConversationChange, NewConversation, Page, PrivateChange},
};

const TEXTS: [&str; 16] = [
    "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 𝕏 plane 1, 🇩🇪",
    "שלום עולם — مرحبا بالعالم \u{202e}reversed\u{202c}",
    "日本語 中文 한국어 ไทย",
    "e\u{301} is not é: no normalisation",
    "'single' \"double\" `tick` \\ \\\\ \\n \\u0041 \\x41 \\",
    "100% _under_ %s %d _% * ? [a-z] ^$",
    "'; DROP TABLE messages; --",
    "$1 ?1 :name @name #{x} ${x} {{x}}",
    "tab\there, new\nline, return\r\nboth",
    "  leading and trailing blanks  \n",
    "\u{feff}byte order mark, zero\u{200b}width, nbsp\u{a0}",
    "\u{1} \u{1f} \u{7f} \u{80} \u{fffd} \u{ffff} \u{10ffff}",
    "<script>alert(1)</script> &amp; &#x27;",
    "null",
    "{\"json\": [1, 2, {\"a\": null}]}",
    "İıſKÅ ß ẞ",
];

pub(super) async fn texts_survive_byte_for_byte(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    for text in TEXTS {
        let sent = room.send(0, text).await;
        assert_eq!(sent.body, text);
        let read = room.on(&nodes.other).history(None, Page::Latest, 1).await.messages;
        assert_eq!(read[0].body.as_bytes(), text.as_bytes());
        let first = room.send(0, "before the edit").await;
        room.revised(0, &first, edit(text)).await;
        let read = room.on(&nodes.other).history(None, Page::Latest, 1).await.messages;
        assert_eq!(read[0].body.as_bytes(), text.as_bytes(), "after an edit");
    }
}

pub(super) async fn the_longest_text_and_metadata_survive(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let limits = Limits::default();
    let mut nested = json!({"deep": "🌊"});
    for level in 0..60 {
        nested = json!({ format!("level {level}"): [nested, level, null, true, -0.5, 1.5e10] });
    }
    let mut map = Map::new();
    map.insert("nested".to_owned(), nested);
    for (name, value) in [
        ("max", json!(u64::MAX)),
        ("min", json!(i64::MIN)),
        ("float", json!(0.1)),
        ("exact", json!(9_007_199_254_740_993_u64)),
        ("empty", json!({"": "", "a": [], "o": {}})),
        ("quotes", json!("'\"\\ \u{1f} \u{2028} 👍")),
    ] {
        map.insert(name.to_owned(), value);
    }
    let size = Value::Object(map.clone()).to_string().len();
    map.insert("fill".to_owned(), json!("x".repeat(limits.metadata_bytes - size - 10)));
    assert_eq!(Value::Object(map.clone()).to_string().len(), limits.metadata_bytes);
    let message = NewMessage {
        body: "𝕏".repeat(limits.body_bytes / 4),
        metadata: Metadata(map),
        ..NewMessage::default()
    };
    let sent = append(room.id, Some(&room.users[0]), message.clone(), room.now());
    let sent = fresh(room.append(sent).await);
    let read = room.on(&nodes.other).log(None).await;
    assert_eq!(read, [sent]);
    assert_eq!(read[0].body, message.body);
    assert_eq!(read[0].metadata, message.metadata);
}

pub(super) async fn every_field_of_a_message_survives(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let target = room.send(1, "target").await;
    let kinds = [
        MessageKind::Text,
        MessageKind::Image,
        MessageKind::File,
        MessageKind::Custom("poll: 50% 'yes' 👍".to_owned()),
        MessageKind::Custom("text".to_owned()),
    ];
    for (n, kind) in kinds.into_iter().enumerate() {
        let message = NewMessage {
            client_id: Some(key(&format!("key '{n}' % \\ 👍"))),
            kind,
            body: "body".to_owned(),
            reply_to: Some(target.id),
            mentions: vec![room.users[2].clone(), user("who is not a member 'x'")],
            attachments: vec![
                Attachment {
                    url: "https://example.com/ä%20b?c='d'&e=\\f".to_owned(),
                    name: Some("naïve \"file\" 📎.pdf".to_owned()),
                    media_type: Some("application/pdf".to_owned()),
                    size: Some(0),
                },
                Attachment {
                    url: "s3://bucket/key".to_owned(),
                    name: None,
                    media_type: None,
                    size: None,
                },
            ],
            metadata: Metadata::default(),
        };
        let append = append(room.id, Some(&room.users[0]), message, room.now());
        let sent = fresh(room.append(append.clone()).await);
        assert_eq!(sent, crate::model::Message::new(&append, sent.number, sent.seq, sent.rev));
        let read = room.on(&nodes.other).history(None, Page::Latest, 1).await.messages;
        assert_eq!(read, [sent]);
    }
}

pub(super) async fn names_survive_and_are_told_apart(nodes: &Nodes) {
    let base = user("x").to_string();
    let names =
        ["a", "A", "á", "a\u{301}", "a ", " a", "%", "_", "'", "\\", "👍", "aa", "1", "01", "1.0"];
    let users: Vec<UserId> = names
        .iter()
        .map(|name| UserId::new(format!("{base}{name}")).expect("a short text"))
        .collect();
    let room = Room::group_of(nodes, users.clone()).await;
    let members = room.on(&nodes.other);
    let members = members.store.members(room.id, None, ALL).await.expect("members answers");
    assert_eq!(members.len(), names.len(), "ids are compared by bytes");
    for (n, user) in users.iter().enumerate() {
        let member = room.store.member(room.id, user).await.expect("member answers");
        assert_eq!(member.map(|member| member.user_id), Some(user.clone()));
        let sent = fresh(room.append(room.keyed(n, "k", "hello")).await);
        assert_eq!(sent.sender_id.as_ref(), Some(user));
    }
    let last = room.send(0, "react").await;
    let reactions = ["👍", "👍🏽", "%", "_", "'", "\\", "+1", "thumbs up", "É", "é", "e\u{301}"];
    for text in reactions {
        room.revised(0, &last, react(text, true)).await;
    }
    let read = room.on(&nodes.other).history(None, Page::Latest, 1).await.messages;
    let keys: Vec<_> = read[0].reactions.iter().map(|reaction| reaction.key.as_str()).collect();
    assert_eq!(keys, reactions);
}

pub(super) async fn contexts_of_any_form_are_told_apart(nodes: &Nodes) {
    let (ann, bob) = (user("ann"), user("bob"));
    let mut ids = std::collections::BTreeSet::new();
    for context in ["a", "A", "á", "a\u{301}", "%", "_", "'", "\\", "👍", "1:a", "null"] {
        let new =
            NewConversation::direct(conversation_id(), &ann, &bob, Some(context.to_owned()), at(0));
        let made = nodes.one.create(new).await.expect("create answers");
        assert!(made.fresh && ids.insert(made.conversation.id), "{context} is its own");
        let found = nodes.other.direct(&DirectKey::new(&ann, &bob, Some(context))).await;
        let found = found.expect("direct answers").expect("found by its key");
        assert_eq!(found, made.conversation);
        assert_eq!(found.direct.and_then(|direct| direct.context).as_deref(), Some(context));
    }
}

pub(super) async fn times_survive_to_the_millisecond(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    for millis in [0, 1, 999, 1_000, 1_759_999_999_999, 253_402_300_799_998] {
        let time = Timestamp::from_millis(millis);
        let text = append(room.id, Some(&room.users[0]), NewMessage::text("x"), time);
        let sent = fresh(room.append(text).await);
        assert_eq!(sent.created_at, time);
        let read = room.on(&nodes.other).history(None, Page::Latest, 1).await.messages;
        assert_eq!(read[0].created_at, time);
        let members = BTreeMap::from([(room.users[0].clone(), Role::Owner)]);
        let new = NewConversation::group(conversation_id(), "x".to_owned(), members, time);
        let made = nodes.one.create(new).await.expect("create answers").conversation;
        let read = nodes.other.conversation(made.id).await.expect("conversation answers");
        assert_eq!(read.map(|read| (read.created_at, read.last_activity_at)), Some((time, time)));
    }
    let forever =
        SettingsPatch { muted_until: Some(Some(Timestamp::MAX)), ..SettingsPatch::default() };
    room.private(0, PrivateChange::Settings(forever)).await;
    assert_eq!(room.on(&nodes.other).state(0).await.muted_until, Some(Timestamp::MAX));
}

pub(super) async fn a_conversations_own_fields_survive(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    for text in TEXTS {
        // Titles and pictures are plain lines.
        let line: String = text.chars().filter(|c| !c.is_control()).collect();
        let mut map = Map::new();
        map.insert(line.clone(), json!([line, {"a": 1}]));
        let patch = ConversationPatch {
            title: Some(line.clone()),
            picture: Some(Some(format!("https://example.com/{line}"))),
            metadata: Some(Metadata(map)),
        };
        let mut expected = room.conversation().await;
        assert!(patch.apply(&mut expected));
        let outcome = room.change(Some(&room.users[0]), ConversationChange::Patch(patch)).await;
        expected.rev += 1;
        expected.changed_rev = expected.rev;
        let ChangeOutcome::Changed(conversation, _) = outcome else {
            panic!("expected a change, got {outcome:?}")
        };
        assert_eq!(*conversation, expected);
        assert_eq!(room.on(&nodes.other).conversation().await, expected);
    }
}
