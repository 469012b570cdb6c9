// Details of the open conversation: members and roles, one's own settings, the ways out.

import { askText, confirm, menu, pickPeople } from './dialogs.js';
import { avatar, h, iconButton, presenceText, reconcile } from './dom.js';
import { isMuted, peerOf } from './select.js';

const FOR_EVER = '9999-12-31T23:59:59.999Z';
const RANK = { owner: 0, admin: 1, member: 2 };

export class Panel {
  #open = false;

  constructor({ chat, act, go }) {
    Object.assign(this, { chat, act, go });
    this.root = document.getElementById('panel');
    this.root.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
  }

  toggle() {
    this.#open = !this.#open;
    this.render();
    if (this.#open) this.root.querySelector('button')?.focus();
  }

  close() {
    this.#open = false;
    this.render();
  }

  render() {
    const conversation = this.#open ? this.chat.conversation : null;
    this.root.hidden = !conversation;
    document.body.classList.toggle('with-panel', Boolean(conversation));
    if (!conversation) {
      reconcile(this.root, []);
      return;
    }
    const { chat } = this;
    const peer = peerOf(conversation, chat.userId);
    const title = chat.titleOf(conversation);
    const items = [this.#head(conversation, peer, title), this.#settings(conversation)];
    if (!peer) items.push(this.#members(conversation));
    items.push(this.#ways(conversation, peer));
    reconcile(this.root, items);
  }

  #head(conversation, peer, title) {
    const { chat } = this;
    const { info, me } = conversation;
    const presence = peer && peer !== chat.userId ? presenceText(chat.presenceOf(peer)) : '';
    const maker = info.created_by ? `Made by ${chat.nameOf(info.created_by)}` : 'Everybody is here';
    const line = peer ? presence : maker;
    const admin = !peer && me.role !== 'member';
    return {
      key: 'head',
      signature: JSON.stringify([info.id, title, line, admin]),
      make: () => h('header', { class: 'panel-head' },
        iconButton('close', 'Close details', () => this.close()),
        avatar(peer ?? info.id, title, { group: !peer, size: 'large' }),
        h('h2', {}, title),
        h('p', {}, line),
        admin && h('button', { type: 'button', class: 'quiet', onclick: async () => {
          const text = await askText('Rename group', 'Title', title, 'Rename');
          if (text) this.act(chat.rename(info.id, text));
        } }, 'Rename')),
    };
  }

  #settings(conversation) {
    const { chat, act } = this;
    const { id, me } = conversation;
    const set = (patch) => act(chat.own('update_settings', id, patch));
    const muted = isMuted(conversation);
    const choice = (label, checked, change) => h('label', { class: 'switch' }, h('span', {}, label),
      h('input', { type: 'checkbox', role: 'switch', checked, onchange: (event) => change(event.target.checked) }));
    return {
      key: 'settings',
      signature: JSON.stringify([id, muted, me.archived, me.private_receipts]),
      make: () => h('section', { class: 'settings' },
        choice('Mute', muted, (on) => set({ muted_until: on ? FOR_EVER : null })),
        choice('Archive', me.archived, (archived) => set({ archived })),
        choice('Keep my read receipts private', me.private_receipts, (private_receipts) => set({ private_receipts }))),
    };
  }

  #members(conversation) {
    const { chat, act } = this;
    const { id, me } = conversation;
    const members = [...(conversation.members?.values() ?? [])]
      .sort((a, b) => RANK[a.role] - RANK[b.role] || chat.nameOf(a.user_id).localeCompare(chat.nameOf(b.user_id)));
    const admin = me.role !== 'member';
    const views = members.map(({ user_id, role }) => ({
      user_id, role, name: chat.nameOf(user_id), presence: chat.presenceOf(user_id),
      choices: user_id !== chat.userId && (me.role === 'owner' || (admin && RANK[role] >= RANK[me.role])),
    }));
    return {
      key: 'members',
      signature: JSON.stringify([id, me.role, views]),
      make: () => h('section', { 'aria-labelledby': 'members-title' },
        h('div', { class: 'section-head' },
          h('h3', { id: 'members-title' }, `${members.length} members`),
          admin && iconButton('users-plus', 'Add members', async () => {
            const ids = await pickPeople(chat, new Set(conversation.members?.keys()));
            if (ids) act(chat.addMembers(id, ids));
          })),
        h('ul', { class: 'members' }, views.map((view) => this.#member(conversation, view)))),
    };
  }

  #member(conversation, { user_id, name, role, presence, choices }) {
    const { chat } = this;
    const me = user_id === chat.userId;
    return h('li', {},
      avatar(user_id, name, { size: 'small', status: me ? 'online' : presence.status }),
      h('span', { class: 'grow' },
        h('strong', {}, me ? `${name} (you)` : name),
        h('small', {}, me ? 'online' : presenceText(presence))),
      role !== 'member' && h('span', { class: 'role' }, role),
      choices && iconButton('more', `Change ${name}`, (event) =>
        menu(event.currentTarget, this.#choices(conversation, user_id, name, role))));
  }

  #choices({ id, me }, userId, name, role) {
    const { chat, act } = this;
    const roles = me.role === 'owner' ? ['member', 'admin', 'owner'].filter((one) => one !== role) : [];
    const article = { member: 'a member', admin: 'an admin', owner: 'an owner' };
    return [
      ...roles.map((one) => ({ label: `Make ${article[one]}`, run: () => act(chat.setRole(id, userId, one)) })),
      { label: 'Message', run: () => act(chat.openDirect(userId).then(this.go)) },
      { label: 'Remove', danger: true, run: async () => {
        if (await confirm(`Remove ${name} from this group?`, 'Remove')) act(chat.removeMember(id, userId));
      } },
    ];
  }

  #ways(conversation, peer) {
    const { chat, act } = this;
    const { id, info } = conversation;
    const way = (label, run, danger = false) =>
      h('button', { type: 'button', class: danger ? 'row-button danger' : 'row-button', onclick: run }, label);
    return {
      key: 'ways',
      signature: id,
      make: () => h('section', { class: 'ways' },
        way('Mark as unread', () => {
          this.go(null);
          act(chat.own('mark_unread', id, { seq: info.last_seq }));
        }),
        way('Hide until there is a new message', () => {
          this.go(null);
          act(chat.own('hide', id));
        }),
        way('Clear history for me', async () => {
          if (await confirm('Clear all messages for yourself?', 'Clear')) act(chat.own('clear', id));
        }),
        !peer && way('Leave group', async () => {
          if (await confirm('Leave this group?', 'Leave')) act(chat.leave(id));
        }, true)),
    };
  }
}
