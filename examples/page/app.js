// Start: who you are, the connection, and the wiring between the model and the views.

import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { List } from './list.js';
import { Panel } from './panel.js';
import { Room } from './room.js';
import { newGroup, toast } from './dialogs.js';
import * as session from './session.js';
import { conversationList, isMuted, unreadOf } from './select.js';

const $ = (id) => document.getElementById(id);

// ---- who you are ----

const loginForm = $('login-form');
loginForm.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = loginForm.querySelector('button');
  button.disabled = true;
  try {
    enter(await session.login(loginForm.elements.name.value.trim()));
  } catch (error) {
    $('login-error').textContent = error.message;
  }
  button.disabled = false;
});

if (session.byToken) {
  $('login-hint').textContent = 'Show a token and come in.';
  $('login-label').textContent = 'Your token';
  $('login-fine').textContent = 'For trying out, `parlor-server token --sub ann` prints one.';
  Object.assign(loginForm.elements.name, { autocomplete: 'off', placeholder: 'eyJ…', maxLength: 16384 });
}

function showLogin(message = '') {
  $('app').hidden = true;
  $('login').hidden = false;
  $('login-error').textContent = message;
  loginForm.elements.name.focus();
}

async function start() {
  try {
    const found = await session.find();
    if (found) enter(found);
    else showLogin();
  } catch (error) {
    showLogin(error.message);
  }
}

// ---- the chat ----

function enter(who) {
  $('login').hidden = true;
  $('app').hidden = false;

  let due = false;
  const changed = () => {
    if (due) return;
    due = true;
    // A hidden page gets no animation frames, and still counts what is unread in its title.
    (document.hidden ? setTimeout : requestAnimationFrame)(() => {
      due = false;
      render();
    });
  };
  const chat = new Chat({
    session: who,
    api: session,
    url: new URL('chat/ws', location.href.replace(/^http/, 'ws').split(/[?#]/)[0]).href,
    storage: sessionStorage,
    onChange: changed,
    onStatus: (status) => showStatus(chat, status, who),
  });
  const go = (id) => {
    location.hash = id ? `#${id}` : '';
  };
  const act = (promise) => promise.catch((error) => toast(explain(error)));
  const panel = new Panel({ chat, act, go });
  const composer = new Composer({ chat, act });
  const room = new Room({ chat, act, go, panel, composer });
  const list = new List({ chat, act, go, onSwitch: () => session.leave() });
  list.drafts = (id) => composer.draftOf(id);

  function render() {
    if (chat.ready && chat.openId && !chat.conversation && !chat.isLoading(chat.openId)) go(null);
    document.body.classList.toggle('in-room', chat.openId != null);
    list.render();
    room.render();
    panel.render();
    composer.render();
    document.title = titleOf(chat);
  }

  async function follow() {
    const id = location.hash.slice(1) || null;
    panel.close();
    try {
      await chat.open(id);
    } catch (error) {
      toast(explain(error));
      go(null);
    }
  }

  addEventListener('hashchange', follow);
  addEventListener('online', () => chat.retryNow());
  addEventListener('focus', changed);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    chat.retryNow();
    changed();
  });
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      list.search();
    }
  });
  $('new-group').addEventListener('click', async () => {
    const group = await newGroup(chat);
    if (group) act(chat.createGroup(group.title, group.members).then(go));
  });
  follow();
  chat.connect();
}

function titleOf(chat) {
  const unread = conversationList(chat.state)
    .filter((one) => !isMuted(one))
    .reduce((sum, one) => sum + unreadOf(one, chat.userId), 0);
  return unread ? `(${unread}) parlor` : 'parlor';
}

function explain(error) {
  switch (error.code) {
    case 'offline':
      return 'You are offline. Try again in a moment.';
    case 'not_found':
      return 'That is not here any more.';
    case 'forbidden':
      return 'You may not do that here.';
    case 'rate_limited':
      return 'Slow down a little, then try again.';
    default:
      return error.message;
  }
}

// ---- the connection, as the user sees it ----

let countdown = 0;
let slow = 0;
let renewal = 0;

function showStatus(chat, status, who) {
  clearInterval(countdown);
  clearTimeout(slow);
  switch (status.state) {
    case 'connected':
      banner(null);
      renew(chat, who, status.expiresAt);
      break;
    case 'connecting':
      // The first connection takes a blink; only a slow one is worth a word.
      slow = setTimeout(() => banner('Connecting…'), $('banner').hidden ? 800 : 0);
      break;
    case 'waiting': {
      const tick = () => {
        const seconds = Math.max(1, Math.ceil((status.at - Date.now()) / 1000));
        const what = navigator.onLine ? 'Connection lost.' : 'You are offline.';
        banner(`${what} Trying again in ${seconds} s.`, 'Now', () => chat.retryNow());
      };
      tick();
      countdown = setInterval(tick, 500);
      break;
    }
    case 'login':
      loginAgain(chat, who);
      break;
    case 'stopped':
      banner(status.message, 'Connect again', () => chat.connect());
      break;
  }
}

let lastLogin = 0;

/** The development login needs no password, so what ended is replaced without a question, once. */
async function loginAgain(chat, who) {
  const again = Date.now() - lastLogin < 10_000;
  lastLogin = Date.now();
  try {
    if (again) throw new Error('Please come in again.');
    Object.assign(who, await session.again(who));
    chat.connect();
  } catch (error) {
    chat.close();
    if (session.byToken) session.forget();
    showLogin(error.message);
  }
}

/** A token is replaced a minute before it ends, so that the connection need not break. */
function renew(chat, who, expiresAt) {
  clearTimeout(renewal);
  const left = Date.parse(expiresAt) - Date.now() - 60_000;
  // No end, or one that is further away than a timer can be set.
  if (!(left > 0 && left < 2 ** 31)) return;
  renewal = setTimeout(async () => {
    try {
      Object.assign(who, await session.again(who));
      renew(chat, who, await chat.renew(who.token));
    } catch {
      // The server closes with 4001 at the end of the token; that is handled there.
    }
  }, left);
}

function banner(text, action, onclick) {
  $('banner').hidden = text == null;
  if ($('banner-text').textContent !== text) $('banner-text').textContent = text ?? '';
  const button = $('banner-action');
  button.hidden = !action;
  button.textContent = action ?? '';
  button.onclick = onclick ?? null;
}

// ---- light and dark ----

const themes = { auto: 'Follow the system', light: 'Light', dark: 'Dark' };
const icons = { auto: 'auto', light: 'sun', dark: 'moon' };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = $('theme');
  const label = `Theme: ${themes[theme]}`;
  button.setAttribute('aria-label', label);
  button.title = label;
  button.querySelector('use').setAttribute('href', `#i-${icons[theme]}`);
}

setTheme(themes[localStorage.getItem('parlor.theme')] ? localStorage.getItem('parlor.theme') : 'auto');
$('theme').addEventListener('click', () => {
  const names = Object.keys(themes);
  const theme = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  localStorage.setItem('parlor.theme', theme);
  setTheme(theme);
});

start();
