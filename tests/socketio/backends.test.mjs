// What the servers of this run are on: each contract is tested on SQLite without Redis, and on Postgres with Redis.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, eventually } from './harness.mjs';
import { SHARED } from './backends.mjs';

test('the servers are on the backends that this run is for, each on a database of its own', async () => {
  const servers = await Promise.all(['connections', 'direct_messages', 'gateway'].map((name) => Server.start(name)));
  try {
    const said = ({ service, output }) => `${service?.output ?? ''}\n${output}`;
    const kept = await Promise.all(servers.map(async (server) => {
      const place = () => /Messages are kept in (\S+)\.\s/.exec(said(server))?.[1];
      await eventually(async () => place() !== undefined, true);
      return place();
    }));
    assert.equal(new Set(kept).size, servers.length);
    for (const place of kept) assert.match(place, SHARED ? /^127\.0\.0\.1:\d+\/socketio_\w+$/ : /^sqlite:.*\.db$/);
    await eventually(async () => servers.map((server) => / reached over /.test(said(server))), servers.map(() => SHARED));
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
});
