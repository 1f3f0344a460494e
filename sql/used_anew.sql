-- Who still counts as an owner of a shared row: everybody whose erasure is not
-- recorded, and whoever uses an identifier anew after it was erased. The last
-- owner takes the row with them.
CREATE EXTENSION effaced;
CREATE EXTENSION citext;

CREATE FUNCTION erased(result jsonb) RETURNS TABLE (found boolean, deleted jsonb, anonymized jsonb, shared jsonb) LANGUAGE sql AS $$
	SELECT (result -> 'subject_found')::boolean, result -> 'deleted', result -> 'anonymized', result -> 'shared'
$$;

BEGIN;
CREATE TABLE person (id int PRIMARY KEY, nick text, email text);
CREATE TABLE message (id int PRIMARY KEY, sender int REFERENCES person, receiver int REFERENCES person, body text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"owned": true, "links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';
INSERT INTO person VALUES (1, 'ada', 'ada@example.com'), (2, 'ben', 'ben@example.com');
INSERT INTO message VALUES (1, 1, 2, 'from Ada to Ben');
SAVEPOINT s;

-- The row is kept for the living owner, without the erased one's reference, and
-- goes with the last.
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM message;
SELECT * FROM erased(effaced_erase(2));
SELECT * FROM message;
ROLLBACK TO s;

-- An erasure of somebody who was not there yet erased nothing: who comes later by
-- that identifier is alive, even with nothing in the labelled columns.
SELECT * FROM erased(effaced_erase(7));
INSERT INTO person VALUES (7, 'gus', NULL);
INSERT INTO message VALUES (2, 7, 2, 'from Gus to Ben');
SELECT * FROM erased(effaced_erase(2));
SELECT * FROM message ORDER BY id;
-- Erased now that they are there, they count no more.
INSERT INTO person VALUES (8, 'hal', 'hal@example.com');
INSERT INTO message VALUES (3, 7, 8, 'from Gus to Hal');
SELECT * FROM erased(effaced_erase(7));
SELECT * FROM erased(effaced_erase(8));
SELECT * FROM message ORDER BY id;
ROLLBACK TO s;

-- A value in place of what the erasure wrote: the account is in use again.
SELECT * FROM erased(effaced_erase(1));
UPDATE person SET nick = 'another ada', email = 'ada@elsewhere.example' WHERE id = 1;
INSERT INTO message VALUES (2, 1, 2, 'from another Ada to Ben');
SELECT * FROM erased(effaced_erase(2));
SELECT * FROM message ORDER BY id;
ROLLBACK;

--
-- Identifiers are compared as their type compares them: to citext 'ANN' and 'Ann'
-- are one person, however she is written.
--
BEGIN;
CREATE TABLE person (name citext PRIMARY KEY, email text);
CREATE TABLE message (id int PRIMARY KEY, sender citext NOT NULL, receiver citext NOT NULL, body text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"owned": true, "links": [
	{"name": "sender", "hops": [{"source_columns": ["sender"], "target_table": "person", "target_columns": ["name"]}]},
	{"name": "receiver", "hops": [{"source_columns": ["receiver"], "target_table": "person", "target_columns": ["name"]}]}]}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';
INSERT INTO person VALUES ('Ann', 'ann@example.com'), ('Bob', 'bob@example.com');
INSERT INTO message VALUES (1, 'Ann', 'Bob', 'secret'), (2, 'ann', 'bob', 'another');
SAVEPOINT s;
SELECT * FROM erased(effaced_erase('ANN'));
SELECT * FROM erased(effaced_erase('bOB'));
SELECT * FROM message;
SELECT effaced_verify('ann') -> 'verified' AS ann, effaced_verify('BOB') -> 'verified' AS bob;
ROLLBACK TO s;
SELECT effaced_erase_many('{ann,ANN,Ann,bob}') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT count(DISTINCT subject_ref) AS subjects FROM effaced_audit_events WHERE event_type = 'erasure_completed';
ROLLBACK;
