// SPDX-License-Identifier: MIT
/*
 * link.js - one WebSocket that comes back by itself.
 *
 *   state         left for       when
 *   'connecting'  'online'       it opens
 *                 'waiting'      it fails, or has not opened after OPEN_MS
 *   'online'      'waiting'      it closes, or the browser says that the network is gone
 *                 'connecting'   connect(), or the machine has slept
 *   'waiting'     'connecting'   the time is over, the network or the page is back, connect()
 *
 * The wait is full jitter: anything between nothing and BASE_MS doubled per failure, never above CAP_MS. So the clients
 * of a server that went away do not come back all at once. A connection that brought something ends the doubling; one
 * that only opened does not, lest a server that turns people away at the door be asked twice a second.
 */
const BASE_MS = 500;
const CAP_MS = 30000;
const OPEN_MS = 10000;
const TICK_MS = 15000;
const ASLEEP_MS = 90000; // hidden pages tick once a minute; a longer pause was a machine asleep, and its sockets are dead

export class Link {
  #url;
  #onState;
  #onData;
  #socket = null;
  #timer = 0;
  #failures = 0;
  #tickedAt = Date.now();

  state = 'waiting';
  until = 0; // when waiting ends, in Date.now() time

  // url() is asked at every attempt; onState() tells that `state` has changed, onData(data) what came.
  constructor({ url, onState, onData }) {
    this.#url = url;
    this.#onState = onState;
    this.#onData = onData;
    window.addEventListener('online', () => this.wake());
    window.addEventListener('offline', () => this.#lose());
    window.addEventListener('pageshow', (event) => this.#show(event));
    document.addEventListener('visibilitychange', () => this.#look());
    setInterval(() => this.#tick(), TICK_MS);
  }

  // Begins a new connection now, whatever there was before.
  connect() {
    this.#drop();
    const socket = new WebSocket(this.#url());
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#socket === socket && this.#open();
    socket.onmessage = (event) => this.#socket === socket && this.#take(event.data);
    socket.onclose = () => this.#socket === socket && this.#lose();
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lose(), OPEN_MS);
    this.#enter('connecting');
  }

  // Ends a wait.
  wake() {
    if (this.state === 'waiting')
      this.connect();
  }

  // False if there is no connection: then nothing was sent.
  send(text) {
    if (this.state !== 'online' || this.#socket.readyState !== WebSocket.OPEN)
      return false;
    this.#socket.send(text);
    return true;
  }

  #enter(state) {
    this.state = state;
    this.#onState();
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #open() {
    clearTimeout(this.#timer);
    this.#enter('online');
  }

  #take(data) {
    this.#failures = 0;
    this.#onData(data);
  }

  #lose() {
    if (this.#socket === null)
      return;
    this.#drop();
    const wait = Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.until = Date.now() + wait;
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#enter('waiting');
  }

  #tick() {
    const now = Date.now();
    const hasSlept = now - this.#tickedAt > ASLEEP_MS;
    this.#tickedAt = now;
    if (hasSlept)
      this.connect();
  }

  #look() {
    if (document.visibilityState !== 'visible')
      return;
    this.#tick();
    this.wake();
  }

  // A page taken back out of the browser's cache has lost its connection without being told.
  #show(event) {
    if (event.persisted)
      this.connect();
  }
}
