// SPDX-License-Identifier: MIT
/*
 * broker_double.mjs - a broker for tests of its clients, written from the protocol and not from any server: both
 * generations, told apart by a connection's first message, on npm's `ws`. What a test wants to go wrong it does by
 * intercept(), or with the sockets themselves.
 */
import { once } from 'node:events';
import { WebSocketServer } from 'ws';

const isLegacy = ({ header }) => typeof header === 'object' && header !== null;

// What either generation means, in the words of the current one.
function understand(message) {
  if (!isLegacy(message))
    return message;
  const { header, body } = message;
  if (header.type === 'event' && header.topic === '_client.register')
    return { type: 'register', payload: body };
  const types = { event: 'publish', subscribe: 'subscribe_request', unsubscribe: 'unsubscribe_request' };
  const isSubscribing = header.type === 'subscribe' || header.type === 'unsubscribe';
  return { type: types[header.type] ?? header.type, id: header.correlationID, topic: isSubscribing ? body : header.topic, payload: body };
}

export class Broker {
  #nextId = 0;
  #asked = new Map(); // id -> {resolve, reject}

  sockets = [];       // of all connections there were; each has address, isLegacy, topics, info
  heard = [];         // parsed, as they came
  handlers = {};      // topic -> function of the payload; what it throws is the error
  intercept = () => false; // (socket, message) => true: it goes no further

  // On a port of its own, or with the files of an HTTP server.
  async start(server = null) {
    const where = server === null ? { port: 0, host: '127.0.0.1' } : { server };
    this.listener = new WebSocketServer({ ...where, maxPayload: 1 << 20 });
    this.listener.on('connection', (socket, request) => this.#accept(socket, request));
    if (server === null)
      await once(this.listener, 'listening');
    this.url = `ws://127.0.0.1:${this.listener.address().port}/wsmq`;
    return this;
  }

  async end() {
    for (const socket of this.listener.clients)
      socket.terminate();
    await new Promise((resolve) => this.listener.close(resolve));
  }

  get last() {
    return this.sockets.at(-1);
  }

  get open() {
    return this.sockets.filter(({ readyState }) => readyState === 1);
  }

  send(socket, message) {
    socket.send(`${JSON.stringify(message)}\n`);
  }

  // As the connection's generation writes it.
  publish(topic, payload, sockets = this.open.filter(({ topics }) => topics.has(topic))) {
    for (const socket of sockets) {
      this.send(socket, socket.isLegacy
        ? { header: { messageID: this.#id(), type: 'event', topic, timestamp: 1 }, body: payload }
        : { type: 'publish', topic, payload: payload ?? null });
    }
  }

  // A promise of the whole answer.
  ask(socket, topic, payload, id = this.#id()) {
    this.send(socket, socket.isLegacy
      ? { header: { messageID: this.#id(), correlationID: id, type: 'request', topic, timestamp: 1, ttl: 5000 }, body: payload }
      : { id, type: 'request', topic, payload });
    return new Promise((resolve) => this.#asked.set(id, resolve));
  }

  reply(socket, { id, topic }, outcome) {
    const error = outcome instanceof Error ? { code: outcome.code ?? 500, message: outcome.message } : undefined;
    if (socket.isLegacy) {
      const header = { messageID: this.#id(), correlationID: id, type: error ? 'error' : 'response', topic: id, timestamp: 1 };
      this.send(socket, { header, body: error ? { error: `handler error: ${error.message}` } : outcome });
    } else {
      this.send(socket, error ? { id, type: 'error', topic, error } : { id, type: 'response', topic, payload: outcome });
    }
  }

  #id() {
    this.#nextId += 1;
    return `s${this.#nextId}`;
  }

  #accept(socket, request) {
    socket.address = new URL(request.url, 'ws://host');
    socket.topics = new Set();
    socket.info = { id: socket.address.searchParams.get('client_id') || this.#id() };
    this.sockets.push(socket);
    socket.on('message', (data) => this.#take(socket, JSON.parse(data)));
    socket.on('close', (code, reason) => { socket.ended = [code, String(reason)]; });
  }

  #take(socket, message) {
    this.heard.push(message);
    socket.isLegacy ??= isLegacy(message);
    if (!this.intercept(socket, message))
      this.#act(socket, understand(message));
  }

  #act(socket, message) {
    switch (message.type) {
      case 'register': return this.#acknowledge(socket, message);
      case 'publish': return this.publish(message.topic, message.payload);
      case 'request': return this.#serve(socket, message);
      case 'response':
      case 'error': return this.#asked.get(message.id)?.(message);
      case 'subscribe_request': return this.#subscribe(socket, message, 'subscribed');
      case 'unsubscribe_request': return this.#subscribe(socket, message, 'unsubscribed');
    }
  }

  #acknowledge(socket, { payload }) {
    socket.info = { id: `wsconn-${this.#id()}` };
    this.send(socket, { header: { messageID: this.#id(), type: 'event', topic: '_internal.client.registered', timestamp: 1 },
      body: { brokerClientID: socket.info.id, pageSessionID: payload.pageSessionID, status: 'registered' } });
  }

  #subscribe(socket, { id, topic }, status) {
    if (status === 'subscribed')
      socket.topics.add(topic);
    else
      socket.topics.delete(topic);
    if (!socket.isLegacy)
      this.send(socket, { id, type: 'subscription_ack', topic, payload: { status, topic } });
  }

  async #serve(socket, message) {
    const own = { 'system:register': () => this.#register(socket, message), 'system:list_clients': () => this.#list(message),
      'system:proxy': () => this.#proxy(message) };
    const run = own[message.topic] ?? this.handlers[message.topic];
    let outcome = Object.assign(new Error(`No handler for topic: ${message.topic}`), { code: 404 });
    try {
      outcome = run === undefined ? outcome : await run(message.payload, socket);
    } catch (error) {
      outcome = error;
    }
    if (outcome !== undefined && socket.readyState === 1)
      this.reply(socket, message, outcome);
  }

  #register(socket, { payload: { clientId, clientName, clientType, clientUrl } }) {
    const isTaken = this.open.some((other) => other !== socket && other.info.id === clientId);
    socket.info = { id: isTaken ? this.#id() : clientId, name: clientName, clientType, clientUrl };
    return { serverAssignedId: socket.info.id, clientName, serverTime: '2025-05-21T12:00:00Z' };
  }

  #list({ payload }) {
    const found = this.open.map(({ info }) => info).filter((info) => !payload?.clientType || info.clientType === payload.clientType);
    return { clients: found.length > 0 ? found : null };
  }

  async #proxy({ payload: { targetId, topic, payload } }) {
    const target = this.open.find(({ info }) => info.id === targetId);
    if (target === undefined)
      throw new Error(`proxy target client: client with ID '${targetId}' not found`);
    const { id, error, payload: result } = await this.ask(target, topic, payload);
    if (error)
      throw new Error(`proxy target error: client ${targetId} responded with error (code ${error.code}) for request ID ${id}: `
        + error.message);
    return result ?? null;
  }
}
