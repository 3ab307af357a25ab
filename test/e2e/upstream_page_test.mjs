// SPDX-License-Identifier: MIT
/*
 * upstream_page_test.mjs - the page and the client of the system that the command dialect comes from, written anew from
 * what is documented of their behaviour, faults and all, and nothing of linnet's own: would they work with our servers?
 *
 * The client: binary messages of a big-endian id and a payload, one handler for an id, text and short messages dropped,
 * reconnecting after reconnectDelay times the number of attempts, at most five times, without jitter. The page: sends
 * its name (8), asks for the list (5), chats (1); it does not send its name again after a reconnect.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';
import { example, freePort, main, serve, silentExample, test, until } from './kit.mjs';

const DELAY_MS = 40; // instead of 3,000
const PAGE = 'http://localhost:3000'; // another origin than the server's, as upstream serves it

/* ---- the client ---- */

class PageClient {
  constructor(config) {
    Object.assign(this, { autoReconnect: true, reconnectDelay: 3000, maxReconnectAttempts: Infinity, connectionTimeout: 10000 },
      config);
    this.state = 'DISCONNECTED';
    this.handlers = new Map();
    this.attempts = this.sockets = this.dropped = 0;
    this.delays = [];
    this.codes = [];
    this.ws = null;
  }

  connect() {
    if (this.state === 'CONNECTED' || this.state === 'CONNECTING') return this.promise;
    this.state = 'CONNECTING';
    this.promise = new Promise((resolve, reject) => {
      const ws = new WebSocket(this.url, { origin: PAGE }); // no subprotocol; permessage-deflate is offered, as browsers do
      ws.binaryType = 'arraybuffer';
      this.ws = ws;
      this.sockets++;
      const timer = setTimeout(() => { reject(new Error('Connection timeout')); ws.close(); }, this.connectionTimeout);
      ws.onopen = () => {
        clearTimeout(timer);
        this.state = 'CONNECTED';
        this.attempts = 0;
        resolve();
      };
      ws.onmessage = ({ data }) => this.take(data);
      ws.onerror = () => {};
      ws.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        this.codes.push(code);
        if (this.state === 'CONNECTING') reject(new Error(`Connection failed: ${reason || 'Unknown error'}`));
        this.closed();
      };
    });
    this.promise.catch(() => {});
    return this.promise;
  }

  closed() {
    const isOver = this.state === 'CLOSED';
    this.state = 'DISCONNECTED';
    if (isOver || !this.autoReconnect || this.attempts >= this.maxReconnectAttempts) return;
    this.attempts++;
    this.state = 'RECONNECTING';
    const delay = this.reconnectDelay * Math.min(this.attempts, 5);
    this.delays.push(delay / this.reconnectDelay);
    this.timer = setTimeout(() => this.connect(), delay);
  }

  disconnect() {
    this.state = 'CLOSED';
    clearTimeout(this.timer);
    this.ws?.close(1000, 'Client disconnect');
  }

  take(data) {
    if (!(data instanceof ArrayBuffer) || data.byteLength < 4) {
      this.dropped++;
      return;
    }
    this.handlers.get(new DataView(data).getUint32(0))?.(new Uint8Array(data, 4));
  }

  on(id, handler) { this.handlers.set(id, handler); }

  async send(id, payload = new Uint8Array(0)) {
    if (this.state !== 'CONNECTED' || this.ws.readyState !== WebSocket.OPEN) throw new Error('Not connected to server');
    const bytes = new Uint8Array(4 + payload.length);
    new DataView(bytes.buffer).setUint32(0, id);
    bytes.set(payload, 4);
    this.ws.send(bytes);
  }

  sendString(id, text) { return this.send(id, new TextEncoder().encode(text)); }
  sendJSON(id, data) { return this.sendString(id, JSON.stringify(data)); }

  // As it was meant: an answer with the same id on 0xFFFFFFFF, and the whole of it.
  sendJSONRPC(method, params, id) {
    return new Promise((resolve, reject) => {
      this.on(0xFFFFFFFF, (payload) => {
        const answer = JSON.parse(new TextDecoder().decode(payload));
        if (answer.id !== id) return;
        if (answer.error) reject(new Error(answer.error.message));
        else resolve(answer);
      });
      this.sendJSON(0xFFFFFFFF, { jsonrpc: '2.0', method, params, id });
    });
  }
}

/* ---- the page ---- */

class Page {
  constructor(port, username, config = {}) {
    this.username = username;
    this.heard = []; // {id, value}
    this.client = new PageClient({ url: `ws://127.0.0.1:${port}/ws`, reconnectDelay: DELAY_MS, ...config });
    for (const id of [1, 2, 3, 4, 5, 6, 7, 8])
      this.client.on(id, (payload) => this.heard.push({ id, value: JSON.parse(new TextDecoder().decode(payload)) }));
  }

  async enter() {
    await this.client.connect();
    await this.client.sendJSON(8, { username: this.username });
    await this.client.send(5);
  }

  say(message) {
    return this.client.sendJSON(1, { username: this.username, message });
  }

  async next(id) {
    const at = await until(`${this.username} hears ${id}`, () => this.heard.findIndex((one) => one.id === id) + 1);
    return this.heard.splice(at - 1, 1)[0].value;
  }
}

/* ---- servers ---- */

const SERVERS = [{ name: 'linnet serve', open: () => serve('--origins', '*'), code: 1001 },
  { name: 'examples/chat', open: () => silentExample('chat-server'), code: 1006 }];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

async function chats(open) {
  const server = await open();
  const alice = new Page(server.port, 'alice'), bob = new Page(server.port, 'bob <b>&"');
  await alice.enter();
  const joined = await alice.next(3);
  assert.deepEqual(Object.keys(joined), ['id', 'username', 'joinedAt']);
  assert.ok(joined.username === 'alice' && UUID.test(joined.id) && TIME.test(joined.joinedAt), JSON.stringify(joined));
  assert.deepEqual(await alice.next(6), [joined]);
  await bob.enter();
  const second = await bob.next(3);
  assert.equal(second.username, bob.username);
  assert.deepEqual(await alice.next(3), second);
  assert.deepEqual((await bob.next(6)).map(({ id }) => id).sort(), [joined.id, second.id].sort());

  for (const [from, text] of [[alice, 'hello'], [bob, 'grüß dich 🐦 <script>'], [alice, '']]) {
    await from.say(text);
    for (const page of [alice, bob]) {
      const said = await page.next(1);
      assert.deepEqual(Object.keys(said), ['username', 'message', 'timestamp']);
      assert.ok(said.username === from.username && said.message === text && TIME.test(said.timestamp), JSON.stringify(said));
    }
  }
  await alice.client.sendString(1, 'no JSON');
  await alice.client.send(2);
  await alice.client.send(7);
  bob.username = 'robert';
  await bob.client.sendJSON(8, { username: 'robert' }); // may be repeated
  assert.deepEqual(await alice.next(3), { ...second, username: 'robert' });
  bob.client.disconnect();
  assert.deepEqual(await alice.next(4), { ...second, username: 'robert' });
  await until('bob is out', () => bob.client.state === 'DISCONNECTED');
  assert.deepEqual(bob.client.codes, [1000]);
  await alice.client.send(5);
  assert.deepEqual(await alice.next(6), [joined]);
  alice.client.disconnect();
  assert.equal(alice.client.dropped + bob.client.dropped, 0, 'what came was binary');
  assert.deepEqual([...alice.heard, ...bob.heard.filter(({ id }) => id !== 3)], []);
}

// `code`: what the page hears of the server's end; the example has no time for a goodbye.
async function comesBack(open, code) {
  const server = await open();
  const alice = new Page(server.port, 'alice');
  await alice.enter();
  await alice.next(6);
  await server.stop();
  await until('it has tried six times', () => alice.client.delays.length >= 6);
  assert.deepEqual(alice.client.delays.slice(0, 6), [1, 2, 3, 4, 5, 5]);
  assert.equal(alice.client.codes[0], code);
  await assert.rejects(alice.client.send(5), /Not connected to server/);
  await server.start();
  await until('it is connected again', () => alice.client.state === 'CONNECTED');
  assert.equal(alice.client.attempts, 0);
  alice.heard.length = 0;
  await alice.client.send(5);
  const [guest] = await alice.next(6);
  assert.equal(guest.username, `Guest_${guest.id.slice(0, 8)}`); // its name is not sent again
  await alice.say('still here');
  assert.equal((await alice.next(1)).message, 'still here');
  alice.client.disconnect();
}

for (const { name, open, code } of SERVERS) {
  test(`${name}: the page comes in, lists, chats, renames itself, leaves`, () => chats(open));
  test(`${name}: the client comes back after the server has`, () => comesBack(open, code));
}

test('nobody there: seven attempts more, eight sockets, then none', async () => {
  const page = new Page(await freePort(), 'x', { reconnectDelay: 2, maxReconnectAttempts: 7 });
  await assert.rejects(page.client.connect(), /Connection failed/);
  await until('it gives up', () => page.client.state === 'DISCONNECTED');
  assert.equal(page.client.sockets, 8);
});

test('who is too fast is told why, and comes back', async () => {
  const server = await serve('--origins', '*');
  const alice = new Page(server.port, 'alice'), bob = new Page(server.port, 'bob');
  await alice.enter();
  await bob.enter();
  await bob.next(6);
  for (let i = 0; i < 300; i++) alice.client.send(7);
  await until('it is back', () => alice.client.sockets === 2 && alice.client.state === 'CONNECTED');
  assert.deepEqual(alice.client.codes, [1008]);
  assert.equal((await bob.next(4)).username, 'alice');
  alice.client.disconnect();
  bob.client.disconnect();
});

test('a page that only listens stays', async () => {
  const server = await serve('--origins', '*', '--ping-interval', '100ms', '--pong-wait', '200ms');
  const page = new Page(server.port, 'listener');
  await page.enter();
  await page.next(6);
  let pings = 0;
  page.client.ws.on('ping', () => pings++);
  await until('it was pinged', () => pings >= 6);
  assert.deepEqual([page.client.state, page.client.sockets], ['CONNECTED', 1]);
  page.client.disconnect();
});

test('JSON-RPC as the client meant it', async () => {
  const server = await example('rpc');
  const client = new PageClient({ url: server.url('/ws'), autoReconnect: false });
  const foreign = new WebSocket(client.url, { origin: PAGE });
  await assert.rejects(once(foreign, 'open'), /403/); // this example is for its own origin
  const own = new WebSocket(client.url);
  await once(own, 'open');
  own.binaryType = 'arraybuffer';
  own.onmessage = ({ data }) => client.take(data);
  Object.assign(client, { ws: own, state: 'CONNECTED' });
  assert.deepEqual(await client.sendJSONRPC('echo', { a: 1 }, 1732147200000),
    { jsonrpc: '2.0', result: { a: 1 }, id: 1732147200000 });
  await assert.rejects(client.sendJSONRPC('boom', {}, 2), /^Error: boom$/);
  await assert.rejects(client.sendJSONRPC('nobody', {}, 3), /^Error: Method not found$/);
  own.close();
});

await main();
