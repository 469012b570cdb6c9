// An example program as a process of its own, and clients of socket.io-client that remember what they hear.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { SHARED, ownBackends } from './backends.mjs';

export const SECRET = 'your-secret-key';
export const TRANSPORTS = ['websocket', 'polling'];
/** So long anything is waited for. */
const PATIENCE = 10_000;

/** Servers that run: they end with this process, however it ends. */
const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** A token as any service signs it. */
export function token(sub, claims = {}) {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return sign({ sub, exp, ...claims }, SECRET);
}

export function sign(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** An example with a database of its own, which can be stopped and started again. It is up once it says `ready`. */
export class Server {
  clients = new Set();

  static async start(name, env = {}, ready = undefined) {
    const folder = process.env.PARLOR_EXAMPLES;
    assert.ok(folder, 'PARLOR_EXAMPLES must name the folder of the built examples');
    const server = new Server();
    server.binary = path.resolve(folder, name);
    server.folder = await mkdtemp(path.join(tmpdir(), 'parlor-'));
    // The system chooses a port, which then stays.
    server.port = 0;
    server.ready = ready;
    const backends = env.DATABASE_URL === undefined ? await ownBackends(server.folder) : {};
    server.env = { JWT_SECRET: SECRET, ...backends, ...env };
    if (SHARED && name === 'gateway' && env.REDIS_URL === undefined) {
      // With Redis it has no database: a service behind it does.
      server.service = await Server.start('chat_service', backends, 'answers over');
      server.env.DATABASE_URL = '';
    }
    try {
      await server.up();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async up() {
    if (this.service && !this.service.isUp()) await this.service.up();
    const child = spawn(this.binary, [], {
      env: { PATH: process.env.PATH, ...this.env, PORT: String(this.port) },
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.output = '';
    await new Promise((resolve, reject) => {
      const read = (data) => {
        this.output += data;
        const listening = /listening on http:\/\/[\d.]+:(\d+)\n/.exec(this.output);
        if (listening) {
          this.port = Number(listening[1]);
          this.url = localUrl(this.port);
        }
        // What listens to nobody says something else when it is up.
        if (this.ready ? this.output.includes(this.ready) : listening) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`the server ended (${code ?? signal}):\n${this.output}`)));
    });
  }

  /** The same server at another of its listeners, the one that it says to be for `what`. */
  at(what) {
    const line = this.output.split('\n').find((it) => it.includes('listening on') && it.includes(what));
    assert.ok(line, `no listener for ${what}:\n${this.output}`);
    return Object.assign(Object.create(this), { url: localUrl(/:(\d+)$/.exec(line)[1]) });
  }

  /** Ends the process: by default as a deployment does, with SIGTERM. */
  async down(signal = 'SIGTERM') {
    if (this.isUp()) await this.#end(signal);
    await this.service?.down(signal);
  }

  isUp() {
    const { pid, exitCode, signalCode } = this.child;
    return pid !== undefined && exitCode === null && signalCode === null;
  }

  async #end(signal) {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await gone;
  }

  /** Ends everything: clients, process, data. */
  async stop() {
    for (const client of this.clients) client.close();
    await this.down('SIGKILL');
    await this.service?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A client that is not connected yet. */
  client(options = {}) {
    const { namespace = '', transports = ['websocket'], ...rest } = options;
    const socket = io(this.url + namespace, { transports, forceNew: true, reconnectionDelay: 100, ...rest });
    const client = new Client(socket);
    this.clients.add(client);
    return client;
  }

  /** A connected client of a user. */
  async connect(sub, options = {}) {
    const client = this.client({ auth: { token: token(sub, options.claims) }, ...options });
    await client.connected();
    return client;
  }

  /** Somebody who speaks REST. */
  rest(sub, claims) {
    return (method, where, body) => this.request(method, where, body, { authorization: `Bearer ${token(sub, claims)}` });
  }

  async request(method, where, body, headers = {}) {
    const response = await fetch(this.url + where, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null, headers: response.headers };
  }
}

const localUrl = (port) => `http://127.0.0.1:${port}`;

/** Who remembers every event, in order. */
export class Listener {
  heard = [];
  waiting = new Set();

  note(event, args) {
    this.heard.push({ event, args });
    for (const look of [...this.waiting]) look();
  }

  /** All that was heard under this name. */
  all(event) {
    return this.heard.filter((it) => it.event === event).map((it) => it.args[0]);
  }

  /** Takes the next event of this name that fits: it is not heard again. */
  hear(event, fits = () => true) {
    return this.#wait(() => {
      const at = this.heard.findIndex((it) => it.event === event && fits(...it.args));
      return at < 0 ? undefined : this.heard.splice(at, 1)[0];
    }, event).then((it) => it.args[0]);
  }

  /** Takes the next `count` events of this name, in order. */
  async take(event, count) {
    const taken = [];
    while (taken.length < count) taken.push(await this.hear(event));
    return taken;
  }

  #wait(look, what) {
    return new Promise((resolve, reject) => {
      const tryIt = () => {
        const found = look();
        if (found === undefined) return false;
        clearTimeout(timer);
        this.waiting.delete(tryIt);
        resolve(found);
        return true;
      };
      const timer = setTimeout(() => {
        this.waiting.delete(tryIt);
        const heard = this.heard.map((it) => `${it.event} ${JSON.stringify(it.args)}`.slice(0, 300)).join('\n');
        reject(new Error(`no ${what} within ${PATIENCE} ms; heard:\n${heard}`));
      }, PATIENCE);
      if (!tryIt()) this.waiting.add(tryIt);
    });
  }
}

/** A socket of socket.io-client. */
export class Client extends Listener {
  constructor(socket) {
    super();
    this.socket = socket;
    socket.onAny((event, ...args) => this.note(event, args));
    for (const event of ['connect', 'connect_error', 'disconnect']) {
      socket.on(event, (...args) => this.note(event, args));
    }
  }

  emit(...args) {
    this.socket.emit(...args);
    return this;
  }

  /** The acknowledgement of an event. */
  ask(event, ...args) {
    return this.socket.timeout(PATIENCE).emitWithAck(event, ...args);
  }

  connected() {
    return this.hear('connect');
  }

  close() {
    this.socket.close();
  }
}

/** Waits until `read()` answers what is expected, and shows both when it does not in time. */
export async function eventually(read, expected) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const actual = await read();
    try {
      assert.deepEqual(actual, expected);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The data that a payload of the wrong kind may carry, wherever a text belongs. */
export const WRONG_TEXTS = [null, 1, true, {}, [], '', '   ', 'a\0b', 'x'.repeat(33 * 1024), Buffer.from('text')];

/** JSON nested deeper than anybody means. */
export function deep(levels = 200) {
  let value = 0;
  for (let at = 0; at < levels; at += 1) value = [value];
  return value;
}
