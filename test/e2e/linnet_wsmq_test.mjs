// SPDX-License-Identifier: MIT
/*
 * linnet_wsmq_test.mjs - BrokerClient of clients/js, and examples/control, against the real program: `linnet serve`.
 *
 *   LINNET         the program (build/release/linnet)
 *   LINNET_BUILD   the folder that examples/broker was built in (build/release)
 *   CHROMIUM       the browser (/usr/bin/chromium)
 *   GUIDE_MS       how long the page of the guide is asked for (1500)
 *   GUIDE_PING_MS  and how often (20)
 *
 * Prints TAP; exit status 1 if a test failed.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { BrokerClient, BrokerError } from '../../clients/js/linnet.js';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const BUILD = process.env.LINNET_BUILD ?? join(TOP, 'build/release');
const PATIENCE_MS = 15000;
const GUIDE_MS = Number(process.env.GUIDE_MS ?? 1500);
const GUIDE_PING_MS = process.env.GUIDE_PING_MS ?? '20';
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

const tests = [];
const test = (name, run) => tests.push({ name, run });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

async function until(what, isSo) {
  const end = Date.now() + PATIENCE_MS;
  while (!await isSo()) {
    assert(Date.now() < end, `never: ${what}`);
    await pause(2);
  }
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it did not fail' });
}

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

class Server {
  constructor(port) {
    this.origin = `http://127.0.0.1:${port}`;
    this.url = `ws://127.0.0.1:${port}/wsmq`;
    this.args = ['serve', '--listen', `127.0.0.1:${port}`, '--static', TOP, '--workers', '2', '--log-level', 'warn'];
  }

  async start() {
    this.process = spawn(LINNET, this.args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve).once('error', resolve));
    await until('the server is ready', () => {
      assert(this.process.exitCode === null, 'the server does not start');
      return fetch(`${this.origin}/ready`).then((answer) => answer.ok, () => false);
    });
  }

  async end(signal) {
    this.process.kill(signal);
    await this.ended;
  }
}

/* ---- clients ---- */

const clients = []; // of one test

async function connected(server, options) {
  const made = new BrokerClient(server.url, { WebSocket, reconnectDelay: 50, ...options });
  clients.push(made);
  made.errors = [];
  made.on('error', (error) => made.errors.push(error));
  await made.connect();
  return made;
}

// What a subscription got; the current generation is told when it holds, the other asks something after it.
async function listen(made, topic) {
  const got = [];
  const holds = new Promise((resolve) => made.on('subscribed', (which) => which === topic && resolve()));
  made.subscribe(topic, (payload, name) => got.push([name, payload]));
  await Promise.race([holds, made.request('nobody').catch(() => {})]);
  return got;
}

for (const generation of ['current', 'legacy']) {
  const both = (name, body) =>
    test(`${generation}: ${name}`, (server) => body(server, (options) => connected(server, { generation, ...options })));

  both('two clients meet on topics and filters, the publisher among them', async (server, join) => {
    const [a, b] = [await join(), await join()];
    const [exact, many, own] = [await listen(a, 'news.today'), await listen(a, 'news.>'), await listen(b, '*.today')];
    await b.publish('news.today', { text: 'ä\u2028<b>', n: 1.5, list: [null, true] });
    await b.publish('news.all.day', 7);
    await b.publish('news.today');
    await until('all came', () => exact.length === 2 && many.length === 3 && own.length === 2);
    assert.deepEqual(many,
      [['news.today', { text: 'ä\u2028<b>', n: 1.5, list: [null, true] }], ['news.all.day', 7], ['news.today', null]]);
    assert.deepEqual([exact, own], [[many[0], many[2]], [many[0], many[2]]]);
    assert.deepEqual([a.errors, b.errors, a.stats.ignored], [[], [], 0]);
  });

  both('what was unsubscribed does not come', async (server, join) => {
    const made = await join();
    const [gone, stays] = [await listen(made, 'gone'), await listen(made, 'stays')];
    made.unsubscribe('gone');
    await made.publish('gone', 1);
    await made.publish('stays', 2);
    await until('the other came', () => stays.length === 1);
    assert.deepEqual([gone, made.stats.ignored], [[], 0]);
  });

  both('requests that nobody handles fail with words', async (server, join) => {
    const made = await join();
    const error = await failure(made.request('no.such.topic', { x: 1 }));
    assert(error instanceof BrokerError);
    assert.match(error.message, /No handler for topic: no\.such\.topic$/);
    assert.equal(error.code, generation === 'current' ? 404 : 500);
  });

  both('the largest message that may be', async (server, join) => {
    const made = await join();
    const got = await listen(made, 'big');
    const text = 'x'.repeat(1048576 - 300);
    await made.publish('big', text);
    await until('it came', () => got.length === 1);
    assert.equal(got[0][1] === text, true);
  });

  both('a server that is killed and comes back: registered, subscribed, the queue sent', async (server, join) => {
    const made = await join({ queueLimit: 10 });
    const got = await listen(made, 'again');
    const lost = failure(made.call(made.id, 'nobody answers')); // ends, one way or the other
    await server.end('SIGKILL');
    await until('it notices', () => !made.isConnected());
    await lost;
    const queued = made.publish('again', 'from the queue');
    await server.start();
    await queued;
    await until('it came', () => got.length === 1);
    assert.deepEqual([got, made.isConnected()], [[['again', 'from the queue']], true]);
  });
}

test('the generations meet', async (server) => {
  const [current, legacy] = [await connected(server), await connected(server, { generation: 'legacy' })];
  const [one, two] = [await listen(current, 't'), await listen(legacy, 't')];
  await current.publish('t', { of: 'current' });
  await until('it came', () => one.length + two.length === 2);
  await legacy.publish('t', { of: 'legacy' });
  await until('it came', () => one.length + two.length === 4);
  const both = [['t', { of: 'current' }], ['t', { of: 'legacy' }]];
  assert.deepEqual([one, two], [both, both]);
});

test('ids: the one that was asked for, another one if it is taken, the same after a reconnection', async (server) => {
  const first = await connected(server, { clientId: 'same id' });
  const second = await connected(server, { clientId: 'same id' });
  assert.equal(first.id, 'same id');
  assert(second.id !== '' && second.id !== 'same id');
  const random = await connected(server);
  const { id } = random;
  await server.end('SIGTERM');
  await server.start();
  await until('it is back', () => random.isConnected());
  assert.equal(random.id, id);
});

test('the directory', async (server) => {
  const made = await connected(server, { clientName: 'Ada', clientType: 'test', clientUrl: 'http://ada/' });
  await connected(server, { clientType: 'other' });
  assert.deepEqual(await made.clients({ clientType: 'test' }),
    [{ id: made.id, name: 'Ada', clientType: 'test', clientUrl: 'http://ada/' }]);
  assert.equal((await made.clients()).length, 2);
  assert.deepEqual(await made.clients({ clientType: 'nobody' }), []);
});

test('clients call each other: answers, errors, nobody there', async (server) => {
  const [asker, asked] = [await connected(server), await connected(server)];
  asked.handle('add', async ([a, b]) => a + b);
  asked.handle('nothing', () => {});
  asked.handle('bad', () => { throw new BrokerError(7, 'no "quotes"'); });
  asked.subscribe('guide', ({ timestamp }) => ({ serverTime: timestamp }));
  assert.equal(await asker.call(asked.id, 'add', [1, 2]), 3);
  assert.equal(await asker.call(asked.id, 'nothing'), null);
  assert.deepEqual(await asker.call(asked.id, 'guide', { timestamp: 5 }), { serverTime: 5 });
  const errors = await Promise.all([asker.call(asked.id, 'bad'), asker.call(asked.id, 'nobody'), asker.call('x', 'add')].map(failure));
  assert.deepEqual(errors.map(({ code }) => code), [500, 500, 500]);
  assert.match(errors[0].message, /responded with error \(code 7\) for request ID [0-9a-f]{32}: no "quotes"$/);
  assert.match(errors[1].message, /\(code 404\).*Client has no handler for topic: nobody$/);
  assert.equal(errors[2].message, "proxy target client: client with ID 'x' not found");
  const many = await Promise.all(Array.from({ length: 200 }, (_, n) => asker.call(asked.id, 'add', [n, 1])));
  assert.deepEqual(many, Array.from({ length: 200 }, (_, n) => n + 1));
});

test('the server dies under many requests: each ends once, and later ones are answered', async (server) => {
  const crowd = await Promise.all(Array.from({ length: 20 }, () => connected(server, { queueLimit: 1000, queueRequests: true })));
  const ends = new Map();
  const ask = (made, n) => made.request('example.echo', n).then((answer) => answer === n, ({ code }) => code)
    .then((end) => ends.set(end, (ends.get(end) ?? 0) + 1));
  const all = crowd.flatMap((made) => Array.from({ length: 200 }, (_, n) => ask(made, n)));
  await crowd[0].request('example.echo').catch(() => {});
  const down = server.end('SIGKILL');
  all.push(...crowd.flatMap((made) => Array.from({ length: 100 }, (_, n) => ask(made, n))));
  await down;
  await server.start();
  await Promise.all(all);
  assert.deepEqual([...ends.keys()].filter((end) => end !== true && end !== 'connection-lost'), []);
  assert.equal([...ends.values()].reduce((a, b) => a + b), 6000);
  assert.deepEqual(await Promise.all(crowd.map((made, n) => made.request('example.echo', n))), crowd.map((_, n) => n));
});

test('a slow answer, a late one, an error of the handler', async (server) => {
  const made = await connected(server);
  const [slow, late] = [made.request('server:slow_request', { delayMilliseconds: 30 }), failure(made.request('server:slow_request',
    { delayMilliseconds: 300 }, 5))];
  assert.equal((await late).code, 'timeout');
  assert.equal((await slow).message, 'Completed after 30 ms');
  const error = await failure(made.request('system:error_test', { shouldError: true }));
  assert.deepEqual([error.code, error.message, error.topic], [500, 'simulated server error requested by client', 'system:error_test']);
  await until('the late one came', () => made.stats.ignored === 1);
});

/* ---- pages ---- */

// A way to a server that has a page and the modules at its origin, and that breaks when the server says something
// after cut().
async function bridge(port) {
  const sockets = new Set();
  const way = { isCut: false, cut: () => { way.isCut = true; }, end: () => http.close() };
  const http = createHttpServer((request, response) => {
    const isModule = request.url.endsWith('.js');
    response.setHeader('Content-Type', isModule ? 'text/javascript' : 'text/html');
    response.end(isModule ? readFileSync(join(TOP, 'clients/js', basename(request.url))) : '<!DOCTYPE html>');
  });
  http.on('upgrade', ({ url, rawHeaders }, near) => {
    const far = connect(port, '127.0.0.1');
    const headers = rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
    far.write(`GET ${url} HTTP/1.1\r\n${headers}\r\n`);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {}).on('close', () => { sockets.delete(one); other.destroy(); }).pipe(other);
    }
    far.on('data', () => {
      if (way.isCut)
        sockets.forEach((socket) => socket.destroy());
      way.isCut = false;
    });
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  return Object.assign(way, { origin: `http://127.0.0.1:${http.address().port}/` });
}

// The page of the guide: it answers, taking its time, and counts what it was asked.
async function answerPings(delay) {
  const { BrokerClient: Broker } = await import('/linnet.js');
  const client = new Broker({ reconnectDelay: 100 });
  window.opened = window.all = 0;
  client.onError = () => {};
  client.onOpen = () => { window.opened += 1; window.asked = 0; };
  client.subscribe('server.ping', async (message) => {
    window.asked += 1; // on this connection
    window.all += 1;
    await new Promise((resolve) => { setTimeout(resolve, delay); });
    return { clientTime: Date.now(), serverTime: message.timestamp, message: 'Pong from client', echo: message.message };
  });
  await client.connect();
}

const endsOf = (lines) => lines.filter((line) => / answered | did not answer: | refused: /.test(line)).length;

test('the guide: a server asks a page again and again, across three broken connections', async () => {
  const child = spawn(join(BUILD, 'examples/broker'), ['127.0.0.1:0', GUIDE_PING_MS], { stdio: ['ignore', 'pipe', 'inherit'] });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  const lines = [];
  let way = null;
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  try {
    await until('it listens', () => lines.length > 0);
    way = await bridge(Number(lines[0].match(/\d+$/)[0]));
    const page = await browser.newPage();
    await page.goto(way.origin);
    await page.evaluate(answerPings, 3 * Number(GUIDE_PING_MS));
    for (let cuts = 1; cuts <= 3; cuts++) {
      await pause(GUIDE_MS / 4);
      await page.waitForFunction(() => window.asked > 2);
      way.cut();
      await page.waitForFunction((opened) => window.opened > opened, cuts);
    }
    await pause(GUIDE_MS / 4);
    const before = lines.length;
    await until('it is answered still', () => lines.slice(before).some((line) => line.includes(' answered ')));
    const asked = await page.evaluate(() => window.all);
    await until('the last one is answered', () => endsOf(lines) >= asked);
    const count = (what) => lines.filter((line) => line.includes(what)).length;
    const [answered, lost] = [count(' answered {"clientTime":'), count(' did not answer: ')];
    console.log(`# asked ${asked}, answered ${answered}, did not answer ${lost}`);
    assert.equal(count(' is browser-'), 4, 'registered anew each time');
    assert.deepEqual([count(' refused: '), answered > 0, lost >= 3], [0, true, true], 'each cut came while something was asked');
  } finally {
    await browser.close();
    child.kill('SIGTERM');
    way?.end();
  }
});

const SCRIPT = join(TOP, 'examples/control/control.mjs');

function steer(url, ...words) {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...words], { env: { ...process.env, LINNET_URL: url, NODE_PATH: join(TOP, 'test/e2e/node_modules') } },
      (error, stdout, stderr) => resolve([error?.code ?? 0, stdout.trim(), stderr.trim()]));
  });
}

test('examples/control: a page in a browser, steered from a terminal', async (server) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${server.origin}/examples/control/`);
    await page.locator('#link[data-state="online"]').waitFor();
    const id = await page.locator('#id').textContent();
    assert.match((await steer(server.url, 'list'))[1], new RegExp(`^${id}\tbrowser\tControl · linnet\t${server.origin}/examples/control/$`, 'm'));
    assert.equal(JSON.parse((await steer(server.url, 'info', id))[1]).title, 'Control · linnet');
    assert.deepEqual(JSON.parse((await steer(server.url, 'fill', id, 'name=Ada'))[1]).filled, ['name']);
    assert.equal(await page.inputValue('#name'), 'Ada');
    await server.end('SIGTERM');
    await page.locator('#link[data-state="waiting"]').waitFor();
    await server.start();
    await page.locator('#link[data-state="online"]').waitFor();
    assert.equal(JSON.parse((await steer(server.url, 'click', id, '#count'))[1]).element, 'button#count');
  } finally {
    await browser.close();
  }
});

test('reload.js: a page reloads when its topic says so, and a server that knows nothing of it is no trouble', async (server) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  try {
    const page = await browser.newPage();
    const made = await connected(server);
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${server.origin}/examples/control/`);
    await page.evaluate(async () => {
      const { HotReload } = await import('/clients/js/reload.js');
      window.hot = new HotReload();
      await new Promise((resolve) => { window.hot.client.on('subscribed', resolve); });
    });
    await made.publish('system:hot_reload', { timestamp: 1 });
    await page.waitForFunction(() => window.hot === undefined);
  } finally {
    await browser.close();
  }
});

test('no promise was left alone with its error', async () => {
  await pause(1);
  assert.deepEqual(unhandled, []);
});

/* ---- run ---- */

const server = new Server(await freePort());
let failed = 0;
await server.start();
for (const { name, run } of tests) {
  try {
    await run(server);
    console.log(`ok - ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok - ${name}: ${String(error.message).split('\n')[0]}`);
    console.log(String(error.stack).replace(/^/gm, '# '));
  }
  for (const made of clients.splice(0)) {
    made.off('error');
    made.on('error', () => {});
    made.disconnect();
  }
}
console.log(`1..${tests.length}`);
await server.end('SIGTERM');
process.exit(failed > 0 ? 1 : 0);
