// Short questions, menus and notes that come up over the page.

import { avatar, h } from './dom.js';

const EMOJI = ['👍', '❤️', '😂', '🎉', '😮', '😢', '🙏', '👀'];

/** Says something in passing. */
export function toast(text) {
  const note = h('p', { class: 'toast' }, text);
  document.getElementById('toasts').append(note);
  setTimeout(() => note.remove(), 5000);
}

/** Shows a dialog; the answer is what `read` makes of its form, or null when it was cancelled. */
function dialog(title, action, content, read, { danger = false } = {}) {
  return new Promise((resolve) => {
    let answer = null;
    const error = h('p', { class: 'error', role: 'alert' });
    const form = h('form', {
      method: 'dialog',
      onsubmit: (event) => {
        event.preventDefault();
        const { value, problem } = read(form);
        error.textContent = problem ?? '';
        if (problem) return;
        answer = value;
        box.close();
      },
    },
    h('h2', { id: 'dialog-title' }, title), content, error,
    h('div', { class: 'buttons' },
      h('button', { type: 'button', class: 'quiet', onclick: () => box.close() }, 'Cancel'),
      h('button', { type: 'submit', class: danger ? 'primary danger' : 'primary' }, action)));
    const box = h('dialog', {
      'aria-labelledby': 'dialog-title',
      onclose: () => {
        box.remove();
        resolve(answer);
      },
      onclick: (event) => {
        if (event.target === box) box.close();
      },
    }, form);
    document.body.append(box);
    box.showModal();
  });
}

export function confirm(question, action) {
  return dialog(question, action, null, () => ({ value: true }), { danger: true });
}

export function askText(title, label, value, action) {
  const input = h('input', { name: 'text', maxlength: '60', value, autocomplete: 'off' });
  return dialog(title, action, h('label', {}, label, input), () => {
    const text = input.value.trim();
    return text ? { value: text } : { problem: 'Please write something.' };
  });
}

export function newGroup(chat) {
  const title = h('input', { name: 'title', maxlength: '60', placeholder: 'Weekend trip', autocomplete: 'off' });
  const others = chat.people.all.filter(({ user_id }) => user_id !== chat.userId);
  return dialog('New group', 'Create group', [h('label', {}, 'Title', title), checkboxes(others)], (form) => {
    if (!title.value.trim()) return { problem: 'A group needs a title.' };
    return { value: { title: title.value.trim(), members: chosen(form) } };
  });
}

/** Picks people who are not in `except`; the answer is their ids. */
export function pickPeople(chat, except) {
  const others = chat.people.all.filter(({ user_id }) => !except.has(user_id));
  const content = others.length ? checkboxes(others) : h('p', { class: 'hint' }, 'Everybody is here already.');
  return dialog('Add members', 'Add', content, (form) => {
    const ids = chosen(form);
    return ids.length ? { value: ids } : { problem: 'Choose at least one.' };
  });
}

function checkboxes(people) {
  return h('fieldset', { class: 'people' }, h('legend', {}, 'Members'), people.map(({ user_id, name }) =>
    h('label', { class: 'pick' },
      h('input', { type: 'checkbox', name: 'member', value: user_id }),
      avatar(user_id, name, { size: 'small' }), h('span', {}, name))));
}

function chosen(form) {
  return [...form.querySelectorAll('input[name=member]:checked')].map((input) => input.value);
}

/** Asks for the address of a file: `{url, name?}`. */
export function attachLink() {
  const url = h('input', { name: 'url', type: 'text', inputmode: 'url', placeholder: 'https://', autocomplete: 'off' });
  const name = h('input', { name: 'name', maxlength: '200', autocomplete: 'off' });
  return dialog('Attach a link', 'Send', [
    h('label', {}, 'Address of a picture or file', url),
    h('label', {}, 'Name (may stay empty)', name),
  ], () => {
    const parsed = URL.canParse(url.value.trim()) ? new URL(url.value.trim()) : null;
    if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
      return { problem: 'Only addresses that begin with http:// or https:// can be attached.' };
    }
    const label = name.value.trim() || parsed.pathname.split('/').at(-1);
    return { value: label ? { url: parsed.href, name: decode(label) } : { url: parsed.href } };
  });
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// ---- menus ----

/** A menu at a button: `items` are `{label, run, danger?}`. */
export function menu(anchor, items) {
  const list = h('div', { class: 'menu', role: 'menu', popover: 'auto' }, items.map(({ label, run, danger }) =>
    h('button', { type: 'button', role: 'menuitem', tabindex: '-1', class: danger && 'danger', onclick: () => {
      list.hidePopover();
      run();
    } }, label)));
  list.addEventListener('keydown', walk(list, { ArrowDown: 1, ArrowUp: -1 }));
  show(anchor, list);
}

export function emojiPicker(anchor, onpick) {
  const list = h('div', { class: 'menu emoji-menu', role: 'menu', popover: 'auto', 'aria-label': 'Reactions' }, EMOJI.map((emoji) =>
    h('button', { type: 'button', role: 'menuitem', tabindex: '-1', onclick: () => {
      list.hidePopover();
      onpick(emoji);
    } }, emoji)));
  list.addEventListener('keydown', walk(list, { ArrowRight: 1, ArrowLeft: -1 }));
  show(anchor, list);
}

function walk(list, steps) {
  return (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...list.children];
    const at = buttons.indexOf(document.activeElement) + step;
    buttons[(at + buttons.length) % buttons.length].focus();
  };
}

function show(anchor, list) {
  document.body.append(list);
  list.addEventListener('toggle', (event) => {
    if (event.newState === 'closed') list.remove();
  });
  list.showPopover();
  const at = anchor.getBoundingClientRect();
  const box = list.getBoundingClientRect();
  const below = at.bottom + box.height + 8 < innerHeight;
  list.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - box.height - 4)}px`;
  list.style.left = `${Math.max(8, Math.min(at.right - box.width, innerWidth - box.width - 8))}px`;
  list.firstElementChild.focus();
}
