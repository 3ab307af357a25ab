// SPDX-License-Identifier: MIT
/*
 * linnet.js - clients of a linnet server, for browsers and Node 18 or later: one file without dependencies.
 *
 *   Events          listeners by name
 *   Calls           answers that are waited for
 *   Connection      one WebSocket that comes back by itself
 *   Client          a Connection as its user sees it: what the clients of all dialects have
 *   Rpc             one end of JSON-RPC 2.0: calls both ways
 *   CommandClient   the command dialect: numbered commands in binary messages, with JSON-RPC beside them
 *   Wires           what a broker's messages look like: of the current and of the legacy generation
 *   Subscriptions   who wants which topics
 *   Queue           what waits for a connection, if it may
 *   BrokerClient    the broker dialect: topics, requests both ways, other clients
 *
 * It is no WebSocket itself: it takes the global one, or that of the options, and relies on nothing but what the
 * browsers' has. It queues nothing unless asked to: what cannot be sent now is not sent, and the sender is told.
 *
 * Invariants
 *   1. A call ends exactly once: by its answer, after its time, or with its connection.
 *   2. No timer outlives its purpose: after disconnect() only a closing socket keeps a program from ending.
 *   3. Whatever a function of the application's throws, at once or later, ends as an 'error' event (nobody listens:
 *      on the console) or as the answer to a call, and disturbs nothing else.
 *   4. A socket that was given up is not heard any more, and an answer never goes out on another connection than the
 *      one its question came in on.
 *   5. A call is sent once or not at all: what was sent on a connection that broke is not sent again.
 */

export const ConnectionState = Object.freeze({
  DISCONNECTED: 'DISCONNECTED',
  CONNECTING: 'CONNECTING',
  CONNECTED: 'CONNECTED',
  RECONNECTING: 'RECONNECTING',
  CLOSED: 'CLOSED',
});

/** Command ids that an application cannot have handlers for. */
export const ReservedCommands = Object.freeze({
  JSON_RPC: 0xFFFFFFFF,
  JSON_RPC_ERROR: 0xFFFFFFFE,
  INVALID_COMMAND: 0xFFFFFFFD,
  COMMAND_ERROR: 0xFFFFFFFC,
});

/** The codes of the specification; -32000 to -32099 are the implementations', all others free. */
export const RpcCode = Object.freeze({
  PARSE_ERROR: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_PARAMS: -32602,
  INTERNAL_ERROR: -32603,
});

export const MAX_PAYLOAD_BYTES = 10485760;

const DEFAULTS = {
  autoReconnect: true,
  reconnectDelay: 3000,           // ms; the most that the first wait may be, doubled per failure
  maxReconnectDelay: 30000,       // ms; the most that any may be
  maxReconnectAttempts: Infinity, // in a row
  connectionTimeout: 10000,       // ms
  requestTimeout: 30000,          // ms
  maxBufferedAmount: 16 << 20,    // bytes that may wait in the socket
  debug: false,
};
const HEADER_BYTES = 4;
const STEADY_MS = 10000;   // a connection that lasted this long was a success even if it brought nothing
const DRAIN_MS = 20;       // sockets do not tell when their buffer empties: it is looked at this often
const TIMER_MAX_MS = 2 ** 31 - 1;
const DOUBLINGS_MAX = 30;
const NORMAL_CLOSURE = 1000;
const FAREWELL = 'Client disconnect';
const encoder = new TextEncoder();

/** What went wrong on this side; `code` says it to programs, see linnet.d.ts. */
export class ClientError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'ClientError';
    this.code = code;
  }
}

/** A JSON-RPC error: the answer to a call, or thrown by a method here to choose what the server gets. */
export class RpcError extends Error {
  constructor(code, message, data) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
    this.data = data;
  }
}

// Without what is undefined: that is as good as left out.
function given(options) {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined));
}

// As setTimeout(), which takes what is too long for it to mean at once.
function after(ms, run) {
  return ms <= TIMER_MAX_MS ? setTimeout(run, ms) : undefined;
}

// As value.then(run), but at once if it is no promise.
function when(value, run) {
  return typeof value?.then === 'function' ? value.then(run) : run(value);
}

// Runs what the application has given; what it throws or rejects with goes to `fault`.
function attempt(run, fault) {
  try {
    const result = run();
    if (typeof result?.then === 'function')
      result.then(undefined, fault);
  } catch (error) {
    fault(error);
  }
}

// In bytes, as they are sent.
function sizeOf(data) {
  return typeof data === 'string' ? encoder.encode(data).byteLength : data.byteLength;
}

/* ---- listeners ---- */

class Events {
  #listeners = new Map(); // name -> Set of functions

  add(name, listener) {
    if (typeof listener !== 'function')
      throw new TypeError('a listener is a function');
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  // Without `listener`: all of that name.
  remove(name, listener) {
    if (listener === undefined)
      this.#listeners.get(name)?.clear();
    else
      this.#listeners.get(name)?.delete(listener);
  }

  // Calls who listened before and still does. False if that was nobody.
  emit(name, ...values) {
    const listeners = this.#listeners.get(name) ?? new Set();
    const fault = name === 'error' ? (error) => console.error(error) : (error) => this.fault(error);
    const called = [...listeners];
    for (const listener of called) {
      if (listeners.has(listener))
        attempt(() => listener(...values), fault);
    }
    return called.length > 0;
  }

  // An error that would otherwise be lost.
  fault(error) {
    if (!this.emit('error', error))
      console.error(error);
  }
}

/* ---- calls ---- */

class Calls {
  #waiting = new Map(); // id -> {resolve, reject, timer}
  #last = 0;

  // An id that no call has.
  nextId() {
    do
      this.#last += 1;
    while (this.#waiting.has(this.#last));
    return this.#last;
  }

  has(id) {
    return this.#waiting.has(id);
  }

  /** @returns a promise of what end() gets, rejected with `complaint` after `timeout` ms, or by endAll(). */
  add(id, timeout, complaint = 'JSON-RPC request timeout') {
    return new Promise((resolve, reject) => {
      const timer = after(timeout, () => this.end(id, new ClientError('timeout', complaint)));
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  // With an Error or a value. False if no such call waits.
  end(id, outcome) {
    const call = this.#waiting.get(id);
    if (call === undefined)
      return false;
    this.#waiting.delete(id);
    clearTimeout(call.timer);
    (outcome instanceof Error ? call.reject : call.resolve)(outcome);
    return true;
  }

  endAll(error) {
    for (const id of [...this.#waiting.keys()])
      this.end(id, error);
  }
}

/* ---- the connection ---- */

/*
 *   state          left for        when
 *   DISCONNECTED   CONNECTING      connect()
 *   CONNECTING     CONNECTED       it opens, and whoever has an onOpen() calls admit()
 *                  RECONNECTING    it fails or takes too long, and there is an attempt left
 *                  DISCONNECTED    likewise, and there is none
 *   CONNECTED      RECONNECTING    it closes, or
 *                  DISCONNECTED    likewise
 *   RECONNECTING   CONNECTING      the wait is over, the network is back, connect()
 *   CLOSED         DISCONNECTED    the socket that was closing has closed; by connect() it is taken as closed
 *   any            CLOSED          disconnect()
 *
 * The wait is full jitter: anything between nothing and reconnectDelay doubled per failure, never above
 * maxReconnectDelay. So the clients of a server that went away do not come back all at once. What ends the doubling is
 * a connection that brought something or lasted; one that only opened does not, lest a server that turns people away
 * at the door be asked for ever.
 */
class Connection {
  #options;
  #hooks;
  #session = null;  // {socket, openedAt: 0 until it is open, hasHeard}
  #opening = null;  // {promise, resolve, reject} of the attempt
  #timer;           // of the attempt or of the wait
  #failures = 0;
  #drains = [];     // {resolve, reject}: who waits for room
  #isRefusing = false;
  #drainTimer;
  #wake = () => this.#try();

  events = new Events();
  state = ConnectionState.DISCONNECTED;
  serial = 0;       // counts connections

  /**
   * onData(data) gets each message, onLost(error) is told before anybody else that a connection or an attempt has
   * ended. onOpen(), if there is one, has a socket that opened to itself, until it calls admit() or refuse().
   */
  constructor(options, hooks) {
    this.#options = { ...DEFAULTS, WebSocket: globalThis.WebSocket, ...given(options) };
    this.#hooks = hooks;
    if (typeof this.#options.url !== 'string' && typeof this.#options.url !== 'function')
      throw new TypeError('options.url is missing');
    if (typeof this.#options.WebSocket !== 'function')
      throw new TypeError('there is no global WebSocket: options.WebSocket is to be one');
  }

  get isConnected() {
    return this.state === ConnectionState.CONNECTED && this.#session.socket.readyState === 1;
  }

  get bufferedAmount() {
    return this.#session?.socket.bufferedAmount ?? 0;
  }

  get requestTimeout() {
    return this.#options.requestTimeout;
  }

  log(...words) {
    if (this.#options.debug)
      console.log('[linnet]', ...words);
  }

  connect() {
    if (this.state === ConnectionState.CONNECTED || this.state === ConnectionState.CONNECTING)
      return this.#opening.promise;
    if (this.state !== ConnectionState.RECONNECTING)
      this.#failures = 0;
    if (this.state === ConnectionState.CLOSED)
      this.#finish({ code: NORMAL_CLOSURE, reason: FAREWELL, wasClean: false });
    return this.state === ConnectionState.CONNECTING ? this.#opening.promise : this.#try(); // a listener was first
  }

  disconnect() {
    const session = this.#session;
    const wasConnecting = this.state === ConnectionState.CONNECTING;
    if (this.state === ConnectionState.CLOSED)
      return;
    this.#letGo(new ClientError('connection-lost', 'Connection lost: Client disconnect'));
    if (wasConnecting)
      this.#opening.reject(new ClientError('connection-failed', 'Connection failed: Client disconnect'));
    if (session !== null)
      session.socket.onmessage = null;
    session?.socket.close(NORMAL_CLOSURE, FAREWELL);
    this.#enter(ConnectionState.CLOSED);
  }

  /** Sends bytes or text at once or not at all. @returns '' if sent, else why not: a ClientError's code. */
  send(data) {
    if (!this.isConnected)
      return 'not-connected';
    const { socket } = this.#session;
    const waiting = socket.bufferedAmount;
    if (waiting > 0 && waiting + sizeOf(data) > this.#options.maxBufferedAmount) {
      this.#isRefusing = true;
      this.#watch();
      return 'buffer-full';
    }
    socket.send(data);
    return '';
  }

  /** Sends what is bounded otherwise, also before admit(). @returns false without an open socket: nothing was sent. */
  post(data) {
    if (this.#session?.socket.readyState !== 1)
      return false;
    this.#session.socket.send(data);
    return true;
  }

  /** The end of CONNECTING: what onOpen() wanted is there. */
  admit() {
    const session = this.#session;
    clearTimeout(this.#timer);
    session.hasHeard = false;
    this.#opening.resolve();
    this.#enter(ConnectionState.CONNECTED);
    if (this.#session !== session || !this.isConnected) // a listener closed it: there is no 'open', and no 'close'
      return;
    session.openedAt = performance.now();
    this.events.emit('open');
  }

  /** The other end of CONNECTING. */
  refuse(error) {
    this.#lose(null, error);
  }

  drained() {
    if (!this.isConnected)
      return Promise.reject(new ClientError('not-connected', 'Not connected to server'));
    return new Promise((resolve, reject) => {
      this.#drains.push({ resolve, reject });
      this.#look();
    });
  }

  #enter(state) {
    const before = this.state;
    if (before === state)
      return;
    this.state = state;
    this.log(before, '->', state);
    this.events.emit('state', state, before);
  }

  // An attempt. Nobody may be waiting for its promise, which then is no unhandled rejection.
  #try() {
    const opening = {};
    opening.promise = new Promise((resolve, reject) => Object.assign(opening, { resolve, reject }));
    opening.promise.catch(() => {});
    this.#stopWaiting();
    this.#opening = opening;
    this.#enter(ConnectionState.CONNECTING);
    if (this.#opening === opening && this.state === ConnectionState.CONNECTING) // a listener may have had other wishes
      this.#dial();
    return opening.promise;
  }

  // The address may take its time; the attempt may be over when it is there.
  #dial() {
    const { url, WebSocket, connectionTimeout } = this.#options;
    const opening = this.#opening;
    const isWanted = () => this.#opening === opening && this.state === ConnectionState.CONNECTING;
    const attach = (address) => {
      if (isWanted())
        this.#attach(new WebSocket(address));
    };
    const fail = (error) => {
      if (isWanted())
        this.#lose(null, new ClientError('connection-failed', `Connection failed: ${error?.message ?? error}`));
    };
    this.#timer = after(connectionTimeout, () => this.#lose(null, new ClientError('timeout', 'Connection timeout')));
    attempt(() => when(typeof url === 'function' ? url() : url, attach), fail);
  }

  #attach(socket) {
    const session = { socket, openedAt: 0, hasHeard: false };
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#open();
    socket.onmessage = ({ data }) => {
      session.hasHeard = true;
      this.#hooks.onData(data);
    };
    socket.onclose = (event) => this.#closed(event);
    socket.onerror = () => {}; // says nothing, and a close follows; Node's ws wants a listener
    this.#session = session;
  }

  #detach() {
    const session = this.#session;
    this.#session = null;
    if (session !== null)
      session.socket.onopen = session.socket.onmessage = session.socket.onclose = null;
    return session;
  }

  #open() {
    if (this.state !== ConnectionState.CONNECTING)
      return;
    this.serial += 1;
    if (this.#hooks.onOpen === undefined)
      this.admit();
    else
      this.#hooks.onOpen();
  }

  #closed({ code, reason, wasClean }) {
    const info = { code, reason, wasClean };
    if (this.state === ConnectionState.CLOSED)
      this.#finish(info);
    else if (this.state === ConnectionState.CONNECTED)
      this.#lose(info, new ClientError('connection-lost', `Connection lost: ${reason || code}`));
    else
      this.#lose(info, new ClientError('connection-failed', `Connection failed: ${reason || 'Unknown error'}`));
  }

  // The end that disconnect() began.
  #finish(info) {
    const session = this.#detach();
    this.#enter(ConnectionState.DISCONNECTED);
    if (session !== null && session.openedAt > 0)
      this.events.emit('close', info);
  }

  // The attempt or the connection has failed. What is told to listeners comes last: they may do as they like.
  #lose(info, error) {
    const session = this.#detach();
    const wasOpen = session !== null && session.openedAt > 0;
    this.#letGo(error);
    session?.socket.close();
    if (wasOpen && (session.hasHeard || performance.now() - session.openedAt >= STEADY_MS))
      this.#failures = 0;
    const delay = this.#plan();
    const timer = this.#timer;
    this.#opening.reject(error);
    this.#enter(delay === null ? ConnectionState.DISCONNECTED : ConnectionState.RECONNECTING);
    if (wasOpen)
      this.events.emit('close', info);
    else
      this.events.emit('error', error);
    if (delay !== null && this.#timer === timer && this.state === ConnectionState.RECONNECTING)
      this.events.emit('reconnecting', { attempt: this.#failures, delay });
  }

  /** Sets the timer for the next attempt. @returns its delay in ms, null if there is to be none. */
  #plan() {
    const { autoReconnect, maxReconnectAttempts, reconnectDelay, maxReconnectDelay } = this.#options;
    if (!autoReconnect || this.#failures >= maxReconnectAttempts)
      return null;
    const most = Math.min(maxReconnectDelay, reconnectDelay * 2 ** Math.min(this.#failures, DOUBLINGS_MAX));
    const delay = Math.random() * most;
    this.#failures += 1;
    this.#timer = after(delay, this.#wake);
    globalThis.addEventListener?.('online', this.#wake);
    return delay;
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    globalThis.removeEventListener?.('online', this.#wake);
  }

  // Nothing that waits for this connection waits any longer.
  #letGo(error) {
    this.#stopWaiting();
    clearTimeout(this.#drainTimer);
    this.#drainTimer = undefined;
    this.#isRefusing = false;
    this.#drains.splice(0).forEach(({ reject }) => reject(error));
    this.#hooks.onLost(error);
  }

  #watch() {
    this.#drainTimer ??= setTimeout(() => {
      this.#drainTimer = undefined;
      this.#look();
    }, DRAIN_MS);
  }

  // There is room again when no more than half of what may wait does.
  #look() {
    const most = Math.min(this.#options.maxBufferedAmount, DEFAULTS.maxBufferedAmount) / 2;
    if (this.bufferedAmount > most) {
      this.#watch();
      return;
    }
    const wasRefusing = this.#isRefusing;
    this.#isRefusing = false;
    this.#drains.splice(0).forEach(({ resolve }) => resolve());
    if (wasRefusing)
      this.events.emit('drain');
  }
}

/* ---- what clients have in common ---- */

class Client {
  #connection;

  constructor(connection) {
    this.#connection = connection;
  }

  /** Connects now. @returns a promise of this attempt; if it fails, others follow as long as autoReconnect says so. */
  connect() {
    return this.#connection.connect();
  }

  /** Ends the connection, or the attempts to have one. What was sent before still leaves. */
  disconnect() {
    this.#connection.disconnect();
  }

  isConnected() {
    return this.#connection.isConnected;
  }

  getState() {
    return this.#connection.state;
  }

  /** Bytes that were sent and wait for the network. */
  get bufferedAmount() {
    return this.#connection.bufferedAmount;
  }

  /** @returns a promise that there is room again: kept when no more than half of maxBufferedAmount waits. */
  drained() {
    return this.#connection.drained();
  }

  /** Adds a listener: 'open', 'close', 'reconnecting', 'state', 'error' or 'drain'. */
  on(event, listener) {
    this.#connection.events.add(event, listener);
  }

  /** Removes a listener, or all of an event. */
  off(event, listener) {
    this.#connection.events.remove(event, listener);
  }
}

/* ---- JSON-RPC ---- */

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value) => value === null || typeof value === 'string' || typeof value === 'number';

function isRequest({ jsonrpc, method, params, id }) {
  return jsonrpc === '2.0' && typeof method === 'string' && (id === undefined || isId(id))
    && (params === undefined || (typeof params === 'object' && params !== null));
}

// Some servers leave out a result that is nothing.
function isAnswer(message) {
  return message.method === undefined && (message.id !== undefined || message.error !== undefined);
}

// What an answer says that is an error, else null; in JSON-RPC 1.0 it may be of any shape.
function errorOf({ error = null }) {
  if (error === null)
    return null;
  const { code, message, data } = isObject(error) ? error : { code: RpcCode.INTERNAL_ERROR, message: String(error), data: error };
  return new RpcError(code, message, data);
}

// An answer: what an RpcError says, of any other error its message, or a result.
function write(outcome, id) {
  if (!(outcome instanceof Error))
    return `{"jsonrpc":"2.0","result":${JSON.stringify(outcome) ?? 'null'},"id":${JSON.stringify(id)}}`;
  const isChosen = outcome instanceof RpcError && Number.isInteger(outcome.code);
  const { code, message, data } = isChosen ? outcome : new RpcError(RpcCode.INTERNAL_ERROR, outcome.message);
  return JSON.stringify({ jsonrpc: '2.0', error: { code, message, data }, id });
}

class Rpc {
  #calls = new Calls();
  #batches = new Set(); // {ids of its calls, size, error: null unless it was refused as a whole}
  #silent = { size: 0, until: 0 }; // the largest one of late in which nothing wants an answer
  #methods = new Map();
  #send;
  #fault;

  /** send(text) throws if it cannot; fault(error) gets errors that belong to no call. */
  constructor({ send, fault }) {
    this.#send = send;
    this.#fault = fault;
  }

  register(name, method) {
    if (typeof name !== 'string' || typeof method !== 'function')
      throw new TypeError('a method has a name and is a function');
    this.#methods.set(name, method);
  }

  unregister(name) {
    this.#methods.delete(name);
  }

  /** @returns a promise of the whole answer. */
  request({ method, params, id = this.#calls.nextId(), timeout }) {
    if (typeof id !== 'string' && typeof id !== 'number')
      throw new TypeError('an id is a string or a number');
    if (this.#calls.has(id))
      throw new ClientError('duplicate-id', `A call with the id ${id} waits already`);
    this.#send(JSON.stringify({ jsonrpc: '2.0', method, params, id }));
    return this.#calls.add(id, timeout);
  }

  notify(method, params) {
    this.#send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  }

  /** @returns a promise of how each ended, as Promise.allSettled() tells it. */
  async batch(calls, timeout) {
    const requests = calls.map(({ method, params, isNotification }) =>
      ({ jsonrpc: '2.0', method, params, id: isNotification ? undefined : this.#calls.nextId() }));
    if (requests.length === 0)
      return [];
    this.#send(JSON.stringify(requests));
    const batch = { ids: requests.map(({ id }) => id).filter((id) => id !== undefined), size: requests.length, error: null };
    this.#noteBatch(batch, Date.now() + timeout);
    const ends = await Promise.allSettled(requests.map(({ id }) =>
      id === undefined ? undefined : this.#calls.add(id, timeout).then(({ result }) => result)));
    this.#batches.delete(batch);
    return batch.error === null ? ends : ends.map(() => ({ status: 'rejected', reason: batch.error }));
  }

  endAll(error) {
    this.#silent = { size: 0, until: 0 };
    this.#calls.endAll(error);
  }

  /** Takes a message of the other side's; reply(text) gets what it is answered with, at once or later. */
  async take(bytes, reply) {
    let value;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch {
      reply(write(new RpcError(RpcCode.PARSE_ERROR, 'Parse error'), null));
      return;
    }
    const isBatch = Array.isArray(value) && value.length > 0;
    const answers = await Promise.all((isBatch ? value : [value]).map((each) => this.#answer(each)));
    const text = answers.filter((answer) => answer !== '').join();
    if (text !== '')
      reply(isBatch ? `[${text}]` : text);
  }

  // '' to what wants no answer.
  #answer(message) {
    if (isObject(message) && isAnswer(message)) {
      this.#end(message);
      return '';
    }
    if (isObject(message) && isRequest(message))
      return this.#serve(message);
    const id = isObject(message) && isId(message.id) ? message.id : null;
    return write(new RpcError(RpcCode.INVALID_REQUEST, 'Invalid Request'), id);
  }

  // An answer that comes too late finds nobody; an error without an id is a whole batch's, or nobody's in particular.
  #end(message) {
    const { id } = message;
    const outcome = errorOf(message) ?? message;
    if (!this.#calls.end(id, outcome) && outcome instanceof RpcError && (id ?? null) === null && !this.#endBatch(outcome))
      this.#fault(outcome);
  }

  #noteBatch(batch, until) {
    if (batch.ids.length > 0)
      this.#batches.add(batch);
    else
      this.#silent = { size: Math.max(batch.size, Date.now() < this.#silent.until ? this.#silent.size : 0), until };
  }

  // Of those without any answer the largest: if a smaller one was too large, so was that, and has an error of its own
  // on the way. False if there is none, or if it is one that nobody waits for.
  #endBatch(error) {
    const waiting = [...this.#batches].filter(({ ids }) => ids.every((id) => this.#calls.has(id)));
    const refused = waiting.reduce((most, batch) => (batch.size > (most?.size ?? 0) ? batch : most), undefined);
    if (refused === undefined || (refused.size < this.#silent.size && Date.now() < this.#silent.until))
      return false;
    this.#batches.delete(refused);
    refused.error = error;
    refused.ids.forEach((id) => this.#calls.end(id, error));
    return true;
  }

  async #serve({ method, params, id }) {
    const outcome = await this.#run(method, params);
    if (id === undefined) {
      if (outcome instanceof Error && this.#methods.has(method))
        this.#fault(outcome);
      return '';
    }
    try {
      return write(outcome, id);
    } catch { // a result that is no JSON
      return write(new RpcError(RpcCode.INTERNAL_ERROR, 'Internal error'), id);
    }
  }

  // The result, or an Error.
  async #run(method, params) {
    const run = this.#methods.get(method);
    if (run === undefined)
      return new RpcError(RpcCode.METHOD_NOT_FOUND, 'Method not found');
    try {
      return await run(params);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

/* ---- commands ---- */

const REFUSALS = {
  'not-connected': 'Not connected to server',
  'buffer-full': 'Too much waits to be sent already',
};

function checkSize(bytes) {
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new RangeError(`payload size ${bytes} exceeds maximum ${MAX_PAYLOAD_BYTES} bytes`);
}

function checkId(id) {
  if (!Number.isInteger(id) || id < 0 || id > 0xFFFFFFFF)
    throw new RangeError(`Command ID ${id} is no unsigned 32-bit number`);
}

function view(payload) {
  if (!payload)
    return new Uint8Array(0);
  if (ArrayBuffer.isView(payload))
    return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload instanceof ArrayBuffer)
    return new Uint8Array(payload);
  throw new TypeError('a payload is an ArrayBuffer or a view of one; sendString() takes text');
}

// A message with `room` bytes for a payload.
function frame(id, room) {
  checkId(id);
  const bytes = new Uint8Array(HEADER_BYTES + room);
  new DataView(bytes.buffer).setUint32(0, id);
  return bytes;
}

function encode(id, payload) {
  const bytes = view(payload);
  checkSize(bytes.byteLength);
  const message = frame(id, bytes.byteLength);
  message.set(bytes, HEADER_BYTES);
  return message;
}

// Three bytes are the most that a UTF-16 unit becomes: so the text is written once, into its place.
function encodeText(id, text) {
  const message = frame(id, 3 * text.length);
  const { written } = encoder.encodeInto(text, message.subarray(HEADER_BYTES));
  checkSize(written);
  return message.subarray(0, HEADER_BYTES + written);
}

/** A client of the command dialect. */
export class CommandClient extends Client {
  #connection;
  #rpc;
  #handlers = new Map(); // command id -> function

  constructor(options) {
    const connection = new Connection(options, {
      onData: (data) => this.#take(data),
      onLost: (error) => this.#rpc.endAll(error),
    });
    super(connection);
    this.#connection = connection;
    this.#rpc = new Rpc({
      send: (text) => this.#transmit(encodeText(ReservedCommands.JSON_RPC, text)),
      fault: (error) => connection.events.fault(error),
    });
  }

  /**
   * A number: handles a command by handler(payload, id), instead of who did so far. The payload is a Uint8Array that
   * lies in the received message. A string: adds a listener, as Client has it.
   */
  on(idOrEvent, handler) {
    if (typeof idOrEvent !== 'number') {
      super.on(idOrEvent, handler);
      return;
    }
    checkId(idOrEvent);
    if (idOrEvent >= ReservedCommands.COMMAND_ERROR)
      throw new Error(`Command ID ${idOrEvent.toString(16)} is reserved`);
    if (typeof handler !== 'function')
      throw new TypeError('a handler is a function');
    this.#handlers.set(idOrEvent, handler);
  }

  off(idOrEvent, listener) {
    if (typeof idOrEvent === 'number')
      this.#handlers.delete(idOrEvent);
    else
      super.off(idOrEvent, listener);
  }

  /** Sends a command. @returns a promise, rejected if it was not sent: a ClientError, a RangeError, a TypeError. */
  async send(id, payload) {
    this.#transmit(encode(id, payload));
  }

  /** As send(), for what has no worth later. @returns false at once if it was not sent. */
  trySend(id, payload) {
    return this.#connection.send(encode(id, payload)) === '';
  }

  async sendString(id, text) {
    this.#transmit(encodeText(id, String(text)));
  }

  async sendJSON(id, data) {
    this.#transmit(encodeText(id, JSON.stringify(data) ?? ''));
  }

  /** Calls a method. @returns a promise of the whole answer, rejected with an RpcError or a ClientError. */
  async sendJSONRPC(method, params, id) {
    return this.#rpc.request({ method, params, id, timeout: this.#connection.requestTimeout });
  }

  /** As sendJSONRPC(). @returns a promise of the result alone. */
  async call(method, params, { timeout = this.#connection.requestTimeout } = {}) {
    return (await this.#rpc.request({ method, params, timeout })).result;
  }

  /** Tells without asking: no answer comes. @returns a promise as send() has it. */
  async notify(method, params) {
    this.#rpc.notify(method, params);
  }

  /** Several {method, params, isNotification} in one message. @returns a promise of how each ended. */
  async batch(calls, { timeout = this.#connection.requestTimeout } = {}) {
    return this.#rpc.batch(calls, timeout);
  }

  /** Lets the server call method(params), whose result, or what it throws, is the answer; it may take its time. */
  register(name, method) {
    this.#rpc.register(name, method);
  }

  unregister(name) {
    this.#rpc.unregister(name);
  }

  #transmit(message) {
    const refusal = this.#connection.send(message);
    if (refusal !== '')
      throw new ClientError(refusal, REFUSALS[refusal]);
  }

  #take(data) {
    if (!(data instanceof ArrayBuffer) || data.byteLength < HEADER_BYTES) {
      this.#connection.events.fault(new ClientError('malformed', 'Received what is no command'));
      return;
    }
    const id = new DataView(data).getUint32(0);
    const payload = new Uint8Array(data, HEADER_BYTES);
    if (id === ReservedCommands.JSON_RPC || id === ReservedCommands.JSON_RPC_ERROR)
      this.#takeRpc(payload);
    else
      this.#dispatch(id, payload);
  }

  #dispatch(id, payload) {
    const handler = this.#handlers.get(id);
    if (handler === undefined)
      this.#connection.log(`nobody handles command ${id.toString(16)}, ${payload.byteLength} bytes`);
    else
      attempt(() => handler(payload, id), (error) => this.#connection.events.fault(error));
  }

  #takeRpc(payload) {
    const { serial } = this.#connection;
    const fault = (error) => this.#connection.events.fault(error);
    attempt(() => this.#rpc.take(payload, (text) => {
      if (this.#connection.serial === serial && this.#connection.isConnected)
        this.#transmit(encodeText(ReservedCommands.JSON_RPC, text));
    }), fault);
  }
}

/* ---- what a broker's messages look like ---- */

/** An error of the broker dialect: the answer to a request, or thrown by a handler here to choose what the asker gets. */
export class BrokerError extends Error {
  constructor(code, message, { topic = '', id = '' } = {}) {
    super(message);
    this.name = 'BrokerError';
    this.code = code;
    this.topic = topic;
    this.id = id;
  }
}

const SERVER_FAULT = 500;
const isText = (value) => value === undefined || typeof value === 'string';

// Errors come as {code, message} or as a text; some of either are incomplete.
function failureOf(error, { topic, id }) {
  const isWhole = isObject(error);
  const code = isWhole && Number.isInteger(error.code) ? error.code : SERVER_FAULT;
  const message = isWhole ? error.message : error;
  return new BrokerError(code, typeof message === 'string' && message !== '' ? message : 'Unknown error', { topic, id });
}

function describe(error) {
  return { code: error instanceof BrokerError && Number.isInteger(error.code) ? error.code : SERVER_FAULT, message: error.message };
}

/*
 * A wire writes messages as text, and reads a parsed one as {kind, id, topic, payload}, or as null if it is malformed:
 *
 *   'publication'   {topic, payload}
 *   'request'       {id, topic, payload} of the server
 *   'answer'        {id, payload} to a request, `payload` a BrokerError if it failed
 *   'registered'    {payload: the id that the server knows this client by}, if that is not an answer
 *   'ack'           {id, topic, isOn} to subscribe and unsubscribe
 *   'unknown'       {id, topic}
 */
const currentWire = Object.freeze({
  register: (id, { clientId, clientName, clientType, clientUrl }) =>
    currentWire.request(id, 'system:register', { clientId, clientName, clientType, clientUrl }),
  request: (id, topic, payload) => JSON.stringify({ id, type: 'request', topic, payload }),
  publish: (id, topic, payload) => JSON.stringify({ type: 'publish', topic, payload }),
  subscribe: (id, topic) => JSON.stringify({ id, type: 'subscribe_request', topic }),
  unsubscribe: (id, topic) => JSON.stringify({ id, type: 'unsubscribe_request', topic }),
  answer: ({ id, topic }, outcome) => JSON.stringify(outcome instanceof Error
    ? { id, type: 'error', topic, error: describe(outcome) }
    : { id, type: 'response', topic, payload: outcome }),

  read({ id, type, topic, payload, error }) {
    if (!isText(id) || !isText(type) || !isText(topic))
      return null;
    switch (type) {
      case 'publish':
        return topic ? { kind: 'publication', topic, payload } : null;
      case 'request':
        return { kind: 'request', id, topic: topic ?? '', payload };
      case 'response':
        return { kind: 'answer', id, topic, payload: error ? failureOf(error, { topic, id }) : payload };
      case 'error': // pages of upstream put it into the payload
        return { kind: 'answer', id, topic, payload: failureOf(error ?? payload?.error, { topic, id }) };
      case 'subscription_ack':
        return { kind: 'ack', id, topic, isOn: payload?.status === 'subscribed' };
      default:
        return { kind: 'unknown', id, topic };
    }
  },
});

// Answers carry the id of their question also where others have the topic.
const legacyWire = Object.freeze({
  write: (header, body = null) => JSON.stringify({ header: { ...header, timestamp: Date.now() }, body }),
  register: (messageID, { clientId }) =>
    legacyWire.write({ messageID, type: 'event', topic: '_client.register' }, { pageSessionID: clientId }),
  request: (id, topic, body, ttl) => legacyWire.write({ messageID: id, correlationID: id, type: 'request', topic, ttl }, body),
  publish: (messageID, topic, body) => legacyWire.write({ messageID, type: 'event', topic }, body),
  subscribe: (messageID, topic) => legacyWire.write({ messageID, type: 'subscribe', topic: 'subscribe' }, topic),
  unsubscribe: (messageID, topic) => legacyWire.write({ messageID, type: 'unsubscribe', topic: 'unsubscribe' }, topic),
  answer: ({ id }, outcome) => outcome instanceof Error
    ? legacyWire.write({ messageID: id, correlationID: id, type: 'error', topic: id }, { error: describe(outcome) })
    : legacyWire.write({ messageID: id, correlationID: id, type: 'response', topic: id }, outcome),

  read({ header, body }) {
    if (!isObject(header) || ![header.messageID, header.correlationID, header.type, header.topic].every(isText))
      return null;
    const { messageID, correlationID, type, topic } = header;
    switch (type) {
      case 'event':
        if (topic === '_internal.client.registered')
          return { kind: 'registered', payload: body?.brokerClientID };
        return topic ? { kind: 'publication', topic, payload: body } : null;
      case 'request':
        return { kind: 'request', id: correlationID || messageID, topic: topic ?? '', payload: body };
      case 'response':
        return { kind: 'answer', id: correlationID, payload: body };
      case 'error': // whose topic is that id once more
        return { kind: 'answer', id: correlationID, payload: failureOf(body?.error ?? body, { id: correlationID }) };
      default:
        return { kind: 'unknown', id: messageID, topic };
    }
  },
});

const WIRES = { current: currentWire, legacy: legacyWire };

/* ---- subscriptions ---- */

// The tokens of a topic that stands for many, else null: `*` is any one token, `>` at the end one or more.
function filterOf(topic) {
  const tokens = topic.split('.');
  return tokens.includes('*') || tokens.at(-1) === '>' ? tokens : null;
}

// A name that begins with `$` is meant only by who spells out its first token.
function isMatch(filter, name) {
  const isTail = filter.at(-1) === '>';
  if (isTail ? name.length < filter.length : name.length !== filter.length)
    return false;
  return filter.every((token, i) => {
    const isWild = token === '*' || (isTail && i === filter.length - 1);
    return isWild ? i > 0 || !name[0].startsWith('$') : token === name[i];
  });
}

class Subscriptions {
  #entries = new Map(); // topic -> Set of {handler}
  #filters = new Map(); // those topics that are filters -> their tokens

  get topics() {
    return [...this.#entries.keys()];
  }

  has(topic) {
    return this.#entries.has(topic);
  }

  add(topic, entry) {
    const filter = filterOf(topic);
    this.#entries.set(topic, (this.#entries.get(topic) ?? new Set()).add(entry));
    if (filter !== null)
      this.#filters.set(topic, filter);
  }

  /** Without `entry`: all of that topic. False if there was none. */
  remove(topic, entry) {
    const entries = this.#entries.get(topic) ?? new Set();
    const had = entry === undefined ? entries.size > 0 : entries.delete(entry);
    if (entry === undefined)
      entries.clear(); // who walks it now sees that they are gone
    if (entries.size === 0) {
      this.#entries.delete(topic);
      this.#filters.delete(topic);
    }
    return had;
  }

  /** The first that was given for exactly this topic. */
  first(topic) {
    return this.#entries.get(topic)?.values().next().value?.handler;
  }

  /** Calls run(handler) for all whose topic is this or stands for it, and who still are there. @returns how many. */
  each(topic, run) {
    const name = topic.split('.');
    const sets = [this.#entries.get(topic)];
    for (const [filter, tokens] of this.#filters)
      sets.push(filter !== topic && isMatch(tokens, name) ? this.#entries.get(filter) : undefined);
    let count = 0;
    for (const entries of sets) {
      for (const entry of [...entries ?? []]) {
        if (!entries.has(entry))
          continue;
        count += 1;
        run(entry.handler);
      }
    }
    return count;
  }
}

/* ---- what waits for a connection ---- */

class Queue {
  #entries = new Set(); // {text, size, until, timer, sent, drop}, the oldest first
  #bytes = 0;
  #limit;
  #maxBytes;

  dropped = 0; // what was not sent, ever

  constructor({ limit, maxBytes }) {
    this.#limit = limit;
    this.#maxBytes = maxBytes;
  }

  get size() {
    return this.#entries.size;
  }

  /** For `ms` at most. @returns a promise of what sent() returns, called when it is sent; rejected if it never is. */
  async add(text, ms, sent) {
    const size = sizeOf(text);
    if (this.#entries.size >= this.#limit || this.#bytes + size > this.#maxBytes) {
      this.dropped += 1;
      throw new ClientError('queue-full', 'Too much waits for a connection already');
    }
    return new Promise((resolve, reject) => {
      const entry = { text, size, until: Date.now() + ms, sent: () => resolve(sent()), drop: reject };
      entry.timer = after(ms, () => this.#expire(entry));
      this.#entries.add(entry);
      this.#bytes += size;
    });
  }

  /** Sends by send(text), in order, until that is false. A machine that slept had its timers asleep too. */
  flush(send) {
    for (const entry of [...this.#entries]) {
      if (Date.now() >= entry.until) {
        this.#expire(entry);
        continue;
      }
      if (!send(entry.text))
        return;
      this.#remove(entry);
      entry.sent();
    }
  }

  clear(error) {
    for (const entry of [...this.#entries])
      this.#drop(entry, error);
  }

  #expire(entry) {
    this.#drop(entry, new ClientError('expired', 'No connection came in time'));
  }

  #drop(entry, error) {
    this.#remove(entry);
    this.dropped += 1;
    entry.drop(error);
  }

  #remove(entry) {
    clearTimeout(entry.timer);
    this.#entries.delete(entry);
    this.#bytes -= entry.size;
  }
}

/* ---- the broker dialect ---- */

const BROKER_DEFAULTS = {
  generation: 'current',
  register: true,
  maxMessageBytes: 1048576, // what a server takes at most
  queueLimit: 0,            // messages that may wait for a connection
  queueExpiry: 30000,       // ms that each may
  queueRequests: false,
};
const STORAGE_KEY = 'linnet.client-id';
const ID_BYTES = 16;
const TAG_BYTES = 4;

function randomHex(count) {
  const bytes = new Uint8Array(count);
  if (globalThis.crypto === undefined) // Node 18: nothing secret hangs on it
    bytes.forEach((_, i) => { bytes[i] = Math.random() * 256; });
  else
    globalThis.crypto.getRandomValues(bytes);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Where the page is, without what may be secret in it.
function pageUrl() {
  const { protocol = '', origin, pathname } = globalThis.location ?? {};
  return /^https?:$/.test(protocol) ? origin + pathname : '';
}

// A storage may be forbidden, or full: then the id lives as long as the client.
function recall(storage) {
  try {
    return storage?.getItem(STORAGE_KEY) ?? null;
  } catch {
    return null;
  }
}

function remember(storage, id) {
  try {
    storage?.setItem(STORAGE_KEY, id);
  } catch {
    return;
  }
}

function checkTopic(topic) {
  if (typeof topic !== 'string' || topic === '')
    throw new TypeError('a topic is a text that is not empty');
}

function checkHandler(handler) {
  if (typeof handler !== 'function')
    throw new TypeError('a handler is a function');
}

function brokerOptions(url, options) {
  const isAlone = typeof url === 'object' && url !== null && !(url instanceof URL);
  const all = { ...BROKER_DEFAULTS, ...given(isAlone ? url : { ...given(options), url }) };
  if (globalThis.location !== undefined)
    all.url ??= '/wsmq';
  if ((all.url ?? '') === '')
    throw new TypeError('options.url is missing');
  if (!Object.hasOwn(WIRES, all.generation))
    throw new TypeError("options.generation is 'current' or 'legacy'");
  return all;
}

/** A client of the broker dialect. It counts as open when the server has registered it. Further events: 'subscribed'
 * and 'ignored'. */
export class BrokerClient extends Client {
  #connection;
  #options;
  #wire;
  #queue;
  #calls = new Calls();
  #subscriptions = new Subscriptions();
  #handlers = new Map();   // topic -> function
  #unconfirmed = new Map(); // id of a subscribe_request -> topic
  #properties = new Map(); // event -> what onOpen and its kin are set to
  #tag = randomHex(TAG_BYTES); // begins the ids of its messages
  #publicationTag = randomHex(TAG_BYTES); // but of these, which nothing is kept of: an error may come to one
  #registration = '';      // the id of the request that is waited for
  #wanted;                 // the client id that is asked for
  #assigned = '';          // the one that the server gave
  #counts = { malformed: 0, ignored: 0 };

  constructor(url, options) {
    const all = brokerOptions(url, options);
    const connection = new Connection({ ...all, url: () => this.#address() }, {
      onOpen: () => this.#register(),
      onData: (data) => this.#take(data),
      onLost: (error) => this.#lost(error),
    });
    super(connection);
    this.#connection = connection;
    this.#options = all;
    this.#wire = WIRES[all.generation];
    this.#queue = new Queue({ limit: all.queueLimit, maxBytes: all.maxBufferedAmount ?? DEFAULTS.maxBufferedAmount });
    this.#wanted = all.clientId ?? recall(all.storage) ?? randomHex(ID_BYTES);
  }

  /** The id that the server knows this client by; before, the one that it will ask for. */
  get id() {
    return this.#assigned || this.#wanted;
  }

  /** Counts: messages that wait or were given up, and received ones that were of no use. */
  get stats() {
    return { queued: this.#queue.size, dropped: this.#queue.dropped, ...this.#counts };
  }

  disconnect() {
    super.disconnect();
    this.#queue.clear(new ClientError('not-connected', 'Not sent: Client disconnect'));
  }

  off(event, listener) {
    super.off(event, listener);
    if (listener === undefined || this.#properties.get(event) === listener)
      this.#properties.delete(event);
  }

  /** handler(payload, topic) gets what is published to the topic; it answers what the server asks there. Several may.
   * @returns a function that ends it. */
  subscribe(topic, handler) {
    checkTopic(topic);
    checkHandler(handler);
    const entry = { handler };
    const isNew = !this.#subscriptions.has(topic);
    this.#subscriptions.add(topic, entry);
    if (isNew && this.isConnected())
      this.#sendSubscribe(topic);
    return () => this.#unsubscribe(topic, entry);
  }

  /** Ends all subscriptions to a topic. */
  unsubscribe(topic) {
    this.#unsubscribe(topic);
  }

  /** Publishes. @returns a promise, rejected if it was not sent; of what may be queued, kept when it is. */
  async publish(topic, payload = null) {
    const text = this.#writePublish(topic, payload);
    const refusal = this.#connection.send(text);
    if (refusal === 'not-connected' && this.#options.queueLimit > 0)
      await this.#queue.add(text, this.#options.queueExpiry, () => {});
    else if (refusal !== '')
      throw new ClientError(refusal, REFUSALS[refusal]);
  }

  /** As publish(), for what has no worth later. @returns false at once if it was not sent. */
  tryPublish(topic, payload = null) {
    return this.#connection.send(this.#writePublish(topic, payload)) === '';
  }

  /** Asks the server. @returns a promise of the answer, rejected with a BrokerError or a ClientError. */
  async request(topic, payload = null, timeout) {
    const { queueLimit, queueRequests, queueExpiry } = this.#options;
    const ms = timeout ?? this.#connection.requestTimeout;
    checkTopic(topic);
    const id = this.#nextId();
    const text = this.#fit(this.#wire.request(id, topic, payload, ms));
    const until = Date.now() + ms;
    const wait = () => this.#calls.add(id, Math.max(0, until - Date.now()), `Request timeout: ${topic}, ${ms} ms`);
    const refusal = this.#connection.send(text);
    if (refusal === '')
      return wait();
    if (refusal === 'not-connected' && queueRequests && queueLimit > 0)
      return this.#queue.add(text, Math.min(ms, queueExpiry), wait);
    throw new ClientError(refusal, REFUSALS[refusal]);
  }

  /** Asks another client, as far as the server allows it. */
  call(targetId, topic, payload = null, timeout) {
    return this.request('system:proxy', { targetId, topic, payload }, timeout);
  }

  /** @returns a promise of the clients of that type and name; of all without. */
  async clients({ clientType, name } = {}) {
    const answer = await this.request('system:list_clients', { clientType });
    return (answer?.clients ?? []).filter((client) => name === undefined || client.name === name);
  }

  /** Lets the server ask: what handler(payload, topic) returns, or throws, is the answer; it may take its time.
   * Replaces who did so far. @returns a function that ends it. */
  handle(topic, handler) {
    checkTopic(topic);
    checkHandler(handler);
    this.#handlers.set(topic, handler);
    return () => {
      if (this.#handlers.get(topic) === handler)
        this.#handlers.delete(topic);
    };
  }

  /* as the guide has it */

  get onOpen() { return this.#properties.get('open') ?? null; }
  set onOpen(listener) { this.#setProperty('open', listener); }
  get onClose() { return this.#properties.get('close') ?? null; }
  set onClose(listener) { this.#setProperty('close', listener); }
  get onError() { return this.#properties.get('error') ?? null; }
  set onError(listener) { this.#setProperty('error', listener); }

  /* as upstream's last client has it */

  getID() { return this.id; }
  sendServerRequest(topic, payload, timeout) { return this.request(topic, payload, timeout ?? undefined); }
  handleServerRequest(topic, handler) { return this.handle(topic, handler); }

  onConnect(listener) {
    this.on('open', listener);
    if (this.isConnected())
      attempt(listener, (error) => this.#connection.events.fault(error));
    return () => this.off('open', listener);
  }

  onDisconnect(listener) {
    this.on('close', listener);
    return () => this.off('close', listener);
  }

  #setProperty(event, listener) {
    const before = this.#properties.get(event);
    if (before !== undefined)
      this.off(event, before);
    if (typeof listener !== 'function')
      return;
    this.on(event, listener);
    this.#properties.set(event, listener);
  }

  /* connecting */

  #address() {
    const { url, token } = this.#options;
    const ask = (value) => (typeof value === 'function' ? value() : value);
    return when(ask(url), (base) => when(ask(token), (text) => this.#compose(base, text)));
  }

  #compose(base, token) {
    const address = new URL(base, globalThis.location?.href);
    address.protocol = address.protocol.replace(/^http/, 'ws');
    if (this.#options.generation === 'current')
      address.searchParams.set('client_id', this.#wanted);
    if (token)
      address.searchParams.set('token', token);
    return address.href;
  }

  #register() {
    const { register, clientType, clientName, clientUrl = pageUrl() } = this.#options;
    const isPage = globalThis.document !== undefined;
    if (!register) {
      this.#begin();
      return;
    }
    this.#registration = this.#nextId();
    this.#connection.post(this.#wire.register(this.#registration, {
      clientId: this.#wanted,
      clientName: clientName ?? `${isPage ? 'browser' : 'client'}-${this.#wanted.slice(0, 8)}`,
      clientType: clientType ?? (isPage ? 'browser' : 'generic'),
      clientUrl,
    }));
  }

  #registered(payload) {
    this.#registration = '';
    if (payload instanceof BrokerError) {
      this.#connection.refuse(payload);
      return;
    }
    if (typeof payload === 'string' && payload !== '')
      this.#adopt(payload);
    this.#begin();
  }

  // Who was given an id asks for it again; who chose one insists.
  #adopt(id) {
    this.#assigned = id;
    if (this.#options.clientId === undefined)
      this.#wanted = id;
    remember(this.#options.storage, this.#wanted);
  }

  // What was wanted before comes before what is wanted at 'open'.
  #begin() {
    for (const topic of this.#subscriptions.topics)
      this.#sendSubscribe(topic);
    this.#queue.flush((text) => this.#connection.post(text));
    this.#connection.admit();
  }

  #lost(error) {
    this.#unconfirmed.clear();
    this.#calls.endAll(error);
  }

  /* sending */

  #nextId(tag = this.#tag) {
    return `${tag}-${this.#calls.nextId()}`;
  }

  #fit(text) {
    const { maxMessageBytes } = this.#options;
    if (3 * text.length > maxMessageBytes && sizeOf(text) > maxMessageBytes) // three bytes are the most that a unit becomes
      throw new RangeError(`message size ${sizeOf(text)} exceeds maximum ${maxMessageBytes} bytes`);
    return text;
  }

  #writePublish(topic, payload) {
    checkTopic(topic);
    return this.#fit(this.#wire.publish(this.#nextId(this.#publicationTag), topic, payload));
  }

  #sendSubscribe(topic) {
    const id = this.#nextId();
    this.#unconfirmed.set(id, topic);
    this.#connection.post(this.#wire.subscribe(id, topic));
  }

  #unsubscribe(topic, entry) {
    const had = this.#subscriptions.remove(topic, entry);
    if (had && !this.#subscriptions.has(topic) && this.isConnected())
      this.#connection.post(this.#wire.unsubscribe(this.#nextId(), topic));
  }

  /* receiving */

  #take(data) {
    const message = this.#parse(data);
    if (message === null) {
      this.#counts.malformed += 1;
      this.#connection.events.fault(new ClientError('malformed', 'Received what is no message of a broker'));
      return;
    }
    switch (message.kind) {
      case 'publication': return this.#dispatch(message);
      case 'request': return this.#serve(message);
      case 'answer': return this.#end(message);
      case 'registered': return this.#acknowledged(message);
      case 'ack': return this.#confirm(message);
      case 'unknown': return this.#ignore('unknown-type', message);
    }
  }

  #parse(data) {
    try {
      const value = JSON.parse(typeof data === 'string' ? data : new TextDecoder('utf-8', { fatal: true }).decode(data));
      return isObject(value) ? this.#wire.read(value) : null;
    } catch {
      return null;
    }
  }

  #ignore(reason, { id = '', topic = '' }) {
    this.#counts.ignored += 1;
    this.#connection.log('ignored:', reason, id, topic);
    this.#connection.events.emit('ignored', { reason, id, topic });
  }

  #dispatch(message) {
    const fault = (error) => this.#connection.events.fault(error);
    const count = this.#subscriptions.each(message.topic, (handler) => attempt(() => handler(message.payload, message.topic), fault));
    if (count === 0)
      this.#ignore('unclaimed', message);
  }

  // An error without an id is nobody's in particular, one to a publication has nobody who waits for it; an answer may come
  // twice, or too late.
  #end(message) {
    const { id, payload } = message;
    const isFailure = payload instanceof BrokerError;
    const topic = this.#unconfirmed.get(id);
    if (id && id === this.#registration)
      this.#registered(isFailure ? payload : payload?.serverAssignedId);
    else if (isFailure && this.#unconfirmed.delete(id))
      this.#connection.events.fault(new BrokerError(payload.code, payload.message, { topic, id }));
    else if (isFailure && (!id || id.startsWith(`${this.#publicationTag}-`)))
      this.#connection.events.fault(payload);
    else if (!this.#calls.end(id, payload))
      this.#ignore('late', message);
  }

  #acknowledged(message) {
    if (this.#registration === '')
      this.#ignore('late', message);
    else
      this.#registered(message.payload);
  }

  #confirm(message) {
    const topic = this.#unconfirmed.get(message.id);
    this.#unconfirmed.delete(message.id);
    if (topic !== undefined && message.isOn)
      this.#connection.events.emit('subscribed', topic);
  }

  async #serve(question) {
    const { serial } = this.#connection;
    const { id, topic, payload } = question;
    const handler = this.#handlers.get(topic) ?? this.#subscriptions.first(topic);
    let outcome = new BrokerError(404, `Client has no handler for topic: ${topic}`);
    try {
      if (handler !== undefined)
        outcome = await handler(payload, topic);
    } catch (error) {
      outcome = error instanceof Error ? error : new Error(String(error));
    }
    if (id && this.#connection.serial === serial)
      this.#connection.post(this.#writeAnswer(question, outcome));
  }

  #writeAnswer(question, outcome) {
    try {
      return this.#fit(this.#wire.answer(question, outcome));
    } catch {
      return this.#wire.answer(question, new BrokerError(SERVER_FAULT, 'Client failed to create response envelope'));
    }
  }
}
