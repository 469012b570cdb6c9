-- Times are milliseconds since 1970, lists and free attributes JSON as it came in (NULL when empty), texts
-- compared byte by byte. Rows refer to each other by their numbers, which keeps the indexes small. Messages and
-- reactions have no foreign keys: nothing is ever deleted from under them, and a key would be checked with each row.

CREATE TABLE parlor.state (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Another value after a backup was restored.
    epoch uuid NOT NULL DEFAULT gen_random_uuid()
);

INSERT INTO parlor.state DEFAULT VALUES;

-- Each message moves its conversation's heads: half of each page stays free, and no index has these columns, so
-- that the new version of a row lies beside the old one.
CREATE TABLE parlor.conversations (
    number           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    last_seq         bigint NOT NULL,
    rev              bigint NOT NULL,
    changed_rev      bigint NOT NULL,
    created_at       bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    id               uuid NOT NULL UNIQUE,
    member_count     bigint NOT NULL,
    kind             smallint NOT NULL,
    direct_key       text COLLATE "C" UNIQUE,
    direct           json,
    created_by       text COLLATE "C",
    title            text,
    picture          text,
    metadata         json
) WITH (fillfactor = 50);

CREATE TABLE parlor.members (
    conversation     bigint NOT NULL REFERENCES parlor.conversations (number),
    joined_at        bigint NOT NULL,
    member_rev       bigint NOT NULL,
    delivered_seq    bigint NOT NULL,
    read_seq         bigint NOT NULL,
    cleared_seq      bigint NOT NULL,
    unread_from      bigint,
    hidden_seq       bigint,
    muted_until      bigint,
    role             smallint NOT NULL,
    archived         boolean NOT NULL,
    private_receipts boolean NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation, user_id)
) WITH (fillfactor = 80);

CREATE INDEX members_by_user ON parlor.members (user_id, conversation);

-- Who became a member lately: what a node looks for that may have missed it.
CREATE INDEX members_by_arrival ON parlor.members (joined_at, conversation, user_id);

CREATE TABLE parlor.messages (
    conversation bigint NOT NULL,
    seq          bigint NOT NULL,
    number       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    rev          bigint NOT NULL,
    changed_rev  bigint NOT NULL,
    created_at   bigint NOT NULL,
    edited_at    bigint,
    deleted_at   bigint,
    pinned_at    bigint,
    id           uuid NOT NULL UNIQUE,
    reply_to     uuid,
    content_hash bytea,
    kind         text COLLATE "C" NOT NULL,
    sender_id    text COLLATE "C",
    client_id    text COLLATE "C",
    mentions     json,
    attachments  json,
    metadata     json,
    body         text NOT NULL,
    PRIMARY KEY (conversation, seq)
);

-- A user id is never empty: the empty text stands for the host.
CREATE UNIQUE INDEX messages_by_key ON parlor.messages (conversation, client_id, coalesce(sender_id, ''))
    WHERE client_id IS NOT NULL;

CREATE INDEX messages_revised ON parlor.messages (conversation, changed_rev) WHERE changed_rev > rev;

CREATE INDEX messages_pinned ON parlor.messages (conversation, pinned_at) WHERE pinned_at IS NOT NULL;

-- Keys and users come in the order of the positions.
CREATE TABLE parlor.reactions (
    message  bigint NOT NULL,
    position bigint NOT NULL,
    key      text COLLATE "C" NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    PRIMARY KEY (message, key, user_id)
);

-- Messages that members deleted for themselves.
CREATE TABLE parlor.deletions (
    conversation bigint NOT NULL,
    message      bigint NOT NULL,
    member_rev   bigint NOT NULL,
    user_id      text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation, user_id, message),
    FOREIGN KEY (conversation, user_id) REFERENCES parlor.members (conversation, user_id) ON DELETE CASCADE
);

CREATE INDEX deletions_by_rev ON parlor.deletions (conversation, user_id, member_rev);
