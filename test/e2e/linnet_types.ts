// SPDX-License-Identifier: MIT
/*
 * linnet_types.ts - a program that uses all of linnet.d.ts, and misuses some of it. linnet_js_test.mjs lets TypeScript
 * judge it; it is never run.
 */
import { ClientError, CommandClient, ConnectionState, MAX_PAYLOAD_BYTES, ReservedCommands, RpcCode, RpcError } from 'linnet';
import type { ClientErrorCode, ClientOptions, CloseInfo, State } from 'linnet';

const options: ClientOptions = {
  url: () => 'ws://localhost:8080/ws',
  autoReconnect: true,
  reconnectDelay: 3000,
  maxReconnectDelay: 30000,
  maxReconnectAttempts: Infinity,
  connectionTimeout: 10000,
  requestTimeout: 30000,
  maxBufferedAmount: MAX_PAYLOAD_BYTES,
  debug: false,
  WebSocket,
};
const client = new CommandClient(options);

client.on(0x0100, (payload, id) => console.log(payload.byteLength + id));
client.on('open', () => client.sendJSON(8, { username: 'Ada' }));
client.on('close', (info: CloseInfo) => info.code === 1008 && client.disconnect());
client.on('state', (state, before) => state === ConnectionState.CONNECTED && before === 'CONNECTING');
client.on('reconnecting', ({ attempt, delay }) => attempt * delay);
client.on('error', (error) => error instanceof ClientError && error.code satisfies ClientErrorCode);
client.on('drain', () => {});
client.off(0x0100);
client.off('drain');

await client.connect();
const state: State = client.getState();
const isConnected: boolean = client.isConnected();
await client.send(1);
await client.send(1, new Float32Array(3));
const wasSent: boolean = client.trySend(1, new ArrayBuffer(3));
await client.sendString(1, 'text');
if (client.bufferedAmount > 0)
  await client.drained();

const sum: number = (await client.sendJSONRPC<number>('add', [1, 2], 'id')).result;
const product: number = await client.call<number>('multiply', { a: 1, b: 2 }, { timeout: 1000 });
await client.notify('moved', [1, 2]);
for (const end of await client.batch([{ method: 'a' }, { method: 'b', params: [], isNotification: true }]))
  console.log(end.status === 'rejected' ? end.reason : end.value);
client.register('add', ([a, b]: [number, number]) => a + b);
client.register('fail', async () => { throw new RpcError(RpcCode.INVALID_PARAMS, 'Invalid params', { state, isConnected, wasSent }); });
client.unregister('add');
console.log(sum, product, ReservedCommands.JSON_RPC);

// @ts-expect-error: no url
new CommandClient({});
// @ts-expect-error: no such event
client.on('opened', () => {});
// @ts-expect-error: text is not bytes
await client.send(1, 'text');
// @ts-expect-error: params are an array or an object
await client.call('add', 1);
// @ts-expect-error: no such state
client.getState() === 'OPEN';
