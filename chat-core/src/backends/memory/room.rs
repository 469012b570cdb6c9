//! One conversation with everything that hangs on it, and how it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::numbered;
use crate::{
    Timestamp,
    model::{
        ClientId, ContentHash, Conversation, ConversationSummary, Member, MemberState, Message,
        REACTION_USERS, Reaction, ReactionKey, UserId,
    },
    store::{ChangesPage, ChangesPosition, ChangesQuery, HistoryPage, HistoryQuery, Page},
};

pub(super) struct Room {
    pub(super) conversation: Conversation,
    pub(super) seats: BTreeMap<UserId, Seat>,
    /// The message with seq n is at n - 1.
    pub(super) messages: Vec<Stored>,
    /// The seqs of messages that were changed after they were sent, by `changed_rev`.
    pub(super) revised: BTreeMap<u64, u64>,
    pub(super) pins: BTreeSet<u64>,
    /// Idempotency keys by sender (the host is one), with the seq they got.
    pub(super) keys: HashMap<(Option<UserId>, ClientId), (u64, ContentHash)>,
}

/// A member with their own state, whose unread count is never kept but counted.
pub(super) struct Seat {
    pub(super) joined_at: Timestamp,
    pub(super) state: MemberState,
    /// The seqs of messages deleted for this member, with the `member_rev` at which they were.
    pub(super) deleted: BTreeMap<u64, u64>,
}

impl Seat {
    pub(super) fn member(&self, user: &UserId) -> Member {
        Member { user_id: user.clone(), role: self.state.role, joined_at: self.joined_at }
    }
}

/// A message, its reactions apart: one row for each, in the order they came.
pub(super) struct Stored {
    pub(super) message: Message,
    pub(super) given: Vec<(ReactionKey, UserId)>,
}

impl Stored {
    /// The message with its reactions, as `viewer` gets it.
    pub(super) fn seen_by(&self, viewer: Option<&UserId>) -> Message {
        let mut reactions: Vec<Reaction> = Vec::new();
        for (key, user) in &self.given {
            let at = reactions.iter().position(|reaction| &reaction.key == key);
            let at = at.unwrap_or_else(|| {
                let mine = viewer.map(|_| false);
                reactions.push(Reaction { key: key.clone(), count: 0, users: Vec::new(), mine });
                reactions.len() - 1
            });
            let reaction = &mut reactions[at];
            reaction.count += 1;
            if reaction.users.len() < REACTION_USERS {
                reaction.users.push(user.clone());
            }
            if viewer == Some(user) {
                reaction.mine = Some(true);
            }
        }
        Message { reactions, ..self.message.clone() }
    }
}

impl Room {
    pub(super) fn new(conversation: Conversation) -> Self {
        Self {
            conversation,
            seats: BTreeMap::new(),
            messages: Vec::new(),
            revised: BTreeMap::new(),
            pins: BTreeSet::new(),
            keys: HashMap::new(),
        }
    }

    pub(super) fn members(&self) -> BTreeMap<UserId, Member> {
        self.seats.iter().map(|(user, seat)| (user.clone(), seat.member(user))).collect()
    }

    pub(super) fn message(&self, seq: u64) -> Option<&Stored> {
        numbered(&self.messages, seq)
    }

    /// Whether `viewer` sees the message: neither cleared nor deleted for them.
    pub(super) fn sees(&self, viewer: Option<&UserId>, seq: u64) -> bool {
        viewer
            .and_then(|user| self.seats.get(user))
            .is_none_or(|seat| seq > seat.state.cleared_seq && !seat.deleted.contains_key(&seq))
    }

    /// The member's own state with what is unread, counted up to `cap`.
    pub(super) fn state(&self, user: &UserId, cap: u32) -> Option<MemberState> {
        let seat = self.seats.get(user)?;
        let unread = self
            .after(seat.state.unread_after())
            .iter()
            .filter(|stored| stored.message.counts_as_unread_for(user))
            .filter(|stored| !seat.deleted.contains_key(&stored.message.seq))
            .take(cap as usize)
            .count();
        // Taken up to a u32, so it fits.
        Some(MemberState { unread: u32::try_from(unread).unwrap_or(cap), ..seat.state.clone() })
    }

    pub(super) fn summary(&self, user: &UserId, cap: u32) -> Option<ConversationSummary> {
        let state = self.state(user, cap)?;
        let seen = self.messages.iter().rev();
        let last = seen
            .take_while(|stored| stored.message.seq > state.cleared_seq)
            .find(|stored| self.sees(Some(user), stored.message.seq))
            .map(|stored| stored.seen_by(Some(user)));
        Some(ConversationSummary::new(self.conversation.clone(), state, last))
    }

    pub(super) fn history(&self, query: &HistoryQuery) -> Option<HistoryPage> {
        let viewer = query.viewer.as_ref();
        if viewer.is_some_and(|viewer| !self.seats.contains_key(viewer)) {
            return None;
        }
        let seen = |stored: &&Stored| self.sees(viewer, stored.message.seq);
        let (backwards, found): (bool, Vec<&Stored>) = match query.page {
            Page::Latest => (true, self.back_from(u64::MAX, query.limit, seen)),
            Page::Before(seq) => (true, self.back_from(seq, query.limit, seen)),
            Page::After(seq) => {
                let after = self.after(seq).iter().filter(seen);
                (false, after.take(query.limit.saturating_add(1)).collect())
            }
        };
        let has_more = found.len() > query.limit;
        let page = found.into_iter().take(query.limit).map(|stored| stored.seen_by(viewer));
        let mut messages: Vec<Message> = page.collect();
        if backwards {
            messages.reverse();
        }
        Some(HistoryPage { messages, has_more })
    }

    pub(super) fn changes(&self, query: &ChangesQuery) -> ChangesPage {
        let head = self.conversation.rev;
        let since = query.since;
        let mut page = ChangesPage {
            messages: Vec::new(),
            revised: Vec::new(),
            conversation: None,
            through_rev: head,
            next: None,
        };
        if since >= head {
            return page;
        }
        if query.position.is_none() && self.conversation.changed_rev > since {
            let members = self.members().into_values().collect();
            page.conversation = Some((self.conversation.clone(), members));
        }
        let position = query.position.unwrap_or(ChangesPosition {
            head,
            new_after_seq: Some(0),
            revised_after_rev: 0,
        });
        let head = position.head.min(head);
        page.through_rev = head;
        let viewer = query.viewer.as_ref();
        if let Some(after) = position.new_after_seq {
            let start = self.messages.partition_point(|stored| stored.message.rev <= since) as u64;
            let mut new = self
                .after(start.max(after))
                .iter()
                .take_while(|stored| stored.message.rev <= head)
                .filter(|stored| self.sees(viewer, stored.message.seq));
            let given = new.by_ref().take(query.limit).map(|stored| stored.seen_by(viewer));
            page.messages = given.collect();
            if new.next().is_some() {
                let last = page.messages.last().map_or(after, |message| message.seq);
                page.next = Some(ChangesPosition { head, new_after_seq: Some(last), ..position });
                return page;
            }
        }
        // Also what was revised after the head: it may have been in reach before and moved on.
        let after = position.revised_after_rev.max(since);
        let mut revised = self
            .revised
            .range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            .filter_map(|(_, seq)| self.message(*seq))
            .filter(|stored| stored.message.rev <= since)
            .filter(|stored| self.sees(viewer, stored.message.seq));
        let space = query.limit - page.messages.len();
        page.revised = revised.by_ref().take(space).map(|stored| stored.seen_by(viewer)).collect();
        if revised.next().is_some() {
            let last = page.revised.last().map_or(after, |message| message.changed_rev);
            page.next =
                Some(ChangesPosition { head, new_after_seq: None, revised_after_rev: last });
        }
        page
    }

    /// The pinned messages, latest pin first, then larger seq first.
    pub(super) fn pinned(&self, viewer: Option<&UserId>) -> Vec<Message> {
        let mut pinned: Vec<Message> = self
            .pins
            .iter()
            .filter(|seq| self.sees(viewer, **seq))
            .filter_map(|seq| self.message(*seq))
            .map(|stored| stored.seen_by(viewer))
            .collect();
        pinned.sort_by_key(|message| std::cmp::Reverse((message.pinned_at, message.seq)));
        pinned
    }

    /// The messages with a larger seq.
    fn after(&self, seq: u64) -> &[Stored] {
        let start = usize::try_from(seq).unwrap_or(usize::MAX).min(self.messages.len());
        &self.messages[start..]
    }

    /// The newest messages with a smaller seq, newest first, one more than the limit.
    fn back_from(&self, seq: u64, limit: usize, seen: impl Fn(&&Stored) -> bool) -> Vec<&Stored> {
        let end = usize::try_from(seq.saturating_sub(1)).unwrap_or(usize::MAX);
        let before = &self.messages[..end.min(self.messages.len())];
        before.iter().rev().filter(seen).take(limit.saturating_add(1)).collect()
    }
}
