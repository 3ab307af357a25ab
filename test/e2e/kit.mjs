// SPDX-License-Identifier: MIT
/*
 * kit.mjs - what the end-to-end tests in JavaScript share: they run cases and report as TAP, start servers on free ports
 * and Chromium, and wait.
 *
 *   LINNET         the program (build/release/linnet)
 *   LINNET_BUILD   the folder it was built in, with the examples (that of LINNET)
 *   CHROMIUM       the browser (the first of several names that is on the path)
 *   SCREENSHOTS    a folder for pictures, which are taken only if it is given
 *
 * A test file has test(name, run) for each case and ends with `await main()`. It then prints a line for each case,
 * "ok - name" or "not ok - name: why", and exits with 1 if one failed; its arguments select cases whose names contain one
 * of them. What the kit opens it closes at the end of the case in which that was, or else of the file.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const HERE = dirname(fileURLToPath(import.meta.url));
export const TOP = join(HERE, '..', '..');
export const LINNET = process.env.LINNET ?? join(TOP, 'build/release/linnet');
export const BUILD = process.env.LINNET_BUILD ?? dirname(LINNET);
export const PATIENCE_MS = 20000; // for anything that should happen soon
const LOG_SHOWN = 4000; // characters of a server's, where a case failed
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const FLAGS = ['--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--ignore-certificate-errors'];

/* ---- cases ---- */

const cases = [];
const duties = []; // of the file, and above them those of the running case

// What nobody caught: it fails the file.
export const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

export function test(name, run) {
  cases.push({ name, run });
}

// Is done at the end of the running case, or else of the file; the latest first.
export function atEnd(duty) {
  duties.push(duty);
}

// Runs the cases that were asked for, each with what prepare() makes for it, and ends the program.
export async function main(prepare = () => {}) {
  const words = process.argv.slice(2);
  const chosen = cases.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  let failed = 0;
  for (const { name, run } of chosen)
    failed += await attempt(name, async () => run(await prepare())) ? 0 : 1;
  const error = await errorOf(() => discharge(0)) ?? unhandled[0];
  await errorOf(async () => (await browser)?.close());
  if (error !== undefined)
    report(`not ok - the end of ${process.argv[1]}`, error);
  process.exit(failed > 0 || chosen.length === 0 || error !== undefined ? 1 : 0);
}

async function attempt(name, run) {
  const before = duties.length;
  const began = Date.now();
  const own = await errorOf(run);
  const logs = [...running].map(({ log }) => log.slice(-LOG_SHOWN)).join('');
  const last = await errorOf(() => discharge(before));
  const error = own ?? last;
  if (error === undefined)
    console.log(`ok - ${name} # ${((Date.now() - began) / 1000).toFixed(1)} s`);
  else
    report(`not ok - ${name}`, error, logs);
  return error === undefined;
}

async function errorOf(run) {
  try {
    await run();
  } catch (error) {
    return error ?? new Error('nothing was thrown');
  }
  return undefined;
}

// All of them, whatever becomes of one; then the first that failed.
async function discharge(from) {
  let first;
  while (duties.length > from) {
    const error = await errorOf(duties.pop());
    first ??= error;
  }
  if (first !== undefined)
    throw first;
}

function report(what, error, logs = '') {
  console.log(`${what}: ${String(error.message ?? error).split('\n')[0]}`);
  console.log(`${error.stack ?? error}\n${logs}`.trimEnd().replace(/^/gm, '# '));
}

/* ---- waiting ---- */

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// What isSo() returns when that is true.
export async function until(what, isSo) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await isSo();
    if (found)
      return found;
    assert(Date.now() < end, `never: ${what}`);
    await pause(5);
  }
}

// How a promise ends that has to fail.
export async function failure(promise) {
  const error = await errorOf(() => promise);
  assert(error !== undefined, 'it did not fail');
  return error;
}

/* ---- programs ---- */

// How a program ends, and what it says.
export function run(command, args, env = {}) {
  return new Promise((resolve) => {
    execFile(command, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : error.code ?? error.signal, stdout, stderr });
    });
  });
}

// How examples/control ends that is told some words, and what it says on each output.
export async function steer(url, ...words) {
  const { status, stdout, stderr } = await run(process.execPath, [join(TOP, 'examples/control/control.mjs'), ...words],
    { LINNET_URL: url, NODE_PATH: join(HERE, 'node_modules') });
  return [status, stdout.trim(), stderr.trim()];
}

const running = new Set(); // servers, which must not outlive a test that fails outside its cases
process.on('exit', () => running.forEach((server) => server.process.kill('SIGKILL')));

// A server on a free port, which it says or, if it never says anything, is told; it keeps it when it is started again.
// .log has what it says.
export class Server {
  #command; // of a port
  #isSilent;

  constructor(command, port = 0) {
    this.#command = command;
    this.#isSilent = port > 0;
    this.port = port;
    atEnd(() => this.#end());
  }

  async start() {
    const [command, ...args] = this.#command(this.port);
    this.log = '';
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((resolve) => {
      this.process.once('close', (code, signal) => resolve(code ?? signal)).once('error', resolve);
    });
    for (const output of [this.process.stdout, this.process.stderr])
      output.setEncoding('utf8').on('data', (text) => { this.log += text; });
    running.add(this);
    if (this.#isSilent)
      await until(`${command} listens`, () => isListening(this.port));
    else
      this.port = Number((await this.said(/(?: serving \S+:| port )(\d+)\b.*\n/))[1]);
    return this;
  }

  get isRunning() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  // Waits until the log has the pattern; its match.
  said(pattern) {
    return until(`it says ${pattern}`, () => {
      const match = pattern.exec(this.log);
      assert(match !== null || this.isRunning, `${this.process.spawnfile} ended: ${this.log}`);
      return match;
    });
  }

  // Its exit status, or the signal that ended it.
  stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.ended;
  }

  async #end() {
    const status = await this.stop();
    running.delete(this);
    assert([0, 'SIGTERM', 'SIGKILL'].includes(status), `a server ended with ${status}: ${this.log}`);
  }

  url(path, scheme = 'ws') {
    return `${scheme}://127.0.0.1:${this.port}${path}`;
  }
}

export const serve = (...flags) =>
  new Server((port) => [LINNET, 'serve', '--listen', `127.0.0.1:${port}`, ...flags]).start();

export const example = (name, ...args) =>
  new Server((port) => [join(BUILD, 'examples', name), `127.0.0.1:${port}`, ...args]).start();

// One that does not say its port.
export const silentExample = async (name) =>
  new Server((port) => [join(BUILD, 'examples', name), `127.0.0.1:${port}`], await freePort()).start();

// A port that nobody listens on.
export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await once(probe.close(), 'close');
  return port;
}

export function isListening(port) {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1', () => { probe.destroy(); resolve(true); });
    probe.on('error', () => resolve(false));
  });
}

/* ---- files ---- */

// A folder that is gone at the end.
export function folder() {
  const path = mkdtempSync(join(tmpdir(), 'linnet-e2e-'));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

// A self-signed certificate for localhost: the names of its file and of its key's.
export function certificate() {
  const path = folder();
  const [cert, key] = [join(path, 'cert.pem'), join(path, 'key.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
    '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}

/* ---- pages ---- */

let browser; // a promise of the file's only one, from the first page on

function executable() {
  const found = BROWSERS.flatMap((name) => process.env.PATH.split(delimiter).map((path) => join(path, name))).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  assert(found !== undefined, 'no Chromium is on the path (or set CHROMIUM)');
  return found;
}

// Without its sandbox, which neither root nor most containers may have.
async function launch() {
  const { chromium } = await import('playwright-core'); // which not every test needs
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? executable(), args: FLAGS, chromiumSandbox: false });
}

// A page that shares nothing with others.
export async function openPage(options) {
  browser ??= launch();
  const context = await (await browser).newContext(options);
  atEnd(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

export async function picture(page, name) {
  if (process.env.SCREENSHOTS !== undefined)
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), animations: 'disabled' });
}
