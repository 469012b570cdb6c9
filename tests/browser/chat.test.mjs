// What people do with the page, in real browsers against the real server.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import {
  Browser, Server, act, choose, enter, entry, eventually, field, log, message, person, say, texts,
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

async function open(name, options) {
  const page = await browser.person(server.url, name, options);
  pages.push(page);
  await entry(page, 'Lounge').waitFor();
  return page;
}

const tick = (page, text, state) => message(page, text).getByRole('img', { name: state });

test('somebody comes in by name, and may leave again to be somebody else', async () => {
  const context = await browser.chromium.newContext();
  const page = await browser.tab(context, server.url);
  pages.push(page);
  await page.getByLabel('Your name').fill('Nora Nilsen');
  await page.getByRole('button', { name: 'Come in' }).click();
  await page.locator('#me', { hasText: 'Nora Nilsen' }).waitFor();
  await page.reload();
  await page.locator('#me', { hasText: 'Nora Nilsen' }).waitFor();
  await page.getByRole('button', { name: 'Switch person' }).click();
  await page.getByLabel('Your name').waitFor();
});

test('two people talk: messages both ways, ticks up to read, typing, presence', async () => {
  const ann = await open('Ann');
  const ben = await open('Ben');
  await person(ann, 'Ben').getByText('online').waitFor();

  await person(ann, 'Ben').click();
  await ann.getByText('No messages yet. Say hello!').waitFor();
  await say(ann, 'Hello Ben');
  await tick(ann, 'Hello Ben', 'delivered').waitFor();

  await enter(ben, 'Ann');
  await message(ben, 'Hello Ben').waitFor();
  await tick(ann, 'Hello Ben', 'read').waitFor();

  await field(ben).pressSequentially('I am');
  await ann.locator('#typing', { hasText: 'Ben is typing' }).waitFor();
  await entry(ann, 'Ben').getByText('typing').waitFor();
  await field(ben).fill('');
  await eventually(() => ann.locator('#typing').textContent(), '');

  await say(ben, 'Hello Ann');
  await message(ann, 'Hello Ann').waitFor();
  assert.deepEqual(await texts(ann), ['Hello Ben', 'Hello Ann']);
  assert.deepEqual(await texts(ben), ['Hello Ben', 'Hello Ann']);

  await ben.context().close();
  pages = [ann];
  await person(ann, 'Ben').getByText('last seen').waitFor({ timeout: 40_000 });
});

test('a reload keeps the person, the conversation, its messages and the draft', async () => {
  const ann = await open('Ann');
  await enter(ann, 'Lounge');
  await say(ann, 'before the reload');
  await tick(ann, 'before the reload', 'sent').or(tick(ann, 'before the reload', 'delivered'))
    .or(tick(ann, 'before the reload', 'read')).waitFor();
  await field(ann).fill('half a thought');
  await ann.reload();
  await message(ann, 'before the reload').waitFor();
  assert.equal(await field(ann).inputValue(), 'half a thought');
  await field(ann).fill('');
});

test('two tabs are one person: messages, read state and settings in step', async () => {
  const ann = await open('Ann');
  const context = await browser.chromium.newContext();
  const one = await browser.tab(context, server.url);
  pages.push(one);
  await one.getByLabel('Your name').fill('Twin');
  await one.getByRole('button', { name: 'Come in' }).click();
  await entry(one, 'Lounge').waitFor();
  const two = await browser.tab(context, server.url);
  await two.locator('#me', { hasText: 'Twin' }).waitFor();

  await person(ann, 'Twin').click();
  await say(ann, 'for both of you');
  for (const tab of [one, two]) await entry(tab, 'Ann').getByLabel('1 unread').waitFor();
  await enter(one, 'Ann');
  await eventually(() => entry(two, 'Ann').getByLabel('1 unread').count(), 0);

  await say(one, 'from the first tab');
  await entry(two, 'Ann').getByText('from the first tab').waitFor();
  await enter(two, 'Ann');
  await say(two, 'from the second tab');
  await message(one, 'from the second tab').waitFor();
  assert.equal(await message(one, 'from the second tab').getAttribute('aria-label').then((label) => label.split(',')[0]), 'You');

  await two.getByRole('button', { name: 'Details', exact: true }).click();
  await two.getByRole('switch', { name: 'Archive' }).check();
  await entry(one, 'Ann').waitFor({ state: 'detached' });
  await one.getByRole('button', { name: 'Archived (1)' }).click();
  await entry(one, 'Ann').waitFor();
  await two.getByRole('switch', { name: 'Archive' }).uncheck();
  await one.getByRole('button', { name: 'Back to all' }).click();
  await entry(one, 'Ann').waitFor();
});

test('a group is made, renamed and left; members are added, get roles and are removed', async () => {
  const [ann, ben, cleo] = [await open('Ann'), await open('Ben'), await open('Cleo')];
  await person(ann, 'Cleo').waitFor();
  await ann.getByRole('button', { name: 'New group' }).click();
  await ann.getByLabel('Title').fill('Boat trip');
  await ann.getByRole('checkbox', { name: 'Ben' }).check();
  await ann.getByRole('button', { name: 'Create group' }).click();
  await ann.locator('.title', { hasText: 'Boat trip' }).waitFor();
  await entry(ben, 'Boat trip').waitFor();
  assert.equal(await entry(cleo, 'Boat trip').count(), 0);
  await say(ann, 'Who brings sandwiches?');

  await ann.getByRole('button', { name: 'Details', exact: true }).click();
  await ann.getByRole('button', { name: 'Add members' }).click();
  await ann.getByRole('checkbox', { name: 'Cleo' }).check();
  await ann.getByRole('button', { name: 'Add', exact: true }).click();
  await enter(cleo, 'Boat trip');
  await message(cleo, 'Who brings sandwiches?').waitFor();

  await ann.getByRole('button', { name: 'Rename' }).click();
  await ann.getByRole('textbox', { name: 'Title' }).fill('Boat trip in May');
  await ann.getByRole('dialog').getByRole('button', { name: 'Rename' }).click();
  await cleo.locator('.title', { hasText: 'Boat trip in May' }).waitFor();

  await ann.getByRole('button', { name: 'Change Ben' }).click();
  await ann.getByRole('menuitem', { name: 'Make an admin' }).click();
  await enter(ben, 'Boat trip in May');
  await ben.getByRole('button', { name: 'Details', exact: true }).click();
  await ben.locator('.members li', { hasText: 'Ben' }).getByText('admin').waitFor();

  await ann.getByRole('button', { name: 'Change Cleo' }).click();
  await ann.getByRole('menuitem', { name: 'Remove' }).click();
  await ann.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await entry(cleo, 'Boat trip in May').waitFor({ state: 'detached' });
  await cleo.getByText('Take a seat').waitFor();

  await ann.getByRole('button', { name: 'Leave group' }).click();
  await ann.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
  await entry(ann, 'Boat trip in May').waitFor({ state: 'detached' });
  await ben.getByRole('heading', { name: '1 members' }).waitFor();
  await ben.locator('.members li', { hasText: 'Ben' }).getByText('owner').waitFor();
});

test('replies, reactions, edits, deletions and pins reach the other side', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  await person(ann, 'Ben').click();
  await say(ann, 'Which train do we take?');
  await enter(ben, 'Ann');
  await message(ben, 'Which train').waitFor();

  await act(ben, 'Which train', 'Reply');
  await ben.getByText('Reply to Ann').waitFor();
  await say(ben, 'The one at nine');
  await message(ann, 'The one at nine').getByRole('button', { name: 'Go to the original' }).getByText('Which train').waitFor();

  await act(ann, 'The one at nine', 'React');
  await ann.getByRole('menuitem', { name: '👍' }).click();
  await message(ben, 'The one at nine').getByRole('button', { name: /👍 1/ }).click();
  await message(ann, 'The one at nine').getByRole('button', { name: /👍 2/, pressed: true }).waitFor();
  await message(ann, 'The one at nine').getByRole('button', { name: /👍 2/ }).click();
  await message(ben, 'The one at nine').getByRole('button', { name: /👍 1/, pressed: true }).waitFor();

  await field(ben).press('ArrowUp');
  await ben.getByText('Edit message').waitFor();
  assert.equal(await field(ben).inputValue(), 'The one at nine');
  await say(ben, 'The one at ten');
  await message(ann, 'The one at ten').getByText('edited').waitFor();

  await choose(ann, 'Which train', 'Pin');
  await ben.getByRole('button', { name: /Pinned message: Which train/ }).waitFor();

  await choose(ann, 'Which train', 'Delete for everyone');
  await ann.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await message(ben, 'This message was deleted').waitFor();
  await ben.getByRole('button', { name: /Pinned message/ }).waitFor({ state: 'detached' });
  await message(ann, 'The one at ten').getByRole('button', { name: 'Go to the original' }).getByText('was deleted').waitFor();

  await choose(ann, 'The one at ten', 'Delete for me');
  await message(ann, 'The one at ten').waitFor({ state: 'detached' });
  assert.equal(await message(ben, 'The one at ten').count(), 1);
});

test('mentions are completed while typing and stand out for whom they name', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  await enter(ann, 'Lounge');
  await person(ann, 'Ben').waitFor();
  await field(ann).pressSequentially('Ask @be');
  await ann.getByRole('option', { name: 'Ben' }).waitFor();
  await field(ann).press('Enter');
  assert.equal(await field(ann).inputValue(), 'Ask @Ben ');
  await field(ann).pressSequentially('about it');
  await field(ann).press('Enter');
  await entry(ben, 'Lounge').getByLabel('you were mentioned').waitFor();
  await enter(ben, 'Lounge');
  assert.equal(await message(ben, 'about it').locator('.mention.me').textContent(), '@Ben');
});

test('unread messages are counted, marked by a line, and can be marked again', async () => {
  const [ann, ben] = [await open('Una'), await open('Udo')];
  await person(ann, 'Udo').click();
  await say(ann, 'already read');
  await enter(ben, 'Una');
  await tick(ann, 'already read', 'read').waitFor();
  await enter(ben, 'Lounge');
  await say(ann, 'first new one');
  await say(ann, 'second new one');
  await entry(ben, 'Una').getByLabel('2 unread').waitFor();
  await eventually(() => ben.title(), '(2) parlor');

  await enter(ben, 'Una');
  const line = ben.getByRole('separator', { name: 'New messages' });
  await line.waitFor();
  const order = await ben.locator('#log > .new, #log > .message').evaluateAll((rows) =>
    rows.slice(-4).map((row) => row.querySelector('.text')?.textContent ?? 'line'));
  assert.deepEqual(order, ['already read', 'line', 'first new one', 'second new one']);
  await eventually(() => ben.title(), 'parlor');
  await tick(ann, 'second new one', 'read').waitFor();

  await choose(ben, 'second new one', 'Mark unread from here');
  await entry(ben, 'Una').getByLabel('1 unread').waitFor();
  await ben.reload();
  await entry(ben, 'Una').getByLabel('1 unread').waitFor();
  await enter(ben, 'Una');
  await eventually(() => ben.title(), 'parlor');
});

test('muted conversations stay out of the title; hidden ones come back with a new message', async () => {
  const [ann, ben] = [await open('Ann'), await open('Mute Tester')];
  await person(ann, 'Mute Tester').click();
  await say(ann, 'one');
  await enter(ben, 'Ann');
  await ben.getByRole('button', { name: 'Details', exact: true }).click();
  await ben.getByRole('switch', { name: 'Mute' }).check();
  await enter(ben, 'Lounge');
  await say(ann, 'two');
  await entry(ben, 'Ann').getByLabel('1 unread').waitFor();
  assert.equal(await ben.title(), 'parlor');

  await enter(ben, 'Ann');
  await ben.getByRole('button', { name: 'Details', exact: true }).click();
  await ben.getByRole('button', { name: /Hide until/ }).click();
  await entry(ben, 'Ann').waitFor({ state: 'detached' });
  await say(ann, 'three');
  await enter(ben, 'Ann');
  await message(ben, 'three').waitFor();
  assert.deepEqual(await texts(ben), ['three']);
});

test('markup in names, titles, messages and links is text and never runs', async () => {
  const evil = '<img src=x onerror="window.hacked=1">';
  const name = `Eve ${evil}`.slice(0, 60);
  const eve = await open(name);
  const ann = await open('Ann');
  await person(ann, name).click();
  const attempts = [
    evil,
    '<script>window.hacked=1</script>',
    'javascript:window.hacked=1',
    'https://example.com/"onmouseover="window.hacked=1',
    '<a href="javascript:window.hacked=1">click</a> <b>bold</b>',
  ];
  for (const text of attempts) await say(ann, text);
  await enter(eve, 'Ann');
  await eventually(() => texts(eve), attempts);
  await eventually(() => texts(ann), attempts);

  await ann.getByRole('button', { name: 'New group' }).click();
  await ann.getByLabel('Title').fill(evil);
  await ann.getByRole('checkbox', { name: /Eve/ }).check();
  await ann.getByRole('button', { name: 'Create group' }).click();
  await eve.locator('#chats strong', { hasText: '<img src=x' }).first().waitFor();

  const links = await eve.locator('#log a').evaluateAll((all) => all.map((link) => [link.protocol, link.rel]));
  assert.deepEqual(links, [['https:', 'noopener noreferrer']]);
  for (const page of [ann, eve]) {
    assert.equal(await page.locator('#log script, #log img, #log b, #chats img, #people img').count(), 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  }
});

test('only web addresses can be attached, and a picture that does not load becomes a link', async () => {
  const ann = await open('Ann');
  await enter(ann, 'Lounge');
  await ann.getByRole('button', { name: 'Attach a link' }).click();
  await ann.getByLabel('Address of a picture or file').fill('javascript:alert(1)');
  await ann.getByRole('dialog').getByRole('button', { name: 'Send' }).click();
  await ann.getByText('Only addresses that begin with').waitFor();
  await ann.getByLabel('Address of a picture or file').fill(`${server.url}/nothing/here/cat.png`);
  await ann.getByRole('dialog').getByRole('button', { name: 'Send' }).click();
  await ann.locator('#log a.file', { hasText: 'cat.png' }).waitFor();
});

test('a message that the server refuses says so and can be given up', async () => {
  const ann = await open('Ann');
  await enter(ann, 'Lounge');
  await say(ann, '漢'.repeat(12_000));
  await ann.getByText(/Not sent: /).waitFor();
  await ann.getByRole('button', { name: 'Discard' }).click();
  await ann.getByText(/Not sent: /).waitFor({ state: 'detached' });
});

test('on a phone there is one pane at a time, with a way back', async () => {
  const ann = await open('Ann', { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  assert.equal(await field(ann).isVisible(), false);
  await enter(ann, 'Lounge');
  await field(ann).waitFor();
  await entry(ann, 'Lounge').waitFor({ state: 'hidden' });
  await say(ann, 'from my phone');
  await message(ann, 'from my phone').tap();
  await ann.getByRole('toolbar').getByRole('button', { name: 'Reply' }).tap();
  await ann.getByText('Reply to You').waitFor();
  const wide = await ann.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px too wide`);
  await ann.getByRole('button', { name: 'Back to the list' }).click();
  await entry(ann, 'Lounge').waitFor();
  await enter(ann, 'Lounge');
  await ann.goBack();
  await entry(ann, 'Lounge').waitFor();
});

test('history is loaded while scrolling up, without a jump, down to the first of 300 messages', async () => {
  const [ann, ...writers] = await Promise.all(['Ann', 'Wim', 'Xaver', 'Yara', 'Zoe'].map((name) => server.client(name)));
  const group = await ann.call('POST', '/conversations', { title: 'Long story', members: writers.map((one) => one.user_id) });
  const id = group.conversation.id;
  for (let number = 1; number <= 300;) {
    const batch = [];
    for (const writer of writers) if (number <= 300) batch.push([writer, number++]);
    for (const [writer, count] of batch) await writer.send(id, `line ${count}`);
  }
  const page = await open('Ann');
  await entry(page, 'Long story').click();
  await message(page, 'line 300').waitFor();
  // Until it has opened it stays at the end.
  await eventually(() => log(page).getAttribute('aria-busy'), 'false');
  assert.ok(await page.locator('.message').count() < 300);

  // Go up page by page; what is in sight when older messages come must stay where it is.
  const scroller = log(page);
  for (let held = 0; ;) {
    const count = await page.locator('.message').count();
    if (count === 300) break;
    assert.ok(count > held, 'scrolling up loads more');
    held = count;
    const shift = await scroller.evaluate(async (element) => {
      element.scrollTop = 0;
      const row = [...element.querySelectorAll('.message')][0];
      const top = row.getBoundingClientRect().top;
      const rows = element.querySelectorAll('.message').length;
      await new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          if (element.querySelectorAll('.message').length === rows) return;
          observer.disconnect();
          requestAnimationFrame(resolve);
        });
        observer.observe(element, { childList: true });
      });
      return Math.abs(row.getBoundingClientRect().top - top);
    });
    assert.ok(shift <= 2, `the first message moved by ${shift} px`);
  }
  const lines = await texts(page);
  assert.deepEqual(lines, Array.from({ length: 300 }, (_, index) => `line ${index + 1}`));
  await page.getByText('This is the beginning of Long story.').waitFor();

  await page.getByRole('button', { name: /Jump to latest/ }).click();
  await page.getByRole('button', { name: /Jump to latest/ }).waitFor({ state: 'hidden' });
  await eventually(() => entry(page, 'Long story').locator('.badge').count(), 0);
  await scroller.evaluate((element) => {
    element.scrollTop = 0;
  });
  await writers[0].send(id, 'line 301');
  await page.getByRole('button', { name: 'Jump to latest, 1 unread' }).click();
  await page.getByRole('button', { name: /Jump to latest/ }).waitFor({ state: 'hidden' });
  await eventually(() => message(page, 'line 301').evaluate((row) => {
    const box = row.getBoundingClientRect();
    return box.bottom <= row.parentElement.getBoundingClientRect().bottom;
  }), true);
});

test('light, dark and the system\'s theme, remembered', async () => {
  const ann = await open('Ann', { colorScheme: 'dark' });
  const light = () => ann.evaluate(() => {
    const [, red] = getComputedStyle(document.body).backgroundColor.match(/(\d+)/);
    return Number(red) > 128;
  });
  assert.equal(await light(), false);
  await ann.getByRole('button', { name: 'Theme: Follow the system' }).click();
  assert.equal(await light(), true);
  await ann.reload();
  assert.equal(await light(), true);
  await ann.getByRole('button', { name: 'Theme: Light' }).click();
  await ann.getByRole('button', { name: 'Theme: Dark' }).waitFor();
  assert.equal(await light(), false);
});

test('everything has a name and a role, and the keyboard is enough', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  await ann.getByRole('navigation', { name: 'Conversations and people' }).waitFor();
  await ann.getByRole('list', { name: 'Conversations' }).waitFor();
  await ann.getByRole('list', { name: 'People' }).getByRole('listitem').first().waitFor();

  await ann.keyboard.press('Control+k');
  await ann.keyboard.type('ben');
  await ann.keyboard.press('Enter');
  await ann.locator('.title', { hasText: 'Ben' }).waitFor();
  await eventually(() => ann.evaluate(() => document.activeElement.id), 'draft');
  assert.equal(await log(ann).getAttribute('aria-live'), 'polite');

  await ann.keyboard.type('two');
  await ann.keyboard.press('Shift+Enter');
  await ann.keyboard.type('lines');
  await ann.keyboard.press('Enter');
  await enter(ben, 'Ann');
  await eventually(async () => (await texts(ben)).at(-1), 'two\nlines');

  await say(ann, 'by keyboard');
  await tick(ann, 'by keyboard', 'read').waitFor();
  await ann.keyboard.press('Shift+Tab');
  await ann.keyboard.press('Shift+Tab');
  await eventually(() => ann.evaluate(() => document.activeElement.id), 'log');
  await ann.keyboard.press('ArrowUp');
  assert.match(await ann.evaluate(() => document.activeElement.textContent), /by keyboard/);
  await ann.keyboard.press('Tab');
  await ann.keyboard.press('Enter');
  await ann.keyboard.press('Enter');
  await message(ben, 'by keyboard').getByRole('button', { name: /👍 1/ }).waitFor();

  const nameless = await ann.evaluate(() => [...document.querySelectorAll('button, input, textarea')]
    .filter((one) => one.checkVisibility() && !one.ariaLabel && !one.textContent.trim() && !one.labels?.length)
    .map((one) => one.outerHTML));
  assert.deepEqual(nameless, []);
  const fakes = await ann.locator('div[onclick], span[role=button], a[href="#"]').count();
  assert.equal(fakes, 0);
});
