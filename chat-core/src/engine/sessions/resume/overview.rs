//! What a device is told at first: where its user stands, what it does not know, who is there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Behind, Known, Replay, Resume, Unknown};
use crate::engine::{PAGE, codec::Delivery, node::Node, people, registry::Connection};
use crate::{
    Error,
    event::{Ephemeral, Event, SessionEvent},
    model::{ConversationId, ConversationSummary},
    store::{ListPosition, ListQuery, Membership},
};

/// Where a user stands.
pub(super) struct Overview {
    /// All memberships, the latest activity first.
    pub(super) memberships: Vec<Membership>,
    /// The first page of the list, where it was read already.
    pub(super) newest: Option<Vec<ConversationSummary>>,
}

impl Replay<'_> {
    /// Reads where the user stands. A device that knows nothing is told the list: where that is one page it says all
    /// of it in one question.
    pub(super) async fn overview(&self, resume: &Resume) -> Result<Overview, Error> {
        if !resume.known.is_empty() || resume.unknown == Unknown::Skip {
            return Ok(Overview { memberships: self.memberships().await?, newest: None });
        }
        let newest = self.list(None).await?;
        let memberships = if newest.len() < self.node.config.limits.page_max {
            newest.iter().map(|entry| self.membership(entry)).collect()
        } else {
            self.memberships().await?
        };
        Ok(Overview { memberships, newest: Some(newest) })
    }

    fn membership(&self, entry: &ConversationSummary) -> Membership {
        Membership::of(&self.connection.user, &entry.conversation, entry.me.member_rev)
    }

    async fn memberships(&self) -> Result<Vec<Membership>, Error> {
        let _permit = self.node.resumes.acquire().await;
        let mut all: Vec<Membership> = Vec::new();
        loop {
            let after = all.last().map(|membership| membership.conversation_id);
            let page = self.node.store().memberships(&self.connection.user, after, PAGE);
            let page = self.node.read("memberships", page).await?;
            let full = page.len() == PAGE;
            all.extend(page);
            if !full {
                break;
            }
        }
        all.sort_by_key(|membership| std::cmp::Reverse(membership.last_activity_at));
        Ok(all)
    }

    /// A page of the list, with what the user has hidden.
    async fn list(&self, after: Option<ListPosition>) -> Result<Vec<ConversationSummary>, Error> {
        let query = ListQuery {
            after,
            limit: self.node.config.limits.page_max,
            archived: None,
            hidden: true,
            unread_cap: self.node.config.limits.unread_cap,
        };
        let _permit = self.node.resumes.acquire().await;
        self.node.read("list", self.node.store().list(&self.connection.user, query)).await
    }

    /// Tells the entries of the list that the device does not know, from the page that was read already on; returns
    /// what changed after such an entry was read.
    pub(super) async fn tell_unknown(
        &mut self,
        standing: &HashMap<ConversationId, &Membership>,
        known: &HashMap<ConversationId, Known>,
        newest: &mut Option<Vec<ConversationSummary>>,
    ) -> Result<Vec<Behind>, Error> {
        let total = standing.keys().filter(|id| !known.contains_key(*id)).count();
        let (mut told, mut after, mut behind) = (0, None, Vec::new());
        while told < total.min(self.node.config.unknown_limit) {
            let page = match newest.take() {
                Some(page) => page,
                None => self.list(after).await?,
            };
            // The end of the list: what is left are conversations that the user has hidden.
            let Some(last) = page.last() else { return Ok(behind) };
            after = Some(ListPosition::of(&last.conversation));
            for summary in page {
                let id = summary.conversation.id;
                let Some(membership) = standing.get(&id) else { continue };
                let hidden = summary.me.is_hidden(summary.conversation.last_seq);
                if hidden || known.contains_key(&id) {
                    continue;
                }
                if told == self.node.config.unknown_limit {
                    break;
                }
                told += 1;
                let (rev, member_rev) = (summary.conversation.rev, summary.me.member_rev);
                // The entry may be newer than the heads that were read, or older.
                self.through.insert(id, rev);
                let summary = Box::new(summary);
                if !self.tell(SessionEvent::ConversationAdded { summary }).await {
                    return Ok(behind);
                }
                if member_rev < membership.member_rev {
                    self.tell_private(id, member_rev).await?;
                }
                if rev < membership.rev {
                    behind.push(Behind { id, since: rev });
                }
            }
        }
        let omitted = (total - told) as u64;
        if omitted > 0 {
            self.tell(SessionEvent::ListLimited { omitted }).await;
        }
        Ok(behind)
    }
}

/// The peers of direct conversations are watched without being asked for, those of the latest first.
pub(super) async fn watch_direct_peers(
    node: &Arc<Node>,
    connection: &Arc<Connection>,
    memberships: &[Membership],
) {
    let mut seen = HashSet::new();
    let peers = memberships.iter().filter_map(|membership| membership.peer.as_ref());
    let peers = peers.filter(|peer| seen.insert(*peer)).take(node.config.limits.watches);
    // With whom one has a conversation one shares it.
    let allowed = people::allowed_to(node, &connection.identity(), peers.cloned().collect()).await;
    let Ok(peers) = allowed else { return };
    if peers.is_empty() {
        return;
    }
    let users = people::watch(node, connection, &peers).await;
    connection.deliver(&mut Delivery::new(Event::Ephemeral(Ephemeral::Presence { users })));
}
