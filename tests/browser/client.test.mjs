// The connection, the outbox and the rows, without a browser and without a server.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import { Connection, afterClose, backoff } from '../../examples/page/connection.js';
import { Outbox } from '../../examples/page/outbox.js';
import { buildRows } from '../../examples/page/rows.js';

// ---- connection ----

class FakeSocket {
  static all = [];
  sent = [];
  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.all.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.gone = true;
  }
  receive(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
}

function connect() {
  FakeSocket.all = [];
  const heard = { statuses: [], frames: [] };
  const connection = new Connection({
    url: 'ws://host/chat/ws',
    WebSocket: FakeSocket,
    token: () => 'secret',
    onOpen: () => connection.tell('resume', { known: [] }),
    onFrame: (frame) => heard.frames.push(frame),
    onStatus: (status) => heard.statuses.push(status.state),
  });
  connection.connect();
  const socket = () => FakeSocket.all.at(-1);
  socket().onopen();
  return { connection, heard, socket };
}

const welcome = { type: 'welcome', id: 'hello', protocol: 1 };

test('the first frame authenticates, the next resumes without waiting, and requests get their own answers', async () => {
  const { connection, heard, socket } = connect();
  assert.equal(socket().protocol, 'parlor.v1');
  assert.deepEqual(socket().sent, [
    { type: 'authenticate', id: 'hello', token: 'secret' },
    { type: 'resume', known: [] },
  ]);
  assert.equal(heard.statuses.at(-1), 'connecting');
  socket().receive(welcome);
  assert.equal(heard.statuses.at(-1), 'connected');
  const [first, second] = [connection.request('a'), connection.request('b')];
  const [, , a, b] = socket().sent;
  socket().receive({ type: 'error', id: b.id, error: { code: 'rate_limited', message: 'slow', retryable: true, retry_after_ms: 70 } });
  socket().receive({ type: 'ok', id: a.id, result: { x: 1 } });
  assert.deepEqual(await first, { x: 1 });
  await assert.rejects(second, { code: 'rate_limited', retryable: true, retryAfter: 70 });
  connection.stop();
  await assert.rejects(connection.request('history'), { code: 'offline', retryable: true });
});

test('a lost connection fails what waits and comes back; a server that goes away says when', async () => {
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const { connection, heard, socket } = connect();
  socket().receive(welcome);
  const lost = assert.rejects(connection.request('x'), { code: 'offline' });
  socket().receive({ type: 'reconnect', after_ms: 1234 });
  socket().onclose({ code: 1012 });
  await lost;
  assert.equal(heard.statuses.at(-1), 'waiting');
  clock.tick(1233);
  assert.equal(FakeSocket.all.length, 1);
  clock.tick(1);
  assert.equal(FakeSocket.all.length, 2);
  connection.stop();
  clock.uninstall();
});

test('a ping without an answer for ten seconds is a lost connection', async () => {
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const { connection, heard, socket } = connect();
  socket().receive(welcome);
  clock.tick(20_000);
  const ping = socket().sent.at(-1);
  assert.equal(ping.type, 'ping');
  socket().receive({ type: 'ok', id: ping.id, result: {} });
  await Promise.resolve();
  clock.tick(20_000);
  assert.equal(heard.statuses.at(-1), 'connected');
  clock.tick(10_000);
  assert.equal(heard.statuses.at(-1), 'waiting');
  connection.stop();
  clock.uninstall();
});

test('close codes say whether to come back', () => {
  for (const code of [1006, 1011, 1012, 4008, 4010, 1009]) assert.equal(afterClose(code).action, 'reconnect');
  assert.equal(afterClose(4001).action, 'login');
  for (const code of [1000, 4003, 4029]) assert.equal(afterClose(code).action, 'stop');
});

test('the backoff has full jitter under a bound that doubles up to fifteen seconds', () => {
  const most = () => 0.999999;
  assert.deepEqual([0, 1, 2, 3, 4, 5, 20].map((attempt) => backoff(attempt, most)), [500, 1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(backoff(9, () => 0), 0);
});

// ---- outbox ----

function storage() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
}

const offline = () => Promise.reject(Object.assign(new Error('offline'), { code: 'offline', retryable: true }));
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('what could not be sent survives a reload and goes out under the same key, in order', async () => {
  const kept = storage();
  const before = new Outbox({ storage: kept, key: 'o', send: offline, onChange() {} });
  before.add('c', { client_id: 'k1', body: 'one' });
  before.add('c', { client_id: 'k2', body: 'two' });
  await settled();

  const sent = [];
  const after = new Outbox({
    storage: kept, key: 'o', onChange() {},
    send: async ({ message }) => ({ seq: sent.push(message.client_id) }),
  });
  after.pump();
  await settled();
  assert.deepEqual(sent, ['k1', 'k2']);
  assert.deepEqual(after.items.map((item) => item.status), ['sent', 'sent']);
  assert.equal(kept.getItem('o'), '[]');
});

test('a refusal is shown and can be tried again; the next message does not wait for it', async () => {
  let refuse = true;
  const sent = [];
  const outbox = new Outbox({
    storage: storage(), key: 'o', onChange() {},
    send: async ({ message }) => {
      if (message.client_id === 'k1' && refuse) throw Object.assign(new Error('too long'), { code: 'invalid', retryable: false });
      return { seq: sent.push(message.client_id) };
    },
  });
  outbox.add('c', { client_id: 'k1' });
  outbox.add('c', { client_id: 'k2' });
  await settled();
  assert.deepEqual(sent, ['k2']);
  assert.equal(outbox.items[0].status, 'failed');
  assert.equal(outbox.items[0].error, 'too long');
  refuse = false;
  outbox.retry('k1');
  await settled();
  assert.deepEqual(sent, ['k2', 'k1']);
});

test('a busy server gets the same message again after the time that it asked for', async () => {
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout'] });
  const calls = [];
  const outbox = new Outbox({
    storage: storage(), key: 'o', onChange() {},
    send: async ({ message }) => {
      if (calls.push(message.client_id) === 1) {
        throw Object.assign(new Error('slow down'), { code: 'rate_limited', retryable: true, retryAfter: 400 });
      }
      return { seq: calls.length };
    },
  });
  outbox.add('c', { client_id: 'k1' });
  outbox.add('c', { client_id: 'k2' });
  await settled();
  assert.deepEqual(calls, ['k1']);
  clock.tick(400);
  await settled();
  assert.deepEqual(calls, ['k1', 'k1', 'k2']);
  clock.uninstall();
});

// ---- rows ----

const said = (seq, sender_id, created_at, extra = {}) => ({ id: `m${seq}`, seq, sender_id, kind: 'text', created_at, ...extra });

test('rows have days, groups by sender and time, one line before what is new, and what waits at the end', () => {
  const rows = buildRows({
    userId: 'ann',
    newAfter: 3,
    messages: [
      said(1, 'ben', '2026-03-01T10:00:00'),
      said(2, 'ben', '2026-03-01T10:01:00'),
      said(3, 'ben', '2026-03-01T10:30:00'),
      said(4, 'ann', '2026-03-02T09:00:00', { client_id: 'k4' }),
      said(5, 'ben', '2026-03-02T09:00:10'),
    ],
    pending: [{ message: { client_id: 'k6', body: 'wait' }, created_at: '2026-03-02T09:01:00', status: 'sending' }],
  });
  const shape = rows.map((row) => (row.type === 'message' ? `${row.key}${row.first ? ' first' : ''}${row.last ? ' last' : ''}` : row.type));
  assert.deepEqual(shape, [
    'day', 'm1 first', 'm2 last', 'm3 first last',
    'day', 'k4 first last', 'new', 'm5 first last', 'k6 first last',
  ]);
});
