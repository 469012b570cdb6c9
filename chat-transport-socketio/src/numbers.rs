//! Numbers as clients of numeric contracts write and compare them.

use std::fmt;

use parlor_core::model::UserId;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// JavaScript reads whole numbers exactly below 2^53.
const EXACT: u64 = 1 << 53;

/// A number of a conversation or message: a whole number below 2^53, or the same as text, as it comes out
/// of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

impl std::str::FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map(Self).ok_or_else(|| "must be a number".to_owned())
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
        if number < EXACT {
            return Ok(Number(number));
        }
        Err(E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
        // JSON of other languages may write 7 as 7.0.
        if number.fract() == 0.0 && number >= 0.0 && number < EXACT as f64 {
            return Ok(Number(number as u64));
        }
        Err(E::invalid_value(de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        parse(text).map(Number).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// The number that a text is, if it is written as numbers are: `7`, and not `07` or `+7`.
fn parse(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number < EXACT && number.to_string() == text).then_some(number)
}

/// A user's id as clients compare it: a number where the host's ids are numbers, else the text.
pub fn user_value(user: &UserId) -> Value {
    text_value(user.as_str())
}

/// The same for an id that is not yet a user's.
pub fn text_value(id: &str) -> Value {
    parse(id).map_or_else(|| Value::from(id), Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_their_text_are_the_same_and_nothing_else_is() {
        let read = |value: Value| serde_json::from_value::<Number>(value).map(|number| number.0);
        assert_eq!(read(json!(7)).unwrap(), 7);
        assert_eq!(read(json!("7")).unwrap(), 7);
        assert_eq!(read(json!(7.0)).unwrap(), 7);
        for wrong in [
            json!(-1),
            json!(1.5),
            json!("07"),
            json!("+7"),
            json!(" 7"),
            json!(""),
            json!("x"),
            json!(null),
            json!([7]),
            json!({}),
            json!(true),
            json!(EXACT),
            json!(1e300),
            json!("9007199254740992"),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numeric_users_are_numbers() {
        let value = |id: &str| user_value(&UserId::new(id).unwrap());
        assert_eq!(value("7"), json!(7));
        assert_eq!(value("07"), json!("07"));
        assert_eq!(value("ann"), json!("ann"));
        assert_eq!(value("9007199254740993"), json!("9007199254740993"));
    }
}
