// SPDX-License-Identifier: MIT
/*
 * node_peer_test.mjs - npm `ws` as the independent peer, both ways, with and without permessage-deflate and TLS.
 *
 * Their client checks /echo of `linnet serve`; our client (the example `roundtrip`) checks an echo server of theirs.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import WebSocket, { WebSocketServer } from 'ws';
import { BUILD, certificate, main, run, serve, test } from './kit.mjs';

const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20];
const PINGS = 1000;
const CASE_MS = 250000; // also where it is sanitized and others run
const { cert, key } = certificate();

/* ---- linnet's server, their client ---- */

// The messages of a socket, to be awaited one by one.
function inboxOf(socket) {
  const messages = on(socket, 'message', { signal: AbortSignal.timeout(CASE_MS), close: ['close'] });
  return { next: async () => (await messages.next()).value };
}

function textOf(size) {
  const letters = Buffer.from('linnet äöü €uro 🐦 ');
  const bytes = Buffer.alloc(size, letters);
  const whole = bytes.toString().replace(/\uFFFD+$/, '');
  return whole + 'x'.repeat(size - Buffer.byteLength(whole));
}

async function theirClient(url, options) {
  const socket = new WebSocket(url, { ...options, ca: readFileSync(cert), maxPayload: 1 << 26 });
  const inbox = inboxOf(socket);
  await once(socket, 'open');
  if (options.perMessageDeflate) assert.match(socket.extensions, /permessage-deflate/);
  for (const size of SIZES) {
    const binary = randomBytes(size), text = textOf(size);
    socket.send(binary);
    let [data, isBinary] = await inbox.next();
    assert.ok(isBinary && binary.equals(data), `binary of ${size} bytes came back otherwise`);
    socket.send(text);
    [data, isBinary] = await inbox.next();
    assert.ok(!isBinary && data.toString() === text, `text of ${size} bytes came back otherwise`);
    for (let i = 0; i < 5; i++) {
      socket.send(binary.subarray(Math.floor(i * size / 5), Math.floor((i + 1) * size / 5)), { binary: true, fin: i === 4 });
      socket.ping('between');
    }
    [data, isBinary] = await inbox.next();
    assert.ok(isBinary && binary.equals(data), `fragments of ${size} bytes came back otherwise`);
  }
  await pings(socket, inbox);
  socket.close(4321, 'bye');
  const [code, reason] = await once(socket, 'close');
  assert.equal(code, 4321);
  assert.equal(reason.toString(), '');
}

async function pings(socket, inbox) {
  const pongs = new Set();
  const last = new Promise((resolve) => {
    socket.on('pong', (data) => {
      pongs.add(data.toString());
      if (data.toString() === String(PINGS - 1)) resolve();
    });
  });
  for (let i = 0; i < PINGS; i++) {
    socket.ping(String(i));
    if (i % 10 === 0) socket.send(String(i));
  }
  for (let i = 0; i < PINGS; i += 10) assert.equal(String((await inbox.next())[0]), String(i));
  await last;
  const counted = [...pongs].filter((name) => name !== 'between').length;
  assert.equal(counted, PINGS, `${counted} pongs to ${PINGS} pings`);
}

/* ---- their server, linnet's client ---- */

async function ourClient(flags, isTls, deflate) {
  const http = isTls ? createServer({ key: readFileSync(key), cert: readFileSync(cert) }).listen(0, '127.0.0.1') : null;
  /* A thousand pings come at once, on purpose: ws ends connections above 60 unless told otherwise. */
  const options = { perMessageDeflate: deflate, maxPayload: 1 << 26, maxPendingAutoPongs: 0 };
  const server = new WebSocketServer(http ? { server: http, ...options } : { port: 0, host: '127.0.0.1', ...options });
  server.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
  await once(http ?? server, 'listening');
  const { port } = (http ?? server).address();
  const { status, stdout, stderr } = await run(join(BUILD, 'examples/roundtrip'),
    [...flags, `${isTls ? 'wss' : 'ws'}://localhost:${port}/`]);
  server.close();
  http?.close();
  assert.equal(status, 0, stdout + stderr);
}

const server = await serve('--listen-tls', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', key);
const [, tlsPort] = await server.said(/https:\S+:(\d+)/);
const takeovers = { serverNoContextTakeover: false, clientNoContextTakeover: false };
for (const isTls of [false, true]) {
  const kind = isTls ? 'TLS' : 'plain';
  const url = isTls ? `wss://localhost:${tlsPort}/echo` : server.url('/echo');
  const ca = isTls ? ['--ca', cert] : [];
  test(`ws client, linnet server: ${kind}`, () => theirClient(url, { perMessageDeflate: false }));
  test(`ws client, linnet server: ${kind}, deflate`, () => theirClient(url, { perMessageDeflate: { threshold: 0 } }));
  test(`linnet client, ws server: ${kind}`, () => ourClient(ca, isTls, false));
  test(`linnet client, ws server: ${kind}, deflate`, () => ourClient(['--deflate', ...ca], isTls, { threshold: 0 }));
  test(`linnet client, ws server: ${kind}, deflate with context takeover`,
    () => ourClient(['--deflate', '--takeover', ...ca], isTls, { threshold: 0, ...takeovers }));
}
test('linnet serve ends cleanly', async () => assert.equal(await server.stop(), 0));

await main();
