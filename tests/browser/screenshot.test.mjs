// Takes the picture of the README. Only when PARLOR_SCREENSHOT is set: it is not a check.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Browser, Server, act, enter, entry, eventually, field, message, person, say } from './harness.mjs';

const PICTURE = fileURLToPath(new URL('../../docs/screenshot.png', import.meta.url));

test('the picture of the README', { skip: !process.env.PARLOR_SCREENSHOT }, async () => {
  const server = await Server.start();
  const browser = await Browser.start();
  const open = async (name) => {
    const page = await browser.person(server.url, name, { viewport: { width: 1440, height: 900 } });
    await entry(page, 'Lounge').waitFor();
    return page;
  };
  const [ann, ben, mia] = [await open('Ann Sommer'), await open('Ben Okafor'), await open('Mia Laurent')];
  await server.client('Theo Brandt');
  await person(ann, 'Theo Brandt').waitFor();

  await say(await opened(ben, 'Lounge'), 'Coffee is ready in the kitchen');
  await person(mia, 'Ann Sommer').click();
  await say(mia, 'The photos are on their way to you');
  await ann.getByRole('button', { name: 'New group' }).click();
  await ann.getByLabel('Title').fill('Lake house in June');
  for (const name of ['Ben Okafor', 'Mia Laurent', 'Theo Brandt']) await ann.getByRole('checkbox', { name }).check();
  await ann.getByRole('button', { name: 'Create group' }).click();
  await ann.locator('.title', { hasText: 'Lake house' }).waitFor();

  await say(ann, 'I found a house on the lake for the second weekend of June');
  await say(ann, 'Four rooms, a jetty and an old rowing boat: https://example.com/lake-house');
  await opened(ben, 'Lake house in June');
  await opened(mia, 'Lake house in June');
  await message(ben, 'I found a house').waitFor();
  await say(ben, 'That looks lovely! Is there a kitchen for all of us?');
  await message(mia, 'Is there a kitchen').waitFor();
  await act(mia, 'an old rowing boat', 'React');
  await mia.getByRole('menuitem', { name: '❤️' }).click();
  await act(ben, 'an old rowing boat', 'React');
  await ben.getByRole('menuitem', { name: '❤️' }).click();
  await act(mia, 'an old rowing boat', 'React');
  await mia.getByRole('menuitem', { name: '🎉' }).click();
  await message(ann, 'Is there a kitchen').waitFor();
  await act(ann, 'Is there a kitchen', 'Reply');
  await say(ann, 'A big one, with a table for ten');
  await message(mia, 'A big one').waitFor();
  await say(mia, 'Then I cook on Saturday');
  await say(mia, '@Ben Okafor you bring the cake, as always?');
  await message(ben, 'you bring the cake').waitFor();
  await say(ben, 'With pleasure');
  await message(ann, 'With pleasure').waitFor();
  await say(ann, 'Wonderful, I will book it tonight');
  await message(ann, 'I will book it').getByRole('img', { name: 'read' }).waitFor();
  await act(ann, 'I found a house', 'More');
  await ann.getByRole('menuitem', { name: 'Pin', exact: true }).click();
  await ann.getByRole('button', { name: /Pinned message/ }).waitFor();
  await field(mia).pressSequentially('How do we');
  await ann.locator('#typing', { hasText: 'Mia Laurent is typing' }).waitFor();
  await entry(ann, 'Mia Laurent').getByLabel('1 unread').waitFor();
  await field(ann).focus();
  await ann.mouse.move(1430, 5);
  await eventually(() => ann.locator('.tools').count(), 0);

  await ann.screenshot({ path: PICTURE });
  assert.ok((await stat(PICTURE)).size < 400 * 1024);
  browser.check();
  await browser.stop();
  await server.stop();
});

async function opened(page, title) {
  await enter(page, title);
  return page;
}
