// SPDX-License-Identifier: MIT
/*
 * browser_peer_test.mjs - Chromium's own WebSocket as the independent peer, over http and https pages.
 *
 * /echo negotiates permessage-deflate, /rooms does not; a lone member of a room gets back what it sends.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificate, folder, main, openPage, serve, test } from './kit.mjs';

const SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20, 16 << 20];

/* Every size as text and as binary, there and back. What was negotiated, and how it closed. */
async function talk({ url, sizes }) {
  const socket = new WebSocket(url);
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
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = i * 7 + (i >> 8);
    socket.send(bytes);
    const back = new Uint8Array(await next());
    let same = 0;
    while (same < size && back[same] === bytes[same]) same++;
    if (back.length !== size || same < size) throw new Error(`${size} bytes came back otherwise`);
  }
  socket.close(3210, 'bye');
  const { code, wasClean } = await closed;
  return { extensions: socket.extensions, code, wasClean };
}

/* Has a shared worker of the page talk: a page's own WebSockets are reported to the test, every byte, which takes longer. */
function talkInWorker({ code, options }) {
  const script = `onconnect = ({ ports: [port] }) =>
    (${code})(${JSON.stringify(options)}).then((result) => port.postMessage(result), ({ message }) => port.postMessage({ message }));`;
  const { port } = new SharedWorker(URL.createObjectURL(new Blob([script])));
  return new Promise((resolve, reject) => {
    port.onmessage = ({ data }) => 'message' in data ? reject(new Error(data.message)) : resolve(data);
  });
}

const { cert, key } = certificate();
const site = folder();
writeFileSync(join(site, 'index.html'), '<!doctype html><title>peer</title>');
const server = await serve('--listen-tls', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', key, '--static', site,
  '--max-message', '32MiB', '--max-queue', '64MiB');
const [, tlsPort] = await server.said(/https:\S+:(\d+)/);

for (const [kind, host] of [['http', `127.0.0.1:${server.port}`], ['https', `localhost:${tlsPort}`]]) {
  const talkOn = async (path, sizes) => {
    const page = await openPage();
    await page.goto(`${kind}://${host}/`);
    return page.evaluate(talkInWorker, { code: String(talk), options: { url: `${kind.replace('http', 'ws')}://${host}${path}`, sizes } });
  };
  test(`Chromium over ${kind}: /echo with permessage-deflate, up to 16 MiB`, async () => {
    const result = await talkOn('/echo', SIZES);
    assert.match(result.extensions, /^permessage-deflate/);
    assert.deepEqual([result.code, result.wasClean], [3210, true]);
  });
  test(`Chromium over ${kind}: a room without compression, up to 16 MiB`, async () => {
    const result = await talkOn(`/rooms?room=${kind}`, SIZES.map((size) => Math.floor(size / 2)));
    assert.equal(result.extensions, '');
    assert.deepEqual([result.code, result.wasClean], [3210, true]);
  });
}

test('Chromium: a page of another origin is refused', async () => {
  const page = await openPage();
  await page.goto(`http://localhost:${server.port}/`); // the same server, but not the same host name
  const outcome = await page.evaluate((url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve('open');
    socket.onclose = ({ code }) => resolve(code);
  }), server.url('/echo'));
  assert.equal(outcome, 1006);
});

test('linnet serve ends cleanly', async () => assert.equal(await server.stop(), 0));

await main();
