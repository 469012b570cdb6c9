// Front ends of every contract and a native client, in one conversation on one server.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Server, TRANSPORTS, eventually, token } from './harness.mjs';
import { freshId } from './brand_influencer.mjs';
import { Native } from './native.mjs';

let server;
before(async () => {
  server = await Server.start('several_contracts', {}, 'Ctrl-C stops');
  // Others have talked before: the number of a message is not its place in the conversation.
  const cem = await server.connect('cem');
  for (const receiverId of ['dora', 'eve']) await cem.ask('send_message', { receiverId, content: 'earlier' });
  cem.close();
});
after(() => server.stop());

/**
 * The contracts. Each says how to find the conversation of `me` with `peer` (two ids of the engine's), to send into
 * it, and what is told of a message: to whom it is, with what is known of it.
 */
const CONTRACTS = {
  connections: {
    find: async (me, peer) => {
      const { body } = await server.at('connections').rest(me.user)('POST', '/chat/conversations', { participantId: peer.user });
      return { id: body.id };
    },
    send: (client, { id }, peer, content) => client.emit('sendMessage', { conversationId: id, content }),
    told: 'message',
    read: (it) => ({ id: it.id, senderId: it.senderId, text: it.content }),
    ids: (expected) => ({ id: expected.id, senderId: expected.user, text: expected.text }),
  },
  direct_messages: {
    find: async () => ({}),
    send: (client, _, peer, content) => client.emit('send_message', { receiverId: peer.user, content }),
    told: 'receive_message',
    read: (it) => ({ id: it.id, senderId: it.senderId, receiverId: it.receiverId, text: it.content }),
    ids: (expected) => ({ id: expected.number, senderId: expected.user, receiverId: expected.peer, text: expected.text }),
  },
  gateway: {
    namespace: '/chat',
    find: async (me, peer) => {
      const { body } = await server.at('gateway').rest(me.user)('POST', '/conversations', { participantIds: [me.user, peer.user] });
      return { number: body.id };
    },
    join: (client, { number }) => client.ask('join-conversation', { conversationId: number }),
    send: (client, { number }, peer, content) =>
      client.emit('send-message', { conversation_id: number, message_type: 'text', content }),
    told: 'receive-message',
    confirmed: 'message-sent',
    read: (it) => ({ id: it.id, place: it.conversation_id, senderId: it.sender_id, text: it.content }),
    ids: (expected, { number }) => ({ id: expected.number, place: number, senderId: expected.user, text: expected.text }),
  },
  brand_influencer: {
    namespace: '/chat',
    claims: ({ userType }) => ({ userType }),
    sub: ({ userId }) => userId,
    find: async (me, peer) => {
      const rest = server.at('brand_influencer').rest(me.userId, { userType: me.userType });
      const { body } = await rest('POST', '/api/chat/conversations', { participantId: peer.userId, participantType: peer.userType });
      return { number: body.id };
    },
    join: (client, { number }) => client.ask('conversation:join', { conversationId: number }),
    send: (client, { number }, peer, content) =>
      client.emit('message:send', { conversationId: number, content, messageType: 'text', tempId: content }),
    told: 'message:new',
    confirmed: 'message:sent',
    notToItsSender: true,
    read: (it) => {
      const message = it.message ?? it;
      return { id: message.id, place: message.conversationId, senderId: message.sender.id, type: message.senderType, text: message.content };
    },
    ids: (expected, { number }) => {
      const [type, id] = expected.user.split(':');
      return { id: expected.number, place: number, senderId: Number(id), type, text: expected.text };
    },
  },
  tutor_bookings: {
    find: async (me, peer) => ({ name: [me.user, peer.user].sort().join('_') }),
    send: (client, { name }, peer, message) => client.emit('send-message', { conversationId: name, receiverId: peer.user, message }),
    told: 'new-message',
    confirmed: 'message-sent',
    notToItsSender: true,
    read: (it) => ({ id: it.id, place: it.conversationId, senderId: it.senderId, text: it.message }),
    ids: (expected, { name }) => ({ id: expected.id, place: name, senderId: expected.user, text: expected.text }),
  },
  native: {
    find: async (me, peer) => {
      const { body } = await server.rest(me.user)('POST', '/chat/conversations/direct', { user_id: peer.user });
      return { id: body.conversation.id, number: body.conversation.number };
    },
    send: (client, { id }, peer, body) => client.emit('send', { conversation_id: id, client_id: randomUUID(), body }),
    told: 'message.sent',
    read: ({ message: it }) => ({ id: it.id, number: it.number, place: it.conversation_id, senderId: it.sender_id, text: it.body }),
    ids: (expected, { id }) => ({ id: expected.id, number: expected.number, place: id, senderId: expected.user, text: expected.text }),
  },
};
const NAMES = Object.keys(CONTRACTS);

/** A brand and an influencer, as the engine and as their own contract call them. */
function people() {
  return ['brand', 'influencer'].map((userType) => {
    const userId = freshId();
    return { userId, userType, user: `${userType}:${userId}` };
  });
}

/** One conversation, found by each contract, and a client of each for both. */
async function meet(transports) {
  const [ann, bob] = people();
  const found = await Promise.all(NAMES.flatMap((name) => [CONTRACTS[name].find(ann, bob), CONTRACTS[name].find(bob, ann)]));
  const place = Object.assign({}, ...found);
  for (const part of found) assert.deepEqual({ ...place, ...part }, place, 'every contract finds the same one');
  const client = async (name, me) => {
    const { namespace, claims = () => ({}), sub = ({ user }) => user } = CONTRACTS[name];
    return name === 'native'
      ? Native.connect(`${server.url}/chat`, token(me.user))
      : server.at(name).connect(sub(me), { namespace, claims: claims(me), transports });
  };
  const pairs = [[ann, bob], [bob, ann]];
  const all = await Promise.all(NAMES.flatMap((name) => pairs.map(async ([me, peer]) => {
    const made = { name, contract: CONTRACTS[name], me, peer, client: await client(name, me) };
    await made.contract.join?.(made.client, place);
    return made;
  })));
  const of = (name, me) => all.find((it) => it.name === name && it.me === me).client;
  return { ann, bob, place, all, of };
}

/** What is stored, as the native REST API tells it. */
async function stored({ ann, bob, place }) {
  const { body } = await server.rest(ann.user)('GET', `/chat/conversations/${place.id}/messages?limit=100`);
  return body.messages.map(({ id, number, seq, sender_id, body: text }) =>
    ({ id, number, seq, user: sender_id, peer: sender_id === ann.user ? bob.user : ann.user, text }));
}

for (const transport of TRANSPORTS) {
  describe(`several contracts over ${transport}`, () => {
    const transports = [transport];

    test('each sends, and every one sees each message once, in one order, with the ids of its contract', async () => {
      const met = await meet(transports);
      const EACH = 5;
      const own = (it, at) => `${at} from ${it.name} of ${it.me.user}`;
      for (let at = 0; at < EACH; at += 1) {
        for (const it of met.all) it.contract.send(it.client, met.place, it.peer, own(it, at));
      }
      const count = met.all.length * EACH;
      await Promise.all(met.all.map(async (it) => {
        const { contract, client } = it;
        const its = new Set(Array.from({ length: EACH }, (_, at) => own(it, at)));
        const told = await client.take(contract.told, contract.notToItsSender ? count - EACH : count);
        // Not before it has heard of all: a client that is not told of its own is told that they were sent.
        const confirmed = contract.confirmed && await client.take(contract.confirmed, EACH);
        const expected = await stored(met);
        assert.deepEqual(expected.map(({ seq }) => seq), Array.from({ length: count }, (_, at) => at + 1));
        const visible = expected.filter(({ text }) => !contract.notToItsSender || !its.has(text));
        assert.deepEqual(told.map(contract.read), visible.map((message) => contract.ids(message, met.place)), `${it.name}: all, in order`);
        const mine = expected.filter(({ text }) => its.has(text));
        assert.deepEqual(mine.map(({ text }) => text), [...its], 'in the order in which they were sent');
        if (confirmed) assert.deepEqual(confirmed.map(contract.read), mine.map((message) => contract.ids(message, met.place)));
      }));
      // Whatever else was on its way comes before the answer to what is asked now.
      const { messageId } = await met.of('direct_messages', met.ann).ask('send_message', { receiverId: met.bob.user, content: 'last' });
      assert.equal((await stored(met)).at(-1).number, messageId);
      for (const { name, contract, client } of met.all) {
        assert.equal(contract.read(await client.hear(contract.told)).text, 'last', name);
        for (const event of ['error', 'message:error', 'message-error', 'disconnect', contract.told]) {
          assert.deepEqual(client.all(event), [], `${name}: ${event}`);
        }
        client.close();
      }
    });

    test('typing, read marks, edits and going away are told to each in its own words', async () => {
      const { ann, bob, place, all, of } = await meet(transports);
      of('connections', ann).emit('typing', { conversationId: place.id, isTyping: true });
      assert.deepEqual(await of('connections', bob).hear('typing'), { conversationId: place.id, userId: ann.user, isTyping: true });
      assert.deepEqual(await of('gateway', bob).hear('user-typing'), { conversationId: place.number, userId: ann.user, isTyping: true });
      const { userId, userType } = ann;
      assert.deepEqual(await of('brand_influencer', bob).hear('typing:start'), { conversationId: place.number, user: { userId, userType } });
      assert.equal((await of('native', bob).hear('typing')).user_id, ann.user);

      const { message_id, number, seq } = await of('native', ann).ask('send', { conversation_id: place.id, client_id: 'one', body: 'helo' });
      await of('brand_influencer', bob).hear('message:new', ({ id }) => id === number);
      of('brand_influencer', bob).emit('message:read', { conversationId: place.number, messageId: number });
      assert.deepEqual(await of('connections', ann).hear('messageRead'), { messageId: message_id });
      assert.equal((await of('native', ann).hear('receipt', (it) => it.read_seq > 0)).read_seq, seq);
      assert.equal((await of('brand_influencer', ann).hear('message:read')).messageId, number);

      await of('native', ann).ask('edit', { conversation_id: place.id, message_id, body: 'hello' });
      const updated = await of('gateway', bob).hear('message-updated');
      assert.deepEqual([updated.id, updated.content], [number, 'hello']);

      for (const it of all.filter((it) => it.me === ann)) it.client.close();
      assert.deepEqual(await of('connections', bob).hear('userOffline'), { userId: ann.user });
      assert.deepEqual(await of('gateway', bob).hear('user:offline'), { userId: ann.user });
      assert.deepEqual(await of('tutor_bookings', bob).hear('user-offline'), { userId: ann.user });
      assert.deepEqual(await of('brand_influencer', bob).hear('user:offline'), { userId, userType });
      assert.equal((await of('native', bob).hear('presence', ({ users }) => users[0].status === 'offline')).users[0].user_id, ann.user);
    });
  });
}

test('SIGTERM ends all listeners', async () => {
  const own = await Server.start('several_contracts', {}, 'Ctrl-C stops');
  try {
    const clients = await Promise.all(['direct_messages', 'connections', 'tutor_bookings'].map((name) => own.at(name).connect('ann')));
    await own.down();
    assert.equal(own.child.exitCode, 0);
    for (const client of clients) await client.hear('disconnect');
    await eventually(() => fetch(own.url).then(() => 'answers', () => 'gone'), 'gone');
  } finally {
    await own.stop();
  }
});
