// The model: what this device knows, and how frames of the server change it.
// No network and no page in here: `apply` takes a frame and says what else is needed.

import { countsAsUnread } from './select.js';

/** Messages kept of a conversation that is not open. */
export const KEPT = 300;
/** A typing sign that nobody takes back ends by itself, in milliseconds. */
const TYPING_FOR = 8000;

export function createState(userId) {
  return {
    userId,
    epoch: null,
    conversations: new Map(),
    presence: new Map(),
  };
}

/**
 * Applies one frame. The answer is a list of needs, each `{need, id?}`: `changes` (a gap),
 * `conversation` (unknown), `reload` (too much was missed), `pins`, `gone`, `list`, `resync`.
 */
export function apply(state, frame, now = Date.now()) {
  switch (frame.type) {
    case 'message.sent':
    case 'message.edited':
    case 'message.deleted':
    case 'message.pinned':
    case 'reaction.changed':
    case 'conversation.created':
    case 'conversation.updated':
    case 'members.changed':
      return applyChange(state, frame);
    case 'changes':
      return applyChanges(state, frame);
    case 'limited':
      return applyLimited(state, frame);
    case 'conversation.added':
      putEntry(state, frame.summary);
      return [];
    case 'conversation.removed':
      return drop(state, frame.conversation_id);
    case 'member.changed':
      return applyMember(state, frame);
    case 'receipt':
      return applyReceipt(state, frame);
    case 'typing':
      return applyTyping(state, frame, now);
    case 'presence':
      for (const user of frame.users) state.presence.set(user.user_id, user);
      return [];
    case 'list_limited':
      return [{ need: 'list' }];
    case 'resync':
      state.epoch = frame.epoch;
      state.conversations.clear();
      return [{ need: 'resync' }];
    case 'resumed':
      state.epoch = frame.epoch;
      return [];
    default:
      return []; // A newer server may say more than this page knows.
  }
}

/** What `resume` tells the server. */
export function knownRevs(state) {
  return [...state.conversations.values()].map((conversation) => ({
    conversation_id: conversation.id,
    rev: conversation.rev,
    member_rev: conversation.me.member_rev,
  }));
}

// ---- shared changes, in the order of their revs ----

function applyChange(state, frame) {
  const conversation = state.conversations.get(frame.conversation_id);
  if (!conversation) return hearOf(state, frame);
  if (frame.rev <= conversation.rev) return [];
  if (frame.rev > conversation.rev + 1) return [{ need: 'changes', id: conversation.id }];
  conversation.rev = frame.rev;
  switch (frame.type) {
    case 'message.sent':
      conversation.typing.delete(frame.message.sender_id);
      putMessage(state, conversation, frame.message);
      return [];
    case 'message.edited':
      replaceMessage(conversation, frame.message);
      return [];
    case 'message.deleted': {
      const pinned = find(conversation, frame.message.id)?.pinned_at;
      replaceMessage(conversation, frame.message);
      return pinned || conversation.pins?.some((pin) => pin.id === frame.message.id)
        ? [{ need: 'pins', id: conversation.id }]
        : [];
    }
    case 'message.pinned': {
      for (const message of held(conversation, frame.message_id)) {
        if (message.changed_rev >= frame.rev) continue;
        message.pinned_at = frame.pinned_at ?? undefined;
        message.changed_rev = frame.rev;
      }
      return [{ need: 'pins', id: conversation.id }];
    }
    case 'reaction.changed':
      for (const message of held(conversation, frame.message_id)) react(message, frame, state.userId);
      return [];
    case 'members.changed':
      if (frame.removed?.includes(state.userId)) return drop(state, conversation.id);
      putInfo(conversation, frame.conversation);
      for (const user of frame.removed ?? []) {
        conversation.members?.delete(user);
        conversation.cursors.delete(user);
        conversation.typing.delete(user);
      }
      for (const member of frame.added ?? []) conversation.members?.set(member.user_id, member);
      for (const { user_id, role } of frame.roles ?? []) {
        const member = conversation.members?.get(user_id);
        if (member) conversation.members.set(user_id, { ...member, role });
        if (user_id === state.userId) conversation.me = { ...conversation.me, role };
      }
      return [];
    default:
      putInfo(conversation, frame.conversation);
      return [];
  }
}

/** A change of a conversation that this device does not know. */
function hearOf(state, frame) {
  const joined = frame.type === 'conversation.created' ? frame.members : frame.added;
  const me = joined?.find((member) => member.user_id === state.userId);
  if (!me) {
    return frame.removed?.includes(state.userId) ? [] : [{ need: 'conversation', id: frame.conversation_id }];
  }
  const seq = frame.conversation.last_seq;
  const conversation = addConversation(state, {
    conversation: { ...frame.conversation, rev: frame.rev },
    me: {
      role: me.role, member_rev: 0, delivered_seq: seq, read_seq: seq, cleared_seq: 0,
      archived: false, private_receipts: false, unread: 0,
    },
  });
  for (const { user_id, role } of frame.roles ?? []) {
    if (user_id === state.userId) conversation.me.role = role;
  }
  if (frame.members) conversation.members = byUser(frame.members);
  // A group with a past has a last message that the event does not tell.
  return seq > 0 ? [{ need: 'conversation', id: conversation.id }] : [];
}

function applyChanges(state, changes) {
  const conversation = state.conversations.get(changes.conversation_id);
  if (!conversation) return [{ need: 'conversation', id: changes.conversation_id }];
  if (changes.since_rev > conversation.rev) return [{ need: 'changes', id: conversation.id }];
  // Read before what is here.
  if (changes.through_rev < conversation.rev) return [];
  for (const message of changes.messages) putMessage(state, conversation, message);
  for (const message of changes.revised ?? []) replaceMessage(conversation, message);
  if (changes.conversation) putInfo(conversation, changes.conversation);
  if (changes.members) {
    conversation.members = byUser(changes.members);
    const me = conversation.members.get(state.userId);
    if (me) conversation.me = { ...conversation.me, role: me.role };
  }
  if (!changes.next) conversation.rev = Math.max(conversation.rev, changes.through_rev);
  return changes.revised?.length || changes.messages.length
    ? [{ need: 'pins', id: conversation.id }]
    : [];
}

function applyLimited(state, frame) {
  const conversation = state.conversations.get(frame.conversation_id);
  if (!conversation) return [{ need: 'conversation', id: frame.conversation_id }];
  conversation.rev = frame.rev;
  conversation.info = { ...conversation.info, last_seq: frame.last_seq };
  conversation.messages = [];
  conversation.quotes.clear();
  conversation.members = null;
  conversation.hasMore = true;
  return [{ need: 'reload', id: conversation.id }];
}

function drop(state, id) {
  return state.conversations.delete(id) ? [{ need: 'gone', id }] : [];
}

// ---- one's own state, receipts, typing ----

function applyMember(state, frame) {
  if (frame.user_id !== state.userId) return [];
  const conversation = state.conversations.get(frame.conversation_id);
  if (!conversation) return [{ need: 'conversation', id: frame.conversation_id }];
  putMe(conversation, frame.state);
  return forget(conversation, frame.deleted ?? []);
}

/** Takes messages out that the user deleted for themself. */
export function forget(conversation, ids) {
  if (!ids.length) return [];
  const gone = new Set(ids);
  conversation.messages = conversation.messages.filter((message) => !gone.has(message.id));
  for (const id of ids) conversation.quotes.delete(id);
  if (!gone.has(conversation.lastMessage?.id)) return [];
  conversation.lastMessage = conversation.messages.at(-1) ?? null;
  return conversation.lastMessage ? [] : [{ need: 'conversation', id: conversation.id }];
}

/** Takes a newer state of one's own; an older one is dropped. */
export function putMe(conversation, me) {
  if (me.member_rev < conversation.me.member_rev) return;
  conversation.me = me;
  const cleared = me.cleared_seq;
  if (!cleared) return;
  const before = conversation.messages.length;
  conversation.messages = conversation.messages.filter((message) => message.seq > cleared);
  if (conversation.messages.length < before || cleared >= conversation.info.last_seq) {
    conversation.hasMore = false;
  }
  if (conversation.lastMessage && conversation.lastMessage.seq <= cleared) conversation.lastMessage = null;
}

function applyReceipt(state, frame) {
  const conversation = state.conversations.get(frame.conversation_id);
  if (conversation) putCursor(conversation, frame);
  return [];
}

export function putCursor(conversation, { user_id, delivered_seq, read_seq }) {
  const old = conversation.cursors.get(user_id) ?? { delivered_seq: 0, read_seq: 0 };
  conversation.cursors.set(user_id, {
    delivered_seq: Math.max(old.delivered_seq, delivered_seq, read_seq),
    read_seq: Math.max(old.read_seq, read_seq),
  });
}

function applyTyping(state, frame, now) {
  const conversation = state.conversations.get(frame.conversation_id);
  if (!conversation || frame.user_id === state.userId) return [];
  if (frame.on) conversation.typing.set(frame.user_id, now + TYPING_FOR);
  else conversation.typing.delete(frame.user_id);
  return [];
}

// ---- conversations and messages ----

/** Takes an entry of the list: a new conversation, or a newer look at a known one. */
export function putEntry(state, entry) {
  const known = state.conversations.get(entry.conversation.id);
  if (!known) return addConversation(state, entry);
  putInfo(known, entry.conversation);
  putMe(known, entry.me);
  const last = entry.last_message;
  if (last && last.seq >= (known.lastMessage?.seq ?? 0)) {
    known.lastMessage = last;
    // A message beyond the rev arrives again as an event; a window that is empty may start with it.
    if (!known.messages.length && last.rev <= known.rev) known.messages = [last];
  }
  return known;
}

function addConversation(state, { conversation: info, me, last_message: last }) {
  const conversation = {
    id: info.id,
    info,
    me,
    rev: info.rev,
    lastMessage: last ?? null,
    // The messages held reach without a gap from the first to the newest.
    messages: last ? [last] : [],
    hasMore: last ? last.seq > me.cleared_seq + 1 : info.last_seq > me.cleared_seq,
    members: null,
    cursors: new Map(),
    typing: new Map(),
    pins: null,
    quotes: new Map(),
  };
  state.conversations.set(info.id, conversation);
  return conversation;
}

function putInfo(conversation, info) {
  const old = conversation.info;
  if (info.changed_rev < old.changed_rev) return;
  conversation.info = {
    ...info,
    last_seq: Math.max(info.last_seq, old.last_seq),
    last_activity_at: later(info.last_activity_at, old.last_activity_at),
  };
}

function putMessage(state, conversation, message) {
  const { info } = conversation;
  if (message.seq > info.last_seq) {
    conversation.info = {
      ...info,
      last_seq: message.seq,
      last_activity_at: later(message.created_at, info.last_activity_at),
    };
    if (countsAsUnread(message, state.userId)) {
      conversation.me = { ...conversation.me, unread: conversation.me.unread + 1 };
    }
  }
  insert(conversation, message);
}

/** Puts a message in by its seq, unless it lies before the oldest one held. */
function insert(conversation, message, older = false) {
  if (message.seq <= conversation.me.cleared_seq) return;
  if (replaceMessage(conversation, message)) return;
  const { messages } = conversation;
  if (!older && messages.length && message.seq < messages[0].seq) return;
  let at = messages.length;
  while (at > 0 && messages[at - 1].seq > message.seq) at -= 1;
  messages.splice(at, 0, message);
  if (message.seq > (conversation.lastMessage?.seq ?? 0)) conversation.lastMessage = message;
}

/** Puts a newer look at a message where it is held; says whether it is. */
function replaceMessage(conversation, message) {
  const at = conversation.messages.findLastIndex((one) => one.id === message.id);
  if (at >= 0) conversation.messages[at] = newer(conversation.messages[at], message);
  if (conversation.quotes.has(message.id)) {
    conversation.quotes.set(message.id, newer(conversation.quotes.get(message.id), message));
  }
  if (conversation.lastMessage?.id === message.id) {
    conversation.lastMessage = at >= 0 ? conversation.messages[at] : newer(conversation.lastMessage, message);
  }
  return at >= 0;
}

function newer(old, message) {
  if (!old || message.changed_rev < old.changed_rev) return old ?? message;
  // Events do not say whether a reaction is one's own: keep what an answer said.
  for (const reaction of message.reactions ?? []) {
    reaction.mine ??= old.reactions?.find((one) => one.key === reaction.key)?.mine;
  }
  return message;
}

/** Takes a page of history that ends where the messages held begin, or the newest page. */
export function putHistory(conversation, page) {
  for (const message of page.messages) insert(conversation, message, true);
  conversation.hasMore = page.has_more;
}

/** Lets go of the oldest messages. */
export function trim(conversation, keep = KEPT) {
  if (conversation.messages.length <= keep) return;
  conversation.messages = conversation.messages.slice(-keep);
  conversation.hasMore = true;
}

function react(message, frame, userId) {
  if (message.changed_rev >= frame.rev) return;
  message.changed_rev = frame.rev;
  const reactions = message.reactions ?? (message.reactions = []);
  const at = reactions.findIndex((one) => one.key === frame.key);
  if (frame.count === 0) {
    if (at >= 0) reactions.splice(at, 1);
    return;
  }
  const old = at >= 0 ? reactions[at] : { key: frame.key, users: [] };
  const users = old.users.filter((user) => user !== frame.user_id);
  if (frame.on) users.push(frame.user_id);
  const mine = frame.user_id === userId ? frame.on : old.mine;
  const next = { ...old, users, count: frame.count, mine };
  if (at >= 0) reactions[at] = next;
  else reactions.push(next);
}

/** A message that is held, in the window or for a quote. */
export function find(conversation, id) {
  return conversation.messages.findLast((message) => message.id === id) ?? conversation.quotes.get(id) ?? null;
}

function held(conversation, id) {
  const found = new Set();
  for (const message of [
    conversation.messages.findLast((one) => one.id === id),
    conversation.quotes.get(id),
    conversation.lastMessage?.id === id ? conversation.lastMessage : null,
  ]) if (message) found.add(message);
  return found;
}

function byUser(members) {
  return new Map(members.map((member) => [member.user_id, member]));
}

function later(a, b) {
  return a > b ? a : b;
}
