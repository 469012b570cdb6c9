'use strict';

// A chat server written by hand to be fast: Socket.IO over WebSocket alone, pg, one prepared statement a
// message. It is told where the database is and which secret signs tokens, says where it listens, and
// ends with its standard input.

const { createSecretKey } = require('node:crypto');
const { createServer } = require('node:http');
const { verify } = require('jsonwebtoken');
const { Server } = require('socket.io');
const { connect } = require('./database');

const SECRET = createSecretKey(process.env.JWT_SECRET, 'utf8');
const MAX_CONTENT = 32768;
const MAX_PAGE = 100;

async function main() {
  const database = await connect(process.env.DATABASE_URL, Number(process.env.DATABASE_CONNECTIONS));
  const http = createServer();
  const io = new Server(http, {
    transports: ['websocket'],
    perMessageDeflate: false,
    httpCompression: false,
    serveClient: false,
    maxHttpBufferSize: 262144,
  });
  // The handshake's request is not needed any more, and it is large.
  io.engine.on('connection', (raw) => {
    raw.request = null;
  });
  io.use((socket, next) => {
    try {
      const claims = verify(socket.handshake.auth.token, SECRET, { algorithms: ['HS256'] });
      socket.data.userId = claims.sub;
      next();
    } catch {
      next(new Error('unauthorized'));
    }
  });
  const online = new Map();
  io.on('connection', (socket) => serve(io, database, online, socket));
  http.listen(0, '127.0.0.1', 4096, () => console.log(`127.0.0.1:${http.address().port}`));
  process.stdin.on('end', () => process.exit(0)).resume();
}

/** Serves one connection. Handlers stand before anything is awaited, so that no early event is lost. */
function serve(io, database, online, socket) {
  const { userId } = socket.data;
  let directs = [];

  socket.on('sendMessage', async ({ conversationId, content } = {}, ack) => {
    const room = `c:${conversationId}`;
    if (typeof content !== 'string' || content.length === 0 || content.length > MAX_CONTENT) {
      return ack({ error: 'content must be a text' });
    }
    // Who stands in the room is a member: rooms were read from the database at connect.
    if (!socket.rooms.has(room)) return ack({ error: 'not found' });
    try {
      const { id, created_at: createdAt } = await database.insert(conversationId, userId, content);
      ack({ id, createdAt });
      io.to(room).emit('message', { id, conversationId, senderId: userId, content, createdAt });
    } catch {
      ack({ error: 'unavailable' });
    }
  });

  socket.on('getMessages', ({ conversationId, before, limit } = {}, ack) => {
    if (!socket.rooms.has(`c:${conversationId}`)) return ack({ error: 'not found' });
    answer(ack, database.history(conversationId, before, Math.min(limit ?? 50, MAX_PAGE)));
  });

  socket.on('getConversations', ({ limit } = {}, ack) => {
    answer(ack, database.conversations(userId, Math.min(limit ?? 50, MAX_PAGE)));
  });

  socket.on('disconnect', () => {
    const left = (online.get(userId) ?? 1) - 1;
    if (left > 0) return online.set(userId, left);
    online.delete(userId);
    if (directs.length > 0) io.to(directs).emit('userOffline', { userId });
  });

  online.set(userId, (online.get(userId) ?? 0) + 1);
  database.memberships(userId).then(
    (rows) => {
      socket.join(rooms(rows));
      directs = rooms(rows.filter((row) => !row.is_group));
      if (online.get(userId) === 1 && directs.length > 0) {
        socket.to(directs).emit('userOnline', { userId });
      }
      socket.emit('connected', { userId, socketId: socket.id });
    },
    () => socket.disconnect(true),
  );
}

function rooms(rows) {
  return rows.map((row) => `c:${row.conversation_id}`);
}

function answer(ack, rows) {
  rows.then(ack, () => ack({ error: 'unavailable' }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
