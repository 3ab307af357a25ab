// SPDX-License-Identifier: MIT
/*
 * node_peer_test.mjs - npm `ws` as the independent peer, both ways, with and without permessage-deflate and TLS.
 *
 *   LINNET         the program (build/release/linnet)
 *   LINNET_BUILD   the folder it was built in
 *
 * Their client checks /echo of `linnet serve`; our client (the example `roundtrip`) checks an echo server of theirs.
 * Prints TAP; exit status 1 if a test failed.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket, { WebSocketServer } from 'ws';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const BUILD = process.env.LINNET_BUILD ?? dirname(LINNET);
const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20];
const PINGS = 1000;
const FOLDER = mkdtempSync(join(tmpdir(), 'linnet-node-'));
const PATIENCE_MS = 100000;
let failures = 0;

async function test(name, run) {
  try {
    await run();
    console.log(`ok - ${name}`);
  } catch (error) {
    failures++;
    console.log(`not ok - ${name}: ${String(error.message ?? error).replaceAll('\n', ' ')}`);
  }
}

async function freePort() {
  const probe = createTcp().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* ---- linnet's server, their client ---- */

async function serve() {
  const plain = await freePort(), tls = await freePort();
  const child = spawn(LINNET, ['serve', '--listen', `127.0.0.1:${plain}`, '--listen-tls', `127.0.0.1:${tls}`, '--tls-cert',
    `${FOLDER}/cert.pem`, '--tls-key', `${FOLDER}/key.pem`, '--log-level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let i = 0; i < 200; i++) {
    if (await fetch(`http://127.0.0.1:${plain}/health`).then((answer) => answer.ok, () => false)) break;
    await pause(50);
  }
  return { plain, tls, child };
}

/* Messages in the order they came, to be awaited one by one. */
class Inbox {
  #messages = [];
  #waiting = null;

  constructor(socket) {
    socket.on('message', (data, isBinary) => {
      this.#messages.push({ data, isBinary });
      this.#waiting?.();
    });
  }

  async next() {
    const until = Date.now() + PATIENCE_MS;
    while (this.#messages.length === 0) {
      assert.ok(Date.now() < until, 'no message came');
      await Promise.race([new Promise((resolve) => { this.#waiting = resolve; }), pause(1000)]);
    }
    return this.#messages.shift();
  }
}

function textOf(size) {
  const letters = Buffer.from('linnet äöü €uro 🐦 ');
  const bytes = Buffer.alloc(size, letters);
  const whole = bytes.toString().replace(/\uFFFD+$/, '');
  return whole + 'x'.repeat(size - Buffer.byteLength(whole));
}

async function theirClient(url, options) {
  const socket = new WebSocket(url, { ...options, ca: readFileSync(`${FOLDER}/cert.pem`), maxPayload: 1 << 26 });
  const inbox = new Inbox(socket);
  await once(socket, 'open');
  if (options.perMessageDeflate) assert.match(socket.extensions, /permessage-deflate/);
  for (const size of SIZES) {
    const binary = randomBytes(size), text = textOf(size);
    socket.send(binary);
    let got = await inbox.next();
    assert.ok(got.isBinary && binary.equals(got.data), `binary of ${size} bytes came back otherwise`);
    socket.send(text);
    got = await inbox.next();
    assert.ok(!got.isBinary && got.data.toString() === text, `text of ${size} bytes came back otherwise`);
    for (let i = 0; i < 5; i++) {
      socket.send(binary.subarray(Math.floor(i * size / 5), Math.floor((i + 1) * size / 5)), { binary: true, fin: i === 4 });
      socket.ping('between');
    }
    got = await inbox.next();
    assert.ok(got.isBinary && binary.equals(got.data), `fragments of ${size} bytes came back otherwise`);
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
  for (let i = 0; i < PINGS; i += 10) assert.equal((await inbox.next()).data.toString(), String(i));
  await last;
  const counted = [...pongs].filter((name) => name !== 'between').length;
  assert.equal(counted, PINGS, `${counted} pongs to ${PINGS} pings`);
}

/* ---- their server, linnet's client ---- */

async function ourClient(flags, isTls, deflate) {
  const tls = { key: readFileSync(`${FOLDER}/key.pem`), cert: readFileSync(`${FOLDER}/cert.pem`) };
  const http = isTls ? createHttps(tls).listen(0, '127.0.0.1') : null;
  /* A thousand pings come at once, on purpose: ws ends connections above 60 unless told otherwise. */
  const options = { perMessageDeflate: deflate, maxPayload: 1 << 26, maxPendingAutoPongs: 0 };
  const server = new WebSocketServer(http ? { server: http, ...options } : { port: 0, host: '127.0.0.1', ...options });
  server.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
  await once(http ?? server, 'listening');
  const { port } = (http ?? server).address();
  const child = spawn(`${BUILD}/examples/roundtrip`, [...flags, `${isTls ? 'wss' : 'ws'}://localhost:${port}/`]);
  let output = '';
  child.stdout.on('data', (data) => { output += data; });
  child.stderr.on('data', (data) => { output += data; });
  const [code] = await once(child, 'exit');
  server.close();
  http?.close();
  assert.equal(code, 0, output);
}

execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
  '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', `${FOLDER}/key.pem`, '-out',
  `${FOLDER}/cert.pem`], { stdio: 'ignore' });
const { plain, tls, child } = await serve();
const takeovers = { serverNoContextTakeover: false, clientNoContextTakeover: false };
for (const isTls of [false, true]) {
  const kind = isTls ? 'TLS' : 'plain';
  const url = isTls ? `wss://localhost:${tls}/echo` : `ws://127.0.0.1:${plain}/echo`;
  const ca = isTls ? ['--ca', `${FOLDER}/cert.pem`] : [];
  await test(`ws client, linnet server: ${kind}`, () => theirClient(url, { perMessageDeflate: false }));
  await test(`ws client, linnet server: ${kind}, deflate`, () => theirClient(url, { perMessageDeflate: { threshold: 0 } }));
  await test(`linnet client, ws server: ${kind}`, () => ourClient(ca, isTls, false));
  await test(`linnet client, ws server: ${kind}, deflate`, () => ourClient(['--deflate', ...ca], isTls, { threshold: 0 }));
  await test(`linnet client, ws server: ${kind}, deflate with context takeover`,
    () => ourClient(['--deflate', '--takeover', ...ca], isTls, { threshold: 0, ...takeovers }));
}
child.kill('SIGTERM');
const [code] = await once(child, 'exit');
await test('linnet serve ends cleanly', () => assert.equal(code, 0));
rmSync(FOLDER, { recursive: true });
process.exit(failures > 0 ? 1 : 0);
