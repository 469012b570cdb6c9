// The contract `connections` as a page of another origin uses it, with the client that its document prints.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Server, eventually } from './harness.mjs';
import { connected, converse, lines, login, openFrontEnd, serveFrontEnd, told } from './front_end.mjs';

let frontEnd;
let server;
let browser;
before(async () => {
  frontEnd = await serveFrontEnd();
  server = await Server.start('connections', { FRONTEND_URL: frontEnd.url });
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
  await frontEnd?.stop();
});

/** Two users of their own, with their conversation and what opens a page of each. */
async function pair(name) {
  const [ann, bob] = [`ann-${name}`, `bob-${name}`];
  const tokens = await Promise.all([ann, bob].map((user) => login(server.url, user)));
  const conversation = await converse(server.url, tokens[0], bob);
  const [a, b] = tokens.map((token) => ({ url: server.url, token, conversation }));
  return { ann, bob, a, b };
}

test('the document’s client sends, types, joins, marks as read and hears the other', async () => {
  const { ann, bob, ...options } = await pair('talk');
  const a = await openFrontEnd(browser, frontEnd, options.a);
  await connected(a);
  await eventually(() => lines(a), [`${ann}: Hello!`]);
  // There was no message to mark yet.
  await told(a, 'error {"message":"messageId: ').waitFor();

  // It greets as well, and marks what it loaded.
  const b = await openFrontEnd(browser, frontEnd, options.b);
  await connected(b);
  assert.equal(await b.locator('#unread').textContent(), '1 unread');
  await told(a, `userOnline {"userId":"${bob}"}`).waitFor();
  await a.getByText(`${bob} is typing`).waitFor();
  await told(a, 'messageRead {"messageId":"').waitFor();
  for (const page of [a, b]) await eventually(() => lines(page), [`${ann}: Hello!`, `${bob}: Hello!`]);

  // Her client says that she types since it connected, before he was there: to send ends that.
  const field = a.getByLabel('Message');
  const send = a.getByRole('button', { name: 'Send' });
  await field.fill('How are <b>you</b>?');
  await send.click();
  await field.pressSequentially('Bob?');
  await b.getByText(`${ann} is typing`).waitFor();
  await send.click();
  const all = [`${ann}: Hello!`, `${bob}: Hello!`, `${ann}: How are <b>you</b>?`, `${ann}: Bob?`];
  for (const page of [a, b]) await eventually(() => lines(page), all);
  await eventually(() => b.locator('#typing').textContent(), '');
  await b.getByRole('button', { name: 'Mark as read' }).click();
  await eventually(() => told(a, 'messageRead').count(), 2);
  await b.context().close();
  await told(a, `userOffline {"userId":"${bob}"}`).waitFor();
  browser.check();
});

test('the page comes back by itself after the server was killed, and loads what there is', async () => {
  const { ann, bob, ...options } = await pair('restart');
  const [a, b] = await Promise.all([options.a, options.b].map((its) => openFrontEnd(browser, frontEnd, its)));
  await Promise.all([connected(a), connected(b)]);
  const sorted = async (page) => (await lines(page)).sort();
  for (const page of [a, b]) await eventually(() => sorted(page), [`${ann}: Hello!`, `${bob}: Hello!`]);
  await server.kill();
  await a.getByRole('status').getByText('not connected', { exact: true }).waitFor();
  await server.up();
  await Promise.all([connected(a), connected(b)]);
  await b.getByLabel('Message').fill('Back');
  await b.getByRole('button', { name: 'Send' }).click();
  for (const page of [a, b]) await eventually(() => sorted(page), [`${ann}: Hello!`, `${bob}: Back`, `${bob}: Hello!`]);
  browser.check();
});

test('a page is refused whose token proves nobody, and one of a foreign origin', async () => {
  const { a } = await pair('refused');
  const wrong = await openFrontEnd(browser, frontEnd, { ...a, token: 'nonsense' });
  await wrong.getByText('refused: authentication required').waitFor();
  const foreign = await serveFrontEnd();
  try {
    const page = await openFrontEnd(browser, foreign, a);
    await page.getByText('refused: ').waitFor();
    assert.deepEqual(await lines(page), []);
  } finally {
    await foreign.stop();
  }
  browser.check();
});
