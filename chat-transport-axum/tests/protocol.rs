//! Holds docs/protocol.md to the code: every frame has an example there, and every example is true.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use std::collections::BTreeSet;

use parlor_core::{
    Codec,
    command::Command,
    event::{Change, Changes, Ephemeral, Event, Private, SessionEvent},
    model::ConversationSummary,
};
use parlor_transport_axum::{
    CLIENT_TYPES, ClientFrame, NativeCodec, SERVER_TYPES, Sent, Welcome, decode,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const DOC: &str = include_str!("../../docs/protocol.md");
const COMMANDS: &str = include_str!("../../chat-core/src/command.rs");
const EVENTS: &str = include_str!("../../chat-core/src/event.rs");

/// The lines of the JSON block under a heading.
fn examples(heading: &str) -> Vec<&'static str> {
    let (_, section) = DOC.split_once(&format!("\n### {heading}\n")).expect("the heading");
    let (_, block) = section.split_once("```json\n").expect("a block of JSON");
    let (block, _) = block.split_once("\n```").expect("the end of the block");
    block.lines().collect()
}

fn kind(frame: &Value) -> &str {
    frame["type"].as_str().expect("a type")
}

fn types(frames: &[&str]) -> Vec<String> {
    let mut types: Vec<String> = frames
        .iter()
        .map(|line| kind(&serde_json::from_str(line).expect(line)).to_owned())
        .collect();
    types.sort();
    types
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

/// The text between each `before` and the next quotation mark.
fn quoted(source: &str, before: &str) -> BTreeSet<String> {
    source
        .split(before)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_frame_of_the_code_has_one_example() {
    assert_eq!(types(&examples("From the client")), sorted(&CLIENT_TYPES));
    assert_eq!(types(&examples("From the server")), sorted(&SERVER_TYPES));
}

/// Commands for clients that cannot say what they have; native ones can.
const FOR_OTHERS: [&str; 1] = ["claim_undelivered"];

#[test]
fn every_command_and_event_of_the_core_is_a_frame() {
    let commands = quoted(COMMANDS, "=> \"");
    assert!(commands.len() > 30, "the names are found in the source");
    let known = |name: &str| CLIENT_TYPES.contains(&name) || FOR_OTHERS.contains(&name);
    let unknown: Vec<_> = commands.iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let events = quoted(EVENTS, "rename = \"");
    assert!(events.len() > 20, "the names are found in the source");
    let unknown: Vec<_> =
        events.iter().filter(|name| !SERVER_TYPES.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_type_stands_in_the_tables() {
    for kind in CLIENT_TYPES.iter().chain(&SERVER_TYPES) {
        let listed =
            DOC.lines().any(|line| line.starts_with("| ") && line.contains(&format!("`{kind}`")));
        assert!(listed, "{kind}");
    }
}

#[test]
fn every_client_example_is_understood_to_its_last_field() {
    for line in examples("From the client") {
        let framed = decode(line).unwrap_or_else(|error| panic!("{line}: {error:?}"));
        let mut example: Value = serde_json::from_str(line).unwrap();
        let name = kind(&example).to_owned();
        let fields = example.as_object_mut().unwrap();
        fields.remove("type");
        let id = fields.remove("id").unwrap_or(Value::Null);
        assert_eq!(serde_json::to_value(&framed.id).unwrap(), id, "{line}");
        let written = rewrite(&framed.frame, &name);
        for (field, value) in fields {
            assert_eq!(written.get(field), Some(&*value), "{line}: {field}");
        }
        // What was written is understood the same way again.
        let mut again = written;
        again["type"] = json!(name);
        let again = decode(&again.to_string()).unwrap();
        assert_eq!(again.frame, framed.frame, "{line}");
    }
}

#[test]
fn a_frame_that_is_cut_or_garbled_anywhere_is_refused_or_understood_and_never_more() {
    for line in examples("From the client") {
        for (at, _) in line.char_indices() {
            assert!(decode(&line[..at]).is_err(), "{}", &line[..at]);
            for other in ["\"", "{", "]", "\\", "9", "\u{0}", ","] {
                let rest = line[at..].chars().skip(1).collect::<String>();
                let _ = decode(&format!("{}{other}{rest}", &line[..at]));
            }
        }
    }
}

fn rewrite(frame: &ClientFrame, name: &str) -> Value {
    let command = match frame {
        ClientFrame::Authenticate(frame) => return serde_json::to_value(frame).unwrap(),
        ClientFrame::Resume(frame) => return serde_json::to_value(frame).unwrap(),
        ClientFrame::Watch(frame) | ClientFrame::Unwatch(frame) => {
            return serde_json::to_value(frame).unwrap();
        }
        ClientFrame::SetStatus(frame) => return serde_json::to_value(frame).unwrap(),
        ClientFrame::Ping => return json!({}),
        ClientFrame::Command(command) => command,
        other => panic!("no example of {other:?}"),
    };
    assert_eq!(command.name(), name);
    match &**command {
        Command::Send(content) => serde_json::to_value(content),
        Command::Edit(content) => serde_json::to_value(content),
        Command::Delete(content) => serde_json::to_value(content),
        Command::React(content) => serde_json::to_value(content),
        Command::Pin(content) => serde_json::to_value(content),
        Command::OpenDirect(content) => serde_json::to_value(content),
        Command::CreateGroup(content) => serde_json::to_value(content),
        Command::UpdateConversation(content) => serde_json::to_value(content),
        Command::AddMembers(content) => serde_json::to_value(content),
        Command::RemoveMember(content) => serde_json::to_value(content),
        Command::SetRole(content) => serde_json::to_value(content),
        Command::UpdateSettings(content) => serde_json::to_value(content),
        Command::Leave(content)
        | Command::Hide(content)
        | Command::Clear(content)
        | Command::GetConversation(content)
        | Command::ListPins(content)
        | Command::ListCursors(content) => serde_json::to_value(content),
        Command::MarkRead(content)
        | Command::MarkDelivered(content)
        | Command::MarkUnread(content) => serde_json::to_value(content),
        Command::Typing(content) => serde_json::to_value(content),
        Command::Signal(content) => serde_json::to_value(content),
        Command::ListConversations(content) => serde_json::to_value(content),
        Command::ListMembers(content) => serde_json::to_value(content),
        Command::History(content) => serde_json::to_value(content),
        Command::GetMessage(content) => serde_json::to_value(content),
        Command::GetChanges(content) => serde_json::to_value(content),
        Command::GetPresence(content) | Command::GetProfiles(content) => {
            serde_json::to_value(content)
        }
        Command::UnreadTotal => Ok(json!({})),
        other => panic!("no example of {other:?}"),
    }
    .unwrap()
}

#[test]
fn every_server_example_is_what_the_code_writes() {
    for line in examples("From the server") {
        let example: Value = serde_json::from_str(line).unwrap();
        let written = match kind(&example) {
            "welcome" => again::<Welcome>(&example),
            "ok" => {
                let mut ok = example.clone();
                ok["result"] = again::<Sent>(&example["result"]);
                ok
            }
            // Answers are made from errors of the engine; their own tests see to them.
            "error" => {
                let code: parlor_core::ErrorCode =
                    serde_json::from_value(example["error"]["code"].clone()).unwrap();
                let mut error = example.clone();
                error["error"]["code"] = json!(code.as_str());
                error
            }
            "message.sent"
            | "message.edited"
            | "message.deleted"
            | "message.pinned"
            | "reaction.changed"
            | "conversation.created"
            | "conversation.updated"
            | "members.changed" => encoded(Event::Change(parsed::<Change>(&example))),
            "member.changed" => encoded(Event::Private(parsed::<Private>(&example))),
            "typing" | "receipt" | "signal" | "presence" => {
                encoded(Event::Ephemeral(parsed::<Ephemeral>(&example)))
            }
            _ => encoded(Event::Session(session_event(&example))),
        };
        assert_eq!(written, example, "{line}");
    }
}

fn parsed<T: DeserializeOwned>(example: &Value) -> T {
    serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{example}: {error}"))
}

fn again<T: DeserializeOwned + Serialize>(example: &Value) -> Value {
    serde_json::to_value(parsed::<T>(example)).unwrap()
}

fn encoded(event: Event) -> Value {
    let frame = NativeCodec.encode(&event).unwrap();
    let value: Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(kind(&value), event.name());
    value
}

/// Session events are only ever written by the server, so the test builds them.
fn session_event(example: &Value) -> SessionEvent {
    let field = |name: &str| example[name].clone();
    let number = |name: &str| example[name].as_u64().unwrap();
    let parse = |name: &str| serde_json::from_value(field(name)).unwrap();
    match kind(example) {
        "changes" => SessionEvent::Changes(Box::new(parsed::<Changes>(example))),
        "limited" => SessionEvent::Limited {
            conversation_id: serde_json::from_value(field("conversation_id")).unwrap(),
            since_rev: number("since_rev"),
            rev: number("rev"),
            last_seq: number("last_seq"),
        },
        "conversation.added" => SessionEvent::ConversationAdded {
            summary: Box::new(parsed::<ConversationSummary>(&field("summary"))),
        },
        "conversation.removed" => SessionEvent::ConversationRemoved {
            conversation_id: serde_json::from_value(field("conversation_id")).unwrap(),
            through_rev: None,
        },
        "list_limited" => SessionEvent::ListLimited { omitted: number("omitted") },
        "resync" => SessionEvent::Resync { epoch: parse("epoch") },
        "resumed" => {
            SessionEvent::Resumed { epoch: parse("epoch"), conversations: number("conversations") }
        }
        "reconnect" => SessionEvent::Reconnect { after_ms: number("after_ms") },
        other => panic!("no example of {other}"),
    }
}
