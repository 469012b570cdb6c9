// parlor's own page and pages of Socket.IO front ends, in one conversation on one server.

import { after, before, test } from 'node:test';
import { Browser, Server, enter, entry, eventually, message, say, texts } from './harness.mjs';
import { connected, converse, lines, login, openFrontEnd, serveFrontEnd } from './front_end.mjs';

let frontEnd;
let server;
let browser;
before(async () => {
  frontEnd = await serveFrontEnd();
  server = await Server.start('several_contracts');
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
  await frontEnd?.stop();
});

test('the page and a front end of connections see each other’s messages, typing and read marks', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((user) => login(server.url, user)));
  const url = server.listener('connections');
  const conversation = await converse(url, bob, 'ann');
  const context = await browser.chromium.newContext({ locale: 'en-GB' });
  const page = await browser.tab(context, `${server.url}/#token=${ann}`);
  await entry(page, 'bob').waitFor();
  await enter(page, 'bob');

  const other = await openFrontEnd(browser, frontEnd, { url, token: bob, conversation });
  await connected(other);
  await message(page, 'Hello!').waitFor();
  await say(page, 'Hello from the page');
  await eventually(() => lines(other), ['bob: Hello!', 'ann: Hello from the page']);
  await other.getByRole('button', { name: 'Mark as read' }).click();
  await message(page, 'Hello from the page').getByRole('img', { name: 'read' }).waitFor();
  await other.getByLabel('Message').fill('And back');
  await page.locator('#typing', { hasText: 'bob is typing' }).waitFor();
  await other.getByRole('button', { name: 'Send' }).click();
  await eventually(() => texts(page), ['Hello!', 'Hello from the page', 'And back']);
  await eventually(() => lines(other), ['bob: Hello!', 'ann: Hello from the page', 'bob: And back']);
  browser.check();
});
