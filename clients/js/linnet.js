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
 *
 * It is no WebSocket itself: it takes the global one, or that of the options, and relies on nothing but what the
 * browsers' has. It queues nothing either: what cannot be sent now is not sent, and the sender is told.
 *
 * Invariants
 *   1. A call ends exactly once: by its answer, after its time, or with its connection.
 *   2. No timer outlives its purpose: after disconnect() only a closing socket keeps a program from ending.
 *   3. Whatever a function of the application's throws, at once or later, ends as an 'error' event (nobody listens:
 *      on the console) or as the answer to a call, and disturbs nothing else.
 *   4. A socket that was given up is not heard any more, and an answer never goes out on another connection than the
 *      one its question came in on.
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

  /** @returns a promise of what end() gets, rejected after `timeout` ms or by endAll(). */
  add(id, timeout) {
    return new Promise((resolve, reject) => {
      const timer = after(timeout, () => this.end(id, new ClientError('timeout', 'JSON-RPC request timeout')));
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
 *   CONNECTING     CONNECTED       it opens
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

  /** onData(data) gets each message, onLost(error) is told before anybody else that a connection has ended. */
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

  /** Sends at once or not at all. @returns '' if sent, else why not: a ClientError's code. */
  send(bytes) {
    if (!this.isConnected)
      return 'not-connected';
    const { socket } = this.#session;
    const waiting = socket.bufferedAmount;
    if (waiting > 0 && waiting + bytes.byteLength > this.#options.maxBufferedAmount) {
      this.#isRefusing = true;
      this.#watch();
      return 'buffer-full';
    }
    socket.send(bytes);
    return '';
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

  #dial() {
    const { url, WebSocket, connectionTimeout } = this.#options;
    try {
      this.#attach(new WebSocket(typeof url === 'function' ? url() : url));
    } catch (error) {
      this.#lose(null, new ClientError('connection-failed', `Connection failed: ${error.message}`));
      return;
    }
    this.#timer = after(connectionTimeout, () => this.#lose(null, new ClientError('timeout', 'Connection timeout')));
  }

  #attach(socket) {
    const session = { socket, openedAt: 0, hasHeard: false };
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#open(session);
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

  #open(session) {
    if (this.state !== ConnectionState.CONNECTING)
      return;
    clearTimeout(this.#timer);
    this.serial += 1;
    this.#opening.resolve();
    this.#enter(ConnectionState.CONNECTED);
    if (this.#session !== session || !this.isConnected) // a listener closed it: there is no 'open', and no 'close'
      return;
    session.openedAt = performance.now();
    this.events.emit('open');
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
  batch(calls, timeout) {
    const requests = calls.map(({ method, params, isNotification }) =>
      ({ jsonrpc: '2.0', method, params, id: isNotification ? undefined : this.#calls.nextId() }));
    if (requests.length > 0)
      this.#send(JSON.stringify(requests));
    return Promise.allSettled(requests.map(({ id }) =>
      id === undefined ? undefined : this.#calls.add(id, timeout).then(({ result }) => result)));
  }

  endAll(error) {
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

  // An answer that comes too late finds nobody; an error without an id is nobody's in particular.
  #end(message) {
    const { id, error } = message;
    const outcome = isObject(error) ? new RpcError(error.code, error.message, error.data) : message;
    if (!this.#calls.end(id, outcome) && outcome instanceof RpcError && (id ?? null) === null)
      this.#fault(outcome);
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
const encoder = new TextEncoder();

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
