// The left side: conversations, people, and who you are.

import { avatar, h, icon, iconButton, presenceText, reconcile, whenOf } from './dom.js';
import { conversationList, isMuted, peerOf, progress, unreadAfter, unreadOf } from './select.js';

const $ = (id) => document.getElementById(id);

export class List {
  #archived = false;
  #query = '';

  constructor({ chat, act, go, onSwitch }) {
    Object.assign(this, { chat, act, go });
    this.root = $('lists');
    this.input = $('search');
    this.input.addEventListener('input', () => {
      this.#query = this.input.value.trim().toLowerCase();
      this.render();
    });
    this.input.addEventListener('keydown', (event) => this.#searchKey(event));
    this.root.addEventListener('keydown', (event) => this.#listKey(event));
    $('search-key').textContent = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘K' : 'Ctrl K';
    const { userId } = chat;
    $('me').replaceChildren(
      avatar(userId, chat.nameOf(userId), { status: 'online' }),
      h('span', { class: 'grow' }, h('strong', {}, chat.nameOf(userId)), h('small', {}, 'This is you')),
      iconButton('switch', 'Switch person', onSwitch),
    );
    this.sections = {
      chats: this.#section('Conversations', 'chats'),
      people: this.#section('People', 'people'),
    };
    this.toggle = h('button', { type: 'button', class: 'archive-toggle', onclick: () => {
      this.#archived = !this.#archived;
      this.render();
    } });
    this.sections.chats.after(this.toggle);
  }

  #section(title, id) {
    const list = h('ul', { id, role: 'list', 'aria-labelledby': `${id}-title` });
    this.root.append(h('h2', { id: `${id}-title` }, title), list);
    return list;
  }

  /** Puts the cursor into the search field; on a phone that means back to the list. */
  search() {
    if (getComputedStyle($('sidebar')).visibility === 'hidden') this.go(null);
    this.input.focus();
    this.input.select();
  }

  render() {
    const { chat } = this;
    const matches = (name) => !this.#query || name.toLowerCase().includes(this.#query);
    const archived = conversationList(chat.state, true);
    const shown = this.#query
      ? [...conversationList(chat.state), ...archived]
      : this.#archived ? archived : conversationList(chat.state);
    const entries = shown.filter((one) => matches(chat.titleOf(one))).map((one) => this.#entry(one));
    if (!entries.length) entries.push(this.#empty());
    reconcile(this.sections.chats, entries);

    const others = chat.people.all.filter(({ user_id, name }) => user_id !== chat.userId && matches(name));
    const rank = { online: 0, busy: 1, away: 1 };
    const order = ({ user_id }) => rank[chat.presenceOf(user_id).status] ?? 2;
    others.sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name));
    const people = others.map((person) => this.#person(person));
    if (chat.anybody && this.#query) people.push(this.#stranger(this.input.value.trim()));
    if (!people.length && !this.#query) {
      const hint = chat.anybody
        ? 'Type the id of somebody into the search to write to them.'
        : 'Nobody else yet. Open another window with ?as=Ben.';
      people.push({ key: 'nobody', signature: '', make: () => h('li', { class: 'hint' }, hint) });
    }
    reconcile(this.sections.people, people);

    const label = this.#archived ? 'Back to all' : `Archived (${archived.length})`;
    this.toggle.hidden = this.#query !== '' || (!archived.length && !this.#archived);
    $('chats-title').textContent = this.#archived && !this.#query ? 'Archived' : 'Conversations';
    if (this.toggle.textContent !== label) this.toggle.replaceChildren(icon('archive'), label);
  }

  #empty() {
    const text = !this.chat.ready ? 'Loading…'
      : this.#query ? 'Nothing found'
      : this.#archived ? 'The archive is empty.' : 'No conversations yet. Start one with somebody below.';
    return { key: 'empty', signature: text, make: () => h('li', { class: 'hint' }, text) };
  }

  #entry(conversation) {
    const { chat } = this;
    const peer = peerOf(conversation, chat.userId);
    const title = chat.titleOf(conversation);
    const last = conversation.lastMessage;
    const pending = chat.outbox.of(conversation.id).at(-1);
    const unread = unreadOf(conversation, chat.userId);
    const marked = conversation.me.unread_from != null && unread === 0;
    const typing = [...conversation.typing.keys()].map((id) => chat.nameOf(id));
    const status = peer && peer !== chat.userId ? chat.presenceOf(peer).status : null;
    const draft = conversation.id !== chat.openId ? this.drafts?.(conversation.id) : '';
    const state = pending ? (pending.status === 'failed' ? 'failed' : 'clock')
      : last?.sender_id === chat.userId && !last.deleted_at ? progress(conversation, last.seq, chat.userId) : null;
    const mentioned = unread > 0 && conversation.messages.some((message) =>
      message.seq > unreadAfter(conversation.me) && message.mentions?.includes(chat.userId));
    const view = {
      title, unread, marked, state, status, mentioned, draft,
      time: last ? whenOf(last.created_at) : '',
      preview: typing.length ? (peer ? 'typing…' : `${typing.join(', ')} typing…`) : this.#preview(conversation, pending),
      typing: typing.length > 0,
      muted: isMuted(conversation),
      current: conversation.id === chat.openId,
    };
    return { key: conversation.id, signature: JSON.stringify(view), make: () => this.#entryElement(conversation, peer, view) };
  }

  #entryElement(conversation, peer, view) {
    const count = view.unread > 99 ? '99+' : String(view.unread);
    const badge = view.unread > 0
      ? h('span', { class: `badge ${view.muted ? 'quiet' : ''}`, 'aria-label': `${view.unread} unread` }, count)
      : view.marked ? h('span', { class: 'badge dot-only', 'aria-label': 'marked as unread' }) : null;
    const preview = view.draft
      ? [h('em', { class: 'draft' }, 'Draft: '), view.draft]
      : [view.state && !view.typing ? tick(view.state) : null, view.preview];
    return h('li', {},
      h('button', {
        type: 'button',
        class: `entry ${view.unread || view.marked ? 'unread' : ''}`,
        'aria-current': view.current ? 'true' : null,
        onclick: () => this.#choose(conversation.id),
      },
      avatar(peer ?? conversation.id, view.title, { group: !peer, status: view.status }),
      h('span', { class: 'grow' },
        h('span', { class: 'line' }, h('strong', {}, view.title), view.muted && icon('bell-off'), h('time', {}, view.time)),
        h('span', { class: 'line' },
          h('span', { class: `preview ${view.typing ? 'is-typing' : ''}` }, preview),
          view.mentioned && h('span', { class: 'badge at', 'aria-label': 'you were mentioned' }, '@'),
          badge),
      )));
  }

  #preview(conversation, pending) {
    const { chat } = this;
    const message = pending?.message ?? conversation.lastMessage;
    if (!message) return conversation.info.last_seq ? '' : 'No messages yet';
    const text = summary(message);
    if (conversation.info.kind === 'direct' || message.kind === 'system') return text;
    const sender = pending || message.sender_id === chat.userId ? 'You' : chat.nameOf(message.sender_id);
    return `${sender}: ${text}`;
  }

  #person({ user_id, name }) {
    const presence = this.chat.presenceOf(user_id);
    const text = presenceText(presence);
    return {
      key: user_id,
      signature: `${name} ${presence.status} ${text}`,
      make: () => h('li', {},
        h('button', { type: 'button', class: 'entry person', onclick: () => this.#talkTo(user_id) },
          avatar(user_id, name, { status: presence.status }),
          h('span', { class: 'grow' },
            h('strong', {}, name),
            h('small', { class: `presence ${presence.status}` }, text)))),
    };
  }

  /** Somebody whom the host does not tell of, by their id. */
  #stranger(id) {
    return { key: `stranger ${id}`, signature: id, make: () => h('li', {},
      h('button', { type: 'button', class: 'entry person', onclick: () => this.#talkTo(id) },
        avatar(id, id),
        h('span', { class: 'grow' }, h('strong', {}, id), h('small', {}, 'Write to this id')))) };
  }

  #choose(id) {
    this.#clear();
    this.go(id);
  }

  #talkTo(userId) {
    this.#clear();
    return this.act(this.chat.openDirect(userId).then(this.go));
  }

  #clear() {
    this.input.value = '';
    this.#query = '';
  }

  // ---- keyboard ----

  #buttons() {
    return [...this.root.querySelectorAll('button.entry')];
  }

  #searchKey(event) {
    if (event.key === 'Escape') {
      this.#clear();
      this.input.blur();
      this.render();
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (this.#query) this.#buttons()[0]?.click();
    } else if (event.key === 'ArrowDown') {
      event.preventDefault();
      this.#buttons()[0]?.focus();
    }
  }

  #listKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = this.#buttons();
    const at = buttons.indexOf(document.activeElement) + step;
    (buttons[at] ?? (at < 0 ? this.input : buttons.at(-1)))?.focus();
  }
}

/** A message in one line. */
export function summary(message) {
  if (message.deleted_at) return 'This message was deleted';
  if (message.body) return message.body.replace(/\s+/g, ' ').slice(0, 200);
  const file = message.attachments?.[0];
  if (message.kind === 'image') return 'Photo';
  return file ? file.name ?? 'File' : 'Message';
}

const TICKS = {
  clock: ['clock', 'sending'],
  sent: ['sent', 'sent'],
  delivered: ['both', 'delivered'],
  read: ['both', 'read'],
  failed: ['close', 'failed'],
};

/** The mark of how far one's own message has come. */
export function tick(state) {
  const mark = h('span', { role: 'img' }, icon(''));
  setTick(mark, state);
  return mark;
}

/** Changes a mark in place, so that a screen reader does not hear the message again. */
export function setTick(mark, state) {
  const [name, label] = TICKS[state];
  mark.className = `tick ${state}`;
  mark.title = label;
  mark.ariaLabel = label;
  mark.querySelector('use').setAttribute('href', `#i-${name}`);
}
