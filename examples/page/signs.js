// Signs to the others: typing, delivered, read. They are coalesced, and one that is lost is made up for by the next.

const DELIVERED_EVERY = 500;
const READ_AFTER = 200;
const TYPING_EVERY = 3000;
const TYPING_STOPS = 5000;

export class Signs {
  #delivered = new Map();
  #read = new Map();
  #typing = { id: null, at: 0, timer: 0 };

  /** `tell(type, fields)` sends a frame without an answer; `mark(type, id, {seq})` moves a cursor. */
  constructor({ userId, tell, mark }) {
    Object.assign(this, { userId, tell, mark });
  }

  /** The user types in a conversation: said at once, and again every three seconds. */
  type(id) {
    const typing = this.#typing;
    const now = Date.now();
    if (typing.id !== id) this.stopTyping();
    clearTimeout(typing.timer);
    typing.timer = setTimeout(() => this.stopTyping(), TYPING_STOPS);
    if (typing.id === id && now - typing.at < TYPING_EVERY) return;
    Object.assign(typing, { id, at: now });
    this.tell('typing', { conversation_id: id });
  }

  stopTyping() {
    const typing = this.#typing;
    clearTimeout(typing.timer);
    if (typing.id) this.tell('typing', { conversation_id: typing.id, on: false });
    typing.id = null;
  }

  /** The user has seen everything up to `seq`. */
  saw({ id, me }, seq) {
    if (seq <= me.read_seq && me.unread_from == null) return;
    this.#later(this.#read, id, seq, READ_AFTER, 'mark_read');
  }

  /** This device has what the conversation has. */
  have({ id, me, lastMessage: last }) {
    if (!last || last.sender_id === this.userId || last.seq <= me.delivered_seq) return;
    this.#later(this.#delivered, id, last.seq, DELIVERED_EVERY, 'mark_delivered');
  }

  /** Sends the largest seq of a short while. */
  #later(waiting, id, seq, delay, command) {
    const job = waiting.get(id);
    if (job) {
      job.seq = Math.max(job.seq, seq);
      return;
    }
    waiting.set(id, { seq });
    setTimeout(async () => {
      const { seq: upTo } = waiting.get(id);
      waiting.delete(id);
      try {
        await this.mark(command, id, { seq: upTo });
      } catch {
        // Offline, or not a member any more: what is due is found again on the next look.
      }
    }, delay);
  }
}
