#!/usr/bin/env node
// SPDX-License-Identifier: MIT
/*
 * control.mjs - steers pages from a terminal. Node 22 or later has the WebSocket that it needs, Node 20 has it with
 * --experimental-websocket, and where npm's `ws` is installed (above this folder, or where NODE_PATH says) any will do.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { BrokerClient } from '../../clients/js/linnet.js';

const USAGE = `usage: control.mjs [--url URL] COMMAND [ARGUMENT...]

  list                             who is there
  info ID                          a page's title, address and size
  navigate ID URL                  goes there
  alert ID TEXT                    shows a text
  exec ID CODE                     runs code, - for that of standard input; the page must offer it
  fill ID ELEMENT=VALUE...         fills in elements by their ids
  submit ID [FORM]                 sends a form, the first one if there is no selector
  clear ID [FORM]                  empties it
  screenshot ID FILE               a picture of the page
  scroll ID X Y                    to there
  click ID SELECTOR                an element

The default of --url is ws://localhost:8080/wsmq, or what LINNET_URL says. Exit status: 0 done, 1 not done, 2 misused.`;

class Misuse extends Error {}

function need(values, count) {
  if (values.length < count || values.some((value) => value === ''))
    throw new Misuse('something is missing');
  return values;
}

function fieldsOf(words) {
  return Object.fromEntries(need(words, 1).map((word) => {
    const at = word.indexOf('=');
    if (at < 1)
      throw new Misuse(`${word} is not ELEMENT=VALUE`);
    return [word.slice(0, at), word.slice(at + 1)];
  }));
}

function numbers(words) {
  const values = need(words, 2).map(Number);
  if (values.some(Number.isNaN))
    throw new Misuse('X and Y are numbers');
  return values;
}

const readCode = (word) => (word === '-' ? readFileSync(0, 'utf8') : word);

// Command -> [topic, payload] of its arguments without the id.
const COMMANDS = {
  info: () => ['browser.info', {}],
  navigate: (words) => ['browser.navigate', { url: need(words, 1)[0] }],
  alert: (words) => ['browser.alert', { message: need(words, 1).join(' ') }],
  exec: (words) => ['browser.exec', { code: readCode(need(words, 1).join(' ')) }],
  fill: (words) => ['browser.fillForm', { fields: fieldsOf(words) }],
  submit: ([selector]) => ['browser.submitForm', { selector }],
  clear: ([selector]) => ['browser.clearForm', { selector }],
  screenshot: (words) => { need(words, 1); return ['browser.screenshot', {}]; },
  scroll: (words) => { const [x, y] = numbers(words); return ['browser.scroll', { x, y }]; },
  click: (words) => ['browser.click', { selector: need(words, 1).join(' ') }],
};

async function list(client) {
  for (const { id, name, clientType, clientUrl } of await client.clients()) {
    if (id !== client.id)
      console.log([id, clientType, name, clientUrl].join('\t'));
  }
}

function show(command, words, result) {
  if (result.success === false)
    throw new Error(result.error);
  if (command === 'screenshot') {
    writeFileSync(words[0], Buffer.from(result.dataUrl.replace(/^[^,]*,/, ''), 'base64'));
    console.log(`${words[0]}: ${result.dataUrl.slice(5, result.dataUrl.indexOf(';'))}`);
  } else {
    console.log(command === 'exec' ? result.result : JSON.stringify(result, null, 2));
  }
}

function webSocket() {
  return globalThis.WebSocket ?? createRequire(import.meta.url)('ws'); // which looks where NODE_PATH says, too
}

async function run(url, command, [id = '', ...words]) {
  if (command !== 'list' && !Object.hasOwn(COMMANDS, command ?? ''))
    throw new Misuse(command === undefined ? '' : `there is no command ${command}`);
  const question = command === 'list' ? null : COMMANDS[command](words);
  if (question !== null && id === '')
    throw new Misuse('something is missing');
  const client = new BrokerClient({ url, clientName: 'control', autoReconnect: false, WebSocket: webSocket() });
  client.on('error', () => {}); // connect() says it
  try {
    await client.connect();
    await (question === null ? list(client) : client.call(id, ...question).then((result) => show(command, words, result)));
  } finally {
    client.disconnect();
  }
}

const [, , ...args] = process.argv;
const [, url] = args[0] === '--url' ? args.splice(0, 2) : [];
run(url ?? process.env.LINNET_URL ?? 'ws://localhost:8080/wsmq', args[0], args.slice(1)).catch((error) => {
  console.error(error instanceof Misuse ? `${error.message}\n${USAGE}`.trim() : error.message);
  process.exitCode = error instanceof Misuse ? 2 : 1;
});
