// SPDX-License-Identifier: MIT
/*
 * linnet_pages_test.mjs - reload.js, control.js and examples/control in Chromium, against a broker that was written from
 * the protocol (broker_double.mjs).
 */
// back end: any
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import WebSocket from 'ws';
import { BrokerClient } from '../../clients/js/linnet.js';
import { Broker } from './broker_double.mjs';
import { atEnd, folder, main, openPage, steer, test, TOP, until } from './kit.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/* ---- the site: the checkout, and what a test puts in front of it ---- */

const site = { files: {}, asked: [] };

const http = createServer((request, response) => {
  const { pathname, search } = new URL(request.url, 'http://host');
  const file = join(TOP, normalize(pathname));
  site.asked.push(pathname + search);
  const body = site.files[pathname] ?? (existsSync(file) && extname(file) !== '' ? readFileSync(file) : undefined);
  response.writeHead(body === undefined ? 404 : 200, { 'Content-Type': TYPES[extname(pathname)] ?? 'text/html' });
  response.end(body ?? '');
});
await once(http.listen(0, '127.0.0.1'), 'listening');
const ORIGIN = `http://127.0.0.1:${http.address().port}`;

const html = (head, body = '') =>
  `<!DOCTYPE html><html><head><title>Site</title><link rel="icon" href="data:">${head}</head><body>${body}</body></html>`;
const reloadHead = (options = '') => html(`<link rel="stylesheet" href="/a.css"><script type="module">
  import { HotReload } from '/clients/js/reload.js';
  window.hot = new HotReload({${options}});
</script>`, '<p id="p">text</p><input id="typed">');

const asked = (broker, topic) =>
  broker.heard.filter((message) => message.topic === topic && message.type === 'request').map(({ payload }) => payload);

/* ---- reload.js ---- */

// A page that is ready; `errors` are those that the server was told of.
async function hotPage({ page, broker }, options) {
  site.files = { '/': reloadHead(options), '/a.css': 'p { color: rgb(1, 1, 1) }' };
  broker.handlers['system:hotreload_ready'] = () => null;
  broker.handlers['system:client_error'] = () => null;
  await page.goto(`${ORIGIN}/`);
  await until('it is ready', () => asked(broker, 'system:hotreload_ready').length === 1 && broker.last.topics.has('system:hot_reload'));
}

const color = (page) => page.evaluate(() => getComputedStyle(document.getElementById('p')).color);

test('a page says that it is ready, and reloads when it is told to', async (kit) => {
  const { page, broker } = kit;
  await hotPage(kit);
  assert.deepEqual(asked(broker, 'system:hotreload_ready'), [{ url: `${ORIGIN}/` }]);
  site.files['/'] = reloadHead().replace('<title>Site', '<title>New');
  broker.publish('system:hot_reload', { timestamp: 1 });
  await page.waitForFunction(() => document.title === 'New');
  await until('it is ready again', () => asked(broker, 'system:hotreload_ready').length === 2);
  broker.publish('system:hot_reload', { timestamp: 2, files: ['a.css', 'index.html'] });
  await until('and once more', () => asked(broker, 'system:hotreload_ready').length === 3);
});

test('style sheets are changed without a reload: what was typed stays', async (kit) => {
  const { page, broker } = kit;
  await hotPage(kit);
  await page.fill('#typed', 'kept');
  assert.equal(await color(page), 'rgb(1, 1, 1)');
  site.files['/a.css'] = 'p { color: rgb(2, 2, 2) }';
  broker.publish('system:hot_reload', { timestamp: 1, files: ['a.css'] });
  await page.waitForFunction(() => getComputedStyle(document.getElementById('p')).color === 'rgb(2, 2, 2)');
  site.files['/a.css'] = 'p { color: rgb(3, 3, 3) }';
  broker.publish('system:hot_reload', { timestamp: 2, files: ['sub/b.css', 'a.css'] });
  await page.waitForFunction(() => getComputedStyle(document.getElementById('p')).color === 'rgb(3, 3, 3)');
  await page.waitForFunction(() => document.querySelectorAll('link[rel=stylesheet]').length === 1);
  assert.equal(await page.inputValue('#typed'), 'kept');
  assert(site.asked.includes('/a.css?reload=1') && site.asked.includes('/a.css?reload=2'));
});

test('a sheet that is gone leaves the page as it was', async (kit) => {
  const { page, broker } = kit;
  await hotPage(kit);
  delete site.files['/a.css'];
  broker.publish('system:hot_reload', { timestamp: 7, files: ['a.css'] });
  await until('it was asked for', () => site.asked.includes('/a.css?reload=7'));
  await page.waitForFunction(() => document.querySelectorAll('link[rel=stylesheet]').length === 1);
  assert.equal(await color(page), 'rgb(1, 1, 1)');
});

test('a page that does not want to stays; reload() always does', async (kit) => {
  const { page, broker } = kit;
  await hotPage(kit, 'autoReload: false');
  const publish = (timestamp) => broker.publish('system:hot_reload', { timestamp });
  await page.evaluate(() => {
    window.mark = [];
    window.hot.client.subscribe('system:hot_reload', ({ timestamp }) => window.mark.push(timestamp));
  });
  publish(1);
  await page.waitForFunction(() => window.mark.length === 1);
  await page.evaluate(() => {
    window.hot.setAutoReload(true);
    window.hot.onReload = ({ timestamp }) => { window.mark.push(`asked ${timestamp}`); return false; };
  });
  publish(2);
  await page.waitForFunction(() => window.mark.length === 3);
  assert.deepEqual(await page.evaluate(() => window.mark), [1, 'asked 2', 2]);
  await page.evaluate(() => { window.hot.reload(); });
  await until('it is ready again', () => asked(broker, 'system:hotreload_ready').length === 2);
});

const FAULTS = `<script>
  function boom() { throw new TypeError('early'); }
</script>`;

test('errors are reported: thrown, rejected, not loaded; those from before the connection too', async (kit) => {
  const { page, broker } = kit;
  let letIn;
  broker.intercept = (socket, message) => {
    if (message.topic === 'system:register' && letIn === undefined) {
      letIn = () => { broker.intercept = () => false; broker.reply(socket, message, { serverAssignedId: 'in' }); };
      return true;
    }
    return false;
  };
  site.files = { '/': reloadHead('maxErrors: 4') + FAULTS };
  broker.handlers['system:client_error'] = () => null;
  await page.goto(`${ORIGIN}/`);
  await until('it asks to come in', () => letIn !== undefined);
  await page.evaluate(() => { setTimeout(() => window.boom()); });
  await page.waitForFunction(() => window.hot.getErrors().length === 1);
  letIn();
  await until('it is told', () => asked(broker, 'system:client_error').length === 1);
  await page.evaluate(() => {
    void Promise.reject(new Error('nobody caught me'));
    document.body.append(Object.assign(document.createElement('script'), { src: '/none.js' }));
  });
  await until('all are told', () => asked(broker, 'system:client_error').length === 3);
  const [thrown, ...others] = asked(broker, 'system:client_error');
  assert.match(thrown.message, /TypeError: early/);
  assert.match(thrown.stack, /boom/);
  assert.match(thrown.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual([thrown.filename, typeof thrown.lineno, typeof thrown.colno], [`${ORIGIN}/`, 'number', 'number']);
  assert.deepEqual(others.map(({ message }) => message).sort(),
    [`Failed to load script: ${ORIGIN}/none.js`, 'Unhandled rejection: nobody caught me']);
  await page.evaluate(() => { for (let i = 0; i < 50; i++) setTimeout(() => { throw new Error(`flood ${i}`); }); });
  await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 50); }));
  await page.evaluate(() => window.hot.client.request('nobody').catch(() => {}));
  assert.equal(asked(broker, 'system:client_error').length, 4, 'no more than maxErrors');
  assert.equal((await page.evaluate(() => window.hot.getErrors())).length, 4);
  assert.equal(await page.evaluate(() => { window.hot.clearErrors(); return window.hot.getErrors().length; }), 0);
});

test('stop() lets go; a client that it was given stays connected', async (kit) => {
  const { page, broker } = kit;
  await hotPage(kit, 'reportErrors: false');
  await page.evaluate(() => { window.hot.stop(); });
  await until('it is gone', () => broker.open.length === 0);
  await page.evaluate(async () => {
    const { BrokerClient: Broker } = await import('/clients/js/linnet.js');
    const { HotReload } = await import('/clients/js/reload.js');
    window.given = new Broker();
    await window.given.connect();
    window.hot = new HotReload({ client: window.given });
  });
  await until('it is ready', () => asked(broker, 'system:hotreload_ready').length === 2);
  await page.evaluate(() => { window.hot.stop(); });
  await until('it has unsubscribed', () => !broker.last.topics.has('system:hot_reload'));
  await page.evaluate(() => { setTimeout(() => { throw new Error('unheard'); }); });
  assert.equal(await page.evaluate(() => window.given.request('nobody').catch(({ code }) => code)), 404);
  assert.deepEqual([asked(broker, 'system:client_error'), broker.open.length], [[], 1]);
});

/* ---- BrokerClient in a page ---- */

test('in a page: its address, its id over a reload, two tabs', async ({ page, broker }) => {
  site.files = { '/p': html('') };
  await page.goto(`${ORIGIN}/p?secret=1#x`);
  const join = async (tab) => tab.evaluate(async () => {
    const { BrokerClient: Broker } = await import('/clients/js/linnet.js');
    window.client = new Broker({ storage: sessionStorage });
    await window.client.connect();
    return window.client.id;
  });
  const first = await join(page);
  const { clientName, clientType, clientUrl } = asked(broker, 'system:register')[0];
  assert.deepEqual([clientName, clientType, clientUrl], [`browser-${first.slice(0, 8)}`, 'browser', `${ORIGIN}/p`]);
  await page.reload();
  assert.equal(await join(page), first);
  const other = await page.context().newPage();
  atEnd(() => other.close());
  await other.goto(`${ORIGIN}/p`);
  assert.notEqual(await join(other), first);
  assert.equal(broker.open.length, 2);
});

/* ---- control.js and examples/control ---- */

// A client that steers, and the page's id.
async function steering({ page, broker }) {
  const made = new BrokerClient(broker.url, { WebSocket });
  site.files = {};
  atEnd(() => made.disconnect());
  await made.connect();
  await page.goto(`${ORIGIN}/examples/control/index.html`);
  await page.locator('#link[data-state="online"]').waitFor();
  const id = await page.locator('#id').textContent();
  return { made, id, ask: (name, payload) => made.call(id, `browser.${name}`, payload) };
}

test('what it tells, where it goes, what it shows', async (kit) => {
  const { page } = kit;
  const { made, id, ask } = await steering(kit);
  assert.deepEqual((await made.clients({ clientType: 'browser' })).map(({ id: one, name }) => [one, name]), [[id, 'Control · linnet']]);
  const info = await ask('info', {});
  assert.deepEqual([info.title, info.url, info.viewport],
    ['Control · linnet', `${ORIGIN}/examples/control/index.html`, { width: 800, height: 600 }]);
  assert.match(info.userAgent, /Chrome/);
  const dialog = page.waitForEvent('dialog');
  assert.deepEqual(await ask('alert', { message: 'hello' }), { success: true });
  const shown = await dialog;
  assert.equal(shown.message(), 'hello');
  await shown.accept();
  const scrolled = await ask('scroll', { x: 0, y: 120 });
  assert.deepEqual(scrolled, { success: true, scrollX: 0, scrollY: 120 });
  for (const url of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'http://'])
    assert.equal((await ask('navigate', { url })).success, false, url);
  site.files['/elsewhere'] = html('');
  assert.equal((await ask('navigate', { url: '/elsewhere' })).success, true);
  await page.waitForURL(`${ORIGIN}/elsewhere`);
});

test('forms: filled, sent without secrets, cleared', async (kit) => {
  const { page } = kit;
  const { ask } = await steering(kit);
  const fields = { name: 'Ada', email: 'no address', bird: 'wren', note: 'ä\n<b>', news: true, password: 'secret', none: 'x', form: 'x' };
  assert.deepEqual(await ask('fillForm', { fields }), { success: true, filled: ['name', 'email', 'bird', 'note', 'news', 'password'] });
  assert.equal(await page.inputValue('#note'), 'ä\n<b>');
  assert.deepEqual(await ask('submitForm', {}), { success: false, error: 'The form is not filled in as it wants to be' });
  await ask('fillForm', { fields: { email: 'ada@example.org' } });
  assert.deepEqual(await ask('submitForm', { selector: '#form' }), { success: true,
    data: { name: 'Ada', email: 'ada@example.org', bird: 'wren', note: 'ä\n<b>', news: 'on' } });
  await page.locator('#log li', { hasText: 'sent by Ada' }).waitFor();
  assert.deepEqual(await ask('clearForm'), { success: true });
  assert.deepEqual([await page.inputValue('#name'), await page.isChecked('#news')], ['', false]);
  assert.deepEqual(await ask('clearForm', { selector: 'h1' }), { success: false, error: 'Not a form: h1' });
  assert.deepEqual(await ask('submitForm', { selector: '#none' }), { success: false, error: 'Element not found: #none' });
  assert.deepEqual(await ask('fillForm', {}), { success: true, filled: [] });
});

test('clicks', async (kit) => {
  const { page } = kit;
  const { ask } = await steering(kit);
  assert.deepEqual(await ask('click', { selector: '#count' }), { success: true, element: 'button#count' });
  assert.equal(await page.locator('#count').textContent(), 'Clicked 1 times');
  assert.deepEqual(await ask('click', { selector: '.none' }), { success: false, error: 'Element not found: .none' });
  assert.match((await ask('click', { selector: '[' })).error, /not a valid selector/);
});

// The colours of some points of a picture, given by fractions of its size.
async function colorsAt(page, dataUrl, points) {
  return page.evaluate(async ([url, where]) => {
    const image = Object.assign(new Image(), { src: url });
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return where.map(([x, y]) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3).join());
  }, [dataUrl, points]);
}

test('a picture shows the page: its colours, its canvas, where it is scrolled to', async (kit) => {
  const { page } = kit;
  const { ask } = await steering(kit);
  await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 100, height: 100, style: 'display: block' });
    const context = canvas.getContext('2d');
    context.fillStyle = 'rgb(200, 0, 0)';
    context.fillRect(0, 0, 100, 100);
    const below = Object.assign(document.createElement('div'), { style: 'height: 3000px; background: rgb(0, 0, 200)' });
    document.body.replaceChildren(canvas, below);
  });
  const { success, dataUrl } = await ask('screenshot');
  assert.equal(success, true);
  assert.match(dataUrl, /^data:image\/png;base64,/);
  assert.deepEqual(await colorsAt(page, dataUrl, [[50, 50], [50, 300]]), ['200,0,0', '0,0,200']);
  await page.evaluate(() => window.scrollTo(0, 80));
  assert.deepEqual(await colorsAt(page, (await ask('screenshot')).dataUrl, [[50, 10], [50, 30]]), ['200,0,0', '0,0,200']);
});

test('what is not offered is not there; exec is not, until it is', async (kit) => {
  const { page } = kit;
  const { ask } = await steering(kit);
  const refusal = await ask('exec', { code: '1 + 1' }).catch((error) => error);
  assert.match(refusal.message, /Client has no handler for topic: browser\.exec$/);
  await page.locator('#allow-exec').check();
  for (const [code, result] of [['1 + 1', '2'], ['document.title', 'Control · linnet'], ['({a: [1]})', '{"a":[1]}'],
    ['Promise.resolve(7)', '7'], ['undefined', 'undefined'], ['null', 'null']])
    assert.deepEqual(await ask('exec', { code }), { success: true, result }, code);
  assert.deepEqual(await ask('exec', { code: 'control(1)' }), { success: false, error: 'control is not defined' });
  await page.locator('#allow-info').uncheck();
  assert.match((await ask('info').catch((error) => error)).message, /no handler for topic: browser\.info$/);
  const names = await page.evaluate(async () => {
    const { control, Controls } = await import('/clients/js/control.js');
    try {
      control(null, ['info', 'format', 'constructor']);
    } catch (error) {
      return [error.message, Controls.includes('exec')];
    }
  });
  assert.deepEqual(names, ['no such control: format, constructor', false]);
});

/* ---- the program of the example ---- */

test('control.mjs: every command, and how it ends', async (kit) => {
  const { page, broker } = kit;
  const { id } = await steering(kit);
  const told = async (...words) => steer(broker.url, words[0], id, ...words.slice(1));
  const [list, info, clicked, missed, scrolled, refused] = await Promise.all([steer(broker.url, 'list'), told('info'),
    told('click', '#count'), told('click', '#none'), told('scroll', '0', '30'), told('exec', '1')]);
  assert.deepEqual(list[1].split('\n').filter((line) => line.startsWith(id)),
    [[id, 'browser', 'Control · linnet', `${ORIGIN}/examples/control/index.html`].join('\t')]);
  assert.equal(JSON.parse(info[1]).title, 'Control · linnet');
  assert.equal(JSON.parse(clicked[1]).element, 'button#count');
  assert.deepEqual(missed, [1, '', 'Element not found: #none']);
  assert.equal(JSON.parse(scrolled[1]).scrollY, 30);
  assert.match(refused[2], /no handler for topic: browser\.exec$/);
  assert.deepEqual(JSON.parse((await told('fill', 'name=A=B', 'note='))[1]).filled, ['name', 'note']);
  assert.equal(JSON.parse((await told('submit'))[1]).data.name, 'A=B');
  assert.deepEqual(JSON.parse((await told('clear', '#form'))[1]), { success: true });
  await page.locator('#allow-exec').check();
  assert.deepEqual(await told('exec', '1', '+', '1'), [0, '2', '']);
  const picture = join(folder(), 'control.png');
  assert.deepEqual(await told('screenshot', picture), [0, `${picture}: image/png`, '']);
  assert.equal(readFileSync(picture).subarray(1, 4).toString(), 'PNG');
  const dialog = page.waitForEvent('dialog');
  assert.equal((await told('alert', 'two', 'words'))[0], 0);
  const shown = await dialog;
  assert.equal(shown.message(), 'two words');
  await shown.accept();
  site.files['/elsewhere'] = html('');
  assert.equal((await told('navigate', `${ORIGIN}/elsewhere`))[0], 0);
  await page.waitForURL(`${ORIGIN}/elsewhere`);
});

test('control.mjs: what is wrong is said', async ({ broker }) => {
  await Promise.all([[], ['info'], ['dance', 'x'], ['constructor', 'x'], ['fill', 'x', 'name'], ['scroll', 'x', 'a', 'b'],
    ['click', 'x']].map(async (words) => {
    const [status, , complaint] = await steer(broker.url, ...words);
    assert.deepEqual([status, /usage: control\.mjs/.test(complaint)], [2, true], words.join(' '));
  }));
  assert.deepEqual(await steer(broker.url, 'info', 'nobody'), [1, '', "proxy target client: client with ID 'nobody' not found"]);
  assert.equal((await steer('ws://127.0.0.1:1/', 'list'))[0], 1);
});

// A broker for each case; the page is one, and forgets all.
const page = await openPage({ viewport: { width: 800, height: 600 } });

await main(async () => {
  const broker = await new Broker().start(http);
  site.asked = [];
  atEnd(() => broker.end());
  atEnd(async () => {
    await page.evaluate(() => location.protocol === 'http:' && sessionStorage.clear());
    await page.goto('about:blank');
  });
  return { broker, page };
});
