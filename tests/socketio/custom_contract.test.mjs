// The example of a host's own contract.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, TRANSPORTS, token } from './harness.mjs';

let server;
before(async () => { server = await Server.start('custom_contract'); });
after(() => server.stop());

for (const transport of TRANSPORTS) {
  test(`a host's own words work over ${transport}`, async () => {
    const connect = async (sub) => {
      const options = { namespace: '/desk', transports: [transport], auth: { ticket: token(sub) } };
      const client = server.client(options);
      await client.connected();
      return client;
    };
    const customer = `ann-${transport}`;
    const [ann, desk] = await Promise.all([connect(customer), connect('desk')]);
    assert.deepEqual(await ann.ask('ask', { text: 'Where is my parcel?' }), { line: 1 });
    const line = await desk.hear('line');
    assert.deepEqual([line.from, line.text, line.line], [customer, 'Where is my parcel?', 1]);
    assert.equal(await ann.hear('here'), 'desk');
    assert.equal(await desk.hear('here'), customer);
    desk.emit('answer', { customer, text: 'On its way' });
    await ann.hear('line', (it) => it.text === 'On its way');
    ann.emit('ask', { text: 7 });
    assert.match((await ann.hear('error')).message, /^text: /);
    const lines = await server.rest('desk')('GET', `/desk/lines?with=${customer}`);
    assert.deepEqual(lines.body.map((it) => it.text), ['Where is my parcel?', 'On its way']);
    ann.close();
    assert.equal(await desk.hear('gone'), customer);
  });
}

test('a login for development gives a token', async () => {
  const { body } = await server.request('POST', '/dev/login?sub=ann&name=Ann');
  const ann = server.client({ namespace: '/desk', auth: { ticket: body.token } });
  await ann.connected();
});
