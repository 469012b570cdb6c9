// The open conversation: head, pinned messages, the log with its scrolling, and what can be done to a message.

import { rowItem, senderOf } from './bubble.js';
import { avatar, h, icon, iconButton, presenceText, reconcile } from './dom.js';
import { confirm, emojiPicker, menu, toast } from './dialogs.js';
import { summary } from './list.js';
import { buildRows } from './rows.js';
import { isMuted, peerOf, unreadAfter, unreadOf } from './select.js';

const $ = (id) => document.getElementById(id);
const NEAR = 48;
const LOAD_AHEAD = 600;

export class Room {
  #shown = null;
  #opening = false;
  #atBottom = true;
  #newAfter = null;
  #mineSent = 0;
  #pinAt = 0;
  #active = null;

  constructor({ chat, act, go, panel, composer }) {
    Object.assign(this, { chat, act, go, panel, composer });
    this.log = $('log');
    this.actions = {
      jump: (id) => this.jumpTo(id),
      react: (message, key, on) => act(chat.react(message, key, on)),
    };
    this.toolbar = this.#makeToolbar();
    this.log.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // A mouse hovers; a finger or the keyboard focuses.
    this.log.addEventListener('pointerover', (event) => {
      if (event.pointerType === 'mouse') this.#activate(event.target);
    });
    this.log.addEventListener('pointerleave', (event) => {
      if (event.pointerType === 'mouse' && !this.toolbar.contains(document.activeElement)) this.#activate(null);
    });
    this.log.addEventListener('focusin', (event) => this.#activate(event.target));
    this.log.addEventListener('keydown', (event) => this.#key(event));
    $('jump').addEventListener('click', () => this.#toBottom(true));
    // A keyboard that comes up, or a growing composer, must not push the last message out of sight.
    new ResizeObserver(() => {
      if (this.#atBottom) this.#toBottom();
    }).observe(this.log);
    composer.onEditLast = () => this.#editLast();
  }

  // ---- showing ----

  render() {
    const { chat } = this;
    const conversation = chat.conversation;
    $('room').hidden = !conversation;
    $('welcome').hidden = Boolean(conversation);
    if (!conversation) {
      this.#shown = null;
      return;
    }
    if (this.#shown !== conversation.id) this.#enter(conversation);
    this.#head(conversation);
    this.#pins(conversation);
    this.#typing(conversation);
    this.#messages(conversation);
  }

  #enter(conversation) {
    this.#shown = conversation.id;
    this.#opening = true;
    this.#atBottom = true;
    this.#pinAt = 0;
    this.#activate(null);
    this.#newAfter = unreadOf(conversation, this.chat.userId) ? unreadAfter(conversation.me) : null;
    reconcile(this.log, []);
  }

  #messages(conversation) {
    const { chat, log } = this;
    const pending = chat.outbox.of(conversation.id);
    const loading = chat.isLoading(conversation.id);
    if (this.#newAfter == null && !this.#looking() && unreadOf(conversation, chat.userId)) {
      this.#newAfter = unreadAfter(conversation.me);
    }
    if (pending.length > this.#mineSent) {
      this.#newAfter = null;
      this.#atBottom = true;
    }
    this.#mineSent = pending.length;

    const rows = buildRows({
      messages: conversation.messages, pending, userId: chat.userId, newAfter: this.#newAfter,
    });
    const items = rows.map((row) => rowItem(row, chat, conversation, this.actions));
    items.unshift(this.#top(conversation, loading, rows.length));

    const anchor = this.#atBottom ? null : this.#anchor();
    reconcile(log, items);
    this.byKey = new Map(rows.filter((row) => row.type === 'message').map((row) => [row.key, row]));
    if (this.#active && !this.#active.isConnected) this.#activate(this.#element(this.#active.dataset.key));

    if (this.#opening) {
      this.#toBottom();
      if (!loading && chat.ready) {
        this.#opening = false;
        log.querySelector('.new')?.scrollIntoView({ block: 'center' });
        this.#atBottom = this.#isAtBottom();
      }
    } else if (this.#atBottom) this.#toBottom();
    else if (anchor) log.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    log.setAttribute('aria-busy', String(loading || this.#opening));
    this.#afterScroll(conversation);
  }

  #top(conversation, loading, rows) {
    const text = conversation.hasMore || loading ? 'Loading earlier messages…'
      : rows ? `This is the beginning of ${this.chat.titleOf(conversation)}.` : 'No messages yet. Say hello!';
    return { key: 'top', signature: text, make: () => h('p', { class: 'top' }, text) };
  }

  #head(conversation) {
    const { chat } = this;
    const peer = peerOf(conversation, chat.userId);
    const title = chat.titleOf(conversation);
    const presence = peer && peer !== chat.userId ? chat.presenceOf(peer) : null;
    const online = [...(conversation.members?.keys() ?? [])]
      .filter((id) => id === chat.userId || ['online', 'away', 'busy'].includes(chat.presenceOf(id).status)).length;
    const count = conversation.info.member_count;
    const subtitle = peer ? (presence ? presenceText(presence) : 'Notes to yourself')
      : `${count} ${count === 1 ? 'member' : 'members'}${online > 1 ? `, ${online} online` : ''}`;
    const muted = isMuted(conversation);
    reconcile($('room-head'), [{
      key: 'head',
      signature: JSON.stringify([conversation.id, title, subtitle, presence?.status, muted]),
      make: () => h('div', { class: 'head-row' },
        iconButton('back', 'Back to the list', () => this.go(null), { class: 'icon-button back' }),
        h('button', { type: 'button', class: 'head-title', onclick: () => this.panel.toggle(), 'aria-label': `${title}, details` },
          avatar(peer ?? conversation.id, title, { group: !peer, status: presence?.status }),
          h('span', { class: 'grow' },
            h('strong', { class: 'title' }, title, muted && icon('bell-off')),
            h('small', { class: `presence ${presence?.status ?? ''}` }, subtitle))),
        iconButton('info', 'Details', () => this.panel.toggle())),
    }]);
  }

  #pins(conversation) {
    const pins = conversation.pins ?? [];
    const pin = pins.at(-1 - (this.#pinAt % Math.max(1, pins.length)));
    reconcile($('pins'), pin ? [{
      key: 'pin',
      signature: JSON.stringify([pin.id, pin.changed_rev, pins.length]),
      make: () => h('button', {
        type: 'button', class: 'pin-bar', 'aria-label': `Pinned message: ${summary(pin)}`,
        onclick: () => {
          this.#pinAt += 1;
          this.jumpTo(pin.id);
          this.#pins(conversation);
        },
      }, icon('pin'), h('span', { class: 'preview' }, h('strong', {}, `${senderOf(pin, this.chat)}: `), summary(pin)),
      pins.length > 1 && h('small', {}, `${pins.length - pins.indexOf(pin)} of ${pins.length}`)),
    }] : []);
  }

  #typing(conversation) {
    const names = [...conversation.typing.keys()].map((id) => this.chat.nameOf(id));
    const text = !names.length ? ''
      : names.length > 2 ? 'Several people are typing' : `${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} typing`;
    const line = $('typing');
    if (line.dataset.text === text) return;
    line.dataset.text = text;
    line.replaceChildren(...(text ? [text, h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'))] : []));
  }

  // ---- scrolling and reading ----

  #isAtBottom() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR;
  }

  #toBottom(smooth = false) {
    const { log } = this;
    const near = log.scrollHeight - log.scrollTop - log.clientHeight < 4 * log.clientHeight;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    log.scrollTo({ top: log.scrollHeight, behavior: smooth && near && !calm ? 'smooth' : 'instant' });
  }

  /** The first row in sight, and where it is, so that it can be put back there. */
  #anchor() {
    const top = this.log.getBoundingClientRect().top;
    for (const element of this.log.children) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top && element.dataset.key) return { element, top: box.top };
    }
    return null;
  }

  #scrolled() {
    if (this.#opening) return;
    this.#atBottom = this.#isAtBottom();
    const conversation = this.chat.conversation;
    if (conversation) this.#afterScroll(conversation);
  }

  #afterScroll(conversation) {
    const { chat, log } = this;
    const unread = unreadOf(conversation, chat.userId);
    const jump = $('jump');
    jump.hidden = this.#atBottom;
    const label = unread ? `Jump to latest, ${unread} unread` : 'Jump to latest';
    if (jump.getAttribute('aria-label') !== label) {
      jump.setAttribute('aria-label', label);
      jump.replaceChildren(...(unread ? [h('span', { class: 'badge' }, String(unread))] : []), icon('down'));
    }
    if (this.#opening) return;
    if (conversation.hasMore && log.scrollTop < LOAD_AHEAD && !chat.isLoading(conversation.id)) {
      chat.older(conversation.id).catch(() => {});
    }
    if (!this.#looking()) return;
    const seen = this.#atBottom ? conversation.info.last_seq : this.#lastSeen();
    if (seen) chat.signs.saw(conversation, seen);
  }

  #looking() {
    return document.visibilityState === 'visible' && document.hasFocus();
  }

  #lastSeen() {
    const bottom = this.log.getBoundingClientRect().bottom;
    for (let element = this.log.lastElementChild; element; element = element.previousElementSibling) {
      if (element.dataset.seq && element.getBoundingClientRect().bottom <= bottom + 8) return Number(element.dataset.seq);
    }
    return 0;
  }

  #element(key) {
    return this.log.querySelector(`[data-key="${CSS.escape(key)}"]`);
  }

  /** Shows a message, loading history as far as it takes. */
  async jumpTo(messageId) {
    const id = this.chat.openId;
    const found = await this.act(this.chat.reach(id, messageId));
    if (this.chat.openId !== id) return;
    this.render();
    const element = found && this.log.querySelector(`[data-id="${CSS.escape(messageId)}"]`);
    if (!element) {
      if (found != null) toast('That message is too far back, or gone.');
      return;
    }
    this.#atBottom = false;
    element.scrollIntoView({ block: 'center' });
    element.classList.remove('flash');
    void element.offsetWidth; // Starts the animation again when it ran before.
    element.classList.add('flash');
  }

  // ---- what can be done to a message ----

  #makeToolbar() {
    const withRow = (action) => (event) => {
      const row = this.#active && this.byKey.get(this.#active.dataset.key);
      if (row && !row.item) action(row.message, event.currentTarget);
    };
    return h('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Message actions' },
      iconButton('smile', 'React', withRow((message, button) => emojiPicker(button, (key) => this.#toggle(message, key)))),
      iconButton('reply', 'Reply', withRow((message) => this.composer.reply(message))),
      iconButton('more', 'More', withRow((message, button) => menu(button, this.#choices(message)))));
  }

  #toggle(message, key) {
    const given = message.reactions?.find((one) => one.key === key);
    const mine = given && (given.mine ?? given.users.includes(this.chat.userId));
    return this.actions.react(message, key, !mine);
  }

  #choices(message) {
    const { chat, act } = this;
    const { info, me } = chat.conversation;
    const mine = message.sender_id === chat.userId;
    const admin = info.kind === 'group' && me.role !== 'member';
    return [
      mine && message.kind === 'text' && { label: 'Edit', run: () => this.composer.edit(message) },
      (admin || info.kind === 'direct') && {
        label: message.pinned_at ? 'Unpin' : 'Pin', run: () => act(chat.pin(message, !message.pinned_at)),
      },
      message.body && { label: 'Copy text', run: () => act(navigator.clipboard.writeText(message.body)) },
      { label: 'Mark unread from here', run: () => this.#markUnread(message) },
      { label: 'Delete for me', run: () => act(chat.remove(message, 'me')) },
      (mine || admin) && {
        label: 'Delete for everyone', danger: true,
        run: async () => {
          if (await confirm('Delete this message for everyone?', 'Delete')) act(chat.remove(message, 'everyone'));
        },
      },
    ].filter(Boolean);
  }

  #markUnread(message) {
    const id = this.chat.openId;
    // It would be read again at once if it stayed open.
    this.go(null);
    return this.act(this.chat.own('mark_unread', id, { seq: message.seq }));
  }

  #editLast() {
    const { messages } = this.chat.conversation;
    const last = messages.findLast((one) => one.sender_id === this.chat.userId && !one.deleted_at && one.kind === 'text');
    if (last) this.composer.edit(last);
  }

  #activate(target) {
    const element = target?.closest?.('.message') ?? null;
    if (target && !element && this.toolbar.contains(target)) return;
    if (element === this.#active && (!element || this.toolbar.parentNode)) return;
    this.#active = element;
    const row = element && this.byKey?.get(element.dataset.key);
    if (row && !row.item && !row.message.deleted_at) element.querySelector('.bubble').append(this.toolbar);
    else this.toolbar.remove();
    for (const one of this.log.querySelectorAll('.message[tabindex="0"]')) one.tabIndex = -1;
    if (element) element.tabIndex = 0;
  }

  /** Up and down walk through the messages; the log is one stop for Tab. */
  #key(event) {
    const step = { ArrowUp: 'previousElementSibling', ArrowDown: 'nextElementSibling' }[event.key];
    const from = event.target.closest('.message') ?? (event.target === this.log ? this.log.lastElementChild : null);
    if (event.key === 'Escape') this.composer.focus();
    if (!step || !from) return;
    event.preventDefault();
    let to = event.target === this.log ? from : from[step];
    while (to && !to.classList.contains('message')) to = to[step];
    to?.focus();
  }
}
