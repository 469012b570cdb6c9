-- Appends messages in one round trip. The conversations are locked first, in the order of their ids so that nobody
-- waits in a circle; what is looked up then is looked up by a later statement, whose snapshot is younger than the
-- locks: a duplicate that was stored while we waited is seen.
--
--   patience     how many milliseconds each lock may take; 0: as long as the session lets it
--   skip_locked  conversations that somebody else has locked are left out (outcome 5) instead
--   rooms        the conversations, each once
--   in_room      the place of each message's conversation in rooms, from 1
--
-- Gives a row for each message, in any order, with one of these outcomes: 0 fresh, 1 the same was stored before,
-- 2 no such conversation or not a member, 3 the key was used for other content, 4 unknown reply, 5 left out.
-- In one call no key and no id may come twice: those of an earlier message are looked for in the table alone.
CREATE FUNCTION parlor.append(
    patience       integer,
    skip_locked    boolean,
    rooms          uuid[],
    in_room        integer[],
    in_id          uuid[],
    in_sender      text[],
    in_client_id   text[],
    in_hash        bytea[],
    in_kind        text[],
    in_body        text[],
    in_reply_to    uuid[],
    in_mentions    text[],
    in_attachments text[],
    in_metadata    text[],
    in_created_at  bigint[]
) RETURNS TABLE (message_id uuid, outcome smallint, message_number bigint, message_seq bigint, message_rev bigint)
LANGUAGE plpgsql
-- Every look-up is by an index, whatever the planner believed when the tables were still small.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
-- Planned once for a connection: to plan for a batch of one takes longer than to store it. So each statement is
-- written in such a way that one index alone serves it, also while the tables are empty and all seem equally cheap.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    room  record;
    held  bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(rooms)]);
    seqs  bigint[] := held;
    revs  bigint[] := held;
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF skip_locked THEN
        FOR room IN
            SELECT a.place, c.number, c.last_seq, c.rev
            FROM unnest(rooms) WITH ORDINALITY AS a (id, place) JOIN parlor.conversations c ON c.id = a.id
            ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED
        LOOP
            held[room.place] := room.number;
            seqs[room.place] := room.last_seq;
            revs[room.place] := room.rev;
        END LOOP;
    ELSE
        IF patience > 0 THEN
            PERFORM set_config('lock_timeout', patience::text, true);
        END IF;
        FOR room IN
            SELECT a.place, c.number, c.last_seq, c.rev
            FROM unnest(rooms) WITH ORDINALITY AS a (id, place) JOIN parlor.conversations c ON c.id = a.id
            ORDER BY c.id FOR NO KEY UPDATE OF c
        LOOP
            held[room.place] := room.number;
            seqs[room.place] := room.last_seq;
            revs[room.place] := room.rev;
        END LOOP;
    END IF;

    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT a.*, held[a.room] AS conversation, seqs[a.room] AS last_seq, revs[a.room] AS last_rev,
            k.number AS known,
            (CASE
                WHEN held[a.room] IS NULL THEN CASE WHEN skip_locked THEN 5 ELSE 2 END
                WHEN a.sender IS NOT NULL AND m.user_id IS NULL THEN 2
                WHEN k.number IS NOT NULL THEN CASE WHEN k.content_hash = a.hash THEN 1 ELSE 3 END
                WHEN a.reply_to IS NOT NULL AND (
                    SELECT t.conversation FROM parlor.messages t WHERE t.id = a.reply_to
                ) IS DISTINCT FROM held[a.room] THEN 4
                ELSE 0
            END)::smallint AS outcome
        FROM unnest(in_room, in_id, in_sender, in_client_id, in_hash, in_kind, in_body, in_reply_to, in_mentions,
                in_attachments, in_metadata, in_created_at)
            WITH ORDINALITY AS a (room, id, sender, client_id, hash, kind, body, reply_to, mentions,
                attachments, metadata, created_at, place)
        LEFT JOIN parlor.members m ON m.conversation = held[a.room] AND m.user_id = a.sender
        LEFT JOIN LATERAL (
            SELECT m.number, m.content_hash, m.conversation, m.client_id, coalesce(m.sender_id, '') AS sender
            FROM parlor.messages m
            WHERE m.client_id IS NOT NULL
                AND (m.conversation, m.client_id, coalesce(m.sender_id, ''))
                    >= (held[a.room], a.client_id, coalesce(a.sender, ''))
            ORDER BY m.conversation, m.client_id, coalesce(m.sender_id, '') LIMIT 1
        ) k ON k.conversation = held[a.room] AND k.client_id = a.client_id AND k.sender = coalesce(a.sender, '')
    ), placed AS MATERIALIZED (
        SELECT j.*, row_number() OVER (PARTITION BY j.conversation ORDER BY j.place) AS nth
        FROM judged j WHERE j.outcome = 0
    ), stored AS (
        INSERT INTO parlor.messages (conversation, seq, rev, changed_rev, created_at, id, reply_to, content_hash,
            kind, sender_id, client_id, mentions, attachments, metadata, body)
        SELECT p.conversation, p.last_seq + p.nth, p.last_rev + p.nth, p.last_rev + p.nth, p.created_at, p.id,
            p.reply_to, p.hash, p.kind, p.sender, p.client_id, p.mentions::json, p.attachments::json,
            p.metadata::json, p.body
        FROM placed p ORDER BY p.place
        RETURNING id, number, seq, rev
    ), grown AS (
        UPDATE parlor.conversations c
        SET last_seq = g.seq, rev = g.rev, last_activity_at = greatest(c.last_activity_at, g.at)
        FROM (
            SELECT p.conversation, max(p.last_seq + p.nth) AS seq, max(p.last_rev + p.nth) AS rev,
                max(p.created_at) AS at
            FROM placed p GROUP BY p.conversation) g
        WHERE c.number = g.conversation
    )
    SELECT s.id, 0::smallint, s.number, s.seq, s.rev FROM stored s
    UNION ALL
    SELECT j.id, j.outcome, j.known, NULL, NULL FROM judged j WHERE j.outcome <> 0;
END
$$;
