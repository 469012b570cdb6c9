// One row of a conversation.

import { avatar, dayOf, exactTime, h, hueOf, icon, richText, safeLink, timeOf } from './dom.js';
import { setTick, summary, tick } from './list.js';
import { progress, readers } from './select.js';

const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,12}$/u;
const HAS_EMOJI = /\p{Extended_Pictographic}/u;

/** What `reconcile` needs for a row of `buildRows`. */
export function rowItem(row, chat, conversation, actions) {
  if (row.type === 'day') {
    const label = dayOf(row.date);
    return { key: row.key, signature: label, make: () => h('div', { class: 'day', role: 'separator' }, h('span', {}, label)) };
  }
  if (row.type === 'new') {
    return { key: row.key, signature: '', make: () =>
      h('div', { class: 'new', role: 'separator', 'aria-label': 'New messages' }, h('span', {}, 'New')) };
  }
  const { message, item, mine, first, last } = row;
  const quote = message.reply_to ? chat.quote(conversation, message.reply_to) : null;
  const state = !mine || message.deleted_at ? null
    : item ? { sending: 'clock', sent: 'sent', failed: 'failed' }[item.status]
    : progress(conversation, message.seq, chat.userId);
  const signature = JSON.stringify([
    first, last, message.body, message.edited_at, message.deleted_at, message.pinned_at, item?.error,
    message.reply_to && [quote?.id, quote?.changed_rev, quote && chat.nameOf(quote.sender_id)],
    chat.nameOf(message.sender_id), message.mentions?.map((id) => chat.nameOf(id)),
  ]);
  const detail = JSON.stringify([message.id, message.created_at, state, message.reactions]);
  return {
    key: row.key,
    signature,
    make: () => bubbleRow({ row, chat, conversation, quote, state, actions }),
    detail,
    patch: (element) => update(element, { message, item, state, chat, actions }),
  };
}

/** What changes in a bubble's life without changing what it says. */
function update(element, { message, item, state, chat, actions }) {
  if (message.kind === 'system') return;
  element.classList.toggle('pending', Boolean(item));
  if (!item) Object.assign(element.dataset, { id: message.id, seq: message.seq });
  const time = element.querySelector('.meta time');
  time.dateTime = message.created_at;
  time.title = exactTime(message.created_at);
  time.textContent = timeOf(message.created_at);
  if (state) setTick(element.querySelector('.tick'), state);
  const given = reactions(message, chat, actions);
  const old = element.querySelector('.reactions');
  if (old && given) old.replaceWith(given);
  else if (given) element.querySelector('.bubble').after(given);
  else old?.remove();
}

function bubbleRow({ row, chat, conversation, quote, state, actions }) {
  const { message, item, mine, first, last } = row;
  if (message.kind === 'system') {
    return h('div', { class: 'notice', 'data-key': row.key }, message.body);
  }
  const group = conversation.info.kind === 'group';
  const sender = mine ? 'You' : chat.nameOf(message.sender_id ?? '');
  const time = timeOf(message.created_at);
  const mentioned = message.mentions?.includes(chat.userId);
  const loud = !message.deleted_at && !message.attachments?.length && !message.reply_to
    && HAS_EMOJI.test(message.body) && ONLY_EMOJI.test(message.body);
  const classes = ['message', mine ? 'mine' : 'theirs', first && 'first', last && 'last',
    group && 'in-group', mentioned && 'mentioned', loud && 'loud', message.deleted_at && 'deleted'];
  const name = h('span', { class: 'sender' }, sender);
  name.style.setProperty('--hue', hueOf(message.sender_id ?? ''));

  return h('article', {
    class: classes.filter(Boolean).join(' '),
    'data-key': row.key,
    'aria-label': `${sender}, ${time}`,
    tabindex: '-1',
  },
  group && !mine && h('span', { class: 'gutter' }, last && avatar(message.sender_id ?? '', sender, { size: 'small' })),
  h('div', { class: 'stack' },
    group && !mine && first && name,
    h('div', { class: 'bubble' },
      message.reply_to && !message.deleted_at && quoteButton(message, quote, chat, actions),
      message.deleted_at
        ? h('span', { class: 'text' }, 'This message was deleted')
        : [attachments(message), message.body && h('span', { class: 'text', dir: 'auto' }, body(message, chat))],
      h('span', { class: 'meta' },
        message.pinned_at && icon('pin'),
        message.edited_at && !message.deleted_at && h('span', { title: exactTime(message.edited_at) }, 'edited'),
        h('time'),
        state && stateMark(state, chat, conversation))),
    state === 'failed' && h('p', { class: 'failed-line', role: 'alert' },
      `Not sent: ${item.error}.`,
      h('button', { type: 'button', class: 'link', onclick: () => chat.outbox.retry(message.client_id) }, 'Retry'),
      h('button', { type: 'button', class: 'link', onclick: () => chat.outbox.remove(message.client_id) }, 'Discard'))));
}

function stateMark(state, chat, conversation) {
  const mark = tick(state);
  mark.addEventListener('pointerenter', () => {
    const { seq } = mark.closest('.message').dataset;
    const names = readers(conversation, Number(seq), chat.userId).map((id) => chat.nameOf(id));
    if (names.length) mark.title = `read by ${names.join(', ')}`;
  });
  return mark;
}

function body(message, chat) {
  const mentions = (message.mentions ?? []).map((id) => ({ name: chat.nameOf(id), me: id === chat.userId }));
  return richText(message.body, mentions);
}

function quoteButton(message, quote, chat, actions) {
  const name = h('strong', {}, quote ? senderOf(quote, chat) : '…');
  const button = h('button', {
    type: 'button', class: 'quote', 'aria-label': 'Go to the original', onclick: () => actions.jump(message.reply_to),
  }, name, h('span', {}, quote ? summary(quote) : 'Original message'));
  button.style.setProperty('--hue', hueOf(quote?.sender_id ?? ''));
  return button;
}

export function senderOf(message, chat) {
  return message.sender_id === chat.userId ? 'You' : chat.nameOf(message.sender_id ?? '');
}

/** Attachments are addresses that somebody else wrote: shown only where they are web addresses. */
function attachments(message) {
  return (message.attachments ?? []).map((file) => {
    const label = file.name ?? file.url;
    const picture = message.kind === 'image' || file.media_type?.startsWith('image/');
    const content = picture
      ? h('img', { src: file.url, alt: label, loading: 'lazy', referrerpolicy: 'no-referrer' })
      : [icon('file'), h('span', {}, label)];
    const link = safeLink(file.url, content);
    if (!link) return h('span', { class: 'file' }, icon('file'), h('span', {}, label));
    link.className = picture ? 'picture' : 'file';
    if (picture) {
      content.addEventListener('error', () => {
        link.className = 'file';
        link.replaceChildren(icon('file'), h('span', {}, label));
      });
    }
    return link;
  });
}

function reactions(message, chat, actions) {
  if (!message.reactions?.length) return null;
  return h('div', { class: 'reactions' }, message.reactions.map((reaction) => {
    const mine = reaction.mine ?? reaction.users.includes(chat.userId);
    const names = reaction.users.map((id) => (id === chat.userId ? 'You' : chat.nameOf(id))).join(', ');
    return h('button', {
      type: 'button',
      class: 'reaction',
      title: names,
      'aria-pressed': String(mine),
      'aria-label': `${reaction.key} ${reaction.count}, ${names}`,
      onclick: () => actions.react(message, reaction.key, !mine),
    }, h('span', { class: 'emoji' }, reaction.key), String(reaction.count));
  }));
}
