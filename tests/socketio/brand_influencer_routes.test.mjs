// The contract `brand_influencer` beyond its events: routes, tokens, restarts, several nodes, and the front ends
// of its document.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { Server, TRANSPORTS, eventually, token } from './harness.mjs';
import { sharedBackends } from './backends.mjs';
import { notConnected, tokensEnd } from './expiry.mjs';
import { CONVERSATION, MESSAGE, claims, freshId, person } from './brand_influencer.mjs';
import { recorder, render, run } from './documents.mjs';

let server;
before(async () => { server = await Server.start('brand_influencer', { DEV_TOKENS: '1' }); });
after(() => server.stop());

const API = '/api/chat';
const texts = (answer) => answer.body.map((message) => message.content);

function rest(who, on = server) {
  const ask = on.rest(who.userId, claims(who));
  return (method, where, body) => ask(method, `${API}/${where}`, body);
}

function connect(who, more = {}, on = server) {
  return on.connect(who.userId, { namespace: '/chat', claims: claims(who, more) });
}

function open(one, other, on = server) {
  return rest(one, on)('POST', 'conversations', { participantId: other.userId, participantType: other.userType });
}

async function pair(on = server) {
  const [ann, bob] = [person('brand'), person('influencer')];
  const { body } = await open(ann, bob, on);
  return { ann, bob, conversationId: body.id };
}

describe('brand_influencer: routes', () => {
  test('POST conversations gives one conversation, whichever of the two asks, even at once', async () => {
    const [ann, bob] = [person('brand'), person('influencer')];
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? open(bob, ann) : open(ann, bob))));
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    const [{ status, body }] = answers;
    assert.equal(status, 201);
    assert.deepEqual(Object.keys(body).sort(), CONVERSATION);
    assert.ok(Number.isSafeInteger(body.id));
    assert.deepEqual([body.participantId, body.participantType, body.unreadCount], [bob.userId, 'influencer', 0]);
    assert.deepEqual([body.lastMessage, body.lastMessageAt], [null, null]);
    const [, fromBob] = answers;
    assert.deepEqual([fromBob.body.participantId, fromBob.body.participantType], [ann.userId, 'brand']);
    const asText = await rest(ann)('POST', 'conversations', { participantId: String(bob.userId), participantType: 'influencer' });
    assert.equal(asText.body.id, body.id);
    const namesake = await rest(ann)('POST', 'conversations', { participantId: bob.userId, participantType: 'brand' });
    assert.notEqual(namesake.body.id, body.id);
    for (const [wrong, field] of [[{ participantId: null, participantType: 'brand' }, 'participantId'], [{ participantId: 'a\0', participantType: 'brand' }, 'participantId'],
      [{ participantId: 'x'.repeat(129), participantType: 'brand' }, 'participantId'], [{ participantId: 1, participantType: 'x' }, 'participantType'], [{ participantId: 1 }, 'participantType']]) {
      const refused = await rest(ann)('POST', 'conversations', wrong);
      assert.equal(refused.status, 400);
      assert.match(refused.body.message, new RegExp(`^${field}: `));
    }
  });

  test('GET conversations lists with unread count and last message, the latest first', async () => {
    const { ann, bob, conversationId } = await pair();
    const other = await open(bob, person('brand'));
    await rest(ann)('POST', 'messages', { conversationId, content: 'one' });
    const last = (await rest(ann)('POST', 'messages', { conversationId, content: 'two' })).body;
    const { status, body } = await rest(bob)('GET', 'conversations');
    assert.equal(status, 200);
    assert.deepEqual(body.map((entry) => entry.id), [conversationId, other.body.id]);
    assert.deepEqual([body[0].unreadCount, body[0].lastMessage, body[0].lastMessageAt], [2, last, last.createdAt]);
    assert.deepEqual([body[1].unreadCount, body[1].lastMessage], [0, null]);
    assert.equal((await rest(ann)('GET', 'conversations')).body[0].unreadCount, 0);
    const page = async (query) => (await rest(bob)('GET', `conversations?${query}`)).body.map((entry) => entry.id);
    assert.deepEqual(await page('limit=1'), [conversationId]);
    assert.deepEqual(await page(`limit=1&before=${conversationId}`), [other.body.id]);
    const foreign = await pair();
    for (const query of ['before=x', 'limit=-1', `before=${foreign.conversationId}`, 'before=999999999999']) {
      assert.equal((await rest(bob)('GET', `conversations?${query}`)).status, 400, query);
    }
  });

  test('GET conversations/:id/messages gives the newest 100, oldest first, and pages back', async () => {
    const { ann, bob, conversationId } = await pair();
    const a = await connect(ann);
    for (let at = 0; at < 120; at += 1) a.emit('message:send', { conversationId, content: `${at}` });
    const sent = await a.take('message:sent', 120);
    const get = (query = '') => rest(bob)('GET', `conversations/${conversationId}/messages${query}`);
    const newest = await get();
    assert.deepEqual(newest.body, sent.slice(20).map((it) => it.message));
    const before = newest.body[0].id;
    assert.deepEqual(texts(await get(`?before=${before}`)), Array.from({ length: 20 }, (_, at) => `${at}`));
    assert.deepEqual(texts(await get(`?before=${before}&limit=2`)), ['18', '19']);
    await rest(bob)('PUT', `conversations/${conversationId}/read`, { messageId: newest.body[1].id });
    const read = (await get('?limit=100')).body.map((it) => it.isRead);
    assert.deepEqual(read, read.map((_, at) => at < 2));
    for (const query of ['?limit=x', '?before=x', '?before=999999999999']) assert.equal((await get(query)).status, 400, query);
  });

  test('POST messages sends as a socket does, and the same tempId is the same message', async () => {
    const { ann, bob, conversationId } = await pair();
    const [a, b, b2] = await Promise.all([connect(ann), connect(bob), connect(bob)]);
    await b.ask('conversation:join', { conversationId });
    const body = { conversationId, content: 'over HTTP', messageType: 'file', attachmentUrl: 'https://example.com/a', tempId: 1 };
    const sent = await rest(ann)('POST', 'messages', body);
    assert.equal(sent.status, 201);
    assert.deepEqual(Object.keys(sent.body).sort(), MESSAGE);
    assert.deepEqual(await b.hear('message:new'), sent.body);
    assert.deepEqual(await a.hear('message:new'), sent.body, 'the own devices');
    assert.deepEqual(await b2.hear('message:notification'), { conversationId, message: sent.body });
    assert.equal((await rest(ann)('POST', 'messages', body)).body.id, sent.body.id);
    for (const [wrong, field] of [[{ content: '' }, 'content'], [{ content: 7 }, 'content'], [{ content: 'x', tempId: [] }, 'tempId'], [{ content: 'x', messageType: 'x' }, 'messageType']]) {
      const refused = await rest(ann)('POST', 'messages', { conversationId, ...wrong });
      assert.equal(refused.status, 400);
      assert.match(refused.body.message, new RegExp(`^${field}: `));
    }
    assert.deepEqual(texts(await rest(bob)('GET', `conversations/${conversationId}/messages`)), ['over HTTP']);
  });

  test('PUT conversations/:id/read marks up to a message, or all without a body; unread-count follows', async () => {
    const { ann, bob, conversationId } = await pair();
    const a = await connect(ann);
    await a.ask('conversation:join', { conversationId });
    const ids = [];
    for (const content of ['one', 'two', 'three']) ids.push((await a.ask('message:send', { conversationId, content })).message.id);
    assert.deepEqual((await rest(bob)('GET', 'unread-count')).body, { count: 3 });
    const some = await rest(bob)('PUT', `conversations/${conversationId}/read`, { messageId: ids[0] });
    assert.deepEqual(some.body, { conversationId, messageId: ids[0] });
    assert.deepEqual(await a.hear('message:read'), { conversationId, messageId: ids[0], readBy: { ...bob } });
    assert.deepEqual((await rest(bob)('GET', 'unread-count')).body, { count: 2 });
    const all = await rest(bob)('PUT', `conversations/${conversationId}/read`);
    assert.deepEqual([all.status, all.body], [200, { conversationId, messageId: ids[2] }]);
    assert.deepEqual((await rest(bob)('GET', 'unread-count')).body, { count: 0 });
    const bare = await fetch(`${server.url}${API}/conversations/${conversationId}/read`, { method: 'PUT', headers: { authorization: `Bearer ${token(bob.userId, claims(bob))}` } });
    assert.equal(bare.status, 200, 'without a content type');
    const wrong = await rest(bob)('PUT', `conversations/${conversationId}/read`, { messageId: 'x' });
    assert.match(wrong.body.message, /^messageId: /);
  });

  test('DELETE conversations/:id hides it and its history for the caller until a new message comes', async () => {
    const { ann, bob, conversationId } = await pair();
    await rest(ann)('POST', 'messages', { conversationId, content: 'old' });
    assert.equal((await rest(bob)('DELETE', `conversations/${conversationId}`)).status, 200);
    assert.deepEqual((await rest(bob)('GET', 'conversations')).body, []);
    assert.deepEqual(texts(await rest(bob)('GET', `conversations/${conversationId}/messages`)), []);
    assert.deepEqual((await rest(bob)('GET', 'unread-count')).body, { count: 0 });
    assert.deepEqual((await rest(ann)('GET', 'conversations')).body.map((it) => it.id), [conversationId]);
    assert.deepEqual(texts(await rest(ann)('GET', `conversations/${conversationId}/messages`)), ['old']);
    await rest(ann)('POST', 'messages', { conversationId, content: 'new' });
    const [entry] = (await rest(bob)('GET', 'conversations')).body;
    assert.deepEqual([entry.id, entry.unreadCount, entry.lastMessage.content], [conversationId, 1, 'new']);
    assert.deepEqual(texts(await rest(bob)('GET', `conversations/${conversationId}/messages`)), ['new']);
  });

  test('strangers get 404 as for what does not exist, and nobody without a token gets further than 401', async () => {
    const { ann, conversationId } = await pair();
    const routes = (id) => [
      ['GET', `conversations/${id}/messages`], ['PUT', `conversations/${id}/read`, {}], ['DELETE', `conversations/${id}`],
      ['POST', 'messages', { conversationId: Number(id) || 0, content: 'x' }],
    ];
    const stranger = rest({ userId: ann.userId, userType: 'influencer' });
    for (const id of [conversationId, '999999999999', '0']) {
      for (const [method, where, body] of routes(id)) {
        const answer = await stranger(method, where, body);
        assert.deepEqual(answer.body, { statusCode: 404, message: 'not found', error: 'Not Found' }, `${method} ${where}`);
      }
    }
    assert.equal((await rest(ann)('GET', 'conversations/x/messages')).status, 404);
    const all = [...routes(conversationId), ['GET', 'conversations'], ['POST', 'conversations', {}], ['GET', 'unread-count']];
    for (const [method, where, body] of all) {
      for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: `Bearer ${token('7')}` }]) {
        const answer = await server.request(method, `${API}/${where}`, body, headers);
        assert.equal(answer.status, 401, `${method} ${where}`);
      }
    }
  });
});

describe('brand_influencer: tokens', () => {
  for (const transport of TRANSPORTS) {
    const attempt = async (on, auth, more = {}) => {
      const client = on.client({ namespace: '/chat', transports: [transport], auth, ...more });
      return Promise.race([client.hear('connection:success'), client.hear('connect_error').then((error) => error.message)]);
    };

    test(`a token with a type is needed, Bearer before it or not, over ${transport}`, async () => {
      const who = person('brand');
      const good = token(who.userId, claims(who));
      for (const [auth, more] of [[{ token: good }], [{ token: `Bearer ${good}` }], [{}, { extraHeaders: { authorization: `Bearer ${good}` } }]]) {
        assert.equal((await attempt(server, auth, more)).userId, who.userId);
      }
      for (const bad of [undefined, 'x', token('7'), token('7', { userType: 'admin' }), token('7', { userType: 7 })]) {
        assert.equal(await attempt(server, { token: bad }), 'authentication required');
      }
    });

    test(`a token that has ended is refused; one that ends while connected: error, then closed for good, over ${transport}`, () => {
      const options = { namespace: '/chat', transports: [transport], claims: { userType: 'brand' } };
      return tokensEnd(server, freshId(), { ...options, refused: notConnected, route: `${API}/conversations` });
    });

    test(`123:influencer works only with DEV_TOKENS=1 on loopback, over ${transport}`, async () => {
      const { socketId, ...who } = await attempt(server, { token: '123:influencer' });
      assert.deepEqual(who, { userId: 123, userType: 'influencer' });
      assert.equal((await attempt(server, { token: 'Bearer 456:brand' })).userType, 'brand');
      for (const bad of ['123:admin', '123:', ':brand', '123']) assert.equal(await attempt(server, { token: bad }), 'authentication required');
      const others = [{}, { DEV_TOKENS: '0' }, { DEV_TOKENS: '1', HOST: '0.0.0.0', JWT_SECRET: 'x'.repeat(32) }];
      await Promise.all(others.map(async (env) => {
        const other = await Server.start('brand_influencer', env);
        try {
          assert.equal(await attempt(other, { token: '123:influencer' }), 'authentication required', JSON.stringify(env));
          const headers = { authorization: 'Bearer 123:influencer' };
          assert.equal((await other.request('GET', `${API}/conversations`, undefined, headers)).status, 401);
        } finally {
          await other.stop();
        }
      }));
    });
  }
});

describe('brand_influencer: over time and over nodes', () => {
  test('conversations, ids, names and tempIds outlive a restart', async () => {
    const own = await Server.start('brand_influencer');
    try {
      const { ann, bob, conversationId } = await pair(own);
      const a = await connect(ann, { name: 'Ann' }, own);
      const { message } = await a.ask('message:send', { conversationId, content: 'kept', tempId: 9 });
      await own.down();
      assert.match(await a.hear('disconnect'), /^transport (close|error)$/);
      await own.up();
      assert.equal((await open(bob, ann, own)).body.id, conversationId);
      assert.deepEqual((await rest(bob, own)('GET', `conversations/${conversationId}/messages`)).body.map((it) => [it.id, it.sender.username]), [[message.id, 'Ann']]);
      await a.connected();
      const again = await a.ask('message:send', { conversationId, content: 'kept', tempId: 9 });
      assert.equal(again.message.id, message.id);
      const next = await a.ask('message:send', { conversationId, content: 'next', tempId: 10 });
      assert.ok(next.message.id > message.id);
    } finally {
      await own.stop();
    }
  });

  test('two nodes on Postgres and Redis are one: ids, rooms, typing, presence, read marks', async () => {
    const env = await sharedBackends();
    const nodes = await Promise.all([0, 1].map(() => Server.start('brand_influencer', env)));
    try {
      const { ann, bob, conversationId } = await pair(nodes[0]);
      assert.equal((await open(bob, ann, nodes[1])).body.id, conversationId);
      const a = await connect(ann, { name: 'Ann' }, nodes[0]);
      const b = await connect(bob, {}, nodes[1]);
      assert.deepEqual(await a.hear('user:online'), { ...bob });
      await Promise.all([a, b].map((client) => client.ask('conversation:join', { conversationId })));
      const contents = Array.from({ length: 50 }, (_, at) => `${at}`);
      for (const content of contents) a.emit('message:send', { conversationId, content, tempId: content });
      const heard = await b.take('message:new', contents.length);
      assert.deepEqual(heard.map((it) => it.content), contents);
      assert.equal(heard[0].sender.username, 'Ann', 'known to the other node by the message');
      assert.deepEqual((await a.take('message:sent', contents.length)).map((it) => it.message.id), heard.map((it) => it.id));
      b.emit('typing:start', { conversationId });
      assert.deepEqual(await a.hear('typing:start'), { conversationId, user: { ...bob } });
      b.emit('message:read', { conversationId });
      assert.equal((await a.hear('message:read')).messageId, heard.at(-1).id);
      a.emit('user:check:online', { ...bob });
      assert.equal((await a.hear('user:online:status')).isOnline, true);
      b.close();
      assert.deepEqual(await a.hear('user:offline'), { ...bob });
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  });
});

describe('brand_influencer: the front ends of the document, as they stand', () => {
  test('the client, event by event', async () => {
    const { ann, bob, conversationId } = await pair();
    const b = await connect(bob);
    await b.ask('conversation:join', { conversationId });
    const { message } = await b.ask('message:send', { conversationId, content: 'read me' });
    const console = recorder();
    const replace = {
      'http://your-backend-url': server.url,
      'conversationId: 123': `conversationId: ${conversationId}`,
      'messageId: 456': `messageId: ${message.id}`,
      'userId: 789': `userId: ${bob.userId}`,
      "userType: 'brand'": `userType: '${bob.userType}'`,
    };
    const { socket } = await run('brand-influencer.client.js', { replace, globals: { console, ...ann }, names: 'socket' });
    const said = (label) => console.lines.filter((line) => line[0] === label).map((line) => line[1]);
    const hear = async (label) => {
      await eventually(() => said(label).length > 0, true);
      return said(label)[0];
    };
    try {
      assert.deepEqual(await hear('Connected to chat server:'), { ...ann, socketId: socket.id });
      assert.equal((await hear('Joined conversation:')).conversationId, conversationId);
      assert.equal((await hear('Left conversation:')).conversationId, conversationId);
      const sent = await hear('Message sent:');
      assert.equal(typeof sent.tempId, 'number');
      assert.deepEqual(await b.hear('message:new'), sent.message);
      assert.equal((await hear('Marked as read:')).messageId, message.id);
      assert.deepEqual((await b.hear('message:read')).readBy, { ...ann });
      // It stops in the same breath, which may be all that is told.
      assert.deepEqual((await b.hear('typing:stop')).user, { ...ann });
      assert.equal((await hear('User online status:')).isOnline, true);
      assert.deepEqual(await hear('User came online:'), { ...bob });
      b.emit('message:send', { conversationId, content: 'out of the room' });
      assert.equal((await hear('New message notification:')).message.content, 'out of the room');
      socket.emit('conversation:join', { conversationId });
      await eventually(() => said('Joined conversation:').length, 2);
      b.emit('message:send', { conversationId, content: 'in the room' });
      assert.equal((await hear('New message received:')).content, 'in the room');
      b.emit('typing:start', { conversationId });
      assert.deepEqual((await hear('User is typing:')).user, { ...bob });
      b.emit('typing:stop', { conversationId });
      await hear('User stopped typing:');
      b.emit('message:read', { conversationId });
      assert.deepEqual((await hear('Messages marked as read:')).readBy, { ...bob });
      socket.emit('message:send', { conversationId, content: '', tempId: 4 });
      assert.equal((await hear('Message failed:')).tempId, 4);
      b.close();
      assert.deepEqual(await hear('User went offline:'), { ...bob });
    } finally {
      socket.close();
    }
  });

  test('the lines for the console of a browser', async () => {
    const own = await Server.start('brand_influencer', { DEV_TOKENS: '1' });
    try {
      const [one, two] = [{ userId: 1, userType: 'influencer' }, { userId: 2, userType: 'brand' }];
      const { body } = await open(one, two, own);
      assert.equal(body.id, 1, 'the first conversation of a new database');
      const b = await connect(two, {}, own);
      await b.ask('conversation:join', { conversationId: 1 });
      const { socket } = await run('brand-influencer.console.js', { replace: { 'http://localhost:3000': own.url }, globals: { io, console: recorder() }, names: 'socket' });
      assert.equal((await b.hear('message:new')).content, 'Test message');
      socket.close();
    } finally {
      await own.stop();
    }
  });

  test('the React component', async () => {
    const { ann, bob, conversationId } = await pair();
    const b = await connect(bob);
    await b.ask('conversation:join', { conversationId });
    let played = 0;
    class Audio { play() { played += 1; } }
    const globals = { Audio, console: recorder() };
    const replace = { 'http://localhost:3000': server.url };
    const { ChatComponent } = await run('brand-influencer.react.jsx', { replace, globals, names: 'ChatComponent' });
    const page = await render(ChatComponent, { ...ann, conversationId });
    const of = (name) => async () => {
      await page.settle();
      return page.texts((it) => it.props.className?.split(' ').includes(name));
    };
    const lines = async (name) => (await page.settle(), page.texts((it) => it.type === 'p' && it.parent.props.className === `message ${name}`));
    try {
      await eventually(() => globals.console.lines.map(([label]) => label), ['Connected:']);
      // It has joined once a typing of the other is shown, which is told again while it goes on.
      await eventually(async () => (b.emit('typing:start', { conversationId }), (await of('typing-indicator')()).length), 1);
      await b.ask('message:send', { conversationId, content: 'Hello brand' });
      await eventually(() => lines('received'), ['Hello brand']);
      await eventually(of('typing-indicator'), []);
      assert.equal(played, 1);
      await page.type('Hello influencer');
      assert.deepEqual((await b.hear('typing:start')).user, { ...ann });
      await page.press('Enter');
      const message = await b.hear('message:new');
      assert.deepEqual([message.content, message.senderType], ['Hello influencer', 'brand']);
      await b.hear('typing:stop');
      await eventually(() => lines('sent'), ['Hello influencer']);
      b.emit('message:read', { conversationId });
      await eventually(of('read-receipt'), ['✓✓']);
      assert.equal(played, 1, 'the own message is not told again');
    } finally {
      await page.close();
    }
  });
});
