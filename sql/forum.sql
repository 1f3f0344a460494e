-- A forum: a private message belongs to whoever wrote it and to whoever got it.
-- The first of them to be erased takes only what is theirs alone, the last one
-- takes the message.
CREATE EXTENSION effaced;

CREATE TABLE member (id int PRIMARY KEY, handle text NOT NULL, email text, joined date NOT NULL);
CREATE TABLE thread (id int PRIMARY KEY, starter_id int NOT NULL REFERENCES member, title text NOT NULL, closed boolean NOT NULL DEFAULT false);
CREATE TABLE post (
	id        int PRIMARY KEY,
	thread_id int NOT NULL REFERENCES thread,
	author_id int NOT NULL REFERENCES member,
	reply_to  int REFERENCES post,
	body      text NOT NULL
);
CREATE TABLE message (
	id            int PRIMARY KEY,
	sender_id     int REFERENCES member,
	receiver_id   int REFERENCES member,
	sender_ip     inet,
	receiver_note text,
	body          text NOT NULL
);
CREATE TABLE attachment (id int PRIMARY KEY, message_id int REFERENCES message, file_name text NOT NULL);

SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.handle IS '{"category": "identity", "surrogate": "''gone'' || id"}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE thread IS '{"path": "starter", "set": {"closed": "true"}}';
SECURITY LABEL FOR effaced ON COLUMN thread.title IS '{"category": "communication", "surrogate": "''(removed)''"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "author"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_ip IS '{"category": "technical", "link": "sender"}';
SECURITY LABEL FOR effaced ON COLUMN message.receiver_note IS '{"category": "communication", "link": "receiver", "surrogate": "''-''"}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE attachment IS
	'{"links": [{"name": "sender", "path": "message.sender"}, {"name": "receiver", "path": "message.receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN attachment.file_name IS '{"category": "communication"}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE member, thread, post, message, attachment;
	INSERT INTO member SELECT i, n, n || '@example.com', date '2020-01-01' + i::int
	  FROM unnest('{ada,ben,cleo,dan}'::text[]) WITH ORDINALITY u (n, i);
	INSERT INTO thread VALUES (1, 1, 'Hello from Ada'), (2, 2, 'Ben asks');
	INSERT INTO post VALUES (11, 1, 1, NULL, 'first!'), (12, 1, 2, 11, 'welcome, Ada'), (13, 1, 1, 12, 'thanks, Ben'), (14, 1, 3, 13, 'me too'), (21, 2, 2, NULL, 'anybody?');
	INSERT INTO message VALUES
		(1, 1, 2, '192.0.2.1', 'call her', 'Ada to Ben'),
		(2, 2, 1, '192.0.2.2', 'nice', 'Ben to Ada'),
		(3, 1, 1, '192.0.2.1', 'mine', 'Ada to herself'),
		(4, 1, 3, '192.0.2.1', NULL, 'Ada to Cleo'),
		(5, 2, 3, '192.0.2.2', 'hm', 'Ben to Cleo'),
		(6, 1, NULL, '192.0.2.1', NULL, 'Ada to nobody'),
		(7, NULL, NULL, '192.0.2.9', 'found', 'nobody to nobody');
	INSERT INTO attachment VALUES (1, 1, 'ada-to-ben.jpg'), (2, 2, 'ben-to-ada.jpg'), (3, 3, 'ada-to-ada.jpg'), (5, 5, 'ben-to-cleo.jpg');
$$;
CREATE VIEW messages AS
	SELECT m.*, string_agg(a.file_name, ', ' ORDER BY a.id) AS attachments
	  FROM message m LEFT JOIN attachment a ON a.message_id = m.id GROUP BY m.id ORDER BY m.id;
-- What an erasure did, without the tables that it did not touch.
CREATE FUNCTION erased(id int, result jsonb) RETURNS TABLE (member int, deleted jsonb, anonymized jsonb, shared jsonb) LANGUAGE sql AS $$
	SELECT id, result -> 'deleted', result -> 'anonymized', result -> 'shared'
$$;
CALL fill();

-- What the plan says of each table, and which links a step serves.
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1');

-- Nobody is gone yet: all of it is still there, message 3 counts once.
SELECT effaced_verify('1') -> 'residual' AS residual;

-- Ada leaves. What she wrote to herself or to nobody goes. What Ben or Cleo own
-- too stays, without her address and her notes, and names her no more; their
-- notes stay. The reply to her post loses its reference, hers to Ben's goes.
SELECT * FROM erased(1, effaced_erase(1));
TABLE messages;
SELECT * FROM member ORDER BY id;
SELECT * FROM thread ORDER BY id;
SELECT * FROM post ORDER BY id;
-- Nothing of her is left, and a second run finds nothing to do.
SELECT effaced_verify(1) AS ada, effaced_verify(2) -> 'verified' AS ben;
CREATE TEMPORARY TABLE before AS SELECT m.xmin::text AS version, m::text AS row FROM message m UNION ALL SELECT m.xmin::text AS version, m::text AS row FROM member m;
SELECT * FROM erased(1, effaced_erase(1));
SELECT count(*) AS written FROM (SELECT m.xmin::text AS version, m::text AS row FROM message m UNION ALL SELECT m.xmin::text AS version, m::text AS row FROM member m EXCEPT TABLE before) w;

-- Then Ben: the messages between the two have no owner left and go.
SELECT * FROM erased(2, effaced_erase(2));
TABLE messages;
SELECT effaced_verify(1) -> 'verified' AS ada, effaced_verify(2) -> 'verified' AS ben;
SELECT * FROM post ORDER BY id;
-- And Cleo.
SELECT * FROM erased(3, effaced_erase(3));
TABLE messages;
SELECT event_type, payload FROM effaced_audit_events WHERE subject_ref = '2' AND event_type = 'erasure_step_succeeded' ORDER BY seq;

--
-- The order in which they leave does not change what the others keep: in each of
-- the six orders Dan, to whom all of them wrote, is left the same.
--
CREATE FUNCTION leave(VARIADIC ids int[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	i int;
BEGIN
	CALL fill();
	INSERT INTO message SELECT 40 + s, s, 4, '192.0.2.1', 'from ' || s, s || ' to Dan' FROM generate_series(1, 3) s;
	INSERT INTO message SELECT 50 + s, 4, s, '192.0.2.4', 'from Dan', 'Dan to ' || s FROM generate_series(1, 3) s;
	INSERT INTO attachment SELECT id, id, id || '.jpg' FROM message WHERE id > 40;
	INSERT INTO post VALUES (31, 2, 4, 11, 'Dan to Ada'), (32, 2, 4, 31, 'Dan to himself'), (33, 2, 4, 21, 'Dan to Ben');
	FOREACH i IN ARRAY ids LOOP
		PERFORM effaced_erase(i);
		IF NOT (effaced_verify(i) -> 'verified')::boolean THEN
			RAISE 'something of member % is left', i;
		END IF;
	END LOOP;
	RETURN (SELECT string_agg(row, E'\n' ORDER BY of, row) FROM (
		SELECT 1 AS of, m::text AS row FROM member m UNION ALL SELECT 2, m::text FROM messages m
		UNION ALL SELECT 3, p::text FROM post p UNION ALL SELECT 4, t::text FROM thread t) r);
END
$$;
\pset format unaligned
SELECT leave(1, 2, 3);
\pset format aligned
SELECT count(DISTINCT state) AS states FROM (VALUES
	(leave(1, 2, 3)), (leave(1, 3, 2)), (leave(2, 1, 3)), (leave(2, 3, 1)), (leave(3, 1, 2)), (leave(3, 2, 1))) v (state);
-- Nor does it when they leave at once.
CALL fill();
SELECT effaced_erase_many('{3,1,2,1}') -> 'shared' AS shared;
TABLE messages;
SELECT * FROM post;

--
-- An erased member whose anonymized row stays, and stays referenced, is no owner
-- any more, until the identifier is used anew.
--
BEGIN;
CALL fill();
DELETE FROM attachment;
DELETE FROM message WHERE sender_id IS NULL OR receiver_id IS NULL;
ALTER TABLE message ALTER sender_id SET NOT NULL, ALTER receiver_id SET NOT NULL;
-- No reference is let go now: the rows go on saying that they were Ada's.
SELECT step, strategy, link, columns FROM effaced_plan('1') WHERE relation = 'message'::regclass;
SELECT * FROM erased(1, effaced_erase(1));
TABLE message ORDER BY id;
SELECT effaced_verify(1);
SAVEPOINT erased_once;
-- Ben is the last one.
SELECT * FROM erased(2, effaced_erase(2));
SELECT * FROM message ORDER BY id;
ROLLBACK TO erased_once;
-- Somebody new gets the number 1, and with it the messages.
UPDATE member SET handle = 'anna' WHERE id = 1;
SELECT effaced_verify(1) -> 'residual' AS residual;
SELECT * FROM erased(2, effaced_erase(2));
SELECT * FROM message ORDER BY id;
-- Now they are hers alone.
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM message ORDER BY id;
ROLLBACK TO erased_once;
-- What does not tell her from the erased one does not make a member of her.
UPDATE member SET joined = '2024-01-01' WHERE id = 1;
SELECT * FROM erased(2, effaced_erase(2));
ROLLBACK;

-- The same where the member's row goes.
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON COLUMN thread.title IS NULL;
SECURITY LABEL FOR effaced ON TABLE thread IS NULL;
DELETE FROM post;
DELETE FROM thread;
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true}';
DELETE FROM attachment;
SECURITY LABEL FOR effaced ON TABLE attachment IS NULL;
SECURITY LABEL FOR effaced ON COLUMN attachment.file_name IS NULL;
ALTER TABLE message DROP CONSTRAINT message_sender_id_fkey;
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "hops": [{"source_columns": ["sender_id"], "target_table": "member", "target_columns": ["id"]}]}, {"name": "receiver", "path": "receiver"}], "owned": true}';
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1');
SELECT * FROM erased(1, effaced_erase(1));
TABLE messages;
SELECT effaced_verify(1);
-- Ada is gone; a reference to her that something restores is nobody's.
UPDATE message SET sender_id = 1 WHERE id = 1;
SAVEPOINT gone;
SELECT * FROM erased(2, effaced_erase(2));
TABLE messages;
ROLLBACK TO gone;
INSERT INTO member VALUES (1, 'anna', NULL, '2024-01-01');
SELECT * FROM erased(2, effaced_erase(2));
TABLE messages;
ROLLBACK;

-- An erasure of some tables is none: Dan goes on being an owner.
BEGIN;
CALL fill();
INSERT INTO message VALUES (8, 4, 2, '192.0.2.4', 'later', 'Dan to Ben');
SELECT effaced_erase(4, tables => '{member}') -> 'anonymized' AS anonymized;
SELECT effaced_erase(2) -> 'shared' AS shared;
SELECT * FROM message WHERE id = 8;
ROLLBACK;

-- A reference that must not be NULL, to a row that goes: the first to leave is
-- stopped, with the number of messages that they share with others.
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON TABLE thread IS NULL;
SECURITY LABEL FOR effaced ON COLUMN thread.title IS NULL;
DELETE FROM post;
DELETE FROM thread;
DELETE FROM attachment;
DELETE FROM message WHERE sender_id IS NULL OR receiver_id IS NULL;
ALTER TABLE message ALTER sender_id SET NOT NULL, ALTER receiver_id SET NOT NULL;
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true}';
SAVEPOINT s;
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT count(*) FROM message;
-- Those who leave together share with nobody else.
DELETE FROM message WHERE receiver_id = 3;
SELECT effaced_erase_many('{1,2}') - 'enqueued' - 'skipped_resolvers' AS result;
TABLE message;
ROLLBACK;

--
-- "shared": "erase": whose link says so takes the message at once.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "path": "sender", "shared": "erase"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON TABLE attachment IS
	'{"links": [{"name": "sender", "path": "message.sender", "shared": "erase"}, {"name": "receiver", "path": "message.receiver"}]}';
-- Ada's messages to anybody go; those to her are still Ben's.
SELECT * FROM erased(1, effaced_erase(1));
TABLE messages;
ROLLBACK;

-- Where the row survives, everything in it is replaced at once.
BEGIN;
CALL fill();
ALTER TABLE message ADD sent date DEFAULT '2024-01-01';
DELETE FROM attachment;
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "path": "sender", "shared": "erase"}, {"name": "receiver", "path": "receiver"}], "set": {"sent": "NULL"}}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication", "surrogate": "''(removed)''"}';
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM message ORDER BY id;
SELECT effaced_verify(1);
SELECT * FROM erased(2, effaced_erase(2));
SELECT * FROM message ORDER BY id;
ROLLBACK;

--
-- An owner counts only where its link's "where" holds: who has deleted a message
-- from their mailbox has no part in it any more.
--
BEGIN;
CALL fill();
ALTER TABLE message ADD kept_by_sender boolean DEFAULT true, ADD kept_by_receiver boolean DEFAULT true;
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "path": "sender", "where": "kept_by_sender"}, {"name": "receiver", "path": "receiver", "where": "kept_by_receiver"}], "owned": true}';
UPDATE message SET kept_by_receiver = false WHERE id = 1;
UPDATE message SET kept_by_receiver = NULL WHERE id = 4;
UPDATE message SET kept_by_sender = false WHERE id IN (2, 3);
SELECT * FROM erased(1, effaced_erase(1));
TABLE messages;
SELECT effaced_verify(1);
ROLLBACK;

-- A reference of the sender's that is not theirs by "where" is detached all the
-- same where the member's row goes.
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON TABLE thread IS NULL;
SECURITY LABEL FOR effaced ON COLUMN thread.title IS NULL;
DELETE FROM post;
DELETE FROM thread;
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true}';
ALTER TABLE message ADD copy_id int REFERENCES member, ADD copy_kept boolean;
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}, {"name": "copy", "path": "copy", "where": "copy_kept"}], "owned": true}';
UPDATE message SET copy_id = 1 WHERE id IN (1, 5);
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM message ORDER BY id;
ROLLBACK;
