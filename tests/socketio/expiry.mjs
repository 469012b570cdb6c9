// What every contract does with tokens that end.

import assert from 'node:assert/strict';
import { token } from './harness.mjs';

const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

/**
 * A token that has ended lets nobody in, which `refused(client)` hears in the contract's own way. One that ends while
 * connected: `error`, then closed for good. The routes take neither.
 */
export async function tokensEnd(server, sub, { refused, route, claims, ...options }) {
  const ended = token(sub, { ...claims, exp: inSeconds(-1) });
  const late = server.client({ ...options, auth: { token: ended } });
  await refused(late);
  assert.equal(late.socket.connected, false);
  late.close();

  const ending = token(sub, { ...claims, exp: inSeconds(2) });
  const client = server.client({ ...options, auth: { token: ending } });
  await client.connected();
  assert.deepEqual(await client.hear('error'), { message: 'the token has expired' });
  assert.equal(await client.hear('disconnect'), 'io server disconnect');
  assert.equal(client.socket.active, false, 'it does not come back by itself');
  for (const authorization of [ended, ending].map((it) => `Bearer ${it}`)) {
    if (route) assert.equal((await server.request('GET', route, undefined, { authorization })).status, 401);
  }
}

/** The refusal of most contracts: never connected. */
export async function notConnected(client) {
  assert.equal((await client.hear('connect_error')).message, 'authentication required');
  assert.deepEqual(client.all('connect'), []);
}
