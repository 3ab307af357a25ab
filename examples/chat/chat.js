// SPDX-License-Identifier: MIT
/*
 * chat.js - a chat of numbered commands with JSON in them: how a page is written with linnet.js.
 *
 *   MESSAGE      1   {username, message}            there; with a timestamp back to everybody, ourselves too
 *   JOINED       3   {id, username, joinedAt}       back: somebody has said a name, perhaps a new one
 *   LEFT         4   the same                       back
 *   GET_PEOPLE   5                                  there
 *   PEOPLE       6   an array of what JOINED has    back
 *   NAME         8   {username}                     there
 *
 * Names belong to connections: each new one begins with NAME and GET_PEOPLE. Messages have no ids: one's own is known
 * by its name and text when it comes back. What had not yet come back when a connection ended may have been heard or
 * not, so it is for the writer to say it again; what had not been sent is sent by itself.
 */
import { CommandClient } from '../../clients/js/linnet.js';
import { cleanName, Panel, Transcript } from './view.js';

const MESSAGE = 1, JOINED = 3, LEFT = 4, GET_PEOPLE = 5, PEOPLE = 6, NAME = 8;

const TEXT_MAX = 1000;    // characters; as JSON the server takes 4 KiB
const WARN_AT = 900;
const OUTBOX_MAX = 50;
const ECHO_MS = 10000;    // what has not come back after this long is doubtful
const RETURN_MS = 30000;  // who comes back this soon after a lost connection is no news
const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;
const GUEST = /^Guest_[0-9a-f]{8}$/; // who has not said a name yet

const $ = (id) => document.getElementById(id);
const decoder = new TextDecoder();
const panel = new Panel({ region: $('people-region'), list: $('people'), count: $('count'), onRename: openNaming });
const transcript = new Transcript({ view: $('log'), list: $('entries'), button: $('unseen'),
  buttonText: $('unseen-text') });

let client = null;
let name = '';
let ownId = null;            // of this connection, once it is known
const formerIds = new Set(); // of those before, which the server may take a while to miss
let people = new Map();      // id -> name
let missed = { names: new Set(), until: 0 };
let outbox = [];             // {text, as, state: 'pending' | 'sent' | 'unsure', sentAt, entry}, in order
let wasOnline = false;
let waitUntil = 0;
let unread = 0;

/* ---- what is remembered ---- */

// A tab remembers its own, the browser the last one. Storage may be forbidden: then touching it throws.
function recall(storage, key) {
  try {
    return window[storage].getItem(`linnet.chat.${key}`) ?? '';
  } catch {
    return '';
  }
}

function remember(storage, key, value) {
  try {
    window[storage].setItem(`linnet.chat.${key}`, value);
  } catch {
    // it is only forgotten sooner
  }
}

/* ---- people ---- */

const isPerson = (value) => typeof value?.id === 'string' && typeof value.username === 'string';

function showPeople() {
  const others = [...people].filter(([id]) => id !== ownId && !formerIds.has(id)).map(([, each]) => each);
  panel.show(name, others, client.isConnected());
}

function takePeople(list) {
  people = new Map(list.filter(isPerson).map(({ id, username }) => [id, username]));
  showPeople();
}

function tellJoined(before, username) {
  const isBack = missed.names.delete(username) && Date.now() < missed.until;
  const [was, is] = [cleanName(before ?? ''), cleanName(username) || 'someone'];
  if (before !== undefined && !GUEST.test(before) && was !== is)
    transcript.note(`${was || 'someone'} is called ${is} now`);
  else if ((before === undefined || GUEST.test(before)) && !isBack)
    transcript.note(`${is} came in`);
}

function takeJoined(person) {
  if (!isPerson(person))
    return;
  const { id, username } = person;
  if (ownId === null && username === name) // the first of our name, after we have said it, is ourselves
    ownId = id;
  if (id !== ownId)
    tellJoined(people.get(id), username);
  people.set(id, username);
  showPeople();
}

function takeLeft({ id }) {
  const username = people.get(id);
  if (username === undefined)
    return;
  people.delete(id);
  if (!formerIds.delete(id) && !GUEST.test(username))
    transcript.note(`${cleanName(username) || 'someone'} left`);
  showPeople();
}

/* ---- what is said ---- */

function showTitle() {
  document.title = `${unread > 0 ? `(${unread}) ` : ''}Chat · linnet`;
}

// A clock that is a day off says nothing; the time of arrival does.
function timeOf(timestamp) {
  const at = Date.parse(timestamp);
  const now = Date.now();
  return Math.abs(at - now) < CLOCK_SKEW_MS ? at : now;
}

function takeMessage({ username, message, timestamp }) {
  if (typeof username !== 'string' || typeof message !== 'string')
    return;
  const at = outbox.findIndex((said) => said.as === username && said.text === message && said.state !== 'pending');
  if (at >= 0) {
    mark(outbox[at], 'delivered');
    outbox.splice(at, 1);
    return;
  }
  transcript.hear(username, message, timeOf(timestamp));
  if (document.visibilityState === 'hidden') {
    unread += 1;
    showTitle();
  }
}

function mark(said, state) {
  said.state = state;
  transcript.mark(said.entry, state, () => {
    mark(said, 'pending');
    flush();
  });
}

// In order; what cannot be sent now waits for the next connection.
async function flush() {
  for (const said of outbox.filter(({ state }) => state === 'pending')) {
    said.as = name;
    said.sentAt = Date.now();
    mark(said, 'sent');
    try {
      await client.sendJSON(MESSAGE, { username: name, message: said.text });
    } catch {
      mark(said, 'pending');
      return;
    }
  }
}

function say(text) {
  const said = { text, as: name, state: 'pending', sentAt: 0, entry: transcript.say(name, text) };
  outbox.push(said);
  mark(said, 'pending');
  flush();
}

const isOverdue = ({ state, sentAt }) => state === 'sent' && Date.now() - sentAt > ECHO_MS;

function doubt(isDoubtful) {
  for (const said of outbox.filter((each) => each.state === 'sent' && isDoubtful(each)))
    mark(said, 'unsure');
}

/* ---- the connection ---- */

// A handler of payloads that are JSON; what is none is passed over.
function reading(take) {
  return (payload) => {
    let value = null;
    try {
      value = JSON.parse(decoder.decode(payload));
    } catch {
      return;
    }
    if (typeof value === 'object' && value !== null)
      take(value);
  };
}

function newClient(url) {
  const made = new CommandClient({ url });
  made.on(MESSAGE, reading(takeMessage));
  made.on(JOINED, reading(takeJoined));
  made.on(LEFT, reading(takeLeft));
  made.on(PEOPLE, reading((list) => Array.isArray(list) && takePeople(list)));
  made.on('open', arrive);
  made.on('close', lose);
  made.on('reconnecting', countDown);
  made.on('state', turn);
  return made;
}

async function sayName() {
  await client.sendJSON(NAME, { username: name });
  await client.send(GET_PEOPLE);
}

function arrive() {
  if (wasOnline)
    transcript.note('Back again; what was said meanwhile has not reached you');
  wasOnline = true;
  sayName().then(flush, () => {}); // a connection that is lost already will have a successor
}

function lose({ code, reason }) {
  if (ownId !== null)
    formerIds.add(ownId);
  ownId = null;
  missed = { names: new Set(people.values()), until: Date.now() + RETURN_MS };
  doubt(() => true);
  if (code !== 1000 && reason !== '')
    transcript.note(`The server has closed the connection: ${cleanName(reason)}`);
}

function turn(state) {
  const isOnline = state === 'CONNECTED';
  const isWaiting = state === 'RECONNECTING';
  if (isOnline)
    missed.until = Date.now() + RETURN_MS;
  $('link').dataset.state = isOnline ? 'online' : isWaiting ? 'waiting' : 'connecting';
  if (!isWaiting && document.activeElement === $('link-now'))
    $('text').focus();
  $('link-now').hidden = !isWaiting;
  if (isOnline)
    $('link-news').textContent = wasOnline ? 'Connected again' : 'Connected';
  else if (isWaiting)
    $('link-news').textContent = 'Not connected, trying again';
  showState();
  showPeople();
}

function countDown({ delay }) {
  waitUntil = Date.now() + delay;
  showState();
}

// Eyes get every second of a wait, ears only what turn() says.
function showState() {
  const seconds = Math.max(1, Math.ceil((waitUntil - Date.now()) / 1000));
  const texts = { CONNECTED: 'Online', RECONNECTING: navigator.onLine ? `Reconnecting in ${seconds} s` : 'Offline' };
  const text = texts[client.getState()] ?? (wasOnline ? 'Reconnecting' : 'Connecting');
  if ($('link-text').textContent !== text)
    $('link-text').textContent = text;
}

/* ---- coming and going ---- */

function defaultServer() {
  if (!location.protocol.startsWith('http'))
    return 'ws://localhost:8080/ws';
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
}

function isServer(text) {
  try {
    return /^wss?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

function enter(server) {
  remember('sessionStorage', 'name', name);
  remember('localStorage', 'name', name);
  remember('sessionStorage', 'server', server);
  $('door').hidden = true;
  $('app').hidden = false;
  wasOnline = false;
  client = newClient(server);
  client.connect().catch(() => {}); // tried again by itself; turn() shows it
  showPeople();
  fit();
}

function submitJoin(event) {
  event.preventDefault();
  const server = $('server').value.trim();
  name = cleanName($('username').value);
  $('username').setCustomValidity(name === '' ? 'A name has a letter, at least' : '');
  $('server').setCustomValidity(isServer(server) ? '' : 'An address begins with ws:// or wss://');
  $('server-box').open ||= !isServer(server);
  if (!event.target.reportValidity())
    return;
  enter(server);
  $('text').focus();
}

function leave() {
  client.off('close');
  client.off('state');
  client.disconnect();
  people.clear();
  ownId = null;
  transcript.clear();
  outbox = [];
  remember('sessionStorage', 'name', '');
  openDoor();
}

function openDoor() {
  $('app').hidden = true;
  $('door').hidden = false;
  $('username').value = recall('localStorage', 'name');
  $('username').focus();
}

function openNaming() {
  $('new-name').value = name;
  $('naming').showModal();
  $('new-name').select();
}

function submitName(event) {
  event.preventDefault();
  const wish = cleanName($('new-name').value);
  $('new-name').setCustomValidity(wish === '' ? 'A name has a letter, at least' : '');
  if (!event.target.reportValidity())
    return;
  $('naming').close();
  if (wish === name)
    return;
  name = wish;
  remember('sessionStorage', 'name', name);
  remember('localStorage', 'name', name);
  transcript.note(`You are called ${name} now`);
  showPeople();
  sayName().catch(() => {}); // the next connection begins with it
}

/* ---- writing ---- */

// Enter that ends an IME's composition belongs to the IME; Safari marks it by key code 229 only.
function press(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229)
    return;
  event.preventDefault();
  $('composer').requestSubmit();
}

function submitText(event) {
  event.preventDefault();
  const text = $('text').value.trim();
  const isFull = outbox.length >= OUTBOX_MAX;
  if (text === '' || text.length > TEXT_MAX)
    return;
  if (!isFull) {
    $('text').value = '';
    say(text);
  }
  fit();
  if (isFull)
    $('hint').textContent = `${outbox.length} messages wait already: this one can be sent when they are gone`;
}

function fit() {
  const field = $('text');
  const left = TEXT_MAX - field.value.trim().length;
  const hint = left < 0 ? `${-left} characters too many` : left < TEXT_MAX - WARN_AT ? `${left} characters left` : '';
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight}px`;
  $('composer').classList.toggle('too-long', left < 0);
  if ($('hint').textContent !== hint)
    $('hint').textContent = hint;
  remember('sessionStorage', 'draft', field.value);
}

// iOS lays its keyboard over the page instead of making the page smaller. A page zoomed in is to stay as it is.
function fitViewport() {
  const { height, offsetTop, scale } = window.visualViewport;
  if (scale > 1.01)
    return;
  document.documentElement.style.setProperty('--height', `${height}px`);
  document.documentElement.style.setProperty('--top', `${offsetTop}px`);
}

/* ---- start ---- */

function see() {
  if (document.visibilityState === 'hidden')
    return;
  unread = 0;
  showTitle();
}

function tick() {
  if (client === null || $('app').hidden)
    return;
  showState();
  if (outbox.some(isOverdue)) { // then the connection is dead, and has not noticed
    doubt(isOverdue);
    client.disconnect();
    client.connect().catch(() => {});
  }
}

function listen() {
  $('join').addEventListener('submit', submitJoin);
  $('username').addEventListener('input', () => $('username').setCustomValidity(''));
  $('server').addEventListener('input', () => $('server').setCustomValidity(''));
  $('leave').addEventListener('click', leave);
  $('link-now').addEventListener('click', () => client.connect().catch(() => {}));
  $('naming-form').addEventListener('submit', submitName);
  $('new-name').addEventListener('input', () => $('new-name').setCustomValidity(''));
  $('naming-cancel').addEventListener('click', () => $('naming').close());
  $('text').addEventListener('keydown', press);
  $('text').addEventListener('input', fit);
  $('composer').addEventListener('submit', submitText);
  $('send').addEventListener('pointerdown', (event) => event.preventDefault()); // the focus and a phone's keyboard stay
  document.addEventListener('visibilitychange', see);
  window.visualViewport?.addEventListener('resize', fitViewport);
  window.visualViewport?.addEventListener('scroll', fitViewport);
  setInterval(tick, 250);
}

function start() {
  name = cleanName(recall('sessionStorage', 'name'));
  $('server').value = recall('sessionStorage', 'server') || defaultServer();
  $('text').value = recall('sessionStorage', 'draft');
  listen();
  if (name === '')
    openDoor();
  else
    enter($('server').value);
}

start();
