// The contract `tutor_bookings`: every event and route, over WebSocket and polling.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Server, TRANSPORTS, WRONG_TEXTS, deep, eventually } from './harness.mjs';
import { notConnected, tokensEnd } from './expiry.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MESSAGE = ['conversationId', 'id', 'message', 'read', 'senderId', 'timestamp'];
const STORED = ['conversationId', 'createdAt', 'id', 'message', 'read', 'receiverId', 'senderId'];
const CONNECTED = ['queuedMessages', 'socketId', 'timestamp', 'unreadCount', 'userId'];

/** People with a booking, each taken by one test. */
const booked = Array.from({ length: 80 }, () => [`ann-${randomUUID()}`, `bob_${randomUUID()}`]);
/** Two pairs whose joined ids look alike, and somebody whose own conversations do. */
const ALIKE = ['a_b:c', 'a:b_c', 'x_y_x:y_x', 'x_y_x:x_y'];

let server;
before(async () => {
  const pairs = booked.map((pair) => pair.join(':')).concat(ALIKE);
  server = await Server.start('tutor_bookings', { BOOKINGS: pairs.join(',') });
});
after(() => server.stop());

const named = (one, other) => [one, other].sort().join('_');

/** Two users with a booking of their own. */
function pair() {
  const [ann, bob] = booked.pop();
  return { ann, bob, conversationId: named(ann, bob) };
}

/** Sends and gives back what the sender is told. */
async function send(client, receiverId, conversationId, message) {
  client.emit('send-message', { conversationId, receiverId, message });
  return client.hear('message-sent', (sent) => sent.message === message);
}

const texts = (messages) => messages.map((message) => message.message);

/** What a server over its own database says to a user's next connection. */
async function greeted(own, user, options = {}) {
  const client = await own.connect(user, options);
  return { client, greeting: await client.hear('connected') };
}

for (const transport of TRANSPORTS) {
  describe(`tutor_bookings over ${transport}`, () => {
    const transports = [transport];
    const connect = async (user) => (await greeted(server, user, { transports })).client;

    test('connected says who, which socket, when, what waited and how much is unread', async () => {
      const { ann } = pair();
      const began = Date.now();
      const { client, greeting } = await greeted(server, ann, { transports });
      assert.deepEqual(Object.keys(greeting).sort(), CONNECTED);
      assert.equal(greeting.userId, ann);
      assert.equal(greeting.socketId, client.socket.id);
      assert.ok(Math.abs(new Date(greeting.timestamp) - began) < 60_000);
      assert.deepEqual([greeting.queuedMessages, greeting.unreadCount], [[], 0]);
    });

    test('message-sent confirms to the socket that sent, new-message goes to the receiver, joined or not', async () => {
      const { ann, bob, conversationId } = pair();
      const [a, a2, b, b2] = await Promise.all([connect(ann), connect(ann), connect(bob), connect(bob)]);
      assert.deepEqual(await b2.ask('join-conversation', conversationId), { conversationId });
      const sent = await send(a, bob, conversationId, 'Hello!');
      assert.deepEqual(Object.keys(sent).sort(), MESSAGE);
      assert.match(sent.id, UUID);
      assert.equal(sent.conversationId, conversationId);
      assert.equal(sent.senderId, ann);
      assert.equal(sent.message, 'Hello!');
      assert.equal(sent.read, false);
      assert.ok(Math.abs(new Date(sent.timestamp) - Date.now()) < 60_000);
      for (const client of [b, b2, a2]) assert.deepEqual(await client.hear('new-message'), sent);
      await send(a, bob, conversationId, 'again');
      assert.deepEqual(a.all('new-message'), [], 'who sent is confirmed otherwise');
      assert.deepEqual([...a2.all('message-sent'), ...b.all('message-sent')], []);
    });

    test('the acknowledgement, where a client asks for one, is the message', async () => {
      const { ann, bob, conversationId } = pair();
      const a = await connect(ann);
      const ack = await a.ask('send-message', { conversationId, receiverId: bob, message: 'hi' });
      assert.deepEqual(ack, await a.hear('message-sent'));
    });

    test('messages arrive once each and in the order in which they were sent', async () => {
      const { ann, bob, conversationId } = pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      const said = Array.from({ length: 100 }, (_, at) => `message ${at}`);
      for (const message of said) a.emit('send-message', { conversationId, receiverId: bob, message });
      assert.deepEqual(texts(await b.take('new-message', said.length)), said);
      assert.deepEqual(texts(await a.take('message-sent', said.length)), said);
      assert.deepEqual([...b.all('new-message'), ...a.all('error')], []);
    });

    test('a socket that left a conversation hears nothing of it; joined again it hears what it missed', async () => {
      const { ann, bob, conversationId } = pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      assert.deepEqual(await b.ask('leave-conversation', conversationId), { conversationId });
      for (const message of ['one', 'two', 'three']) await send(a, bob, conversationId, message);
      // Whatever was on its way comes before the answer to what is asked now.
      await b.ask('leave-conversation', conversationId);
      assert.deepEqual(b.all('new-message'), []);
      assert.deepEqual(await b.ask('join-conversation', conversationId), { conversationId });
      await send(a, bob, conversationId, 'four');
      assert.deepEqual(texts(await b.take('new-message', 4)), ['one', 'two', 'three', 'four']);
      await b.ask('join-conversation', conversationId);
      assert.deepEqual(b.all('new-message'), []);
    });

    test('queuedMessages are those not yet delivered, oldest first over all conversations, once over all devices', async () => {
      const { ann, bob, conversationId } = pair();
      const a = await connect(ann);
      const sent = [];
      for (const message of ['one', 'two', 'three']) sent.push(await send(a, bob, conversationId, message));
      const devices = await Promise.all(Array.from({ length: 4 }, () => greeted(server, bob, { transports })));
      const got = devices.map(({ greeting }) => greeting.queuedMessages);
      assert.deepEqual(got.filter((queue) => queue.length > 0), [sent], 'all of them, to one device');
      assert.ok(devices.every(({ greeting }) => greeting.unreadCount === 3), 'unread on each');
      for (const { client } of devices) assert.deepEqual(client.all('new-message'), []);
      assert.deepEqual((await greeted(server, bob, { transports })).greeting.queuedMessages, []);
      assert.deepEqual((await greeted(server, ann, { transports })).greeting.queuedMessages, [], 'not what one sent');
    });

    test('what was heard live does not wait again, what came after one went does', async () => {
      const { ann, bob, conversationId } = pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      await send(a, bob, conversationId, 'heard');
      await b.hear('new-message');
      b.close();
      await a.hear('user-offline');
      const missed = await send(a, bob, conversationId, 'missed');
      const { client, greeting } = await greeted(server, bob, { transports });
      assert.deepEqual(greeting.queuedMessages, [missed]);
      await send(a, bob, conversationId, 'live');
      assert.equal((await client.hear('new-message')).message, 'live');
    });

    test('while messages come in, each is queued or told live, and none twice', async () => {
      const { ann, bob, conversationId } = pair();
      const a = await connect(ann);
      const said = Array.from({ length: 150 }, (_, at) => `${at}`);
      for (const message of said) a.emit('send-message', { conversationId, receiverId: bob, message });
      await a.hear('message-sent');
      const { client, greeting } = await greeted(server, bob, { transports });
      const queued = texts(greeting.queuedMessages);
      const live = texts(await client.take('new-message', said.length - queued.length));
      assert.deepEqual([...queued, ...live], said);
      await a.take('message-sent', said.length - 1);
      assert.deepEqual(client.all('new-message'), []);
    });

    test('user-online and user-offline go to those who share a conversation, and to nobody else', async () => {
      const { ann, bob } = pair();
      const [a, other] = await Promise.all([connect(ann), connect(pair().ann)]);
      const b = await connect(bob);
      assert.deepEqual(await a.hear('user-online'), { userId: bob });
      assert.deepEqual(await b.hear('user-online'), { userId: ann });
      b.close();
      assert.deepEqual(await a.hear('user-offline'), { userId: bob });
      assert.deepEqual([...a.all('user-online'), ...other.all('user-online'), ...other.all('user-offline')], []);
    });

    test('without a confirmed booking: error, and nothing is stored', async () => {
      const [{ ann }, { bob }] = [pair(), pair()];
      const conversationId = named(ann, bob);
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      a.emit('send-message', { conversationId, receiverId: bob, message: 'x' });
      assert.deepEqual(await a.hear('error'), { message: 'not allowed: there is no confirmed booking' });
      a.emit('join-conversation', conversationId);
      assert.deepEqual(await a.hear('error'), { message: 'not allowed: there is no confirmed booking' });
      for (const user of [ann, bob]) {
        const list = await server.rest(user)('GET', `/chat/conversations/${user}`);
        assert.deepEqual(list.body.filter((entry) => entry.id === conversationId), []);
        assert.equal((await server.rest(user)('GET', `/chat/messages/${conversationId}`)).status, 403);
      }
      assert.deepEqual([...a.all('message-sent'), ...b.all('new-message')], []);
    });

    test('a cancelled booking stops sending and receiving at once, for those connected too; history stays', async () => {
      const { ann, bob, conversationId } = pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      const before = await send(a, bob, conversationId, 'before');
      await b.hear('new-message');
      const cancelled = await server.request('DELETE', `/dev/bookings/${ann}/${bob}`);
      assert.deepEqual([cancelled.status, cancelled.body], [200, { cancelled: true }]);
      for (const [client, receiverId] of [[a, bob], [b, ann]]) {
        client.emit('send-message', { conversationId, receiverId, message: 'after' });
        assert.deepEqual(await client.hear('error'), { message: 'not allowed: there is no confirmed booking' });
      }
      assert.deepEqual([...a.all('new-message'), ...b.all('new-message')], []);
      for (const user of [ann, bob]) {
        const history = await server.rest(user)('GET', `/chat/messages/${conversationId}`);
        assert.deepEqual(texts(history.body), ['before']);
        assert.equal(history.body[0].id, before.id);
      }
      assert.equal((await server.request('DELETE', `/dev/bookings/${bob}/${ann}`)).body.cancelled, false);
    });

    test('what waits in a conversation whose booking was cancelled is not handed over', async () => {
      const { ann, bob, conversationId } = pair();
      const a = await connect(ann);
      await send(a, bob, conversationId, 'waiting');
      await server.request('DELETE', `/dev/bookings/${bob}/${ann}`);
      const { greeting } = await greeted(server, bob, { transports });
      assert.deepEqual(greeting.queuedMessages, []);
    });

    test('two pairs whose joined ids look alike never share a room', async () => {
      const [ab, c, a, bc] = await Promise.all(['a_b', 'c', 'a', 'b_c'].map(connect));
      for (const client of [ab, c, a, bc]) {
        assert.deepEqual(await client.ask('join-conversation', 'a_b_c'), { conversationId: 'a_b_c' });
      }
      const text = `between a_b and c over ${transport}`;
      await send(ab, 'c', 'a_b_c', text);
      assert.equal((await c.hear('new-message')).senderId, 'a_b');
      const other = `between a and b_c over ${transport}`;
      await send(bc, 'a', 'a_b_c', other);
      assert.equal((await a.hear('new-message')).senderId, 'b_c');
      for (const client of [ab, c, a, bc]) assert.deepEqual(client.all('new-message'), []);
      const read = async (user) => texts((await server.rest(user)('GET', '/chat/messages/a_b_c')).body);
      for (const user of ['a_b', 'c']) assert.ok(!(await read(user)).includes(other) && (await read(user)).includes(text));
      for (const user of ['a', 'b_c']) assert.ok(!(await read(user)).includes(text) && (await read(user)).includes(other));
    });

    test('a token that has ended is refused; one that ends while connected: error, then closed for good', () =>
      tokensEnd(server, 'zoe', { transports, refused: notConnected, route: '/chat/conversations/zoe' }));

    test('malformed payloads get an error, the socket stays, nothing is stored', async () => {
      const { ann, bob, conversationId } = pair();
      const a = await connect(ann);
      for (const payload of [undefined, null, 1, [], {}, deep(), Buffer.from('x'), '', 'x', 'a\0b', 'ü'.repeat(1000)]) {
        for (const event of ['send-message', 'join-conversation', 'leave-conversation']) {
          if (payload === undefined) a.emit(event); else a.emit(event, payload);
          const error = await a.hear('error');
          assert.deepEqual(Object.keys(error), ['message']);
        }
      }
      for (const message of WRONG_TEXTS) {
        a.emit('send-message', { conversationId, receiverId: bob, message });
        assert.match((await a.hear('error')).message, /^message: /);
      }
      for (const receiverId of [null, 7, {}, [], '', 'a\0b', 'x'.repeat(200)]) {
        a.emit('send-message', { conversationId, receiverId, message: 'x' });
        assert.match((await a.hear('error')).message, /^receiverId: /);
      }
      for (const wrong of [null, 7, {}, '', 'x', named(bob, 'cem'), `${bob}_${ann}`]) {
        a.emit('send-message', { conversationId: wrong, receiverId: bob, message: 'x' });
        assert.match((await a.hear('error')).message, /^conversationId: /);
      }
      for (const event of ['join-conversation', 'leave-conversation']) {
        a.emit(event, 7);
        assert.match((await a.hear('error')).message, /^conversationId: /);
        a.emit(event, named(bob, 'cem'));
        assert.deepEqual(await a.hear('error'), { message: 'not found' });
      }
      a.emit('no-such-event', 1);
      assert.match((await a.hear('error')).message, /no-such-event/);
      a.emit('send-message', { conversationId, receiverId: bob, message: 'lone \ud800 surrogate' });
      assert.match((await a.hear('error')).message, /^payload: /);
      await send(a, bob, conversationId, 'x'.repeat(32 * 1024));
      const list = await server.rest(ann)('GET', `/chat/messages/${conversationId}`);
      assert.equal(list.body.length, 1);
      assert.deepEqual(a.all('disconnect'), []);
    });
  });
}

describe('tutor_bookings: routes', () => {
  test('GET /chat/conversations/:userId lists one’s own: there as soon as both may talk, the latest first', async () => {
    const { ann, bob, conversationId } = pair();
    const get = (user, of = user) => server.rest(user)('GET', `/chat/conversations/${of}`);
    const empty = { id: conversationId, participants: [ann, bob], lastMessage: null, lastMessageTime: null, unreadCount: 0 };
    assert.deepEqual((await get(ann)).body, [empty]);
    const a = await server.connect(ann);
    await send(a, bob, conversationId, 'one');
    const last = await send(a, bob, conversationId, 'two');
    const { status, body } = await get(bob);
    assert.equal(status, 200);
    assert.deepEqual(body, [{ ...empty, lastMessage: 'two', lastMessageTime: last.timestamp, unreadCount: 2 }]);
    assert.equal((await get(ann)).body[0].unreadCount, 0);
    const foreign = await get(ann, bob);
    assert.deepEqual([foreign.status, foreign.body.error], [403, 'Forbidden']);
    const three = await get('x_y_x');
    assert.deepEqual(three.body.map((entry) => entry.id), ['x_y_x_y_x', 'x_y_x_y_x']);
    assert.equal((await server.rest('x_y_x')('GET', '/chat/conversations/x_y_x?limit=1')).body.length, 1);
    assert.equal((await server.rest(ann)('GET', `/chat/conversations/${ann}?before=x`)).status, 400);
    assert.deepEqual((await server.rest(ann)('GET', `/chat/conversations/${ann}?before=${conversationId}`)).body, []);
  });

  test('GET /chat/messages/:conversationId gives the newest 50, oldest first, by limit and offset', async () => {
    const { ann, bob, conversationId } = pair();
    const a = await server.connect(ann);
    for (let at = 0; at < 120; at += 1) a.emit('send-message', { conversationId, receiverId: bob, message: `${at}` });
    const sent = await a.take('message-sent', 120);
    const get = (query = '') => server.rest(bob)('GET', `/chat/messages/${conversationId}${query}`);
    const numbers = (from, to) => Array.from({ length: to - from }, (_, at) => `${from + at}`);
    const newest = await get();
    assert.equal(newest.status, 200);
    assert.deepEqual(texts(newest.body), numbers(70, 120));
    assert.deepEqual(Object.keys(newest.body[0]).sort(), STORED);
    const { timestamp, ...said } = sent[119];
    assert.deepEqual(newest.body.at(-1), { ...said, receiverId: bob, createdAt: timestamp });
    assert.deepEqual(texts((await get('?limit=10')).body), numbers(110, 120));
    assert.deepEqual(texts((await get('?limit=10&offset=10')).body), numbers(100, 110));
    assert.deepEqual(texts((await get('?limit=50&offset=100')).body), numbers(0, 20));
    for (const offset of [120, 121, 1e15]) assert.deepEqual((await get(`?offset=${offset}`)).body, []);
    assert.equal((await get('?limit=1000000000')).body.length, 100);
    for (const query of ['?limit=-1', '?limit=x', '?offset=-1', '?offset=1.5']) {
      assert.equal((await get(query)).status, 400, query);
    }
    for (const name of [conversationId, named('eve', 'cem'), 'x']) {
      const stranger = await server.rest('zoe')('GET', `/chat/messages/${name}`);
      assert.deepEqual([stranger.status, stranger.body.message], [404, 'not found'], name);
    }
  });

  test('PATCH /chat/conversations/:conversationId/read marks all as read, and what is read does not wait', async () => {
    const { ann, bob, conversationId } = pair();
    const a = await server.connect(ann);
    for (const message of ['one', 'two']) await send(a, bob, conversationId, message);
    const read = () => server.rest(bob)('PATCH', `/chat/conversations/${conversationId}/read`);
    const { status, body } = await read();
    assert.deepEqual([status, body], [200, { success: true, message: 'Conversation marked as read' }]);
    const list = await server.rest(ann)('GET', `/chat/messages/${conversationId}`);
    assert.deepEqual(list.body.map((message) => message.read), [true, true]);
    const { greeting } = await greeted(server, bob);
    assert.deepEqual([greeting.queuedMessages, greeting.unreadCount], [[], 0]);
    const stranger = await server.rest('zoe')('PATCH', `/chat/conversations/${conversationId}/read`);
    assert.equal(stranger.status, 404);
  });

  test('without a token that proves somebody, every route answers 401 and no socket connects', async () => {
    const routes = [['GET', '/chat/conversations/ann'], ['GET', '/chat/messages/ann_bob'], ['PATCH', '/chat/conversations/ann_bob/read']];
    for (const [method, where] of routes) {
      for (const headers of [{}, { authorization: 'Bearer x' }]) {
        assert.equal((await server.request(method, where, undefined, headers)).status, 401, `${method} ${where}`);
      }
    }
    const nobody = server.client({ auth: { token: 'x' } });
    assert.match((await nobody.hear('connect_error')).message, /authentication/);
  });
});

describe('tutor_bookings: over time', () => {
  const BOOKINGS = 'ann:bob,bob:cem,bob:dan';

  test('queued messages survive a restart of everything, oldest first over all conversations', async () => {
    const own = await Server.start('tutor_bookings', { BOOKINGS });
    try {
      const clients = { ann: (await greeted(own, 'ann')).client, cem: (await greeted(own, 'cem')).client };
      const sent = [];
      for (const [user, message] of [['ann', '1'], ['cem', '2'], ['ann', '3'], ['cem', '4']]) {
        sent.push(await send(clients[user], 'bob', named(user, 'bob'), message));
      }
      await own.down('SIGKILL');
      await own.up();
      const { client, greeting } = await greeted(own, 'bob');
      assert.deepEqual(greeting.queuedMessages, sent);
      assert.equal(greeting.unreadCount, 4);
      client.close();
      await own.down('SIGKILL');
      await own.up();
      assert.deepEqual((await greeted(own, 'bob')).greeting.queuedMessages, []);
    } finally {
      await own.stop();
    }
  });

  test('more than fits into one event comes after it, in order, and nothing is lost', async () => {
    const own = await Server.start('tutor_bookings', { BOOKINGS });
    try {
      // Two who take turns: one alone would be sending faster than a user may.
      const { client: ann } = await greeted(own, 'ann');
      const { client: cem } = await greeted(own, 'cem');
      const said = Array.from({ length: 620 }, (_, at) => `${at}`);
      for (const [at, message] of said.entries()) {
        await (at % 2 ? send(cem, 'bob', 'bob_cem', message) : send(ann, 'bob', 'ann_bob', message));
      }
      const { client, greeting } = await greeted(own, 'bob');
      assert.equal(greeting.queuedMessages.length, 500);
      const rest = await client.take('new-message', 120);
      assert.deepEqual([...texts(greeting.queuedMessages), ...texts(rest)], said);
    } finally {
      await own.stop();
    }
  });

  test('a cancelled booking stays cancelled over a restart; bookings are the program’s own table', async () => {
    const own = await Server.start('tutor_bookings', { BOOKINGS });
    try {
      await own.request('DELETE', '/dev/bookings/ann/bob');
      await own.down();
      await own.up();
      const { client } = await greeted(own, 'ann');
      client.emit('send-message', { conversationId: 'ann_bob', receiverId: 'bob', message: 'x' });
      assert.deepEqual(await client.hear('error'), { message: 'not allowed: there is no confirmed booking' });
      await eventually(async () => (await own.rest('bob')('GET', '/chat/messages/ann_bob')).body, []);
    } finally {
      await own.stop();
    }
  });

  test('bookings that cannot be read are refused at start', async () => {
    await assert.rejects(Server.start('tutor_bookings', { BOOKINGS: 'ann' }), /BOOKINGS must be pairs/);
  });
});
