//! From a committed change to those who are connected, here and on other nodes.

use std::sync::Arc;

use crate::engine::{
    codec::Delivery,
    node::Node,
    rooms::Offered,
    wire::{Aside, NodeMessage},
};
use crate::{
    event::{Change, ChangeBody, Ephemeral, Event, Private},
    model::{ConversationId, UserId},
};

/// Tells a shared change that this node made.
pub(in crate::engine) fn change(node: &Arc<Node>, change: Change) {
    node.publisher.change(&change);
    let event = Arc::new(Event::Change(change));
    node.hooks.after(&event);
    deliver_change(node, event);
}

/// Tells a shared change to those who are connected here, wherever it was made.
pub(in crate::engine) fn deliver_change(node: &Arc<Node>, event: Arc<Event>) {
    let Event::Change(change) = &*event else { return };
    let id = change.conversation_id;
    let regroups = matches!(
        change.body,
        ChangeBody::MembersChanged { .. } | ChangeBody::ConversationCreated { .. }
    );
    let mut removes = false;
    if let ChangeBody::MembersChanged { removed, .. } = &change.body {
        removes = !removed.is_empty();
        for user in removed {
            node.typing.end(id, user);
            node.people.recheck_watches(node, user);
        }
    }
    if node.rooms.offer(event, &node.registry) == Offered::Gap {
        node.gaps.report(id);
    }
    if removes && node.rooms.connected(id).is_empty() {
        crate::engine::topics::part(node, None, vec![id]);
    } else if regroups {
        crate::engine::access::regrouped(node, id);
    }
}

/// Tells a private change to all devices of its user.
pub(in crate::engine) fn private(node: &Node, private: Private) {
    node.publisher.private(&private);
    deliver_private(node, private);
}

pub(in crate::engine) fn deliver_private(node: &Node, private: Private) {
    let connections = node.registry.of(&private.user_id);
    let mut delivery = Delivery::new(Event::Private(private));
    for connection in connections {
        connection.deliver(&mut delivery);
    }
}

/// Tells something ephemeral to the members of a conversation.
pub(in crate::engine) fn aside(node: &Node, id: ConversationId, aside: Aside) {
    node.publisher.aside(id, &aside);
    deliver_aside(node, id, aside);
}

/// An ephemeral event for everybody but its author.
pub(in crate::engine) fn from_user(event: Ephemeral, user: &UserId) -> Aside {
    Aside { event, except: Some(user.clone()), only: None }
}

pub(in crate::engine) fn deliver_aside(node: &Node, id: ConversationId, aside: Aside) {
    let Aside { event, except, only } = aside;
    let mut delivery = Delivery::new(Event::Ephemeral(event));
    node.rooms.tell(id, &mut delivery, |connection| {
        except.as_ref() != Some(&connection.user)
            && only.as_ref().is_none_or(|only| only.contains(&connection.user))
    });
}

/// What the other nodes said.
pub(in crate::engine) fn relay(node: &Arc<Node>, message: NodeMessage) {
    match message {
        NodeMessage::Change(change) => {
            if matches!(change.body, ChangeBody::MembersChanged { .. }) {
                node.publisher.forget(change.conversation_id);
            }
            deliver_change(node, Arc::new(Event::Change(change)));
        }
        NodeMessage::Private(private) => deliver_private(node, private),
        NodeMessage::Ephemeral(aside) => {
            if let Some(id) = aside.event.conversation_id() {
                deliver_aside(node, id, aside);
            }
        }
        NodeMessage::Presence(user) => node.people.look_at(user),
        NodeMessage::Recheck(id) => crate::engine::access::recheck_here(node, id),
        NodeMessage::Disconnect(user) => crate::engine::access::disconnect_here(node, &user),
    }
}
