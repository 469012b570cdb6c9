-- Ids are 16-byte blobs, times milliseconds since 1970, lists and free attributes JSON text (NULL when
-- empty). Rows refer to each other by their numbers, which keeps the indexes small.

CREATE TABLE parlor_state (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    -- Another value after a backup was restored.
    epoch BLOB NOT NULL
) STRICT;

INSERT INTO parlor_state (one, epoch) VALUES (1, randomblob(16));

CREATE TABLE conversations (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               BLOB NOT NULL UNIQUE,
    kind             INTEGER NOT NULL,
    direct_key       TEXT UNIQUE,
    direct           TEXT,
    title            TEXT,
    picture          TEXT,
    metadata         TEXT,
    created_by       TEXT,
    created_at       INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    member_count     INTEGER NOT NULL,
    last_seq         INTEGER NOT NULL,
    rev              INTEGER NOT NULL,
    changed_rev      INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    conversation     INTEGER NOT NULL REFERENCES conversations (number),
    user_id          TEXT NOT NULL,
    role             INTEGER NOT NULL,
    joined_at        INTEGER NOT NULL,
    member_rev       INTEGER NOT NULL,
    delivered_seq    INTEGER NOT NULL,
    read_seq         INTEGER NOT NULL,
    unread_from      INTEGER,
    cleared_seq      INTEGER NOT NULL,
    hidden_seq       INTEGER,
    archived         INTEGER NOT NULL,
    muted_until      INTEGER,
    private_receipts INTEGER NOT NULL,
    PRIMARY KEY (conversation, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user_id, conversation);

-- The long columns come last, so that the others are read without them.
CREATE TABLE messages (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversations (number),
    seq          INTEGER NOT NULL,
    rev          INTEGER NOT NULL,
    changed_rev  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    edited_at    INTEGER,
    deleted_at   INTEGER,
    pinned_at    INTEGER,
    kind         TEXT NOT NULL,
    sender_id    TEXT,
    reply_to     BLOB,
    client_id    TEXT,
    content_hash BLOB,
    mentions     TEXT,
    attachments  TEXT,
    metadata     TEXT,
    body         TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX messages_by_seq ON messages (conversation, seq);

-- A user id is never empty: the empty text stands for the host.
CREATE UNIQUE INDEX messages_by_key ON messages (conversation, client_id, coalesce(sender_id, ''))
    WHERE client_id IS NOT NULL;

CREATE INDEX messages_revised ON messages (conversation, changed_rev) WHERE changed_rev > rev;

CREATE INDEX messages_pinned ON messages (conversation, pinned_at) WHERE pinned_at IS NOT NULL;

-- Counts unread messages without reading the messages themselves.
CREATE INDEX messages_counting ON messages (conversation, seq, sender_id, kind, deleted_at)
    WHERE deleted_at IS NULL AND kind <> 'system';

-- Keys and users come in the order of the positions.
CREATE TABLE reactions (
    message  INTEGER NOT NULL REFERENCES messages (number),
    key      TEXT NOT NULL,
    user_id  TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (message, key, user_id)
) STRICT, WITHOUT ROWID;

-- Messages that members deleted for themselves.
CREATE TABLE deletions (
    conversation INTEGER NOT NULL,
    user_id      TEXT NOT NULL,
    message      INTEGER NOT NULL REFERENCES messages (number),
    member_rev   INTEGER NOT NULL,
    PRIMARY KEY (conversation, user_id, message),
    FOREIGN KEY (conversation, user_id) REFERENCES members (conversation, user_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX deletions_by_rev ON deletions (conversation, user_id, member_rev);
