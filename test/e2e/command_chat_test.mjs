// SPDX-License-Identifier: MIT
/*
 * command_chat_test.mjs - the chat page (examples/chat) in Chromium against the real program: a phone and a desktop, and
 * clients that are no pages.
 *
 *   LINNET         the program (build/release/linnet)
 *   LINNET_BUILD   the folder that examples/chat-server was built in
 *   CHROMIUM       the browser (/usr/bin/chromium)
 *   SCREENSHOTS    a folder for pictures (a new temporary one)
 *
 * Prints TAP; exit status 1 if anything failed. The tests share the server and the two pages, and run in order.
 */
// back end: any
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { CommandClient } from '../../clients/js/linnet.js';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const BUILD = process.env.LINNET_BUILD ?? dirname(LINNET);
const SHOTS = process.env.SCREENSHOTS ?? mkdtempSync(join(tmpdir(), 'linnet-chat-'));
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1280, height: 800 };
const PATIENCE_MS = 15000;
const QUIET_MS = 400;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const EVIL = '<img src=x onerror=alert(1)>';
const EVIL_TEXT = '<img src=x onerror="document.title=1;alert(2)"><script>alert(3)</script>';

/* ---- servers ---- */

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

const isListening = (port) => new Promise((resolve) => {
  const probe = connect(port, '127.0.0.1', () => { probe.destroy(); resolve(true); });
  probe.on('error', () => resolve(false));
});

class Server {
  constructor(port, command, ...flags) {
    this.port = port;
    this.command = [command, ...flags.map((flag) => flag.replace('PORT', port))];
    this.page = `http://127.0.0.1:${port}/examples/chat/`;
    this.url = `ws://127.0.0.1:${port}/ws`;
  }

  async start() {
    this.process = spawn(this.command[0], this.command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve).once('error', resolve));
    const until = Date.now() + PATIENCE_MS;
    while (!await isListening(this.port)) {
      assert(Date.now() < until && this.process.exitCode === null, 'the server does not start');
      await pause(50);
    }
  }

  async end(signal) {
    this.process.kill(signal);
    await this.ended;
  }
}

const clients = []; // of one test

// A client that is no page: `heard` has what it was told, as [id, value].
async function other(server, username) {
  const client = new CommandClient({ url: server.url, WebSocket });
  client.heard = [];
  for (const id of [1, 3, 4, 6])
    client.on(id, (payload) => client.heard.push([id, JSON.parse(Buffer.from(payload))]));
  await client.connect();
  clients.push(client);
  if (username !== undefined)
    await client.sendJSON(8, { username });
  return client;
}

/* ---- pages ---- */

const faults = []; // dialogs, uncaught errors and violated policies of any page

function watch(page, who) {
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('dialog', (dialog) => { faults.push(`${who}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('pageerror', (error) => faults.push(`${who}: ${error}`));
  page.on('console', (line) => {
    if (line.type() === 'error' && !/WebSocket connection to|ERR_CONNECTION_REFUSED/.test(line.text()))
      faults.push(`${who}: ${line.text()}`);
  });
}

async function openPage(browser, url, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  watch(page, options.viewport.width < 500 ? 'phone' : 'desktop');
  await page.goto(url);
  return page;
}

async function comeIn(page, name, server) {
  await page.fill('#username', name);
  if (server !== undefined) {
    await page.getByText('Server', { exact: true }).click();
    await page.fill('#server', server);
  }
  await page.press('#username', 'Enter');
  await online(page);
}

const online = (page) => page.locator('#link[data-state="online"]').waitFor();
const own = (page) => page.locator('#people .me .name').innerText();
const others = (page) => page.locator('#people .person:not(:first-child)').allInnerTexts();
const bodies = (page) => page.locator('.entry .body').allInnerTexts();
const notes = (page) => page.locator('.note').allInnerTexts();
const entry = (page, text) => page.locator('.entry', { has: page.locator('.body').getByText(text, { exact: true }) });
const scrolled = (page) => page.locator('#log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
const heard = (page, text) => entry(page, text).first().waitFor();
const marked = (page, text, state) => entry(page, text).locator(`xpath=self::*[@data-state="${state}"]`).first().waitFor();
const noted = (page, text) => page.locator('.note').getByText(text, { exact: true }).first().waitFor();

function sees(page, name) {
  return page.locator('#people .person:not(:first-child)').getByText(name, { exact: true }).waitFor();
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

// Pictures of both pages in both schemes.
async function shots(pages, name) {
  for (const [who, page] of Object.entries(pages)) {
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(SHOTS, `${who}-${name}-${colorScheme}.png`), animations: 'disabled' });
    }
  }
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
    const [r, g, b] = Array.from(rgb(color), (value) => value / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
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
  const texts = 'h1, h2, p, button, time, input, textarea, label, summary, .name, .egg, .you, .note, #link-text';
  for (const element of document.querySelectorAll(texts)) {
    for (let hue = 0; hue < 360; hue += 15) {
      const had = element.style.getPropertyValue('--hue');
      if (had === '' && hue > 0)
        break;
      if (had !== '')
        element.style.setProperty('--hue', hue);
      if (element.checkVisibility() && element.innerText?.trim() !== '' && contrast(element) < 4.5)
        faint.push(`${element.tagName}.${element.className} "${element.innerText}" hue ${hue}: ${contrast(element).toFixed(2)}`);
      if (had !== '')
        element.style.setProperty('--hue', had);
    }
  }
  return faint;
}

/* ---- tests ---- */

const tests = [];
const test = (name, run) => tests.push({ name, run });

test('at the door: a name is wanted, and an address that is one', async ({ phone, desktop, server }) => {
  assert.equal(await phone.evaluate(() => document.activeElement.id), 'username');
  assert.equal(await phone.inputValue('#server'), server.url);
  await shots({ phone, desktop }, 'door');
  for (const page of [phone, desktop])
    assert.deepEqual(await page.evaluate(findFaint), []);
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
  await phone.fill('#server', server.url);
});

test('both come in and see each other, themselves first', async ({ phone, desktop }) => {
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

test('what there is to use has a name and a role', async ({ phone }) => {
  for (const [role, name] of [['textbox', 'Message'], ['button', 'Send'], ['button', 'Leave'], ['log', 'Messages'], ['heading', 'Chat'],
    ['button', 'Ada, you: change your name']])
    assert.equal(await phone.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
  assert.equal(await phone.locator('#log').getAttribute('aria-live'), 'polite');
});

test('the commands on the wire', async ({ phone, server }) => {
  const client = await other(server, 'wire');
  await sees(phone, 'wire');
  await say(phone, 'to the byte');
  await marked(phone, 'to the byte', 'delivered');
  await client.send(5);
  while (!client.heard.some(([id]) => id === 6))
    await pause(5);
  const [id, said] = client.heard.find(([each]) => each === 1);
  assert.deepEqual([id, Object.keys(said), said.username, said.message], [1, ['username', 'message', 'timestamp'], 'Ada', 'to the byte']);
  const list = client.heard.find(([each]) => each === 6)[1];
  assert.deepEqual(list.map(({ username }) => username).sort(), ['Ada', 'Bertil Öst', 'wire']);
  client.disconnect();
  await noted(phone, 'wire left');
});

test('they chat both ways', async ({ phone, desktop }) => {
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
  await shots({ phone, desktop }, 'talk');
});

test('both schemes are readable in every colour a name may have', async ({ phone, desktop }) => {
  for (const colorScheme of ['dark', 'light']) {
    for (const page of [phone, desktop]) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await page.evaluate(findFaint), [], colorScheme);
    }
  }
});

test('names and texts with markup stay text', async ({ phone, desktop, server }) => {
  const evil = await other(server, EVIL);
  await evil.sendJSON(1, { username: EVIL, message: EVIL_TEXT });
  for (const page of [phone, desktop]) {
    await sees(page, EVIL);
    await noted(page, `${EVIL} came in`);
    await heard(page, EVIL_TEXT);
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(await page.locator('#log script').count(), 0);
    assert.equal(await page.title(), 'Chat · linnet');
  }
  await shots({ phone, desktop }, 'markup');
  evil.disconnect();
  await noted(phone, `${EVIL} left`);
});

test('a page of that name is as harmless', async ({ browser, server, phone }) => {
  const page = await openPage(browser, server.page, { viewport: DESKTOP });
  await page.evaluate(() => document.querySelector('#username').removeAttribute('maxlength'));
  await comeIn(page, EVIL);
  assert.equal(await own(page), EVIL);
  await say(page, EVIL_TEXT);
  await marked(page, EVIL_TEXT, 'delivered');
  assert.equal(await page.locator('img').count() + await phone.locator('img').count(), 0);
  await page.context().close();
});

test('what is malformed is passed over', async ({ phone, server }) => {
  const before = (await bodies(phone)).length;
  const client = await other(server, 'Strange \u202e name\u0000');
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

test('a message of somebody with the same name is not taken for one\'s own', async ({ phone, desktop, server }) => {
  const twin = await other(server, 'Ada');
  await twin.sendJSON(1, { username: 'Ada', message: 'I am the other one' });
  await heard(phone, 'I am the other one');
  assert.equal(await entry(phone, 'I am the other one').evaluate((element) => element.classList.contains('own')), false);
  await sees(phone, 'Ada');
  assert.equal((await others(desktop)).filter((name) => name.endsWith('Ada')).length, 2);
  twin.disconnect();
  await noted(phone, 'Ada left');
  assert.equal(await own(phone), 'Ada');
});

test('a new name is seen by the others, and a draft survives it', async ({ phone, desktop }) => {
  await phone.fill('#text', 'half a thought');
  await phone.getByRole('button', { name: /change your name/ }).click();
  await phone.getByRole('dialog').waitFor();
  await shots({ phone }, 'name');
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

test('a reload keeps the name and the draft', async ({ phone, desktop }) => {
  await phone.fill('#text', 'not yet sent');
  await phone.reload();
  await online(phone);
  assert.equal(await own(phone), 'Ada L.');
  assert.equal(await phone.inputValue('#text'), 'not yet sent');
  await sees(phone, 'Bertil Öst');
  await sees(desktop, 'Ada L.');
  await phone.fill('#text', '');
});

test('Shift+Enter and an IME do not send, Enter does, and blanks are nothing', async ({ phone, desktop }) => {
  await desktop.click('#text');
  await desktop.keyboard.type('one');
  await desktop.keyboard.press('Shift+Enter');
  await desktop.keyboard.type('two');
  for (const init of [{ isComposing: true }, { keyCode: 229 }])
    await desktop.evaluate((more) => document.querySelector('#text').dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...more })), init);
  assert.equal(await desktop.inputValue('#text'), 'one\ntwo');
  await desktop.keyboard.press('Enter');
  await heard(phone, 'one\ntwo');
  const before = (await bodies(desktop)).length;
  await say(desktop, '   ');
  await say(desktop, 'z'.repeat(1007));
  await desktop.getByText('7 characters too many').waitFor();
  assert.equal((await bodies(desktop)).length, before);
  await say(desktop, '\u20ac'.repeat(1000));
  await heard(phone, '\u20ac'.repeat(1000));
});

test('scrolled up, one is not pulled down, and the list is bounded', async ({ phone, server }) => {
  const client = await other(server, 'Lots');
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

test('the title of a hidden page counts', async ({ phone, desktop }) => {
  const hide = (state) => phone.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await hide('hidden');
  await say(desktop, 'are you there?');
  await say(desktop, 'no?');
  await heard(phone, 'no?');
  assert.equal(await phone.title(), '(2) Chat · linnet');
  await hide('visible');
  assert.equal(await phone.title(), 'Chat · linnet');
});

test('without the server a page waits, and keeps what one writes', async ({ phone, desktop, server }) => {
  for (const page of [phone, desktop])
    await page.evaluate(() => { window.realRandom = Math.random; Math.random = () => 0.97; });
  await phone.fill('#text', 'a draft');
  const place = () => phone.locator('#composer').boundingBox();
  const before = await place();
  await server.end('SIGKILL');
  await phone.getByText(/^Reconnecting in [1-9]\d* s$/).waitFor();
  assert.deepEqual(await place(), before, 'the composer does not move');
  assert.equal(await phone.inputValue('#text'), 'a draft');
  assert.equal(await phone.locator('#link-news').textContent(), 'Not connected, trying again');
  await say(phone, 'written without a server');
  await say(phone, 'and one more');
  await marked(phone, 'and one more', 'pending');
  assert.deepEqual(await phone.evaluate(findFaint), []);
  const leave = await phone.locator('#leave').boundingBox();
  assert(leave.x + leave.width <= PHONE.width - 12, `the header fits: ${JSON.stringify(leave)}`);
  await shots({ phone, desktop }, 'reconnecting');
});

test('after a restart names are as before, and what waited arrives once and in order', async ({ phone, desktop, server }) => {
  await server.start();
  for (const page of [desktop, phone]) {
    await page.evaluate(() => { Math.random = window.realRandom; });
    await page.getByRole('button', { name: /^Now/ }).click().catch(() => {}); // it may be back by itself
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

test('what was sent and did not come back is said to be doubtful, and sent again if one likes', async ({ browser, server, desktop }) => {
  const page = await openPage(browser, 'about:blank', { viewport: PHONE, hasTouch: true, isMobile: true });
  let isDeaf = true;
  await page.routeWebSocket(/\/ws/, (side) => {
    const upstream = side.connectToServer();
    side.onMessage((data) => isDeaf && Buffer.from(data).readUInt32BE(0) === 1 ? undefined : upstream.send(data));
    upstream.onMessage((data) => side.send(data));
  });
  await page.clock.install();
  await page.goto(server.page);
  await comeIn(page, 'Doubtful');
  await say(page, 'does anybody hear this?');
  await marked(page, 'does anybody hear this?', 'sent');
  await page.clock.fastForward(11000);
  await marked(page, 'does anybody hear this?', 'unsure');
  await online(page);
  isDeaf = false;
  await shots({ phone: page }, 'unsure');
  await page.getByRole('button', { name: 'Not confirmed. Send again' }).click();
  await marked(page, 'does anybody hear this?', 'delivered');
  await heard(desktop, 'does anybody hear this?');
  assert.deepEqual((await bodies(desktop)).filter((text) => text.startsWith('does')), ['does anybody hear this?']);
  await page.context().close();
});

test('who is closed by the server is told why, and comes back', async ({ browser, server, desktop }) => {
  const page = await openPage(browser, 'about:blank', { viewport: DESKTOP });
  const sides = [];
  await page.routeWebSocket(/\/ws/, (side) => {
    sides.push(side);
    side.connectToServer();
  });
  await page.goto(server.page);
  await comeIn(page, 'Hasty');
  await noted(desktop, 'Hasty came in');
  await page.evaluate(() => { Math.random = () => 0; });
  await sides[0].close({ code: 1008, reason: 'Rate limit exceeded' });
  await noted(page, 'The server has closed the connection: Rate limit exceeded');
  await noted(page, 'Back again; what was said meanwhile has not reached you');
  await sees(desktop, 'Hasty');
  await sees(page, 'Bertil Öst');
  assert.deepEqual([sides.length, await own(page)], [2, 'Hasty']);
  await page.context().close();
});

test('who leaves is gone, and may come in again under another name', async ({ desktop, browser, server }) => {
  const page = await openPage(browser, server.page, { viewport: PHONE, hasTouch: true, isMobile: true });
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
  await page.context().close();
});

test('it fits: with a keyboard on screen, on a narrow phone, in landscape', async ({ phone }) => {
  await phone.fill('#text', 'one line\nand another');
  for (const size of [{ width: 360, height: 380 }, { width: 320, height: 568 }, { width: 740, height: 360 }]) {
    await phone.setViewportSize(size);
    await phone.waitForFunction(({ height }) => document.querySelector('.app').getBoundingClientRect().height === height, size);
    const box = await phone.locator('#send').boundingBox();
    assert(box.y + box.height <= size.height && box.x + box.width <= size.width, JSON.stringify({ size, box }));
    assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), size.width);
    assert(await scrolled(phone) < 2, JSON.stringify(size));
  }
  await phone.setViewportSize(PHONE);
  await phone.fill('#text', '');
});

test('the page talks to another server as well: examples/chat-server', async ({ browser, server }) => {
  const small = new Server(await freePort(), join(BUILD, 'examples/chat-server'), '127.0.0.1:PORT');
  await small.start();
  const page = await openPage(browser, server.page, { viewport: DESKTOP });
  try {
    await comeIn(page, 'Far', small.url);
    const client = await other(small, 'Near');
    await sees(page, 'Near');
    await say(page, 'over here');
    await marked(page, 'over here', 'delivered');
    await client.sendJSON(1, { username: 'Near', message: 'so am I' });
    await heard(page, 'so am I');
    client.disconnect();
    await noted(page, 'Near left');
  } finally {
    await page.context().close();
    await small.end('SIGTERM');
  }
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
    clients.splice(0).forEach((client) => client.disconnect());
  }
  console.log(`1..${tests.length}`);
  return failed;
}

async function main() {
  mkdirSync(SHOTS, { recursive: true });
  const server = new Server(await freePort(), LINNET, 'serve', '--listen', '127.0.0.1:PORT', '--static', TOP, '--log-level', 'warn');
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  try {
    await server.start();
    const phone = await openPage(browser, server.page, { viewport: PHONE, hasTouch: true, isMobile: true, colorScheme: 'light' });
    const desktop = await openPage(browser, server.page, { viewport: DESKTOP, colorScheme: 'light' });
    return await runAll({ browser, server, phone, desktop });
  } finally {
    await browser.close();
    await server.end('SIGTERM');
    console.log(`# pictures: ${SHOTS}`);
  }
}

process.exitCode = await main() > 0 ? 1 : 0;
