// SPDX-License-Identifier: MIT
/*
 * linnet_wsmq_test.mjs - BrokerClient of clients/js, and examples/control, against the real program: `linnet serve`.
 *
 *   GUIDE_MS       how long the page of the guide is asked for (1500)
 *   GUIDE_PING_MS  and how often (20)
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import WebSocket from 'ws';
import { BrokerClient, BrokerError } from '../../clients/js/linnet.js';
import { atEnd, example, failure, main, openPage, pause, serve, steer, test, TOP, unhandled, until } from './kit.mjs';

const GUIDE_MS = Number(process.env.GUIDE_MS ?? 1500);
const GUIDE_PING_MS = process.env.GUIDE_PING_MS ?? '20';
const server = await serve('--static', TOP, '--workers', '2');

/* ---- clients ---- */

async function connected(options) {
  const made = new BrokerClient(server.url('/wsmq'), { WebSocket, reconnectDelay: 50, ...options });
  atEnd(() => disconnect(made));
  made.errors = [];
  made.on('error', (error) => made.errors.push(error));
  await made.connect();
  return made;
}

function disconnect(made) {
  made.off('error');
  made.on('error', () => {});
  made.disconnect();
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
    test(`${generation}: ${name}`, () => body((options) => connected({ generation, ...options })));

  both('two clients meet on topics and filters, the publisher among them', async (join) => {
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

  both('what was unsubscribed does not come', async (join) => {
    const made = await join();
    const [gone, stays] = [await listen(made, 'gone'), await listen(made, 'stays')];
    made.unsubscribe('gone');
    await made.publish('gone', 1);
    await made.publish('stays', 2);
    await until('the other came', () => stays.length === 1);
    assert.deepEqual([gone, made.stats.ignored], [[], 0]);
  });

  both('requests that nobody handles fail with words', async (join) => {
    const made = await join();
    const error = await failure(made.request('no.such.topic', { x: 1 }));
    assert(error instanceof BrokerError);
    assert.match(error.message, /No handler for topic: no\.such\.topic$/);
    assert.equal(error.code, generation === 'current' ? 404 : 500);
  });

  both('a publication that the server refuses is an error', async (join) => {
    const made = await join();
    await made.publish('not.*.a.topic');
    await until('it is told', () => made.errors.length === 1);
    assert.match(made.errors[0].message, /Publication topic is not valid$/);
    assert.deepEqual([made.errors[0] instanceof BrokerError, made.stats.ignored], [true, 0]);
  });

  both('the largest message that may be', async (join) => {
    const made = await join();
    const got = await listen(made, 'big');
    const text = 'x'.repeat(1048576 - 300);
    await made.publish('big', text);
    await until('it came', () => got.length === 1);
    assert.equal(got[0][1] === text, true);
  });

  both('a server that is killed and comes back: registered, subscribed, the queue sent', async (join) => {
    const made = await join({ queueLimit: 10 });
    const got = await listen(made, 'again');
    const lost = failure(made.call(made.id, 'nobody answers')); // ends, one way or the other
    await server.stop('SIGKILL');
    await until('it notices', () => !made.isConnected());
    await lost;
    const queued = made.publish('again', 'from the queue');
    await server.start();
    await queued;
    await until('it came', () => got.length === 1);
    assert.deepEqual([got, made.isConnected()], [[['again', 'from the queue']], true]);
  });
}

test('the generations meet', async () => {
  const [current, legacy] = [await connected(), await connected({ generation: 'legacy' })];
  const [one, two] = [await listen(current, 't'), await listen(legacy, 't')];
  await current.publish('t', { of: 'current' });
  await until('it came', () => one.length + two.length === 2);
  await legacy.publish('t', { of: 'legacy' });
  await until('it came', () => one.length + two.length === 4);
  const both = [['t', { of: 'current' }], ['t', { of: 'legacy' }]];
  assert.deepEqual([one, two], [both, both]);
});

test('ids: the one that was asked for, another one if it is taken, the same after a reconnection', async () => {
  const first = await connected({ clientId: 'same id' });
  const second = await connected({ clientId: 'same id' });
  assert.equal(first.id, 'same id');
  assert(second.id !== '' && second.id !== 'same id');
  const random = await connected();
  const { id } = random;
  await server.stop();
  await server.start();
  await until('it is back', () => random.isConnected());
  assert.equal(random.id, id);
});

test('the directory', async () => {
  const made = await connected({ clientName: 'Ada', clientType: 'test', clientUrl: 'http://ada/' });
  await connected({ clientType: 'other' });
  assert.deepEqual(await made.clients({ clientType: 'test' }),
    [{ id: made.id, name: 'Ada', clientType: 'test', clientUrl: 'http://ada/' }]);
  assert.equal((await made.clients()).length, 2);
  assert.deepEqual(await made.clients({ clientType: 'nobody' }), []);
});

test('clients call each other: answers, errors, nobody there', async () => {
  const [asker, asked] = [await connected(), await connected()];
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

test('the server dies under many requests: each ends once, and later ones are answered', async () => {
  const crowd = await Promise.all(Array.from({ length: 20 }, () => connected({ queueLimit: 1000, queueRequests: true })));
  const ends = new Map();
  const ask = (made, n) => made.request('example.echo', n).then((answer) => answer === n, ({ code }) => code)
    .then((end) => ends.set(end, (ends.get(end) ?? 0) + 1));
  const all = crowd.flatMap((made) => Array.from({ length: 200 }, (_, n) => ask(made, n)));
  await crowd[0].request('example.echo').catch(() => {});
  const down = server.stop('SIGKILL');
  all.push(...crowd.flatMap((made) => Array.from({ length: 100 }, (_, n) => ask(made, n))));
  await down;
  await server.start();
  await Promise.all(all);
  assert.deepEqual([...ends.keys()].filter((end) => end !== true && end !== 'connection-lost'), []);
  assert.equal([...ends.values()].reduce((a, b) => a + b), 6000);
  assert.deepEqual(await Promise.all(crowd.map((made, n) => made.request('example.echo', n))), crowd.map((_, n) => n));
});

test('a slow answer, a late one, an error of the handler', async () => {
  const made = await connected();
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
  const way = { isCut: false, cut: () => { way.isCut = true; } };
  const http = createServer((request, response) => {
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
  atEnd(() => http.close());
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

test('the guide: a server asks a page again and again, across three broken connections', async () => {
  const broker = await example('broker', GUIDE_PING_MS);
  const linesWith = (what) => broker.log.split('\n').filter((line) => what.test(line)).length;
  const way = await bridge(broker.port);
  const page = await openPage();
  await page.goto(way.origin);
  await page.evaluate(answerPings, 3 * Number(GUIDE_PING_MS));
  for (let cuts = 1; cuts <= 3; cuts++) {
    await pause(GUIDE_MS / 4);
    await page.waitForFunction(() => window.asked > 2);
    way.cut();
    await page.waitForFunction((opened) => window.opened > opened, cuts);
  }
  await pause(GUIDE_MS / 4);
  const before = linesWith(/ answered /);
  await until('it is answered still', () => linesWith(/ answered /) > before);
  const asked = await page.evaluate(() => window.all);
  await until('the last one is answered', () => linesWith(/ answered | did not answer: | refused: /) >= asked);
  const [answered, lost] = [linesWith(/ answered \{"clientTime":/), linesWith(/ did not answer: /)];
  console.log(`# asked ${asked}, answered ${answered}, did not answer ${lost}`);
  assert.equal(linesWith(/ is browser-/), 4, 'registered anew each time');
  assert.deepEqual([linesWith(/ refused: /), answered > 0, lost >= 3], [0, true, true], 'each cut came while something was asked');
});

// The page of examples/control, connected.
async function controlled() {
  const page = await openPage();
  await page.goto(server.url('/examples/control/', 'http'));
  await page.locator('#link[data-state="online"]').waitFor();
  return page;
}

test('examples/control: a page in a browser, steered from a terminal', async () => {
  const page = await controlled();
  const id = await page.locator('#id').textContent();
  const told = async (...words) => (await steer(server.url('/wsmq'), ...words))[1];
  assert.match(await told('list'), new RegExp(`^${id}\tbrowser\tControl · linnet\t${page.url()}$`, 'm'));
  assert.equal(JSON.parse(await told('info', id)).title, 'Control · linnet');
  assert.deepEqual(JSON.parse(await told('fill', id, 'name=Ada')).filled, ['name']);
  assert.equal(await page.inputValue('#name'), 'Ada');
  await page.evaluate(() => { Math.random = () => 0.1; }); // of the longest wait for the server
  await server.stop();
  await page.locator('#link[data-state="waiting"]').waitFor();
  await server.start();
  await page.locator('#link[data-state="online"]').waitFor();
  assert.equal(JSON.parse(await told('click', id, '#count')).element, 'button#count');
});

test('reload.js: a page reloads when its topic says so, and a server that knows nothing of it is no trouble', async () => {
  const page = await controlled();
  const made = await connected();
  await page.evaluate(async () => {
    const { HotReload } = await import('/clients/js/reload.js');
    window.hot = new HotReload();
    await new Promise((resolve) => { window.hot.client.on('subscribed', resolve); });
  });
  await made.publish('system:hot_reload', { timestamp: 1 });
  await page.waitForFunction(() => window.hot === undefined);
});

test('no promise was left alone with its error', async () => {
  await pause(1);
  assert.deepEqual(unhandled, []);
});

await main();
