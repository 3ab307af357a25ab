// SPDX-License-Identifier: MIT
/*
 * view.js - what the chat looks like: names, people, messages. It knows nothing of commands or connections.
 *
 * Whatever is shown came from somebody else: it becomes text nodes, cut to a size, and never markup.
 */
const NAME_MAX = 40;          // characters that are shown
const TEXT_MAX = 20000;
const ENTRIES_MAX = 500;
const PEOPLE_MAX = 200;
const NEAR_PX = 48;           // this close to the end is at the end
const GROUP_MS = 5 * 60 * 1000;

// Controls, halves of surrogate pairs and what turns the writing direction have no place in a name.
const UNWANTED = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
const MARKS = {
  pending: ['clock', 'Waiting to be sent'],
  sent: ['clock', 'Sent'],
  delivered: ['tick', 'Delivered'],
  unsure: ['ask', 'Not confirmed'],
};
const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat([], { dateStyle: 'full', timeStyle: 'medium' });

/* ---- names ---- */

export function cleanName(text) {
  const characters = Array.from(text.slice(0, 1000).replace(UNWANTED, ' ').replace(/\s+/gu, ' ').trim());
  return characters.length > NAME_MAX ? `${characters.slice(0, NAME_MAX).join('')}…` : characters.join('');
}

// The same name has the same colour everywhere: FNV-1a, as one of 24 hues.
function hue(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++)
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 15)) >>> 0) % 24 * 15;
}

function initials(text) {
  const words = text.split(/[ _]/).map((word) => word.match(/[\p{L}\p{N}]/u)?.[0]);
  const letters = words.filter((letter) => letter !== undefined);
  return letters.length > 1 ? letters[0] + letters.at(-1) : letters[0] ?? '?';
}

/* ---- pieces ---- */

// A new element of a class, with text or with children.
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

function makeButton(className, onClick, ...children) {
  const button = make('button', className, ...children);
  button.type = 'button';
  button.addEventListener('click', onClick);
  return button;
}

// One of the symbols in index.html.
function icon(symbol) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#${symbol}`);
  svg.append(use);
  return svg;
}

// The colour of a name is a custom property, of which chat.css makes light and dark; nobody's is grey.
function tint(element, name) {
  element.style.setProperty('--hue', hue(name));
  element.classList.toggle('nobody', name === '');
  return element;
}

function egg(name) {
  const shell = tint(make('span', 'egg', name === '' ? '–' : initials(name)), name);
  shell.setAttribute('aria-hidden', 'true');
  return shell;
}

const named = (name) => tint(make('bdi', 'name', name || 'someone'), name);

function stamp(at) {
  const time = make('time', '', clock.format(at));
  time.dateTime = new Date(at).toISOString();
  time.title = calendar.format(at);
  return time;
}

function cut(text) {
  const left = text.length - TEXT_MAX;
  return left > 0 ? `${text.slice(0, TEXT_MAX)} … (${left} characters more)` : text;
}

/* ---- who is here ---- */

export class Panel {
  #region;
  #list;
  #count;
  #own;

  constructor({ region, list, count, onRename }) {
    this.#region = region;
    this.#list = list;
    this.#count = count;
    this.#own = makeButton('me', onRename);
    list.append(make('li', 'person', this.#own));
  }

  // Oneself first. `isCurrent`: there is a connection that would tell of changes.
  show(name, others, isCurrent) {
    const sorted = others.map(cleanName).sort((a, b) => a.localeCompare(b));
    const items = sorted.slice(0, PEOPLE_MAX).map((each) => make('li', 'person', egg(each), named(each)));
    if (sorted.length > PEOPLE_MAX)
      items.push(make('li', 'person more', `and ${(sorted.length - PEOPLE_MAX).toLocaleString()} more`));
    this.#showOwn(name);
    this.#list.replaceChildren(this.#list.firstElementChild, ...items);
    this.#region.classList.toggle('stale', !isCurrent);
    this.#count.textContent = (sorted.length + 1).toLocaleString();
  }

  #showOwn(name) {
    const label = `${name}, you: change your name`;
    if (this.#own.ariaLabel === label)
      return;
    this.#own.ariaLabel = label;
    this.#own.title = 'Change your name';
    this.#own.replaceChildren(egg(name), named(name), make('span', 'you', 'you'), icon('pen'));
  }
}

/* ---- what was said ---- */

/*
 * A list that follows its end as long as one looks at it.
 *
 *   1. At most ENTRIES_MAX entries; the oldest go, and who reads further up does not notice.
 *   2. An entry without its head ("follows") stands behind one of the same author, and the first has a head.
 */
export class Transcript {
  #view;
  #list;
  #button;
  #buttonText;
  #isAtEnd = true;
  #size = '';   // of view and list, when it was last seen to
  #unseen = 0;
  #last = null; // {name, isOwn, at} of the newest entry

  constructor({ view, list, button, buttonText }) {
    this.#view = view;
    this.#list = list;
    this.#button = button;
    this.#buttonText = buttonText;
    view.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    button.addEventListener('click', () => this.#goToEnd());
    const observer = new ResizeObserver(() => this.#resized());
    observer.observe(view);
    observer.observe(list);
  }

  // Somebody else's.
  hear(name, text, at) {
    const shown = cleanName(name);
    const entry = this.#compose(shown, cut(text), at, false);
    entry.prepend(egg(shown));
    this.#append(entry);
    if (!this.#isAtEnd)
      this.#countUnseen(this.#unseen + 1);
  }

  /** One's own; brings one back to the end. @returns what mark() takes. */
  say(name, text) {
    const entry = this.#compose(name, text, Date.now(), true);
    this.#append(entry);
    this.#goToEnd();
    return entry;
  }

  // state: of MARKS. What is unsure is offered to be sent again, by onAgain().
  mark(entry, state, onAgain) {
    const [symbol, text] = MARKS[state];
    const sign = make('span', 'mark', icon(symbol), make('span', 'hidden', text));
    sign.title = text;
    entry.dataset.state = state;
    entry.querySelectorAll('.mark, .again').forEach((old) => old.remove());
    entry.querySelector('.line').append(sign);
    if (state === 'unsure')
      entry.append(makeButton('again', onAgain, 'Not confirmed. Send again'));
  }

  // Something that nobody said.
  note(text) {
    this.#last = null;
    this.#append(make('li', 'note', text));
  }

  clear() {
    this.#list.replaceChildren();
    this.#last = null;
    this.#goToEnd();
  }

  #compose(name, text, at, isOwn) {
    const entry = make('li', isOwn ? 'entry own' : 'entry');
    const body = make('p', 'body', text);
    const before = this.#last;
    body.dir = 'auto';
    if (before?.isOwn === isOwn && before.name === name && Math.abs(at - before.at) < GROUP_MS)
      entry.classList.add('follows');
    const author = isOwn ? make('span', 'hidden', 'You') : named(name);
    entry.append(make('p', 'head', author, ' ', stamp(at)), make('div', 'line', body));
    this.#last = { name, isOwn, at };
    return entry;
  }

  #append(entry) {
    this.#list.append(entry);
    if (this.#list.childElementCount > ENTRIES_MAX)
      this.#trim();
    if (this.#isAtEnd)
      this.#follow();
  }

  #trim() {
    const { scrollTop } = this.#view; // before the browser cuts it to what is left
    const before = this.#list.offsetHeight;
    this.#list.firstElementChild.remove();
    this.#list.firstElementChild.classList.remove('follows');
    if (!this.#isAtEnd)
      this.#view.scrollTop = scrollTop - (before - this.#list.offsetHeight);
  }

  #follow() {
    this.#view.scrollTop = this.#view.scrollHeight;
  }

  get #sizeNow() {
    return `${this.#view.clientHeight} ${this.#view.scrollHeight}`;
  }

  #resized() {
    this.#size = this.#sizeNow;
    if (this.#isAtEnd)
      this.#follow();
    else
      this.#scrolled();
  }

  #goToEnd() {
    this.#isAtEnd = true;
    this.#countUnseen(0);
    this.#follow();
  }

  // In a size that is new the end has moved, not the reader; #resized() comes next.
  #scrolled() {
    if (this.#size !== this.#sizeNow)
      return;
    this.#isAtEnd = this.#view.scrollHeight - this.#view.scrollTop - this.#view.clientHeight < NEAR_PX;
    if (this.#isAtEnd)
      this.#countUnseen(0);
  }

  #countUnseen(unseen) {
    this.#unseen = unseen;
    this.#button.hidden = unseen === 0;
    this.#buttonText.textContent = unseen === 1 ? '1 new message' : `${unseen} new messages`;
  }
}
