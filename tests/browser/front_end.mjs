// A page of a front end written for the contract `connections`, served as such pages are: from another origin.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';

const at = (file) => fileURLToPath(new URL(file, import.meta.url));
const FILES = {
  '/': ['connections/index.html', 'text/html; charset=utf-8'],
  '/page.js': ['connections/page.js', 'text/javascript'],
  '/socket.io.js': ['../../examples/gateway/socket.io.min.js', 'text/javascript'],
};

/** What the document leaves to be filled in: ids, and what a page does with an event. */
const FILL = {
  "conversationId: 'uuid'": 'conversationId: conversation',
  "messageId: 'uuid'": 'messageId: lastMessage',
  '// New message received': "show('message', message);",
  '// User came online': "show('userOnline', { userId });",
  '// User went offline': "show('userOffline', { userId });",
  '// Someone is typing': "show('typing', { userId, isTyping });",
  '// Message was read': "show('messageRead', { messageId });",
};

/** The client that the document prints, as it stands but for what is to be filled in. */
async function documented() {
  let source = await readFile(at('../socketio/documents/connections.client.js'), 'utf8');
  for (const [text, by] of Object.entries(FILL)) {
    assert.ok(source.includes(text), `the document does not say ${text}`);
    source = source.replaceAll(text, by);
  }
  return source;
}

/** The page's server. */
export async function serveFrontEnd() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    const [file, type] = FILES[pathname] ?? [];
    if (!file && pathname !== '/client.js') return response.writeHead(404).end();
    const content = file ? await readFile(at(file)) : await documented();
    return response.writeHead(200, { 'content-type': type ?? 'text/javascript' }).end(content);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  };
}

/** Somebody's page of this front end, not connected yet. */
export async function openFrontEnd(browser, frontEnd, { url, token, conversation }) {
  const context = await browser.chromium.newContext({ locale: 'en-GB' });
  const page = await browser.tab(context, frontEnd.url);
  await page.getByLabel('Server URL').fill(url);
  await page.getByLabel('Token').fill(token);
  await page.getByLabel('Conversation').fill(conversation);
  await page.getByRole('button', { name: 'Connect' }).click();
  return page;
}

export const connected = (page) => page.getByRole('status').getByText('connected', { exact: true }).waitFor();
export const lines = (page) => page.locator('#messages li').allTextContents();
export const told = (page, text) => page.locator('#log li', { hasText: text });

/** A development login. */
export async function login(url, sub) {
  const answer = await fetch(`${url}/dev/login?sub=${sub}`, { method: 'POST' });
  return (await answer.json()).token;
}

/** The conversation of somebody with somebody else, of the contract `connections`. */
export async function converse(url, token, participantId) {
  const answer = await fetch(`${url}/chat/conversations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ participantId }),
  });
  return (await answer.json()).id;
}
