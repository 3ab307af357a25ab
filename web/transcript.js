// SPDX-License-Identifier: MIT
/*
 * transcript.js - what was said, as a list that follows its end as long as one looks at it.
 *
 * Invariants
 *   1. At most LIMIT entries; the oldest go, and who reads further up does not notice.
 *   2. An entry without its head ("follows") stands behind one of the same author, and the first has a head.
 */
import { egg, icon, make, named } from './element.js';

const LIMIT = 500;
const NEAR_PX = 48;             // this close to the end counts as at the end
const GROUP_MS = 5 * 60 * 1000; // later than this the same person gets a new head

const MARKS = { pending: ['clock', 'Waiting to be sent'], sent: ['clock', 'Sent'], delivered: ['tick', 'Delivered'] };
const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat([], { dateStyle: 'full', timeStyle: 'medium' });

function stamp(at) {
  const date = new Date(at);
  const time = make('time', '', clock.format(date));
  time.dateTime = date.toISOString();
  time.title = calendar.format(date);
  return time;
}

export class Transcript {
  #view;
  #list;
  #button;
  #buttonText;
  #isAtEnd = true;
  #unseen = 0;
  #rest = 0;
  #last = null;         // {name, kind, at} of the newest entry
  #marked = new Map();  // id -> own entry

  constructor({ view, list, button, buttonText }) {
    this.#view = view;
    this.#list = list;
    this.#button = button;
    this.#buttonText = buttonText;
    view.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    button.addEventListener('click', () => this.#goToEnd());
    const observer = new ResizeObserver(() => this.#isAtEnd && this.#follow());
    observer.observe(view);
    observer.observe(list);
  }

  // Somebody else's; kind 'chat', 'plain' or 'binary'.
  hear({ kind, name, text, at }) {
    const entry = this.#compose({ kind, name, text, at });
    entry.prepend(egg(name));
    this.#append(entry);
    if (!this.#isAtEnd)
      this.#count(this.#unseen + 1);
  }

  // One's own, pending; brings one back to the end.
  say({ id, name, text, at }) {
    const entry = this.#compose({ kind: 'own', name, text, at });
    entry.append(make('span', 'mark'));
    this.#marked.set(id, entry);
    this.mark(id, 'pending');
    this.#append(entry);
    this.#goToEnd();
  }

  // state: 'pending', 'sent' or 'delivered'. What has left the list already is of no interest.
  mark(id, state) {
    const entry = this.#marked.get(id);
    if (entry === undefined)
      return;
    const [symbol, text] = MARKS[state];
    entry.dataset.state = state;
    entry.lastChild.title = text;
    entry.lastChild.replaceChildren(icon(symbol), make('span', 'hidden', text));
    if (state === 'delivered')
      this.#marked.delete(id);
  }

  // Something that nobody said.
  note(text) {
    this.#last = null;
    this.#append(make('li', 'note', text));
  }

  clear() {
    this.#list.replaceChildren();
    this.#marked.clear();
    this.#last = null;
    this.#goToEnd();
  }

  #compose({ kind, name, text, at }) {
    const entry = make('li', kind === 'own' ? 'entry own' : `entry ${kind}`);
    const before = this.#last;
    const author = kind === 'own' ? make('span', 'hidden', 'You') : named(name, 'name');
    const body = make('p', 'body', text);
    body.dir = 'auto';
    if (before?.kind === kind && before.name === name && Math.abs(at - before.at) < GROUP_MS)
      entry.classList.add('follows');
    entry.append(make('p', 'head', author, ' ', stamp(at)), body);
    this.#last = { kind, name, at };
    return entry;
  }

  #append(entry) {
    this.#list.append(entry);
    if (this.#list.childElementCount > LIMIT)
      this.#trim();
    if (this.#isAtEnd)
      this.#follow();
  }

  // Heights have fractions of a pixel and scroll positions may not: what is left over is made up for later.
  #trim() {
    const { scrollTop } = this.#view; // before the browser cuts it to what is left
    const before = this.#list.getBoundingClientRect().height;
    this.#list.firstElementChild.remove();
    this.#list.firstElementChild.classList.remove('follows');
    if (this.#isAtEnd)
      return;
    const lost = before - this.#list.getBoundingClientRect().height + this.#rest;
    this.#rest = lost - Math.round(lost);
    this.#view.scrollTop = scrollTop - Math.round(lost);
  }

  #follow() {
    this.#view.scrollTop = this.#view.scrollHeight;
  }

  #goToEnd() {
    this.#isAtEnd = true;
    this.#count(0);
    this.#follow();
  }

  #scrolled() {
    this.#isAtEnd = this.#view.scrollHeight - this.#view.scrollTop - this.#view.clientHeight < NEAR_PX;
    if (this.#isAtEnd)
      this.#count(0);
  }

  #count(unseen) {
    this.#unseen = unseen;
    this.#button.hidden = unseen === 0;
    this.#buttonText.textContent = unseen === 1 ? '1 new message' : `${unseen} new messages`;
  }
}
