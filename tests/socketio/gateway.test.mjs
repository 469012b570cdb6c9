// The contract `gateway` in one process: every event and route, over WebSocket and polling.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, TRANSPORTS, WRONG_TEXTS, deep, token } from './harness.mjs';
import { notConnected, tokensEnd } from './expiry.mjs';

const MESSAGE = ['content', 'conversation_id', 'created_at', 'id', 'message_type', 'sender_id'];
const CONVERSATION = ['createdAt', 'id', 'lastMessage', 'participantIds', 'title', 'type', 'unreadCount'];
const namespace = '/chat';
const NOT_YOURS = 'is not yours: you act as the user of your token';

let server;
before(async () => { server = await Server.start('gateway'); });
after(() => server.stop());

/** A user whose id is a number, and nobody else's. */
let users = 1000;
const fresh = () => { users += 1; return users; };

const rest = (user) => server.rest(String(user));

/** Two users of their own, and their conversation. */
async function pair() {
  const [ann, bob] = [fresh(), fresh()];
  const { status, body } = await rest(ann)('POST', '/conversations', { participantIds: [ann, bob] });
  assert.equal(status, 201);
  return { ann, bob, conversation: body.id };
}

async function join(client, conversationId, userId) {
  client.emit('join-conversation', { conversationId, userId });
  assert.deepEqual(await client.hear('joined-conversation'), { conversationId, success: true });
}

const send = (client, sender_id, conversation_id, content) =>
  client.emit('send-message', { sender_id, conversation_id, message_type: 'text', content });

for (const transport of TRANSPORTS) {
  describe(`gateway over ${transport}`, () => {
    const connect = (user) => server.connect(String(user), { namespace, transports: [transport] });

    /** A pair that is connected and has joined. */
    async function room() {
      const made = await pair();
      const [a, b] = await Promise.all([connect(made.ann), connect(made.bob)]);
      await Promise.all([join(a, made.conversation, made.ann), join(b, made.conversation, made.bob)]);
      return { ...made, a, b };
    }

    test('send-message is confirmed by message-sent and comes to all who have joined as receive-message', async () => {
      const { ann, conversation, a, b } = await room();
      const before = Date.now();
      send(a, ann, conversation, 'Hello!');
      const sent = await a.hear('message-sent');
      assert.deepEqual(Object.keys(sent).sort(), MESSAGE);
      assert.ok(Number.isSafeInteger(sent.id));
      assert.equal(sent.conversation_id, conversation);
      assert.equal(sent.sender_id, ann);
      assert.deepEqual([sent.message_type, sent.content], ['text', 'Hello!']);
      assert.ok(Math.abs(new Date(sent.created_at) - before) < 60_000);
      for (const client of [a, b]) assert.deepEqual(await client.hear('receive-message'), sent);
      assert.deepEqual(b.all('message-sent'), []);
    });

    test('who has not joined, or has left, gets no receive-message', async () => {
      const { ann, bob, conversation, a, b } = await room();
      const outside = await connect(bob);
      assert.deepEqual(await b.ask('leave-conversation', { conversationId: conversation }), { conversationId: conversation });
      send(a, ann, conversation, 'first');
      await a.hear('receive-message');
      await join(b, conversation, bob);
      send(a, ann, conversation, 'second');
      assert.equal((await b.hear('receive-message')).content, 'second');
      await a.hear('receive-message');
      await join(outside, conversation, bob);
      assert.deepEqual([...b.all('receive-message'), ...outside.all('receive-message')], []);
    });

    test('messages arrive once each and in the order in which they were sent, their ids grow', async () => {
      const { ann, bob, conversation, a, b } = await room();
      const texts = Array.from({ length: 100 }, (_, at) => `message ${at}`);
      for (const content of texts) send(a, ann, conversation, content);
      for (const [client, event] of [[a, 'message-sent'], [a, 'receive-message'], [b, 'receive-message']]) {
        const taken = await client.take(event, texts.length);
        assert.deepEqual(taken.map((message) => message.content), texts);
        assert.ok(taken.every((message, at) => at === 0 || message.id > taken[at - 1].id));
      }
      const { body } = await rest(bob)('GET', `/conversations/${conversation}/messages`);
      assert.deepEqual(body.map((message) => message.content), texts);
      assert.deepEqual([...a.all('receive-message'), ...b.all('receive-message'), ...a.all('message-error')], []);
    });

    test('what is sent at once on connect is not lost', async () => {
      const { ann, conversation } = await pair();
      const a = server.client({ namespace, transports: [transport], auth: { token: token(String(ann)) } });
      a.socket.on('connect', () => {
        a.emit('join-conversation', { conversationId: conversation, userId: ann });
        send(a, ann, conversation, 'on connect');
      });
      send(a, ann, conversation, 'buffered');
      const sent = await a.take('message-sent', 2);
      assert.deepEqual(sent.map((message) => message.content).sort(), ['buffered', 'on connect']);
      await a.hear('joined-conversation');
    });

    test('message types come back as they were sent', async () => {
      const { ann, conversation, a, b } = await room();
      const sends = [['image', 'https://files.example/a.png'], ['file', 'https://files.example/a.pdf'], ['sticker', 'cat'], ['text', 'x']];
      for (const [message_type, content] of sends) {
        a.emit('send-message', { sender_id: ann, conversation_id: conversation, message_type, content });
      }
      const taken = await b.take('receive-message', sends.length);
      assert.deepEqual(taken.map((it) => [it.message_type, it.content]), sends);
      const { body } = await rest(ann)('GET', `/conversations/${conversation}/messages`);
      assert.deepEqual(body, taken);
      a.emit('send-message', { sender_id: ann, conversation_id: conversation, message_type: 'system', content: 'x' });
      assert.match((await a.hear('message-error')).error, /^message_type: /);
    });

    test('a sender_id or userId that is not the caller\'s is refused with message-error', async () => {
      const { ann, bob, conversation, a, b } = await room();
      send(a, bob, conversation, 'forged');
      assert.deepEqual(await a.hear('message-error'), { error: `sender_id: ${NOT_YOURS}` });
      a.emit('typing', { conversationId: conversation, userId: bob, isTyping: true });
      assert.deepEqual(await a.hear('message-error'), { error: `userId: ${NOT_YOURS}` });
      a.emit('join-conversation', { conversationId: conversation, userId: bob });
      assert.deepEqual(await a.hear('message-error'), { error: `userId: ${NOT_YOURS}` });
      assert.deepEqual(await a.hear('joined-conversation'), { conversationId: conversation, success: false });
      // The same id as a text is the same user, and it may be left out.
      send(a, String(ann), conversation, 'as text');
      a.emit('send-message', { conversation_id: conversation, content: 'left out' });
      assert.deepEqual((await b.take('receive-message', 2)).map((it) => [it.sender_id, it.content]), [[ann, 'as text'], [ann, 'left out']]);
      assert.deepEqual(b.all('user-typing'), []);
    });

    test('typing is told to the others who have joined', async () => {
      const { ann, bob, conversation, a, b } = await room();
      const outside = await connect(bob);
      for (const isTyping of [true, false]) {
        a.emit('typing', { conversationId: conversation, userId: ann, isTyping });
        assert.deepEqual(await b.hear('user-typing'), { conversationId: conversation, userId: ann, isTyping });
      }
      assert.deepEqual([...a.all('user-typing'), ...outside.all('user-typing')], []);
    });

    test('typing stops by itself: after 6 s, on send and on disconnect', async () => {
      const ends = {
        later: () => {},
        send: (a, ann, conversation) => send(a, ann, conversation, 'sent'),
        disconnect: (a) => a.close(),
      };
      await Promise.all(Object.entries(ends).map(async ([name, end]) => {
        const { ann, conversation, a, b } = await room();
        const began = Date.now();
        a.emit('typing', { conversationId: conversation, userId: ann, isTyping: true });
        assert.equal((await b.hear('user-typing')).isTyping, true);
        end(a, ann, conversation);
        assert.deepEqual(await b.hear('user-typing'), { conversationId: conversation, userId: ann, isTyping: false });
        const took = Date.now() - began;
        assert.ok(name === 'later' ? took > 5000 && took < 8000 : took < 3000, `${name}: ${took} ms`);
      }));
    });

    test('user:online and user:offline go to those who share a conversation, and to nobody else', async () => {
      const { ann, bob } = await pair();
      const [a, eve] = await Promise.all([connect(ann), connect(fresh())]);
      const b = await connect(bob);
      assert.deepEqual(await a.hear('user:online'), { userId: bob });
      assert.deepEqual(await b.hear('user:online'), { userId: ann });
      b.close();
      assert.deepEqual(await a.hear('user:offline'), { userId: bob });
      assert.deepEqual([...eve.all('user:online'), ...eve.all('user:offline')], []);
    });

    test('message-updated, message-deleted and conversation-created tell of changes', async () => {
      const { ann, bob, conversation, a, b } = await room();
      send(a, ann, conversation, 'tpyo');
      const sent = await b.hear('receive-message');
      const edited = await rest(ann)('PATCH', `/messages/${sent.id}`, { content: 'typo' });
      assert.deepEqual([edited.status, edited.body], [200, { ...sent, content: 'typo' }]);
      for (const client of [a, b]) assert.deepEqual(await client.hear('message-updated'), edited.body);
      const deleted = await rest(ann)('DELETE', `/messages/${sent.id}`);
      assert.deepEqual([deleted.status, deleted.body], [200, { ...sent, content: '' }]);
      for (const client of [a, b]) assert.deepEqual(await client.hear('message-deleted'), deleted.body);
      const group = await rest(ann)('POST', '/conversations', { participantIds: [ann, bob, fresh()], title: 'Trip' });
      for (const client of [a, b]) {
        const { id, type, title } = await client.hear('conversation-created');
        assert.deepEqual({ id, type, title }, { id: group.body.id, type: 'group', title: 'Trip' });
      }
    });

    test('a token that has ended is refused; one that ends while connected: error, then closed for good', () =>
      tokensEnd(server, fresh(), { namespace, transports: [transport], refused: notConnected, route: '/conversations' }));

    test('malformed payloads get message-error or error, the socket stays, nothing is stored', async () => {
      const { ann, bob, conversation, a, b } = await room();
      const messages = [
        undefined, null, 7, 'text', [], {}, deep(),
        { sender_id: ann, conversation_id: conversation },
        { sender_id: {}, conversation_id: conversation, content: 'x' },
        { sender_id: -1, conversation_id: conversation, content: 'x' },
        ...[null, 'x', -1, 1.5, {}, 2 ** 53, '07'].map((conversation_id) => ({ sender_id: ann, conversation_id, content: 'x' })),
        ...[7, null, {}, '', 'a\0b', 'x'.repeat(300)].map((message_type) => ({ sender_id: ann, conversation_id: conversation, message_type, content: 'x' })),
        ...WRONG_TEXTS.map((content) => ({ sender_id: ann, conversation_id: conversation, message_type: 'text', content })),
        { sender_id: ann, conversation_id: conversation, message_type: 'image', content: 'x'.repeat(10_000) },
      ];
      for (const payload of messages) {
        a.emit('send-message', ...(payload === undefined ? [] : [payload]));
        const { error } = await a.hear('message-error');
        assert.equal(typeof error, 'string');
        assert.ok(error.length < 400, error);
      }
      const events = [
        ['typing', null], ['typing', { conversationId: conversation, userId: ann, isTyping: 'yes' }], ['typing', { isTyping: true }],
        ['join-conversation', null], ['join-conversation', { conversationId: {} }], ['join-conversation', { conversationId: conversation, userId: [] }],
        ['leave-conversation', null], ['leave-conversation', { conversationId: 'x' }], ['no-such-event', {}], ['send-message ', {}],
      ];
      for (const [event, payload] of events) {
        a.emit(event, payload);
        assert.match((await a.hear('error')).message, /^[\w.]+: /, event);
      }
      a.emit('send-message', { sender_id: ann, conversation_id: conversation, content: 7 });
      assert.match((await a.hear('message-error')).error, /^content: /);
      send(a, ann, conversation, 'still here');
      assert.equal((await b.hear('receive-message')).content, 'still here');
      const { body } = await rest(bob)('GET', `/conversations/${conversation}/messages`);
      assert.deepEqual(body.map((message) => message.content), ['still here']);
      assert.deepEqual([...a.all('disconnect'), ...b.all('user-typing')], []);
    });

    test('a stranger reaches nothing, and cannot tell what is there', async () => {
      const { ann, conversation, a } = await room();
      const eve = fresh();
      const e = await connect(eve);
      for (const id of [conversation, 999_999_999]) {
        send(e, eve, id, 'hi');
        assert.deepEqual(await e.hear('message-error'), { error: 'not found' });
        e.emit('join-conversation', { conversationId: id, userId: eve });
        assert.deepEqual(await e.hear('joined-conversation'), { conversationId: id, success: false });
        assert.deepEqual(await e.hear('error'), { message: 'not found' });
        for (const event of ['typing', 'leave-conversation']) {
          e.emit(event, { conversationId: id, userId: eve, isTyping: true });
          assert.deepEqual(await e.hear('error'), { message: 'not found' }, event);
        }
      }
      send(a, ann, conversation, 'secret');
      await a.hear('receive-message');
      assert.deepEqual([...e.all('receive-message'), ...a.all('user-typing')], []);
    });
  });
}

describe('gateway: who it is', () => {
  test('the token tells, and query.userId counts for nothing', async () => {
    const [ann, bob] = [fresh(), fresh()];
    const refused = server.client({ namespace, query: { userId: ann } });
    assert.equal((await refused.hear('connect_error')).message, 'authentication required');
    assert.equal((await server.request('GET', `/conversations?userId=${ann}`)).status, 401);
    const { body } = await rest(ann)('POST', '/conversations', { participantIds: [ann, bob] });
    const b = await server.connect(String(bob), { namespace, query: { userId: ann } });
    send(b, ann, body.id, 'x');
    assert.equal((await b.hear('message-error')).error, `sender_id: ${NOT_YOURS}`);
    send(b, bob, body.id, 'x');
    assert.equal((await b.hear('message-sent')).sender_id, bob);
  });

  test('with DEV_TOKENS=1 on loopback query.userId is the user, and a token still counts more', async () => {
    const own = await Server.start('gateway', { DEV_TOKENS: '1' });
    try {
      const { body } = await own.request('POST', '/conversations?userId=1', { participantIds: [1, 2] });
      const [one, two] = [1, 2].map((userId) => own.client({ namespace, query: { userId } }));
      await Promise.all([one.connected(), two.connected()]);
      await join(two, body.id, 2);
      send(one, 1, body.id, 'Hello!');
      assert.equal((await two.hear('receive-message')).sender_id, 1);
      const three = await own.connect('3', { namespace, query: { userId: 1 } });
      send(three, 1, body.id, 'x');
      assert.equal((await three.hear('message-error')).error, `sender_id: ${NOT_YOURS}`);
      const nobody = own.client({ namespace, query: { userId: '' } });
      await nobody.hear('connect_error');
    } finally {
      await own.stop();
    }
  });

  test('DEV_TOKENS=1 is refused where others reach the server', async () => {
    const env = { DEV_TOKENS: '1', HOST: '0.0.0.0', JWT_SECRET: 'a secret of more than 32 bytes, for tests' };
    await assert.rejects(Server.start('gateway', env), /DEV_TOKENS=1 lets anybody in/);
  });
});

describe('gateway: REST', () => {
  test('POST /conversations of two is the direct conversation, whichever asks and even at once', async () => {
    const [ann, bob] = [fresh(), fresh()];
    const asks = Array.from({ length: 10 }, (_, at) =>
      rest(at % 2 ? ann : bob)('POST', '/conversations', { participantIds: at % 3 ? [ann, bob] : [String(bob), ann] }));
    const answers = await Promise.all(asks);
    assert.deepEqual(answers.map((answer) => answer.status), answers.map(() => 201));
    assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
    const [{ body }] = answers;
    assert.deepEqual(Object.keys(body).sort(), CONVERSATION);
    assert.ok(Number.isSafeInteger(body.id));
    assert.deepEqual([body.type, body.title, body.lastMessage, body.unreadCount], ['direct', null, null, 0]);
    assert.deepEqual(body.participantIds, [ann, bob]);
    const alone = await rest(ann)('POST', '/conversations', { participantIds: [bob] });
    assert.equal(alone.body.id, body.id, 'oneself may be left out');
  });

  test('POST /conversations of more is a new group', async () => {
    const [ann, bob, cem] = [fresh(), fresh(), fresh()];
    const participantIds = [ann, bob, cem, bob];
    const [one, two] = await Promise.all([1, 2].map(() => rest(ann)('POST', '/conversations', { participantIds })));
    assert.notEqual(one.body.id, two.body.id);
    assert.deepEqual([one.body.type, one.body.title], ['group', 'Group']);
    assert.deepEqual([...one.body.participantIds].sort(), [ann, bob, cem]);
    const c = await server.connect(String(cem), { namespace });
    await join(c, one.body.id, cem);
    const a = await server.connect(String(ann), { namespace });
    send(a, ann, one.body.id, 'to all');
    assert.equal((await c.hear('receive-message')).content, 'to all');
  });

  test('POST /conversations refuses what makes no conversation', async () => {
    const [ann, bob, cem] = [fresh(), fresh(), fresh()];
    const wrong = [[], [ann], [bob, cem], [null], [{}], [-1], [''], ['a\0b'], ['x'.repeat(129)], bob, null, undefined,
      [ann, ...Array.from({ length: 1001 }, (_, at) => 10_000_000 + at)]];
    for (const participantIds of wrong) {
      const { status, body } = await rest(ann)('POST', '/conversations', { participantIds });
      assert.equal(status, 400, JSON.stringify(participantIds));
      assert.match(body.message, /^participantIds/);
    }
    assert.deepEqual((await rest(ann)('GET', '/conversations')).body, []);
  });

  test('GET /conversations lists the latest first, with the last message and what is unread', async () => {
    const { ann, bob, conversation } = await pair();
    const other = await rest(bob)('POST', '/conversations', { participantIds: [bob, fresh(), fresh()] });
    const a = await server.connect(String(ann), { namespace });
    for (const content of ['one', 'two']) send(a, ann, conversation, content);
    const [, last] = await a.take('message-sent', 2);
    const { status, body } = await rest(bob)('GET', '/conversations');
    assert.equal(status, 200);
    assert.deepEqual(body.map((entry) => entry.id), [conversation, other.body.id]);
    assert.deepEqual(Object.keys(body[0]).sort(), CONVERSATION);
    assert.deepEqual([body[0].lastMessage, body[0].unreadCount], [last, 2]);
    assert.deepEqual(body[1], other.body);
    const second = await rest(bob)('GET', `/conversations?limit=1&before=${conversation}`);
    assert.deepEqual(second.body.map((entry) => entry.id), [other.body.id]);
    assert.equal((await rest(bob)('GET', '/conversations?limit=1')).body.length, 1);
    for (const query of ['limit=-1', 'before=x', 'before=999999999']) {
      assert.equal((await rest(bob)('GET', `/conversations?${query}`)).status, 400, query);
    }
  });

  test('GET /conversations/:id/messages gives the newest 100, oldest first, and pages back', async () => {
    const { ann, bob, conversation } = await pair();
    const a = await server.connect(String(ann), { namespace });
    for (let at = 0; at < 120; at += 1) send(a, ann, conversation, `${at}`);
    const sent = await a.take('message-sent', 120);
    const get = (query = '') => rest(bob)('GET', `/conversations/${conversation}/messages${query}`);
    const newest = await get();
    assert.deepEqual(newest.body, sent.slice(20));
    assert.deepEqual((await get(`?before=${sent[20].id}`)).body, sent.slice(0, 20));
    assert.deepEqual((await get(`?before=${sent[20].id}&limit=2`)).body, sent.slice(18, 20));
    assert.equal((await get('?limit=1000000000')).body.length, 100);
    for (const query of ['?limit=-1', '?limit=x', '?before=x', '?before=999999999']) {
      assert.equal((await get(query)).status, 400, query);
    }
    await rest(ann)('DELETE', `/messages/${sent[119].id}`);
    assert.deepEqual((await get('?limit=1')).body, []);
    for (const id of [conversation, 999_999_999, 'x']) {
      const { body } = await rest(fresh())('GET', `/conversations/${id}/messages?before=${sent[0].id}`);
      assert.deepEqual(body, { statusCode: 404, message: 'not found', error: 'Not Found' });
    }
  });

  test('PATCH and DELETE /messages/:id are for the sender', async () => {
    const { ann, bob, conversation } = await pair();
    const a = await server.connect(String(ann), { namespace });
    send(a, ann, conversation, 'mine');
    const { id } = await a.hear('message-sent');
    for (const method of ['PATCH', 'DELETE']) {
      const body = method === 'PATCH' ? { content: 'x' } : undefined;
      assert.equal((await rest(bob)(method, `/messages/${id}`, body)).status, 403);
      for (const where of [id, 999_999_999, 'x']) {
        assert.equal((await rest(fresh())(method, `/messages/${where}`, body)).status, 404);
      }
    }
    for (const content of WRONG_TEXTS) {
      const refused = await rest(ann)('PATCH', `/messages/${id}`, { content });
      assert.equal(refused.status, 400);
      assert.match(refused.body.message, /^content: /);
    }
    const list = await rest(bob)('GET', `/conversations/${conversation}/messages`);
    assert.deepEqual(list.body.map((message) => message.content), ['mine']);
    a.emit('send-message', { conversation_id: conversation, message_type: 'image', content: 'https://files.example/a.png' });
    const image = await a.hear('message-sent');
    const edited = await rest(ann)('PATCH', `/messages/${image.id}`, { content: 'https://files.example/b.png' });
    assert.deepEqual(edited.body, { ...image, content: 'https://files.example/b.png' });
  });

  test('without a token that proves somebody, every route answers 401 alike', async () => {
    const routes = [
      ['POST', '/conversations'], ['GET', '/conversations'], ['GET', '/conversations/1/messages'],
      ['PATCH', '/messages/1'], ['DELETE', '/messages/1'],
    ];
    for (const [method, where] of routes) {
      for (const headers of [{}, { authorization: 'Bearer x' }]) {
        const answer = await server.request(method, where, method === 'GET' ? undefined : {}, headers);
        const body = { statusCode: 401, message: 'authentication required', error: 'Unauthorized' };
        assert.deepEqual(answer.body, body, `${method} ${where}`);
      }
    }
  });

  test('conversations, messages and their numbers outlive a restart', async () => {
    const own = await Server.start('gateway');
    try {
      const { body: { id } } = await own.rest('1')('POST', '/conversations', { participantIds: [1, 2] });
      const a = await own.connect('1', { namespace });
      send(a, 1, id, 'kept');
      const sent = await a.hear('message-sent');
      await own.down();
      await a.hear('disconnect');
      await own.up();
      await a.connected();
      assert.equal((await own.rest('2')('POST', '/conversations', { participantIds: [1, 2] })).body.id, id);
      assert.deepEqual((await own.rest('2')('GET', `/conversations/${id}/messages`)).body, [sent]);
      send(a, 1, id, 'after');
      assert.ok((await a.hear('message-sent')).id > sent.id);
    } finally {
      await own.stop();
    }
  });
});
