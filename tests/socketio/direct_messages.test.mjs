// The contract `direct_messages`: every event and acknowledgement, over WebSocket and polling.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Server, TRANSPORTS, WRONG_TEXTS, deep, eventually, sign, token } from './harness.mjs';
import { sharedBackends } from './backends.mjs';
import { tokensEnd } from './expiry.mjs';
import { recorder, render, run } from './documents.mjs';

const MESSAGE = ['content', 'createdAt', 'id', 'receiverId', 'receiverName', 'senderId', 'senderName'];

let server;
before(async () => { server = await Server.start('direct_messages'); });
after(() => server.stop());

const texts = (messages) => messages.map((message) => message.content);
const fresh = (name) => `${name}-${randomUUID()}`;

for (const transport of TRANSPORTS) {
  describe(`direct_messages over ${transport}`, () => {
    const transports = [transport];
    const connect = (user, claims) => server.connect(user, { transports, claims });

    test('send_message is acknowledged and receive_message goes to both, the sending socket included', async () => {
      const [ann, bob] = [fresh('ann'), fresh('bob')];
      const [a, a2, b] = await Promise.all([connect(ann, { name: 'Ann Lee' }), connect(ann, { name: 'Ann Lee' }), connect(bob, { name: 'Bob' })]);
      const before = Date.now();
      const ack = await a.ask('send_message', { receiverId: bob, content: 'Hello, how are you?' });
      assert.deepEqual(Object.keys(ack).sort(), ['messageId', 'success']);
      assert.equal(ack.success, true);
      for (const client of [a, a2, b]) {
        const message = await client.hear('receive_message');
        assert.deepEqual(Object.keys(message).sort(), MESSAGE);
        assert.ok(Number.isSafeInteger(message.id));
        assert.equal(message.id, ack.messageId);
        const { content, senderId, senderName, receiverId, receiverName } = message;
        assert.deepEqual([content, senderId, senderName], ['Hello, how are you?', ann, 'Ann Lee']);
        assert.deepEqual([receiverId, receiverName], [bob, 'Bob']);
        assert.ok(Math.abs(new Date(message.createdAt) - before) < 60_000);
      }
    });

    test('without a callback it works too', async () => {
      const [ann, bob] = [fresh('ann'), fresh('bob')];
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      a.emit('send_message', { receiverId: bob, content: 'no callback' });
      assert.equal((await b.hear('receive_message')).content, 'no callback');
      assert.equal((await a.hear('receive_message')).receiverName, bob, 'who has no name is called by the id');
    });

    test('message ids are numbers, unique over all conversations, that grow', async () => {
      const users = Array.from({ length: 4 }, () => fresh('user'));
      const clients = await Promise.all(users.map((user) => connect(user)));
      const ids = [];
      for (let round = 0; round < 5; round += 1) {
        for (const [at, client] of clients.entries()) {
          const receiverId = users[(at + 1 + (round % 3)) % users.length];
          ids.push((await client.ask('send_message', { receiverId, content: `${round}` })).messageId);
        }
      }
      assert.ok(ids.every(Number.isSafeInteger));
      assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
    });

    test('first messages of a new conversation, sent by both at once, arrive once each and in order', async () => {
      await Promise.all(Array.from({ length: 10 }, async () => {
        const [ann, bob] = [fresh('ann'), fresh('bob')];
        const [a, b] = await Promise.all([connect(ann), connect(bob)]);
        for (let at = 0; at < 5; at += 1) {
          a.emit('send_message', { receiverId: bob, content: `a${at}` });
          b.emit('send_message', { receiverId: ann, content: `b${at}` });
        }
        const [heardA, heardB] = await Promise.all([a.take('receive_message', 10), b.take('receive_message', 10)]);
        assert.deepEqual(heardA, heardB);
        assert.deepEqual(heardA.map((it) => it.id), heardA.map((it) => it.id).sort((x, y) => x - y));
        const of = (letter) => texts(heardA).filter((text) => text.startsWith(letter));
        assert.deepEqual([of('a'), of('b')], [['a0', 'a1', 'a2', 'a3', 'a4'], ['b0', 'b1', 'b2', 'b3', 'b4']]);
        assert.deepEqual(await a.ask('get_messages', { otherUserId: bob }), heardA);
        assert.deepEqual([...a.all('receive_message'), ...b.all('receive_message'), ...a.all('error'), ...b.all('error')], []);
      }));
    });

    test('get_messages gives messages_list: the newest 100, oldest first, unless limit and before ask otherwise', async () => {
      const [ann, bob] = [fresh('ann'), fresh('bob')];
      const [a, b] = await Promise.all([connect(ann, { name: 'Ann' }), connect(bob)]);
      for (let at = 0; at < 120; at += 1) a.emit('send_message', { receiverId: bob, content: `${at}` });
      const heard = await b.take('receive_message', 120);
      const list = async (asked) => {
        b.emit('get_messages', { otherUserId: ann, ...asked });
        return b.hear('messages_list');
      };
      const newest = await list();
      assert.deepEqual(newest, heard.slice(20));
      assert.deepEqual(texts(await list({ limit: 2 })), ['118', '119']);
      assert.deepEqual(texts(await list({ before: newest[0].id })), Array.from({ length: 20 }, (_, at) => `${at}`));
      assert.deepEqual(texts(await list({ before: newest[0].id, limit: 3 })), ['17', '18', '19']);
      assert.equal((await list({ limit: 1_000_000 })).length, 100);
      a.emit('get_messages', { otherUserId: bob });
      assert.deepEqual(await a.hear('messages_list'), newest, 'both see the same');
      b.emit('get_messages', { otherUserId: ann, before: 1e15 });
      assert.match((await b.hear('error')).message, /^before: /);
    });

    test('messages of others are never listed, and who has not been written to has an empty list', async () => {
      const [ann, bob, eve] = [fresh('ann'), fresh('bob'), fresh('eve')];
      const [a, e] = await Promise.all([connect(ann), connect(eve)]);
      const { messageId } = await a.ask('send_message', { receiverId: bob, content: 'ours', senderId: eve });
      for (const otherUserId of [ann, bob, fresh('nobody')]) {
        e.emit('get_messages', { otherUserId, senderId: ann, userId: bob });
        assert.deepEqual(await e.hear('messages_list'), []);
      }
      await e.ask('send_message', { receiverId: bob, content: 'mine', senderId: ann });
      e.emit('get_messages', { otherUserId: bob, before: messageId });
      assert.match((await e.hear('error')).message, /^before: /);
      a.emit('get_messages', { otherUserId: bob });
      const list = await a.hear('messages_list');
      assert.deepEqual(list.map((it) => [it.content, it.senderId]), [['ours', ann]]);
      assert.equal((await e.hear('receive_message')).content, 'mine');
      assert.deepEqual(e.all('receive_message'), []);
    });

    test('a bad token ends the connection at once; a good one counts in either place', async () => {
      const ann = fresh('ann');
      const expired = sign({ sub: ann, exp: Math.floor(Date.now() / 1000) - 10 }, 'your-secret-key');
      const foreign = sign({ sub: ann, exp: Math.floor(Date.now() / 1000) + 3600 }, 'another key');
      const bad = [{}, { auth: { token: 'x' } }, { auth: { token: expired } }, { auth: { token: foreign } },
        { auth: { token: 7 } }, { extraHeaders: { authorization: 'Bearer x' } }];
      for (const options of bad) {
        const client = server.client({ transports, ...options });
        client.emit('send_message', { receiverId: ann, content: 'not mine to send' });
        assert.equal(await client.hear('disconnect'), 'io server disconnect');
        assert.deepEqual(client.all('error'), [{ message: 'authentication required' }]);
        assert.equal(client.socket.active, false, 'it does not try again by itself');
      }
      const good = [{ auth: { token: token(ann) } }, { auth: { token: `Bearer ${token(ann)}` } },
        { extraHeaders: { authorization: `Bearer ${token(ann)}` } }];
      for (const [at, options] of good.entries()) {
        const client = server.client({ transports, ...options });
        await client.connected();
        const ack = await client.ask('send_message', { receiverId: fresh('bob'), content: `${at}` });
        assert.equal(ack.success, true);
        assert.equal((await client.hear('receive_message')).senderId, ann);
      }
    });

    test('a token that has ended is refused; one that ends while connected: error, then closed for good', () => {
      const refused = async (client) => {
        assert.deepEqual(await client.hear('error'), { message: 'authentication required' });
        assert.equal(await client.hear('disconnect'), 'io server disconnect');
      };
      return tokensEnd(server, fresh('ann'), { transports, refused });
    });

    test('malformed payloads get an error, the socket stays, nothing is stored', async () => {
      const [ann, bob] = [fresh('ann'), fresh('bob')];
      const [a, b] = await Promise.all([connect(ann), connect(bob)]);
      for (const payload of [undefined, null, 1, 'text', [], {}, deep(), Buffer.from('x')]) {
        for (const event of ['send_message', 'get_messages']) {
          if (payload === undefined) a.emit(event); else a.emit(event, payload);
          assert.deepEqual(Object.keys(await a.hear('error')), ['message']);
        }
      }
      for (const content of WRONG_TEXTS) {
        const ack = await a.ask('send_message', { receiverId: bob, content });
        const { message } = await a.hear('error');
        assert.match(message, /^content: /);
        assert.deepEqual(ack, { success: false, message });
      }
      a.emit('send_message', { receiverId: bob, content: 'lone \ud800 surrogate' });
      assert.match((await a.hear('error')).message, /^payload: /);
      for (const wrong of [null, 1, true, {}, [], '', ' ', 'a\0b', 'ü'.repeat(100), Buffer.from('x')]) {
        a.emit('send_message', { receiverId: wrong, content: 'x' });
        assert.match((await a.hear('error')).message, /^receiverId: /);
        a.emit('get_messages', { otherUserId: wrong });
        assert.match((await a.hear('error')).message, /^otherUserId: /);
      }
      for (const [field, wrong] of [['limit', 'x'], ['limit', -1], ['limit', {}], ['before', 'x'], ['before', -1], ['before', []]]) {
        a.emit('get_messages', { otherUserId: bob, [field]: wrong });
        assert.match((await a.hear('error')).message, new RegExp(`^${field}: `));
      }
      a.emit('noSuchEvent', 1);
      assert.match((await a.hear('error')).message, /noSuchEvent/);
      assert.equal((await a.ask('send_message', { receiverId: bob, content: 'x'.repeat(32 * 1024) })).success, true);
      const list = await b.ask('get_messages', { otherUserId: ann });
      assert.deepEqual(list.map((it) => it.content.length), [32 * 1024]);
      assert.deepEqual([...a.all('disconnect'), ...a.all('messages_list')], []);
    });
  });
}

describe('direct_messages: over time and over nodes', () => {
  test('history, names and growing ids outlive a restart', async () => {
    const own = await Server.start('direct_messages');
    try {
      const [ann, bob] = [fresh('ann'), fresh('bob')];
      const connect = (user, name) => own.connect(user, { claims: name ? { name } : {} });
      const [a, b] = await Promise.all([connect(ann, 'Ann'), connect(bob, 'Bob')]);
      await a.ask('send_message', { receiverId: bob, content: 'kept' });
      const kept = await b.hear('receive_message');
      await own.down();
      assert.match(await a.hear('disconnect'), /^transport (close|error)$/);
      // It would come back by itself, with the older name.
      a.close();
      await own.up();
      const cem = await connect(fresh('cem'), 'Cem');
      await cem.ask('send_message', { receiverId: ann, content: 'other' });
      const other = await cem.hear('receive_message');
      const again = await connect(bob);
      assert.deepEqual(await again.ask('get_messages', { otherUserId: ann }), [kept], 'names stand in the message');
      assert.ok(other.id > kept.id);
      const renamed = await connect(ann, 'Ann Lee');
      const [shown] = await renamed.ask('get_messages', { otherUserId: bob });
      assert.equal(shown.senderName, 'Ann Lee', 'a newer name is shown');
    } finally {
      await own.stop();
    }
  });

  test('two nodes on Postgres and Redis: messages, ids and names are the same on both', async () => {
    const env = await sharedBackends();
    const nodes = await Promise.all([0, 1].map(() => Server.start('direct_messages', env)));
    try {
      const [ann, bob] = [fresh('ann'), fresh('bob')];
      const a = await nodes[0].connect(ann, { claims: { name: 'Ann' } });
      const b = await nodes[1].connect(bob, { claims: { name: 'Bob' } });
      const contents = Array.from({ length: 50 }, (_, at) => `${at}`);
      for (const content of contents) a.emit('send_message', { receiverId: bob, content });
      const heard = await b.take('receive_message', contents.length);
      assert.deepEqual(texts(heard), contents);
      assert.deepEqual(heard.map((it) => [it.senderName, it.receiverName]), contents.map(() => ['Ann', 'Bob']));
      const ids = (await a.take('receive_message', contents.length)).map((it) => it.id);
      assert.deepEqual(ids, heard.map((it) => it.id));
      await b.ask('send_message', { receiverId: ann, content: 'back' });
      const back = await a.hear('receive_message');
      assert.deepEqual([back.content, back.senderName, back.receiverName], ['back', 'Bob', 'Ann']);
      assert.ok(back.id > Math.max(...ids));
      await nodes[0].down('SIGKILL');
      await b.ask('send_message', { receiverId: ann, content: 'while it was down' });
      await nodes[0].up();
      await a.connected();
      await eventually(async () => texts(await a.ask('get_messages', { otherUserId: bob, limit: 2 })), ['back', 'while it was down']);
      await b.ask('send_message', { receiverId: ann, content: 'again' });
      await a.hear('receive_message', (it) => it.content === 'again');
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  });
});

describe('direct_messages: the front ends of the document, as they stand', () => {
  test('the client', async () => {
    const [ann, bob] = [fresh('ann'), fresh('bob')];
    const b = await server.connect(bob);
    const console = recorder();
    const replace = {
      'http://localhost:3000': server.url,
      'your-jwt-token': token(ann, { name: 'Ann' }),
      'recipient-user-id': bob,
      'other-user-id': bob,
    };
    const { socket } = await run('direct-messages.client.ts', { replace, globals: { console }, names: 'socket' });
    try {
      const heard = await b.hear('receive_message');
      assert.deepEqual([heard.content, heard.senderName], ['Hello!', 'Ann']);
      await eventually(() => console.lines.map(([label]) => label).sort(),
        ['Connected to chat server', 'Conversation history:', 'New message:']);
      const said = (label) => console.lines.find((line) => line[0] === label)[1];
      assert.equal(said('New message:').id, heard.id);
      assert.deepEqual(said('Conversation history:').map((it) => it.id), [heard.id]);
      socket.emit('send_message', { receiverId: bob, content: '' });
      await eventually(() => console.lines.at(-1), ['Error:', 'content: must not be blank']);
    } finally {
      socket.close();
    }
  });

  test('the React component', async () => {
    const [ann, bob] = [fresh('ann'), fresh('bob')];
    const b = await server.connect(bob, { claims: { name: 'Bob' } });
    await b.ask('send_message', { receiverId: ann, content: 'before' });
    const replace = { 'http://localhost:3000': server.url };
    const { ChatComponent } = await run('direct-messages.react.tsx', { replace, names: 'ChatComponent' });
    const page = await render(ChatComponent, { token: token(ann, { name: 'Ann' }), otherUserId: bob });
    try {
      const shown = async () => {
        await page.settle();
        return page.texts((it) => it.type === 'div' && it.findAllByType('strong').length === 1 && !it.findAllByType('input').length && it.findAllByType('div').length === 1);
      };
      await eventually(shown, ['Bob: before']);
      await page.type('typed');
      await page.click();
      assert.equal((await b.hear('receive_message', (it) => it.senderId === ann)).content, 'typed');
      await eventually(shown, ['Bob: before', 'Ann: typed']);
      await b.ask('send_message', { receiverId: ann, content: 'live' });
      await eventually(shown, ['Bob: before', 'Ann: typed', 'Bob: live']);
    } finally {
      await page.close();
    }
  });
});
