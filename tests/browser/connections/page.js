// What a page has around the client of the document, which is loaded when it connects and finds `socket`,
// `conversation`, `lastMessage` and `show` here.

/* global io */
const $ = (id) => document.getElementById(id);
const status = document.querySelector('[role=status]');
const messages = new Map();
let socket;
let conversation;
let lastMessage;

/** What the document's handlers are filled in with. */
function show(event, data) {
  const line = document.createElement('li');
  line.textContent = `${event} ${JSON.stringify(data)}`;
  $('log').append(line);
  if (event === 'message') add(data);
  if (event === 'typing') $('typing').textContent = data.isTyping ? `${data.userId} is typing` : '';
}

function add(message) {
  if (messages.has(message.id)) return;
  messages.set(message.id, message);
  lastMessage = message.id;
  const line = document.createElement('li');
  line.textContent = `${message.senderId}: ${message.content}`;
  $('messages').append(line);
}

$('connection').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { url, token, conversation: id } = Object.fromEntries(new FormData(event.target));
  const ask = async (where) => (await fetch(url + where, { headers: { authorization: `Bearer ${token}` } })).json();
  conversation = id;
  socket = io(url, { auth: { token } });
  socket.on('connect_error', (error) => { status.textContent = `refused: ${error.message}`; });
  socket.on('disconnect', () => { status.textContent = 'not connected'; });
  socket.on('error', (data) => show('error', data));
  const load = async () => {
    for (const message of await ask(`/chat/conversations/${id}/messages`)) add(message);
  };
  socket.on('connect', async () => {
    status.textContent = 'loading';
    await load();
    $('unread').textContent = `${(await ask('/chat/unread-count')).count} unread`;
    if (!$('client')) {
      await client();
      // It listens only now: what came since the messages were loaded nobody has heard.
      await load();
    }
    status.textContent = 'connected';
  });
});

/** The client of the document, once it runs. */
function client() {
  const script = document.createElement('script');
  script.id = 'client';
  script.src = '/client.js';
  document.body.append(script);
  return new Promise((resolve) => { script.onload = resolve; });
}

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const { content } = event.target.elements;
  socket.emit('sendMessage', { conversationId: conversation, content: content.value });
  content.value = '';
});
$('composer').elements.content.addEventListener('input', () => {
  socket.emit('typing', { conversationId: conversation, isTyping: true });
});
$('read').addEventListener('click', () => socket.emit('markAsRead', { messageId: lastMessage }));
