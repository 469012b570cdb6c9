// The contract `connections`: every event, acknowledgement and route, over WebSocket and polling.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Server, TRANSPORTS, WRONG_TEXTS, deep, eventually, token } from './harness.mjs';
import { notConnected, tokensEnd } from './expiry.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MESSAGE = ['content', 'conversationId', 'createdAt', 'id', 'isRead', 'senderId', 'updatedAt'];
const CONVERSATION = ['createdAt', 'id', 'lastMessageAt', 'participant1Id', 'participant2Id', 'updatedAt'];

let server;
before(async () => { server = await Server.start('connections'); });
after(() => server.stop());

/** Two users of their own, and their conversation. */
async function pair() {
  const [ann, bob] = [`ann-${randomUUID()}`, `bob-${randomUUID()}`];
  const opened = await server.rest(ann)('POST', '/chat/conversations', { participantId: bob });
  assert.equal(opened.status, 201);
  return { ann, bob, conversationId: opened.body.id, conversation: opened.body };
}

for (const transport of TRANSPORTS) {
  describe(`connections over ${transport}`, () => {
    const transports = [transport];
    const connect = (user) => server.connect(user, { transports });

    test('a message goes to both, the socket that sent it included, without joining', async () => {
      const { ann, bob, conversationId } = await pair();
      const [a, a2, b] = await Promise.all([connect(ann), connect(ann), connect(bob)]);
      const before = Date.now();
      const ack = await a.ask('sendMessage', { conversationId, content: 'Hello!' });
      const heard = await Promise.all([a, a2, b].map((client) => client.hear('message')));
      for (const message of heard) {
        assert.deepEqual(Object.keys(message).sort(), MESSAGE);
        assert.match(message.id, UUID);
        assert.equal(message.conversationId, conversationId);
        assert.equal(message.senderId, ann);
        assert.equal(message.content, 'Hello!');
        assert.equal(message.isRead, false);
        assert.ok(Math.abs(new Date(message.createdAt) - before) < 60_000);
        assert.equal(message.updatedAt, message.createdAt);
        assert.deepEqual(message, ack);
      }
    });

    test('messages arrive once each and in the order in which they were sent', async () => {
      const { ann, bob, conversationId } = await pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      const texts = Array.from({ length: 100 }, (_, at) => `message ${at}`);
      for (const content of texts) a.emit('sendMessage', { conversationId, content });
      for (const client of [a, b]) {
        const taken = await client.take('message', texts.length);
        assert.deepEqual(taken.map((message) => message.content), texts);
      }
      const list = await server.rest(bob)('GET', `/chat/conversations/${conversationId}/messages`);
      assert.deepEqual(list.body.map((message) => message.content), texts);
      assert.deepEqual([...a.all('message'), ...b.all('message'), ...a.all('error')], []);
    });

    test('what is sent at once on connect is not lost', async () => {
      const { ann, conversationId } = await pair();
      const a = server.client({ transports, auth: { token: token(ann) } });
      a.socket.on('connect', () => a.emit('sendMessage', { conversationId, content: 'first' }));
      a.emit('sendMessage', { conversationId, content: 'buffered' });
      const taken = await a.take('message', 2);
      assert.deepEqual(taken.map((message) => message.content).sort(), ['buffered', 'first']);
    });

    test('what was sent before the client went is carried out', async () => {
      const { ann, bob, conversationId } = await pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      for (let at = 0; at < 20; at += 1) a.emit('sendMessage', { conversationId, content: `bye ${at}` });
      a.socket.disconnect();
      const taken = await b.take('message', 20);
      assert.equal(taken.at(-1).content, 'bye 19');
    });

    test('typing is told to the other with the conversation', async () => {
      const { ann, bob, conversationId } = await pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      a.emit('typing', { conversationId, isTyping: true });
      assert.deepEqual(await b.hear('typing'), { conversationId, userId: ann, isTyping: true });
      a.emit('typing', { conversationId, isTyping: false });
      assert.deepEqual(await b.hear('typing'), { conversationId, userId: ann, isTyping: false });
      assert.deepEqual(a.all('typing'), []);
    });

    test('typing stops by itself: after 6 s, on send and on disconnect', async () => {
      const ends = {
        later: () => {},
        send: (a, conversationId) => a.emit('sendMessage', { conversationId, content: 'sent' }),
        disconnect: (a) => a.close(),
      };
      await Promise.all(Object.entries(ends).map(async ([name, end]) => {
        const { ann, bob, conversationId } = await pair();
        const [a, b] = await Promise.all([connect(ann), connect(bob)]);
        const began = Date.now();
        a.emit('typing', { conversationId, isTyping: true });
        assert.equal((await b.hear('typing')).isTyping, true);
        end(a, conversationId);
        assert.deepEqual(await b.hear('typing'), { conversationId, userId: ann, isTyping: false });
        const took = Date.now() - began;
        assert.ok(name === 'later' ? took > 5000 && took < 8000 : took < 3000, `${name}: ${took} ms`);
      }));
    });

    test('joinConversation is confirmed to a member and refused to a stranger', async () => {
      const { ann, conversationId } = await pair();
      const [a, eve] = await Promise.all([connect(ann), connect(`eve-${randomUUID()}`)]);
      assert.deepEqual(await a.ask('joinConversation', { conversationId }), { conversationId });
      assert.deepEqual(await eve.ask('joinConversation', { conversationId }), { message: 'not found' });
      assert.deepEqual(await eve.hear('error'), { message: 'not found' });
    });

    test('markAsRead marks everything up to the message and tells the sender', async () => {
      const { ann, bob, conversationId } = await pair();
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      for (const content of ['one', 'two', 'three']) await a.ask('sendMessage', { conversationId, content });
      const [, two] = await b.take('message', 3);
      assert.deepEqual((await server.rest(bob)('GET', '/chat/unread-count')).body, { count: 3 });
      b.emit('markAsRead', { messageId: two.id });
      assert.deepEqual(await a.hear('messageRead'), { messageId: two.id });
      assert.deepEqual((await server.rest(bob)('GET', '/chat/unread-count')).body, { count: 1 });
      const list = await server.rest(ann)('GET', `/chat/conversations/${conversationId}/messages`);
      assert.deepEqual(list.body.map((message) => message.isRead), [true, true, false]);
    });

    test('userOnline and userOffline go to those who share a conversation, and to nobody else', async () => {
      const { ann, bob } = await pair();
      const [a, eve] = await Promise.all([connect(ann), connect(`eve-${randomUUID()}`)]);
      const b = await connect(bob);
      assert.deepEqual(await a.hear('userOnline'), { userId: bob });
      assert.deepEqual(a.all('userOffline'), [], 'who was not there before does not go');
      assert.deepEqual(await b.hear('userOnline'), { userId: ann });
      const b2 = await connect(bob);
      assert.deepEqual(await b2.hear('userOnline'), { userId: ann });
      b.close();
      b2.close();
      assert.deepEqual(await a.hear('userOffline'), { userId: bob });
      assert.deepEqual([...a.all('userOnline'), ...a.all('userOffline'), ...eve.all('userOnline'), ...eve.all('userOffline')], []);
    });

    test('a conversation that begins while both are connected has messages and presence at once', async () => {
      const [ann, bob] = [`ann-${randomUUID()}`, `bob-${randomUUID()}`];
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      const opened = await server.rest(ann)('POST', '/chat/conversations', { participantId: bob });
      assert.deepEqual(await a.hear('userOnline'), { userId: bob });
      assert.deepEqual(await b.hear('userOnline'), { userId: ann });
      a.emit('sendMessage', { conversationId: opened.body.id, content: 'new' });
      assert.equal((await b.hear('message')).content, 'new');
      b.close();
      assert.deepEqual(await a.hear('userOffline'), { userId: bob });
    });

    test('a token that has ended is refused; one that ends while connected: error, then closed for good', () =>
      tokensEnd(server, `ann-${randomUUID()}`, { transports, refused: notConnected, route: '/chat/conversations' }));

    test('malformed payloads get an error, the socket stays, nothing is stored', async () => {
      const { ann, conversationId } = await pair();
      const a = await connect(ann);
      for (const payload of [undefined, null, 1, 'text', [], {}, deep(), Buffer.from('x')]) {
        for (const event of ['sendMessage', 'typing', 'joinConversation', 'markAsRead']) {
          if (payload === undefined) a.emit(event); else a.emit(event, payload);
          const error = await a.hear('error');
          assert.deepEqual(Object.keys(error), ['message']);
        }
      }
      for (const content of WRONG_TEXTS) {
        a.emit('sendMessage', { conversationId, content });
        assert.match((await a.hear('error')).message, /^content: /);
      }
      a.emit('sendMessage', { conversationId, content: 'lone \ud800 surrogate' });
      assert.match((await a.hear('error')).message, /^payload: /);
      for (const wrong of [null, 1, {}, 'x', 'ü'.repeat(1000)]) {
        a.emit('sendMessage', { conversationId: wrong, content: 'x' });
        assert.match((await a.hear('error', (it) => /Id/.test(it.message))).message, /^conversationId: /);
        a.emit('markAsRead', { messageId: wrong });
        assert.match((await a.hear('error', (it) => /Id/.test(it.message))).message, /^messageId: /);
      }
      a.emit('typing', { conversationId, isTyping: 'yes' });
      assert.match((await a.hear('error')).message, /^isTyping: /);
      a.emit('noSuchEvent', 1);
      assert.match((await a.hear('error', (it) => /event/.test(it.message))).message, /noSuchEvent/);
      const ok = await a.ask('sendMessage', { conversationId, content: 'x'.repeat(32 * 1024) });
      assert.equal(ok.content.length, 32 * 1024);
      const list = await server.rest(ann)('GET', `/chat/conversations/${conversationId}/messages`);
      assert.equal(list.body.length, 1);
      assert.deepEqual(a.all('disconnect'), []);
    });

    test('a stranger reaches nothing, and is answered as if it were not there', async () => {
      const { ann, bob, conversationId } = await pair();
      const [a, eve] = await Promise.all([connect(ann), connect(`eve-${randomUUID()}`)]);
      const { id: messageId } = await a.ask('sendMessage', { conversationId, content: 'ours' });
      for (const [conversation, message] of [[conversationId, messageId], [randomUUID(), randomUUID()]]) {
        const events = [
          ['sendMessage', { conversationId: conversation, content: 'x', senderId: ann }],
          ['typing', { conversationId: conversation, isTyping: true }],
          ['joinConversation', { conversationId: conversation }],
          ['markAsRead', { messageId: message }],
        ];
        for (const [event, payload] of events) {
          eve.emit(event, payload);
          assert.deepEqual(await eve.hear('error'), { message: 'not found' }, event);
        }
      }
      const list = await server.rest(bob)('GET', `/chat/conversations/${conversationId}/messages`);
      assert.deepEqual(list.body.map((message) => [message.senderId, message.isRead]), [[ann, false]]);
    });
  });
}

describe('connections: routes', () => {
  test('POST /chat/conversations gives one conversation, whichever of the two asks, even at once', async () => {
    const [ann, bob] = [`ann-${randomUUID()}`, `bob-${randomUUID()}`];
    const asks = Array.from({ length: 20 }, (_, at) =>
      server.rest(at % 2 ? ann : bob)('POST', '/chat/conversations', { participantId: at % 2 ? bob : ann }));
    const answers = await Promise.all(asks);
    assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
    const [{ body }] = answers;
    assert.deepEqual(Object.keys(body).sort(), CONVERSATION);
    assert.match(body.id, UUID);
    assert.deepEqual([body.participant1Id, body.participant2Id].sort(), [ann, bob].sort());
    assert.equal(body.lastMessageAt, null);
    const wrong = await server.rest(ann)('POST', '/chat/conversations', { participantId: 7 });
    assert.equal(wrong.status, 400);
    assert.match(wrong.body.message, /^participantId: /);
    for (const participantId of ['', 'a\0b', 'x'.repeat(129)]) {
      const refused = await server.rest(ann)('POST', '/chat/conversations', { participantId });
      assert.equal(refused.status, 400);
      assert.match(refused.body.message, /^participantId: /);
    }
  });

  test('GET /chat/conversations lists with unread count and last message, the latest first', async () => {
    const { ann, bob, conversationId } = await pair();
    const other = await server.rest(bob)('POST', '/chat/conversations', { participantId: `cem-${ann}` });
    const a = await server.connect(ann);
    await a.ask('sendMessage', { conversationId, content: 'one' });
    const last = await a.ask('sendMessage', { conversationId, content: 'two' });
    const { status, body } = await server.rest(bob)('GET', '/chat/conversations');
    assert.equal(status, 200);
    assert.deepEqual(body.map((entry) => entry.id), [conversationId, other.body.id]);
    assert.deepEqual(Object.keys(body[0]).sort(), [...CONVERSATION, 'lastMessage', 'unreadCount'].sort());
    assert.equal(body[0].unreadCount, 2);
    assert.deepEqual(body[0].lastMessage, last);
    assert.equal(body[0].lastMessageAt, last.createdAt);
    assert.deepEqual([body[1].unreadCount, body[1].lastMessage, body[1].lastMessageAt], [0, null, null]);
    assert.equal((await server.rest(ann)('GET', '/chat/conversations')).body[0].unreadCount, 0);
    const second = await server.rest(bob)('GET', `/chat/conversations?limit=1&before=${conversationId}`);
    assert.deepEqual(second.body.map((entry) => entry.id), [other.body.id]);
    const first = await server.rest(bob)('GET', '/chat/conversations?limit=1');
    assert.deepEqual(first.body.map((entry) => entry.id), [conversationId]);
  });

  test('GET /chat/conversations/:id/messages gives the newest 100, oldest first, and pages back', async () => {
    const { ann, bob, conversationId } = await pair();
    const a = await server.connect(ann);
    for (let at = 0; at < 120; at += 1) a.emit('sendMessage', { conversationId, content: `${at}` });
    await a.take('message', 120);
    const get = (query = '') => server.rest(bob)('GET', `/chat/conversations/${conversationId}/messages${query}`);
    const texts = (answer) => answer.body.map((message) => message.content);
    const newest = await get();
    assert.deepEqual(Object.keys(newest.body[0]).sort(), MESSAGE);
    assert.deepEqual(texts(newest), Array.from({ length: 100 }, (_, at) => `${at + 20}`));
    const older = await get(`?before=${newest.body[0].id}`);
    assert.deepEqual(texts(older), Array.from({ length: 20 }, (_, at) => `${at}`));
    assert.deepEqual(texts(await get(`?before=${newest.body[0].id}&limit=2`)), ['18', '19']);
    for (const query of ['?limit=-1', '?limit=x', '?before=x', `?before=${randomUUID()}`]) {
      assert.equal((await get(query)).status, 400, query);
    }
    assert.equal(texts(await get('?limit=1000000000')).length, 100);
    const stranger = server.rest(`eve-${randomUUID()}`);
    for (const id of [conversationId, randomUUID(), 'x']) {
      const answer = await stranger('GET', `/chat/conversations/${id}/messages`);
      assert.deepEqual(answer.body, { statusCode: 404, message: 'not found', error: 'Not Found' });
    }
  });

  test('PUT /chat/messages/:id/read gives the message, read, and tells its sender', async () => {
    const { ann, bob, conversationId } = await pair();
    const a = await server.connect(ann);
    const sent = await a.ask('sendMessage', { conversationId, content: 'read me' });
    const { status, body } = await server.rest(bob)('PUT', `/chat/messages/${sent.id}/read`);
    assert.equal(status, 200);
    assert.deepEqual(body, { ...sent, isRead: true });
    assert.deepEqual(await a.hear('messageRead'), { messageId: sent.id });
    assert.deepEqual((await server.rest(bob)('GET', '/chat/unread-count')).body, { count: 0 });
    for (const id of [sent.id, randomUUID(), 'x']) {
      const stranger = await server.rest(`eve-${randomUUID()}`)('PUT', `/chat/messages/${id}/read`);
      assert.equal(stranger.status, 404);
    }
  });

  test('without a token that proves somebody, every route answers 401 alike', async () => {
    const routes = [
      ['POST', '/chat/conversations'], ['GET', '/chat/conversations'], ['GET', '/chat/unread-count'],
      ['GET', `/chat/conversations/${randomUUID()}/messages`], ['PUT', `/chat/messages/${randomUUID()}/read`],
    ];
    for (const [method, where] of routes) {
      for (const headers of [{}, { authorization: 'Bearer x' }]) {
        const answer = await server.request(method, where, method === 'GET' ? undefined : {}, headers);
        const body = { statusCode: 401, message: 'authentication required', error: 'Unauthorized' };
        assert.deepEqual(answer.body, body, `${method} ${where}`);
      }
    }
  });
});

describe('connections: over time', () => {
  test('messages, unread counts and the one conversation outlive a restart; clients connect again', async () => {
    const own = await Server.start('connections');
    try {
      const [ann, bob] = ['ann', 'bob'];
      const { body: { id: conversationId } } = await own.rest(ann)('POST', '/chat/conversations', { participantId: bob });
      const a = await own.connect(ann);
      const sent = await a.ask('sendMessage', { conversationId, content: 'kept' });
      await own.down();
      assert.match(await a.hear('disconnect'), /^transport (close|error)$/);
      await a.hear('connect_error');
      await own.up();
      await a.connected();
      const again = await own.rest(bob)('POST', '/chat/conversations', { participantId: ann });
      assert.equal(again.body.id, conversationId);
      const list = await own.rest(bob)('GET', `/chat/conversations/${conversationId}/messages`);
      assert.deepEqual(list.body, [sent]);
      assert.deepEqual((await own.rest(bob)('GET', '/chat/unread-count')).body, { count: 1 });
      const b = await own.connect(bob);
      a.emit('sendMessage', { conversationId, content: 'after' });
      assert.equal((await b.hear('message')).content, 'after');
    } finally {
      await own.stop();
    }
  });

  test('a reader of both users sees the unread counts follow', async () => {
    const { ann, bob, conversationId } = await pair();
    const [a, b] = await Promise.all([server.connect(ann), server.connect(bob)]);
    b.emit('sendMessage', { conversationId, content: 'hi' });
    const { id: messageId } = await a.hear('message');
    await eventually(async () => (await server.rest(ann)('GET', '/chat/unread-count')).body, { count: 1 });
    a.emit('markAsRead', { messageId });
    await b.hear('messageRead');
    assert.deepEqual((await server.rest(ann)('GET', '/chat/unread-count')).body, { count: 0 });
  });
});
