// Making elements. Every text goes in as text; nothing here reads HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** `h('button', {class: 'x', onclick: fn, 'aria-label': 'y'}, 'text', child, …)`. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** An icon of the sprite in index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick, props = {}) {
  return h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...props }, icon(name));
}

/** A circle (a rounded square for a group) with initials, in a colour that belongs to the id. */
export function avatar(id, name, { group = false, status = null, size = '' } = {}) {
  const circle = h('span', { class: `avatar ${size} ${group ? 'group' : ''}`, 'aria-hidden': 'true' }, initials(name));
  circle.style.setProperty('--hue', hueOf(id));
  if (status) circle.append(h('span', { class: `dot ${status}` }));
  return circle;
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...word][0] ?? '').join('').toUpperCase();
}

export function hueOf(id) {
  let hash = 2166136261;
  for (const char of id) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return Math.round((((hash >>> 0) * 137.508) % 360));
}

/**
 * Shows `items` in `parent`, in their order. An element is made anew only when its `signature` changes;
 * when only its `detail` does, `patch(element)` brings it up to date in place.
 */
export function reconcile(parent, items) {
  const old = parent.rows ?? new Map();
  const rows = new Map();
  const wanted = new Set(items.map((item) => item.key));
  for (const [key, { element }] of old) if (!wanted.has(key)) element.remove();
  let next = parent.firstChild;
  for (const { key, signature, make, detail, patch } of items) {
    let row = old.get(key);
    if (!row) {
      row = { element: make() };
    } else if (row.signature !== signature) {
      const element = make();
      const focused = row.element.contains(document.activeElement);
      if (row.element === next) next = element;
      row.element.replaceWith(element);
      if (focused) (element.hasAttribute('tabindex') ? element : element.querySelector('button'))?.focus();
      row = { element };
    }
    if (row.detail !== detail) patch(row.element);
    Object.assign(row, { signature, detail });
    rows.set(key, row);
    if (row.element === next) next = next.nextSibling;
    else parent.insertBefore(row.element, next);
  }
  parent.rows = rows;
}

const URLS = /https?:\/\/[^\s<>"'`]+/gi;

/** Text with links and mentions, as nodes. Only http and https become links. */
export function richText(text, mentions = []) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(URLS)) {
    const url = match[0].replace(/[.,;:!?)\]}]+$/, '');
    const link = safeLink(url, url);
    if (!link) continue;
    nodes.push(...withMentions(text.slice(at, match.index), mentions), link);
    at = match.index + url.length;
  }
  nodes.push(...withMentions(text.slice(at), mentions));
  return nodes;
}

/** A link that opens apart from this page, or null where the address is no web address. */
export function safeLink(url, ...children) {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') return null;
  return h('a', { href: parsed.href, target: '_blank', rel: 'noopener noreferrer' }, ...children);
}

/** `mentions` are `{name, me}`; a name counts where it follows an @. */
function withMentions(text, mentions) {
  const names = mentions.map((mention) => mention.name).sort((a, b) => b.length - a.length);
  if (!names.length) return text ? [text] : [];
  const pattern = new RegExp(`@(${names.map(escapePattern).join('|')})`, 'g');
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    const me = mentions.some((mention) => mention.me && mention.name === match[1]);
    nodes.push(text.slice(at, match.index), h('span', { class: me ? 'mention me' : 'mention' }, match[0]));
    at = match.index + match[0].length;
  }
  nodes.push(text.slice(at));
  return nodes.filter(Boolean);
}

function escapePattern(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

// ---- times ----

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const shortDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const longDate = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / 86_400_000);

export const timeOf = (time) => clock.format(new Date(time));
export const exactTime = (time) => fullTime.format(new Date(time));

export function dayOf(time) {
  const date = new Date(time);
  return ['Today', 'Yesterday'][daysAgo(date)] ?? longDate.format(date);
}

/** Short, for lists: a time today, a weekday this week, a date before. */
export function whenOf(time) {
  const date = new Date(time);
  const days = daysAgo(date);
  if (days <= 0) return clock.format(date);
  return days < 7 ? weekday.format(date) : shortDate.format(date);
}

export function presenceText({ status, last_seen_at }) {
  if (status === 'online') return 'online';
  if (status === 'away' || status === 'busy') return status;
  if (!last_seen_at) return status === 'offline' ? 'offline' : '';
  const minutes = Math.floor((Date.now() - Date.parse(last_seen_at)) / 60_000);
  if (minutes < 1) return 'last seen just now';
  if (minutes < 60) return `last seen ${minutes} min ago`;
  return `last seen ${daysAgo(new Date(last_seen_at)) === 0 ? 'at' : 'on'} ${whenOf(last_seen_at)}`;
}
