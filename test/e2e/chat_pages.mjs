// SPDX-License-Identifier: MIT
/*
 * chat_pages.mjs - what the tests of web/ and of examples/chat share: the parts of such a page, what people do with it,
 * and what must be true of either whatever is tested.
 */
import assert from 'node:assert/strict';
import { openPage, test } from './kit.mjs';

export const QUIET_MS = 400; // long enough for a local echo that must not come
export const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: 'light' };
export const DESKTOP = { viewport: { width: 1280, height: 800 }, colorScheme: 'light' };
export const EVIL_NAME = '<img src=x onerror=alert(1)>';
export const EVIL_TEXT = '<img src=x onerror="document.title=1;alert(2)"><script>alert(3)</script>';

/* ---- pages that are watched ---- */

const faults = []; // dialogs, uncaught errors and violated policies

// A page of which nothing of that kind is expected.
export async function openWatched(options, who = 'a page') {
  const page = await openPage(options);
  watch(page, who);
  return page;
}

export function watch(page, who) {
  page.on('dialog', (dialog) => { faults.push(`${who}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('pageerror', (error) => faults.push(`${who}: ${error}`));
  page.on('console', (line) => {
    if (line.type() === 'error' && !isNoNetwork(line.text(), line.location().url))
      faults.push(`${who}: ${line.text()}`);
  });
}

// A browser asks for the icon when it likes, also while a test has the server down.
function isNoNetwork(text, url) {
  return /WebSocket connection to|ERR_INTERNET_DISCONNECTED/.test(text)
    || (url.endsWith('/favicon.svg') && /ERR_CONNECTION_REFUSED/.test(text));
}

/* ---- the parts of a page ---- */

export const online = (page) => page.locator('#link[data-state="online"]').waitFor();
export const own = (page) => page.locator('#people .me .name').innerText();
export const others = (page) => page.locator('#people .person:not(:first-child)').allInnerTexts();
export const bodies = (page) => page.locator('.entry .body').allInnerTexts();
export const entry = (page, text) => page.locator('.entry', { has: page.locator('.body').getByText(text, { exact: true }) });
export const scrolled = (page) => page.locator('#log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);

export function sees(page, name) {
  return page.locator('#people .person:not(:first-child)').getByText(name, { exact: true }).waitFor();
}

export async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

// What an IME does with its keys, and Shift+Enter, and at last Enter: one message, "one\ntwo".
export async function typeTwoLines(page) {
  await page.click('#text');
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  for (const init of [{ isComposing: true }, { keyCode: 229 }])
    await page.locator('#text').evaluate((text, more) => text.dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...more })), init);
  assert.equal(await page.inputValue('#text'), 'one\ntwo');
  await page.keyboard.press('Enter');
}

/* ---- in a page ---- */

// What Math.random() is for a page: of its waits for the server that makes any part, or any multiple.
export const setRandom = (page, value) => page.evaluate((chosen) => { Math.random = () => chosen; }, value);

// The texts whose contrast with what is behind them is below 4.5 (WCAG AA), each name in every hue there is.
export const faint = (page) => page.evaluate(findFaint);

function findFaint() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  function rgb(color) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  }
  function luminance(color) {
    const [r, g, b] = Array.from(rgb(color), (value) => value / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function behind(element) {
    const color = getComputedStyle(element).backgroundColor;
    return rgb(color)[3] > 0 || element.parentElement === null ? color : behind(element.parentElement);
  }
  function contrast(element) {
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  const found = [];
  const texts = 'h1, h2, p, a, code, button, time, input, textarea, label, summary, .name, .egg, .you, .note, .link-text, #link-text';
  for (const element of document.querySelectorAll(texts)) {
    for (let hue = 0; hue < 360; hue += 15) {
      const had = element.style.getPropertyValue('--hue');
      if (had === '' && hue > 0)
        break;
      if (had !== '')
        element.style.setProperty('--hue', hue);
      if (element.innerText?.trim() !== '' && contrast(element) < 4.5)
        found.push(`${element.tagName}.${element.className} "${element.innerText}" hue ${hue}: ${contrast(element).toFixed(2)}`);
      if (had !== '')
        element.style.setProperty('--hue', had);
    }
  }
  return found;
}

/* ---- cases ---- */

// That a page that is hidden counts in its title what is said meanwhile.
export async function countsInTitle(page, other, title) {
  const show = (state) => page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await show('hidden');
  await say(other, 'are you there?');
  await say(other, 'no?');
  await entry(page, 'no?').waitFor();
  assert.equal(await page.title(), `(2) ${title}`);
  await show('visible');
  assert.equal(await page.title(), title);
}

// That the composer is in sight and the log at its end on any screen.
export async function fits(phone) {
  for (const size of [{ width: 360, height: 380 }, { width: 320, height: 568 }, { width: 740, height: 360 }]) {
    await phone.setViewportSize(size);
    await phone.waitForFunction(({ height }) => document.querySelector('.app').getBoundingClientRect().height === height, size);
    const box = await phone.locator('#send').boundingBox();
    assert(box.y + box.height <= size.height && box.x + box.width <= size.width, JSON.stringify({ size, box }));
    assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), size.width);
    assert(await scrolled(phone) < 2, JSON.stringify(size));
  }
  await phone.setViewportSize(PHONE.viewport);
}

export function testFaults() {
  test('no dialog, no error, no violated policy on any page', () => assert.deepEqual(faults, []));
}
