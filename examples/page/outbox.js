// Messages that the server has not acknowledged yet. They survive a reload of the tab, and go out again
// under the same client_id, so that none arrives twice.

const RETRY_AFTER = 2000;

export class Outbox {
  #busy = new Set();
  #storage;
  #key;
  #send;
  #onChange;

  /** `send(item)` answers with the result of the command `send`. `storage` is a `Storage`. */
  constructor({ storage, key, send, onChange }) {
    this.#storage = storage;
    this.#key = key;
    this.#send = send;
    this.#onChange = onChange;
    this.items = JSON.parse(storage.getItem(key) ?? '[]');
  }

  /** Queues `{conversation_id, message}`, where `message.client_id` names it. */
  add(conversationId, message) {
    this.items.push({
      conversation_id: conversationId,
      message,
      created_at: new Date().toISOString(),
      status: 'sending',
    });
    this.#changed();
    this.pump();
  }

  of(conversationId) {
    return this.items.filter((item) => item.conversation_id === conversationId);
  }

  retry(clientId) {
    const item = this.#find(clientId);
    if (!item) return;
    item.status = 'sending';
    delete item.error;
    this.#changed();
    this.pump();
  }

  /** The message is in the conversation, or the user gave up on it. */
  remove(clientId) {
    const before = this.items.length;
    this.items = this.items.filter((item) => item.message.client_id !== clientId);
    if (this.items.length < before) this.#changed();
  }

  /** Sends what waits: one at a time in each conversation, so that the order stays. */
  pump() {
    for (const item of this.items) {
      if (item.status !== 'sending' || this.#busy.has(item.conversation_id)) continue;
      this.#busy.add(item.conversation_id);
      this.#deliver(item);
    }
  }

  async #deliver(item) {
    try {
      const result = await this.#send(item);
      item.status = 'sent';
      item.seq = result.seq;
    } catch (error) {
      if (error.code === 'offline') {
        this.#busy.delete(item.conversation_id);
        return; // Pumped again once connected.
      }
      if (error.retryable) {
        setTimeout(() => {
          this.#busy.delete(item.conversation_id);
          this.pump();
        }, error.retryAfter ?? RETRY_AFTER);
        return;
      }
      item.status = 'failed';
      item.error = error.message;
    }
    this.#busy.delete(item.conversation_id);
    this.#changed(item);
    this.pump();
  }

  #find(clientId) {
    return this.items.find((item) => item.message.client_id === clientId);
  }

  #changed(item) {
    const unsent = this.items.filter(({ status }) => status !== 'sent');
    this.#storage.setItem(this.#key, JSON.stringify(unsent));
    this.#onChange(item);
  }
}
