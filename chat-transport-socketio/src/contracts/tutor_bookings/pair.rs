//! Conversations by the names that clients have for them.

use parlor_core::{
    Caller, Error, Invalid,
    model::{ConversationId, Direct, UserId},
};

/// The name of the conversation of two users: their ids, sorted as JavaScript sorts texts, joined by an
/// underscore.
pub(super) fn pair_id(one: &UserId, other: &UserId) -> String {
    let [first, second] = if comes_before(one, other) { [one, other] } else { [other, one] };
    format!("{first}_{second}")
}

/// By UTF-16 code units.
fn comes_before(one: &UserId, other: &UserId) -> bool {
    one.as_str().encode_utf16().le(other.as_str().encode_utf16())
}

/// Whom a user may mean by a name. Ids may contain underscores themselves, so there may be two.
pub(super) fn peers(me: &UserId, name: &str) -> Vec<UserId> {
    let after = name.strip_prefix(me.as_str()).and_then(|rest| rest.strip_prefix('_'));
    let before = name.strip_suffix(me.as_str()).and_then(|rest| rest.strip_suffix('_'));
    let mut peers: Vec<UserId> = [after, before]
        .into_iter()
        .flatten()
        .filter_map(|peer| UserId::new(peer).ok())
        .filter(|peer| pair_id(me, peer) == name)
        .collect();
    peers.dedup();
    peers
}

/// The conversation that a user means by a name. It is there as soon as the two may talk.
///
/// # Errors
/// [`Error::NotFound`] for a name without the user in it; as the policy says for who may not talk.
pub(super) async fn find(
    caller: &Caller,
    me: &UserId,
    name: &str,
) -> Result<(ConversationId, Direct), Error> {
    let mut last = Error::NotFound;
    for peer in peers(me, name) {
        match open(caller, peer).await {
            Err(error @ (Error::Forbidden(_) | Error::NotFound | Error::Invalid(_))) => {
                last = error;
            }
            answer => return answer,
        }
    }
    Err(last)
}

/// The conversation with somebody.
///
/// # Errors
/// [`Error::Invalid`] names `receiverId`; as the policy says for who may not talk.
pub(super) async fn open(caller: &Caller, peer: UserId) -> Result<(ConversationId, Direct), Error> {
    let entry = caller.open_direct(peer).await;
    let entry = entry.map_err(|error| super::say_field(error, "user_id", "receiverId"))?;
    let direct = entry
        .conversation
        .direct
        .ok_or_else(|| Error::from(Invalid::new("conversationId", "is not between two people")))?;
    Ok((entry.conversation.id, direct))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    fn meant(me: &str, name: &str) -> Vec<String> {
        peers(&user(me), name).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_both_ids_sorted() {
        assert_eq!(pair_id(&user("bob"), &user("ann")), "ann_bob");
        assert_eq!(pair_id(&user("ann"), &user("bob")), "ann_bob");
        // JavaScript sorts by UTF-16: the emoji's surrogates come before this letter.
        assert_eq!(pair_id(&user("\u{fb01}"), &user("\u{1f600}")), "\u{1f600}_\u{fb01}");
    }

    #[test]
    fn whom_a_name_means_depends_on_who_says_it() {
        assert_eq!(meant("ann", "ann_bob"), ["bob"]);
        assert_eq!(meant("bob", "ann_bob"), ["ann"]);
        assert_eq!(meant("a_b", "a_b_c"), ["c"]);
        assert_eq!(meant("a", "a_b_c"), ["b_c"]);
        assert_eq!(meant("b_c", "a_b_c"), ["a"]);
        assert_eq!(meant("c", "a_b_c"), ["a_b"]);
        assert_eq!(meant("ann", "ann_ann"), ["ann"]);
        // One name, two people.
        assert_eq!(meant("x_y_x", "x_y_x_y_x"), ["y_x", "x_y"]);
    }

    #[test]
    fn a_name_without_oneself_or_unsorted_means_nobody() {
        for name in ["ann_bob", "", "_", "cem", "cem_", "_cem", "cem_ann", "cemann", "ann_cemx"] {
            assert!(meant("cem", name).is_empty(), "{name}");
        }
    }
}
