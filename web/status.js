// SPDX-License-Identifier: MIT
/*
 * status.js - the state of the connection, seen and heard. Eyes get every second of a wait, ears only the turns.
 */
const STEP_MS = 250;

export class Status {
  #box;
  #text;
  #news;
  #now;
  #refuge;
  #wasOnline = false;
  #timer = 0;

  // `refuge` takes the focus when the button that has it goes away.
  constructor({ box, text, news, now, refuge, onNow }) {
    this.#box = box;
    this.#text = text;
    this.#news = news;
    this.#now = now;
    this.#refuge = refuge;
    now.addEventListener('click', onNow);
  }

  show(link) {
    clearInterval(this.#timer);
    this.#box.dataset.state = link.state;
    this.#showButton(link.state !== 'online' && (this.#wasOnline || link.state === 'waiting'));
    this.#tell(link);
    if (link.state === 'waiting')
      this.#timer = setInterval(() => this.#tell(link), STEP_MS);
    this.#announce(link);
  }

  #tell(link) {
    const text = this.#describe(link);
    if (this.#text.textContent !== text)
      this.#text.textContent = text;
  }

  #describe({ state, until }) {
    if (state === 'online')
      return 'Online';
    if (state === 'connecting')
      return this.#wasOnline ? 'Reconnecting' : 'Connecting';
    if (!navigator.onLine)
      return 'Offline';
    return `Reconnecting in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`;
  }

  #showButton(isWanted) {
    if (!isWanted && document.activeElement === this.#now)
      this.#refuge.focus();
    this.#now.hidden = !isWanted;
  }

  #announce({ state }) {
    if (state === 'online')
      this.#news.textContent = this.#wasOnline ? 'Connected again' : 'Connected';
    else if (state === 'waiting')
      this.#news.textContent = navigator.onLine ? 'Not connected, trying again' : 'Offline';
    this.#wasOnline ||= state === 'online';
  }
}
