// SPDX-License-Identifier: MIT
/*
 * nick.js - what people are called: made up, cleaned, remembered, coloured.
 *
 * A tab remembers its own name (sessionStorage), the browser the last one (localStorage); with neither, as in a private
 * window without storage, a name lasts as long as the page.
 */
const KEY = 'linnet.name';
const NAME_MAX_BYTES = 64; // the server's limit
const NAME_MAX = 32;       // characters

const MOODS = ['Amber', 'Brisk', 'Calm', 'Deft', 'Early', 'Fair', 'Gentle', 'Hardy', 'Keen', 'Light', 'Merry', 'Nimble',
  'Plain', 'Quick', 'Quiet', 'Sunny'];
const BIRDS = ['Brambling', 'Bunting', 'Chaffinch', 'Crossbill', 'Dunnock', 'Firecrest', 'Fieldfare', 'Goldcrest',
  'Lark', 'Nuthatch', 'Pipit', 'Redpoll', 'Redwing', 'Siskin', 'Twite', 'Wren'];

// Controls, halves of surrogate pairs and what turns the writing direction have no place in a name.
const UNWANTED = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

export function clean(name) {
  const encoder = new TextEncoder();
  let out = '';
  let bytes = 0;
  let count = 0;
  for (const character of name.slice(0, 1000).replace(UNWANTED, ' ').replace(/\s+/gu, ' ').trim()) {
    bytes += encoder.encode(character).length;
    count += 1;
    if (bytes > NAME_MAX_BYTES || count > NAME_MAX)
      break;
    out += character;
  }
  return out.trim();
}

// One that is not taken, as long as there is one.
export function invent(taken = []) {
  const names = MOODS.flatMap((mood) => BIRDS.map((bird) => `${mood} ${bird}`));
  const free = names.filter((each) => !taken.includes(each));
  const choice = free.length > 0 ? free : names;
  return choice[Math.floor(Math.random() * choice.length)];
}

// Storage may be forbidden: then even touching it throws.
function recall(storage) {
  try {
    return clean(window[storage].getItem(KEY) ?? '');
  } catch {
    return '';
  }
}

function store(storage, name) {
  try {
    window[storage].setItem(KEY, name);
  } catch {
    // it is only forgotten sooner
  }
}

export function rememberHere(name) {
  store('sessionStorage', name);
}

export function remember(name) {
  rememberHere(name);
  store('localStorage', name);
}

function isInvented(name) {
  const [mood, bird] = name.split(' ');
  return MOODS.includes(mood) && BIRDS.includes(bird);
}

// {name, isLoan}: on loan is a made-up name from the browser that another tab may be using at this moment.
export function load() {
  const own = recall('sessionStorage');
  const known = recall('localStorage');
  const name = own || known || invent();
  if (own === '')
    remember(name);
  return { name, isLoan: own === '' && known !== '' && isInvented(known) };
}

// The same name has the same colour everywhere: FNV-1a over its UTF-16 units, as one of 24 hues.
export function hue(name) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++)
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 15)) >>> 0) % 24 * 15;
}

export function initials(name) {
  const words = name.split(' ').filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => Array.from(word).find((c) => /[\p{L}\p{N}]/u.test(c)));
  return letters.length > 1 ? letters[0] + letters.at(-1) : letters[0] ?? '?';
}
