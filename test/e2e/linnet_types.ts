// SPDX-License-Identifier: MIT
/*
 * linnet_types.ts - a program that uses all of linnet.d.ts, and misuses some of it. linnet_js_test.mjs lets TypeScript
 * judge it; it is never run.
 */
import {
  BrokerClient, BrokerError, ClientError, CommandClient, ConnectionState, MAX_PAYLOAD_BYTES, ReservedCommands, RpcCode, RpcError,
} from 'linnet';
import type { BrokerOptions, BrokerStats, ClientErrorCode, ClientInfo, ClientOptions, CloseInfo, State } from 'linnet';
import { control, Controls } from 'linnet/control';
import { HotReload } from 'linnet/reload';

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

const brokerOptions: BrokerOptions = {
  ...options,
  url: async () => new URL('ws://localhost:8080/wsmq'),
  generation: 'legacy',
  token: async () => 'text',
  clientId: 'id',
  storage: sessionStorage,
  clientName: 'name',
  clientType: 'browser',
  clientUrl: '',
  register: false,
  maxMessageBytes: 1048576,
  queueLimit: 10,
  queueExpiry: 30000,
  queueRequests: true,
};
const broker = new BrokerClient(brokerOptions);
new BrokerClient();
new BrokerClient('ws://localhost:8080/wsmq', { WebSocket });

broker.onOpen = () => console.log(broker.id, broker.getID());
broker.onClose = ({ code }) => console.log(code);
broker.onError = (error) => error instanceof BrokerError && console.log(error.code + 1, error.topic, error.id);
broker.onError = null;
broker.on('subscribed', (topic) => topic.length);
broker.on('ignored', ({ reason, id, topic }) => reason === 'late' && id + topic);
broker.off('ignored');
await broker.connect();
const unsubscribe: () => void = broker.subscribe('sensors.>', (payload: { celsius: number }, topic) => payload.celsius + topic.length);
unsubscribe();
broker.unsubscribe('sensors.>');
await broker.publish('sensors.hall', { celsius: 21 });
const wasPublished: boolean = broker.tryPublish('sensors.hall');
const time = await broker.request<{ currentTime: string }>('system:get_time', null, 5000);
const answer: number = await broker.call<number>('id', 'add', [1, 2]);
const [first]: ClientInfo[] = await broker.clients({ clientType: 'browser', name: 'name' });
const endOfHandler: () => void = broker.handle('add', async ([a, b]: [number, number]) => a + b);
endOfHandler();
broker.handle('fail', () => { throw new BrokerError(409, 'taken', { topic: 'fail' }); });
const stats: BrokerStats = broker.stats;
broker.onConnect(() => {})();
broker.onDisconnect(({ reason }) => reason)();
broker.handleServerRequest('topic', (payload) => payload)();
console.log(await broker.sendServerRequest<string>('topic', {}, null), wasPublished, time.currentTime, answer, first?.clientUrl,
  stats.dropped);
broker.disconnect();

// @ts-expect-error: no such generation
new BrokerClient('ws://localhost', { generation: 'next' });
// @ts-expect-error: the url is there already
new BrokerClient('ws://localhost', { url: 'ws://localhost' });
// @ts-expect-error: a subscription has a handler
broker.subscribe('topic');
// @ts-expect-error: read only
broker.id = 'other';
// @ts-expect-error: commands are the other client's
broker.on(1, () => {});

const reload = new HotReload({ client: broker, autoReload: false, reportErrors: true, maxErrors: 10 });
reload.onReload = ({ timestamp, files }) => files !== undefined && timestamp > 0;
reload.setAutoReload(true);
console.log(reload.getErrors()[0]?.message, reload.client.id);
reload.clearErrors();
reload.stop();
new HotReload({ url: 'ws://localhost' }).reload();

const endOfControl: () => void = control(broker, [...Controls, 'exec']);
endOfControl();
// @ts-expect-error: no such control
control(broker, ['format']);
