//! People of two types: brand 7 and influencer 7 are two users of the engine, `brand:7` and `influencer:7`.

use std::fmt;

use parlor_core::{
    Error, Invalid,
    model::{Identity, Message, UserId},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use crate::{
    Place,
    names::name_of,
    numbers::{Number, text_value},
};

/// What a user is. Their ids are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UserType {
    Brand,
    Influencer,
}

impl fmt::Display for UserType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brand => "brand",
            Self::Influencer => "influencer",
        })
    }
}

impl UserType {
    fn of(text: &str) -> Option<Self> {
        match text {
            "brand" => Some(Self::Brand),
            "influencer" => Some(Self::Influencer),
            _ => None,
        }
    }

    /// The engine's user of this type with this id.
    ///
    /// # Errors
    /// [`Invalid`] for the field `user_id`.
    pub(super) fn user(self, PersonId(id): &PersonId) -> Result<UserId, Invalid> {
        UserId::new(format!("{self}:{id}"))
    }
}

/// An id among the users of one type: a number or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PersonId(String);

impl<'de> Deserialize<'de> for PersonId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if !text.trim().is_empty() => Ok(Self(text)),
            number @ Value::Number(_) => Number::deserialize(number)
                .map(|number| Self(number.0.to_string()))
                .map_err(de::Error::custom),
            _ => Err(de::Error::custom("must be a number or a text")),
        }
    }
}

/// The engine's user whom a token means by `sub` and `userType`.
pub(super) fn identify(mut identity: Identity) -> Result<Identity, Error> {
    let claim = identity.claims.0.get("userType").and_then(Value::as_str);
    let user_type = claim.and_then(UserType::of).ok_or(Error::Unauthenticated)?;
    let id = PersonId(identity.user_id.to_string());
    identity.user_id = user_type.user(&id).map_err(|_| Error::Unauthenticated)?;
    Ok(identity)
}

/// A user's id and type as clients write them. Users of other front ends have no type.
pub(super) fn id_and_type(user: &UserId) -> (Value, Value) {
    match user.as_str().split_once(':') {
        Some((user_type, id)) if UserType::of(user_type).is_some() => {
            (text_value(id), user_type.into())
        }
        _ => (text_value(user.as_str()), Value::Null),
    }
}

/// `{userId, userType}`.
pub(super) fn user_value(user: &UserId) -> Value {
    let (id, user_type) = id_and_type(user);
    json!({ "userId": id, "userType": user_type })
}

/// What is shown of a user: `null` for what the directory does not know. `message` is one of theirs, which
/// may have kept the name.
pub(super) fn profile_value(user: &UserId, message: Option<&Message>, place: &Place) -> Value {
    let (id, _) = id_and_type(user);
    let profile = place.profile(user);
    let attribute = |name| profile.attributes.0.get(name).filter(|value| value.is_string());
    let name = match message {
        Some(message) => name_of(user, message, place),
        None => profile.name.clone(),
    };
    let username = attribute("username").cloned().unwrap_or_else(|| name.into());
    json!({
        "id": id,
        "username": username,
        "firstName": attribute("firstName"),
        "lastName": attribute("lastName"),
        "profileImage": profile.picture,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(value: Value) -> Result<PersonId, String> {
        PersonId::deserialize(value).map_err(|error| error.to_string())
    }

    #[test]
    fn brand_7_and_influencer_7_are_two_and_7_is_7_as_text() {
        let seven = person(json!(7)).unwrap();
        assert_eq!(seven, person(json!("7")).unwrap());
        let [brand, influencer] =
            [UserType::Brand, UserType::Influencer].map(|it| it.user(&seven).unwrap());
        assert_ne!(brand, influencer);
        assert_eq!(user_value(&brand), json!({ "userId": 7, "userType": "brand" }));
        assert_eq!(user_value(&influencer), json!({ "userId": 7, "userType": "influencer" }));
        let text = UserType::Brand.user(&person(json!("a:b")).unwrap()).unwrap();
        assert_eq!(user_value(&text), json!({ "userId": "a:b", "userType": "brand" }));
        let other = UserId::new("ann").unwrap();
        assert_eq!(user_value(&other), json!({ "userId": "ann", "userType": null }));
        for wrong in [json!(null), json!(1.5), json!(-1), json!(""), json!([7]), json!(true)] {
            assert!(person(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_has_no_type_is_nobody() {
        let identity = |claims: Value| {
            let mut identity = Identity::new(UserId::new("7").unwrap());
            identity.claims = serde_json::from_value(claims).unwrap();
            super::identify(identity)
        };
        let brand = identity(json!({ "userType": "brand" })).unwrap();
        assert_eq!(brand.user_id.as_str(), "brand:7");
        for claims in [json!({}), json!({ "userType": "admin" }), json!({ "userType": 1 })] {
            assert!(matches!(identity(claims), Err(Error::Unauthenticated)));
        }
    }
}
