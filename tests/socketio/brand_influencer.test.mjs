// The contract `brand_influencer` on sockets: every event, over WebSocket and polling.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, TRANSPORTS, WRONG_TEXTS, deep } from './harness.mjs';
import { MESSAGE, claims, freshId, person } from './brand_influencer.mjs';

let server;
before(async () => { server = await Server.start('brand_influencer'); });
after(() => server.stop());

for (const transport of TRANSPORTS) {
  describe(`brand_influencer over ${transport}`, () => {
    const connect = (who, more) => server.connect(who.sub ?? who.userId, { namespace: '/chat', transports: [transport], claims: claims(who, more) });

    /** A brand and an influencer, their conversation, and a socket of each that may have joined it. */
    async function pair({ joined = true } = {}) {
      const [ann, bob] = [person('brand'), person('influencer')];
      const opened = await server.rest(ann.userId, claims(ann))('POST', '/api/chat/conversations', { participantId: bob.userId, participantType: bob.userType });
      assert.equal(opened.status, 201);
      const conversationId = opened.body.id;
      const [a, b] = await Promise.all([connect(ann, { name: 'Ann Lee', picture: 'https://example.com/ann.png' }), connect(bob)]);
      if (joined) await Promise.all([a, b].map((client) => client.ask('conversation:join', { conversationId })));
      return { ann, bob, a, b, conversationId };
    }
    const silent = (client, ...events) => assert.deepEqual(events.flatMap((event) => client.all(event)), []);

    test('connection:success says who is connected, ids as numbers also when the sub is a text', async () => {
      const userId = freshId();
      for (const sub of [userId, String(userId)]) {
        for (const userType of ['brand', 'influencer']) {
          const client = await connect({ sub, userType });
          assert.deepEqual(await client.hear('connection:success'), { userId, userType, socketId: client.socket.id });
        }
      }
      const text = await connect({ sub: `u-${userId}`, userType: 'brand' });
      assert.equal((await text.hear('connection:success')).userId, `u-${userId}`);
    });

    test('conversation:join and conversation:leave are confirmed and decide what is heard', async () => {
      const { a, b, conversationId } = await pair({ joined: false });
      b.emit('conversation:join', { conversationId });
      const joined = await b.hear('conversation:joined');
      assert.deepEqual(joined, { conversationId, room: joined.room });
      assert.equal(typeof joined.room, 'string');
      await a.ask('message:send', { conversationId, content: 'one' });
      assert.equal((await b.hear('message:new')).content, 'one');
      b.emit('conversation:leave', { conversationId });
      assert.deepEqual(await b.hear('conversation:left'), joined);
      await a.ask('message:send', { conversationId, content: 'two' });
      const { conversationId: told, message } = await b.hear('message:notification');
      assert.deepEqual([told, message.content], [conversationId, 'two']);
      silent(b, 'message:new', 'message:notification');
    });

    test('message:send: message:sent to the socket, message:new to the room and the own devices, a notification to the rest', async () => {
      const { ann, bob, a, b, conversationId } = await pair();
      const [a2, b2] = await Promise.all([connect(ann), connect(bob)]);
      const tempId = Date.now();
      const ack = await a.ask('message:send', { conversationId, content: 'Hello!', messageType: 'text', tempId });
      const sent = await a.hear('message:sent');
      assert.deepEqual(sent, { tempId, message: sent.message });
      assert.deepEqual(ack, sent);
      const { message } = sent;
      assert.deepEqual(Object.keys(message).sort(), MESSAGE);
      assert.ok(Number.isSafeInteger(message.id));
      assert.deepEqual([message.conversationId, message.content, message.messageType], [conversationId, 'Hello!', 'text']);
      assert.deepEqual([message.senderType, message.isRead], ['brand', false]);
      assert.deepEqual([message.attachmentUrl, message.attachmentName], [null, null]);
      assert.deepEqual(message.sender, { id: ann.userId, username: 'Ann Lee', firstName: null, lastName: null, profileImage: 'https://example.com/ann.png' });
      assert.ok(Math.abs(new Date(message.createdAt) - tempId) < 60_000);
      assert.deepEqual(await b.hear('message:new'), message);
      assert.deepEqual(await a2.hear('message:new'), message);
      assert.deepEqual(await b2.hear('message:notification'), { conversationId, message });
      // What would have been told too much is told before the next one.
      b.emit('message:send', { conversationId, content: 'Hi' });
      assert.equal((await a.hear('message:new')).content, 'Hi');
      assert.equal((await b2.hear('message:new')).content, 'Hi');
      const back = await b.hear('message:sent');
      assert.equal(back.tempId, null);
      assert.deepEqual(back.message.sender, { id: bob.userId, username: null, firstName: null, lastName: null, profileImage: null });
      assert.deepEqual((await a2.hear('message:notification')).message, back.message);
      silent(a, 'message:new', 'message:notification', 'message:error');
      silent(b, 'message:new', 'message:notification', 'message:error');
      silent(a2, 'message:new', 'message:notification', 'message:sent');
      silent(b2, 'message:new', 'message:notification', 'message:sent');
    });

    test('messages come in order and their ids grow within the conversation', async () => {
      const { a, b, conversationId } = await pair();
      const texts = Array.from({ length: 100 }, (_, at) => `${at}`);
      for (const content of texts) a.emit('message:send', { conversationId, content, tempId: content });
      const heard = await b.take('message:new', texts.length);
      assert.deepEqual(heard.map((it) => it.content), texts);
      const ids = heard.map((it) => it.id);
      assert.deepEqual(ids, [...new Set(ids)].sort((x, y) => x - y));
      const sent = await a.take('message:sent', texts.length);
      assert.deepEqual(sent.map((it) => [it.tempId, it.message.id]), heard.map((it) => [it.content, it.id]));
    });

    test('brand 7 and influencer 7 are two people, whose ids are numbers everywhere', async () => {
      const userId = freshId();
      const [brand, influencer] = [{ userId, userType: 'brand' }, { userId, userType: 'influencer' }];
      const a = await connect(brand);
      const other = await server.rest(userId, claims(brand))('POST', '/api/chat/conversations', { participantId: userId, participantType: 'influencer' });
      assert.deepEqual([other.body.participantId, other.body.participantType, other.body.participant.id], [userId, 'influencer', userId]);
      const conversationId = other.body.id;
      const b = await connect({ sub: String(userId), userType: 'influencer' });
      assert.deepEqual(await a.hear('user:online'), influencer);
      await Promise.all([a, b].map((client) => client.ask('conversation:join', { conversationId })));
      a.emit('typing:start', { conversationId });
      assert.deepEqual((await b.hear('typing:start')).user, brand);
      await a.ask('message:send', { conversationId, content: 'to my namesake' });
      const message = await b.hear('message:new');
      assert.deepEqual([message.sender.id, message.senderType], [userId, 'brand']);
      assert.deepEqual((await server.rest(userId, claims(brand))('GET', '/api/chat/unread-count')).body, { count: 0 });
      assert.deepEqual((await server.rest(userId, claims(influencer))('GET', '/api/chat/unread-count')).body, { count: 1 });
      b.emit('message:read', { conversationId, messageId: message.id });
      assert.deepEqual((await a.hear('message:read')).readBy, influencer);
      b.close();
      assert.deepEqual(await a.hear('user:offline'), influencer);
    });

    test('the same tempId with the same content is one message, with other content another; it comes back as it was', async () => {
      const { a, b, conversationId } = await pair();
      const send = async (tempId, content) => {
        a.emit('message:send', { conversationId, content, tempId });
        const sent = await a.hear('message:sent');
        assert.strictEqual(sent.tempId, tempId);
        return sent.message.id;
      };
      const first = await send(5, 'hi');
      assert.equal(await send(5, 'hi'), first);
      const others = [await send(5, 'ho'), await send(6, 'hi'), await send('5', 'hi'), await send('uuid-like', 'hi'), await send(1.5, 'hi')];
      assert.equal(new Set([first, ...others]).size, 6);
      assert.equal(await send(5, 'hi'), first, 'also later');
      const heard = await b.take('message:new', 6);
      assert.deepEqual(heard.map((it) => it.id), [first, ...others]);
      silent(b, 'message:new');
      a.emit('message:send', { conversationId, content: ' ', tempId: 'mine' });
      assert.deepEqual(await a.hear('message:error'), { error: 'content: must not be blank', tempId: 'mine' });
    });

    test('pictures and files have an attachment', async () => {
      const { a, b, conversationId } = await pair();
      const attachmentUrl = 'https://example.com/file.pdf';
      for (const [messageType, content] of [['image', ''], ['file', 'see this'], ['text', 'with a file']]) {
        await a.ask('message:send', { conversationId, messageType, content, attachmentUrl, attachmentName: 'file.pdf' });
        const heard = await b.hear('message:new');
        assert.deepEqual([heard.messageType, heard.content, heard.attachmentUrl, heard.attachmentName], [messageType, content, attachmentUrl, 'file.pdf']);
      }
      const bad = [
        [{ messageType: 'image' }, /^attachmentUrl: /],
        [{ messageType: 'image', attachmentUrl: 'javascript:alert(1)' }, /^attachmentUrl: /],
        [{ messageType: 'file', attachmentUrl: 7 }, /^attachmentUrl: /],
        [{ messageType: 'file', attachmentUrl, attachmentName: 'a\0b' }, /^attachmentName: /],
        [{ content: 'x', attachmentName: 'file.pdf' }, /^attachmentName: /],
        [{ content: 'x', messageType: 'system' }, /^messageType: /],
        [{ content: 'x', messageType: 7 }, /^messageType: /],
      ];
      for (const [payload, error] of bad) {
        a.emit('message:send', { conversationId, tempId: 1, ...payload });
        const refused = await a.hear('message:error');
        assert.match(refused.error, error);
        assert.equal(refused.tempId, 1);
      }
    });

    test('message:read marks up to a message, or all, and tells the room', async () => {
      const { ann, bob, a, b, conversationId } = await pair();
      const elsewhere = await connect(ann);
      for (const content of ['one', 'two', 'three']) await a.ask('message:send', { conversationId, content });
      const [, two, three] = await b.take('message:new', 3);
      const count = async () => (await server.rest(bob.userId, claims(bob))('GET', '/api/chat/unread-count')).body;
      assert.deepEqual(await count(), { count: 3 });
      b.emit('message:read', { conversationId, messageId: two.id });
      assert.deepEqual(await b.hear('message:read:success'), { conversationId, messageId: two.id });
      assert.deepEqual(await a.hear('message:read'), { conversationId, messageId: two.id, readBy: { ...bob } });
      assert.deepEqual(await count(), { count: 1 });
      b.emit('message:read', { conversationId });
      assert.deepEqual(await b.hear('message:read:success'), { conversationId, messageId: three.id });
      assert.deepEqual(await a.hear('message:read'), { conversationId, messageId: three.id, readBy: { ...bob } });
      assert.deepEqual(await count(), { count: 0 });
      await a.ask('message:send', { conversationId, content: 'four' });
      await elsewhere.hear('message:new', (it) => it.content === 'four');
      silent(elsewhere, 'message:read');
      silent(b, 'message:read');
      const foreign = await pair();
      const { message } = await foreign.a.ask('message:send', { conversationId: foreign.conversationId, content: 'x' });
      for (const messageId of [message.id, 1e15]) {
        b.emit('message:read', { conversationId, messageId });
        assert.match((await b.hear('message:error')).error, /^messageId: /);
      }
    });

    test('typing:start and typing:stop go to the others in the room, with the user', async () => {
      const { ann, bob, a, b, conversationId } = await pair();
      const [a2, b2] = await Promise.all([connect(ann), connect(bob)]);
      await a2.ask('conversation:join', { conversationId });
      const typing = { conversationId, user: { ...ann } };
      a.emit('typing:start', { conversationId });
      assert.deepEqual(await b.hear('typing:start'), typing);
      a.emit('typing:stop', { conversationId });
      assert.deepEqual(await b.hear('typing:stop'), typing);
      for (const client of [a, a2, b2]) silent(client, 'typing:start', 'typing:stop');
    });

    test('typing stops by itself: after 6 s, on send and on disconnect', async () => {
      const ends = {
        later: () => {},
        send: (a, conversationId) => a.emit('message:send', { conversationId, content: 'sent' }),
        disconnect: (a) => a.close(),
      };
      await Promise.all(Object.entries(ends).map(async ([name, end]) => {
        const { a, b, conversationId } = await pair();
        const began = Date.now();
        a.emit('typing:start', { conversationId });
        await b.hear('typing:start');
        end(a, conversationId);
        await b.hear('typing:stop');
        const took = Date.now() - began;
        assert.ok(name === 'later' ? took > 5000 && took < 8000 : took < 3000, `${name}: ${took} ms`);
      }));
    });

    test('user:online, user:offline and user:check:online, for those who share a conversation', async () => {
      const { ann, bob, a, b } = await pair();
      const eve = await connect(person('brand'));
      const check = async (client, who) => {
        client.emit('user:check:online', { ...who });
        return client.hear('user:online:status');
      };
      assert.deepEqual(await check(a, bob), { ...bob, isOnline: true });
      assert.deepEqual(await check(a, { ...bob, userId: String(bob.userId) }), { ...bob, isOnline: true });
      assert.deepEqual(await check(a, { ...bob, userType: 'brand' }), { userId: bob.userId, userType: 'brand', isOnline: false });
      assert.deepEqual(await check(eve, bob), { ...bob, isOnline: false }, 'no business of a stranger');
      await a.hear('user:online', (it) => it.userId === bob.userId);
      b.close();
      assert.deepEqual(await a.hear('user:offline'), { ...bob });
      assert.deepEqual(await check(a, bob), { ...bob, isOnline: false });
      const again = await connect(bob);
      assert.deepEqual(await a.hear('user:online'), { ...bob });
      assert.deepEqual(await again.hear('user:online'), { ...ann });
      silent(eve, 'user:online', 'user:offline');
    });

    test('malformed payloads get message:error, the socket stays, nothing is stored', async () => {
      const { ann, a, b, conversationId } = await pair();
      const events = ['conversation:join', 'conversation:leave', 'message:send', 'message:read', 'typing:start', 'typing:stop', 'user:check:online'];
      for (const payload of [undefined, null, 1, 'text', [], {}, deep(), Buffer.from('x')]) {
        for (const event of events) {
          if (payload === undefined) a.emit(event); else a.emit(event, payload);
          const refused = await a.hear('message:error');
          assert.deepEqual(Object.keys(refused).sort(), ['error', 'tempId']);
          assert.equal(refused.tempId, null);
        }
      }
      for (const event of events.slice(0, 6)) {
        for (const wrong of [null, -1, 1.5, 'x', '', {}, [], 2 ** 53, Buffer.from('x')]) {
          a.emit(event, { conversationId: wrong, content: 'x' });
          assert.match((await a.hear('message:error')).error, /^conversationId: /);
        }
      }
      for (const content of WRONG_TEXTS) {
        const ack = await a.ask('message:send', { conversationId, content, tempId: 'bad' });
        assert.match(ack.error, /^content: /);
        assert.deepEqual(await a.hear('message:error'), ack);
        assert.equal(ack.tempId, 'bad');
      }
      for (const tempId of [true, {}, [], 'x'.repeat(129), Buffer.from('x')]) {
        a.emit('message:send', { conversationId, content: 'x', tempId });
        const refused = await a.hear('message:error');
        assert.match(refused.error, /^tempId: /);
        assert.equal(refused.tempId, null);
      }
      a.emit('message:send', { conversationId, content: 'lone \ud800 surrogate' });
      assert.match((await a.hear('message:error')).error, /^payload: /);
      for (const messageId of [-1, 'x', {}, [], true]) {
        a.emit('message:read', { conversationId, messageId });
        assert.match((await a.hear('message:error')).error, /^messageId: /);
      }
      for (const [payload, field] of [[{ userId: null, userType: 'brand' }, 'userId'], [{ userId: 'a\0b', userType: 'brand' }, 'userId'],
        [{ userId: 'x'.repeat(200), userType: 'brand' }, 'userId'], [{ userId: 1, userType: 'admin' }, 'userType'], [{ userId: 1 }, 'userType']]) {
        a.emit('user:check:online', payload);
        assert.match((await a.hear('message:error')).error, new RegExp(`^${field}: `));
      }
      a.emit('noSuchEvent', 1);
      assert.match((await a.hear('message:error')).error, /noSuchEvent/);
      const ok = await a.ask('message:send', { conversationId, content: 'x'.repeat(32 * 1024) });
      assert.equal(ok.message.content.length, 32 * 1024);
      assert.equal((await b.hear('message:new')).id, ok.message.id);
      const list = await server.rest(ann.userId, claims(ann))('GET', `/api/chat/conversations/${conversationId}/messages`);
      assert.equal(list.body.length, 1);
      assert.deepEqual([...a.all('disconnect'), ...b.all('message:new'), ...b.all('message:read')], []);
    });

    test('a stranger reaches nothing, and is answered as if it were not there', async () => {
      const { ann, a, conversationId } = await pair();
      await a.ask('message:send', { conversationId, content: 'ours' });
      const eve = await connect({ userId: ann.userId, userType: 'influencer' });
      for (const id of [conversationId, 1e15]) {
        for (const event of ['conversation:join', 'conversation:leave', 'message:send', 'message:read', 'typing:start', 'typing:stop']) {
          eve.emit(event, { conversationId: id, content: 'x', tempId: 3, sender: { id: ann.userId }, senderType: 'brand' });
          assert.deepEqual(await eve.hear('message:error'), { error: 'not found', tempId: 3 }, event);
        }
      }
      await a.ask('message:send', { conversationId, content: 'still ours' });
      const list = await server.rest(ann.userId, claims(ann))('GET', `/api/chat/conversations/${conversationId}/messages`);
      assert.deepEqual(list.body.map((it) => [it.content, it.isRead]), [['ours', false], ['still ours', false]]);
      silent(eve, 'message:new', 'message:notification', 'conversation:joined');
    });
  });
}
