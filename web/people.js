// SPDX-License-Identifier: MIT
/*
 * people.js - who is in the room, as the server tells it. No page, no network: news go in.
 *
 * The first news of a connection is everybody, or in a large room their number; what follows are differences, each of
 * which fits one version.
 *
 *   apply() gives   when
 *   'list'          this is how the room is now
 *   'diff'          it fitted: `joined` and `left` have the names of who came and went
 *   'old'           it was known already, or there is no list yet to apply it to
 *   'gap'           something in between is missing: a new list is needed, and comes with a new connection
 */
export class People {
  #version = null;
  #byId = new Map(); // id -> name; empty while only the number is known

  count = 0;
  joined = [];
  left = [];

  // A new connection: what was known stays on show until its list comes, but no difference applies to it.
  expectList() {
    this.#version = null;
  }

  apply(news) {
    if (news.since === undefined)
      return this.#takeList(news);
    if (this.#version === null || news.version <= this.#version)
      return 'old';
    if (news.since !== this.#version)
      return 'gap';
    return this.#takeDiff(news);
  }

  #takeList(news) {
    this.#byId = new Map((news.members ?? []).map(({ id, name }) => [id, name]));
    this.#version = news.version;
    this.count = news.count;
    return 'list';
  }

  #takeDiff(news) {
    this.left = news.left.filter((id) => this.#byId.has(id)).map((id) => this.#byId.get(id));
    this.joined = news.joined.filter(({ id }) => !this.#byId.has(id)).map(({ name }) => name);
    for (const id of news.left)
      this.#byId.delete(id);
    for (const { id, name } of news.joined)
      this.#byId.set(id, name);
    this.#version = news.version;
    this.count = news.count;
    return 'diff';
  }

  // Everybody but one of that name, which is oneself, in alphabetical order.
  others(ownName) {
    const names = [...this.#byId.values()];
    const own = names.indexOf(ownName);
    if (own >= 0)
      names.splice(own, 1);
    return names.sort((a, b) => a.localeCompare(b));
  }
}
