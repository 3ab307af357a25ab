// SPDX-License-Identifier: MIT
/*
 * reload_test.mjs - `linnet serve --watch`: pages in Chromium that reload when their files change, their errors in the
 * log and in the status, and pages of old that only publish (npm `ws`).
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import WebSocket from 'ws';
import { folder, LINNET, main, openPage, pause, run, serve, test, until } from './kit.mjs';

const REST_MS = 100;
const QUIET_MS = 5 * REST_MS; // long enough for a change that should not be told

/* ---- a server that watches a folder of its own ---- */

async function watching(...flags) {
  const path = folder();
  const file = (name) => join(path, name);
  const write = (text) => writeFileSync(file('index.html'), `<!doctype html><title>${text}</title><link rel="stylesheet" href="style.css">
<script type="module" src="/hotreload.js"></script><p>${text}</p>\n`);
  write('one');
  writeFileSync(file('style.css'), 'body { color: rgb(1, 2, 3) }\n');
  const server = await serve('--static', path, '--watch', path, '--watch-rest', `${REST_MS}ms`, ...flags);
  return Object.assign(server, { file, write });
}

// A kept connection may be that of a server that was killed: then once more.
async function clientsOf(server) {
  const ask = () => fetch(server.url('/api/hotreload/status', 'http'));
  return (await (await ask().catch(ask)).json()).clients;
}

function ready(server, count) {
  return until(`${count} ready pages`,
    async () => (await clientsOf(server)).filter(({ status }) => status === 'ready').length === count);
}

/* A client that speaks the protocol by hand, as pages of old do. */
class Page {
  static open(server, id) {
    const page = new Page();
    page.socket = new WebSocket(server.url(`/wsmq?client_id=${id}`));
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

async function visit(server) {
  const page = await openPage();
  page.loads = 0;
  page.on('load', () => { page.loads++; });
  await page.goto(server.url('/', 'http'));
  return page;
}

test('a page reloads once when its file changes, and again after the server was away', async () => {
  const server = await watching();
  const page = await visit(server);
  await ready(server, 1);
  assert.equal(page.loads, 1);

  server.write('two');
  await page.waitForFunction(() => document.title === 'two');
  await ready(server, 1);
  await pause(QUIET_MS);
  assert.equal(page.loads, 2);
  assert.match(server.log, /index\.html changed; 1 page is told/);

  await page.evaluate(() => { Math.random = () => 0.02; }); // of the longest wait for the server
  await server.stop('SIGKILL');
  await server.start();
  await ready(server, 1);
  writeFileSync(server.file('new.html.tmp'), 'x');
  renameSync(server.file('index.html'), server.file('index.html~'));
  server.write('three');
  await page.waitForFunction(() => document.title === 'three');
  await page.close();
  await ready(server, 0);
});

test('a style sheet alone is fetched again, and the page stays', async () => {
  const server = await watching();
  const page = await visit(server);
  await ready(server, 1);
  await page.evaluate(() => { window.typed = 'still here'; });
  writeFileSync(server.file('style.css'), 'body { color: rgb(9, 8, 7) }\n');
  await page.waitForFunction(() => getComputedStyle(document.body).color === 'rgb(9, 8, 7)');
  assert.equal(await page.evaluate(() => window.typed), 'still here');
  assert.equal(page.loads, 1);
  await page.close();
});

test('what editors and tools leave behind does not reload', async () => {
  const server = await watching();
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
  const server = await watching();
  const page = await visit(server);
  await ready(server, 1);
  await page.evaluate(() => { setTimeout(() => { throw new Error('broken \u001b[2J\n here'); }); });
  const client = await until('the error', async () => (await clientsOf(server)).find(({ errors }) => errors));
  assert.deepEqual(Object.keys(client), ['id', 'status', 'url', 'lastSeen', 'errors']);
  assert.equal(client.status, 'ready');
  assert.equal(client.url, server.url('/', 'http'));
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
  await until('both', async () => (await clientsOf(server))[0]?.errors?.length === 3);
  await page.close();
  await until('that it is forgotten', async () => (await clientsOf(server)).length === 0);
});

test('a page of old, which only publishes, is told and heard', async () => {
  const server = await watching('--workers', '2');
  const pages = await Promise.all([...'abcdef'].map((letter) => Page.open(server, `page-${letter}-1`)));
  for (const page of pages)
    page.send({ type: 'publish', topic: 'system:hotreload_ready', payload: {} });
  pages[0].send({ id: 's', type: 'subscribe_request', topic: 'system:hot_reload' });
  await pages[0].answer('s');
  await ready(server, pages.length);
  pages.forEach((page, i) => page.send({ id: 'x', type: 'publish', topic: 'system:client_error',
    payload: { message: `boom ${i}`, filename: 'f.js', lineno: 3, colno: 4, stack: 's', timestamp: 't' } }));
  const clients = await until('all errors', async () => {
    const all = await clientsOf(server);
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
  await until('that all are forgotten', async () => (await clientsOf(server)).length === 0);
});

test('requests are answered, and what is odd does no harm', async () => {
  const server = await watching();
  const page = await Page.open(server, 'page-one-1');
  page.send({ id: '1', type: 'request', topic: 'system:hotreload_ready', payload: { url: 'http://x/' } });
  assert.deepEqual(await page.answer('1'), { id: '1', type: 'response', topic: 'system:hotreload_ready' });
  const odd = [null, 7, 'text', [], {}, { message: {} }, { lineno: 1e300 }, { message: 'x'.repeat(500000) }];
  odd.forEach((payload, i) => page.send({ id: `e${i}`, type: 'request', topic: 'system:client_error', payload }));
  for (let i = 0; i < odd.length; i++)
    assert.equal((await page.answer(`e${i}`)).type, 'response');
  const [{ id, url, errors }] = await clientsOf(server);
  assert.deepEqual([id, url], ['page-one-1', 'http://x/']);
  assert.equal(errors.length, odd.length);
  assert.equal(errors[0].message, 'Unknown error');
  assert.equal(errors.at(-1).message, 'x'.repeat(1024));
  page.socket.close();
});

test('a page that fails all the time does not fill the log', async () => {
  const server = await watching();
  const page = await Page.open(server, 'page-one-1');
  const failures = () => server.log.match(/a page failed/g)?.length ?? 0;
  for (let i = 0; i < 1000; i++)
    page.send({ id: `${i}`, type: 'request', topic: 'system:client_error', payload: { message: `error ${i}` } });
  await page.answer('999');
  const began = Date.now();
  assert.equal((await clientsOf(server))[0].errors.length, 100);
  assert.equal((await clientsOf(server))[0].errors[99].message, 'error 999');
  await pause(500);
  assert(failures() > 0 && failures() <= 10 + Math.ceil((Date.now() - began) / 1000 + 5) * 10, `${failures()} lines`);
  page.send({ id: 'last', type: 'request', topic: 'system:client_error', payload: {} });
  await until('the number of the others', () => / more errors of pages, not shown/.exec(server.log));
  page.socket.close();
});

test('others can watch, too', async () => {
  const server = await watching();
  let end;
  run(LINNET, ['sub', '-j', '-c', '1', server.url('/wsmq'), 'system:hot_reload']).then((outcome) => { end = outcome; });
  await until('it ends', async () => {
    appendFileSync(server.file('index.html'), ' ');
    await pause(2 * REST_MS);
    return end;
  });
  assert.equal(end.status, 0);
  assert.deepEqual(JSON.parse(end.stdout).files, ['index.html']);
});

test('the scripts are there with --watch, and only then', async () => {
  const [watched, plain] = [await watching(), await serve()];
  for (const path of ['/hotreload.js', '/reload.js', '/linnet.js']) {
    const answer = await fetch(watched.url(path, 'http'));
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/javascript/);
  }
  assert.equal((await fetch(plain.url('/hotreload.js', 'http'))).status, 404);
});

test('a folder that cannot be watched is an error at the start', async () => {
  const { status, stderr } = await run(LINNET, ['serve', '--listen', '127.0.0.1:0', '--watch', '/no/such/folder']);
  assert.equal(status, 1);
  assert.match(stderr, /^linnet serve: cannot watch \/no\/such\/folder: /);
});

await main();
