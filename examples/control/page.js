// SPDX-License-Identifier: MIT
/*
 * page.js - a page that others may steer, as far as its visitor lets them: each control is offered while its box is
 * checked. control.mjs is the other side.
 */
import { control, Controls } from '../../clients/js/control.js';
import { BrokerClient } from '../../clients/js/linnet.js';

const LOG_MAX = 50;
const $ = (id) => document.getElementById(id);
const client = new BrokerClient('/wsmq', { storage: sessionStorage, clientName: document.title });
const ends = new Map(); // control -> a function that ends it

function log(text) {
  const line = document.createElement('li');
  line.textContent = text;
  $('log').append(line);
  if ($('log').children.length > LOG_MAX)
    $('log').firstElementChild.remove();
}

function show(state, text) {
  $('link').dataset.state = state;
  $('link').textContent = text;
}

function allow(name, isAllowed) {
  ends.get(name)?.();
  ends.delete(name);
  if (isAllowed)
    ends.set(name, control(client, [name]));
}

function addBox(name, isChecked) {
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: isChecked });
  const label = document.createElement('label');
  const item = document.createElement('li');
  box.id = `allow-${name}`;
  box.addEventListener('change', () => allow(name, box.checked));
  label.append(box, name);
  item.append(label);
  $('controls').append(item);
  allow(name, isChecked);
}

function countClick({ currentTarget: button }) {
  button.dataset.count = Number(button.dataset.count) + 1;
  button.textContent = `Clicked ${button.dataset.count} times`;
  log('somebody has clicked');
}

function submit(event) {
  event.preventDefault();
  log(`sent by ${$('name').value}`);
}

Controls.forEach((name) => addBox(name, true));
addBox('exec', false);
$('form').addEventListener('submit', submit);
$('form').addEventListener('reset', () => log('the form was cleared'));
$('count').addEventListener('click', countClick);

client.on('open', () => {
  show('online', 'Connected');
  $('id').textContent = client.id;
  $('command').textContent = `node control.mjs info ${client.id}`;
});
client.on('reconnecting', ({ delay }) => show('waiting', `No connection: again in ${Math.ceil(delay / 1000)} s`));
client.on('error', (error) => log(error.message));
client.connect();
