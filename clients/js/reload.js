// SPDX-License-Identifier: MIT
/*
 * reload.js - a page that reloads when its files change, and that tells the server what goes wrong in it.
 *
 *   system:hot_reload       published: {timestamp, files}; only style sheets among `files`: they alone are fetched again
 *   system:hotreload_ready  asked at each 'open': {url}; so the server knows whom it is watching for
 *   system:client_error     asked: {message, filename, lineno, colno, stack, timestamp}
 *
 * A server that answers none of these is not bothered about it, and neither is the page. Each error is reported once at
 * most, those from before the first connection when there is one.
 */
import { BrokerClient } from './linnet.js';

const TEXT_MAX = 8192; // of a message or a stack
const cut = (value) => String(value ?? '').slice(0, TEXT_MAX);

function ofError({ message, filename, lineno, colno, error }) {
  return { message: cut(message), filename, lineno, colno, stack: cut(error?.stack) };
}

function ofRejection({ reason }) {
  return { message: cut(`Unhandled rejection: ${reason?.message ?? reason}`), stack: cut(reason?.stack) };
}

function ofElement(element) {
  const source = element.src ?? element.href;
  return { message: `Failed to load ${element.localName}: ${cut(source)}`, filename: cut(source) };
}

// The new sheet is there before the old one goes: the page is never without.
function renew(link, timestamp) {
  const fresh = link.cloneNode();
  const address = new URL(link.href);
  address.searchParams.set('reload', timestamp);
  fresh.href = address.href;
  fresh.addEventListener('load', () => link.remove());
  fresh.addEventListener('error', () => fresh.remove());
  link.after(fresh);
}

function renewSheets(timestamp) {
  for (const link of document.querySelectorAll('link[rel~="stylesheet"]')) {
    if (new URL(link.href).origin === location.origin)
      renew(link, timestamp);
  }
}

const isSheets = (files) => Array.isArray(files) && files.length > 0 && files.every((file) => /\.css$/i.test(file));

export class HotReload {
  #isOwn;
  #autoReload;
  #maxErrors;
  #errors = [];
  #unsent = [];
  #ends = [];

  /** A function asked before a reload, with the server's message: false, and nothing happens. */
  onReload = null;

  constructor({ client, autoReload = true, reportErrors = true, maxErrors = 100, ...options } = {}) {
    this.#isOwn = client === undefined;
    this.#autoReload = autoReload;
    this.#maxErrors = maxErrors;
    this.client = client ?? new BrokerClient(options);
    this.#ends.push(this.client.subscribe('system:hot_reload', (message) => this.#change(message)));
    this.#ends.push(this.client.onConnect(() => this.#arrive()));
    if (reportErrors)
      this.#watch();
    if (this.#isOwn)
      this.client.connect();
  }

  reload() {
    location.reload();
  }

  setAutoReload(isOn) {
    this.#autoReload = isOn;
  }

  /** The first `maxErrors` since the page was loaded, or since clearErrors(). */
  getErrors() {
    return [...this.#errors];
  }

  clearErrors() {
    this.#errors = [];
    this.#unsent = [];
  }

  /** Lets go of the page, and of a client that it made itself. */
  stop() {
    this.#ends.splice(0).forEach((end) => end());
    if (this.#isOwn)
      this.client.disconnect();
  }

  #change(message) {
    if (!this.#autoReload || this.onReload?.(message) === false)
      return;
    if (isSheets(message?.files))
      renewSheets(message.timestamp ?? Date.now());
    else
      this.reload();
  }

  #arrive() {
    this.#tell('system:hotreload_ready', { url: location.origin + location.pathname });
    this.#unsent.splice(0).forEach((error) => this.#tell('system:client_error', error));
  }

  #watch() {
    const onError = (event) => this.#report(event instanceof ErrorEvent ? ofError(event) : ofElement(event.target));
    const onRejection = (event) => this.#report(ofRejection(event));
    window.addEventListener('error', onError, true); // what does not load does not bubble
    window.addEventListener('unhandledrejection', onRejection);
    this.#ends.push(() => window.removeEventListener('error', onError, true));
    this.#ends.push(() => window.removeEventListener('unhandledrejection', onRejection));
  }

  // A page that fails in every frame must not drown the server.
  #report(what) {
    const error = { ...what, timestamp: new Date().toISOString() };
    if (this.#errors.length >= this.#maxErrors)
      return;
    this.#errors.push(error);
    if (this.client.isConnected())
      this.#tell('system:client_error', error);
    else
      this.#unsent.push(error);
  }

  #tell(topic, payload) {
    this.client.request(topic, payload).catch(() => {});
  }
}
