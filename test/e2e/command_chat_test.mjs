// SPDX-License-Identifier: MIT
/*
 * command_chat_test.mjs - the chat page (examples/chat) in Chromium against the real program: a phone and a desktop, and
 * clients that are no pages. The cases share the server and the two pages, and run in order.
 */
// back end: any
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { CommandClient } from '../../clients/js/linnet.js';
import { bodies, countsInTitle, DESKTOP, entry, EVIL_NAME, EVIL_TEXT, faint, fits, online, openWatched, others, own, PHONE,
  QUIET_MS, say, scrolled, sees, setRandom, testFaults, typeTwoLines } from './chat_pages.mjs';
import { atEnd, main, pause, picture, serve, silentExample, test, TOP, until } from './kit.mjs';

const server = await serve('--static', TOP);

// A client that is no page: `heard` has what it was told, as [id, value].
async function other(username, where = server) {
  const client = new CommandClient({ url: where.url('/ws'), WebSocket });
  client.heard = [];
  for (const id of [1, 3, 4, 6])
    client.on(id, (payload) => client.heard.push([id, JSON.parse(Buffer.from(payload))]));
  await client.connect();
  atEnd(() => client.disconnect());
  if (username !== undefined)
    await client.sendJSON(8, { username });
  return client;
}

async function visit(options) {
  const page = await openWatched(options);
  await page.goto(server.url('/examples/chat/', 'http'));
  return page;
}

async function comeIn(page, name, address) {
  await page.fill('#username', name);
  if (address !== undefined) {
    await page.getByText('Server', { exact: true }).click();
    await page.fill('#server', address);
  }
  await page.press('#username', 'Enter');
  await online(page);
}

const notes = (page) => page.locator('.note').allInnerTexts();
const heard = (page, text) => entry(page, text).first().waitFor();
const marked = (page, text, state) => entry(page, text).locator(`xpath=self::*[@data-state="${state}"]`).first().waitFor();
const noted = (page, text) => page.locator('.note').getByText(text, { exact: true }).first().waitFor();

// Of pages by their names, in both schemes.
async function pictures(pages, name) {
  for (const [who, page] of Object.entries(pages)) {
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      await picture(page, `${who}-${name}-${colorScheme}`);
    }
  }
}

const phone = await visit(PHONE);
const desktop = await visit(DESKTOP);

/* ---- tests ---- */

test('at the door: a name is wanted, and an address that is one', async () => {
  assert.equal(await phone.evaluate(() => document.activeElement.id), 'username');
  assert.equal(await phone.inputValue('#server'), server.url('/ws'));
  await pictures({ phone, desktop }, 'door');
  for (const page of [phone, desktop])
    assert.deepEqual(await faint(page), []);
  await phone.fill('#username', ' \u202e ');
  await phone.press('#username', 'Enter');
  assert.equal(await phone.evaluate(() => document.querySelector('#username').validity.customError), true);
  await phone.fill('#username', 'A very long name that is longer');
  assert.equal(await phone.inputValue('#username'), 'A very long name tha');
  await phone.fill('#username', 'Ada');
  await phone.getByText('Server', { exact: true }).click();
  await phone.fill('#server', 'http://example.org');
  await phone.press('#server', 'Enter');
  assert.equal(await phone.locator('#app').isVisible(), false);
  await phone.fill('#server', server.url('/ws'));
});

test('both come in and see each other, themselves first', async () => {
  await comeIn(phone, 'Ada');
  await comeIn(desktop, 'Bertil Öst');
  await sees(phone, 'Bertil Öst');
  await sees(desktop, 'Ada');
  await noted(phone, 'Bertil Öst came in');
  assert.deepEqual(await notes(desktop), []);
  assert.match(await desktop.locator('#people .person').first().innerText(), /^BÖ\s*Bertil Öst\s*you$/);
  assert.equal(await desktop.locator('#count').textContent(), '2');
  assert.equal(await phone.locator('#link-news').textContent(), 'Connected');
  assert.equal(await phone.evaluate(() => document.activeElement.id), 'text');
});

test('what there is to use has a name and a role', async () => {
  for (const [role, name] of [['textbox', 'Message'], ['button', 'Send'], ['button', 'Leave'], ['log', 'Messages'], ['heading', 'Chat'],
    ['button', 'Ada, you: change your name']])
    assert.equal(await phone.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
  assert.equal(await phone.locator('#log').getAttribute('aria-live'), 'polite');
});

test('the commands on the wire', async () => {
  const client = await other('wire');
  await sees(phone, 'wire');
  await say(phone, 'to the byte');
  await marked(phone, 'to the byte', 'delivered');
  await client.send(5);
  await until('the list came', () => client.heard.some(([each]) => each === 6));
  const [id, said] = client.heard.find(([each]) => each === 1);
  assert.deepEqual([id, Object.keys(said), said.username, said.message], [1, ['username', 'message', 'timestamp'], 'Ada', 'to the byte']);
  const list = client.heard.find(([each]) => each === 6)[1];
  assert.deepEqual(list.map(({ username }) => username).sort(), ['Ada', 'Bertil Öst', 'wire']);
  client.disconnect();
  await noted(phone, 'wire left');
});

test('they chat both ways', async () => {
  await say(desktop, 'Morning. Is the new build up?');
  await heard(phone, 'Morning. Is the new build up?');
  await marked(desktop, 'Morning. Is the new build up?', 'delivered');
  await say(phone, 'It is. I am on the train, on the phone.');
  await say(phone, 'Reconnects after every tunnel so far.');
  await heard(desktop, 'Reconnects after every tunnel so far.');
  assert.match(await entry(desktop, 'It is. I am on the train, on the phone.').innerText(), /Ada/);
  assert.equal(await entry(desktop, 'Reconnects after every tunnel so far.').locator('.head').isVisible(), false, 'said by the same');
  await say(desktop, 'Then the score goes out tonight.\nI will write to the others.');
  await marked(desktop, 'Then the score goes out tonight.\nI will write to the others.', 'delivered');
  await heard(phone, 'Then the score goes out tonight.\nI will write to the others.');
  await pictures({ phone, desktop }, 'talk');
});

test('both schemes are readable in every colour a name may have', async () => {
  for (const colorScheme of ['dark', 'light']) {
    for (const page of [phone, desktop]) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await faint(page), [], colorScheme);
    }
  }
});

test('names and texts with markup stay text', async () => {
  const evil = await other(EVIL_NAME);
  await evil.sendJSON(1, { username: EVIL_NAME, message: EVIL_TEXT });
  for (const page of [phone, desktop]) {
    await sees(page, EVIL_NAME);
    await noted(page, `${EVIL_NAME} came in`);
    await heard(page, EVIL_TEXT);
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(await page.locator('#log script').count(), 0);
    assert.equal(await page.title(), 'Chat · linnet');
  }
  await pictures({ phone, desktop }, 'markup');
  evil.disconnect();
  await noted(phone, `${EVIL_NAME} left`);
});

test('a page of that name is as harmless', async () => {
  const page = await visit(DESKTOP);
  await page.evaluate(() => document.querySelector('#username').removeAttribute('maxlength'));
  await comeIn(page, EVIL_NAME);
  assert.equal(await own(page), EVIL_NAME);
  await say(page, EVIL_TEXT);
  await marked(page, EVIL_TEXT, 'delivered');
  assert.equal(await page.locator('img').count() + await phone.locator('img').count(), 0);
});

test('what is malformed is passed over', async () => {
  const before = (await bodies(phone)).length;
  const client = await other('Strange \u202e name\u0000');
  await client.sendJSON(1, { username: 'Strange', message: 'x'.repeat(30000) });
  await phone.getByText('… (10000 characters more)').waitFor();
  await sees(phone, 'Strange name');
  await client.sendString(1, '{');
  await client.sendJSON(1, { username: 1, message: 2 });
  await client.sendJSON(1, null);
  await client.sendJSON(1, { message: 'nameless' });
  await heard(phone, 'nameless');
  assert.match(await entry(phone, 'nameless').innerText(), /someone/);
  assert.equal((await bodies(phone)).length, before + 2);
  await client.sendJSON(8, { username: 'y'.repeat(80) });
  await noted(phone, `Strange name is called ${'y'.repeat(40)}… now`);
});

test('a message of somebody with the same name is not taken for one\'s own', async () => {
  const twin = await other('Ada');
  await twin.sendJSON(1, { username: 'Ada', message: 'I am the other one' });
  await heard(phone, 'I am the other one');
  assert.equal(await entry(phone, 'I am the other one').evaluate((element) => element.classList.contains('own')), false);
  await sees(phone, 'Ada');
  assert.equal((await others(desktop)).filter((name) => name.endsWith('Ada')).length, 2);
  twin.disconnect();
  await noted(phone, 'Ada left');
  assert.equal(await own(phone), 'Ada');
});

test('a new name is seen by the others, and a draft survives it', async () => {
  await phone.fill('#text', 'half a thought');
  await phone.getByRole('button', { name: /change your name/ }).click();
  await phone.getByRole('dialog').waitFor();
  await pictures({ phone }, 'name');
  await phone.fill('#new-name', '  ');
  await phone.press('#new-name', 'Enter');
  assert.equal(await phone.getByRole('dialog').isVisible(), true);
  await phone.fill('#new-name', 'Ada L.');
  await phone.press('#new-name', 'Enter');
  await sees(desktop, 'Ada L.');
  await noted(desktop, 'Ada is called Ada L. now');
  assert.equal(await phone.inputValue('#text'), 'half a thought');
  await phone.press('#text', 'Enter');
  await heard(desktop, 'half a thought');
  assert.match(await entry(desktop, 'half a thought').innerText(), /Ada L\./);
});

test('a reload keeps the name and the draft', async () => {
  await phone.fill('#text', 'not yet sent');
  await phone.reload();
  await online(phone);
  assert.equal(await own(phone), 'Ada L.');
  assert.equal(await phone.inputValue('#text'), 'not yet sent');
  await sees(phone, 'Bertil Öst');
  await sees(desktop, 'Ada L.');
  await phone.fill('#text', '');
});

test('Shift+Enter and an IME do not send, Enter does, and blanks are nothing', async () => {
  await typeTwoLines(desktop);
  await heard(phone, 'one\ntwo');
  const before = (await bodies(desktop)).length;
  await say(desktop, '   ');
  await say(desktop, 'z'.repeat(1007));
  await desktop.getByText('7 characters too many').waitFor();
  assert.equal((await bodies(desktop)).length, before);
  await say(desktop, '\u20ac'.repeat(1000));
  await heard(phone, '\u20ac'.repeat(1000));
});

test('scrolled up, one is not pulled down, and the list is bounded', async () => {
  const client = await other('Lots');
  for (let i = 0; i < 120; i++)
    await client.sendJSON(1, { username: 'Lots', message: `line ${i}` });
  await heard(phone, 'line 119');
  assert(await scrolled(phone) < 2, 'it follows its end');
  await phone.evaluate(() => { document.querySelector('#log').scrollTop -= 1500; });
  await pause(100);
  const place = () => entry(phone, 'line 90').evaluate((element) => element.getBoundingClientRect().top);
  const before = await place();
  await client.sendJSON(1, { username: 'Lots', message: 'one more' });
  await phone.getByRole('button', { name: '1 new message' }).waitFor();
  assert(Math.abs(await place() - before) < 1, 'what is read stays in its place');
  await phone.evaluate(async () => {
    const { Transcript } = await import('./view.js');
    const list = document.createElement('ol');
    const [view, button, buttonText] = ['div', 'button', 'b'].map((tag) => document.createElement(tag));
    const transcript = new Transcript({ view, list, button, buttonText });
    for (let i = 0; i < 600; i++)
      transcript.hear('Lots', `line ${i}`, Date.now());
    window.bounded = [list.childElementCount, list.firstElementChild.className];
  });
  assert.deepEqual(await phone.evaluate(() => window.bounded), [500, 'entry']);
  await phone.getByRole('button', { name: '1 new message' }).click();
  assert(await scrolled(phone) < 2, 'the button leads to the end');
  client.disconnect();
});

test('the title of a hidden page counts', () => countsInTitle(phone, desktop, 'Chat · linnet'));

test('without the server a page waits, and keeps what one writes', async () => {
  for (const page of [phone, desktop])
    await setRandom(page, 60); // they stay away until they are told
  await phone.fill('#text', 'a draft');
  const place = () => phone.locator('#composer').boundingBox();
  const before = await place();
  await server.stop('SIGKILL');
  await phone.getByText(/^Reconnecting in [1-9]\d* s$/).waitFor();
  assert.deepEqual(await place(), before, 'the composer does not move');
  assert.equal(await phone.inputValue('#text'), 'a draft');
  assert.equal(await phone.locator('#link-news').textContent(), 'Not connected, trying again');
  await say(phone, 'written without a server');
  await say(phone, 'and one more');
  await marked(phone, 'and one more', 'pending');
  assert.deepEqual(await faint(phone), []);
  const leave = await phone.locator('#leave').boundingBox();
  assert(leave.x + leave.width <= PHONE.viewport.width - 12, `the header fits: ${JSON.stringify(leave)}`);
  await pictures({ phone, desktop }, 'reconnecting');
});

test('after a restart names are as before, and what waited arrives once and in order', async () => {
  await server.start();
  for (const page of [desktop, phone]) { // who is not there when it is said does not hear it
    await setRandom(page, 0.5);
    await page.getByRole('button', { name: /^Now/ }).click();
    await online(page);
  }
  await sees(phone, 'Bertil Öst');
  await sees(desktop, 'Ada L.');
  assert.deepEqual([await own(phone), await own(desktop)], ['Ada L.', 'Bertil Öst']);
  assert.deepEqual([(await others(phone)).length, (await others(desktop)).length], [1, 1], 'and no guests');
  await marked(phone, 'and one more', 'delivered');
  await heard(desktop, 'and one more');
  await pause(QUIET_MS);
  for (const page of [phone, desktop])
    assert.deepEqual((await bodies(page)).slice(-2), ['written without a server', 'and one more']);
  assert.equal((await notes(desktop)).filter((text) => text === 'Ada L. came in').length, 1, 'from the reload; who is back is no news');
  assert.equal(await phone.locator('#link-now').isVisible(), false);
});

test('what was sent and did not come back is said to be doubtful, and sent again if one likes', async () => {
  const page = await openWatched(PHONE);
  let isDeaf = true;
  await page.routeWebSocket(/\/ws/, (side) => {
    const upstream = side.connectToServer();
    side.onMessage((data) => isDeaf && Buffer.from(data).readUInt32BE(0) === 1 ? undefined : upstream.send(data));
    upstream.onMessage((data) => side.send(data));
  });
  await page.clock.install();
  await page.goto(server.url('/examples/chat/', 'http'));
  await comeIn(page, 'Doubtful');
  await say(page, 'does anybody hear this?');
  await marked(page, 'does anybody hear this?', 'sent');
  await page.clock.fastForward(11000);
  await marked(page, 'does anybody hear this?', 'unsure');
  await online(page);
  isDeaf = false;
  await pictures({ phone: page }, 'unsure');
  await page.getByRole('button', { name: 'Not confirmed. Send again' }).click();
  await marked(page, 'does anybody hear this?', 'delivered');
  await heard(desktop, 'does anybody hear this?');
  assert.deepEqual((await bodies(desktop)).filter((text) => text.startsWith('does')), ['does anybody hear this?']);
});

test('who is closed by the server is told why, and comes back', async () => {
  const page = await openWatched(DESKTOP);
  const sides = [];
  await page.routeWebSocket(/\/ws/, (side) => {
    sides.push(side);
    side.connectToServer();
  });
  await page.goto(server.url('/examples/chat/', 'http'));
  await comeIn(page, 'Hasty');
  await noted(desktop, 'Hasty came in');
  await setRandom(page, 0);
  await sides[0].close({ code: 1008, reason: 'Rate limit exceeded' });
  await noted(page, 'The server has closed the connection: Rate limit exceeded');
  await noted(page, 'Back again; what was said meanwhile has not reached you');
  await sees(desktop, 'Hasty');
  await sees(page, 'Bertil Öst');
  assert.deepEqual([sides.length, await own(page)], [2, 'Hasty']);
});

test('who leaves is gone, and may come in again under another name', async () => {
  const page = await visit(PHONE);
  await comeIn(page, 'Visitor');
  await noted(desktop, 'Visitor came in');
  await page.click('#leave');
  await noted(desktop, 'Visitor left');
  assert.equal(await page.inputValue('#username'), 'Visitor');
  await comeIn(page, 'Returner');
  await noted(desktop, 'Returner came in');
  await sees(page, 'Bertil Öst');
  assert.deepEqual(await bodies(page), []);
  await pause(QUIET_MS);
  assert.equal(await page.locator('#link').getAttribute('data-state'), 'online');
});

test('it fits: with a keyboard on screen, on a narrow phone, in landscape', async () => {
  await phone.fill('#text', 'one line\nand another');
  await fits(phone);
  await phone.fill('#text', '');
});

test('the page talks to another server as well: examples/chat-server', async () => {
  const small = await silentExample('chat-server');
  const page = await visit(DESKTOP);
  await comeIn(page, 'Far', small.url('/ws'));
  const client = await other('Near', small);
  await sees(page, 'Near');
  await say(page, 'over here');
  await marked(page, 'over here', 'delivered');
  await client.sendJSON(1, { username: 'Near', message: 'so am I' });
  await heard(page, 'so am I');
  client.disconnect();
  await noted(page, 'Near left');
});

testFaults();

await main();
