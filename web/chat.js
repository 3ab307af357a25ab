// SPDX-License-Identifier: MIT
/*
 * chat.js - the page: brings its parts together. Each of them knows one thing and none of the others:
 *
 *   link.js        the connection          outbox.js      what is not yet delivered
 *   message.js     what it carries         people.js      who is in the room
 *   nick.js        names                   element.js     pieces of the page
 *   transcript.js, composer.js, panel.js, status.js       its regions
 */
import { Composer } from './composer.js';
import { Link } from './link.js';
import * as message from './message.js';
import * as nick from './nick.js';
import { Outbox } from './outbox.js';
import { Panel } from './panel.js';
import { People } from './people.js';
import { Status } from './status.js';
import { Transcript } from './transcript.js';

const DEFAULT_ROOM = 'lobby';
const ROOM_NAME = /^[A-Za-z0-9._:-]{1,128}$/;
const SEEN_MAX = 1000;      // ids by which a message that was sent twice is known
const GAP_PAUSE_MS = 30000; // a list that keeps not fitting does not become a storm of connections
const AWAY_MS = 2000;       // shorter absences are not worth a line
const BUSY_ROOM = 30;       // people, above which coming and going is no news
const COPIED_MS = 2000;

const $ = (id) => document.getElementById(id);

const outbox = new Outbox();
const seen = new Set();
let people = new People();
let { name, isLoan } = nick.load();
let room = roomOf(location);
let unread = 0;
let absentSince = null; // null = not yet in this room, 0 = in it
let gapAt = 0;

const transcript = new Transcript({ view: $('log'), list: $('entries'), button: $('unseen'), buttonText: $('unseen-text') });
const composer = new Composer({ form: $('composer'), field: $('text'), button: $('send'), hint: $('text-hint'), onSend: send });
const panel = new Panel({ region: $('people-region'), list: $('people'), count: $('count'), onRename: openNaming });
const link = new Link({ url: address, onState: turn, onData: take });
const status = new Status({ box: $('link'), text: $('link-text'), news: $('link-news'), now: $('link-now'), refuge: $('log'),
  onNow: () => link.wake() });

/* ---- addresses ---- */

function roomOf({ search }) {
  const wish = new URLSearchParams(search).get('room') ?? '';
  return ROOM_NAME.test(wish) ? wish : DEFAULT_ROOM;
}

function endpoint(parameters) {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/rooms?${new URLSearchParams(parameters)}`;
}

function address() {
  return endpoint({ room, presence: 1, name });
}

/* ---- showing ---- */

function showTitle() {
  document.title = `${unread > 0 ? `(${unread}) ` : ''}#${room} · linnet`;
}

function showPeople() {
  panel.show(people, name, link.state === 'online');
}

function showRoom() {
  $('room').value = room;
  $('start-title').textContent = `#${room}`;
  $('wscat').textContent = `wscat -c '${endpoint({ room })}'`;
  showTitle();
}

function list(names) {
  const shown = names.slice(0, 3).map((each) => nick.clean(each) || 'someone');
  const more = names.length - shown.length;
  if (more > 0)
    shown.push(more === 1 ? 'one other' : `${more} others`);
  return new Intl.ListFormat('en').format(shown);
}

// Who has left and come back in one go, as with a new connection, has not been away.
function tellChanges() {
  const joined = people.joined.filter((each) => !people.left.includes(each) && each !== name);
  const left = people.left.filter((each) => !people.joined.includes(each) && each !== name);
  if (people.count > BUSY_ROOM)
    return;
  if (joined.length > 0)
    transcript.note(`${list(joined)} came in`);
  if (left.length > 0)
    transcript.note(`${list(left)} left`);
}

/* ---- receiving ---- */

// A name on loan that is in use belongs to another tab of this browser, which was first.
function giveBackName() {
  const taken = people.others('');
  if (isLoan && taken.includes(name)) {
    name = nick.invent(taken);
    nick.rememberHere(name);
    link.connect();
  }
  isLoan = false;
}

function takeNews(news) {
  if (news.room !== room)
    return;
  const outcome = people.apply(news);
  if (outcome === 'gap' && Date.now() - gapAt > GAP_PAUSE_MS) {
    gapAt = Date.now();
    link.connect();
  }
  if (outcome === 'list')
    giveBackName();
  if (outcome === 'diff')
    tellChanges();
  showPeople();
}

// True if it is new.
function remember(id) {
  if (seen.has(id))
    return false;
  seen.add(id);
  if (seen.size > SEEN_MAX)
    seen.delete(seen.values().next().value);
  return true;
}

function hear(spoken) {
  transcript.hear(spoken);
  if (document.visibilityState === 'hidden') {
    unread += 1;
    showTitle();
  }
}

function takeChat(chat) {
  if (outbox.confirm(chat.id))
    transcript.mark(chat.id, 'delivered');
  else if (remember(chat.id))
    hear(chat);
}

function take(data) {
  const received = message.read(data);
  switch (received.kind) {
  case 'presence':
    takeNews(received.news);
    break;
  case 'chat':
    takeChat(received);
    break;
  case 'plain':
    hear({ kind: 'plain', name: '', text: received.text, at: Date.now() });
    break;
  case 'binary':
    hear({ kind: 'binary', name: '', text: `binary message, ${received.size.toLocaleString()} bytes`, at: Date.now() });
    break;
  }
}

/* ---- sending ---- */

function flush() {
  for (const id of outbox.flush((text) => link.send(text), Date.now()))
    transcript.mark(id, 'sent');
}

function send(text) {
  if (outbox.isFull)
    return `${outbox.size} messages wait already: this one can be sent when they are gone`;
  const own = message.write(name, text);
  remember(own.id);
  outbox.add(own);
  transcript.say(own);
  flush();
  return '';
}

/* ---- the connection ---- */

function arrive() {
  const away = Date.now() - absentSince;
  if (absentSince > 0 && away > AWAY_MS)
    transcript.note(`Back after ${Math.round(away / 1000)} s; what was said meanwhile has not reached you`);
  absentSince = 0;
  people.expectList();
  flush();
}

function leave() {
  if (absentSince === 0)
    absentSince = Date.now();
  for (const id of outbox.rewind())
    transcript.mark(id, 'pending');
}

function turn() {
  status.show(link);
  if (link.state === 'online')
    arrive();
  else
    leave();
  showPeople();
}

/* ---- room and name ---- */

function enter(next) {
  if (next === room)
    return;
  room = next;
  people = new People();
  composer.restore(outbox.takeBack());
  transcript.clear();
  showRoom();
  link.connect();
  absentSince = null;
}

function submitRoom(event) {
  event.preventDefault();
  const field = $('room');
  const wish = field.value.trim().replace(/^#/, '').replace(/\s+/g, '-');
  field.setCustomValidity(ROOM_NAME.test(wish) ? '' : 'A room is called by letters, digits and . _ : -');
  if (!field.reportValidity())
    return;
  if (wish !== room)
    history.pushState(null, '', `?${new URLSearchParams({ room: wish })}`);
  enter(wish);
  resetRoomField();
  composer.focus();
}

function resetRoomField() {
  $('room').setCustomValidity('');
  $('room').value = room;
}

function openNaming() {
  $('name').value = name;
  $('name').setCustomValidity('');
  $('naming').showModal();
  $('name').select();
}

function submitName(event) {
  event.preventDefault();
  const wish = nick.clean($('name').value);
  $('name').setCustomValidity(wish === '' ? 'A name has a letter, at least' : '');
  if (!$('name').reportValidity())
    return;
  $('naming').close();
  if (wish === name)
    return;
  name = wish;
  isLoan = false;
  nick.remember(name);
  transcript.note(`You are called ${name} now`);
  link.connect();
}

/* ---- the window ---- */

function see() {
  if (document.visibilityState === 'hidden')
    return;
  unread = 0;
  showTitle();
}

// iOS lays its keyboard over the page instead of making the page smaller. A page zoomed in is to stay as it is.
function fitViewport() {
  const { height, offsetTop, scale } = window.visualViewport;
  if (scale > 1.01)
    return;
  document.documentElement.style.setProperty('--height', `${height}px`);
  document.documentElement.style.setProperty('--top', `${offsetTop}px`);
}

async function copyLink() {
  const button = $('copy');
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Not allowed here';
  }
  setTimeout(() => { button.textContent = 'Copy the link'; }, COPIED_MS);
}

function start() {
  $('room-form').addEventListener('submit', submitRoom);
  $('room').addEventListener('input', () => $('room').setCustomValidity(''));
  $('room').addEventListener('blur', resetRoomField);
  $('naming-form').addEventListener('submit', submitName);
  $('name').addEventListener('input', () => $('name').setCustomValidity(''));
  $('naming-other').addEventListener('click', () => { $('name').value = nick.invent(people.others('')); });
  $('naming-cancel').addEventListener('click', () => $('naming').close());
  $('copy').hidden = navigator.clipboard === undefined;
  $('copy').addEventListener('click', copyLink);
  window.addEventListener('popstate', () => enter(roomOf(location)));
  document.addEventListener('visibilitychange', see);
  window.visualViewport?.addEventListener('resize', fitViewport);
  window.visualViewport?.addEventListener('scroll', fitViewport);
  setInterval(() => outbox.isOverdue(Date.now()) && link.connect(), 1000);
  showRoom();
  showPeople();
  link.connect();
}

start();
