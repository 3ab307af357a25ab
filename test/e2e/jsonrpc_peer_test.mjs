// SPDX-License-Identifier: MIT
/*
 * jsonrpc_peer_test.mjs - npm `json-rpc-2.0` as the independent peer of our JSON-RPC, calling and being called: its
 * client and its server over a transport of a few lines, commands 0xFFFFFFFF of npm `ws`. The server is the example `rpc`.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createJSONRPCErrorResponse, JSONRPCClient, JSONRPCErrorCode, JSONRPCServer, JSONRPCServerAndClient } from 'json-rpc-2.0';
import WebSocket from 'ws';
import { example, main, test } from './kit.mjs';

const RPC = 0xFFFFFFFF;
const CALLS = 10000;
const server = await example('rpc', '0'); // without a limit of messages

/** @returns a connected peer: their server and client on one socket. */
async function connect() {
  const socket = new WebSocket(server.url('/ws'));
  const peer = new JSONRPCServerAndClient(new JSONRPCServer({ errorListener: () => {} }), new JSONRPCClient((request) => {
    const text = Buffer.from(JSON.stringify(request));
    const message = Buffer.alloc(4 + text.length);
    message.writeUInt32BE(RPC);
    text.copy(message, 4);
    socket.send(message);
  }));
  socket.on('message', (data, isBinary) => {
    assert.ok(isBinary && data.readUInt32BE() === RPC, 'an answer is a binary command 0xFFFFFFFF');
    peer.receiveAndSend(JSON.parse(data.subarray(4).toString()));
  });
  await once(socket, 'open');
  return Object.assign(peer, { close: () => socket.close() });
}

const peer = await connect();
const code = (expected) => (error) => error.code === expected;

test('it calls and is answered', async () => {
  for (const params of [{ a: [1, { b: null }] }, [1, 'zwei', 3.5], [], {}])
    assert.deepEqual(await peer.request('echo', params), params);
  assert.equal(await peer.request('subtract', [42, 23]), 19);
  assert.equal(await peer.request('subtract', { subtrahend: 23, minuend: 42 }), 19);
  assert.equal(await peer.request('echo'), null);
});

test('errors are errors to it', async () => {
  await assert.rejects(peer.request('boom', []), code(JSONRPCErrorCode.InternalError));
  await assert.rejects(peer.request('nobody', []), code(JSONRPCErrorCode.MethodNotFound));
  await assert.rejects(peer.request('subtract', ['x']), code(JSONRPCErrorCode.InvalidParams));
});

test('a batch of its own making', async () => {
  const answers = await peer.client.requestAdvanced([
    { jsonrpc: '2.0', id: 'a', method: 'echo', params: [1] }, { jsonrpc: '2.0', method: 'echo', params: [2] },
    { jsonrpc: '2.0', id: 'b', method: 'nobody' }, { jsonrpc: '2.0', id: 'c', method: 'subtract', params: [3, 1] },
    { jsonrpc: '2.0', id: 'd', method: 'later', params: [4] }]);
  assert.deepEqual(answers, [{ jsonrpc: '2.0', result: [1], id: 'a' },
    createJSONRPCErrorResponse('b', JSONRPCErrorCode.MethodNotFound, 'Method not found'),
    { jsonrpc: '2.0', result: 2, id: 'c' }, { jsonrpc: '2.0', result: [4], id: 'd' }]);
});

test('a notification is not answered, and an answer may be late', async () => {
  peer.notify('echo', ['nobody hears it']);
  const late = peer.request('later', ['late']);
  assert.deepEqual(await peer.request('echo', ['early']), ['early']);
  assert.deepEqual(await late, ['late']);
});

test('it is called, answers, and fails', async () => {
  await assert.rejects(peer.request('ask'), (error) => error.code === 1); // it does not add yet
  peer.addMethod('add', ([a, b]) => a + b);
  assert.equal(await peer.request('ask'), 3);
  const other = await connect();
  other.addMethod('add', async () => { throw new Error('I will not'); });
  await assert.rejects(other.request('ask'), (error) => error.code === 1 && error.data === 'I will not');
  other.close();
});

test(`${CALLS} calls at once: each gets its own answer`, async () => {
  const answers = await Promise.all(Array.from({ length: CALLS }, (_, i) => peer.request('subtract', [i, 1])));
  answers.forEach((answer, i) => assert.equal(answer, i - 1));
});

await main();
