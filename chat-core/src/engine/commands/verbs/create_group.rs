use std::{collections::BTreeMap, sync::Arc};

use super::{check_known, create, entry};
use crate::{
    Error, Invalid,
    command::Reply,
    engine::{
        gate::{self, Who},
        node::Node,
    },
    model::{ConversationId, ConversationPatch, NewGroup, Role, check_patch},
    store::NewConversation,
    traits::Action,
};

/// Makes a group; its creator becomes the owner. In a group of the host's the first member does.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    NewGroup { client_id, title, members, picture, metadata }: NewGroup,
) -> Result<Reply, Error> {
    let limits = &node.config.limits;
    let patch = ConversationPatch {
        title: Some(title.clone()),
        picture: picture.clone().map(Some),
        metadata: Some(metadata.clone()),
    };
    check_patch(&patch, limits)?;
    let owner = who.user().or(members.first()).cloned();
    let mut roles: BTreeMap<_, _> =
        members.iter().map(|member| (member.clone(), Role::Member)).collect();
    roles.extend(owner.map(|owner| (owner, Role::Owner)));
    if roles.len() > limits.group_members {
        let reason = format!("a group has at most {} members", limits.group_members);
        return Err(Invalid::new("members", reason).into());
    }
    check_known(node, "members", &members).await?;
    let admitted = gate::admit(node, who, Action::CreateGroup { members }).await?;
    let now = node.now();
    let id = match &client_id {
        Some(client_id) => ConversationId::from_client_id(admitted.user(), client_id),
        None => ConversationId::new(now),
    };
    let mut new = NewConversation::group(id, title, roles, now);
    new.picture = picture;
    new.metadata = metadata;
    new.created_by = admitted.into_user();
    let conversation = create::run(node, new).await?;
    entry(node, who, conversation.id).await
}
