// SPDX-License-Identifier: MIT
/*
 * reload_test.mjs - `linnet serve --watch`: pages in Chromium that reload when their files change, their errors in the
 * log and in the status, and pages of old that only publish (npm `ws`).
 *
 *   LINNET     the program (build/release/linnet)
 *   CHROMIUM   the browser (/usr/bin/chromium)
 *
 * Prints TAP; exit status 1 if anything failed. Arguments select tests whose names contain one of them.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const PATIENCE_MS = 15000;
const REST_MS = 100;
const QUIET_MS = 5 * REST_MS; // long enough for a change that should not be told
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what, condition) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const result = await condition();
    if (result)
      return result;
    assert(Date.now() < end, `${what} does not come`);
    await pause(20);
  }
}

/* ---- a server that watches a folder of its own ---- */

class Server {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'linnet-reload-'));
    this.page('one');
    writeFileSync(this.file('style.css'), 'body { color: rgb(1, 2, 3) }\n');
  }

  file(name) {
    return join(this.folder, name);
  }

  page(text) {
    writeFileSync(this.file('index.html'), `<!doctype html><title>${text}</title><link rel="stylesheet" href="style.css">
<script type="module" src="/hotreload.js"></script><p>${text}</p>\n`);
  }

  async start(port = 0, ...flags) {
    this.log = '';
    this.process = spawn(LINNET, ['serve', '--listen', `127.0.0.1:${port}`, '--static', this.folder, '--watch', this.folder,
      '--watch-rest', `${REST_MS}ms`, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.stderr.on('data', (bytes) => { this.log += bytes; });
    const begun = await until('the server', () => /serving http:\/\/127\.0\.0\.1:(\d+)\//.exec(this.log));
    this.port = Number(begun[1]);
    this.url = `http://127.0.0.1:${this.port}/`;
    this.socket = `ws://127.0.0.1:${this.port}/wsmq`;
    return this;
  }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.ended;
  }

  /* A kept connection may be that of a server that was killed: then once more. */
  async clients() {
    const ask = () => fetch(`${this.url}api/hotreload/status`);
    return (await (await ask().catch(ask)).json()).clients;
  }

  ready(count) {
    return until(`${count} ready pages`, async () => (await this.clients()).filter(({ status }) => status === 'ready').length === count);
  }
}

const servers = [];

async function serving(...flags) {
  const server = new Server();
  servers.push(server);
  return server.start(0, ...flags);
}

/* A client that speaks the protocol by hand, as pages of old do. */
class Page {
  static open(server, id) {
    const page = new Page();
    page.socket = new WebSocket(`${server.socket}?client_id=${id}`);
    page.got = [];
    page.socket.on('message', (text) => page.got.push(JSON.parse(text)));
    return new Promise((resolve, reject) => page.socket.once('open', () => resolve(page)).once('error', reject));
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  answer(id) {
    return until(`an answer to ${id}`, () => this.got.find((message) => message.id === id));
  }

  changes() {
    return this.got.filter(({ type, topic }) => type === 'publish' && topic === 'system:hot_reload').map(({ payload }) => payload);
  }
}

/* ---- tests ---- */

let browser;
const tests = [];
const test = (name, run) => tests.push({ name, run });

async function visit(server) {
  const page = await browser.newPage();
  page.loads = 0;
  page.on('load', () => { page.loads++; });
  await page.goto(server.url);
  return page;
}

test('a page reloads once when its file changes, and again after the server was away', async () => {
  const server = await serving();
  const page = await visit(server);
  await server.ready(1);
  assert.equal(page.loads, 1);

  server.page('two');
  await page.waitForFunction(() => document.title === 'two', null, { timeout: PATIENCE_MS });
  await server.ready(1);
  await pause(QUIET_MS);
  assert.equal(page.loads, 2);
  assert.match(server.log, /index\.html changed; 1 page is told/);

  await server.stop('SIGKILL');
  await server.start(server.port);
  await server.ready(1);
  writeFileSync(server.file('new.html.tmp'), 'x');
  renameSync(server.file('index.html'), server.file('index.html~'));
  server.page('three');
  await page.waitForFunction(() => document.title === 'three', null, { timeout: PATIENCE_MS });
  await page.close();
  await server.ready(0);
});

test('a style sheet alone is fetched again, and the page stays', async () => {
  const server = await serving();
  const page = await visit(server);
  await server.ready(1);
  await page.evaluate(() => { window.typed = 'still here'; });
  writeFileSync(server.file('style.css'), 'body { color: rgb(9, 8, 7) }\n');
  await page.waitForFunction(() => getComputedStyle(document.body).color === 'rgb(9, 8, 7)', null, { timeout: PATIENCE_MS });
  assert.equal(await page.evaluate(() => window.typed), 'still here');
  assert.equal(page.loads, 1);
  await page.close();
});

test('what editors and tools leave behind does not reload', async () => {
  const server = await serving();
  const page = await Page.open(server, 'page-one-1');
  page.send({ id: '1', type: 'subscribe_request', topic: 'system:hot_reload' });
  await page.answer('1');
  mkdirSync(server.file('.git'));
  mkdirSync(server.file('empty'));
  for (const name of ['.git/index', '.index.html.swp', 'index.html~', '#index.html#', '4913', 'x.tmp', 'x.crdownload'])
    writeFileSync(server.file(name), 'x');
  await pause(QUIET_MS);
  assert.deepEqual(page.changes(), []);

  mkdirSync(server.file('sub/deep'), { recursive: true });
  writeFileSync(server.file('sub/deep/a.js'), 'x');
  writeFileSync(server.file('b \u00e4.js'), 'x');
  const [change] = await until('the change', () => page.changes().length > 0 && page.changes());
  assert.deepEqual(Object.keys(change), ['timestamp', 'files']);
  assert(Math.abs(change.timestamp - Date.now() / 1000) < 60);
  assert.deepEqual(change.files.sort(), ['b \u00e4.js', 'sub/deep/a.js']);

  for (let i = 0; i < 100; i++)
    writeFileSync(server.file(`many${i}.js`), 'x');
  const second = await until('the many', () => page.changes()[1]);
  assert.deepEqual(Object.keys(second), ['timestamp'], 'a list that is not complete is none');
  page.socket.close();
});

test('errors of a page are in the status and, harmless, in the log', async () => {
  const server = await serving();
  const page = await visit(server);
  await server.ready(1);
  await page.evaluate(() => { setTimeout(() => { throw new Error('broken \u001b[2J\n here'); }); });
  const client = await until('the error', async () => (await server.clients()).find(({ errors }) => errors));
  assert.deepEqual(Object.keys(client), ['id', 'status', 'url', 'lastSeen', 'errors']);
  assert.equal(client.status, 'ready');
  assert.equal(client.url, server.url);
  assert.match(client.lastSeen, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const [error] = client.errors;
  assert.equal(client.errors.length, 1);
  assert.match(error.message, /broken \u001b\[2J\n here/);
  assert.match(error.stack, /Error: broken/);
  assert.match(error.timestamp, /^\d{4}-/);
  await until('it in the log', () => /a page failed: .*broken \\x1B\[2J\\x0A here/.exec(server.log));
  assert(!server.log.includes('\u001b'));

  await page.evaluate(() => { Promise.reject(new Error('unheard')); });
  await page.evaluate(() => { document.body.append(Object.assign(document.createElement('script'), { src: '/none.js' })); });
  await until('both', async () => (await server.clients())[0]?.errors?.length === 3);
  await page.close();
  await until('that it is forgotten', async () => (await server.clients()).length === 0);
});

test('a page of old, which only publishes, is told and heard', async () => {
  const server = await serving('--workers', '2');
  const pages = await Promise.all([...'abcdef'].map((letter) => Page.open(server, `page-${letter}-1`)));
  for (const page of pages)
    page.send({ type: 'publish', topic: 'system:hotreload_ready', payload: {} });
  pages[0].send({ id: 's', type: 'subscribe_request', topic: 'system:hot_reload' });
  await pages[0].answer('s');
  await server.ready(pages.length);
  pages.forEach((page, i) => page.send({ id: 'x', type: 'publish', topic: 'system:client_error',
    payload: { message: `boom ${i}`, filename: 'f.js', lineno: 3, colno: 4, stack: 's', timestamp: 't' } }));
  const clients = await until('all errors', async () => {
    const all = await server.clients();
    return all.length === pages.length && all.every(({ errors }) => errors?.length === 1) && all;
  });
  const errors = Object.fromEntries(clients.map(({ id, errors: [error] }) => [id, error]));
  assert.deepEqual(errors['page-c-1'], { message: 'boom 2', filename: 'f.js', line: 3, column: 4, stack: 's', timestamp: 't' });

  appendFileSync(server.file('index.html'), ' ');
  await until('that all are told', () => pages.every((page) => page.changes().length > 0));
  await pause(QUIET_MS);
  for (const page of pages)
    assert.deepEqual(page.changes().map(({ files }) => files), [['index.html']], 'once, subscribed or not');
  pages.forEach(({ socket }) => socket.close());
  await until('that all are forgotten', async () => (await server.clients()).length === 0);
});

test('requests are answered, and what is odd does no harm', async () => {
  const server = await serving();
  const page = await Page.open(server, 'page-one-1');
  page.send({ id: '1', type: 'request', topic: 'system:hotreload_ready', payload: { url: 'http://x/' } });
  assert.deepEqual(await page.answer('1'), { id: '1', type: 'response', topic: 'system:hotreload_ready' });
  const odd = [null, 7, 'text', [], {}, { message: {} }, { lineno: 1e300 }, { message: 'x'.repeat(500000) }];
  odd.forEach((payload, i) => page.send({ id: `e${i}`, type: 'request', topic: 'system:client_error', payload }));
  for (let i = 0; i < odd.length; i++)
    assert.equal((await page.answer(`e${i}`)).type, 'response');
  const [{ id, url, errors }] = await server.clients();
  assert.deepEqual([id, url], ['page-one-1', 'http://x/']);
  assert.equal(errors.length, odd.length);
  assert.equal(errors[0].message, 'Unknown error');
  assert.equal(errors.at(-1).message, 'x'.repeat(1024));
  page.socket.close();
});

test('a page that fails all the time does not fill the log', async () => {
  const server = await serving();
  const page = await Page.open(server, 'page-one-1');
  const failures = () => server.log.match(/a page failed/g)?.length ?? 0;
  for (let i = 0; i < 1000; i++)
    page.send({ id: `${i}`, type: 'request', topic: 'system:client_error', payload: { message: `error ${i}` } });
  await page.answer('999');
  const began = Date.now();
  assert.equal((await server.clients())[0].errors.length, 100);
  assert.equal((await server.clients())[0].errors[99].message, 'error 999');
  await pause(500);
  assert(failures() > 0 && failures() <= 10 + Math.ceil((Date.now() - began) / 1000 + 5) * 10, `${failures()} lines`);
  page.send({ id: 'last', type: 'request', topic: 'system:client_error', payload: {} });
  await until('the number of the others', () => / more errors of pages, not shown/.exec(server.log));
  page.socket.close();
});

test('others can watch, too', async () => {
  const server = await serving();
  const sub = spawn(LINNET, ['sub', '-j', '-c', '1', server.socket, 'system:hot_reload'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  sub.stdout.on('data', (bytes) => { out += bytes; });
  const ended = new Promise((resolve) => sub.once('exit', resolve));
  await until('a line', async () => {
    appendFileSync(server.file('index.html'), ' ');
    await pause(2 * REST_MS);
    return out.includes('\n');
  });
  assert.equal(await ended, 0);
  assert.deepEqual(JSON.parse(out).files, ['index.html']);
});

test('the scripts are there with --watch, and only then', async () => {
  const server = await serving();
  for (const path of ['hotreload.js', 'reload.js', 'linnet.js']) {
    const answer = await fetch(server.url + path);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/javascript/);
  }
  await server.stop();
  const plain = spawn(LINNET, ['serve', '--listen', `127.0.0.1:${server.port}`], { stdio: 'ignore' });
  servers.push({ stop: () => plain.kill(), folder: server.folder });
  const status = await until('the other server', () => fetch(`${server.url}hotreload.js`).then((answer) => answer.status, () => 0));
  assert.equal(status, 404);
});

test('a folder that cannot be watched is an error at the start', () => {
  const { status, stderr } = spawnSync(LINNET, ['serve', '--listen', '127.0.0.1:0', '--watch', '/no/such/folder'],
    { timeout: PATIENCE_MS, encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /^linnet serve: cannot watch \/no\/such\/folder: /);
});

async function main() {
  const words = process.argv.slice(2);
  let failed = 0;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  for (const { name, run } of tests) {
    if (words.length > 0 && !words.some((word) => name.includes(word)))
      continue;
    try {
      await run();
      console.log(`ok - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok - ${name}: ${error.message.split('\n')[0]}`);
      console.error(error, servers.at(-1)?.log);
    }
    for (const server of servers.splice(0)) {
      await server.stop();
      rmSync(server.folder, { recursive: true, force: true });
    }
  }
  await browser.close();
  process.exitCode = failed > 0 ? 1 : 0;
}

await main();
