// SPDX-License-Identifier: MIT
/*
 * page_test.mjs - the demo page (web/) in Chromium against the real program: a phone and a desktop in one room.
 *
 *   LINNET        the program (build/release/linnet)
 *   CHROMIUM      the browser (/usr/bin/chromium)
 *   SCREENSHOTS   a folder for pictures (a new temporary one)
 *
 * Prints TAP; exit status 1 if anything failed. The tests share the server and the two pages, and run in order.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const WEB = join(TOP, 'web');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const SHOTS = process.env.SCREENSHOTS ?? mkdtempSync(join(tmpdir(), 'linnet-page-'));
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1280, height: 800 };
const PATIENCE_MS = 15000;
const QUIET_MS = 400; // long enough for a local echo that must not come
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const EVIL_NAME = '<img src=x onerror=alert(1)>';
const EVIL_TEXT = '<img src=x onerror="document.title=1;alert(2)"><script>alert(3)</script>';

/* ---- the server ---- */

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Server {
  constructor(port) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}/`;
  }

  async start() {
    this.process = spawn(LINNET, ['serve', '--listen', `127.0.0.1:${this.port}`, '--static', WEB, '--log-level', 'warn'],
      { stdio: ['ignore', 'ignore', 'inherit'] });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve).once('error', resolve));
    const until = Date.now() + PATIENCE_MS;
    while (!await fetch(`${this.url}health`).then((answer) => answer.ok, () => false)) {
      assert(Date.now() < until && this.process.exitCode === null, 'the server does not start');
      await pause(50);
    }
  }

  async end(signal) {
    this.process.kill(signal);
    await this.ended;
  }
}

const wires = []; // open for one test

// A client that is no page: what it hears is in `heard`.
async function wire(server, query) {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/rooms?${query}`);
  socket.heard = [];
  socket.on('message', (data, isBinary) => socket.heard.push(isBinary ? data : data.toString()));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  wires.push(socket);
  return socket;
}

/* ---- the pages ---- */

const faults = []; // dialogs, uncaught errors and violated policies of any page

function watch(page, who) {
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('dialog', (dialog) => { faults.push(`${who}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('pageerror', (error) => faults.push(`${who}: ${error}`));
  page.on('console', (line) => {
    // A browser asks for the icon when it likes, also while a test has the server down.
    const isIcon = line.location().url.endsWith('/favicon.svg') && /ERR_CONNECTION_REFUSED/.test(line.text());
    if (line.type() === 'error' && !isIcon && !/WebSocket connection to|ERR_INTERNET_DISCONNECTED/.test(line.text()))
      faults.push(`${who}: ${line.text()}`);
  });
}

async function openPage(browser, url, { name, ...options }) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  watch(page, name ?? 'page');
  if (name !== undefined)
    await page.addInitScript((given) => sessionStorage.getItem('linnet.name') ?? sessionStorage.setItem('linnet.name', given), name);
  await page.goto(url);
  return page;
}

const online = (page) => page.locator('#link[data-state="online"]').waitFor();
const others = (page) => page.locator('#people .person:not(:first-child)').allInnerTexts();
const bodies = (page) => page.locator('.entry .body').allInnerTexts();
const entry = (page, text) => page.locator('.entry', { has: page.locator('.body').getByText(text, { exact: true }) });
const delivered = (page, text) => entry(page, text).locator('xpath=self::*[@data-state="delivered"]').waitFor();
const heard = (page, text) => entry(page, text).waitFor();
const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`), animations: 'disabled' });

function sees(page, name) {
  return page.locator('#people .person:not(:first-child)').getByText(name, { exact: true }).waitFor();
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const count = async (page, text) => (await bodies(page)).filter((body) => body === text).length;

async function shots(pages, name) {
  for (const [who, page] of Object.entries(pages))
    await shot(page, `${who}-${name}`);
}

/* ---- colours: in the page ---- */

// The texts whose contrast with what is behind them is below 4.5 (WCAG AA), each name in every hue there is.
function findFaint() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  function rgb(color) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  }
  function luminance(color) {
    const [r, g, b] = Array.from(rgb(color)).map((value) => value / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function behind(element) {
    const color = getComputedStyle(element).backgroundColor;
    return rgb(color)[3] > 0 || element.parentElement === null ? color : behind(element.parentElement);
  }
  function contrast(element) {
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  const faint = [];
  for (const element of document.querySelectorAll('h1, h2, p, a, code, button, time, input, textarea, .name, .egg, .you, .note, .link-text')) {
    for (let hue = 0; hue < 360; hue += 15) {
      const had = element.style.getPropertyValue('--hue');
      if (had === '' && hue > 0)
        break;
      if (had !== '')
        element.style.setProperty('--hue', hue);
      if (element.innerText?.trim() !== '' && contrast(element) < 4.5)
        faint.push(`${element.tagName}.${element.className} "${element.innerText}" hue ${hue}: ${contrast(element).toFixed(2)}`);
      if (had !== '')
        element.style.setProperty('--hue', had);
    }
  }
  return faint;
}

function paperLuminance() {
  const [r, g, b] = getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

/* ---- tests ---- */

const tests = [];
const test = (name, run) => tests.push({ name, run });

test('the page weighs less than 60 KB', () => {
  const bytes = readdirSync(WEB).reduce((sum, file) => sum + statSync(join(WEB, file)).size, 0);
  assert(bytes < 60000, `${bytes} bytes`);
});

test('both see each other, themselves first', async ({ phone, desktop }) => {
  await online(phone);
  await online(desktop);
  await sees(phone, 'Quiet Wren');
  await sees(desktop, 'Merry Siskin');
  assert.match(await desktop.locator('#people .person').first().innerText(), /^QW\s*Quiet Wren\s*you$/);
  assert.equal(await desktop.locator('#count').textContent(), '2');
  await shots({ phone, desktop }, 'empty');
});

test('what is there to use has a name and a role', async ({ phone }) => {
  for (const [role, name] of [['textbox', 'Message'], ['textbox', 'Room'], ['button', 'Send'], ['log', 'Messages'], ['heading', 'linnet'],
    ['button', 'Merry Siskin, you: change your name'], ['link', '/health']])
    assert.equal(await phone.getByRole(role, { name, exact: role !== 'textbox' || name !== 'Room' }).count(), 1, `${role} ${name}`);
  assert.equal(await phone.locator('#link-news').textContent(), 'Connected');
  assert.equal(await phone.locator('#log').getAttribute('aria-live'), 'polite');
});

test('they chat both ways, and what they said is delivered', async ({ phone, desktop }) => {
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

test('plain text and bytes of another client appear', async ({ phone, desktop, server }) => {
  const other = await wire(server, 'room=lobby&name=wscat');
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

test('light and dark: both are readable in every colour a name may have', async ({ phone, desktop }) => {
  for (const scheme of ['dark', 'light']) {
    for (const page of [phone, desktop]) {
      await page.emulateMedia({ colorScheme: scheme });
      assert.deepEqual(await page.evaluate(findFaint), [], scheme);
      const luminance = await page.evaluate(paperLuminance);
      assert(scheme === 'dark' ? luminance < 0.15 : luminance > 0.85, `${scheme}: ${luminance}`);
    }
    await shots({ phone, desktop }, scheme);
  }
});

test('names and texts with markup stay text', async ({ phone, desktop, server }) => {
  const evil = await wire(server, `room=lobby&presence=1&name=${encodeURIComponent(EVIL_NAME)}`);
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

test('what is almost a message is shown as the text it is', async ({ phone, server }) => {
  const other = await wire(server, 'room=lobby');
  const strange = ['{"type":"chat","id":1,"name":"a","text":"b","at":1}', '{"type":"chat"', 'null', '[]', '{"type":"chat","id":"","name":"a","text":"b","at":1}',
    '{"type":"presence","room":"lobby","version":"1","count":1,"members":[]}', '{"type":"presence","room":"lobby","version":9e9,"count":1,"members":[{"id":1}]}'];
  for (const text of strange)
    other.send(text);
  for (const text of strange)
    await heard(phone, text);
  other.send('x'.repeat(100000));
  await phone.getByText('… (80000 characters more)').waitFor();
});

test('a message that comes twice is shown once', async ({ phone, server }) => {
  const other = await wire(server, 'room=lobby');
  const twice = JSON.stringify({ type: 'chat', id: 'same', name: 'Bo', text: 'once and only once', at: Date.now() });
  other.send(twice);
  other.send(twice);
  other.send('after the second');
  await heard(phone, 'after the second');
  assert.equal(await count(phone, 'once and only once'), 1);
});

test('Shift+Enter and an IME do not send, Enter does', async ({ phone, desktop }) => {
  await desktop.click('#text');
  await desktop.keyboard.type('one');
  await desktop.keyboard.press('Shift+Enter');
  await desktop.keyboard.type('two');
  for (const init of [{ isComposing: true }, { keyCode: 229 }])
    await desktop.evaluate((more) => document.querySelector('#text').dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...more })), init);
  assert.equal(await desktop.inputValue('#text'), 'one\ntwo');
  await desktop.keyboard.press('Enter');
  await delivered(desktop, 'one\ntwo');
  await heard(phone, 'one\ntwo');
  assert.equal(await desktop.inputValue('#text'), '');
  await say(desktop, '   ');
  assert.equal(await count(desktop, ''), 0, 'blanks are no message');
});

test('too long a text stays with its writer', async ({ desktop }) => {
  const before = (await bodies(desktop)).length;
  await say(desktop, 'y'.repeat(4012));
  await desktop.getByText('12 characters too many').waitFor();
  assert.equal((await desktop.inputValue('#text')).length, 4012);
  assert.equal((await bodies(desktop)).length, before);
  await desktop.fill('#text', '');
});

test('scrolled up, one is not pulled down, and the list is bounded', async ({ phone, desktop, server }) => {
  const other = await wire(server, 'room=lobby');
  for (let i = 0; i < 490; i++)
    other.send(`line ${i}`);
  await heard(phone, 'line 489');
  const end = () => phone.evaluate(() => { const log = document.querySelector('#log'); return log.scrollHeight - log.scrollTop - log.clientHeight; });
  assert(await end() < 2, 'it follows its end');
  await phone.evaluate(() => { document.querySelector('#log').scrollTop -= 2000; });
  await pause(100);
  const place = () => entry(phone, 'line 450').evaluate((element) => element.getBoundingClientRect().top);
  const before = await place();
  for (let i = 0; i < 60; i++)
    other.send(`more ${i}`);
  await phone.getByRole('button', { name: '60 new messages' }).waitFor();
  assert(Math.abs(await place() - before) < 2, `what is read stays in its place: ${before} then ${await place()}`);
  assert.equal(await phone.locator('#entries > li').count(), 500);
  assert.equal(await phone.locator('#entries > li').first().evaluate((element) => element.classList.contains('follows')), false);
  await shot(phone, 'phone-new-messages');
  await phone.getByRole('button', { name: '60 new messages' }).click();
  assert(await end() < 2, 'the button leads to the end');
  assert.equal(await phone.locator('#unseen').isVisible(), false);
  await heard(desktop, 'more 59');
});

test('the title of a hidden page counts', async ({ phone, desktop }) => {
  const hide = (state) => phone.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await hide('hidden');
  await say(desktop, 'are you there?');
  await say(desktop, 'no?');
  await heard(phone, 'no?');
  assert.equal(await phone.title(), '(2) #lobby · linnet');
  await hide('visible');
  assert.equal(await phone.title(), '#lobby · linnet');
});

test('two tabs of one browser are two people', async ({ phone, browser, server }) => {
  const first = await openPage(browser, `${server.url}?room=tabs`, { viewport: PHONE });
  await online(first);
  await pause(QUIET_MS); // the first has to be in the list that the second gets
  const second = await first.context().newPage();
  watch(second, 'second tab');
  await second.goto(`${server.url}?room=tabs`);
  await second.locator('#count', { hasText: '2' }).waitFor();
  const own = (page) => page.locator('#people .me .name').innerText();
  await sees(first, await own(second));
  assert.notEqual(await own(first), await own(second));
  const before = await own(second);
  await second.reload();
  await online(second);
  assert.equal(await own(second), before, 'a tab keeps its name');
  await first.context().close();
  assert.equal(await phone.locator('#count').textContent(), '2', 'the lobby does not notice');
});

test('a gap in the news of who is here is closed by a new list', async ({ browser, server }) => {
  const page = await openPage(browser, 'about:blank', { viewport: PHONE });
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
  await page.goto(`${server.url}?room=gap`);
  await online(page);
  await pause(QUIET_MS);
  const unheard = await wire(server, 'room=gap&name=Lost');
  await pause(QUIET_MS);
  assert.deepEqual([lost, await others(page)], [1, []]);
  const later = await wire(server, 'room=gap&name=Later');
  await sees(page, 'Later');
  await sees(page, 'Lost');
  assert.equal(connections, 2);
  await page.context().close();
});

test('news that are old or of another room change nothing', async ({ browser, server }) => {
  const page = await openPage(browser, `${server.url}?room=old`, { viewport: PHONE });
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
  await page.context().close();
});

test('the waits between attempts are jittered, double up to 30 s, and begin anew after success', async ({ browser, server }) => {
  const page = await openPage(browser, `${server.url}?room=waits`, { viewport: PHONE });
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
  await page.context().close();
});

test('a message without an echo makes the page connect anew', async ({ browser, server }) => {
  const page = await openPage(browser, 'about:blank', { viewport: PHONE });
  let connections = 0;
  await page.routeWebSocket(/\/rooms/, (side) => {
    const upstream = side.connectToServer();
    connections += 1;
    if (connections === 1)
      side.onMessage(() => {}); // the first connection swallows what is said
    upstream.onMessage((data) => side.send(data));
  });
  await page.clock.install();
  await page.goto(`${server.url}?room=silence`);
  await online(page);
  await say(page, 'is this on?');
  await entry(page, 'is this on?').locator('xpath=self::*[@data-state="sent"]').waitFor();
  await page.clock.fastForward(12000);
  await delivered(page, 'is this on?');
  assert.equal(connections, 2);
  assert.equal(await count(page, 'is this on?'), 1);
  await page.context().close();
});

test('a new name is seen by the others and kept, and a draft survives it', async ({ phone, desktop }) => {
  await phone.fill('#text', 'half a thought');
  await phone.getByRole('button', { name: /change your name/ }).click();
  await phone.getByRole('dialog').waitFor();
  await shot(phone, 'phone-name');
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

test('rooms are apart, in the address, and a step back leads back', async ({ phone, desktop }) => {
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

test('without the server a page waits, counts down and keeps what one writes', async ({ phone, desktop, server }) => {
  await phone.evaluate(() => { window.realRandom = Math.random; Math.random = () => 0.95; });
  await phone.fill('#text', 'a draft');
  const place = () => phone.locator('#composer').boundingBox();
  const before = await place();
  await server.end('SIGKILL');
  await phone.getByText(/^Reconnecting in [2-9] s$/).waitFor();
  assert.deepEqual(await place(), before, 'the composer does not move');
  assert.equal(await phone.inputValue('#text'), 'a draft');
  assert.equal(await phone.locator('#link-news').textContent(), 'Not connected, trying again');
  await say(phone, 'written without a server');
  await say(phone, 'and one more');
  await entry(phone, 'and one more').locator('xpath=self::*[@data-state="pending"]').waitFor();
  await desktop.locator('#link:not([data-state="online"])').waitFor();
  await phone.getByText(/^Reconnecting in [2-9] s$/).waitFor();
  assert.deepEqual(await phone.evaluate(findFaint), []);
  await shots({ phone, desktop }, 'reconnecting');
});

test('what waits is bounded, and what does not fit stays in the composer', async ({ phone }) => {
  for (let i = 2; i < 50; i++)
    await say(phone, `waiting ${i}`);
  await say(phone, 'the fifty-first');
  await phone.getByText(/^50 messages wait already/).waitFor();
  assert.equal(await phone.inputValue('#text'), 'the fifty-first');
});

test('after a restart both come back by themselves, and what waited arrives once', async ({ phone, desktop, server }) => {
  await desktop.evaluate(() => { Math.random = () => 0.02; }); // back before the phone sends
  await phone.getByText(/^Reconnecting in ([6-9]|1\d) s$/).waitFor();
  await server.start();
  await online(desktop);
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
  await phone.evaluate(() => { Math.random = window.realRandom; });
});

test('"Now" does not wait, and a server that says goodbye is waited for', async ({ phone, server }) => {
  await phone.evaluate(() => { Math.random = () => 0.99; });
  await server.end('SIGTERM');
  await phone.getByText(/^Reconnecting in [3-9] s$/).waitFor();
  await server.start();
  const began = Date.now();
  await phone.getByRole('button', { name: /^Now/ }).click();
  await online(phone);
  assert(Date.now() - began < 2000);
  assert.equal(await phone.locator('#link-now').isVisible(), false);
  await phone.evaluate(() => { Math.random = window.realRandom; });
});

test('without a network it says so, and is back with the network', async ({ phone, desktop }) => {
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

test('going elsewhere with something unsent puts it back into the composer', async ({ phone }) => {
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

test('it fits: with a keyboard on screen, on a narrow phone, in landscape', async ({ phone }) => {
  for (const size of [{ width: 360, height: 380 }, { width: 320, height: 568 }, { width: 740, height: 360 }]) {
    await phone.setViewportSize(size);
    await phone.waitForFunction(({ height }) => document.querySelector('.app').getBoundingClientRect().height === height, size);
    const box = await phone.locator('#send').boundingBox();
    assert(box.y + box.height <= size.height && box.x + box.width <= size.width, JSON.stringify({ size, box }));
    assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), size.width);
    assert(await phone.evaluate(() => { const log = document.querySelector('#log'); return log.scrollHeight - log.scrollTop - log.clientHeight < 2; }));
  }
  await phone.setViewportSize(PHONE);
});

test('no dialog, no error, no violated policy on any page', () => {
  assert.deepEqual(faults, []);
});

/* ---- run ---- */

async function runAll(world) {
  let failed = 0;
  for (const { name, run } of tests) {
    try {
      await run(world);
      console.log(`ok - ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`not ok - ${name}: ${error.message.split('\n')[0]}`);
      console.log(String(error.stack).replace(/^/gm, '# '));
    }
    wires.splice(0).forEach((socket) => socket.terminate());
  }
  console.log(`1..${tests.length}`);
  return failed;
}

async function main() {
  mkdirSync(SHOTS, { recursive: true });
  const server = new Server(await freePort());
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  try {
    await server.start();
    const phone = await openPage(browser, server.url, { viewport: PHONE, hasTouch: true, isMobile: true, colorScheme: 'light', name: 'Merry Siskin' });
    const desktop = await openPage(browser, server.url, { viewport: DESKTOP, colorScheme: 'light', name: 'Quiet Wren' });
    return await runAll({ browser, server, phone, desktop });
  } finally {
    await browser.close();
    await server.end('SIGTERM');
    console.log(`# pictures: ${SHOTS}`);
  }
}

process.exitCode = await main() > 0 ? 1 : 0;
