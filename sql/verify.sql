-- effaced_verify() counts what is left of a subject: rows that an erasure would
-- still delete or change, rows that survive by plan, and rows that a "where"
-- leaves out. It changes nothing and records its verdict.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text, joined date);
CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, body text);
CREATE TABLE purchase (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, note varchar(9), total numeric);
CREATE TABLE invoice (id int PRIMARY KEY, purchase_id int NOT NULL REFERENCES purchase, billed_to text, day date);
CREATE TABLE remark (id int PRIMARY KEY, kind text, about int, text text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE purchase IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN purchase.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "purchase.person"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.billed_to IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON TABLE remark IS
	'{"hops": [{"source_columns": ["about"], "target_table": "person", "target_columns": ["id"]}], "where": "kind = ''person''", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN remark.text IS '{"category": "special"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO post SELECT i, 1 + i % 2, 'post ' || i FROM generate_series(1, 6) i;
INSERT INTO purchase SELECT i, 1 + i % 2, 'note ' || i, i FROM generate_series(1, 4) i;
INSERT INTO purchase VALUES (6, 1, NULL, 6);
INSERT INTO invoice SELECT i, i, 'someone', '2020-01-01' FROM generate_series(1, 4) i;
INSERT INTO remark VALUES (1, 'person', 1, 'nice'), (2, 'product', 1, 'red'), (3, NULL, 1, '?'), (4, 'person', 2, 'loud');

-- Before: everything is left. A NULL is nothing.
SELECT jsonb_pretty(effaced_verify('1'));
SELECT effaced_erase('1') ->> 'subject_found' AS found;
-- After: nothing but what is to stay.
SELECT jsonb_pretty(effaced_verify('1'));
-- The other one is untouched.
SELECT effaced_verify(2) -> 'residual' AS residual;

-- What comes back is found, a value that was written into a surviving row too.
INSERT INTO post VALUES (100, 1, 'me again');
UPDATE purchase SET note = 'mine', total = 7 WHERE id = 2;
SELECT effaced_verify('1');
SELECT effaced_erase('1') ->> 'subject_found' AS found;
SELECT effaced_verify('1') -> 'verified' AS verified;
-- A column without label may change.
UPDATE purchase SET total = 8 WHERE id = 2;
UPDATE invoice SET day = '2021-01-01';
SELECT effaced_verify('1') -> 'verified' AS verified;
-- A label that comes later makes the earlier erasure incomplete.
SECURITY LABEL FOR effaced ON COLUMN purchase.total IS '{"category": "financial", "erasure": "anonymize"}';
SELECT effaced_verify('1') -> 'residual' AS residual;
SECURITY LABEL FOR effaced ON COLUMN purchase.total IS NULL;
SELECT effaced_verify('1') -> 'residual' AS residual;

-- Nobody known: nothing is left of them.
SELECT effaced_verify('77') AS nobody;
-- Each verdict is recorded, with names and counts only.
SELECT seq, event_type, subject, subject_ref, payload FROM effaced_audit_events WHERE event_type ~ 'verif' ORDER BY seq;

-- It only reads: in a transaction with a snapshot of its own, and again and again.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT effaced_verify('1') -> 'verified' AS verified;
COMMIT;
SELECT effaced_verify(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify('one');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify('1', subject => 'post');
\echo :LAST_ERROR_SQLSTATE
-- Labels that contradict each other cannot be verified against.
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN purchase.note IS '{"category": "communication", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SELECT effaced_verify('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
