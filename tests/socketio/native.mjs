// A client of parlor's own protocol (docs/protocol.md), as a device that is new.

import { WebSocket } from 'ws';
import { Listener } from './harness.mjs';

export class Native extends Listener {
  #id = 0;

  /** Connects and waits until everything is live. */
  static async connect(url, token) {
    const native = new Native();
    native.socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, 'parlor.v1');
    native.socket.on('message', (data) => {
      const frame = JSON.parse(data);
      native.note(frame.type, [frame]);
    });
    native.socket.on('error', (error) => native.note('failed', [error]));
    await new Promise((resolve) => native.socket.once('open', resolve));
    native.emit('authenticate', { token });
    await native.hear('welcome');
    native.emit('resume', { known: [] });
    await native.hear('resumed');
    return native;
  }

  emit(type, fields = {}) {
    this.#id += 1;
    this.socket.send(JSON.stringify({ type, id: this.#id, ...fields }));
    return this;
  }

  /** The result of a command. */
  async ask(type, fields) {
    this.emit(type, fields);
    const id = this.#id;
    const { result } = await this.hear('ok', (frame) => frame.id === id);
    return result;
  }

  close() {
    this.socket.close();
  }
}
