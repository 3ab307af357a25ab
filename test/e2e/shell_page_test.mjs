// SPDX-License-Identifier: MIT
/*
 * shell_page_test.mjs - what the README promises for the first two minutes: two terminals (linnet pub, linnet sub) and a
 * browser with the demo page (web/) talk, because the page's room is a topic of the broker.
 *
 *   LINNET        the program (build/release/linnet)
 *   CHROMIUM      the browser (/usr/bin/chromium)
 *
 * Prints TAP; exit status 1 if anything failed.
 */
// back end: any
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
const PATIENCE_MS = 15000;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'];
const programs = [];

// The next line of a program's that has the pattern; lines before it are passed over.
async function start(args, pipe) {
  const program = spawn(LINNET, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: AbortSignal.timeout(4 * PATIENCE_MS) });
  program.on('error', () => {}); // it was killed
  programs.push(program);
  const lines = createInterface({ input: program[pipe] })[Symbol.asyncIterator]();
  return async (pattern) => {
    for (;;) {
      const { value, done } = await lines.next();
      assert(!done, `${args[0]} ended without ${pattern}`);
      if (pattern.test(value))
        return value;
    }
  };
}

async function talk(browser) {
  const serve = await start(['serve', '--listen', '127.0.0.1:0', '--static', join(TOP, 'web')], 'stderr');
  const port = Number(/serving http:\S+?:(\d+)\//.exec(await serve(/serving/))[1]);
  const broker = `ws://127.0.0.1:${port}/wsmq`;
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.locator('#link[data-state="online"]').waitFor();

  const sub = await start(['sub', broker, 'lobby'], 'stdout');
  const pub = (...words) => promisify(execFile)(LINNET, ['pub', ...words.slice(0, -2), broker, ...words.slice(-2)]);
  for (const [words, shown] of [[['lobby', 'a <b>text</b> in "quotes"'], 'a <b>text</b> in "quotes"'], [['-j', 'lobby', '{"n":[1]}'], '{"n":[1]}']]) {
    await pub(...words);
    await page.locator('.entry .body').getByText(shown, { exact: true }).waitFor();
  }
  const ready = sub(/ready/);
  for (let isReady = false; !isReady;) { // what is published before it has subscribed, it misses
    await pub('lobby', 'ready');
    isReady = await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, 50, false))]);
  }
  await page.locator('#text').fill('hello, shell');
  await page.locator('#text').press('Enter');
  assert.equal(JSON.parse(await sub(/hello, shell/)).text, 'hello, shell');
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
try {
  await talk(browser);
  console.log('ok - two terminals and a browser talk');
} catch (error) {
  console.log(`not ok - two terminals and a browser talk: ${error.message.split('\n')[0]}`);
  console.log(String(error.stack).replace(/^/gm, '# '));
  process.exitCode = 1;
} finally {
  programs.forEach((program) => program.kill());
  await browser.close();
}
console.log('1..1');
