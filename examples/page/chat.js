// Between the server and the page: keeps the model in step, sends commands, and tells the views to look again.

import { Connection } from './connection.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { conversationList, peerOf, unreadOf } from './select.js';
import { Signs } from './signs.js';
import * as model from './state.js';

const RESUME_CHUNK = 500;
const PAGE = 50;
const JUMP_PAGES = 30;
const TICKS_IN_LIST = 20;

export class Chat {
  #connection;
  #session;
  #onChange;
  #running = new Set();
  #asked = new Set();

  /**
   * `session` is `{token, user_id, name}` and may get another token; `api.people()` asks the host for
   * everybody, `api.byToken` says that it does not tell; `onChange()` is called after everything that a view could show; `onStatus` as in `Connection`.
   */
  constructor({ session, api, url, storage, onChange, onStatus }) {
    this.#session = session;
    this.#onChange = onChange;
    this.userId = session.user_id;
    this.anybody = api.byToken; // The host does not tell who there is: one writes to an id.
    this.openId = null;
    this.ready = false; // Something to show has come at least once.
    this.state = model.createState(this.userId);
    this.#connection = new Connection({
      url,
      token: () => this.#session.token,
      onOpen: () => this.#resume(),
      onFrame: (frame) => this.#frame(frame),
      onStatus,
    });
    this.signs = new Signs({
      userId: this.userId,
      tell: (type, fields) => this.#connection.tell(type, fields),
      mark: (type, id, fields) => this.own(type, id, fields),
    });
    this.people = new People({
      me: session,
      load: () => api.people(this.#session.token),
      ask: (type, fields) => this.#ask(type, fields),
      onPresence: (users) => this.#frame({ type: 'presence', users }),
      onChange,
    });
    this.outbox = new Outbox({
      storage,
      key: `parlor.outbox.${this.userId}`,
      send: ({ conversation_id, message }) => this.#ask('send', { conversation_id, ...message }),
      onChange: (item) => {
        if (item?.status === 'sent') this.#settle(item);
        onChange();
      },
    });
  }

  connect() {
    this.#connection.connect();
  }

  retryNow() {
    this.#connection.retryNow();
  }

  close() {
    this.#connection.stop();
  }

  /** Extends the session in band, before the token ends; answers when the new one ends. */
  async renew(token) {
    this.#session.token = token;
    return (await this.#ask('authenticate', { token })).expires_at;
  }

  get conversation() {
    return this.state.conversations.get(this.openId) ?? null;
  }

  nameOf(userId) {
    return this.people.nameOf(userId);
  }

  titleOf(conversation) {
    const peer = peerOf(conversation, this.userId);
    if (peer === this.userId) return `${this.nameOf(peer)} (you)`;
    return peer ? this.nameOf(peer) : conversation.info.title ?? 'Untitled';
  }

  presenceOf(userId) {
    return this.state.presence.get(userId) ?? { user_id: userId, status: 'unknown' };
  }

  // ---- opening and paging ----

  /** Shows a conversation and loads what is needed for it. */
  async open(id) {
    const before = this.conversation;
    if (before && before.id !== id) model.trim(before);
    this.openId = id;
    this.#onChange();
    if (id && this.ready) await this.#load(id);
  }

  #load(id) {
    return this.#once(`load ${id}`, async () => {
      let conversation = this.state.conversations.get(id);
      if (!conversation) {
        conversation = model.putEntry(this.state, await this.#ask('get_conversation', { conversation_id: id }));
      }
      const unread = unreadOf(conversation, this.userId);
      const work = [this.#refresh(conversation)];
      if (conversation.messages.length < PAGE && conversation.hasMore) {
        work.push(this.older(id, Math.min(100, Math.max(PAGE, unread + 20))));
      }
      await Promise.all(work);
    });
  }

  /** Members, cursors and pins, which live frames keep in step only while they are known. */
  async #refresh(conversation) {
    const conversation_id = conversation.id;
    const [members] = await Promise.all([
      conversation.members ?? this.#allMembers(conversation_id),
      this.#cursors(conversation),
      this.#pins(conversation),
    ]);
    conversation.members = members;
    this.people.meet([...members.keys()]);
    this.#onChange();
  }

  async #allMembers(conversation_id) {
    const members = new Map();
    for (let after; ;) {
      const page = await this.#ask('list_members', { conversation_id, limit: 100, after });
      for (const member of page.members) members.set(member.user_id, member);
      after = page.members.at(-1)?.user_id;
      if (!page.has_more || !after) return members;
    }
  }

  async #cursors(conversation) {
    const { cursors } = await this.#ask('list_cursors', { conversation_id: conversation.id });
    for (const cursor of cursors) model.putCursor(conversation, cursor);
  }

  async #pins(conversation) {
    const { messages } = await this.#ask('list_pins', { conversation_id: conversation.id });
    conversation.pins = messages.sort((a, b) => a.seq - b.seq);
    this.#onChange();
  }

  /** Loads the page before the oldest message. */
  older(id, limit = PAGE) {
    return this.#once(`older ${id}`, async () => {
      const conversation = this.state.conversations.get(id);
      if (!conversation?.hasMore) return;
      const before = conversation.messages[0]?.seq;
      const page = await this.#ask('history', { conversation_id: id, before, limit });
      if (this.state.conversations.get(id) !== conversation) return;
      // What was held has changed meanwhile: the page does not join it.
      if (conversation.messages[0]?.seq !== before && before != null) return;
      model.putHistory(conversation, page);
      this.#seen(conversation, page.messages);
      this.#onChange();
    });
  }

  /** Loads as far back as a message; says whether it is there now. */
  async reach(id, messageId) {
    const conversation = this.state.conversations.get(id);
    for (let pages = 0; conversation && pages < JUMP_PAGES; pages += 1) {
      if (conversation.messages.some((message) => message.id === messageId)) return true;
      if (!conversation.hasMore) return false;
      await this.older(id, 100);
    }
    return false;
  }

  /** The original of a reply: held, asked for once, or null as long as it is not known. */
  quote(conversation, messageId) {
    const found = model.find(conversation, messageId);
    if (found || this.#asked.has(messageId)) return found;
    this.#asked.add(messageId);
    this.#ask('get_message', { conversation_id: conversation.id, message_id: messageId })
      .then((message) => {
        conversation.quotes.set(messageId, message);
        this.#onChange();
      })
      .catch((error) => {
        if (error.retryable) this.#asked.delete(messageId);
      });
    return null;
  }

  // ---- commands ----

  send(conversationId, message) {
    this.signs.stopTyping();
    this.outbox.add(conversationId, { client_id: crypto.randomUUID(), ...message });
  }

  edit(message, body, mentions) {
    return this.#inMessage('edit', message, { body, mentions });
  }

  async remove(message, scope) {
    const state = await this.#inMessage('delete', message, { for: scope });
    if (scope !== 'me') return;
    const conversation = this.state.conversations.get(message.conversation_id);
    if (!conversation) return;
    model.putMe(conversation, state);
    this.#needs(model.forget(conversation, [message.id]));
    this.#onChange();
  }

  react(message, key, on) {
    return this.#inMessage('react', message, { key, on });
  }

  pin(message, on) {
    return this.#inMessage('pin', message, { on });
  }

  #inMessage(type, message, fields) {
    return this.#ask(type, { conversation_id: message.conversation_id, message_id: message.id, ...fields });
  }

  async openDirect(user_id) {
    return this.#entry(await this.#ask('open_direct', { user_id })).id;
  }

  async createGroup(title, members) {
    return this.#entry(await this.#ask('create_group', { title, members, client_id: crypto.randomUUID() })).id;
  }

  async rename(conversation_id, title) {
    this.#entry(await this.#ask('update_conversation', { conversation_id, title }));
  }

  async addMembers(conversation_id, user_ids) {
    this.#entry(await this.#ask('add_members', { conversation_id, user_ids }));
  }

  removeMember(conversation_id, user_id) {
    return this.#ask('remove_member', { conversation_id, user_id });
  }

  async setRole(conversation_id, user_id, role) {
    this.#entry(await this.#ask('set_role', { conversation_id, user_id, role }));
  }

  leave(conversation_id) {
    return this.#ask('leave', { conversation_id });
  }

  /** Commands that answer with one's own state: `update_settings`, `hide`, `clear`, and the cursors. */
  async own(type, conversation_id, fields = {}) {
    const me = await this.#ask(type, { conversation_id, ...fields });
    const conversation = this.state.conversations.get(conversation_id);
    if (conversation) model.putMe(conversation, me);
    this.#onChange();
  }

  #entry(entry) {
    const conversation = model.putEntry(this.state, entry);
    this.#onChange();
    return conversation;
  }

  // ---- frames ----

  async #resume() {
    const known = model.knownRevs(this.state);
    const epoch = this.state.epoch ?? undefined;
    for (; known.length > RESUME_CHUNK;) {
      this.#connection.tell('resume', { epoch, known: known.splice(0, RESUME_CHUNK), more: true });
    }
    try {
      await this.#ask('resume', { epoch, known });
    } catch {
      // The connection went away; it resumes when it is back.
    }
  }

  #frame(frame) {
    const needs = model.apply(this.state, frame);
    const conversation = this.state.conversations.get(frame.conversation_id);
    if (conversation) {
      if (frame.message) this.#seen(conversation, [frame.message]);
      if (frame.type === 'changes') this.#seen(conversation, frame.messages);
      if (conversation.id !== this.openId) model.trim(conversation);
      if (frame.type === 'typing') setTimeout(() => this.#expireTyping(conversation), 8100);
      if (frame.added) this.people.meet(frame.added.map((member) => member.user_id));
    }
    if (frame.type === 'resumed') this.#live();
    this.#needs(needs);
    this.#onChange();
  }

  #live() {
    this.ready = true;
    this.#connection.settled();
    this.outbox.pump();
    // Who is there may have changed while this device was away.
    this.people.refresh({ reconnected: true }).catch(() => {});
    for (const conversation of this.state.conversations.values()) {
      const peer = peerOf(conversation, this.userId);
      if (peer) this.people.meet([peer]);
      this.signs.have(conversation);
    }
    this.#lookAtTicks();
    if (this.openId) this.#load(this.openId).catch(() => this.#onChange());
  }

  /** The list shows how far one's own last messages have come; later receipts come as frames. */
  #lookAtTicks() {
    const mine = conversationList(this.state)
      .filter((one) => one.lastMessage?.sender_id === this.userId && one.id !== this.openId)
      .slice(0, TICKS_IN_LIST);
    for (const conversation of mine) {
      this.#once(`ticks ${conversation.id}`, () => this.#cursors(conversation));
    }
  }

  #expireTyping(conversation) {
    const now = Date.now();
    for (const [user, until] of conversation.typing) if (until <= now) conversation.typing.delete(user);
    this.#onChange();
  }

  /** Messages of the server, live or of history: they settle what waits, and are delivered now. */
  #seen(conversation, messages) {
    for (const message of messages) {
      if (message.sender_id === this.userId && message.client_id) this.outbox.remove(message.client_id);
    }
    this.people.meet(messages.map((message) => message.sender_id));
    this.signs.have(conversation);
  }

  /** Acknowledged, and possibly applied before the acknowledgement came. */
  #settle(item) {
    const conversation = this.state.conversations.get(item.conversation_id);
    if (!conversation || conversation.info.last_seq >= item.seq) this.outbox.remove(item.message.client_id);
  }

  #needs(needs) {
    for (const { need, id } of needs) {
      const conversation = this.state.conversations.get(id);
      if (need === 'changes') this.#once(`changes ${id}`, () => this.#catchUp(id));
      else if (need === 'conversation') {
        this.#once(`entry ${id}`, async () => this.#entry(await this.#ask('get_conversation', { conversation_id: id })));
      } else if (need === 'reload') {
        this.#once(`entry ${id}`, async () => this.#entry(await this.#ask('get_conversation', { conversation_id: id })));
        if (id === this.openId) this.#load(id).catch(() => {});
      } else if (need === 'pins' && conversation?.pins) {
        this.#once(`pins ${id}`, () => this.#pins(conversation));
      } else if (need === 'list') this.#once('list', () => this.#wholeList());
      else if (need === 'resync') {
        // Everything comes anew, up to `resumed`.
        this.ready = false;
        this.#asked.clear();
      }
    }
  }

  async #catchUp(id) {
    for (let cursor; ;) {
      const conversation = this.state.conversations.get(id);
      if (!conversation) return;
      const changes = await this.#ask('get_changes', {
        conversation_id: id, since_rev: conversation.rev, cursor, limit: 100,
      });
      model.apply(this.state, { ...changes, type: 'changes' });
      this.#seen(conversation, changes.messages);
      this.#onChange();
      cursor = changes.next;
      if (!cursor) return;
    }
  }

  async #wholeList() {
    for (let cursor; ;) {
      const page = await this.#ask('list_conversations', { limit: 100, cursor });
      for (const entry of page.conversations) model.putEntry(this.state, entry);
      this.#onChange();
      cursor = page.next;
      if (!cursor) return;
    }
  }

  #ask(type, fields) {
    return this.#connection.request(type, fields);
  }

  /** Runs a job unless the same one runs already. What a connection loss breaks off, resuming repairs. */
  async #once(name, job) {
    if (this.#running.has(name)) return;
    this.#running.add(name);
    try {
      await job();
    } catch (error) {
      if (!error.retryable && error.code !== 'not_found') throw error;
    } finally {
      this.#running.delete(name);
      this.#onChange();
    }
  }

  isLoading(id) {
    return this.#running.has(`older ${id}`) || this.#running.has(`load ${id}`);
  }
}
