// One WebSocket that comes back: authentication, requests and answers, heartbeat, backoff.

const SUBPROTOCOL = 'parlor.v1';
const BACKOFF_BASE = 500;
const BACKOFF_MAX = 15_000;
const PING_EVERY = 20_000;
const PONG_WITHIN = 10_000;
const ANSWER_WITHIN = 30_000;

/** Full jitter: anything up to the exponential bound, so that a thousand pages do not come back at once. */
export function backoff(attempt, random = Math.random) {
  return Math.round(random() * Math.min(BACKOFF_MAX, BACKOFF_BASE * 2 ** attempt));
}

/** What to do after a close: `reconnect`, `login` (a new token first) or `stop` (stay away, and why). */
export function afterClose(code) {
  switch (code) {
    case 1000:
      return { action: 'stop', message: 'This session was ended.' };
    case 4001:
      return { action: 'login' };
    case 4003:
      return { action: 'stop', message: 'The server ended this session.' };
    case 4029:
      return { action: 'stop', message: 'Too many windows are open as this person. Close one and try again.' };
    default:
      return { action: 'reconnect' };
  }
}

/** Why a command was not carried out; `code` as in the protocol, or `offline`. */
export class CommandError extends Error {
  constructor({ code, message, field, retryable = false, retry_after_ms = null }) {
    super(message);
    Object.assign(this, { code, field, retryable, retryAfter: retry_after_ms });
  }
}

const offline = () => new CommandError({ code: 'offline', message: 'not connected', retryable: true });

export class Connection {
  #socket = null;
  #pending = new Map();
  #nextId = 1;
  #attempt = 0;
  #goAwayAfter = null;
  #timers = { retry: 0, ping: 0, pong: 0 };
  #options;

  /**
   * `token()` gives the credentials, `onOpen()` is the time to resume: right behind the credentials, which saves a
   * round trip. `onFrame(frame)` gets every event, `onStatus({state, …})` hears `connecting`, `connected`, `waiting`, `login`, `stopped`.
   */
  constructor(options) {
    this.#options = { WebSocket: globalThis.WebSocket, ...options };
    this.open = false;
    this.welcomed = false;
  }

  connect() {
    this.#detach();
    this.#options.onStatus({ state: 'connecting' });
    const socket = new this.#options.WebSocket(this.#options.url, SUBPROTOCOL);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#read(event.data);
    socket.onclose = (event) => this.#closed(event.code);
    // A host that can be reached but does not answer would keep the page waiting for minutes.
    this.#timers.pong = setTimeout(() => this.#lost(), PONG_WITHIN);
  }

  /** Tries again at once when it waits; makes sure of a connection that may have died unseen. */
  retryNow() {
    if (this.welcomed) this.#ping();
    else if (this.#timers.retry) this.connect();
  }

  stop() {
    this.#detach();
  }

  /** After enough good work the next failure starts with short waits again. */
  settled() {
    this.#attempt = 0;
  }

  /** Sends a command; the answer's result, or a `CommandError`. */
  request(type, fields = {}) {
    if (!this.open) return Promise.reject(offline());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new CommandError({ code: 'unavailable', message: 'no answer', retryable: true }));
      }, ANSWER_WITHIN);
      this.#pending.set(id, { resolve, reject, timer });
      this.#write({ ...fields, type, id });
    });
  }

  /** Sends a frame that nobody waits for. */
  tell(type, fields = {}) {
    if (this.open) this.#write({ ...fields, type });
  }

  #opened() {
    this.open = true;
    this.#write({ type: 'authenticate', id: 'hello', token: this.#options.token() });
    this.#options.onOpen();
  }

  #write(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #read(data) {
    const frame = JSON.parse(data);
    switch (frame.type) {
      case 'welcome':
        this.welcomed = true;
        this.#schedulePing();
        this.#options.onStatus({ state: 'connected', expiresAt: frame.expires_at });
        break;
      case 'ok':
        this.#answer(frame.id)?.resolve(frame.result);
        break;
      case 'error':
        this.#answer(frame.id)?.reject(new CommandError(frame.error));
        break;
      case 'reconnect':
        this.#goAwayAfter = frame.after_ms;
        break;
      default:
        this.#options.onFrame(frame);
    }
  }

  #answer(id) {
    const waiting = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  #schedulePing() {
    clearTimeout(this.#timers.pong);
    clearTimeout(this.#timers.ping);
    this.#timers.pong = 0;
    this.#timers.ping = setTimeout(() => this.#ping(), PING_EVERY);
  }

  #ping() {
    if (this.#timers.pong) return;
    this.#timers.pong = setTimeout(() => this.#lost(), PONG_WITHIN);
    this.request('ping').then(() => this.#schedulePing(), () => {});
  }

  /** No answer: the close handshake of a dead connection would take minutes, so it is not waited for. */
  #lost() {
    this.#closed(1006);
  }

  #closed(code) {
    this.#detach();
    const { action, message } = afterClose(code);
    if (action === 'login') return this.#options.onStatus({ state: 'login' });
    if (action === 'stop') return this.#options.onStatus({ state: 'stopped', message });
    const delay = this.#goAwayAfter ?? backoff(this.#attempt);
    this.#goAwayAfter = null;
    this.#attempt += 1;
    this.#timers.retry = setTimeout(() => this.connect(), delay);
    return this.#options.onStatus({ state: 'waiting', at: Date.now() + delay });
  }

  #detach() {
    for (const name of Object.keys(this.#timers)) {
      clearTimeout(this.#timers[name]);
      this.#timers[name] = 0;
    }
    this.open = false;
    this.welcomed = false;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, timer } of pending) {
      clearTimeout(timer);
      reject(offline());
    }
  }
}
