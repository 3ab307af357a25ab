// SPDX-License-Identifier: MIT
/*
 * page_test.mjs - the demo page (web/) in Chromium against the real program: a phone and a desktop in one room. The cases
 * share the server and the two pages, and run in order.
 */
// back end: any
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import WebSocket from 'ws';
import { bodies, countsInTitle, DESKTOP, entry, EVIL_NAME, EVIL_TEXT, faint, fits, online, openWatched, others, own, PHONE,
  QUIET_MS, say, scrolled, sees, setRandom, testFaults, typeTwoLines, watch } from './chat_pages.mjs';
import { atEnd, main, pause, picture, serve, test, TOP } from './kit.mjs';

const WEB = join(TOP, 'web');
const server = await serve('--static', WEB);

// A client that is no page: what it hears is in `heard`.
async function wire(query) {
  const socket = new WebSocket(server.url(`/rooms?${query}`));
  socket.heard = [];
  socket.on('message', (data, isBinary) => socket.heard.push(isBinary ? data : data.toString()));
  atEnd(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

// Without a name the page is given one by chance.
async function visit(path, options = PHONE, name) {
  const page = await openWatched(options, name);
  if (name !== undefined)
    await page.addInitScript((given) => sessionStorage.getItem('linnet.name') ?? sessionStorage.setItem('linnet.name', given), name);
  await page.goto(server.url(path, 'http'));
  return page;
}

const heard = (page, text) => entry(page, text).waitFor(); // and once only
const isIn = (page, text, state) => entry(page, text).locator(`xpath=self::*[@data-state="${state}"]`).waitFor();
const delivered = (page, text) => isIn(page, text, 'delivered');
const count = async (page, text) => (await bodies(page)).filter((body) => body === text).length;

async function pictures(name) {
  await picture(phone, `phone-${name}`);
  await picture(desktop, `desktop-${name}`);
}

function paperLuminance() {
  const [r, g, b] = getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

const phone = await visit('/', PHONE, 'Merry Siskin');
const desktop = await visit('/', DESKTOP, 'Quiet Wren');

/* ---- tests ---- */

test('the page weighs less than 60 KB', () => {
  const bytes = readdirSync(WEB).reduce((sum, file) => sum + statSync(join(WEB, file)).size, 0);
  assert(bytes < 60000, `${bytes} bytes`);
});

test('both see each other, themselves first', async () => {
  await online(phone);
  await online(desktop);
  await sees(phone, 'Quiet Wren');
  await sees(desktop, 'Merry Siskin');
  assert.match(await desktop.locator('#people .person').first().innerText(), /^QW\s*Quiet Wren\s*you$/);
  assert.equal(await desktop.locator('#count').textContent(), '2');
  await pictures('empty');
});

test('what is there to use has a name and a role', async () => {
  for (const [role, name] of [['textbox', 'Message'], ['textbox', 'Room'], ['button', 'Send'], ['log', 'Messages'], ['heading', 'linnet'],
    ['button', 'Merry Siskin, you: change your name'], ['link', '/health']])
    assert.equal(await phone.getByRole(role, { name, exact: role !== 'textbox' || name !== 'Room' }).count(), 1, `${role} ${name}`);
  assert.equal(await phone.locator('#link-news').textContent(), 'Connected');
  assert.equal(await phone.locator('#log').getAttribute('aria-live'), 'polite');
});

test('they chat both ways, and what they said is delivered', async () => {
  await say(desktop, 'Morning. Is the new build up?');
  await delivered(desktop, 'Morning. Is the new build up?');
  await heard(phone, 'Morning. Is the new build up?');
  await say(phone, 'It is. I am on the train, on the phone.');
  await say(phone, 'Reconnects after every tunnel so far.');
  await delivered(phone, 'Reconnects after every tunnel so far.');
  await heard(desktop, 'Reconnects after every tunnel so far.');
  assert.match(await entry(desktop, 'It is. I am on the train, on the phone.').innerText(), /Merry Siskin/);
  assert.equal(await desktop.locator('.entry.follows').count(), 1, 'the second of two in a row has no head of its own');
  assert.equal(await entry(desktop, 'Reconnects after every tunnel so far.').locator('.head').isVisible(), false);
});

test('plain text and bytes of another client appear', async () => {
  const other = await wire('room=lobby&name=wscat');
  await sees(phone, 'wscat');
  other.send('hello from a terminal');
  other.send(Buffer.alloc(1234), { binary: true });
  for (const page of [phone, desktop]) {
    await heard(page, 'hello from a terminal');
    await heard(page, 'binary message, 1,234 bytes');
    assert.match(await entry(page, 'hello from a terminal').innerText(), /someone/);
  }
  assert.deepEqual(other.heard.map(String).slice(0, 1), ['hello from a terminal'], 'it hears itself');
  await say(desktop, 'Good morning, terminal.\nYou need no page to take part.');
  await delivered(desktop, 'Good morning, terminal.\nYou need no page to take part.');
  const said = JSON.parse(other.heard.at(-1));
  assert.deepEqual([said.type, said.name, said.text, typeof said.id, typeof said.at],
    ['chat', 'Quiet Wren', 'Good morning, terminal.\nYou need no page to take part.', 'string', 'number']);
});

test('light and dark: both are readable in every colour a name may have', async () => {
  for (const scheme of ['dark', 'light']) {
    for (const page of [phone, desktop]) {
      await page.emulateMedia({ colorScheme: scheme });
      assert.deepEqual(await faint(page), [], scheme);
      const luminance = await page.evaluate(paperLuminance);
      assert(scheme === 'dark' ? luminance < 0.15 : luminance > 0.85, `${scheme}: ${luminance}`);
    }
    await pictures(scheme);
  }
});

test('names and texts with markup stay text', async () => {
  const evil = await wire(`room=lobby&presence=1&name=${encodeURIComponent(EVIL_NAME)}`);
  evil.send(JSON.stringify({ type: 'chat', id: 'evil-1', name: EVIL_NAME, text: EVIL_TEXT, at: Date.now() }));
  evil.send(EVIL_TEXT);
  for (const page of [phone, desktop]) {
    await sees(page, EVIL_NAME);
    await entry(page, EVIL_TEXT).nth(1).waitFor();
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(await page.locator('#log script').count(), 0);
    assert.match(await page.title(), /^#lobby/);
  }
});

test('what is almost a message is shown as the text it is', async () => {
  const other = await wire('room=lobby');
  const strange = ['{"type":"chat","id":1,"name":"a","text":"b","at":1}', '{"type":"chat"', 'null', '[]', '{"type":"chat","id":"","name":"a","text":"b","at":1}',
    '{"type":"presence","room":"lobby","version":"1","count":1,"members":[]}', '{"type":"presence","room":"lobby","version":9e9,"count":1,"members":[{"id":1}]}'];
  for (const text of strange)
    other.send(text);
  for (const text of strange)
    await heard(phone, text);
  other.send('x'.repeat(100000));
  await phone.getByText('… (80000 characters more)').waitFor();
});

test('a message that comes twice is shown once', async () => {
  const other = await wire('room=lobby');
  const twice = JSON.stringify({ type: 'chat', id: 'same', name: 'Bo', text: 'once and only once', at: Date.now() });
  other.send(twice);
  other.send(twice);
  other.send('after the second');
  await heard(phone, 'after the second');
  assert.equal(await count(phone, 'once and only once'), 1);
});

test('Shift+Enter and an IME do not send, Enter does', async () => {
  await typeTwoLines(desktop);
  await delivered(desktop, 'one\ntwo');
  await heard(phone, 'one\ntwo');
  assert.equal(await desktop.inputValue('#text'), '');
  await say(desktop, '   ');
  assert.equal(await count(desktop, ''), 0, 'blanks are no message');
});

test('too long a text stays with its writer', async () => {
  const before = (await bodies(desktop)).length;
  await say(desktop, 'y'.repeat(4012));
  await desktop.getByText('12 characters too many').waitFor();
  assert.equal((await desktop.inputValue('#text')).length, 4012);
  assert.equal((await bodies(desktop)).length, before);
  await desktop.fill('#text', '');
});

test('scrolled up, one is not pulled down, and the list is bounded', async () => {
  const page = await visit('/?room=crowd');
  await online(page);
  const other = await wire('room=crowd');
  for (let i = 0; i < 490; i++)
    other.send(`line ${i}`);
  await heard(page, 'line 489');
  assert(await scrolled(page) < 2, 'it follows its end');
  await page.evaluate(() => { document.querySelector('#log').scrollTop -= 2000; });
  await pause(100);
  const place = () => entry(page, 'line 450').evaluate((element) => element.getBoundingClientRect().top);
  const before = await place();
  for (let i = 0; i < 60; i++)
    other.send(`more ${i}`);
  await page.getByRole('button', { name: '60 new messages' }).waitFor();
  assert(Math.abs(await place() - before) < 2, `what is read stays in its place: ${before} then ${await place()}`);
  assert.equal(await page.locator('#entries > li').count(), 500);
  assert.equal(await page.locator('#entries > li').first().evaluate((element) => element.classList.contains('follows')), false);
  await picture(page, 'phone-new-messages');
  await page.getByRole('button', { name: '60 new messages' }).click();
  assert(await scrolled(page) < 2, 'the button leads to the end');
  assert.equal(await page.locator('#unseen').isVisible(), false);
});

test('the title of a hidden page counts', () => countsInTitle(phone, desktop, '#lobby · linnet'));

test('two tabs of one browser are two people', async () => {
  const first = await openWatched(PHONE);
  await first.context().addInitScript(() => { Math.random = () => 0.3; }); // a chance that both may have
  await first.goto(server.url('/?room=tabs', 'http'));
  await online(first);
  await pause(QUIET_MS); // the first has to be in the list that the second gets
  const second = await first.context().newPage();
  watch(second, 'second tab');
  await second.goto(server.url('/?room=tabs', 'http'));
  await second.locator('#count', { hasText: '2' }).waitFor();
  await sees(first, await own(second));
  assert.notEqual(await own(first), await own(second));
  const before = await own(second);
  await second.reload();
  await online(second);
  assert.equal(await own(second), before, 'a tab keeps its name');
  await first.context().close();
  assert.equal(await phone.locator('#count').textContent(), '2', 'the lobby does not notice');
});

test('a gap in the news of who is here is closed by a new list', async () => {
  const page = await openWatched(PHONE);
  let connections = 0;
  let lost = 0;
  await page.routeWebSocket(/\/rooms/, (side) => {
    const upstream = side.connectToServer();
    connections += 1;
    upstream.onMessage((data) => {
      if (lost === 0 && String(data).includes('"name":"Lost"')) {
        lost += 1;
        return;
      }
      side.send(data);
    });
  });
  await page.goto(server.url('/?room=gap', 'http'));
  await online(page);
  await pause(QUIET_MS);
  const unheard = await wire('room=gap&name=Lost');
  await pause(QUIET_MS);
  assert.deepEqual([lost, await others(page)], [1, []]);
  const later = await wire('room=gap&name=Later');
  await sees(page, 'Later');
  await sees(page, 'Lost');
  assert.equal(connections, 2);
});

test('news that are old or of another room change nothing', async () => {
  const page = await visit('/?room=old');
  const outcome = await page.evaluate(async () => {
    const { People } = await import('./people.js');
    const people = new People();
    const steps = [
      { version: 5, since: 4, count: 9, joined: [], left: [] },
      { version: 7, count: 2, members: [{ id: 'a', name: 'Me' }, { id: 'b', name: 'Bo' }] },
      { version: 7, since: 6, count: 9, joined: [{ id: 'x', name: 'X' }], left: [] },
      { version: 8, since: 7, count: 2, joined: [{ id: 'c', name: 'Cy' }], left: ['b'] },
      { version: 11, since: 9, count: 9, joined: [], left: ['c'] },
      { version: 12, count: 5000 },
    ];
    return steps.map((news) => [people.apply(news), people.count, people.others('Me').join()]);
  });
  assert.deepEqual(outcome, [['old', 0, ''], ['list', 2, 'Bo'], ['old', 2, 'Bo'], ['diff', 2, 'Cy'], ['gap', 2, 'Cy'], ['list', 5000, '']]);
});

test('the waits between attempts are jittered, double up to 30 s, and begin anew after success', async () => {
  const page = await visit('/?room=waits');
  await online(page);
  const waits = await page.evaluate(async () => {
    const { Link } = await import('./link.js');
    const found = [];
    let socket = null;
    let next = null;
    window.WebSocket = class { constructor() { socket = this; } close() {} };
    window.setTimeout = (run, ms) => { next = run; found.push(ms); };
    Math.random = () => 0.5;
    const link = new Link({ url: () => 'ws://nowhere', onState() {}, onData() {} });
    const fail = () => { socket.onclose(); found.splice(0, found.length - 1); const wait = found.pop(); next(); return wait; };
    link.connect();
    const before = Array.from({ length: 9 }, fail);
    socket.onopen();
    const opened = fail();
    socket.onopen();
    socket.onmessage({ data: 'x' });
    return [...before, opened, fail()];
  });
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000, 250]);
});

test('a message without an echo makes the page connect anew', async () => {
  const page = await openWatched(PHONE);
  let connections = 0;
  await page.routeWebSocket(/\/rooms/, (side) => {
    const upstream = side.connectToServer();
    connections += 1;
    if (connections === 1)
      side.onMessage(() => {}); // the first connection swallows what is said
    upstream.onMessage((data) => side.send(data));
  });
  await page.clock.install();
  await page.goto(server.url('/?room=silence', 'http'));
  await online(page);
  await say(page, 'is this on?');
  await isIn(page, 'is this on?', 'sent');
  await page.clock.fastForward(12000);
  await delivered(page, 'is this on?');
  assert.equal(connections, 2);
  assert.equal(await count(page, 'is this on?'), 1);
});

test('a new name is seen by the others and kept, and a draft survives it', async () => {
  await phone.fill('#text', 'half a thought');
  await phone.getByRole('button', { name: /change your name/ }).click();
  await phone.getByRole('dialog').waitFor();
  await picture(phone, 'phone-name');
  await phone.fill('#name', '   ');
  await phone.press('#name', 'Enter');
  assert.equal(await phone.getByRole('dialog').isVisible(), true, 'blanks are no name');
  await phone.fill('#name', '  Ada \u202e Lovelace ');
  await phone.press('#name', 'Enter');
  await sees(desktop, 'Ada Lovelace');
  await online(phone);
  assert.deepEqual((await others(desktop)).filter((text) => text.includes('Siskin')), []);
  assert.equal(await phone.inputValue('#text'), 'half a thought');
  await phone.press('#text', 'Enter');
  await heard(desktop, 'half a thought');
  assert.match(await entry(desktop, 'half a thought').innerText(), /Ada Lovelace/);
  assert.equal(await phone.evaluate(() => localStorage.getItem('linnet.name')), 'Ada Lovelace');
  await phone.reload();
  await online(phone);
  assert.match(await phone.locator('#people .me').innerText(), /Ada Lovelace/);
});

test('rooms are apart, in the address, and a step back leads back', async () => {
  const go = async (room) => { await phone.fill('#room', room); await phone.press('#room', 'Enter'); };
  await go('no/such?room');
  assert.equal(await phone.evaluate(() => document.querySelector('#room').validity.customError), true);
  assert.equal(new URL(phone.url()).search, '');
  await go('#quiet corner');
  await online(phone);
  assert.equal(new URL(phone.url()).search, '?room=quiet-corner');
  assert.equal(await phone.title(), '#quiet-corner · linnet');
  await desktop.waitForFunction(() => document.querySelectorAll('#people .person').length === 1);
  await say(phone, 'nobody hears me');
  await delivered(phone, 'nobody hears me');
  await say(desktop, 'only in the lobby');
  await delivered(desktop, 'only in the lobby');
  await pause(QUIET_MS);
  assert.equal(await count(phone, 'only in the lobby') + await count(desktop, 'nobody hears me'), 0);
  await phone.goBack();
  await sees(phone, 'Quiet Wren');
  assert.equal(await phone.inputValue('#room'), 'lobby');
});

test('without the server a page waits, counts down and keeps what one writes', async () => {
  await phone.clock.install(); // its wait is long, and cut short at last
  await setRandom(phone, 60); // 30 s
  await setRandom(desktop, 0.02);
  await phone.fill('#text', 'a draft');
  const place = () => phone.locator('#composer').boundingBox();
  const before = await place();
  await server.stop('SIGKILL');
  await phone.getByText(/^Reconnecting in (2\d|30) s$/).waitFor();
  assert.deepEqual(await place(), before, 'the composer does not move');
  assert.equal(await phone.inputValue('#text'), 'a draft');
  assert.equal(await phone.locator('#link-news').textContent(), 'Not connected, trying again');
  await say(phone, 'written without a server');
  await say(phone, 'and one more');
  await isIn(phone, 'and one more', 'pending');
  await desktop.locator('#link:not([data-state="online"])').waitFor();
  await phone.clock.fastForward(5000);
  await phone.getByText(/^Reconnecting in (1\d|2[0-5]) s$/).waitFor();
  assert.deepEqual(await faint(phone), []);
  await pictures('reconnecting');
});

test('what waits is bounded, and what does not fit stays in the composer', async () => {
  await phone.locator('#text').evaluate((text) => {
    for (let i = 2; i < 50; i++) {
      text.value = `waiting ${i}`;
      text.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    }
  });
  await say(phone, 'the fifty-first');
  await phone.getByText(/^50 messages wait already/).waitFor();
  assert.equal(await phone.inputValue('#text'), 'the fifty-first');
});

test('after a restart both come back by themselves, and what waited arrives once', async () => {
  await phone.getByText(/^Reconnecting in [12]\d s$/).waitFor();
  await server.start();
  await online(desktop); // before the phone sends
  await phone.clock.fastForward(30000);
  await online(phone);
  await sees(phone, 'Quiet Wren');
  await sees(desktop, 'Ada Lovelace');
  await delivered(phone, 'waiting 49');
  await heard(desktop, 'waiting 49');
  await pause(QUIET_MS);
  for (const page of [phone, desktop]) {
    const said = await bodies(page);
    assert.deepEqual(said.slice(said.indexOf('written without a server')),
      ['written without a server', 'and one more', ...Array.from({ length: 48 }, (_, i) => `waiting ${i + 2}`)]);
  }
  await phone.press('#text', 'Enter');
  await heard(desktop, 'the fifty-first');
  await say(desktop, 'welcome back');
  await heard(phone, 'welcome back');
});

test('"Now" does not wait, and a server that says goodbye is waited for', async () => {
  await setRandom(phone, 60);
  await server.stop();
  await phone.getByText(/^Reconnecting in (2\d|30) s$/).waitFor();
  await server.start();
  const began = Date.now();
  await phone.getByRole('button', { name: /^Now/ }).click();
  await online(phone);
  assert(Date.now() - began < 10000, 'not the half minute it would have waited');
  assert.equal(await phone.locator('#link-now').isVisible(), false);
  await setRandom(phone, 0.5);
});

test('without a network it says so, and is back with the network', async () => {
  await online(desktop);
  await phone.context().setOffline(true);
  await phone.getByText('Offline', { exact: true }).first().waitFor();
  await say(phone, 'from the tunnel');
  await pause(QUIET_MS);
  assert.equal(await count(desktop, 'from the tunnel'), 0);
  await phone.context().setOffline(false);
  await delivered(phone, 'from the tunnel');
  await heard(desktop, 'from the tunnel');
});

test('going elsewhere with something unsent puts it back into the composer', async () => {
  await phone.context().setOffline(true);
  await phone.locator('#link:not([data-state="online"])').waitFor();
  await say(phone, 'meant for the lobby');
  await phone.fill('#room', 'elsewhere');
  await phone.press('#room', 'Enter');
  assert.equal(await phone.inputValue('#text'), 'meant for the lobby');
  await phone.context().setOffline(false);
  await online(phone);
  await pause(QUIET_MS);
  assert.deepEqual(await bodies(phone), []);
  await phone.fill('#text', '');
  await phone.goBack();
  await sees(phone, 'Quiet Wren');
});

test('it fits: with a keyboard on screen, on a narrow phone, in landscape', () => fits(phone));

testFaults();

await main();
