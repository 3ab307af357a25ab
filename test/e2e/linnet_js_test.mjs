// SPDX-License-Identifier: MIT
/*
 * linnet_js_test.mjs - clients/js: CommandClient in Node against a server of npm's `ws` and against sockets that exist
 * only here; against the real server (the example rpc); in Chromium; its types by TypeScript.
 */
// back end: any
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import WebSocket, { WebSocketServer } from 'ws';
import * as linnet from '../../clients/js/linnet.js';
import { FakeSocket } from './fake_socket.mjs';
import { atEnd, example, failure, folder, HERE, main, openPage, PATIENCE_MS, pause, run, test, TOP, unhandled, until } from './kit.mjs';

const { ClientError, CommandClient, ConnectionState, ReservedCommands, RpcError } = linnet;
const MODULE = join(TOP, 'clients/js/linnet.js');
const QUIET_MS = 100; // long enough for what must not come
const RPC = 0xFFFFFFFF;
const RPC_ERROR = 0xFFFFFFFE;

/* ---- a server ---- */

function message(id, payload) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(id);
  return Buffer.concat([bytes, Buffer.from(payload)]);
}

// Answers a JSON-RPC request by what `methods` have; what they leave undefined is not answered.
function answerOf(methods, { method, params, id }) {
  const outcome = methods[method]?.(params);
  return outcome === undefined || id === undefined ? null : { jsonrpc: '2.0', ...outcome, id };
}

class Server {
  sockets = [];
  heard = []; // {id, payload, raw, isBinary}
  methods = {};
  errorsApart = false;

  async start(port = 0) {
    this.listener = new WebSocketServer({ port, host: '127.0.0.1', maxPayload: 1 << 25 });
    this.listener.on('connection', (socket) => {
      this.sockets.push(socket);
      socket.on('message', (data, isBinary) => this.#take(socket, data, isBinary));
      socket.on('close', (code, reason) => { socket.ended = [code, String(reason)]; });
    });
    await once(this.listener, 'listening');
    this.port = this.listener.address().port;
    this.url = `ws://127.0.0.1:${this.port}/ws`;
    return this;
  }

  get last() {
    return this.sockets.at(-1);
  }

  get requests() {
    return this.heard.filter(({ id }) => id === RPC).map(({ payload }) => JSON.parse(payload));
  }

  tell(id, payload = '') {
    this.last.send(message(id, payload));
  }

  rpc(value) {
    this.tell(RPC, typeof value === 'string' ? value : JSON.stringify(value));
  }

  #take(socket, raw, isBinary) {
    const id = raw.readUInt32BE(0);
    const payload = raw.subarray(4);
    this.heard.push({ id, payload, raw, isBinary });
    if (id === RPC && Object.keys(this.methods).length > 0)
      this.#answer(socket, JSON.parse(payload));
  }

  #answer(socket, value) {
    if (Array.isArray(value)) {
      const answers = value.map((each) => answerOf(this.methods, each)).filter((each) => each !== null);
      socket.send(message(RPC, JSON.stringify(answers)));
      return;
    }
    const answer = answerOf(this.methods, value);
    if (answer !== null)
      socket.send(message(this.errorsApart && answer.error ? RPC_ERROR : RPC, JSON.stringify(answer)));
  }

  async end() {
    for (const socket of this.listener.clients)
      socket.terminate();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

class CommandSocket extends FakeSocket {
  bring(id, payload = '') {
    this.onmessage?.({ data: new Uint8Array(message(id, payload)).buffer });
  }
}

/* ---- clients ---- */

function client(url, options) {
  const made = new CommandClient({ url, WebSocket, reconnectDelay: 20, ...options });
  atEnd(() => made.disconnect());
  return made;
}

async function connected(server, options) {
  const made = client(server.url, options);
  await made.connect();
  await until('the server has it', () => server.sockets.length > 0 && server.last.readyState === 1);
  return made;
}

function fake(options, onMake) {
  FakeSocket.reset(onMake);
  return client('ws://nowhere', { WebSocket: CommandSocket, ...options });
}

// What happens to a client, as words.
function diary(of) {
  const lines = [];
  of.on('state', (state) => lines.push(state));
  of.on('open', () => lines.push('open'));
  of.on('close', ({ code, reason, wasClean }) => lines.push(`close ${code} ${reason} ${wasClean}`));
  of.on('reconnecting', ({ attempt }) => lines.push(`reconnecting ${attempt}`));
  of.on('error', (error) => lines.push(`error ${error.message}`));
  of.on('drain', () => lines.push('drain'));
  return lines;
}

// The lines that console.error() got meanwhile.
async function complaints(body) {
  const { error } = console;
  const lines = [];
  console.error = (...words) => lines.push(words.map((word) => word.message ?? word).join(' '));
  try {
    await body();
  } finally {
    console.error = error;
  }
  return lines;
}

async function withRandom(value, body) {
  const { random } = Math;
  Math.random = () => value;
  try {
    await body();
  } finally {
    Math.random = random;
  }
}

/* ---- names, options, bytes ---- */

test('it has every name of the client it is to replace', () => {
  const made = client('ws://nowhere');
  for (const name of ['connect', 'disconnect', 'on', 'off', 'send', 'sendString', 'sendJSON', 'sendJSONRPC', 'isConnected', 'getState'])
    assert.equal(typeof made[name], 'function', name);
  assert.deepEqual({ ...ConnectionState }, Object.fromEntries(
    ['DISCONNECTED', 'CONNECTING', 'CONNECTED', 'RECONNECTING', 'CLOSED'].map((state) => [state, state])));
  assert.deepEqual({ ...ReservedCommands },
    { JSON_RPC: 0xFFFFFFFF, JSON_RPC_ERROR: 0xFFFFFFFE, INVALID_COMMAND: 0xFFFFFFFD, COMMAND_ERROR: 0xFFFFFFFC });
  assert.deepEqual([made.getState(), made.isConnected(), made.bufferedAmount], ['DISCONNECTED', false, 0]);
});

test('it wants a url and a WebSocket', () => {
  assert.throws(() => new CommandClient(), TypeError);
  assert.throws(() => new CommandClient({ WebSocket }), /url/);
  if (globalThis.WebSocket === undefined)
    assert.throws(() => new CommandClient({ url: 'ws://nowhere' }), /WebSocket/);
});

test('its defaults: 3 s, 10 s, 30 s, for ever', async () => {
  const delays = [];
  const { setTimeout: real } = globalThis;
  globalThis.setTimeout = (wake, ms, ...rest) => { delays.push(ms); return real(wake, Math.min(ms, 2), ...rest); };
  try {
    await withRandom(0.999999, async () => {
      FakeSocket.reset((socket) => queueMicrotask(() => FakeSocket.made.length < 8 ? socket.fail() : socket.open()));
      const made = new CommandClient({ url: 'ws://nowhere', WebSocket: CommandSocket, reconnectDelay: undefined });
      atEnd(() => made.disconnect());
      await failure(made.connect());
      await until('the eighth opens', () => made.isConnected());
      const call = made.call('nobody');
      assert.deepEqual(delays.map(Math.round).filter((ms) => ms >= 1000), [10000, 3000, 10000, 6000, 10000, 12000, 10000, 24000,
        10000, 30000, 10000, 30000, 10000, 30000, 10000, 30000], 'attempts and waits in turn, and at the end the call');
      assert.equal((await failure(call)).code, 'timeout');
    });
  } finally {
    globalThis.setTimeout = real;
  }
});

test('a command is its id, big-endian, and its payload', async ({ server }) => {
  const made = await connected(server);
  const room = new Uint8Array([9, 1, 2, 3, 9]).buffer;
  await made.sendString(0x01020304, 'hi');
  await made.send(5);
  await made.send(5, null);
  await made.send(0xFF000000, new Uint8Array(room, 1, 3));
  await made.send(0x100, new DataView(room, 1, 2));
  await made.send(0x42, room);
  await made.sendJSON(1, { a: 'ä' });
  await made.sendJSON(1, undefined);
  assert.equal(made.trySend(0, new Uint8Array([7])), true);
  await until('all are there', () => server.heard.length === 9);
  assert.deepEqual(server.heard.map(({ raw }) => raw.toString('hex')), ['010203046869', '00000005', '00000005', 'ff000000010203',
    '000001000102', '000000420901020309', `00000001${Buffer.from('{"a":"ä"}').toString('hex')}`, '00000001', '0000000007']);
  assert(server.heard.every(({ isBinary }) => isBinary));
});

test('what is no command is not sent', async ({ server }) => {
  const made = await connected(server);
  for (const id of [-1, 2 ** 32, 1.5, NaN, '1'])
    assert((await failure(made.send(id))) instanceof RangeError, String(id));
  assert.match((await failure(made.send(1, 'text'))).message, /sendString/);
  assert.equal((await failure(made.send(1, new Uint8Array(10485761)))).message, 'payload size 10485761 exceeds maximum 10485760 bytes');
  assert((await failure(made.sendString(1, 'x'.repeat(10485761)))) instanceof RangeError);
  await made.send(1, new Uint8Array(10485760));
  await until('the largest arrives', () => server.heard.length === 1);
  assert.equal(server.heard[0].payload.length, 10485760);
});

test('a payload lies in the message it came in', async ({ server }) => {
  const made = await connected(server);
  const got = [];
  made.on(7, (payload, id) => got.push([payload, id]));
  server.tell(7, 'abc');
  server.tell(7);
  await until('both came', () => got.length === 2);
  const [[payload, id], [empty]] = got;
  assert(payload instanceof Uint8Array);
  assert.deepEqual([payload.byteOffset, payload.buffer.byteLength, String(Buffer.from(payload)), id], [4, 7, 'abc', 7]);
  assert.equal(empty.length, 0);
});

test('one handler for an id: the last one, until it is removed', async ({ server }) => {
  const made = await connected(server);
  const got = [];
  made.on(1, () => got.push('first'));
  made.on(1, () => got.push('second'));
  made.on(2, () => got.push('two'));
  server.tell(1);
  server.tell(99);
  server.tell(2);
  await until('two came', () => got.length === 2);
  made.off(1);
  server.tell(1);
  server.tell(2);
  await until('two came again', () => got.length === 3);
  assert.deepEqual(got, ['second', 'two', 'two']);
});

test('reserved ids have no handlers', () => {
  const made = client('ws://nowhere');
  for (const id of Object.values(ReservedCommands))
    assert.throws(() => made.on(id, () => {}), { message: `Command ID ${id.toString(16)} is reserved` });
  made.on(0xFFFFFFFB, () => {});
  assert.throws(() => made.on(-1, () => {}), RangeError);
  assert.throws(() => made.on(1), TypeError);
  assert.throws(() => made.on('open'), TypeError);
});

/* ---- the life of a connection ---- */

test('connect() is asked once, and disconnect() says goodbye', async ({ server }) => {
  const made = client(server.url);
  const lines = diary(made);
  const promise = made.connect();
  assert.equal(made.getState(), 'CONNECTING');
  assert.equal(made.connect(), promise);
  assert.equal(await promise, undefined);
  assert.equal(made.connect(), promise);
  assert.deepEqual([made.getState(), made.isConnected()], ['CONNECTED', true]);
  made.disconnect();
  assert.deepEqual([made.getState(), made.isConnected()], ['CLOSED', false]);
  await until('it has closed', () => made.getState() === 'DISCONNECTED' && server.last.ended !== undefined);
  assert.deepEqual(server.last.ended, [1000, 'Client disconnect']);
  assert.deepEqual(lines, ['CONNECTING', 'CONNECTED', 'open', 'CLOSED', 'DISCONNECTED', 'close 1000 Client disconnect true']);
  await pause(QUIET_MS);
  assert.equal(server.sockets.length, 1);
});

test('what was sent before disconnect() arrives', async ({ server }) => {
  const made = await connected(server);
  for (let i = 0; i < 200; i++)
    void made.send(i, new Uint8Array(5000));
  made.disconnect();
  await until('it has closed', () => server.last.ended !== undefined);
  assert.equal(server.heard.length, 200);
});

test('disconnect() and connect() at once: connected, and no mistake about it', async ({ server }) => {
  const made = await connected(server);
  const lines = diary(made);
  made.disconnect();
  await made.connect();
  await pause(QUIET_MS);
  assert.deepEqual([made.getState(), made.isConnected()], ['CONNECTED', true]);
  assert.deepEqual(lines, ['CLOSED', 'DISCONNECTED', 'close 1000 Client disconnect false', 'CONNECTING', 'CONNECTED', 'open']);
  await made.send(1);
  await until('it talks', () => server.heard.length === 1);
});

test('disconnect() while it connects ends the attempt', async ({ server }) => {
  const made = client(server.url);
  const lines = diary(made);
  const promise = made.connect();
  made.disconnect();
  const error = await failure(promise);
  assert.deepEqual([error.code, error.message], ['connection-failed', 'Connection failed: Client disconnect']);
  await until('it has closed', () => made.getState() === 'DISCONNECTED');
  await pause(QUIET_MS);
  assert.deepEqual(lines, ['CONNECTING', 'CLOSED', 'DISCONNECTED']);
});

test('a close by the server: told once, with its code, then a new connection', async ({ server }) => {
  const made = await connected(server);
  const lines = diary(made);
  server.last.close(4001, 'bye');
  await until('it is back', () => made.isConnected() && server.sockets.length === 2);
  assert.deepEqual(lines, ['RECONNECTING', 'close 4001 bye true', 'reconnecting 1', 'CONNECTING', 'CONNECTED', 'open']);
});

test('who has heard enough calls disconnect() in close', async ({ server }) => {
  const made = await connected(server);
  const lines = diary(made);
  made.on('close', ({ code }) => code === 1008 && made.disconnect());
  server.last.close(1008, 'Rate limit exceeded');
  await until('it has closed', () => lines.length >= 3);
  await pause(QUIET_MS);
  assert.deepEqual(lines, ['RECONNECTING', 'close 1008 Rate limit exceeded true', 'CLOSED']);
  assert.equal(server.sockets.length, 1);
});

test('a first connection that fails: rejected, and tried again', async ({ server }) => {
  const { port } = server;
  await server.end();
  const made = client(server.url, { reconnectDelay: 40 });
  const lines = diary(made);
  const error = await failure(made.connect());
  assert(error instanceof ClientError);
  assert.deepEqual([error.code, error.message], ['connection-failed', 'Connection failed: Unknown error']);
  await until('it has tried again', () => lines.filter((line) => line === 'CONNECTING').length > 1);
  await server.start(port);
  await until('it is there', () => made.isConnected());
  assert.deepEqual(lines.slice(0, 4), ['CONNECTING', 'RECONNECTING', 'error Connection failed: Unknown error', 'reconnecting 1']);
  assert.deepEqual(unhandled, [], 'attempts that nobody asked about are no unhandled rejections');
});

test('without autoReconnect nothing comes back', async ({ server }) => {
  const made = await connected(server, { autoReconnect: false });
  server.last.terminate();
  await until('it notices', () => made.getState() === 'DISCONNECTED');
  await pause(QUIET_MS);
  assert.equal(server.sockets.length, 1);
});

test('seven attempts are seven after the first', async () => {
  const made = fake({ reconnectDelay: 1, maxReconnectAttempts: 7 }, (socket) => queueMicrotask(() => socket.fail()));
  await failure(made.connect());
  await until('it gives up', () => made.getState() === 'DISCONNECTED');
  await pause(QUIET_MS);
  assert.equal(FakeSocket.made.length, 8);
  await failure(made.connect());
  await until('asked anew, it counts anew', () => FakeSocket.made.length === 16 && made.getState() === 'DISCONNECTED');
});

test('an attempt that takes too long is given up, and its socket not heard any more', async () => {
  const made = fake({ connectionTimeout: 20, reconnectDelay: 100000, maxReconnectDelay: 100000 });
  const lines = diary(made);
  const error = await failure(made.connect());
  assert.deepEqual([error.code, error.message], ['timeout', 'Connection timeout']);
  const [late] = FakeSocket.made;
  assert.notEqual(late.closing, undefined, 'it is closed');
  late.open();
  late.fail();
  assert.equal(made.getState(), 'RECONNECTING');
  assert.deepEqual(lines, ['CONNECTING', 'RECONNECTING', 'error Connection timeout', 'reconnecting 1']);
});

test('a WebSocket that throws is an attempt that failed', async () => {
  const made = fake({ maxReconnectAttempts: 1, reconnectDelay: 1 }, () => { throw new SyntaxError('no such scheme'); });
  assert.equal((await failure(made.connect())).message, 'Connection failed: no such scheme');
  await until('it gives up', () => made.getState() === 'DISCONNECTED');
  assert.equal(FakeSocket.made.length, 2);
});

test('the waits double up to a bound; only a connection worth the name ends the doubling', async () => {
  const made = fake({ reconnectDelay: 8, maxReconnectDelay: 64 });
  const delays = [];
  made.on('reconnecting', ({ delay }) => delays.push(delay));
  const failNext = async (prepare = () => {}) => {
    const before = FakeSocket.made.length;
    prepare(FakeSocket.last);
    FakeSocket.last.fail();
    await until('the next attempt', () => FakeSocket.made.length > before);
  };
  await withRandom(0.5, async () => {
    made.connect().catch(() => {});
    for (let i = 0; i < 6; i++)
      await failNext();
    await failNext((socket) => socket.open());
    await failNext((socket) => { socket.open(); socket.bring(1); });
    await failNext();
  });
  assert.deepEqual(delays, [4, 8, 16, 32, 32, 32, 32, 4, 8]);
});

test('the wait is anything between nothing and its bound', async () => {
  for (const [random, expected] of [[0, 0], [0.25, 250], [0.999, 999]]) {
    const made = fake({ reconnectDelay: 1000 }, (socket) => queueMicrotask(() => socket.fail()));
    let delay = null;
    made.on('reconnecting', (info) => { delay = info.delay; made.disconnect(); });
    await withRandom(random, () => failure(made.connect()));
    assert.equal(delay, expected);
  }
});

test('connect() does not wait for the wait, disconnect() ends it', async () => {
  const made = fake({ reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  made.connect().catch(() => {});
  FakeSocket.last.fail();
  assert.equal(made.getState(), 'RECONNECTING');
  const promise = made.connect();
  assert.deepEqual([made.getState(), FakeSocket.made.length], ['CONNECTING', 2]);
  FakeSocket.last.open();
  await promise;
  FakeSocket.last.fail();
  made.disconnect();
  assert.equal(made.getState(), 'CLOSED');
  await pause(QUIET_MS);
  assert.equal(FakeSocket.made.length, 2);
});

test('a url that is a function is asked each time', async () => {
  let asked = 0;
  FakeSocket.reset((socket) => queueMicrotask(() => socket.fail()));
  const made = client(() => `ws://nowhere/?token=${asked++}`, { WebSocket: CommandSocket, reconnectDelay: 1, maxReconnectAttempts: 2 });
  await failure(made.connect());
  await until('it gives up', () => made.getState() === 'DISCONNECTED');
  assert.deepEqual(FakeSocket.made.map(({ url }) => url.slice(-1)), ['0', '1', '2']);
});

test('listeners may do as they like with the connection', async () => {
  const made = fake();
  made.on('state', (state) => state === 'CONNECTING' && made.disconnect());
  assert.equal((await failure(made.connect())).code, 'connection-failed');
  assert.deepEqual([made.getState(), FakeSocket.made.length], ['CLOSED', 0]);
  made.off('state');
  made.on('close', () => { made.connect(); });
  made.on('open', () => made.disconnect());
  const lines = diary(made);
  const promise = made.connect();
  FakeSocket.last.open();
  await promise;
  FakeSocket.last.onclose({ code: 1000, reason: '', wasClean: true });
  assert.deepEqual(lines, ['DISCONNECTED', 'CONNECTING', 'CONNECTED', 'CLOSED', 'open', 'DISCONNECTED', 'CONNECTING', 'close 1000  true']);
});

test('a listener that closes at once: neither open nor close', () => {
  const made = fake();
  const lines = diary(made);
  made.on('state', (state) => state === 'CONNECTED' && made.disconnect());
  made.connect();
  FakeSocket.last.open();
  FakeSocket.last.onclose({ code: 1000, reason: '', wasClean: true });
  assert.deepEqual(lines, ['CONNECTING', 'CONNECTED', 'CLOSED', 'DISCONNECTED']);
});

test('a listener that connects before connect() does: one connection', () => {
  const made = fake();
  made.connect();
  FakeSocket.last.open();
  made.disconnect();
  made.on('close', () => { made.connect(); });
  made.connect();
  assert.equal(FakeSocket.made.length, 2);
});

test('an attempt that succeeded has no time-out left', async () => {
  const made = fake({ connectionTimeout: 20 });
  made.connect();
  FakeSocket.last.open();
  await pause(60);
  assert.equal(made.isConnected(), true);
});

test('after disconnect() nothing is heard, and no timer left', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const made = fake({ maxBufferedAmount: 100 });
  const got = [];
  made.on(1, () => got.push(1));
  made.connect();
  FakeSocket.last.open();
  FakeSocket.last.bring(1);
  void made.call('a').catch(() => {});
  FakeSocket.last.bufferedAmount = 1000;
  assert.equal(made.trySend(1), false);
  assert.equal(timers(), before + 2);
  made.disconnect();
  FakeSocket.last.bring(1);
  assert.deepEqual([got, timers()], [[1], before]);
});

test('after disconnect() nothing keeps a program from ending', async ({ server }) => {
  const script = join(folder(), 'ends.mjs');
  writeFileSync(script, `
    import { CommandClient } from ${JSON.stringify(pathToFileURL(MODULE))};
    import WebSocket from ${JSON.stringify(pathToFileURL(join(HERE, 'node_modules/ws/wrapper.mjs')))};
    const idle = new CommandClient({ url: 'ws://127.0.0.1:1', WebSocket, reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
    await idle.connect().catch(() => {});
    idle.disconnect();
    const busy = new CommandClient({ url: ${JSON.stringify(server.url)}, WebSocket });
    await busy.connect();
    const ends = [busy.call('nobody'), busy.sendJSONRPC('nobody'), busy.batch([{ method: 'nobody' }])];
    busy.disconnect();
    console.log((await Promise.allSettled(ends)).map(({ reason, value }) => (reason ?? value[0].reason).code).join());
  `);
  const { stdout } = await run(process.execPath, [script]);
  assert.equal(stdout.trim(), 'connection-lost,connection-lost,connection-lost');
});

/* ---- handlers and listeners ---- */

test('a handler that throws, now or later, is an error event and nothing more', async ({ server }) => {
  const made = await connected(server);
  const errors = [];
  const got = [];
  made.on('error', (error) => errors.push(error.message));
  made.on(1, () => { throw new Error('at once'); });
  made.on(2, async () => { await null; throw new Error('later'); });
  made.on(3, () => got.push(3));
  server.tell(1);
  server.tell(2);
  server.tell(3);
  await until('all came', () => errors.length === 2 && got.length === 1);
  assert.deepEqual(errors, ['at once', 'later']);
  assert.equal(made.isConnected(), true);
});

test('what nobody listens for is on the console', async ({ server }) => {
  const made = await connected(server);
  const got = [];
  const lines = await complaints(async () => {
    made.on(1, () => { throw new Error('unheard'); });
    made.on(3, () => got.push(3));
    server.tell(1);
    server.tell(3);
    await until('it came', () => got.length === 1);
    made.on('error', () => { throw new Error('in the error listener'); });
    server.tell(1);
    server.tell(3);
    await until('it came', () => got.length === 2);
  });
  assert.deepEqual(lines, ['unheard', 'in the error listener']);
});

test('listeners: several, in order; one that throws keeps the others from nothing', async () => {
  const made = fake();
  const got = [];
  const errors = [];
  made.on('error', (error) => errors.push(error.message));
  made.on('open', () => { throw new Error('first'); });
  made.on('open', async () => { throw new Error('second'); });
  made.on('open', () => got.push('third'));
  made.connect();
  FakeSocket.last.open();
  await pause(1);
  assert.deepEqual([got, errors], [['third'], ['first', 'second']]);
});

test('listeners may be removed and added while they are called', () => {
  const made = fake();
  const got = [];
  const second = () => got.push('second');
  made.on('state', () => {
    got.push('first');
    made.off('state', second);
    made.on('state', () => got.push('new'));
  });
  made.on('state', second);
  made.on('state', () => got.push('third'));
  made.connect().catch(() => {});
  assert.deepEqual(got, ['first', 'third']);
  made.off('state');
  made.disconnect();
  assert.deepEqual(got, ['first', 'third']);
});

test('text and short messages are errors, and what follows is handled', async ({ server }) => {
  const made = await connected(server);
  const codes = [];
  const got = [];
  made.on('error', ({ code }) => codes.push(code));
  made.on(0x61626364, () => got.push('text'));
  made.on(1, () => got.push(1));
  server.last.send('abcd');
  server.last.send(Buffer.from([0, 0, 1]));
  server.last.send(Buffer.alloc(0));
  server.tell(1);
  await until('the good one came', () => got.length === 1);
  assert.deepEqual([codes, got], [['malformed', 'malformed', 'malformed'], [1]]);
});

test('debug tells on the console, otherwise it is silent', async () => {
  const { log } = console;
  const lines = [];
  console.log = (...words) => lines.push(words.join(' '));
  try {
    for (const debug of [false, true]) {
      const made = fake({ debug });
      made.connect();
      FakeSocket.last.open();
      FakeSocket.last.bring(0x77, 'abc');
      made.disconnect();
    }
  } finally {
    console.log = log;
  }
  assert.deepEqual(lines, ['DISCONNECTED -> CONNECTING', 'CONNECTING -> CONNECTED', 'nobody handles command 77, 3 bytes',
    'CONNECTED -> CLOSED'].map((line) => `[linnet] ${line}`));
});

/* ---- sending ---- */

test('without a connection nothing is sent, and that is said', async () => {
  const made = fake();
  for (const send of [() => made.send(1), () => made.sendString(1, 'a'), () => made.sendJSON(1, {}), () => made.sendJSONRPC('a'),
    () => made.call('a'), () => made.notify('a'), () => made.batch([{ method: 'a' }]), () => made.drained()]) {
    const error = await failure(send());
    assert.deepEqual([error.code, error.message], ['not-connected', 'Not connected to server'], String(send));
  }
  assert.equal(made.trySend(1), false);
  made.connect();
  FakeSocket.last.open();
  assert.equal(made.trySend(1), true);
  FakeSocket.last.readyState = 2; // closing, and not yet told
  assert.equal(made.trySend(1), false);
  assert.equal(FakeSocket.last.sent.length, 1);
});

test('what would make too much wait is refused, until there is room', async () => {
  const made = fake({ maxBufferedAmount: 100 });
  const lines = diary(made);
  made.connect();
  FakeSocket.last.open();
  const socket = FakeSocket.last;
  await made.send(1, new Uint8Array(1000));
  assert.equal(socket.sent.length, 1, 'a large one goes if nothing waits');
  socket.bufferedAmount = 90;
  assert.equal(made.bufferedAmount, 90);
  assert.equal(made.trySend(1, new Uint8Array(6)), true, '90 + 4 + 6');
  assert.equal(made.trySend(1, new Uint8Array(7)), false);
  assert.deepEqual((await failure(made.send(1, new Uint8Array(7)))).code, 'buffer-full');
  assert.equal((await failure(made.call('a'))).code, 'buffer-full');
  assert.equal(socket.sent.length, 2);
  let isDrained = false;
  const drained = made.drained().then(() => { isDrained = true; });
  socket.bufferedAmount = 51;
  await pause(60);
  assert.deepEqual([isDrained, lines.includes('drain')], [false, false]);
  socket.bufferedAmount = 50;
  await drained;
  assert.deepEqual(lines.slice(3), ['drain']);
  await made.send(1, new Uint8Array(7));
  await made.drained();
  await pause(60);
  assert.equal(lines.length, 4, 'drain comes once for what was refused');
});

test('who waits for room is told when the connection is lost', async () => {
  const made = fake({ maxBufferedAmount: 100 });
  made.connect();
  FakeSocket.last.open();
  FakeSocket.last.bufferedAmount = 1000;
  const first = failure(made.drained());
  FakeSocket.last.fail(1006);
  assert.deepEqual([(await first).code, made.bufferedAmount], ['connection-lost', 0]);
});

test('a fast sender and a slow reader: bounded, and everything arrives in order', async ({ server }) => {
  const made = await connected(server, { maxBufferedAmount: 1 << 20 });
  server.last.pause();
  let sent = 0;
  let most = 0;
  const send = async () => {
    while (sent < 400) {
      if (made.trySend(sent, new Uint8Array(100000)))
        sent += 1;
      else
        await made.drained();
      most = Math.max(most, made.bufferedAmount);
    }
  };
  const sending = send();
  await pause(QUIET_MS);
  assert(sent < 400, `the reader does not read, and ${sent} were sent`);
  assert(most < 1.2 * (1 << 20), `${most} bytes`);
  server.last.resume();
  await sending;
  await until('all came', () => server.heard.length === 400);
  assert(server.heard.every(({ id }, i) => id === i));
});

/* ---- calls ---- */

test('sendJSONRPC: the request to the byte, the whole answer', async ({ server }) => {
  server.methods = { add: ({ a, b }) => ({ result: a + b }) };
  const made = await connected(server);
  assert.deepEqual(await made.sendJSONRPC('add', { a: 1, b: 2 }, 'x'), { jsonrpc: '2.0', result: 3, id: 'x' });
  assert.equal(server.heard[0].raw.toString('latin1'), '\xff\xff\xff\xff{"jsonrpc":"2.0","method":"add","params":{"a":1,"b":2},"id":"x"}');
  assert.equal(await made.call('add', { a: 3, b: 4 }), 7);
  assert.equal('params' in server.requests[1], true);
});

test('an answer without a result is one', async ({ server }) => {
  const made = await connected(server);
  const answer = made.sendJSONRPC('void', undefined, 2);
  await until('it is asked', () => server.heard.length === 1);
  assert.equal('params' in server.requests[0], false);
  server.rpc('{"jsonrpc":"2.0","id":2}');
  assert.deepEqual(await answer, { jsonrpc: '2.0', id: 2 });
});

test('errors have code and data, on either id', async ({ server }) => {
  server.methods = { bad: () => ({ error: { code: -32042, message: 'no', data: { why: ['x'] } } }) };
  const made = await connected(server);
  for (const apart of [false, true]) {
    server.errorsApart = apart;
    for (const promise of [made.sendJSONRPC('bad'), made.call('bad')]) {
      const error = await failure(promise);
      assert(error instanceof RpcError);
      assert.deepEqual([error.code, error.message, error.data], [-32042, 'no', { why: ['x'] }]);
    }
  }
});

test('each answer finds its call, in whatever order', async ({ server }) => {
  const made = await connected(server);
  const calls = Array.from({ length: 50 }, (_, i) => made.call('later', [i]));
  calls.push(made.sendJSONRPC('later', ['string'], '1').then(({ result }) => result));
  await until('all are asked', () => server.requests.length === 51);
  assert.equal(new Set(server.requests.map(({ id }) => id)).size, 51);
  for (const { id, params } of server.requests.reverse())
    server.rpc({ jsonrpc: '2.0', result: params[0], id });
  assert.deepEqual(await Promise.all(calls), [...Array(50).keys(), 'string']);
});

test('an id of one\'s own is not given twice', async ({ server }) => {
  const made = await connected(server);
  const first = made.sendJSONRPC('a', [], 1);
  assert.equal((await failure(made.sendJSONRPC('b', [], 1))).code, 'duplicate-id');
  assert((await failure(made.sendJSONRPC('b', [], { id: 1 }))) instanceof TypeError);
  void made.call('c').catch(() => {});
  await until('two are asked', () => server.requests.length === 2);
  assert.deepEqual(server.requests.map(({ method, id }) => [method, id]), [['a', 1], ['c', 2]], 'nor given by the client');
  server.rpc({ jsonrpc: '2.0', result: 'one', id: 1 });
  assert.equal((await first).result, 'one');
});

test('a call without an answer ends after its time, and an answer after that is nobody\'s', async ({ server }) => {
  const made = await connected(server, { requestTimeout: 30 });
  const errors = [];
  made.on('error', (error) => errors.push(error));
  const [short, own] = await Promise.all([failure(made.sendJSONRPC('slow')), failure(made.call('slow', [], { timeout: 40 }))]);
  assert.deepEqual([short.code, short.message, own.code], ['timeout', 'JSON-RPC request timeout', 'timeout']);
  server.methods = { next: () => ({ result: 'next' }) };
  for (const { id } of server.requests) {
    server.rpc({ jsonrpc: '2.0', result: 'late', id });
    server.rpc({ jsonrpc: '2.0', error: { code: 1, message: 'late' }, id });
  }
  assert.equal(await made.call('next'), 'next');
  assert.deepEqual(errors, []);
});

test('calls end with their connection, and the next one starts without them', async ({ server }) => {
  const made = await connected(server);
  const calls = [made.call('a'), made.sendJSONRPC('b', {}, 77), made.call('c', [], { timeout: Infinity })].map(failure);
  await until('they are asked', () => server.requests.length === 3);
  server.last.close(4000, 'moved');
  for (const error of await Promise.all(calls))
    assert.deepEqual([error.code, error.message], ['connection-lost', 'Connection lost: moved']);
  await until('it is back', () => made.isConnected() && server.sockets.length === 2);
  const again = made.sendJSONRPC('b', {}, 77);
  await until('it is asked', () => server.requests.length === 4);
  server.rpc({ jsonrpc: '2.0', result: 'new', id: 77 });
  assert.equal((await again).result, 'new');
});

test('an error that belongs to no call is an event', async ({ server }) => {
  const made = await connected(server);
  const errors = [];
  made.on('error', (error) => errors.push(error));
  const call = made.call('a');
  server.rpc({ jsonrpc: '2.0', error: { code: -32700, message: 'Parse error' }, id: null });
  await until('it came', () => errors.length === 1);
  assert.deepEqual([errors[0].code, errors[0] instanceof RpcError], [-32700, true]);
  server.rpc({ jsonrpc: '2.0', result: 1, id: 1 });
  assert.equal(await call, 1);
});

test('notify() asks for no answer', async ({ server }) => {
  const made = await connected(server);
  await made.notify('moved', [1, 2]);
  await until('it came', () => server.heard.length === 1);
  assert.equal(String(server.heard[0].payload), '{"jsonrpc":"2.0","method":"moved","params":[1,2]}');
});

test('a batch is one message, and each of its calls ends by itself', async ({ server }) => {
  server.methods = { twice: ([n]) => ({ result: 2 * n }), bad: () => ({ error: { code: 5, message: 'bad' } }), never: () => undefined };
  const made = await connected(server);
  const calls = [{ method: 'twice', params: [1] }, { method: 'bad' }, { method: 'twice', params: [9], isNotification: true },
    { method: 'never' }, { method: 'twice', params: [4] }];
  const ends = await made.batch(calls, { timeout: 50 });
  assert.deepEqual(ends.map(({ status, value, reason }) => status === 'fulfilled' ? value : reason.code), [2, 5, undefined, 'timeout', 8]);
  assert.equal(server.heard.length, 1);
  assert.deepEqual(server.requests[0].map((each) => 'id' in each), [true, true, false, true, true]);
  assert.deepEqual(await made.batch([]), []);
  await pause(QUIET_MS);
  assert.equal(server.heard.length, 1, 'nothing is no message');
});

test('a batch that is refused as a whole ends at once, notifications included', async ({ server }) => {
  const made = await connected(server);
  const errors = [];
  made.on('error', (error) => errors.push(error));
  const refuse = (code) => server.rpc({ jsonrpc: '2.0', error: { code, message: 'too many', data: [1] }, id: null });
  const batch = made.batch([{ method: 'a' }, { method: 'b', isNotification: true }, { method: 'c' }], { timeout: PATIENCE_MS });
  const alone = made.call('alone');
  await until('all is asked', () => server.heard.length === 2);
  refuse(-32600);
  const ends = await batch;
  assert.deepEqual(ends.map(({ status }) => status), ['rejected', 'rejected', 'rejected']);
  assert(ends.every(({ reason }) => reason instanceof RpcError));
  assert.deepEqual(ends.map(({ reason: { code, message, data } }) => [code, message, data]), Array(3).fill([-32600, 'too many', [1]]));
  assert.deepEqual(errors, []);
  refuse(-32000);
  await until('the next one is nobody\'s', () => errors.length === 1);
  assert.equal(errors[0].code, -32000);
  server.rpc({ jsonrpc: '2.0', result: 1, id: server.requests[1].id });
  assert.equal(await alone, 1);
});

test('of several batches the largest is the one that was too large', async ({ server }) => {
  const made = await connected(server);
  const errors = [];
  made.on('error', (error) => errors.push(error));
  const refuse = (code) => server.rpc({ jsonrpc: '2.0', error: { code, message: 'no' }, id: null });
  const [small, half, large] = [2, 4, 3].map((n) => made.batch(Array(n).fill({ method: 'a' }), { timeout: PATIENCE_MS }));
  await until('all is asked', () => server.heard.length === 3);
  server.rpc([{ jsonrpc: '2.0', result: 0, id: server.requests[1][0].id }]); // so it was not refused
  refuse(-1);
  assert.deepEqual((await large).map(({ reason }) => reason?.code), [-1, -1, -1]);
  await made.batch(Array(5).fill({ method: 'a', isNotification: true }), { timeout: PATIENCE_MS });
  refuse(-2);
  await until('it came', () => errors.length === 1);
  assert.equal(errors[0].code, -2, 'that of the notifications, for which nobody waits');
  for (const { id } of [...server.requests[0], ...server.requests[1].slice(1)])
    server.rpc({ jsonrpc: '2.0', result: id, id });
  assert.deepEqual([await small, await half].map((ends) => ends.map(({ status }) => status)), [Array(2).fill('fulfilled'), Array(4).fill('fulfilled')]);
});

test('null beside a result is no error, and beside an error no result', async ({ server }) => {
  const made = await connected(server);
  const calls = [made.call('a'), made.call('b'), failure(made.call('c')), failure(made.call('d'))];
  await until('all is asked', () => server.heard.length === 4);
  const [a, b, c, d] = server.requests.map(({ id }) => id);
  server.rpc({ id: a, result: 1, error: null });
  server.rpc({ id: b, result: null, error: null });
  server.rpc({ id: c, result: null, error: { code: 7, message: 'no' } });
  server.rpc({ id: d, result: null, error: 'no, in the words of 1.0' });
  const [one, none, error, old] = await Promise.all(calls);
  assert.deepEqual([one, none, error instanceof RpcError, error.code], [1, null, true, 7]);
  assert.deepEqual([old instanceof RpcError, old.code, old.message, old.data], [true, -32603, 'no, in the words of 1.0', 'no, in the words of 1.0']);
});

/* ---- calls of the server's ---- */

// What the client answers to each text, '' for nothing: told by a last call that is answered surely.
async function answers(server, made, texts) {
  const found = [];
  made.register('probe', () => 'probe');
  for (const text of texts) {
    const from = server.heard.length;
    server.rpc(text);
    await pause(10);
    server.rpc('{"jsonrpc":"2.0","method":"probe","id":"probe"}');
    await until('the probe is answered', () => String(server.heard.at(-1)?.payload).includes('"probe"'));
    found.push(server.heard.slice(from, -1).map(({ payload }) => String(payload)).join(' '));
    server.heard.push({ id: 0, payload: '' });
  }
  return found;
}

const ask = (method, params, id) => JSON.stringify({ jsonrpc: '2.0', method, params, id });
const says = (result, id) => `{"jsonrpc":"2.0","result":${result},"id":${id}}`;
const fails = (code, text, id) => `{"jsonrpc":"2.0","error":{"code":${code},"message":"${text}"},"id":${id}}`;

test('the server calls methods of the page', async ({ server }) => {
  const made = await connected(server);
  made.register('sub', ([a, b]) => a - b);
  made.register('slow', async ({ text }) => { await pause(1); return { text }; });
  made.register('void', () => {});
  made.register('odd', () => () => {});
  const cases = [
    [ask('sub', [5, 3], 1), says(2, 1)],
    [ask('slow', { text: 'ä' }, 'x'), says('{"text":"ä"}', '"x"')],
    [ask('void', undefined, null), says('null', 'null')],
    [ask('odd', undefined, 0), says('null', 0)],
    [ask('sub', [5, 3]), ''],
    [ask('nobody'), ''],
    [ask('nobody', [], 7), fails(-32601, 'Method not found', 7)],
  ];
  assert.deepEqual(await answers(server, made, cases.map(([text]) => text)), cases.map(([, answer]) => answer));
  made.unregister('sub');
  assert.deepEqual(await answers(server, made, [ask('sub', [5, 3], 1)]), [fails(-32601, 'Method not found', 1)]);
});

test('what a method throws is the answer', async ({ server }) => {
  const made = await connected(server);
  const errors = [];
  made.on('error', (error) => errors.push(error.message));
  const circle = {};
  circle.circle = circle;
  made.register('plain', () => { throw new Error('boom'); });
  made.register('later', async () => { throw new TypeError('not today'); });
  made.register('own', () => { throw new RpcError(-32602, 'Invalid params', { expected: 'a' }); });
  made.register('string', () => { throw 'a string'; });
  made.register('number', () => { throw new RpcError(NaN, 'no code'); });
  made.register('circle', () => circle);
  made.register('wrong', () => { throw new RpcError(1, 'data', 1n); });
  const cases = [
    [ask('plain', [], 1), fails(-32603, 'boom', 1)],
    [ask('later', [], 1), fails(-32603, 'not today', 1)],
    [ask('own', [], 1), '{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":{"expected":"a"}},"id":1}'],
    [ask('string', [], 1), fails(-32603, 'a string', 1)],
    [ask('number', [], 1), fails(-32603, 'no code', 1)],
    [ask('circle', [], 1), fails(-32603, 'Internal error', 1)],
    [ask('wrong', [], 1), fails(-32603, 'Internal error', 1)],
  ];
  assert.deepEqual(await answers(server, made, cases.map(([text]) => text)), cases.map(([, answer]) => answer));
  assert.deepEqual(errors, []);
  assert.deepEqual(await answers(server, made, [ask('plain', [])]), ['']);
  assert.deepEqual(errors, ['boom'], 'nobody is answered: then it is an event');
});

test('what is no request is said to be none', async ({ server }) => {
  const made = await connected(server);
  made.register('m', () => 1);
  const invalid = (id) => fails(-32600, 'Invalid Request', id);
  const cases = [
    ['{', fails(-32700, 'Parse error', 'null')], ['', fails(-32700, 'Parse error', 'null')],
    ['[]', invalid('null')], ['7', invalid('null')], ['null', invalid('null')], ['{}', invalid('null')], ['{"result":1}', invalid('null')],
    ['{"jsonrpc":"1.0","method":"m","id":4}', invalid(4)], ['{"jsonrpc":"2.0","method":7,"id":"a"}', invalid('"a"')],
    ['{"jsonrpc":"2.0","method":"m","params":1,"id":4}', invalid(4)], ['{"jsonrpc":"2.0","method":"m","id":[]}', invalid('null')],
    [`[${ask('m', [], 1)},${ask('m', [])},3,${ask('m', [], 2)}]`, `[${says(1, 1)},${invalid('null')},${says(1, 2)}]`],
    [`[${ask('m', [])}]`, ''],
  ];
  assert.deepEqual(await answers(server, made, cases.map(([text]) => text)), cases.map(([, answer]) => answer));
});

test('invalid UTF-8 is no JSON', async ({ server }) => {
  await connected(server);
  server.tell(RPC, Buffer.from('{"jsonrpc":"2.0","method":"\xff","id":1}', 'latin1'));
  await until('it is answered', () => server.heard.length === 1);
  assert.equal(String(server.heard[0].payload), fails(-32700, 'Parse error', 'null'));
});

test('an answer does not go out on another connection than its question came in on', async ({ server }) => {
  const made = await connected(server);
  let finish;
  made.register('slow', () => new Promise((resolve) => { finish = resolve; }));
  server.rpc(ask('slow', [], 1));
  await until('it is asked', () => finish !== undefined);
  server.last.close(4000);
  await until('it is back', () => made.isConnected() && server.sockets.length === 2);
  finish('stale');
  await made.send(1);
  await until('something came', () => server.heard.length > 0);
  assert.deepEqual(server.heard.map(({ id }) => id), [1]);
});

/* ---- the real server ---- */

async function talkToLinnet(url) {
  const made = client(url, { reconnectDelay: 1 });
  const echoes = [];
  const farewell = [];
  made.on(1, (payload) => echoes.push(payload));
  made.on(2, (payload) => farewell.push(String(Buffer.from(payload))));
  made.register('add', ([a, b]) => a + b);
  await made.connect();
  const sizes = [0, 1, 125, 126, 65535, 65536, 1 << 20, 10485760];
  for (const size of sizes) {
    await made.drained();
    await made.send(1, new Uint8Array(size).fill(size));
  }
  await until('the echoes are back', () => echoes.length === sizes.length);
  assert(echoes.every((echo, i) => echo.length === sizes[i] && echo.every((byte) => byte === sizes[i] % 256)));
  assert.deepEqual((await made.sendJSONRPC('echo', { a: ['ä', null, 1.5] }, 'id')).result, { a: ['ä', null, 1.5] });
  assert.equal(await made.call('subtract', [42, 23]), 19);
  assert.equal(await made.call('subtract', { minuend: 42, subtrahend: 23 }), 19);
  const errors = await Promise.all([made.call('boom'), made.call('nobody'), made.call('subtract', [1])].map(failure));
  assert.deepEqual(errors.map(({ code, message: text }) => [code, text]),
    [[-32603, 'boom'], [-32601, 'Method not found'], [-32602, 'Invalid params']]);
  assert.deepEqual(await Promise.all([made.call('later', ['slow']), made.call('echo', ['fast'])]), [['slow'], ['fast']]);
  assert.equal(await made.call('ask'), 3, 'the server has asked back');
  await made.notify('echo', []);
  const ends = await made.batch([{ method: 'echo', params: [1] }, { method: 'boom' }, { method: 'echo', isNotification: true },
    { method: 'subtract', params: [3, 1] }]);
  assert.deepEqual(ends.map(({ value, reason }) => value ?? reason?.code), [[1], -32603, undefined, 2]);
  const refused = await made.batch(Array(101).fill({ method: 'echo', params: [] }), { timeout: PATIENCE_MS });
  assert.deepEqual(new Set(refused.map(({ reason }) => reason?.message)), new Set(['Invalid Request']));
  const closed = new Promise((resolve) => made.on('close', resolve));
  await made.send(2);
  const { code, reason, wasClean } = await closed;
  assert.deepEqual([farewell.length, code, reason, wasClean], [200, 4001, 'bye', true]);
  await until('it is back', () => made.isConnected());
  assert.deepEqual(await made.call('echo', ['again']), ['again']);
}

test('with the real server: commands, calls both ways, batches, its goodbye', async () => {
  const linnetServer = await example('rpc', '0');
  await talkToLinnet(linnetServer.url('/ws'));
});

/* ---- a browser ---- */

// Serves the module and an empty page; its address.
async function host() {
  const http = createServer((request, response) => {
    const isModule = request.url === '/linnet.js';
    response.setHeader('Content-Type', isModule ? 'text/javascript' : 'text/html');
    response.end(isModule ? readFileSync(MODULE) : '<!DOCTYPE html><title>test</title>');
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  atEnd(() => http.close());
  return `http://127.0.0.1:${http.address().port}/`;
}

async function talkInPage(url) {
  const { CommandClient: Browsers } = await import('/linnet.js');
  const made = new Browsers({ url, reconnectDelay: 1 });
  const lines = [];
  const echo = new Promise((resolve) => made.on(1, (payload) => resolve([payload.byteOffset, Array.from(payload)])));
  const reopened = () => new Promise((resolve) => made.on('open', resolve));
  made.on('close', ({ code, reason }) => lines.push(`close ${code} ${reason}`));
  made.on('error', (error) => lines.push(error.message));
  made.register('title', () => document.title);
  await made.connect();
  await made.send(1, new Uint8Array([1, 2, 255]));
  const sum = await made.call('sum', [1, 2, 3]);
  const title = await made.call('what is your title?');
  const error = await made.call('bad').catch(({ name, code, data }) => [name, code, data]);
  let isOpen = reopened();
  await made.send(2);
  await isOpen;
  const waits = new Browsers({ url: 'ws://127.0.0.1:1', reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  await waits.connect().catch(() => {});
  const before = waits.getState();
  window.dispatchEvent(new Event('online'));
  const then = waits.getState();
  waits.disconnect();
  made.disconnect();
  return { echo: await echo, sum, title, error, lines, online: [before, then] };
}

// A server that echoes 1, closes at 2, and asks the page for its title when it is asked.
function playAlong(server) {
  server.methods = {
    'sum': (numbers) => ({ result: numbers.reduce((a, b) => a + b) }),
    'bad': () => ({ error: { code: 7, message: 'bad', data: [1] } }),
    'what is your title?': () => { server.rpc(ask('title', [], 'title')); },
  };
  server.listener.on('connection', (socket) => socket.on('message', (raw) => {
    const text = String(raw.subarray(4));
    if (raw[3] === 1)
      socket.send(raw);
    else if (raw[3] === 2)
      socket.close(4002, 'again');
    else if (text.includes('"id":"title"'))
      server.rpc(`{"jsonrpc":"2.0","result":${text},"id":2}`);
  }));
}

test('as a module in a page', async ({ server }) => {
  const page = await openPage();
  playAlong(server);
  await page.goto(await host());
  assert.deepEqual(await page.evaluate(talkInPage, server.url), {
    echo: [4, [1, 2, 255]], sum: 6, title: { jsonrpc: '2.0', result: 'test', id: 'title' }, error: ['RpcError', 7, [1]],
    lines: ['close 4002 again'], online: ['RECONNECTING', 'CONNECTING'],
  });
});

/* ---- the package ---- */

// A folder in which the package is installed.
function consumer() {
  const path = folder();
  mkdirSync(join(path, 'node_modules'));
  symlinkSync(join(TOP, 'clients/js'), join(path, 'node_modules/linnet'));
  writeFileSync(join(path, 'package.json'), '{"type":"module"}');
  return path;
}

test('it is imported by its name, and is what was tested', async () => {
  const path = consumer();
  writeFileSync(join(path, 'import.mjs'), 'import * as linnet from "linnet"; console.log(Object.keys(linnet).sort().join());');
  const { stdout } = await run(process.execPath, [join(path, 'import.mjs')]);
  assert.equal(stdout.trim(), Object.keys(linnet).sort().join());
  const { dependencies, license, type } = JSON.parse(readFileSync(join(TOP, 'clients/js/package.json')));
  assert.deepEqual([dependencies, license, type], [undefined, 'MIT', 'module']);
});

test('its types know what it exports, and what is wrong', async () => {
  const declared = [...readFileSync(join(TOP, 'clients/js/linnet.d.ts'), 'utf8').matchAll(/^export declare (?:const|class) (\w+)/gm)];
  assert.deepEqual(declared.map(([, name]) => name).sort(), Object.keys(linnet).sort());
  const path = consumer();
  writeFileSync(join(path, 'types.ts'), readFileSync(join(HERE, 'linnet_types.ts')));
  const tsc = join(HERE, 'node_modules/typescript/bin/tsc');
  const flags = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom', '--module', 'nodenext', '--preserveSymlinks',
    '--skipDefaultLibCheck'];
  const { stdout } = await run(process.execPath, [tsc, ...flags, join(path, 'types.ts')]);
  assert.equal(stdout, '');
});

test('no promise was left alone with its error', async () => {
  await pause(1);
  assert.deepEqual(unhandled, []);
});

await main(async () => {
  const server = await new Server().start();
  atEnd(() => server.end());
  return { server };
});
