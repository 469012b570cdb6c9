//! Identifiers. User ids are the host's own strings; the rest are UUIDs made here.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::check_name;
use crate::{Invalid, Timestamp};

/// Longest user id, in bytes.
pub const USER_ID_BYTES: usize = 128;
/// Longest idempotency key, in bytes.
pub const CLIENT_ID_BYTES: usize = 64;
/// Longest context of a direct conversation, in bytes.
pub const CONTEXT_BYTES: usize = 128;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text: not blank, bounded, no control characters.
            ///
            /// # Errors
            /// [`Invalid`] names the field and the rule that is broken.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, Invalid> {
                let text = text.into();
                check_name($field, &text, $max)?;
                Ok(Self(text))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Invalid;
            fn try_from(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A user of the host: the host's own id as text, at most 128 bytes, without control characters.
    UserId, "user_id", USER_ID_BYTES
}

text_id! {
    /// An idempotency key that the client chose for one message or one new group: at most 64 bytes.
    ClientId, "client_id", CLIENT_ID_BYTES
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = uuid::Uuid))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A conversation.
    ConversationId
}
uuid_id! {
    /// A message.
    MessageId
}
uuid_id! {
    /// One connected device, from connect to disconnect.
    SessionId
}
uuid_id! {
    /// One running instance of the engine.
    NodeId
}

/// A version 7 UUID: it sorts by the time given (RFC 9562, section 5.7), which keeps indexes compact.
fn uuid_at(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rand_bytes()).into_uuid()
}

fn rand_bytes() -> [u8; 10] {
    let random = Uuid::new_v4().into_bytes();
    let mut bytes = [0; 10];
    // Bytes 6 and 8 of a version 4 UUID carry fixed bits: the ten that are left are all random.
    bytes[..6].copy_from_slice(&random[..6]);
    bytes[6] = random[7];
    bytes[7..].copy_from_slice(&random[9..12]);
    bytes
}

impl ConversationId {
    /// A new id that sorts by time.
    pub fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }

    /// The id of the group that `creator` (`None`: the host) makes under the idempotency key
    /// `client_id`: the same for every retry (a version 5 UUID of both).
    pub fn from_client_id(creator: Option<&UserId>, client_id: &ClientId) -> Self {
        let creator = creator.map_or("", UserId::as_str);
        let name = format!("{}:{creator}{client_id}", creator.len());
        Self(Uuid::new_v5(&GROUP_NAMESPACE, name.as_bytes()))
    }
}

/// The namespace of version 5 ids for groups; any fixed UUID serves.
const GROUP_NAMESPACE: Uuid = Uuid::from_u128(0x7061_726c_6f72_4067_8f75_7073_0000_0001);

impl MessageId {
    /// A new id that sorts by time.
    pub fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }
}

impl SessionId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl NodeId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// What makes a direct conversation unique: the two users, in order, and an optional context of
/// the host such as a booking. Parts carry their length, so no two pairs look alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirectKey(String);

impl DirectKey {
    /// The key of the pair, whoever of the two asks. Both may be the same user.
    pub fn new(one: &UserId, other: &UserId, context: Option<&str>) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let (a, b) = (first.as_str(), second.as_str());
        let mut key = format!("{}:{a}{}:{b}", a.len(), b.len());
        if let Some(context) = context {
            key.push_str(&format!("{}:{context}", context.len()));
        }
        Self(key)
    }

    /// The key as a store keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a direct conversation's context.
///
/// # Errors
/// [`Invalid`] for the field `context`.
pub fn check_context(context: &str) -> Result<(), Invalid> {
    check_name("context", context, CONTEXT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_key_is_the_same_for_both_and_never_shared_by_two_pairs() {
        let user = |text: &str| UserId::new(text).unwrap();
        assert_eq!(
            DirectKey::new(&user("ann"), &user("bob"), None),
            DirectKey::new(&user("bob"), &user("ann"), None)
        );
        assert_ne!(
            DirectKey::new(&user("a"), &user("b1:c"), None),
            DirectKey::new(&user("a1:b"), &user("c"), None)
        );
        assert_ne!(
            DirectKey::new(&user("a"), &user("b"), None),
            DirectKey::new(&user("a"), &user("b"), Some("booking-1"))
        );
    }

    #[test]
    fn ids_are_bounded_and_plain() {
        assert_eq!(UserId::new("").unwrap_err().field, "user_id");
        assert_eq!(UserId::new("a\0b").unwrap_err().field, "user_id");
        assert!(UserId::new("x".repeat(USER_ID_BYTES)).is_ok());
        assert!(UserId::new("x".repeat(USER_ID_BYTES + 1)).is_err());
        assert!(ClientId::new("x".repeat(CLIENT_ID_BYTES + 1)).is_err());
        assert!(serde_json::from_str::<UserId>("\"\"").is_err());
    }

    #[test]
    fn message_ids_sort_by_time() {
        let early = MessageId::new(Timestamp::from_millis(1_000));
        let late = MessageId::new(Timestamp::from_millis(2_000));
        assert!(early < late);
    }
}
