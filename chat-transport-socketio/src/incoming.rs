//! An event that a client sent.

use std::sync::Arc;

use parlor_core::{Error, Invalid};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Names of events longer than this are not repeated in answers.
const NAME_BYTES: usize = 64;
/// Errors may repeat what the client wrote; no more of it than this.
const REASON_BYTES: usize = 200;

/// An event that a client sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    name: String,
    args: Arc<[Value]>,
}

impl Incoming {
    /// An event with its arguments.
    pub fn new(name: impl Into<String>, args: Vec<Value>) -> Self {
        Self { name: name.into(), args: args.into() }
    }

    /// Reads the array that Socket.IO sends: the name, then the arguments.
    ///
    /// # Errors
    /// The event without arguments, and what is wrong with them.
    pub(crate) fn parse(json: &str) -> Result<Self, (Self, Error)> {
        match serde_json::from_str::<Vec<Value>>(json) {
            Ok(mut args) if args.first().is_some_and(Value::is_string) => match args.remove(0) {
                Value::String(name) => Ok(Self::new(name, args)),
                _ => Err((Self::new("", Vec::new()), unreadable("is not an event"))),
            },
            Ok(_) => Err((Self::new("", Vec::new()), unreadable("is not an event"))),
            Err(error) => {
                let name = first_text(json).unwrap_or_default();
                Err((Self::new(name, Vec::new()), unreadable(error.to_string())))
            }
        }
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All its arguments. Most events have one.
    pub fn args(&self) -> &[Value] {
        &self.args
    }

    /// Reads the first argument.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field at fault.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.args.first().unwrap_or(&Value::Null))
    }

    /// That this contract has no such event.
    pub fn unknown(&self) -> Error {
        let end = self.name.floor_char_boundary(NAME_BYTES);
        Invalid::new("event", format!("there is no event {:?}", &self.name[..end])).into()
    }
}

/// Reads a payload.
///
/// # Errors
/// [`Error::Invalid`] names the field at fault.
pub(crate) fn read<T: DeserializeOwned>(payload: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(payload).map_err(|error| {
        let path = error.path().to_string();
        let said = shorten(error.inner().to_string());
        let absent = absent_field(&said).map(str::to_owned);
        let field = match (path.as_str(), absent) {
            ("." | "?", Some(absent)) => absent,
            ("." | "?", None) => "payload".to_owned(),
            (_, Some(absent)) => format!("{path}.{absent}"),
            (_, None) => path,
        };
        Invalid::new(field, said).into()
    })
}

fn unreadable(reason: impl Into<String>) -> Error {
    Invalid::new("payload", shorten(reason.into())).into()
}

fn shorten(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REASON_BYTES));
    text
}

/// The field of which serde says that it is missing: it stands only in the text.
fn absent_field(said: &str) -> Option<&str> {
    said.strip_prefix("missing field `")?.split('`').next()
}

/// The first text of an array whose rest cannot be read.
fn first_text(json: &str) -> Option<String> {
    let inner = json.trim_start().strip_prefix('[')?;
    serde_json::Deserializer::from_str(inner).into_iter::<String>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        conversation_id: u64,
        content: String,
    }

    fn said(payload: Value) -> Result<Said, Error> {
        Incoming::new("say", vec![payload]).read()
    }

    #[test]
    fn a_wrong_payload_names_the_field() {
        assert!(said(json!({ "conversationId": 1, "content": "hi", "more": 1 })).is_ok());
        let field = |payload| said(payload).unwrap_err().field().unwrap().to_owned();
        assert_eq!(field(json!({ "conversationId": 1 })), "content");
        assert_eq!(field(json!({ "conversationId": 1, "content": null })), "content");
        assert_eq!(field(json!({ "conversationId": "1", "content": "x" })), "conversationId");
        for payload in [json!(null), json!(1), json!("x"), json!([])] {
            assert!(said(payload).is_err());
        }
        assert_eq!(field(Value::Null), "payload");
        let none = Incoming::new("say", Vec::new()).read::<Said>().unwrap_err();
        assert_eq!(none.field(), Some("payload"));
    }

    #[test]
    fn what_cannot_be_read_keeps_its_name() {
        let deep = format!("[\"say\",{}{}]", "[".repeat(200), "]".repeat(200));
        for json in [deep.as_str(), r#"["say",{"content":"\ud800"}]"#] {
            let (event, error) = Incoming::parse(json).unwrap_err();
            assert_eq!(event.name(), "say");
            assert_eq!(error.field(), Some("payload"));
        }
        for json in ["", "{}", "[]", "[1]", "[null,2]", "["] {
            assert_eq!(Incoming::parse(json).unwrap_err().0.name(), "");
        }
        let event = Incoming::parse(r#"["say",1,"b"]"#).unwrap();
        assert_eq!(event, Incoming::new("say", vec![json!(1), json!("b")]));
    }

    #[test]
    fn answers_repeat_little_of_what_came() {
        let long = "ä".repeat(5000);
        assert!(Incoming::new(long.clone(), Vec::new()).unknown().to_string().len() < 300);
        assert!(
            said(json!({ "conversationId": long, "content": "x" })).unwrap_err().to_string().len()
                < 300
        );
    }
}
