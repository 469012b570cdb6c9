-- Who became a member lately: what a node looks for that may have missed it.
CREATE INDEX members_by_arrival ON members (joined_at, conversation, user_id);
