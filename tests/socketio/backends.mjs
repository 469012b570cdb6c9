// Where the servers of a test keep things: an SQLite file each, or a Postgres and a Redis that others may share.

import { randomUUID } from 'node:crypto';
import assert from 'node:assert/strict';
import pg from 'pg';

const { PARLOR_TEST_BACKENDS: backends = 'embedded' } = process.env;
assert.ok(['embedded', 'shared'].includes(backends), 'PARLOR_TEST_BACKENDS must be embedded or shared');
/** Whether every server that a test starts is on Postgres and Redis. */
export const SHARED = backends === 'shared';

/** The environment of a server on its own, whose file lies in `folder`. */
export async function ownBackends(folder) {
  return SHARED ? sharedBackends() : { DATABASE_URL: `sqlite:${folder}/chat.db` };
}

/** The environment of nodes that share a new database of Postgres, and Redis. */
export async function sharedBackends() {
  const { PARLOR_TEST_POSTGRES: postgres, PARLOR_TEST_REDIS: redis } = process.env;
  assert.ok(postgres && redis, 'PARLOR_TEST_POSTGRES and PARLOR_TEST_REDIS must name servers: cargo xtask test starts them');
  const name = `socketio_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client(postgres);
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const database = new URL(postgres);
  database.pathname = name;
  return { DATABASE_URL: database.href, REDIS_URL: redis, REDIS_PREFIX: name };
}
