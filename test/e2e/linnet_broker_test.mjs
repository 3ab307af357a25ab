// SPDX-License-Identifier: MIT
/*
 * linnet_broker_test.mjs - BrokerClient of clients/js in Node: against a broker that was written from the protocol
 * (broker_double.mjs), against sockets that exist only here, and with Node's own WebSocket.
 */
// back end: any
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import WebSocket from 'ws';
import { BrokerClient, BrokerError, ClientError } from '../../clients/js/linnet.js';
import { Broker } from './broker_double.mjs';
import { FakeSocket } from './fake_socket.mjs';
import { atEnd, failure, folder, main, PATIENCE_MS, pause, run, test, TOP, unhandled, until } from './kit.mjs';

const MODULE = join(TOP, 'clients/js/linnet.js');

class BrokerSocket extends FakeSocket {
  constructor(url) {
    super(new URL(url));
  }

  bring(message) {
    this.onmessage?.({ data: typeof message === 'object' ? JSON.stringify(message) : message });
  }

  // Opens and registers.
  admit(id = 'given') {
    this.open();
    this.bring({ type: 'response', id: this.sent[0].id, payload: { serverAssignedId: id } });
  }

  send(text) {
    super.send(JSON.parse(text));
  }
}

/* ---- clients ---- */

function client(url, options) {
  const made = new BrokerClient(url, { WebSocket, reconnectDelay: 20, ...options });
  atEnd(() => made.disconnect());
  return made;
}

async function connected(broker, options) {
  const made = client(broker.url, options);
  await made.connect();
  return made;
}

function fake(options) {
  FakeSocket.reset();
  return client('ws://nowhere/wsmq', { WebSocket: BrokerSocket, ...options });
}

function admitted(options) {
  const made = fake(options);
  made.connect();
  FakeSocket.last.admit();
  return made;
}

// What happens to a client, as words.
function diary(of) {
  const lines = [];
  of.on('state', (state) => lines.push(state));
  of.on('open', () => lines.push('open'));
  of.on('close', ({ code, reason }) => lines.push(`close ${code} ${reason}`));
  of.on('error', (error) => lines.push(`error ${error.code} ${error.message}`));
  of.on('drain', () => lines.push('drain'));
  of.on('subscribed', (topic) => lines.push(`subscribed ${topic}`));
  of.on('ignored', ({ reason, topic }) => lines.push(`ignored ${reason} ${topic}`));
  return lines;
}

const typesOf = (broker) => broker.heard.map(({ type, header, topic }) => `${type ?? header.type} ${topic ?? header.topic}`);

// With the subscription confirmed.
async function subscribed(made, topic, handler) {
  const isThere = new Promise((resolve) => made.on('subscribed', (which) => which === topic && resolve()));
  const end = made.subscribe(topic, handler);
  await isThere;
  return end;
}

/* ---- names and options ---- */

test('it wants a url, a WebSocket and a generation that exists', () => {
  assert.throws(() => new BrokerClient(), /url/);
  assert.throws(() => new BrokerClient({ WebSocket }), /url/);
  assert.throws(() => new BrokerClient(null, { WebSocket }), /url/);
  for (const generation of ['next', 'constructor', null])
    assert.throws(() => client('ws://nowhere', { generation }), /generation/);
  assert.throws(() => client('ws://nowhere', { WebSocket: null }), /WebSocket/);
  assert.equal(new BrokerClient({ url: 'ws://nowhere', WebSocket }).getState(), 'DISCONNECTED');
});

test('the url: text, URL or function; http is ws; what it had stays', async () => {
  for (const url of ['http://h/a?x=1', new URL('http://h/a?x=1'), () => 'http://h/a?x=1', async () => new URL('http://h/a?x=1')]) {
    FakeSocket.reset();
    client(url, { WebSocket: BrokerSocket, clientId: 'a b&c' }).connect();
    await until('it dials', () => FakeSocket.made.length === 1);
    assert.equal(FakeSocket.last.url.href, 'ws://h/a?x=1&client_id=a+b%26c');
  }
  client('https://h/', { WebSocket: BrokerSocket, generation: 'legacy' }).connect();
  assert.equal(FakeSocket.last.url.href, 'wss://h/', 'the legacy generation has no client_id');
});

test('a url that is none is an attempt that failed', async () => {
  FakeSocket.reset();
  const made = client('nonsense', { WebSocket: BrokerSocket, autoReconnect: false });
  assert.equal((await failure(made.connect())).code, 'connection-failed');
  assert.deepEqual([made.getState(), FakeSocket.made.length], ['DISCONNECTED', 0]);
});

test('topics and handlers are checked', async () => {
  const made = fake();
  for (const topic of ['', undefined, null, 7]) {
    assert.throws(() => made.subscribe(topic, () => {}), TypeError);
    assert.throws(() => made.handle(topic, () => {}), TypeError);
    assert((await failure(made.publish(topic))) instanceof TypeError);
    assert((await failure(made.request(topic))) instanceof TypeError);
  }
  assert.throws(() => made.subscribe('a'), TypeError);
  assert.throws(() => made.handle('a'), TypeError);
});

/* ---- the guide ---- */

test("the guide's example: properties, a subscription that answers the server, a request", async ({ broker }) => {
  const made = client(broker.url);
  const lines = [];
  broker.handlers['example.echo'] = ({ message }) => ({ message });
  made.onError = (error) => lines.push(`error ${error.message}`);
  made.onClose = () => lines.push('closed');
  made.onOpen = () => {
    lines.push('open');
    made.subscribe('server.ping', async ({ timestamp, message }) => ({ serverTime: timestamp, message: 'Pong', echo: message }));
  };
  made.connect();
  await until('it is open', () => lines.length === 1);
  const { payload } = await broker.ask(broker.last, 'server.ping', { timestamp: 7, message: 'Ping from server' });
  assert.deepEqual(payload, { serverTime: 7, message: 'Pong', echo: 'Ping from server' });
  assert.deepEqual(await made.request('example.echo', { message: 'hi' }, 5000), { message: 'hi' });
  made.disconnect();
  await until('it is closed', () => lines.length === 2);
  assert.deepEqual(lines, ['open', 'closed']);
});

test('onOpen and its kin: one each, replaced, removed', () => {
  const made = fake({ autoReconnect: false });
  const lines = [];
  assert.deepEqual([made.onOpen, made.onClose, made.onError], [null, null, null]);
  made.onOpen = () => lines.push('first');
  const second = () => lines.push('second');
  made.onOpen = second;
  assert.equal(made.onOpen, second);
  made.on('open', () => lines.push('listener'));
  made.connect();
  FakeSocket.last.admit();
  made.onOpen = null;
  made.onClose = () => lines.push('close');
  made.off('close', made.onClose);
  assert.equal(made.onClose, null);
  FakeSocket.last.fail();
  made.connect();
  FakeSocket.last.admit();
  assert.deepEqual(lines, ['second', 'listener', 'listener']);
  made.onOpen = second;
  made.off('open');
  assert.equal(made.onOpen, null);
});

test("the names of upstream's last client", async ({ broker }) => {
  const made = client(broker.url);
  const lines = [];
  broker.handlers.add = ([a, b]) => a + b;
  const remove = made.onConnect(() => lines.push('connect'));
  made.onDisconnect(() => lines.push('disconnect'));
  await made.connect();
  made.onConnect(() => lines.push('at once'));
  remove();
  assert.equal(await made.sendServerRequest('add', [1, 2], null), 3);
  const end = made.handleServerRequest('who', () => 'me');
  assert.equal((await broker.ask(broker.last, 'who')).payload, 'me');
  end();
  assert.equal((await broker.ask(broker.last, 'who')).error.code, 404);
  assert.equal(made.getID(), broker.last.info.id);
  made.disconnect();
  await until('it is closed', () => lines.includes('disconnect'));
  assert.deepEqual(lines, ['connect', 'at once', 'disconnect']);
});

/* ---- the bytes ---- */

test('the current generation, byte for byte', () => {
  const made = fake({ clientId: 'me', clientName: 'Me', clientType: 'test', clientUrl: 'http://here/' });
  const sent = [];
  made.subscribe('a.b', () => {});
  made.connect();
  FakeSocket.last.send = (text) => { sent.push(text); BrokerSocket.prototype.send.call(FakeSocket.last, text); };
  FakeSocket.last.admit();
  made.unsubscribe('a.b');
  made.tryPublish('t', { x: 'ä' });
  made.tryPublish('t');
  void made.request('r', [1]).catch(() => {});
  void made.request('r').catch(() => {});
  assert.deepEqual(sent.map((text) => text.replace(/"id":"[0-9a-f]{8}-\d+"/, '"id":"#"')), [
    '{"id":"#","type":"request","topic":"system:register",'
      + '"payload":{"clientId":"me","clientName":"Me","clientType":"test","clientUrl":"http://here/"}}',
    '{"id":"#","type":"subscribe_request","topic":"a.b"}',
    '{"id":"#","type":"unsubscribe_request","topic":"a.b"}',
    '{"type":"publish","topic":"t","payload":{"x":"ä"}}',
    '{"type":"publish","topic":"t","payload":null}',
    '{"id":"#","type":"request","topic":"r","payload":[1]}',
    '{"id":"#","type":"request","topic":"r","payload":null}',
  ]);
  assert.equal(new Set(sent.map((text) => JSON.parse(text).id).filter((id) => id !== undefined)).size, 5, 'ids are not used twice');
});

test('answers of the current generation, byte for byte', async () => {
  const made = admitted();
  const sent = [];
  FakeSocket.last.send = (text) => sent.push(text);
  const answers = { value: () => 7, nothing: () => {}, null: () => null, error: () => { throw new Error('broken'); },
    chosen: () => { throw new BrokerError(409, 'taken'); }, text: () => { throw 'a text'; },
    circle: () => { const o = {}; o.o = o; return o; }, big: () => 1n, returned: () => new BrokerError(410, 'gone') };
  for (const [topic, handler] of Object.entries(answers)) {
    made.handle(topic, handler);
    FakeSocket.last.bring({ id: 'q', type: 'request', topic, payload: null });
    await pause(0);
  }
  FakeSocket.last.bring({ id: 'q', type: 'request', topic: 'nobody' });
  await pause(0);
  const error = (topic, code, message) => `{"id":"q","type":"error","topic":"${topic}","error":{"code":${code},"message":"${message}"}}`;
  assert.deepEqual(sent, [
    '{"id":"q","type":"response","topic":"value","payload":7}',
    '{"id":"q","type":"response","topic":"nothing"}',
    '{"id":"q","type":"response","topic":"null","payload":null}',
    error('error', 500, 'broken'), error('chosen', 409, 'taken'), error('text', 500, 'a text'),
    error('circle', 500, 'Client failed to create response envelope'), error('big', 500, 'Client failed to create response envelope'),
    error('returned', 410, 'gone'), error('nobody', 404, 'Client has no handler for topic: nobody'),
  ]);
});

test('the legacy generation, byte for byte', async () => {
  const made = fake({ generation: 'legacy', clientId: 'page' });
  const sent = [];
  made.subscribe('a', () => {});
  made.handle('ask', (body) => [body]);
  made.handle('void', () => {});
  made.connect();
  FakeSocket.last.send = (text) => sent.push(text);
  FakeSocket.last.open();
  FakeSocket.last.bring({ header: { messageID: '1', type: 'event', topic: '_internal.client.registered', timestamp: 1 },
    body: { brokerClientID: 'wsconn-1', pageSessionID: 'page', status: 'registered' } });
  assert.deepEqual([made.getID(), made.isConnected()], ['wsconn-1', true]);
  made.unsubscribe('a');
  made.tryPublish('t', 1);
  void made.request('r', { x: 1 }, 5000).catch(() => {});
  for (const topic of ['ask', 'void', 'nobody'])
    FakeSocket.last.bring({ header: { messageID: '2', correlationID: 'c', type: 'request', topic, timestamp: 1, ttl: 5 }, body: 'q' });
  FakeSocket.last.bring({ header: { messageID: 'm', type: 'request', topic: 'ask', timestamp: 1 }, body: null });
  await pause(0);
  assert.deepEqual(sent.map((text) => text.replace(/"[0-9a-f]{8}-\d+"/g, '"#"').replace(/"timestamp":\d{13}/, '"timestamp":0')), [
    '{"header":{"messageID":"#","type":"event","topic":"_client.register","timestamp":0},"body":{"pageSessionID":"page"}}',
    '{"header":{"messageID":"#","type":"subscribe","topic":"subscribe","timestamp":0},"body":"a"}',
    '{"header":{"messageID":"#","type":"unsubscribe","topic":"unsubscribe","timestamp":0},"body":"a"}',
    '{"header":{"messageID":"#","type":"event","topic":"t","timestamp":0},"body":1}',
    '{"header":{"messageID":"#","correlationID":"#","type":"request","topic":"r","ttl":5000,"timestamp":0},"body":{"x":1}}',
    '{"header":{"messageID":"c","correlationID":"c","type":"error","topic":"c","timestamp":0},'
      + '"body":{"error":{"code":404,"message":"Client has no handler for topic: nobody"}}}',
    '{"header":{"messageID":"c","correlationID":"c","type":"response","topic":"c","timestamp":0},"body":["q"]}',
    '{"header":{"messageID":"c","correlationID":"c","type":"response","topic":"c","timestamp":0},"body":null}',
    '{"header":{"messageID":"m","correlationID":"m","type":"response","topic":"m","timestamp":0},"body":[null]}',
  ]);
});

/* ---- both generations, alike ---- */

for (const generation of ['current', 'legacy']) {
  const both = (name, body) => test(`${generation}: ${name}`, (kit) => body({ ...kit, options: { generation } }));

  both('publish and subscribe, both ways of a reconnection', async ({ broker, options }) => {
    const made = await connected(broker, options);
    const got = [];
    made.subscribe('news', (payload, topic) => got.push([topic, payload]));
    await until('it is subscribed', () => broker.last.topics.has('news'));
    await made.publish('news', { n: 1 });
    await until('it came', () => got.length === 1);
    broker.last.close(4000, 'again');
    await until('it is back', () => made.isConnected() && broker.sockets.length === 2 && broker.last.topics.has('news'));
    assert.equal(made.tryPublish('news', 'ä'), true);
    await until('it came again', () => got.length === 2);
    assert.deepEqual(got, [['news', { n: 1 }], ['news', 'ä']]);
  });

  both('a publication that is refused is an error, an answer that comes too late is not', async ({ broker, options }) => {
    const made = await connected(broker, options);
    const lines = diary(made);
    const refusal = Object.assign(new Error('not permitted'), { code: 403 });
    const late = [];
    broker.intercept = (socket, message) => {
      const { type, id, topic } = message.header === undefined ? message : { id: message.header.messageID, ...message.header };
      const isPublication = type === 'publish' || type === 'event';
      if (isPublication)
        broker.reply(socket, { id: socket.isLegacy ? id : undefined, topic }, refusal);
      else
        late.push(() => broker.reply(socket, { id, topic }, refusal));
      return true;
    };
    broker.handlers = {};
    await made.publish('closed', 1);
    await until('it is told', () => lines.length === 1);
    assert.deepEqual(lines, [generation === 'legacy' ? 'error 500 handler error: not permitted' : 'error 403 not permitted']);
    assert.equal((await failure(made.request('closed', null, 0))).code, 'timeout');
    await until('it was asked', () => late.length === 1);
    late[0]();
    await until('that is told, too', () => lines.length === 2);
    assert.match(lines[1], /^ignored late /);
    assert.equal(made.stats.ignored, 1);
  });

  both('requests: result, error, nobody', async ({ broker, options }) => {
    const made = await connected(broker, options);
    broker.handlers = { add: ([a, b]) => a + b, nothing: () => null, boom: () => { throw new Error('boom'); } };
    assert.equal(await made.request('add', [1, 2]), 3);
    assert.equal(await made.request('nothing'), null);
    const [boom, nobody] = await Promise.all([made.request('boom'), made.request('nobody')].map(failure));
    const prefix = generation === 'legacy' ? 'handler error: ' : '';
    assert(boom instanceof BrokerError);
    assert.deepEqual([boom.code, boom.message], [500, `${prefix}boom`]);
    assert.deepEqual([nobody.code, nobody.message], [generation === 'legacy' ? 500 : 404, `${prefix}No handler for topic: nobody`]);
  });

  both('the server asks: a handler, a subscriber, nobody', async ({ broker, options }) => {
    const made = await connected(broker, options);
    const resultOf = ({ payload, error }) => payload?.error ?? error ?? payload;
    made.subscribe('a', () => 'a subscriber');
    made.subscribe('a', () => 'a second one');
    assert.equal(resultOf(await broker.ask(broker.last, 'a')), 'a subscriber');
    const end = made.handle('a', async (payload, topic) => { await null; return [payload, topic]; });
    assert.deepEqual(resultOf(await broker.ask(broker.last, 'a', { x: 1 })), [{ x: 1 }, 'a']);
    end();
    end();
    assert.equal(resultOf(await broker.ask(broker.last, 'a')), 'a subscriber');
    const endOfFirst = made.handle('b', () => 'the first');
    made.handle('b', () => 'the second');
    endOfFirst();
    assert.equal(resultOf(await broker.ask(broker.last, 'b')), 'the second');
    made.unsubscribe('a');
    assert.equal(resultOf(await broker.ask(broker.last, 'a')).message, 'Client has no handler for topic: a');
    made.handle('bad', () => { throw new Error('bad'); });
    assert.deepEqual(resultOf(await broker.ask(broker.last, 'bad')), { code: 500, message: 'bad' });
  });
}

/* ---- registration ---- */

test('open means registered: the state, the promise, what may be sent', async ({ broker }) => {
  let question = null;
  broker.intercept = (socket, message) => { question = message; return true; };
  const made = client(broker.url);
  const lines = diary(made);
  const promise = made.connect();
  await until('it asks', () => question !== null);
  assert.deepEqual([made.getState(), made.isConnected(), made.tryPublish('t'), lines], ['CONNECTING', false, false, ['CONNECTING']]);
  assert.equal((await failure(made.request('t'))).code, 'not-connected');
  assert.equal(question.payload.clientId, made.getID());
  broker.reply(broker.last, question, { serverAssignedId: 'other' });
  await promise;
  assert.deepEqual([made.id, made.getID(), made.isConnected(), lines], ['other', 'other', true, ['CONNECTING', 'CONNECTED', 'open']]);
});

test('a registration that is refused: its error, and another attempt', async ({ broker }) => {
  broker.intercept = (socket, message) => {
    if (broker.sockets.length > 1)
      return false;
    broker.reply(socket, message, Object.assign(new Error('not you'), { code: 403 }));
    return true;
  };
  const made = client(broker.url);
  const lines = diary(made);
  const error = await failure(made.connect());
  assert(error instanceof BrokerError);
  assert.deepEqual([error.code, error.message, error.topic], [403, 'not you', 'system:register']);
  await until('it is let in', () => made.isConnected());
  assert.deepEqual(lines, ['CONNECTING', 'RECONNECTING', 'error 403 not you', 'CONNECTING', 'CONNECTED', 'open']);
});

test('a server that does not answer: no registration, no connection', async ({ broker }) => {
  for (const generation of ['current', 'legacy']) {
    broker.intercept = () => true;
    const made = client(broker.url, { generation, connectionTimeout: 50, autoReconnect: false });
    assert.equal((await failure(made.connect())).code, 'timeout');
    assert.equal(made.getState(), 'DISCONNECTED');
    await until('it hangs up', () => broker.last.ended !== undefined);
  }
});

test('a connection that breaks while it registers is an attempt that failed', async ({ broker }) => {
  broker.intercept = (socket) => { socket.terminate(); return true; };
  const made = client(broker.url, { autoReconnect: false });
  assert.equal((await failure(made.connect())).code, 'connection-failed');
});

test('without registration it is open at once', async ({ broker }) => {
  for (const generation of ['current', 'legacy']) {
    broker.heard = [];
    const made = await connected(broker, { generation, register: false });
    made.subscribe('t', () => {});
    await until('it talks', () => broker.heard.length === 1);
    assert.equal(typesOf(broker)[0].split(' ')[0], generation === 'legacy' ? 'subscribe' : 'subscribe_request');
  }
});

test('a reply without an id leaves the own one; a second reply changes nothing', () => {
  const made = fake({ clientId: 'own' });
  made.connect();
  const [socket] = FakeSocket.made;
  socket.open();
  const reply = (payload) => socket.bring({ type: 'response', id: socket.sent[0].id, payload });
  reply({ serverAssignedId: '' });
  assert.deepEqual([made.id, made.isConnected()], ['own', true]);
  reply({ serverAssignedId: 'late' });
  assert.deepEqual([made.id, made.stats.ignored], ['own', 1]);
  const legacy = fake({ generation: 'legacy' });
  legacy.connect();
  FakeSocket.last.open();
  for (const brokerClientID of ['one', 'two'])
    FakeSocket.last.bring({ header: { type: 'event', topic: '_internal.client.registered' }, body: { brokerClientID } });
  assert.deepEqual([legacy.id, legacy.stats.ignored], ['one', 1]);
});

/* ---- ids ---- */

test('the id is random, and asked for again; a chosen one is insisted on', () => {
  const ids = [];
  for (const clientId of [undefined, undefined, 'mine']) {
    const made = fake({ clientId, reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
    made.connect();
    FakeSocket.last.admit('given');
    FakeSocket.last.fail();
    made.connect();
    assert.deepEqual(FakeSocket.made.map(({ url }) => url.searchParams.get('client_id')).slice(1), [clientId ?? 'given']);
    ids.push(FakeSocket.made[0].url.searchParams.get('client_id'));
  }
  assert.match(ids[0], /^[0-9a-f]{32}$/);
  assert.deepEqual([ids[0] === ids[1], ids[2]], [false, 'mine']);
});

test('ids are random without a generator of the platform, too', () => {
  const platform = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  Object.defineProperty(globalThis, 'crypto', { value: undefined, configurable: true });
  try {
    const ids = [fake().id, fake().id];
    assert.match(ids[0], /^[0-9a-f]{32}$/);
    assert.notEqual(ids[0], ids[1]);
    assert.notEqual(ids[0].slice(0, 16), ids[0].slice(16));
  } finally {
    if (platform === undefined)
      delete globalThis.crypto;
    else
      Object.defineProperty(globalThis, 'crypto', platform);
  }
});

test('a storage keeps the id over reloads; one that is forbidden does no harm', () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  admitted({ storage });
  assert.deepEqual([...kept], [['linnet.client-id', 'given']]);
  fake({ storage }).connect();
  assert.equal(FakeSocket.last.url.searchParams.get('client_id'), 'given');
  const forbid = () => { throw new Error('forbidden'); };
  assert.equal(admitted({ storage: { getItem: forbid, setItem: forbid } }).id, 'given');
});

test('two with one id are told apart by the server, and go by what it says', async ({ broker }) => {
  const [first, second] = [await connected(broker, { clientId: 'same' }), await connected(broker, { clientId: 'same' })];
  assert.equal(first.id, 'same');
  assert.notEqual(second.id, 'same');
  assert.equal(second.id, broker.last.info.id);
});

test('what it says of itself', async () => {
  fake({ clientId: '0123456789' }).connect();
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent[0].payload,
    { clientId: '0123456789', clientName: 'client-01234567', clientType: 'generic', clientUrl: '' });
});

/* ---- tokens ---- */

test('a token is asked for before each attempt, and may take its time', async () => {
  let asked = 0;
  const made = fake({ token: async () => { await null; asked += 1; return `t ${asked}`; }, reconnectDelay: 1 });
  made.connect();
  assert.equal(FakeSocket.made.length, 0);
  await until('it dials', () => FakeSocket.made.length === 1);
  FakeSocket.last.admit();
  FakeSocket.last.fail();
  await until('it dials again', () => FakeSocket.made.length === 2);
  assert.deepEqual(FakeSocket.made.map(({ url }) => url.searchParams.get('token')), ['t 1', 't 2']);
});

test('a token may be a text, or nothing', async () => {
  for (const [token, sent] of [['fixed', 'fixed'], [() => 'made', 'made'], [null, null], [() => '', null], [async () => undefined, null]]) {
    const made = fake({ token });
    made.connect();
    await until('it dials', () => FakeSocket.made.length === 1);
    assert.equal(FakeSocket.last.url.searchParams.get('token'), sent);
  }
});

test('no token, no attempt: it is asked again', async () => {
  let asked = 0;
  const made = fake({ token: () => { asked += 1; return asked > 1 ? 'ok' : Promise.reject(new Error('no session')); }, reconnectDelay: 1 });
  const error = await failure(made.connect());
  assert.deepEqual([error.code, error.message], ['connection-failed', 'Connection failed: no session']);
  await until('it dials', () => FakeSocket.made.length === 1);
  assert.equal(asked, 2);
  const thrower = fake({ token: () => { throw new Error('at once'); }, autoReconnect: false });
  assert.equal((await failure(thrower.connect())).message, 'Connection failed: at once');
});

test('a token that comes when nobody wants it any more opens nothing', async () => {
  const give = [];
  const token = () => new Promise((resolve) => give.push(resolve));
  const made = fake({ token, connectionTimeout: 30, reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  assert.equal((await failure(made.connect())).code, 'timeout');
  const promise = made.connect();
  made.disconnect();
  assert.equal((await failure(promise)).code, 'connection-failed');
  made.connect();
  give[0]('late');
  give[1]('given up');
  await pause(1);
  assert.equal(FakeSocket.made.length, 0);
  give[2]('wanted');
  await until('it dials', () => FakeSocket.made.length > 0);
  assert.deepEqual(FakeSocket.made.map(({ url }) => url.searchParams.get('token')), ['wanted']);
});

/* ---- requests ---- */

test('errors in every shape there is', async () => {
  const made = admitted();
  const shapes = [
    [{ type: 'error', error: { code: 404, message: 'none' } }, 404, 'none'],
    [{ type: 'error', payload: { error: 'in the payload' } }, 500, 'in the payload'],
    [{ type: 'error', payload: { error: { code: 7, message: 'whole' } } }, 7, 'whole'],
    [{ type: 'response', error: { message: 'without a code' } }, 500, 'without a code'],
    [{ type: 'error', error: { code: 'x', message: 7 } }, 500, 'Unknown error'],
    [{ type: 'error' }, 500, 'Unknown error'],
  ];
  for (const [shape, code, message] of shapes) {
    const promise = failure(made.request('t'));
    const { id } = FakeSocket.last.sent.at(-1);
    FakeSocket.last.bring({ id, topic: 't', ...shape });
    const error = await promise;
    assert(error instanceof BrokerError);
    assert.deepEqual([error.code, error.message, error.topic, error.id], [code, message, 't', id]);
  }
  const fine = made.request('t');
  FakeSocket.last.bring({ id: FakeSocket.last.sent.at(-1).id, type: 'response', topic: 't', payload: { error: 'is data' } });
  assert.deepEqual(await fine, { error: 'is data' });
});

test('a request ends once: late, double and strange answers are counted', async () => {
  const made = admitted({ requestTimeout: 20 });
  const lines = diary(made);
  const [late, short, double] = [made.request('late'), made.request('short', null, 1), made.request('double', null, 5000)];
  const ids = FakeSocket.last.sent.slice(-3).map(({ id }) => id);
  const errors = await Promise.all([late, short].map(failure));
  assert.deepEqual(errors.map(({ code, message }) => [code, message]),
    [['timeout', 'Request timeout: late, 20 ms'], ['timeout', 'Request timeout: short, 1 ms']]);
  for (const id of [...ids, ids[2], 'strange'])
    FakeSocket.last.bring({ id, type: 'response', topic: 't', payload: 'answer' });
  FakeSocket.last.bring({ id: ids[0], type: 'error', topic: 't', error: { code: 500, message: 'late' } });
  FakeSocket.last.bring({ type: 'error', error: { code: 400, message: "nobody's" } });
  assert.equal(await double, 'answer');
  assert.deepEqual(lines, [...Array(5).fill('ignored late t'), "error 400 nobody's"]);
  assert.equal(made.stats.ignored, 5);
});

test('what waits when the connection breaks fails at once, and is not sent again', async ({ broker }) => {
  const made = await connected(broker, { reconnectDelay: 1 });
  let asked = 0;
  broker.handlers = { slow: () => { asked += 1; return new Promise(() => {}); }, fast: () => 'fast' };
  const ends = [1, 2, 3].map(() => failure(made.request('slow')));
  await until('they are asked', () => asked === 3);
  broker.last.terminate();
  for (const error of await Promise.all(ends)) {
    assert(error instanceof ClientError);
    assert.equal(error.code, 'connection-lost');
  }
  await until('it is back', () => made.isConnected());
  assert.equal(await made.request('fast'), 'fast');
  assert.equal(asked, 3);
});

test('an answer does not go out on another connection than its question came in on', async ({ broker }) => {
  const made = await connected(broker, { reconnectDelay: 1 });
  let finish;
  made.handle('slow', () => new Promise((resolve) => { finish = resolve; }));
  void broker.ask(broker.last, 'slow');
  await until('it is asked', () => finish !== undefined);
  broker.last.terminate();
  await until('it is back', () => made.isConnected() && broker.sockets.length === 2);
  broker.heard = [];
  finish('stale');
  broker.handlers.fast = () => 1;
  await made.request('fast');
  assert.deepEqual(typesOf(broker), ['request fast']);
});

test('a question without an id is heard and not answered; one before the registration is answered', async () => {
  const made = fake();
  const got = [];
  made.handle('t', (payload) => got.push(payload));
  made.connect();
  FakeSocket.last.open();
  FakeSocket.last.bring({ id: 'early', type: 'request', topic: 't', payload: 1 });
  FakeSocket.last.bring({ type: 'request', topic: 't', payload: 2 });
  await pause(0);
  assert.deepEqual([got, FakeSocket.last.sent.slice(1)], [[1, 2], [{ id: 'early', type: 'response', topic: 't', payload: 1 }]]);
});

test('other clients: who is there, and asking them', async ({ broker }) => {
  const [a, b] = [await connected(broker, { clientName: 'A' }), await connected(broker, { clientName: 'B', clientType: 'page' })];
  b.handle('add', ([x, y]) => x + y);
  b.handle('bad', () => { throw new BrokerError(7, 'no'); });
  b.handle('never', () => new Promise(() => {}));
  assert.deepEqual((await a.clients()).map(({ id, name }) => [id, name]), [[a.id, 'A'], [b.id, 'B']]);
  assert.deepEqual(await a.clients({ clientType: 'page' }), [{ id: b.id, name: 'B', clientType: 'page', clientUrl: '' }]);
  assert.deepEqual((await a.clients({ name: 'A' })).map(({ id }) => id), [a.id]);
  assert.deepEqual(await a.clients({ clientType: 'nobody' }), []);
  assert.equal(await a.call(b.id, 'add', [1, 2]), 3);
  const errors = await Promise.all([a.call(b.id, 'bad'), a.call('x', 'add'), a.call(b.id, 'never', null, 10)].map(failure));
  assert.match(errors[0].message, /^proxy target error: client .* responded with error \(code 7\) for request ID s\d+: no$/);
  assert.equal(errors[1].message, "proxy target client: client with ID 'x' not found");
  assert.equal(errors[2].code, 'timeout');
});

/* ---- subscriptions ---- */

test('filters match as the server matches them', () => {
  const made = admitted();
  const table = [['a.*', 'a.b a.', 'a a.b.c'], ['a.>', 'a.b a.b.c', 'a'], ['*.b', 'a.b', '$a.b'], ['>', 'a a.b', '$a $a.b'],
    ['a*.b', 'a*.b', 'ab.b'], ['*', 'a', 'a.b $a'], ['$a.*', '$a.b', 'a.b'], ['a.>.b', 'a.>.b', 'a.x.b'],
    ['a.*.c', 'a.b.c a..c', 'a.b a.b.c.d'], ['$SYS.>', '$SYS.x', 'x.y'], ['*.>', 'a.b', 'a $a.b']];
  for (const [filter, yes, no] of table) {
    const got = [];
    const end = made.subscribe(filter, (payload, topic) => got.push(topic));
    for (const topic of `${yes} ${no}`.split(' '))
      FakeSocket.last.bring({ type: 'publish', topic, payload: null });
    assert.deepEqual(got, yes.split(' '), filter);
    end();
  }
});

test('several handlers, in order, each once; one subscription on the wire', async ({ broker }) => {
  const made = await connected(broker);
  const got = [];
  const same = () => got.push('same');
  const ends = [made.subscribe('a.b', same), made.subscribe('a.b', same), made.subscribe('a.*', () => got.push('filter'))];
  await until('it is subscribed', () => broker.heard.length === 3);
  broker.publish('a.b', 1, [broker.last]);
  await until('it came', () => got.length === 3);
  assert.deepEqual(got, ['same', 'same', 'filter']);
  ends[0]();
  ends[0]();
  broker.publish('a.b', 1, [broker.last]);
  await until('it came', () => got.length === 5);
  assert.deepEqual(typesOf(broker), ['request system:register', 'subscribe_request a.b', 'subscribe_request a.*']);
  for (const end of [ends[1], ends[1], ends[2], ends[2]])
    end();
  await until('it says so', () => broker.heard.length === 5);
  await failure(made.request('nobody'));
  assert.deepEqual(typesOf(broker).slice(3), ['unsubscribe_request a.b', 'unsubscribe_request a.*', 'request nobody']);
});

test('a server without filters may publish to their names', () => {
  const made = admitted();
  const got = [];
  made.subscribe('a.*', (payload, topic) => got.push(topic));
  FakeSocket.last.bring({ type: 'publish', topic: 'a.*', payload: null });
  assert.deepEqual(got, ['a.*']);
});

test('handlers may end subscriptions, and begin some, while they are called', () => {
  const made = admitted();
  const got = [];
  made.subscribe('t', () => {
    got.push('first');
    made.unsubscribe('t');
    made.subscribe('t', () => got.push('new'));
  });
  made.subscribe('t', () => got.push('second'));
  FakeSocket.last.bring({ type: 'publish', topic: 't' });
  assert.deepEqual(got, ['first']);
  FakeSocket.last.bring({ type: 'publish', topic: 't' });
  assert.deepEqual(got, ['first', 'new']);
});

test('a handler that throws, now or later, is an error event and nothing more', async () => {
  const made = admitted();
  const lines = diary(made);
  const got = [];
  made.subscribe('t', () => { throw new Error('at once'); });
  made.subscribe('t', async () => { throw new Error('later'); });
  made.subscribe('t', (payload) => got.push(payload));
  FakeSocket.last.bring({ type: 'publish', topic: 't', payload: 1 });
  await pause(0);
  assert.deepEqual([got, lines], [[1], ['error undefined at once', 'error undefined later']]);
});

test('subscribed is told when the server has confirmed it, each time anew', async ({ broker }) => {
  const made = client(broker.url, { reconnectDelay: 1 });
  const lines = diary(made);
  made.subscribe('before', () => {});
  await made.connect();
  await subscribed(made, 'after', () => {});
  broker.last.terminate();
  await until('it is back', () => lines.filter((line) => line.startsWith('subscribed')).length === 4);
  assert.deepEqual(lines.filter((line) => line.startsWith('subscribed')),
    ['subscribed before', 'subscribed after', 'subscribed before', 'subscribed after']);
});

test('a subscription that is refused is an error with its topic', () => {
  const made = admitted();
  const errors = [];
  made.on('error', (error) => errors.push(error));
  made.subscribe('secret', () => {});
  const { id } = FakeSocket.last.sent.at(-1);
  FakeSocket.last.bring({ id, type: 'error', error: { code: 403, message: 'not you' } });
  assert.deepEqual(errors.map(({ code, message, topic }) => [code, message, topic]), [[403, 'not you', 'secret']]);
  FakeSocket.last.bring({ id, type: 'error', error: { code: 403, message: 'said twice' } });
  assert.deepEqual([errors.length, made.stats.ignored], [1, 1]);
});

test('what was said of a subscription on a connection that is gone is late', async () => {
  const made = admitted({ reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  const lines = diary(made);
  made.subscribe('t', () => {});
  const { id } = FakeSocket.last.sent.at(-1);
  FakeSocket.last.fail();
  made.connect();
  FakeSocket.last.admit();
  lines.length = 0;
  FakeSocket.last.bring({ id, type: 'subscription_ack', topic: 't', payload: { status: 'subscribed', topic: 't' } });
  FakeSocket.last.bring({ id, type: 'error', error: { code: 403, message: 'not you' } });
  assert.deepEqual(lines, ['ignored late ']);
});

/* ---- what is malformed ---- */

const NO_JSON = ['', '{', 'null', '[]', '7', '"x"', Buffer.from([0xFF])];
const STRANGE = {
  current: {
    malformed: ['{"type":7}', '{"id":5,"type":"response"}', '{"type":"publish"}', '{"type":"publish","topic":""}',
      '{"type":"publish","topic":{}}'],
    unknown: ['{"type":"news","topic":"n"}', '{"topic":"n"}'],
  },
  legacy: {
    malformed: ['{}', '{"header":[]}', '{"header":{"type":7}}', '{"header":{"type":"event"}}',
      '{"header":{"correlationID":5,"type":"response"}}'],
    unknown: ['{"header":{"type":"news","topic":"n"}}', '{"header":{"topic":"n"}}'],
  },
};

test('what is no message is an error and a count, and what follows is handled', async ({ broker }) => {
  for (const [generation, { malformed, unknown }] of Object.entries(STRANGE)) {
    const made = await connected(broker, { generation });
    const lines = diary(made);
    const got = [];
    const bad = [...NO_JSON, ...malformed];
    made.handle('t', (payload) => got.push(payload));
    for (const text of [...bad, ...unknown])
      broker.last.send(text);
    broker.publish('unclaimed', 1, [broker.last]);
    await broker.ask(broker.last, 't', 1);
    assert.deepEqual(lines, [...bad.map(() => 'error malformed Received what is no message of a broker'),
      'ignored unknown-type n', 'ignored unknown-type n', 'ignored unclaimed unclaimed']);
    assert.deepEqual([got, made.stats], [[1], { queued: 0, dropped: 0, malformed: bad.length, ignored: 3 }]);
    assert.equal(made.isConnected(), true);
  }
});

test('JSON in a binary message is as good', async ({ broker }) => {
  const made = await connected(broker);
  const got = [];
  await subscribed(made, 't', (payload) => got.push(payload));
  broker.last.send(Buffer.from('{"type":"publish","topic":"t","payload":"ä"}\n'));
  await until('it came', () => got.length === 1);
  assert.deepEqual(got, ['ä']);
});

/* ---- how much ---- */

test('a message of a mebibyte is sent, one byte more is refused', async ({ broker }) => {
  const made = await connected(broker);
  broker.handlers = { size: (payload) => payload.length };
  const frame = '{"id":"","type":"request","topic":"size","payload":""}'.length;
  const room = 1048576 - frame - '00000000-2'.length;
  assert.equal(await made.request('size', 'x'.repeat(room)), room);
  const error = await failure(made.request('size', 'x'.repeat(room + 1)));
  assert(error instanceof RangeError);
  assert.equal(error.message, 'message size 1048577 exceeds maximum 1048576 bytes');
  assert((await failure(made.publish('t', 'ä'.repeat(524288)))) instanceof RangeError);
  assert.throws(() => made.tryPublish('t', 'x'.repeat(1048576)), RangeError);
  made.handle('big', () => 'x'.repeat(1048576));
  assert.equal((await broker.ask(broker.last, 'big')).error.message, 'Client failed to create response envelope');
  assert.equal(made.isConnected(), true);
});

test('what is no JSON is not sent', async () => {
  const made = admitted();
  const before = FakeSocket.last.sent.length;
  assert((await failure(made.publish('t', 1n))) instanceof TypeError);
  assert((await failure(made.request('t', 1n))) instanceof TypeError);
  assert.equal(FakeSocket.last.sent.length, before);
});

test('when too much waits in the socket, a send is refused; drained() and drain tell when there is room', async () => {
  const frame = JSON.stringify({ type: 'publish', topic: 't', payload: '' }).length;
  const made = admitted({ maxBufferedAmount: 60 + frame + 4 });
  const lines = diary(made);
  FakeSocket.last.bufferedAmount = 60;
  assert.equal(made.tryPublish('t', 'ää'), true);
  assert.equal(made.tryPublish('t', 'ääa'), false);
  assert.equal((await failure(made.publish('t', 'ääa'))).code, 'buffer-full');
  assert.equal((await failure(made.request('t', 'x'.repeat(100)))).code, 'buffer-full');
  const room = made.drained();
  FakeSocket.last.bufferedAmount = 0;
  await room;
  assert.deepEqual([made.bufferedAmount, lines], [0, ['drain']]);
  assert.equal(made.tryPublish('t', 'x'.repeat(100)), true);
});

/* ---- the queue ---- */

test('nothing is queued unless it is asked for', async () => {
  const made = fake();
  for (const promise of [made.publish('t'), made.request('t')])
    assert.equal((await failure(promise)).code, 'not-connected');
  assert.equal(made.tryPublish('t'), false);
  assert.deepEqual(made.stats, { queued: 0, dropped: 0, malformed: 0, ignored: 0 });
});

test('what was queued is sent in order, after the subscriptions and before open', async ({ broker }) => {
  const made = client(broker.url, { queueLimit: 10 });
  const lines = [];
  made.subscribe('t', (payload) => lines.push(payload));
  made.on('open', () => lines.push('open'));
  const promises = [1, 2, 3].map((n) => made.publish('t', n).then(() => lines.push(`sent ${n}`)));
  assert.equal(made.tryPublish('t', 'not this'), false);
  assert.equal(made.stats.queued, 3);
  await made.connect();
  await Promise.all(promises);
  await until('they came', () => lines.includes(3));
  assert.deepEqual(lines, ['open', 'sent 1', 'sent 2', 'sent 3', 1, 2, 3]);
  assert.deepEqual(made.stats, { queued: 0, dropped: 0, malformed: 0, ignored: 0 });
});

test('the queue has an end: at its limit, and at its bytes', async () => {
  const made = fake({ queueLimit: 2 });
  const promises = [made.publish('t'), made.publish('t')];
  const error = await failure(made.publish('t'));
  assert.deepEqual([error.code, made.stats.queued, made.stats.dropped], ['queue-full', 2, 1]);
  made.connect();
  FakeSocket.last.admit();
  await Promise.all(promises);
  const frame = JSON.stringify({ type: 'publish', topic: 't', payload: '' }).length;
  const small = fake({ queueLimit: 9, maxBufferedAmount: frame + 3 });
  const ends = [small.publish('t', 'x'.repeat(4)), small.publish('t', 'xyz'), small.publish('t', '')];
  assert.deepEqual([(await failure(ends[0])).code, (await failure(ends[2])).code, small.stats.queued, small.stats.dropped],
    ['queue-full', 'queue-full', 1, 2]);
  small.connect();
  FakeSocket.last.admit();
  await ends[1];
  small.disconnect();
  const again = small.publish('t', 'abc'); // the bytes are given back
  assert.equal(small.stats.queued, 1);
  small.disconnect();
  assert.equal((await failure(again)).code, 'not-connected');
});

test('what waited too long is not sent, also after a sleep', async () => {
  const made = fake({ queueLimit: 9, queueExpiry: 20 });
  const error = await failure(made.publish('t', 'old'));
  assert.deepEqual([error.code, made.stats.queued, made.stats.dropped], ['expired', 0, 1]);
  const { now } = Date;
  const asleep = failure(made.publish('t', 'asleep'));
  Date.now = () => now() + 1000; // the timers have not run meanwhile
  try {
    made.connect();
    FakeSocket.last.admit();
  } finally {
    Date.now = now;
  }
  assert.equal((await asleep).code, 'expired');
  assert.equal(FakeSocket.last.sent.length, 1, 'the registration alone');
});

test('requests are queued if that is asked for, sent once, and their time runs', async ({ broker }) => {
  let asked = 0;
  broker.handlers = { t: (payload) => { asked += 1; return payload; }, slow: () => new Promise(() => {}) };
  const made = client(broker.url, { queueLimit: 9, queueRequests: true, reconnectDelay: 1 });
  const since = Date.now();
  assert.equal((await failure(made.request('t', 0, 10))).code, 'expired');
  assert(Date.now() - since < PATIENCE_MS, 'its own time-out came first');
  const [answer, late, lost] = [made.request('t', 1), failure(made.request('slow', 2, 1000)), failure(made.request('slow', 3))];
  await made.connect();
  assert.equal(await answer, 1);
  assert.equal((await late).code, 'timeout');
  broker.last.terminate();
  assert.equal((await lost).code, 'connection-lost');
  await until('it is back', () => made.isConnected() && broker.sockets.length === 2);
  assert.deepEqual([await made.request('t', 4), asked], [4, 2]);
});

test('a queue outlives failed attempts, but not disconnect()', async () => {
  const made = fake({ queueLimit: 9, queueRequests: true, reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  const ends = [made.publish('t', 1), made.request('t', 2)].map(failure);
  made.connect().catch(() => {});
  FakeSocket.last.fail();
  assert.equal(made.stats.queued, 2);
  made.disconnect();
  assert.deepEqual((await Promise.all(ends)).map(({ code }) => code), ['not-connected', 'not-connected']);
  assert.deepEqual(made.stats, { queued: 0, dropped: 2, malformed: 0, ignored: 0 });
});

test('what the socket does not take stays in the queue', async () => {
  const made = fake({ queueLimit: 9, reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  const promise = made.publish('t', 1);
  made.connect().catch(() => {});
  const [first] = FakeSocket.made;
  first.open();
  first.readyState = 2; // the server says goodbye while its reply is read
  first.bring({ type: 'response', id: first.sent[0].id, payload: { serverAssignedId: 'x' } });
  first.fail();
  assert.deepEqual([first.sent.length, made.stats.queued], [1, 1]);
  made.connect();
  FakeSocket.last.admit();
  await promise;
  assert.deepEqual(FakeSocket.last.sent[1], { type: 'publish', topic: 't', payload: 1 });
});

/* ---- the life of a connection ---- */

test('a client that is turned away comes back slower each time', async () => {
  const made = fake({ reconnectDelay: 8, maxReconnectDelay: 64 });
  const delays = [];
  const { random } = Math;
  Math.random = () => 0.5;
  try {
    made.on('reconnecting', ({ delay }) => delays.push(delay));
    made.on('error', () => {});
    made.connect().catch(() => {});
    for (let i = 0; i < 5; i++) {
      const { length } = FakeSocket.made;
      if (i === 4)
        FakeSocket.last.bring({ type: 'news' });
      FakeSocket.last.admit();
      if (i === 3)
        FakeSocket.last.bring({ type: 'publish', topic: 't' });
      FakeSocket.last.fail(1008);
      await until('the next attempt', () => FakeSocket.made.length > length);
    }
  } finally {
    Math.random = random;
  }
  assert.deepEqual(delays, [4, 8, 16, 4, 8], 'a registration alone is no success; what came after it is');
});

test('after disconnect() nothing is heard, and no timer left', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const made = admitted({ queueLimit: 5, reconnectDelay: 1e6, maxReconnectDelay: 1e6 });
  const got = [];
  made.subscribe('t', () => got.push(1));
  void made.request('a').catch(() => {});
  assert.equal(timers(), before + 1);
  FakeSocket.last.fail();
  assert.equal(timers(), before + 1, 'the wait');
  void made.publish('b').catch(() => {});
  assert.equal(timers(), before + 2, 'and the queue');
  made.disconnect();
  assert.equal(timers(), before);
  made.connect();
  FakeSocket.last.admit();
  made.disconnect();
  FakeSocket.last.bring({ type: 'publish', topic: 't' });
  assert.deepEqual([got, timers()], [[], before]);
});

test('a server that comes and goes: each request ends once, none is run twice', async ({ broker }) => {
  const made = client(broker.url, { reconnectDelay: 1, maxReconnectDelay: 5, queueLimit: 1000, queueRequests: true });
  const runs = new Map();
  const ends = [];
  const drops = setInterval(() => broker.open.forEach((socket) => socket.terminate()), 30);
  broker.handlers.work = (n) => {
    runs.set(n, (runs.get(n) ?? 0) + 1);
    return n;
  };
  made.on('error', () => {});
  made.connect().catch(() => {});
  for (let n = 0; n < 2000; n++) {
    ends.push(made.request('work', n).then((answer) => assert.equal(answer, n), (error) => error.code));
    if (n % 10 === 0)
      await pause(1);
  }
  clearInterval(drops);
  const codes = (await Promise.all(ends)).filter((code) => code !== undefined);
  assert(broker.sockets.length > 3, `${broker.sockets.length} connections`);
  assert(codes.every((code) => code === 'connection-lost'), [...new Set(codes)].join());
  assert([...runs.values()].every((count) => count === 1));
  assert(runs.size >= 2000 - codes.length);
});

/* ---- Node's own WebSocket ---- */

test("with Node's own WebSocket; and when it is done, the program ends", async ({ broker }) => {
  const script = join(folder(), 'own.mjs');
  broker.handlers.add = ([a, b]) => a + b;
  writeFileSync(script, `
    import { BrokerClient } from ${JSON.stringify(pathToFileURL(MODULE))};
    const client = new BrokerClient(${JSON.stringify(broker.url)}, { queueLimit: 1, queueRequests: true, clientId: 'own' });
    const got = new Promise((resolve) => client.subscribe('t', resolve));
    const early = client.request('add', [1, 2]);
    await client.connect();
    await client.publish('t', 'ä');
    const lines = [client.id, await early, await got, await client.request('x').catch(({ code }) => code)];
    const lost = client.request('add', [3, 4]).catch(({ code }) => code);
    client.disconnect();
    console.log([...lines, await lost].join());
  `);
  const flags = process.versions.node.startsWith('20.') ? ['--experimental-websocket'] : [];
  if (globalThis.WebSocket === undefined && flags.length === 0)
    return; // Node 18 has none
  const { stdout } = await run(process.execPath, [...flags, script]);
  assert.equal(stdout.trim(), 'own,3,ä,404,connection-lost');
});

test('no promise was left alone with its error', async () => {
  await pause(1);
  assert.deepEqual(unhandled, []);
});

await main(async () => {
  const broker = await new Broker().start();
  atEnd(() => broker.end());
  return { broker };
});
