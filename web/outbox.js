// SPDX-License-Identifier: MIT
/*
 * outbox.js - own messages until the room has echoed them. No page, no network: who calls sends and looks at the clock.
 *
 * The room sends everything back to its sender, so an echo is the receipt. What was sent and not echoed when a
 * connection ends may have arrived or not: it is sent again, and whoever has seen its id before leaves it out.
 *
 * Invariants
 *   1. At most LIMIT messages, in the order in which they were written, and sent in that order.
 *   2. A message leaves with its echo or with takeBack(), never otherwise.
 */
export const LIMIT = 50;
const ECHO_MS = 10000;      // without an echo for this long the connection is taken for dead
const ECHO_MAX_MS = 300000; // and this long if that has not helped

export class Outbox {
  #entries = []; // {message, tries, sentAt: null while it waits}

  get size() {
    return this.#entries.length;
  }

  get isFull() {
    return this.#entries.length >= LIMIT;
  }

  add(message) {
    this.#entries.push({ message, tries: 0, sentAt: null });
  }

  // Gives whatever waits to `send`, which says whether it could; returns the ids of what went out.
  flush(send, now) {
    const gone = [];
    for (const entry of this.#entries) {
      if (entry.sentAt !== null)
        continue;
      if (!send(JSON.stringify(entry.message)))
        break;
      entry.sentAt = now;
      entry.tries += 1;
      gone.push(entry.message.id);
    }
    return gone;
  }

  // The connection is gone: all wait again. Returns the ids of what had been sent.
  rewind() {
    const sent = this.#entries.filter((entry) => entry.sentAt !== null);
    for (const entry of sent)
      entry.sentAt = null;
    return sent.map((entry) => entry.message.id);
  }

  // True if it was one of ours.
  confirm(id) {
    const at = this.#entries.findIndex((entry) => entry.message.id === id);
    if (at >= 0)
      this.#entries.splice(at, 1);
    return at >= 0;
  }

  isOverdue(now) {
    return this.#entries.some(({ sentAt, tries }) =>
      sentAt !== null && now - sentAt > Math.min(ECHO_MAX_MS, ECHO_MS * 2 ** (tries - 1)));
  }

  // Empties it; the texts that never went out.
  takeBack() {
    const kept = this.#entries.filter((entry) => entry.tries === 0);
    this.#entries = [];
    return kept.map((entry) => entry.message.text);
  }
}
