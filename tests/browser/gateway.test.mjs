// The test page of the gateway, as somebody uses it who tries the chat.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Server, eventually } from './harness.mjs';

let server;
let browser;
before(async () => {
  server = await Server.start('gateway');
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});

const button = (page, name) => page.getByRole('button', { name, exact: true });
const said = (page, text) => page.locator('#log li', { hasText: text });

/** The page of a user who has connected. */
async function connect(user, to = server) {
  const context = await browser.chromium.newContext({ locale: 'en-GB' });
  const page = await browser.tab(context, `${to.url}/test/websocket-test.html`);
  assert.equal(await page.getByLabel('Server URL').inputValue(), to.url);
  await page.getByLabel('User ID').fill(String(user));
  await button(page, 'Connect').click();
  await page.getByRole('status').getByText(`connected as ${user}`, { exact: true }).waitFor();
  return page;
}

async function join(page, conversation) {
  const joined = said(page, `joined-conversation {"conversationId":${conversation},"success":true}`);
  const before = await joined.count();
  await page.getByLabel('Conversation ID').fill(conversation);
  await button(page, 'Join').click();
  await eventually(() => joined.count(), before + 1);
}

async function converse(to) {
  const ann = await connect(1, to);
  const bob = await connect(2, to);
  await ann.getByLabel('Participant IDs').fill('1, 2');
  await button(ann, 'Create conversation').click();
  await said(bob, 'conversation-created').waitFor();
  const conversation = await ann.getByLabel('Conversation ID').inputValue();
  await said(ann, `conversation ${conversation}`).waitFor();
  await join(ann, conversation);
  await join(bob, conversation);
  await said(ann, 'user:online {"userId":2}').waitFor();

  const field = bob.getByLabel('Message');
  await field.pressSequentially('Hello <b>Ann</b>');
  await ann.getByText('2 typing…').waitFor();
  await button(bob, 'Send').click();
  for (const page of [ann, bob]) {
    await eventually(() => page.locator('#log .message span').allTextContents(), ['2: Hello <b>Ann</b>']);
  }
  await said(bob, 'message-sent').waitFor();
  await eventually(() => ann.locator('#typing').textContent(), '');
  assert.equal(await field.inputValue(), '');
  return { ann, bob, conversation };
}

test('the page connects, makes and joins a conversation, sends and types', async () => {
  const { ann, bob, conversation } = await converse(server);
  await button(bob, 'Leave').click();
  await ann.getByLabel('Message').fill('Are you there?');
  await ann.getByLabel('Message').press('Enter');
  await said(ann, '1: Are you there?').waitFor();
  await join(bob, conversation);
  assert.equal(await said(bob, 'Are you there?').count(), 0);

  // Somebody else's conversation.
  const eve = await connect(3);
  await eve.getByLabel('Conversation ID').fill(conversation);
  await button(eve, 'Join').click();
  await said(eve, 'error {"message":"not found"}').waitFor();

  await button(bob, 'Disconnect').click();
  await bob.getByRole('status').getByText('not connected', { exact: true }).waitFor();
  await said(ann, 'user:offline {"userId":2}').waitFor();
  browser.check();
});

test('the page shows why it was refused, and takes a token', async () => {
  const context = await browser.chromium.newContext({ locale: 'en-GB' });
  const page = await browser.tab(context, `${server.url}/test/websocket-test.html`);
  await page.getByLabel('Token').fill('nonsense');
  await button(page, 'Connect').click();
  await said(page, 'connection refused: authentication required').waitFor();
  const { token } = await (await fetch(`${server.url}/dev/login?sub=7`, { method: 'POST' })).json();
  await page.getByLabel('User ID').fill('7');
  await page.getByLabel('Token').fill(token);
  await button(page, 'Connect').click();
  await page.getByRole('status').getByText('connected as 7', { exact: true }).waitFor();
  browser.check();
});

test('the page comes back after the server was killed', async () => {
  const page = await connect(11);
  await server.kill();
  await page.getByRole('status').getByText('not connected', { exact: true }).waitFor();
  await server.up();
  await page.getByRole('status').getByText('connected as 11', { exact: true }).waitFor();
  browser.check();
});
