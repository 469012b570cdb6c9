// Where a message is written: drafts, replies, edits, mentions, links to files.

import { senderOf } from './bubble.js';
import { attachLink } from './dialogs.js';
import { avatar, h, iconButton } from './dom.js';
import { summary } from './list.js';

const $ = (id) => document.getElementById(id);
const SUGGESTIONS = 6;
const IMAGE = /\.(?:png|jpe?g|gif|webp|avif|svg)$/i;

export class Composer {
  /** Called when ArrowUp asks for the last own message. */
  onEditLast = () => {};
  #shown = null;
  #context = null; // {mode: 'reply' | 'edit', message}
  #suggested = [];
  #chosen = 0;

  constructor({ chat, act }) {
    Object.assign(this, { chat, act });
    this.key = `parlor.drafts.${chat.userId}`;
    this.drafts = JSON.parse(localStorage.getItem(this.key) ?? '{}');
    this.text = $('draft');
    this.text.addEventListener('input', () => this.#input());
    this.text.addEventListener('keydown', (event) => this.#key(event));
    this.text.addEventListener('click', () => this.#suggest());
    this.text.addEventListener('blur', () => this.#closeList());
    $('attach').addEventListener('click', () => this.#attach());
    $('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  draftOf(id) {
    return this.drafts[id] ?? '';
  }

  focus() {
    this.text.focus();
  }

  render() {
    const id = this.chat.conversation?.id ?? null;
    if (id === this.#shown) return;
    this.#shown = id;
    this.#context = null;
    this.#set(id ? this.draftOf(id) : '');
    this.#showContext();
    // On a phone the keyboard would cover half of what was opened.
    if (id && matchMedia('(hover: hover)').matches) this.focus();
  }

  reply(message) {
    if (this.#context?.mode === 'edit') this.#set(this.draftOf(this.#shown));
    this.#context = { mode: 'reply', message };
    this.#showContext();
    this.focus();
  }

  edit(message) {
    this.#context = { mode: 'edit', message };
    this.#set(message.body);
    this.#showContext();
    this.focus();
  }

  #cancel() {
    const editing = this.#context?.mode === 'edit';
    this.#context = null;
    if (editing) this.#set(this.draftOf(this.#shown));
    this.#showContext();
  }

  #showContext() {
    const context = this.#context;
    $('send').title = context?.mode === 'edit' ? 'Save' : 'Send';
    $('send').setAttribute('aria-label', $('send').title);
    $('context').replaceChildren(...(context ? [h('div', { class: 'context' },
      h('span', { class: 'grow' },
        h('strong', {}, context.mode === 'edit' ? 'Edit message' : `Reply to ${senderOf(context.message, this.chat)}`),
        h('span', { class: 'preview' }, summary(context.message))),
      iconButton('close', 'Cancel', () => {
        this.#cancel();
        this.focus();
      }))] : []));
  }

  #set(text) {
    this.text.value = text;
    this.#closeList();
    this.#grow();
  }

  #grow() {
    this.text.style.height = 'auto';
    this.text.style.height = `${this.text.scrollHeight}px`;
    $('send').disabled = !this.text.value.trim();
  }

  #keepDraft(text) {
    if (text.trim()) this.drafts[this.#shown] = text;
    else delete this.drafts[this.#shown];
    localStorage.setItem(this.key, JSON.stringify(this.drafts));
  }

  #input() {
    this.#grow();
    this.#suggest();
    if (this.#context?.mode === 'edit') return;
    this.#keepDraft(this.text.value);
    if (this.text.value.trim()) this.chat.signs.type(this.#shown);
    else this.chat.signs.stopTyping();
  }

  #submit() {
    const text = this.text.value.trim();
    const context = this.#context;
    const id = this.#shown;
    if (!text || !id) return;
    const mentions = this.#mentioned(text);
    if (context?.mode === 'edit') {
      if (text !== context.message.body) this.act(this.chat.edit(context.message, text, mentions));
      this.#cancel();
      return;
    }
    const message = { body: text };
    if (context) message.reply_to = context.message.id;
    if (mentions.length) message.mentions = mentions;
    this.#context = null;
    this.#keepDraft('');
    this.#set('');
    this.#showContext();
    this.chat.send(id, message);
  }

  async #attach() {
    const id = this.#shown;
    const file = await attachLink();
    if (!file) return;
    const image = IMAGE.test(new URL(file.url).pathname);
    this.chat.send(id, { kind: image ? 'image' : 'file', attachments: [file] });
  }

  // ---- mentions ----

  #members() {
    const { chat } = this;
    return [...(chat.conversation?.members?.keys() ?? [])]
      .filter((id) => id !== chat.userId)
      .map((id) => ({ id, name: chat.nameOf(id) }));
  }

  #mentioned(text) {
    return this.#members().filter(({ name }) => text.includes(`@${name}`)).map(({ id }) => id);
  }

  /** The word before the caret that begins with @, if there is one. */
  #word() {
    const before = this.text.value.slice(0, this.text.selectionStart);
    return before.match(/(?:^|\s)@([^\s@]*)$/)?.[1] ?? null;
  }

  #suggest() {
    const word = this.#word()?.toLowerCase();
    this.#suggested = word == null ? []
      : this.#members().filter(({ name }) => name.toLowerCase().startsWith(word)).slice(0, SUGGESTIONS);
    this.#chosen = 0;
    this.#showList();
  }

  #showList() {
    const list = $('mention-list');
    list.hidden = !this.#suggested.length;
    list.replaceChildren(...this.#suggested.map(({ id, name }, index) => h('li', {
      id: `mention-${index}`, role: 'option', 'aria-selected': String(index === this.#chosen),
      // Before the text field loses the focus.
      onmousedown: (event) => {
        event.preventDefault();
        this.#pick(index);
      },
    }, avatar(id, name, { size: 'small' }), name)));
    if (list.hidden) this.text.removeAttribute('aria-activedescendant');
    else this.text.setAttribute('aria-activedescendant', `mention-${this.#chosen}`);
  }

  #closeList() {
    this.#suggested = [];
    this.#showList();
  }

  #pick(index) {
    const { text } = this;
    const end = text.selectionStart;
    const start = end - this.#word().length;
    text.setRangeText(`${this.#suggested[index].name} `, start, end, 'end');
    this.#closeList();
    this.#input();
  }

  // ---- keyboard ----

  #key(event) {
    if (event.isComposing) return;
    const count = this.#suggested.length;
    if (count && this.#listKey(event, count)) {
      event.preventDefault();
      return;
    }
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === 'Escape' && this.#context) {
      event.preventDefault();
      this.#cancel();
    } else if (event.key === 'ArrowUp' && !this.text.value && !this.#context) {
      event.preventDefault();
      this.onEditLast();
    }
  }

  #listKey({ key }, count) {
    if (key === 'ArrowDown' || key === 'ArrowUp') {
      this.#chosen = (this.#chosen + (key === 'ArrowDown' ? 1 : count - 1)) % count;
      this.#showList();
    } else if (key === 'Enter' || key === 'Tab') this.#pick(this.#chosen);
    else if (key === 'Escape') this.#closeList();
    else return false;
    return true;
  }
}
