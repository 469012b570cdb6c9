// Servers die and lines break: nothing that was acknowledged is missing afterwards, and nothing arrives twice.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import {
  Browser, Line, Server, choose, enter, entry, eventually, field, log, message, person, say, texts,
} from './harness.mjs';

let server;
let browser;
let pages = [];

before(async () => {
  server = await Server.start();
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});
afterEach(async () => {
  browser.check();
  for (const page of pages) await page.context().close();
  pages = [];
});

async function open(name, base = server.url) {
  const page = await browser.person(base, name);
  pages.push(page);
  await entry(page, 'Lounge').waitFor();
  return page;
}

const acknowledged = (page, text) =>
  message(page, text).locator('.tick.sent, .tick.delivered, .tick.read').waitFor();

test('the server is killed and comes back: both pages reconnect, nothing is lost, what was typed meanwhile arrives once', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  await enter(ann, 'Lounge');
  await enter(ben, 'Lounge');
  for (let number = 1; number <= 5; number += 1) {
    await say(ann, `kept ${number}`);
    await acknowledged(ann, `kept ${number}`);
  }
  await message(ben, 'kept 5').waitFor();

  await server.kill();
  await ann.locator('#banner', { hasText: /Connection lost|Connecting/ }).waitFor();
  await say(ann, 'typed while it was down');
  await message(ann, 'typed while it was down').getByRole('img', { name: 'sending' }).waitFor();
  await say(ann, 'and one more');

  await server.up();
  for (const page of [ann, ben]) await page.locator('#banner').waitFor({ state: 'hidden', timeout: 30_000 });
  await acknowledged(ann, 'and one more');
  const expected = ['kept 1', 'kept 2', 'kept 3', 'kept 4', 'kept 5', 'typed while it was down', 'and one more'];
  await eventually(() => texts(ben), expected);
  await eventually(() => texts(ann), expected);
  await ben.reload();
  await eventually(() => texts(ben), expected);
});

test('what waits in the outbox survives a reload of the page', async () => {
  const line = await Line.to(server);
  const ann = await open('Ann', line.url);
  const ben = await open('Ben');
  await person(ann, 'Ben').click();
  await ann.getByText('No messages yet. Say hello!').waitFor();
  line.cut();
  await ann.locator('#banner', { hasText: 'Connection lost' }).waitFor();
  await say(ann, 'written in a tunnel');
  await message(ann, 'written in a tunnel').getByRole('img', { name: 'sending' }).waitFor();
  line.mend();
  await ann.reload();
  await acknowledged(ann, 'written in a tunnel');
  await enter(ben, 'Ann');
  await eventually(() => texts(ben), ['written in a tunnel']);
  await eventually(() => texts(ann), ['written in a tunnel']);
  await line.close();
});

test('after a broken line everything that was missed is there, in order: new messages, an edit, a deletion, a reaction', async () => {
  const line = await Line.to(server);
  const ben = await open('Ben', line.url);
  const ann = await open('Ann');
  await enter(ann, 'Lounge');
  await enter(ben, 'Lounge');
  for (const text of ['will be edited', 'will be deleted', 'stays']) {
    await say(ann, text);
    await message(ben, text).waitFor();
  }

  line.cut();
  await ben.locator('#banner', { hasText: 'Connection lost' }).waitFor();
  await choose(ann, 'will be edited', 'Edit');
  await field(ann).fill('was edited');
  await field(ann).press('Enter');
  await message(ann, 'was edited').waitFor();
  await choose(ann, 'will be deleted', 'Delete for everyone');
  await ann.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await message(ann, 'This message was deleted').waitFor();
  await message(ann, 'stays').hover();
  await ann.getByRole('toolbar').getByRole('button', { name: 'React' }).click();
  await ann.getByRole('menuitem', { name: '🎉' }).click();
  for (let number = 1; number <= 3; number += 1) {
    await say(ann, `missed ${number}`);
    await acknowledged(ann, `missed ${number}`);
  }

  line.mend();
  await ben.getByRole('button', { name: 'Now' }).click({ timeout: 5000 }).catch(() => {}); // It may be back already.
  const expected = ['was edited', 'This message was deleted', 'stays', 'missed 1', 'missed 2', 'missed 3'];
  await eventually(async () => (await texts(ben)).slice(-6), expected);
  await message(ben, 'stays').getByRole('button', { name: /🎉 1/ }).waitFor();
  assert.deepEqual((await texts(ann)).slice(-6), expected);

  await say(ben, 'back again');
  await message(ann, 'back again').waitFor();
  await line.close();
});

test('messages sent by both at once are in the same order for both', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  await person(ann, 'Ben').click();
  await enter(ben, 'Ann');
  const burst = async (page, name) => {
    for (let number = 1; number <= 15; number += 1) await say(page, `${name} ${number}`);
  };
  await Promise.all([burst(ann, 'ann'), burst(ben, 'ben')]);
  const finished = async (page) => (await texts(page)).filter((text) => /^(ann|ben) \d+$/.test(text)).length;
  for (const page of [ann, ben]) {
    await eventually(() => finished(page), 30);
    await eventually(() => page.locator('.message.pending').count(), 0);
  }
  assert.deepEqual(await texts(ann), await texts(ben));
});

test('who reads old messages stays where they are when the line comes back', async () => {
  const [ann, ...writers] = await Promise.all(['Ann', 'Wim', 'Xaver', 'Yara'].map((name) => server.client(name)));
  const group = await ann.call('POST', '/conversations', { title: 'Old tales', members: writers.map((one) => one.user_id) });
  for (let number = 1; number <= 160; number += 1) await writers[number % 3].send(group.conversation.id, `tale ${number}`);
  const page = await open('Ann');
  await enter(page, 'Old tales');
  await message(page, 'tale 160').waitFor();
  const scroller = log(page);
  await scroller.evaluate((element) => {
    element.scrollTop = 0;
  });
  await message(page, 'tale 70').waitFor();
  const place = () => message(page, 'tale 100').evaluate((row) => Math.round(row.getBoundingClientRect().top));
  await message(page, 'tale 100').evaluate((row) => row.scrollIntoView({ block: 'center' }));
  const before = await place();
  await server.kill();
  await page.locator('#banner').waitFor();
  await server.up();
  await writers[0].send(group.conversation.id, 'tale 161');
  await message(page, 'tale 161').waitFor({ state: 'attached' });
  const after = await place();
  assert.ok(Math.abs(after - before) <= 2, `the view moved by ${after - before} px`);
});
