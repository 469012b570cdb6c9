'use strict';

// Every statement is named, so it is prepared once a connection, and connections are pipelined: the next one goes
// out before the last one was answered. The messages of one conversation take one connection, which answers in the
// order in which it was asked: that keeps them in the order in which they were sent, without a queue of our own.

const { Client } = require('pg');

const INSERT = `
  INSERT INTO messages (conversation_id, sender_id, content) VALUES ($1, $2, $3)
  RETURNING id, created_at`;

const MEMBERSHIPS = `
  SELECT m.conversation_id, c.is_group
  FROM members m JOIN conversations c ON c.id = m.conversation_id WHERE m.user_id = $1`;

const HISTORY = `
  SELECT id, conversation_id AS "conversationId", sender_id AS "senderId", content, created_at AS "createdAt"
  FROM messages WHERE conversation_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3`;

// The newest first; unread messages are counted for those alone that are shown.
const CONVERSATIONS = `
  SELECT newest.*, unread.count AS "unreadCount"
  FROM (
    SELECT m.conversation_id AS "conversationId", m.user_id, m.last_read_id, last.*
    FROM members m CROSS JOIN LATERAL (
      SELECT id, sender_id AS "senderId", content, created_at AS "createdAt"
      FROM messages WHERE conversation_id = m.conversation_id ORDER BY id DESC LIMIT 1
    ) last
    WHERE m.user_id = $1 ORDER BY last.id DESC LIMIT $2
  ) newest CROSS JOIN LATERAL (
    SELECT count(*) FROM (
      SELECT FROM messages WHERE conversation_id = newest."conversationId"
        AND id > newest.last_read_id AND sender_id <> newest.user_id LIMIT 100
    ) capped
  ) unread
  ORDER BY newest.id DESC`;

const LAST = '9223372036854775807';

/** Opens so many connections. */
async function connect(connectionString, connections) {
  const clients = Array.from({ length: connections }, () => new Client({ connectionString, pipeline: true }));
  await Promise.all(clients.map((client) => client.connect()));
  return new Database(clients);
}

class Database {
  #clients;
  #turn = 0;

  constructor(clients) {
    this.#clients = clients;
  }

  async insert(conversationId, userId, content) {
    const client = this.#clients[Number(conversationId) % this.#clients.length];
    const values = [conversationId, userId, content];
    const { rows } = await client.query({ name: 'insert', text: INSERT, values });
    return rows[0];
  }

  memberships(userId) {
    return this.#read('memberships', MEMBERSHIPS, [userId]);
  }

  async history(conversationId, before, limit) {
    const rows = await this.#read('history', HISTORY, [conversationId, before ?? LAST, limit]);
    return rows.reverse();
  }

  conversations(userId, limit) {
    return this.#read('conversations', CONVERSATIONS, [userId, limit]);
  }

  async #read(name, text, values) {
    this.#turn = (this.#turn + 1) % this.#clients.length;
    const { rows } = await this.#clients[this.#turn].query({ name, text, values });
    return rows;
  }
}

module.exports = { connect };
