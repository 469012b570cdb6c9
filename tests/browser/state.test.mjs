// "Keeping in step": how the page applies what the server says. No browser, no server.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as select from '../../examples/page/select.js';
import * as state from '../../examples/page/state.js';

const model = { ...state, ...select };

const ME = 'ann';
const at = (minute) => `2026-03-01T10:${String(minute).padStart(2, '0')}:00.000Z`;

function info(extra = {}) {
  return {
    id: 'c', number: 1, kind: 'group', title: 'Team', created_at: at(0), last_activity_at: at(0),
    member_count: 2, last_seq: 0, rev: 1, changed_rev: 1, ...extra,
  };
}

function me(extra = {}) {
  return {
    role: 'member', member_rev: 0, delivered_seq: 0, read_seq: 0, cleared_seq: 0,
    archived: false, private_receipts: false, unread: 0, ...extra,
  };
}

function message(seq, extra = {}) {
  return {
    id: `m${seq}`, number: seq, conversation_id: 'c', seq, rev: seq + 1, changed_rev: seq + 1,
    sender_id: 'ben', kind: 'text', body: `text ${seq}`, created_at: at(seq), ...extra,
  };
}

const sent = (seq, extra = {}) => ({
  type: 'message.sent', conversation_id: 'c', rev: seq + 1, message: message(seq, extra),
});

/** A state that knows one conversation with messages 1 to `count`, all live. */
function stateWith(count = 0) {
  const state = model.createState(ME);
  model.apply(state, { type: 'conversation.added', summary: { conversation: info(), me: me() } });
  for (let seq = 1; seq <= count; seq += 1) model.apply(state, sent(seq));
  return { state, conversation: state.conversations.get('c') };
}

const bodies = (conversation) => conversation.messages.map((one) => one.body);

test('the next rev is applied, one that is known is dropped, one beyond is a gap', () => {
  const { state, conversation } = stateWith(1);
  assert.deepEqual(model.apply(state, sent(1, { body: 'again' })), []);
  assert.deepEqual(bodies(conversation), ['text 1']);
  assert.deepEqual(model.apply(state, sent(3)), [{ need: 'changes', id: 'c' }]);
  assert.equal(conversation.rev, 2);
  assert.deepEqual(bodies(conversation), ['text 1']);
});

test('changes fill a gap: new messages by seq, revised ones in place, and then live events go on', () => {
  const { state, conversation } = stateWith(2);
  model.apply(state, {
    type: 'changes', conversation_id: 'c', since_rev: 3, through_rev: 7,
    messages: [message(3, { rev: 4 }), message(4, { rev: 6, changed_rev: 6 })],
    revised: [message(1, { body: 'edited', changed_rev: 7 }), message(2, { body: '', deleted_at: at(9), changed_rev: 5 })],
  });
  assert.equal(conversation.rev, 7);
  assert.deepEqual(bodies(conversation), ['edited', '', 'text 3', 'text 4']);
  assert.deepEqual(model.apply(state, { ...sent(5, { rev: 8, changed_rev: 8 }), rev: 8 }), []);
  assert.equal(conversation.messages.length, 5);
});

test('changes that were read before what is here are dropped', () => {
  const { state, conversation } = stateWith(3);
  const old = {
    type: 'changes', conversation_id: 'c', since_rev: 1, through_rev: 3,
    messages: [], revised: [message(1, { body: 'before', changed_rev: 3 })],
  };
  assert.deepEqual(model.apply(state, old), []);
  assert.equal(conversation.rev, 4);
  assert.deepEqual(bodies(conversation), ['text 1', 'text 2', 'text 3']);
});

test('the rev moves only with the last page of changes', () => {
  const { state, conversation } = stateWith(1);
  const page = { type: 'changes', conversation_id: 'c', since_rev: 2, through_rev: 4 };
  model.apply(state, { ...page, messages: [message(2)], next: 'more' });
  assert.equal(conversation.rev, 2);
  model.apply(state, { ...page, messages: [message(3)] });
  assert.equal(conversation.rev, 4);
  assert.deepEqual(bodies(conversation), ['text 1', 'text 2', 'text 3']);
});

test('changes from beyond the rev that is known are asked for anew', () => {
  const { state, conversation } = stateWith(1);
  const frame = { type: 'changes', conversation_id: 'c', since_rev: 5, through_rev: 9, messages: [message(8)] };
  assert.deepEqual(model.apply(state, frame), [{ need: 'changes', id: 'c' }]);
  assert.equal(conversation.messages.length, 1);
});

test('what changes say of messages before the oldest one held is dropped', () => {
  const state = model.createState(ME);
  model.apply(state, { type: 'conversation.added', summary: {
    conversation: info({ last_seq: 9, rev: 10 }), me: me(), last_message: message(9) } });
  const conversation = state.conversations.get('c');
  model.apply(state, { type: 'changes', conversation_id: 'c', since_rev: 10, through_rev: 11, messages: [],
    revised: [message(2, { body: 'old', changed_rev: 11 })] });
  assert.deepEqual(bodies(conversation), ['text 9']);
  assert.equal(conversation.rev, 11);
});

test('an older look at a message never replaces a newer one', () => {
  const { state, conversation } = stateWith(1);
  // History was read after the edit, and the event comes later.
  model.putHistory(conversation, { messages: [message(1, { body: 'newest', changed_rev: 4 })], has_more: false });
  model.apply(state, { type: 'message.edited', conversation_id: 'c', rev: 3, message: message(1, { body: 'middle', changed_rev: 3 }) });
  assert.deepEqual(bodies(conversation), ['newest']);
  assert.equal(conversation.rev, 3);
});

test('an edit, a deletion or a reaction of a message that is not held is dropped and takes its rev', () => {
  const { state, conversation } = stateWith(0);
  conversation.info.last_seq = 5;
  model.apply(state, { type: 'message.edited', conversation_id: 'c', rev: 2, message: message(3, { changed_rev: 2 }) });
  model.apply(state, { type: 'reaction.changed', conversation_id: 'c', rev: 3, message_id: 'm3', seq: 3, user_id: 'ben', key: '👍', on: true, count: 1 });
  assert.equal(conversation.rev, 3);
  assert.equal(conversation.messages.length, 0);
});

test('reactions follow the deltas and know which are mine', () => {
  const { state, conversation } = stateWith(1);
  const react = (rev, user_id, on, count) => model.apply(state, {
    type: 'reaction.changed', conversation_id: 'c', rev, message_id: 'm1', seq: 1, user_id, key: '👍', on, count });
  react(3, 'ben', true, 1);
  react(4, ME, true, 2);
  assert.deepEqual(conversation.messages[0].reactions, [{ key: '👍', users: ['ben', ME], count: 2, mine: true }]);
  react(5, ME, false, 1);
  assert.equal(conversation.messages[0].reactions[0].mine, false);
  // An edit does not say whose reaction it is: what is known stays.
  model.apply(state, { type: 'message.edited', conversation_id: 'c', rev: 6,
    message: message(1, { changed_rev: 6, reactions: [{ key: '👍', users: ['ben'], count: 1 }] }) });
  assert.equal(conversation.messages[0].reactions[0].mine, false);
  react(7, 'ben', false, 0);
  assert.deepEqual(conversation.messages[0].reactions, []);
});

test('limited forgets the messages and asks for a reload from the new rev', () => {
  const { state, conversation } = stateWith(3);
  const needs = model.apply(state, { type: 'limited', conversation_id: 'c', since_rev: 4, rev: 90, last_seq: 50 });
  assert.deepEqual(needs, [{ need: 'reload', id: 'c' }]);
  assert.equal(conversation.rev, 90);
  assert.equal(conversation.messages.length, 0);
  assert.ok(conversation.hasMore);
  model.putHistory(conversation, { messages: [message(49), message(50)], has_more: true });
  assert.deepEqual(bodies(conversation), ['text 49', 'text 50']);
});

test('a conversation that is first heard of by its creation or by being added starts there, with nothing unread', () => {
  const state = model.createState(ME);
  model.apply(state, { type: 'members.changed', conversation_id: 'c', rev: 7, by: 'ben',
    conversation: info({ rev: 7, changed_rev: 7, last_seq: 4 }), added: [{ user_id: ME, role: 'member', joined_at: at(1) }] });
  const conversation = state.conversations.get('c');
  assert.equal(conversation.rev, 7);
  assert.equal(model.unreadOf(conversation, ME), 0);
  model.apply(state, { ...sent(5), rev: 8 });
  assert.equal(model.unreadOf(conversation, ME), 1);
});

test('an event of a conversation that is not known asks for its entry', () => {
  const state = model.createState(ME);
  assert.deepEqual(model.apply(state, sent(4)), [{ need: 'conversation', id: 'c' }]);
});

test('being removed drops the conversation, and a removal that comes late does nothing', () => {
  const { state } = stateWith(1);
  const removal = { type: 'members.changed', conversation_id: 'c', rev: 3, conversation: info({ changed_rev: 3 }), removed: [ME] };
  assert.deepEqual(model.apply(state, removal), [{ need: 'gone', id: 'c' }]);
  assert.equal(state.conversations.size, 0);
  assert.deepEqual(model.apply(state, removal), []);
});

test('members and roles follow the deltas', () => {
  const { state, conversation } = stateWith(0);
  conversation.members = new Map([[ME, { user_id: ME, role: 'owner' }], ['ben', { user_id: 'ben', role: 'member' }]]);
  model.apply(state, { type: 'members.changed', conversation_id: 'c', rev: 2, conversation: info({ changed_rev: 2, member_count: 2 }),
    added: [{ user_id: 'cleo', role: 'member' }], removed: ['ben'], roles: [{ user_id: ME, role: 'admin' }] });
  assert.deepEqual([...conversation.members.keys()], [ME, 'cleo']);
  assert.equal(conversation.me.role, 'admin');
});

test('one\'s own state goes by member_rev, not by order of arrival', () => {
  const { state, conversation } = stateWith(3);
  const changed = (member_rev, extra) => model.apply(state, {
    type: 'member.changed', conversation_id: 'c', user_id: ME, state: me({ member_rev, ...extra }) });
  changed(2, { read_seq: 3 });
  changed(1, { read_seq: 1, archived: true });
  assert.equal(conversation.me.read_seq, 3);
  assert.equal(conversation.me.archived, false);
});

test('clearing takes the messages up to its seq, and deleting for oneself takes one', () => {
  const { state, conversation } = stateWith(4);
  model.apply(state, { type: 'member.changed', conversation_id: 'c', user_id: ME, state: me({ member_rev: 1, cleared_seq: 2 }) });
  assert.deepEqual(bodies(conversation), ['text 3', 'text 4']);
  model.apply(state, { type: 'member.changed', conversation_id: 'c', user_id: ME, state: me({ member_rev: 2, cleared_seq: 2 }), deleted: ['m4'] });
  assert.deepEqual(bodies(conversation), ['text 3']);
  assert.equal(conversation.lastMessage.seq, 3);
});

test('unread is counted from the cursor where the messages are held, and believed elsewhere', () => {
  const { conversation } = stateWith(4);
  conversation.messages[1].sender_id = ME;
  conversation.messages[3].deleted_at = at(9);
  assert.equal(model.unreadOf(conversation, ME), 2); // 1 and 3
  conversation.me = me({ read_seq: 1 });
  assert.equal(model.unreadOf(conversation, ME), 1);
  conversation.me = me({ read_seq: 4, unread_from: 3 });
  assert.equal(model.unreadOf(conversation, ME), 1);
  conversation.me = me({ unread: 40 });
  model.trim(conversation, 2);
  assert.equal(model.unreadOf(conversation, ME), 40);
});

test('receipts only go forward, and a message is read when one other member has read it', () => {
  const { state, conversation } = stateWith(2);
  const receipt = (user_id, delivered_seq, read_seq) =>
    model.apply(state, { type: 'receipt', conversation_id: 'c', user_id, delivered_seq, read_seq });
  receipt(ME, 2, 2);
  assert.equal(model.progress(conversation, 2, ME), 'sent');
  receipt('ben', 2, 0);
  assert.equal(model.progress(conversation, 2, ME), 'delivered');
  receipt('ben', 2, 2);
  receipt('ben', 1, 1);
  assert.equal(model.progress(conversation, 2, ME), 'read');
  assert.deepEqual(model.readers(conversation, 2, ME), ['ben']);
});

test('resync drops everything', () => {
  const { state } = stateWith(2);
  assert.deepEqual(model.apply(state, { type: 'resync', epoch: 'e2' }), [{ need: 'resync' }]);
  assert.equal(state.epoch, 'e2');
  assert.deepEqual(model.knownRevs(state), []);
});

test('a hidden conversation comes back with a new message', () => {
  const { state, conversation } = stateWith(2);
  model.apply(state, { type: 'member.changed', conversation_id: 'c', user_id: ME, state: me({ member_rev: 1, hidden_seq: 2, cleared_seq: 2 }) });
  assert.deepEqual(model.conversationList(state), []);
  model.apply(state, sent(3));
  assert.deepEqual(model.conversationList(state), [conversation]);
});

test('an unknown frame of a newer server is ignored', () => {
  const { state } = stateWith(1);
  assert.deepEqual(model.apply(state, { type: 'poll.opened', conversation_id: 'c', rev: 9 }), []);
});
