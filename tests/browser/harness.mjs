// The real server, real browsers, and a line between them that can be cut.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.PARLOR_CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** A server of its own with a data file of its own, which can be killed and started again. */
export class Server {
  static async start(example = 'quickstart', env = {}) {
    const folder = process.env.PARLOR_EXAMPLES;
    assert.ok(folder, 'PARLOR_EXAMPLES must name the folder of the built examples');
    const server = new Server();
    server.env = env;
    server.binary = path.resolve(folder, example);
    server.folder = await mkdtemp(path.join(tmpdir(), 'parlor-'));
    // The system chooses a port, which then stays.
    server.port = 0;
    await server.up();
    return server;
  }

  async up() {
    const child = spawn(this.binary, [], {
      env: { ...process.env, PORT: String(this.port), PARLOR_DB: path.join(this.folder, 'parlor.db'), ...this.env },
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.output = '';
    await new Promise((resolve, reject) => {
      const read = (data) => {
        this.output += data;
        if (this.output.includes('Ctrl-C stops the server.')) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`the server ended (${code ?? signal}):\n${this.output}`)));
    });
    this.url = this.listener();
    this.port = Number(new URL(this.url).port);
  }

  /** The URL of the listener that the server says to be for `what`: of several it has. */
  listener(what = '') {
    const line = this.output.split('\n').find((it) => it.includes('listening on') && it.includes(what));
    assert.ok(line, `no listener for ${what}:\n${this.output}`);
    return /http:\S+$/.exec(line)[0];
  }

  /** Ends it without a chance to say goodbye. */
  async kill() {
    if (this.child.exitCode != null || this.child.signalCode != null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  async stop() {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Somebody who speaks REST, to fill conversations quickly. */
  async client(name) {
    const login = await this.#json('POST', '/login', { name });
    const call = (method, where, body) => this.#json(method, `/chat${where}`, body, login.token);
    return { ...login, call, send: (id, body) => patiently(() => call('POST', `/conversations/${id}/messages`, { body, client_id: randomUUID() })) };
  }

  async #json(method, where, body, token) {
    const headers = { 'content-type': 'application/json' };
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(this.url + where, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    const answer = text ? JSON.parse(text) : null;
    if (!response.ok) throw Object.assign(new Error(`${method} ${where}: ${response.status} ${text}`), { status: response.status, answer });
    return answer;
  }
}

/** Asks again when the server says that it was too often, after the time that it says. */
async function patiently(request) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (error.status !== 429) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.answer.retry_after_ms ?? 100));
    }
  }
}

/** A TCP line to the server. `cut` breaks all connections and refuses new ones, until `mend`. */
export class Line {
  #sockets = new Set();
  #whole = true;

  static async to(server) {
    const line = new Line();
    line.proxy = net.createServer((near) => {
      if (!line.#whole) return near.destroy();
      const far = net.connect(server.port, '127.0.0.1');
      for (const socket of [near, far]) {
        line.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          line.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      return near.pipe(far).pipe(near);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => line.proxy.once('listening', resolve));
    line.url = `http://127.0.0.1:${line.proxy.address().port}`;
    return line;
  }

  cut() {
    this.#whole = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#whole = true;
  }

  close() {
    this.cut();
    return new Promise((resolve) => this.proxy.close(resolve));
  }
}

/** A browser whose pages must not run into errors, nor do what the page's policy forbids. */
export class Browser {
  #errors = [];

  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    return browser;
  }

  /** A window of somebody, apart from all others. */
  async person(base, name, options = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1200, height: 800 }, locale: 'en-GB', ...options });
    return this.tab(context, `${base}/?as=${encodeURIComponent(name)}`);
  }

  async tab(context, url) {
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('pageerror', (error) => this.#errors.push(error.stack));
    page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) this.#errors.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  /** Says whether everything went without an error in any page so far. */
  check() {
    assert.deepEqual(this.#errors.splice(0), []);
  }

  async stop() {
    await this.chromium.close();
  }
}

// ---- what people do and see ----

const named = (page, list, name) =>
  page.locator(list).getByRole('button').filter({ has: page.locator('strong').getByText(name, { exact: true }) });
export const entry = (page, title) => named(page, '#chats', title);
export const person = (page, name) => named(page, '#people', name);
export const message = (page, text) => page.locator('.message').filter({ has: page.locator('.text', { hasText: text }) });
export const log = (page) => page.getByRole('log', { name: 'Messages' });
export const field = (page) => page.getByRole('textbox', { name: 'Message', exact: true });

export async function enter(page, title) {
  await entry(page, title).click();
  await page.locator('.title', { hasText: title }).waitFor();
  await page.locator('#log[aria-busy=false]').waitFor();
}

export async function say(page, text) {
  await field(page).fill(text);
  await field(page).press('Enter');
}

/** Chooses an action in the toolbar of a message. */
export async function act(page, text, action) {
  await message(page, text).hover();
  await page.getByRole('toolbar').getByRole('button', { name: action }).click();
}

export async function choose(page, text, choice) {
  await act(page, text, 'More');
  await page.getByRole('menuitem', { name: choice, exact: true }).click();
}

/** Waits until `read()` answers what is expected, and shows both when it does not in time. */
export async function eventually(read, expected, within = 15_000) {
  const end = Date.now() + within;
  for (;;) {
    const actual = await read();
    try {
      assert.deepEqual(actual, expected);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const texts = (page) => page.locator('.message .text').allTextContents();
