// SPDX-License-Identifier: MIT
/*
 * browser_peer_test.mjs - Chromium's own WebSocket as the independent peer, over http and https pages.
 *
 *   LINNET     the program (build/release/linnet)
 *   CHROMIUM   the browser (/usr/bin/chromium)
 *
 * /echo negotiates permessage-deflate, /rooms does not; a lone member of a room gets back what it sends. Prints TAP; exit
 * status 1 if a test failed.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20, 16 << 20];
const FOLDER = mkdtempSync(join(tmpdir(), 'linnet-browser-'));
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
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
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

async function serve() {
  const plain = await freePort(), tls = await freePort();
  const child = spawn(LINNET, ['serve', '--listen', `127.0.0.1:${plain}`, '--listen-tls', `127.0.0.1:${tls}`, '--tls-cert',
    `${FOLDER}/cert.pem`, '--tls-key', `${FOLDER}/key.pem`, '--static', `${FOLDER}/www`, '--max-message', '32MiB', '--max-queue',
    '64MiB', '--log-level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let i = 0; i < 200; i++) {
    if (await fetch(`http://127.0.0.1:${plain}/health`).then((answer) => answer.ok, () => false)) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { plain, tls, child };
}

/* Runs in the page: every size as text and as binary, there and back. What was negotiated, and how it closed. */
async function talk({ path, sizes }) {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`);
  socket.binaryType = 'arraybuffer';
  const inbox = [];
  let wake = () => {};
  const closed = new Promise((resolve) => { socket.onclose = (event) => { resolve(event); wake(); }; });
  socket.onmessage = ({ data }) => { inbox.push(data); wake(); };
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error('no connection')); });
  const next = async () => {
    while (inbox.length === 0) {
      if (socket.readyState > 1) throw new Error(`closed with ${(await closed).code}`);
      await new Promise((resolve) => { wake = resolve; });
    }
    return inbox.shift();
  };
  for (const size of sizes) {
    const text = 'linnet äö€🐦 '.repeat(size / 16 + 1).slice(0, size - size % 2).padEnd(size, 'x').slice(0, size);
    socket.send(text);
    if (await next() !== text) throw new Error(`text of ${size} characters came back otherwise`);
    const bytes = new Uint8Array(size).map((_, i) => (i * 7 + (i >> 8)) & 255);
    socket.send(bytes);
    const back = new Uint8Array(await next());
    if (back.length !== size || back.some((byte, i) => byte !== bytes[i])) throw new Error(`${size} bytes came back otherwise`);
  }
  socket.close(3210, 'bye');
  const { code, wasClean } = await closed;
  return { extensions: socket.extensions, code, wasClean };
}

execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
  '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', `${FOLDER}/key.pem`, '-out',
  `${FOLDER}/cert.pem`], { stdio: 'ignore' });
execFileSync('mkdir', [`${FOLDER}/www`]);
writeFileSync(`${FOLDER}/www/index.html`, '<!doctype html><title>peer</title>');
const { plain, tls, child } = await serve();
const browser = await chromium.launchPersistentContext(`${FOLDER}/profile`, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, ignoreHTTPSErrors: true });
for (const url of [`http://127.0.0.1:${plain}/`, `https://localhost:${tls}/`]) {
  const kind = url.split(':')[0];
  const page = await browser.newPage();
  await page.goto(url);
  await test(`Chromium over ${kind}: /echo with permessage-deflate, up to 16 MiB`, async () => {
    const result = await page.evaluate(talk, { path: '/echo', sizes: SIZES });
    assert.match(result.extensions, /^permessage-deflate/);
    assert.deepEqual([result.code, result.wasClean], [3210, true]);
  });
  await test(`Chromium over ${kind}: a room without compression, up to 16 MiB`, async () => {
    const result = await page.evaluate(talk, { path: `/rooms?room=${kind}`, sizes: SIZES.map((size) => Math.floor(size / 2)) });
    assert.equal(result.extensions, '');
    assert.deepEqual([result.code, result.wasClean], [3210, true]);
  });
  await page.close();
}
await test('Chromium: a page of another origin is refused', async () => {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${plain}/`); // the same server, but not the same host name
  const outcome = await page.evaluate((port) => new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`);
    socket.onopen = () => resolve('open');
    socket.onclose = ({ code }) => resolve(code);
  }), plain);
  assert.equal(outcome, 1006);
});
await browser.close();
child.kill('SIGTERM');
const [code] = await once(child, 'exit');
await test('linnet serve ends cleanly', () => assert.equal(code, 0));
rmSync(FOLDER, { recursive: true, force: true });
process.exit(failures > 0 ? 1 : 0);
