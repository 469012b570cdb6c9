//! The first look at a frame: its type and its id, whatever else is in it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Longest id of a frame that is text, in bytes.
pub const FRAME_ID_BYTES: usize = 64;

/// The id of a frame, which its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FrameId {
    /// An integer.
    Number(i64),
    /// An integer beyond `i64`.
    Large(u64),
    /// Text of at most [`FRAME_ID_BYTES`].
    Text(Box<str>),
}

/// An id as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum RawId {
    /// Not there, or `null`.
    #[default]
    Absent,
    Given(FrameId),
    /// Too long, or of another kind.
    Wrong,
}

/// What is needed to answer a frame, even one that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) kind: Option<String>,
    pub(crate) id: RawId,
}

impl Head {
    /// Reads as far as the text is JSON; what stood before an error is kept.
    pub(crate) fn read(text: &str) -> (Self, Option<serde_json::Error>) {
        let mut head = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let broken = json.deserialize_map(HeadVisitor(&mut head)).and_then(|()| json.end()).err();
        (head, broken)
    }
}

struct HeadVisitor<'a>(&'a mut Head);

impl<'de> Visitor<'de> for HeadVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match &*key.0 {
                "type" => {
                    self.0.kind = match map.next_value()? {
                        Scalar::Text(kind) => Some(kind.into_owned()),
                        _ => None,
                    }
                }
                "id" => {
                    self.0.id = match map.next_value()? {
                        Scalar::Null => RawId::Absent,
                        Scalar::Number(number) => RawId::Given(FrameId::Number(number)),
                        Scalar::Large(number) => RawId::Given(FrameId::Large(number)),
                        Scalar::Text(text) if text.len() <= FRAME_ID_BYTES => {
                            RawId::Given(FrameId::Text(text.into()))
                        }
                        Scalar::Text(_) | Scalar::Other => RawId::Wrong,
                    }
                }
                // Skipped without recursion, however deep it is.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Borrows a key where it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value of which only the simple kinds matter.
enum Scalar<'a> {
    Null,
    Number(i64),
    Large(u64),
    Text(Cow<'a, str>),
    Other,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Scalar::Large(number), Scalar::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
