// Questions to the model.

export function countsAsUnread(message, userId) {
  return message.kind !== 'system' && !message.deleted_at && message.sender_id !== userId;
}

/** The seq after which messages are unread. */
export function unreadAfter(me) {
  const marked = me.unread_from == null ? me.read_seq : Math.min(me.read_seq, me.unread_from - 1);
  return Math.max(marked, me.cleared_seq);
}

/** How many messages are unread: counted where all of them are held, else what the server said. */
export function unreadOf(conversation, userId) {
  const after = unreadAfter(conversation.me);
  if (after >= conversation.info.last_seq) return 0;
  const oldest = conversation.messages[0]?.seq ?? Infinity;
  if (conversation.hasMore && oldest > after + 1) return conversation.me.unread;
  return conversation.messages.filter((one) => one.seq > after && countsAsUnread(one, userId)).length;
}

export function isHidden({ me, info }) {
  return me.hidden_seq != null && me.hidden_seq >= info.last_seq;
}

export function isMuted({ me }, now = Date.now()) {
  return me.muted_until != null && Date.parse(me.muted_until) > now;
}

/** The list, latest activity first. */
export function conversationList(state, archived = false) {
  return [...state.conversations.values()]
    .filter((one) => !isHidden(one) && one.me.archived === archived)
    .sort((a, b) => {
      if (a.info.last_activity_at !== b.info.last_activity_at) {
        return a.info.last_activity_at < b.info.last_activity_at ? 1 : -1;
      }
      return b.info.number - a.info.number;
    });
}

/** The other one of a direct conversation; oneself in a conversation with oneself; null in a group. */
export function peerOf(conversation, userId) {
  const users = conversation.info.direct?.users;
  if (!users) return null;
  return users[0] === userId ? users[1] : users[0];
}

/** `sent`, `delivered` or `read`: as far as at least one other member has come. */
export function progress(conversation, seq, userId) {
  let best = 'sent';
  for (const [user, cursor] of conversation.cursors) {
    if (user === userId) continue;
    if (cursor.read_seq >= seq) return 'read';
    if (cursor.delivered_seq >= seq) best = 'delivered';
  }
  return best;
}

/** Who read a message, for those who want to know. */
export function readers(conversation, seq, userId) {
  return [...conversation.cursors]
    .filter(([user, cursor]) => user !== userId && cursor.read_seq >= seq)
    .map(([user]) => user);
}
