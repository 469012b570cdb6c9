//! Free attributes that a host or a client attaches to messages and conversations.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Invalid;

/// A JSON object of the host's own. Bounded in size where it enters; never interpreted here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = Object))]
#[serde(transparent)]
pub struct Metadata(pub Map<String, Value>);

impl Metadata {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the size as compact JSON and that no text in it holds NUL, which Postgres cannot keep.
    ///
    /// # Errors
    /// [`Invalid`] for the field named.
    pub fn check(&self, field: &'static str, max: usize) -> Result<(), Invalid> {
        check_json(field, &Value::Object(self.0.clone()), max)
    }
}

/// Checks any JSON value: its size as compact JSON, and no NUL in any text.
pub(crate) fn check_json(field: &'static str, value: &Value, max: usize) -> Result<(), Invalid> {
    let text = serde_json::to_string(value)
        .map_err(|_| Invalid::new(field, "cannot be written as JSON"))?;
    if text.len() > max {
        return Err(Invalid::new(field, format!("must be at most {max} bytes of JSON")));
    }
    // serde_json writes NUL as \u0000, and a backslash of the text itself doubled.
    if has_nul_escape(&text) {
        return Err(Invalid::new(field, "must not contain NUL characters"));
    }
    Ok(())
}

fn has_nul_escape(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            if json[at..].starts_with("\\u0000") {
                return true;
            }
            at += 1;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_in_keys_and_values_and_a_backslash_is_no_nul() {
        let check = |json: &str| {
            serde_json::from_str::<Metadata>(json).unwrap().check("metadata", 100).is_ok()
        };
        assert!(!check(r#"{"a":"x\u0000y"}"#));
        assert!(!check(r#"{"a\u0000":1}"#));
        assert!(!check(r#"{"a":[{"b":"\u0000"}]}"#));
        assert!(check(r#"{"a":"\\u0000"}"#));
        assert!(!check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(100))));
    }
}
