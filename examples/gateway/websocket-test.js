// Connects, joins, sends and types as the documented front end does, and shows every event.

const at = (id) => document.getElementById(id);
const TYPING_AGAIN = 3000;
const ENTRIES = 500;

let socket = null;
let token = '';
let typingSince = 0;
const typists = new Map();

at('server').value = location.origin;

/** Ids of users and conversations are numbers where they look like numbers. */
const id = (text) => (/^(0|[1-9]\d{0,15})$/.test(text.trim()) ? Number(text) : text.trim());
const user = () => id(at('user').value);
const conversation = () => id(at('conversation').value);

function show(text, kind = '') {
  const entry = document.createElement('li');
  const time = document.createElement('time');
  const said = document.createElement('span');
  time.textContent = new Date().toLocaleTimeString();
  said.textContent = text;
  entry.className = kind;
  entry.append(time, said);
  at('log').append(entry);
  while (at('log').children.length > ENTRIES) at('log').firstChild.remove();
  entry.scrollIntoView({ block: 'nearest' });
}

function state(text, connected) {
  at('status').textContent = text;
  for (const button of document.querySelectorAll('#create button, #join button, #send button, #disconnect')) {
    button.disabled = !connected;
  }
}

function showTyping() {
  const names = [...typists.values()].flatMap((users) => [...users]);
  at('typing').textContent = names.length ? `${names.join(', ')} typing…` : '';
}

/** A token of the development login; none where the server has no such login. */
async function developmentToken(server) {
  try {
    const answer = await fetch(`${server}/dev/login?sub=${encodeURIComponent(user())}`, { method: 'POST' });
    return answer.ok ? (await answer.json()).token : '';
  } catch {
    return '';
  }
}

function close() {
  socket?.disconnect();
  socket = null;
  typists.clear();
  showTyping();
  state('not connected', false);
}

at('connect').addEventListener('submit', async (event) => {
  event.preventDefault();
  close();
  const server = at('server').value.replace(/\/+$/, '');
  state('connecting', false);
  token = at('token').value.trim() || await developmentToken(server);
  socket = io(`${server}/chat`, token ? { auth: { token } } : { query: { userId: user() } });
  socket.on('connect', () => {
    state(`connected as ${user()}`, true);
    show(`connected, socket ${socket.id}`);
  });
  socket.on('disconnect', (reason) => {
    state('not connected', false);
    show(`disconnected: ${reason}`, 'problem');
  });
  socket.on('connect_error', (error) => {
    state('not connected', false);
    show(`connection refused: ${error.message}`, 'problem');
  });
  socket.on('receive-message', (message) => show(`${message.sender_id}: ${message.content}`, 'message'));
  socket.on('user-typing', ({ conversationId, userId, isTyping }) => {
    const users = typists.get(conversationId) ?? new Set();
    if (isTyping) users.add(userId); else users.delete(userId);
    typists.set(conversationId, users);
    showTyping();
  });
  for (const name of ['message-error', 'error']) {
    socket.on(name, (data) => show(`${name} ${JSON.stringify(data)}`, 'problem'));
  }
  for (const name of ['joined-conversation', 'message-sent', 'message-updated', 'message-deleted',
    'conversation-created', 'user:online', 'user:offline']) {
    socket.on(name, (data) => show(`${name} ${JSON.stringify(data)}`));
  }
});

at('disconnect').addEventListener('click', close);

at('create').addEventListener('submit', async (event) => {
  event.preventDefault();
  const server = at('server').value.replace(/\/+$/, '');
  const participantIds = at('participants').value.split(',').map(id).filter((it) => it !== '');
  const where = token ? '/conversations' : `/conversations?userId=${encodeURIComponent(user())}`;
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(server + where, { method: 'POST', headers, body: JSON.stringify({ participantIds }) });
  const body = await answer.json();
  if (!answer.ok) return show(`not created: ${body.message}`, 'problem');
  at('conversation').value = body.id;
  return show(`conversation ${body.id}`);
});

at('join').addEventListener('submit', (event) => {
  event.preventDefault();
  socket.emit('join-conversation', { conversationId: conversation(), userId: user() });
});

at('leave').addEventListener('click', () => {
  socket.emit('leave-conversation', { conversationId: conversation() });
});

at('send').addEventListener('submit', (event) => {
  event.preventDefault();
  socket.emit('send-message', {
    sender_id: user(), conversation_id: conversation(), message_type: 'text', content: at('content').value,
  });
  at('content').value = '';
  typingSince = 0;
});

at('content').addEventListener('input', () => {
  const isTyping = at('content').value !== '';
  if (!socket || (isTyping && Date.now() - typingSince < TYPING_AGAIN)) return;
  typingSince = isTyping ? Date.now() : 0;
  socket.emit('typing', { conversationId: conversation(), userId: user(), isTyping });
});
