// What holds for every contract: handshakes, refusals, order, floods, restarts. On the example `connections`.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { SECRET, Server, TRANSPORTS, deep, sign, token } from './harness.mjs';

const io2 = createRequire(import.meta.url)('socket.io-client-2');
const soon = () => Math.floor(Date.now() / 1000) + 3600;

let server;
before(async () => { server = await Server.start('connections'); });
after(() => server.stop());

/** Somebody with a conversation of their own. */
async function somebody() {
  const ann = `ann-${randomUUID()}`;
  const opened = await server.rest(ann)('POST', '/chat/conversations', { participantId: `bob-${ann}`.slice(0, 60) });
  return { ann, conversationId: opened.body.id };
}

test('2,000 sockets connect and each joins at once: 2,000 confirmations', async () => {
  const { conversationId, ann } = await somebody();
  const users = Array.from({ length: 2000 }, (_, at) => ({ at, user: `crowd-${at}-${ann.slice(-8)}` }));
  const opened = [];
  for (let at = 0; at < users.length; at += 50) {
    const part = users.slice(at, at + 50).map(({ user }) =>
      server.rest(user)('POST', '/chat/conversations', { participantId: ann }));
    opened.push(...await Promise.all(part));
  }
  const confirmed = await Promise.all(users.map(async ({ user }, at) => {
    const client = server.client({ auth: { token: token(user) } });
    const join = { conversationId: opened[at].body.id };
    const answer = await new Promise((resolve, reject) => {
      client.socket.on('connect', () => {
        client.socket.timeout(60_000).emit('joinConversation', join, (error, ack) => (error ? reject(error) : resolve(ack)));
      });
      client.socket.on('connect_error', reject);
    });
    client.close();
    return answer.conversationId === join.conversationId;
  }));
  assert.equal(confirmed.filter(Boolean).length, 2000);
  assert.ok(conversationId);
});

for (const transport of TRANSPORTS) {
  describe(`over ${transport}`, () => {
    const transports = [transport];

    test('socket.io-client 2.x is refused with words that say why', async () => {
      const socket = io2(server.url, { transports, reconnection: false, forceNew: true });
      const error = await new Promise((resolve) => {
        socket.on('connect_error', resolve);
        socket.on('connect', () => resolve(null));
      });
      socket.close();
      assert.ok(error, 'a client of another protocol must not get in');
      const answer = await fetch(`${server.url}/socket.io/?EIO=3&transport=${transport}`);
      assert.equal(answer.status, 400);
      const body = await answer.json();
      assert.equal(body.code, 5);
      assert.match(body.message, /use socket\.io-client 4/);
    });

    test('the token may come in every way that clients know', async () => {
      const ways = [
        { auth: { token: token('ann') } },
        { auth: { token: `Bearer ${token('ann')}` } },
        { auth: (give) => give({ token: token('ann') }) },
        { extraHeaders: { authorization: `Bearer ${token('ann')}` } },
        { extraHeaders: { authorization: token('ann') } },
        { auth: { token: token(7) } },
      ];
      for (const way of ways) {
        const client = server.client({ transports, ...way });
        await client.connected();
        client.close();
      }
    });

    test('tokens that prove nothing get one uniform refusal', async () => {
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
      const claims = { sub: 'ann', exp: soon() };
      const none = sign(claims, '', { alg: 'none' }).replace(/\.[^.]*$/, '.');
      const wrong = {
        none, empty: '', noise: 'a.b.c', number: 7, object: {}, long: 'x'.repeat(20_000),
        otherSecret: sign(claims, 'another'), publicKey: sign(claims, publicKey),
        rs256: sign(claims, SECRET, { alg: 'RS256' }), expired: sign({ ...claims, exp: 1 }, SECRET),
        endless: sign({ sub: 'ann' }, SECRET), nobody: sign({ exp: soon() }, SECRET),
        early: sign({ ...claims, nbf: soon() }, SECRET), absent: undefined,
      };
      for (const [name, token] of Object.entries(wrong)) {
        const client = server.client({ transports, auth: { token } });
        assert.equal((await client.hear('connect_error')).message, 'authentication required', name);
        client.close();
      }
      const nothing = server.client({ transports, auth: deep(200) });
      assert.equal((await nothing.hear('connect_error')).message, 'authentication required');
      nothing.close();
    });

    test('a token that expires while connected: error, then closed for good', async () => {
      const exp = Math.floor(Date.now() / 1000) + 2;
      const client = server.client({ transports, auth: { token: sign({ sub: 'ann', exp }, SECRET) } });
      await client.connected();
      assert.deepEqual(await client.hear('error'), { message: 'the token has expired' });
      assert.equal(await client.hear('disconnect'), 'io server disconnect');
      assert.equal(client.socket.active, false);
    });

    test('a namespace that no contract serves is refused', async () => {
      const client = server.client({ transports, namespace: '/none', auth: { token: token('ann') } });
      assert.equal((await client.hear('connect_error')).message, 'Invalid namespace');
      client.close();
    });

    test('a flood of events is carried out in order, none is lost', async () => {
      const { ann, conversationId } = await somebody();
      const client = await server.connect(ann, { transports });
      const answers = [];
      const all = Array.from({ length: 3000 }, (_, at) => new Promise((resolve) => {
        client.socket.emit('typing', { conversationId, isTyping: at % 2 === 0 }, () => {
          answers.push(at);
          resolve();
        });
      }));
      await Promise.all(all);
      assert.deepEqual(answers, Array.from({ length: 3000 }, (_, at) => at));
      assert.deepEqual(client.all('disconnect'), []);
    });

    test('a message over the limit ends the connection, and the client connects again', async () => {
      const { ann, conversationId } = await somebody();
      const client = await server.connect(ann, { transports });
      client.emit('sendMessage', { conversationId, content: 'x'.repeat(500_000) });
      assert.match((await client.hear('error')).message, /^content: must be at most/);
      client.emit('sendMessage', { conversationId, content: 'x'.repeat(1_100_000) });
      assert.match(await client.hear('disconnect'), /^transport (close|error)$/);
      await client.connected();
      assert.equal((await client.ask('sendMessage', { conversationId, content: 'still here' })).content, 'still here');
    });

    test('a restart is transport close, not goodbye: the client comes back by itself', async () => {
      const own = await Server.start('connections');
      try {
        const client = await own.connect('ann', { transports });
        await own.down();
        assert.match(await client.hear('disconnect'), /^transport (close|error)$/);
        assert.equal(client.socket.active, true);
        await own.up();
        await client.connected();
      } finally {
        await own.stop();
      }
    });
  });
}

test('a client that begins by polling and goes on over a WebSocket loses nothing on the way', async () => {
  const { ann, conversationId } = await somebody();
  const client = server.client({ transports: ['polling', 'websocket'], auth: { token: token(ann) } });
  const texts = Array.from({ length: 60 }, (_, at) => `${at}`);
  const upgraded = new Promise((resolve) => client.socket.io.engine.once('upgrade', resolve));
  for (const content of texts.slice(0, 20)) client.emit('sendMessage', { conversationId, content });
  await client.connected();
  for (const content of texts.slice(20, 40)) client.emit('sendMessage', { conversationId, content });
  await upgraded;
  for (const content of texts.slice(40)) client.emit('sendMessage', { conversationId, content });
  const taken = await client.take('message', texts.length);
  assert.deepEqual(taken.map((message) => message.content), texts);
});

test('pages of other origins are refused, those of the front end are not', async () => {
  const own = await Server.start('connections', { FRONTEND_URL: 'https://app.example' });
  try {
    for (const transport of TRANSPORTS) {
      const connect = (origin) => own.client({
        transports: [transport], reconnection: false, auth: { token: token('ann') }, extraHeaders: { origin },
      });
      await connect('https://app.example').connected();
      await connect('https://evil.example').hear('connect_error');
    }
    const headers = { authorization: `Bearer ${token('ann')}`, origin: 'https://evil.example' };
    const refused = await own.request('POST', '/chat/conversations', { participantId: 'bob' }, headers);
    assert.equal(refused.status, 403);
    const allowed = await own.request('POST', '/chat/conversations', { participantId: 'bob' }, { ...headers, origin: 'https://app.example' });
    assert.equal(allowed.status, 201);
    assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example');
  } finally {
    await own.stop();
  }
});

test('requests that are none of the protocol are refused without a trace', async () => {
  const get = (query, options) => fetch(`${server.url}/socket.io/${query}`, options).then((it) => it.status);
  assert.equal(await get(''), 400);
  assert.equal(await get('?EIO=4'), 400);
  assert.equal(await get('?EIO=4&transport=carrier-pigeon'), 400);
  assert.equal(await get('?EIO=4&transport=websocket'), 400);
  assert.equal(await get('?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA'), 400);
  assert.equal(await get('?EIO=4&transport=polling', { method: 'POST', body: '40' }), 400);
  assert.equal(await get('?EIO=4&transport=polling', { method: 'DELETE' }), 400);
});

test('the examples refuse a default secret where others can reach them', async () => {
  const env = { HOST: '0.0.0.0', JWT_SECRET: '' };
  await assert.rejects(Server.start('connections', env), /JWT_SECRET must be set/);
  await assert.rejects(Server.start('connections', { ...env, JWT_SECRET: 'short' }), /at least 32 bytes/);
});

test('the tests sign as others do', () => {
  const [head, body, signature] = token('ann').split('.');
  assert.equal(createHmac('sha256', SECRET).update(`${head}.${body}`).digest('base64url'), signature);
});
