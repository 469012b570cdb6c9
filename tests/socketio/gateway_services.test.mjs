// The contract `gateway` as it is run: two gateways without a database, two chat services behind Redis, Postgres.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { Server, eventually } from './harness.mjs';
import { sharedBackends } from './backends.mjs';

const namespace = '/chat';
/** Within this every event is answered, whatever dies. */
const DEADLINE = 5000;

let gateways = [];
let services = [];
let env;

const startService = () => Server.start('chat_service', env, 'answers over');

before(async () => {
  env = await sharedBackends();
  services = await Promise.all([startService(), startService()]);
  gateways = await Promise.all([0, 1].map(() => Server.start('gateway', { ...env, DATABASE_URL: '' })));
});
after(() => Promise.all([...gateways, ...services].map((server) => server.stop())));

/** Users whose ids are numbers that no earlier run has given out. */
let users = Date.now() * 10;
const fresh = () => { users += 1; return users; };

/** Two users at two gateways who have joined their conversation. */
async function room() {
  const [ann, bob] = [fresh(), fresh()];
  const { body } = await gateways[0].rest(`${ann}`)('POST', '/conversations', { participantIds: [ann, bob] });
  const [a, b] = await Promise.all([ann, bob].map((user, at) => gateways[at].connect(`${user}`, { namespace })));
  await Promise.all([[a, ann], [b, bob]].map(([client, userId]) => client.ask('join-conversation', { conversationId: body.id, userId })));
  return { ann, bob, a, b, conversation: body.id };
}

/** All messages of a conversation, oldest first. */
async function history(gateway, user, conversation) {
  const all = [];
  for (;;) {
    const before = all.length ? `?before=${all[0].id}` : '';
    const { status, body } = await gateway.rest(`${user}`)('GET', `/conversations/${conversation}/messages${before}`);
    assert.equal(status, 200);
    all.unshift(...body);
    if (body.length < 100) return all;
  }
}

/** The answer to a send, and how long it took. */
async function send(client, sender_id, conversation_id, content) {
  const began = Date.now();
  const answer = await client.socket.timeout(2 * DEADLINE)
    .emitWithAck('send-message', { sender_id, conversation_id, message_type: 'text', content });
  return { answer, content, took: Date.now() - began };
}

test('what happens at one gateway is told at the other, in order', async () => {
  const { ann, bob, a, b, conversation } = await room();
  assert.deepEqual(await a.hear('user:online'), { userId: bob });
  const texts = Array.from({ length: 100 }, (_, at) => `message ${at}`);
  for (const content of texts) a.emit('send-message', { sender_id: ann, conversation_id: conversation, message_type: 'text', content });
  const heard = await b.take('receive-message', texts.length);
  assert.deepEqual(heard.map((message) => message.content), texts);
  assert.deepEqual(await a.take('message-sent', texts.length), heard);
  a.emit('typing', { conversationId: conversation, userId: ann, isTyping: true });
  assert.deepEqual(await b.hear('user-typing'), { conversationId: conversation, userId: ann, isTyping: true });
  await gateways[0].rest(`${ann}`)('PATCH', `/messages/${heard[0].id}`, { content: 'edited' });
  assert.equal((await b.hear('message-updated')).content, 'edited');
  await gateways[1].rest(`${ann}`)('DELETE', `/messages/${heard[1].id}`);
  assert.equal((await b.hear('message-deleted')).id, heard[1].id);
  const group = await gateways[1].rest(`${bob}`)('POST', '/conversations', { participantIds: [ann, bob, fresh()] });
  assert.equal((await a.hear('conversation-created', (it) => it.type === 'group')).id, group.body.id);
  assert.deepEqual((await history(gateways[1], bob, conversation)).map((it) => it.content), ['edited', ...texts.slice(2)]);
  b.close();
  assert.deepEqual(await a.hear('user:offline'), { userId: bob });
});

test('a gateway has no database', async () => {
  for (const gateway of gateways) assert.deepEqual(await readdir(gateway.folder), []);
});

test('a service that stops in an orderly way leaves no send unanswered and refuses none', async () => {
  const { ann, a, b, conversation } = await room();
  const sends = Array.from({ length: 300 }, (_, at) => send(a, ann, conversation, `${at}`));
  const [going] = services;
  await b.hear('receive-message');
  await going.down('SIGTERM');
  const answers = await Promise.all(sends);
  await going.up();
  assert.deepEqual(answers.filter(({ answer }) => answer.error), []);
  const kept = await history(gateways[0], ann, conversation);
  assert.deepEqual(kept, answers.map(({ answer }) => answer));
});

test('services that are killed under load lose nothing and double nothing, and every send is answered in time', async (t) => {
  const rooms = await Promise.all(Array.from({ length: 12 }, room));
  const answers = new Map(rooms.map((it) => [it, []]));
  let count = 0;
  const done = { value: false };
  const talk = async (it, client, user) => {
    for (let at = 0; !done.value; at += 1) {
      answers.get(it).push(await send(client, user, it.conversation, `${user} ${at}`));
      count += 1;
    }
  };
  const talks = rooms.flatMap((it) => [talk(it, it.a, it.ann), talk(it, it.b, it.bob)]);
  for (let round = 0; round < 6; round += 1) {
    const from = count;
    await eventually(async () => count > from + 150, true);
    const victim = services[round % 2];
    await victim.down('SIGKILL');
    await victim.up();
  }
  done.value = true;
  await Promise.all(talks);

  const all = [...answers.values()].flat();
  const slowest = Math.max(...all.map(({ took }) => took));
  const refused = all.filter(({ answer }) => answer.error);
  t.diagnostic(`${all.length} sends, ${refused.length} refused, slowest ${slowest} ms`);
  assert.ok(slowest < DEADLINE, `${slowest} ms`);
  for (const it of rooms) {
    const kept = await history(gateways[0], it.ann, it.conversation);
    const texts = kept.map((message) => message.content);
    assert.equal(new Set(texts).size, texts.length, 'nothing is doubled');
    const acknowledged = answers.get(it).filter(({ answer }) => !answer.error);
    const byId = new Map(kept.map((message) => [message.id, message]));
    for (const { answer } of acknowledged) assert.deepEqual(byId.get(answer.id), answer, 'nothing is lost');
    const known = new Set(answers.get(it).map(({ content }) => content));
    assert.ok(texts.every((text) => known.has(text)));
    for (const client of [it.a, it.b]) {
      await eventually(async () => client.all('receive-message').length, kept.length);
      assert.deepEqual(client.all('receive-message'), kept, 'every member sees the same order');
      assert.deepEqual(client.all('disconnect'), []);
      const said = client.all('message-sent').length + client.all('message-error').length;
      assert.equal(said, answers.get(it).filter(({ content }) => content.startsWith(`${client === it.a ? it.ann : it.bob} `)).length);
    }
  }
});

test('without any service: message-error within 5 s, and all is well when one is there again', async () => {
  const { ann, bob, a, b, conversation } = await room();
  await Promise.all(services.map((service) => service.down('SIGKILL')));
  const began = Date.now();
  for (let at = 0; at < 20; at += 1) {
    a.emit('send-message', { sender_id: ann, conversation_id: conversation, message_type: 'text', content: `lost ${at}` });
  }
  const errors = await a.take('message-error', 20);
  const took = Date.now() - began;
  assert.ok(took < DEADLINE, `${took} ms for all of them`);
  assert.deepEqual(new Set(errors.map(({ error }) => error)), new Set(['temporarily unavailable, try again']));
  b.emit('join-conversation', { conversationId: conversation, userId: bob });
  assert.deepEqual(await b.hear('message-error'), { error: 'temporarily unavailable, try again' });
  assert.equal((await b.hear('joined-conversation', (it) => !it.success)).conversationId, conversation);
  const asked = Date.now();
  assert.equal((await gateways[1].rest(`${bob}`)('GET', '/conversations')).status, 503);
  assert.ok(Date.now() - asked < DEADLINE);

  await services[0].up();
  await eventually(async () => (await gateways[0].rest(`${ann}`)('GET', '/conversations')).status, 200);
  const { answer } = await send(a, ann, conversation, 'again');
  assert.deepEqual(await b.hear('receive-message'), answer);
  await services[1].up();
  assert.deepEqual(await history(gateways[0], ann, conversation), [answer], 'what failed is not carried out later');
  assert.deepEqual([...a.all('disconnect'), ...b.all('disconnect')], []);
});

test('a gateway that is there first waits for a service', async () => {
  const own = { ...env, REDIS_PREFIX: `test-${randomUUID()}` };
  const gateway = await Server.start('gateway', { ...own, DATABASE_URL: '' }, 'waiting for a chat_service');
  const service = await Server.start('chat_service', own, 'answers over');
  try {
    await eventually(async () => gateway.output.includes(`listening on ${gateway.url}`), true);
    const a = await gateway.connect(`${fresh()}`, { namespace });
    a.close();
  } finally {
    await Promise.all([gateway.stop(), service.stop()]);
  }
});

test('a chat_service without Redis says what it needs', async () => {
  await assert.rejects(Server.start('chat_service', {}, 'answers over'), /REDIS_URL must name the Redis/);
});
