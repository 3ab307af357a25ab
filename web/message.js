// SPDX-License-Identifier: MIT
/*
 * message.js - what goes over the wire: written and read, never shown.
 *
 * A room passes on whatever anybody sends, so everything read here is foreign. Its shape is checked and its size cut;
 * what is not in a known shape is text from somebody with another client.
 *
 *   read() gives                              for
 *   {kind: 'presence', news}                  {"type":"presence",...} as people.js wants it
 *   {kind: 'chat', id, name, text, at}        {"type":"chat",...} from a page like this one
 *   {kind: 'plain', text}                     any other text; of a JSON string, as programs publish texts, what it says
 *   {kind: 'binary', size}                    an ArrayBuffer
 */
import { clean } from './nick.js';

export const TEXT_MAX = 4000; // characters that one message may have
const SHOWN_MAX = 20000;      // characters of a foreign message that are shown
const ID_MAX = 64;
const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;

// crypto.randomUUID() is missing on pages served without TLS, which is how a phone in the same network sees this one.
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function write(name, text) {
  return { type: 'chat', id: randomId(), name, text, at: Date.now() };
}

function isPerson(value) {
  return typeof value?.id === 'string' && typeof value.name === 'string';
}

function isNews(value) {
  const { version, since, count, members, joined, left } = value;
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(count) || typeof value.room !== 'string')
    return false;
  if (members !== undefined)
    return Array.isArray(members) && members.every(isPerson);
  if (since !== undefined)
    return Number.isSafeInteger(since) && Array.isArray(joined) && joined.every(isPerson)
      && Array.isArray(left) && left.every((id) => typeof id === 'string');
  return true;
}

function isChat(value) {
  return typeof value.id === 'string' && value.id.length > 0 && value.id.length <= ID_MAX
    && typeof value.name === 'string' && typeof value.text === 'string' && Number.isFinite(value.at);
}

function cut(text) {
  const left = text.length - SHOWN_MAX;
  return left > 0 ? `${text.slice(0, SHOWN_MAX)} … (${left} characters more)` : text;
}

// A clock that is a day off says nothing; the time of arrival does.
function plausible(at) {
  const now = Date.now();
  return Math.abs(at - now) < CLOCK_SKEW_MS ? at : now;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function read(data) {
  if (typeof data !== 'string')
    return { kind: 'binary', size: data.byteLength };
  const value = parse(data);
  if (value?.type === 'presence' && isNews(value))
    return { kind: 'presence', news: value };
  if (value?.type === 'chat' && isChat(value))
    return { kind: 'chat', id: value.id, name: clean(value.name), text: cut(value.text), at: plausible(value.at) };
  return { kind: 'plain', text: cut(typeof value === 'string' ? value : data) };
}
