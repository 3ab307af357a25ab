// SPDX-License-Identifier: MIT
/*
 * panel.js - the list of who is here: oneself first, with a button to change the name.
 */
import { egg, icon, make, named } from './element.js';
import { clean } from './nick.js';

const SHOWN_MAX = 200; // people by name; the rest is a number

export class Panel {
  #region;
  #list;
  #count;
  #own;

  constructor({ region, list, count, onRename }) {
    this.#region = region;
    this.#list = list;
    this.#count = count;
    this.#own = make('button', 'me');
    this.#own.type = 'button';
    this.#own.addEventListener('click', onRename);
    list.append(make('li', 'person', this.#own));
  }

  #showOwn(name) {
    const label = `${name}, you: change your name`;
    if (this.#own.ariaLabel === label)
      return;
    this.#own.ariaLabel = label;
    this.#own.title = 'Change your name';
    this.#own.replaceChildren(egg(name), named(name, 'name'), make('span', 'you', 'you'), icon('pen'));
  }

  // `isCurrent`: there is a connection that would tell of changes.
  show(people, ownName, isCurrent) {
    const others = people.others(ownName).map(clean);
    const nameless = others.filter((name) => name === '').length;
    const known = others.filter((name) => name !== '').slice(0, SHOWN_MAX);
    const items = known.map((name) => make('li', 'person', egg(name), named(name, 'name')));
    const total = Math.max(people.count, others.length + 1);
    const more = total - 1 - known.length - nameless;
    if (nameless > 0)
      items.push(make('li', 'person', egg(''), make('span', 'name nobody', nameless === 1 ? 'someone' : `${nameless} without a name`)));
    if (more > 0)
      items.push(make('li', 'person more', `and ${more.toLocaleString()} more`));
    this.#showOwn(ownName);
    this.#list.replaceChildren(this.#list.firstElementChild, ...items);
    this.#region.classList.toggle('stale', !isCurrent);
    this.#count.textContent = total.toLocaleString();
  }
}
