// What a conversation shows from top to bottom: days, the line before what is new, messages in groups.

/** Messages of one sender within this time form a group. */
const GROUP_WITHIN = 5 * 60 * 1000;

/**
 * `messages` as stored and `pending` as in the outbox become rows:
 * `{type: 'day', key, date}`, `{type: 'new', key}`, `{type: 'message', key, message, item?, mine, first, last}`.
 * `newAfter` is the seq after which others' messages are new, or null.
 */
export function buildRows({ messages, pending, userId, newAfter = null }) {
  const rows = [];
  let day = null;
  let previous = null;
  let marked = newAfter == null;
  const all = messages.map((message) => ({ message }));
  for (const item of pending) all.push({ message: asMessage(item, userId), item });

  for (const { message, item } of all) {
    const mine = message.sender_id === userId;
    const date = dayOf(message.created_at);
    if (date !== day) {
      rows.push({ type: 'day', key: `day ${date}`, date: message.created_at });
      day = date;
      previous = null;
    }
    if (!marked && message.seq > newAfter && !mine) {
      rows.push({ type: 'new', key: 'new' });
      marked = true;
      previous = null;
    }
    const first = !previous || !together(previous.message, message);
    if (previous && !first) previous.last = false;
    previous = {
      type: 'message',
      // One's own message keeps its key when it turns from waiting to sent.
      key: mine && message.client_id ? message.client_id : message.id,
      message,
      item,
      mine,
      first,
      last: true,
    };
    rows.push(previous);
  }
  return rows;
}

function together(a, b) {
  return (
    a.sender_id === b.sender_id &&
    a.kind !== 'system' && b.kind !== 'system' &&
    Date.parse(b.created_at) - Date.parse(a.created_at) < GROUP_WITHIN
  );
}

function asMessage({ message, created_at, seq }, userId) {
  return {
    id: message.client_id,
    seq: seq ?? Infinity,
    sender_id: userId,
    kind: 'text',
    body: '',
    ...message,
    created_at,
  };
}

function dayOf(time) {
  const date = new Date(time);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}
