//! What clients may write, and what they are told when it is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use parlor_core::{
    ErrorCode,
    command::{Command, Delete, DeleteFor, Pin, React},
};
use parlor_transport_axum::{ClientFrame, FrameId, Framed, Undecodable, decode};

const C: &str = "0193a1b2-7c00-7000-8000-00000000c0de";
const M: &str = "0193a1b2-7c00-7000-8000-0000000000a1";

fn wrong(text: &str) -> Undecodable {
    let wrong = decode(text).expect_err(text);
    assert_eq!(wrong.refusal.code, ErrorCode::Invalid, "{text}");
    assert!(!wrong.refusal.retryable);
    wrong
}

fn field(text: &str) -> String {
    let wrong = wrong(text);
    assert_eq!(wrong.id, Some(FrameId::Number(7)), "{text}");
    let field = wrong.refusal.field.clone().unwrap_or_else(|| panic!("{text}: {wrong:?}"));
    assert!(wrong.refusal.message.starts_with(&*field), "{}", wrong.refusal.message);
    field.into_owned()
}

fn command(text: &str) -> Command {
    match decode(text).unwrap_or_else(|error| panic!("{text}: {error:?}")) {
        Framed { frame: ClientFrame::Command(command), .. } => *command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_name_the_field_at_fault() {
    let send = |rest: &str| {
        format!(r#"{{"type":"send","id":7,"conversation_id":"{C}","client_id":"a",{rest}}}"#)
    };
    assert_eq!(field(&send(r#""body":5"#)), "body");
    assert_eq!(field(&send(r#""kind":"movie""#)), "kind");
    assert_eq!(field(&send(r#""attachments":[{"url":"u"},{"url":5}]"#)), "attachments[1].url");
    assert_eq!(field(&send(r#""attachments":[{"name":"n"}]"#)), "attachments[0].url");
    assert_eq!(field(&send(r#""attachments":{"url":"u"}"#)), "attachments");
    assert_eq!(field(&send(r#""mentions":["ann",""]"#)), "mentions[1]");
    assert_eq!(field(&send(r#""reply_to":"no id""#)), "reply_to");
    assert_eq!(field(&send(r#""metadata":[]"#)), "metadata");
    assert_eq!(field(&send(r#""body":"a","body":"b""#)), "body");
    assert_eq!(field(&format!(r#"{{"type":"send","id":7,"conversation_id":"{C}"}}"#)), "client_id");
    assert_eq!(field(r#"{"type":"send","id":7,"client_id":"a","body":"b"}"#), "conversation_id");
    assert_eq!(field(r#"{"type":"hide","id":7}"#), "conversation_id");
    assert_eq!(field(r#"{"type":"hide","id":7,"conversation_id":"x"}"#), "conversation_id");
    assert_eq!(field(r#"{"type":"create_group","id":7,"members":[]}"#), "title");
    let read =
        |seq: &str| format!(r#"{{"type":"mark_read","id":7,"conversation_id":"{C}","seq":{seq}}}"#);
    assert_eq!(field(&read("-1")), "seq");
    assert_eq!(field(&read("1.5")), "seq");
    assert_eq!(field(&read("99999999999999999999")), "seq");
    assert!(decode(&read("9223372036854775807")).is_ok());
    assert_eq!(field(r#"{"type":"set_status","id":7,"status":"asleep"}"#), "status");
    assert_eq!(
        field(r#"{"type":"resume","id":7,"known":[{"conversation_id":1}]}"#),
        "known[0].conversation_id"
    );
    assert_eq!(field(r#"{"type":"authenticate","id":7}"#), "token");
}

#[test]
fn an_unknown_type_is_told_what_there_is() {
    let refusal = wrong(r#"{"type":"shout","id":7}"#).refusal;
    assert_eq!(refusal.field.as_deref(), Some("type"));
    assert!(refusal.message.contains("authenticate, resume"), "{}", refusal.message);
    assert!(refusal.message.contains("unread_total"), "{}", refusal.message);
    assert_eq!(field(r#"{"id":7}"#), "type");
    assert_eq!(field(r#"{"type":null,"id":7}"#), "type");
    assert_eq!(field(r#"{"type":["ping"],"id":7}"#), "type");
}

#[test]
fn the_id_is_text_or_an_integer_and_everything_else_is_refused() {
    let id = |id: &str| decode(&format!(r#"{{"type":"ping","id":{id}}}"#)).map(|framed| framed.id);
    assert_eq!(id("-3").unwrap(), Some(FrameId::Number(-3)));
    assert_eq!(id("18446744073709551615").unwrap(), Some(FrameId::Large(u64::MAX)));
    assert_eq!(id(r#""a\u00e9""#).unwrap(), Some(FrameId::Text("aé".into())));
    assert_eq!(id("null").unwrap(), None);
    assert_eq!(decode(r#"{"type":"ping"}"#).unwrap().id, None);
    let long = format!("\"{}\"", "x".repeat(65));
    for bad in ["1.5", "true", "{}", "[[1]]", r#"{"a":{"b":1}}"#, "1e400", &long] {
        let wrong = id(bad).expect_err(bad);
        assert_eq!(wrong.id, None, "{bad}");
    }
    assert_eq!(id("true").unwrap_err().refusal.field.as_deref(), Some("id"));
}

#[test]
fn what_is_no_json_is_refused_with_its_id_where_that_could_be_read() {
    let seven = Some(FrameId::Number(7));
    for (text, id) in [
        ("", None),
        ("[]", None),
        ("\"ping\"", None),
        ("nonsense", None),
        (r#"{"id":7,"type":"ping""#, seven.clone()),
        (r#"{"id":7,"type":"ping"} x"#, seven.clone()),
        (r#"{"id":7,"type":}"#, seven.clone()),
        (r#"{"type":"ping","id":"#, None),
    ] {
        let wrong = wrong(text);
        assert_eq!(wrong.id, id, "{text}");
        assert_eq!(wrong.refusal.field, None, "{text}");
    }
}

#[test]
fn deep_json_and_lone_surrogates_are_refused_without_harm() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let send = |metadata: &str, body: &str| {
        format!(
            r#"{{"type":"send","conversation_id":"{C}","client_id":"a","metadata":{metadata},"body":"{body}","id":7}}"#
        )
    };
    let refused = wrong(&send(&format!(r#"{{"a":{deep}}}"#), "x"));
    // The id stands behind the depth and is found all the same.
    assert_eq!(refused.id, Some(FrameId::Number(7)));
    assert!(refused.refusal.message.contains("recursion limit"), "{}", refused.refusal.message);
    let refused = wrong(&send("{}", r"\ud800"));
    assert_eq!(refused.id, Some(FrameId::Number(7)));
    // Where nobody looks, depth does not matter.
    assert!(decode(&format!(r#"{{"type":"ping","x":{deep},"id":7}}"#)).is_ok());
}

#[test]
fn a_message_about_an_error_does_not_repeat_a_whole_frame() {
    let huge = "x".repeat(100_000);
    let refused =
        wrong(&format!(r#"{{"type":"mark_read","id":7,"conversation_id":"{C}","seq":"{huge}"}}"#));
    assert!(refused.refusal.message.len() < 400);
}

#[test]
fn defaults_are_as_documented_and_unknown_fields_are_ignored() {
    let conversation_id = C.parse().unwrap();
    let message_id = M.parse().unwrap();
    let on = |kind: &str, rest: &str| {
        command(&format!(
            r#"{{"type":"{kind}","conversation_id":"{C}","message_id":"{M}","sender_id":"mallory"{rest}}}"#
        ))
    };
    let delete = Delete { conversation_id, message_id, scope: DeleteFor::Everyone };
    assert_eq!(on("delete", ""), Command::Delete(delete));
    assert_eq!(on("pin", ""), Command::Pin(Pin { conversation_id, message_id, on: true }));
    let react = React { conversation_id, message_id, key: "+1".into(), on: true };
    assert_eq!(on("react", r#","key":"+1""#), Command::React(react));
    let Command::UpdateConversation(update) = on("update_conversation", r#","picture":null"#)
    else {
        panic!("another command");
    };
    assert_eq!(update.patch.picture, Some(None));
    assert_eq!(update.patch.title, None);
}

#[test]
fn tokens_do_not_show_in_debug_output() {
    let framed = decode(r#"{"type":"authenticate","token":"secret"}"#).unwrap();
    assert!(!format!("{framed:?}").contains("secret"));
}
