-- Subjects whose rows are entangled, erased together or one after another: the
-- order makes no difference, and a row is counted once.
CREATE EXTENSION effaced;

CREATE FUNCTION totals(result jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT result - 'enqueued' - 'skipped_resolvers' - 'subject' - 'subject_id' - 'subject_found'
$$;

--
-- A row of two subjects of one call is one row in the counts.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, email text);
CREATE TABLE message (id int PRIMARY KEY, sender int REFERENCES person, receiver int REFERENCES person, copy_to int REFERENCES person, body text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}, {"name": "copy", "path": "copy_to"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication", "erasure": "retain", "retention": {"reason": "law"}}';
INSERT INTO person VALUES (1, 'ada@example.com'), (2, 'ben@example.com'), (3, 'cleo@example.com');
INSERT INTO message VALUES (1, 1, 2, NULL, 'from Ada to Ben'), (2, 1, 2, 3, 'and a copy to Cleo');
SELECT totals(effaced_erase_many('{1,2}'));
SELECT * FROM message ORDER BY id;
ROLLBACK;

--
-- Posts of two subjects that reference each other, and must reference something:
-- neither can go first, both can go together.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, email text);
CREATE TABLE post (id int PRIMARY KEY, author int NOT NULL REFERENCES person, root int NOT NULL CONSTRAINT thread REFERENCES post, text text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "author", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN post.text IS '{"category": "communication"}';
INSERT INTO person VALUES (1, 'ada@example.com'), (2, 'ben@example.com'), (3, 'cleo@example.com');
INSERT INTO post VALUES (10, 1, 10, 'Ada asks'), (11, 2, 10, 'Ben answers'), (30, 3, 30, 'Cleo is elsewhere');
SAVEPOINT s;
-- Ada's post holds Ben's, so alone she stays ...
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- ... unless he left before her, or with her,
SELECT totals(effaced_erase(2)) AS ben, totals(effaced_erase(1)) AS ada;
ROLLBACK TO s;
SELECT totals(effaced_erase_many('{1,2}'));
SELECT * FROM post;
ROLLBACK TO s;
-- even where each holds the other.
UPDATE post SET root = 11 WHERE id = 10;
SELECT totals(effaced_erase_many('{1,2}'));
SELECT * FROM post;
SELECT effaced_verify(1) -> 'verified' AS ada, effaced_verify(2) -> 'verified' AS ben;
ROLLBACK TO s;
-- Somebody else's post still stands in the way of all.
UPDATE post SET root = 10 WHERE id = 30;
SELECT totals(effaced_erase_many('{1,2}'));
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- A value tied to somebody stands on another one's row: it goes with whom it is
-- about, also where the row's own subject was erased before.
--
BEGIN;
CREATE TABLE employee (id int PRIMARY KEY, name text, manager_id int REFERENCES employee, manager_phone text);
SECURITY LABEL FOR effaced ON TABLE employee IS '{"path": "", "links": [{"name": "manager", "path": "manager_id"}]}';
SECURITY LABEL FOR effaced ON COLUMN employee.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''somebody''"}';
SECURITY LABEL FOR effaced ON COLUMN employee.manager_phone IS '{"category": "contact", "erasure": "anonymize", "link": "manager", "surrogate": "''...''"}';
INSERT INTO employee VALUES (1, 'Ada', NULL, NULL), (2, 'Ben', 1, 'phone of Ada');
SAVEPOINT s;
SELECT totals(effaced_erase(2));
SELECT * FROM employee ORDER BY id;
SELECT totals(effaced_erase(1));
SELECT * FROM employee ORDER BY id;
SELECT effaced_verify(1) -> 'verified' AS ada, effaced_verify(2) -> 'verified' AS ben;
ROLLBACK TO s;
-- The other order, and both at once.
SELECT totals(effaced_erase(1));
SELECT totals(effaced_erase(2));
SELECT * FROM employee ORDER BY id;
ROLLBACK TO s;
SELECT totals(effaced_erase_many('{1,2}'));
SELECT * FROM employee ORDER BY id;
ROLLBACK;

--
-- An identifier has at most as many columns as a key may have.
--
BEGIN;
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE TABLE wide (%s, name text)', string_agg(format('c%s int DEFAULT %1$s', i), ', ')) FROM generate_series(1, 40) i);
END $$;
CREATE PROCEDURE label(columns int) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SECURITY LABEL FOR effaced ON TABLE wide IS %L',
		jsonb_build_object('path', '', 'owned', true, 'subject_id_columns', (SELECT jsonb_agg('c' || i) FROM generate_series(1, columns) i)));
END $$;
SECURITY LABEL FOR effaced ON COLUMN wide.name IS '{"category": "identity"}';
\set SHOW_CONTEXT never
SAVEPOINT s;
CALL label(33);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
CALL label(32);
INSERT INTO wide (name) VALUES ('Ada');
SELECT totals(effaced_erase((SELECT array_agg(i::text) FROM generate_series(1, 32) i)));
ROLLBACK;
