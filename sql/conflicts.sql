-- What stands in the way of an erasure stops it before anything changes: labels
-- that contradict each other (ZE001, ZE003 already in the plan), and rows that
-- must not go or must not lose what they reference (ZE003, with their number).
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben'), (3, 'Cleo');

--
-- Rows that survive cannot hang from rows that go.
--
BEGIN;
CREATE TABLE account (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, iban text);
CREATE TABLE booking (id int PRIMARY KEY, account_id int NOT NULL REFERENCES account, amount numeric, text text);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE booking IS '{"path": "account.person"}';
SECURITY LABEL FOR effaced ON COLUMN booking.text IS '{"category": "financial"}';
SAVEPOINT s;
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- A duty to keep makes it a retention violation.
SECURITY LABEL FOR effaced ON COLUMN booking.text IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "bookkeeping"}}';
SAVEPOINT s;
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- So does it for a table of which only the subject table goes.
SECURITY LABEL FOR effaced ON TABLE booking IS NULL;
SECURITY LABEL FOR effaced ON COLUMN booking.text IS NULL;
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "bookkeeping"}}';
SAVEPOINT s;
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- With the subject's row surviving, or with rows that go from the end of the
-- chain, there is no conflict.
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize"}';
SELECT step, relation, strategy FROM effaced_plan('1');
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE booking IS '{"path": "account.person", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN booking.text IS '{"category": "financial"}';
SELECT step, relation, strategy FROM effaced_plan('1');
ROLLBACK;

--
-- ON DELETE CASCADE reaches only what the plan deletes, and only the subject's.
--
BEGIN;
CREATE TABLE draft (id int PRIMARY KEY, person_id int REFERENCES person ON DELETE CASCADE, body text);
SAVEPOINT s;
-- into a table that the plan does not know, empty or not
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- into one that it keeps
SECURITY LABEL FOR effaced ON TABLE draft IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN draft.body IS '{"category": "communication", "erasure": "anonymize"}';
SAVEPOINT s;
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- whichever way it is linked
ALTER TABLE draft ADD reviewer_id int REFERENCES person;
SECURITY LABEL FOR effaced ON TABLE draft IS '{"hops": [{"source_columns": ["reviewer_id"], "target_table": "person", "target_columns": ["id"]}]}';
SAVEPOINT s2;
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- into one that it deletes too
SECURITY LABEL FOR effaced ON TABLE draft IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN draft.body IS '{"category": "communication"}';
SELECT step, relation, strategy FROM effaced_plan('1');
INSERT INTO draft VALUES (1, 1, 'one'), (2, 2, 'two');
SELECT effaced_erase('1') -> 'deleted' AS deleted;
TABLE draft;
ROLLBACK;
BEGIN;
-- but whose row belongs to somebody else: comments cascade with what they
-- comment on, and this one is another person's
CREATE TABLE comment (id int PRIMARY KEY, author_id int NOT NULL REFERENCES person, parent_id int REFERENCES comment ON DELETE CASCADE, body text);
SECURITY LABEL FOR effaced ON TABLE comment IS '{"path": "author"}';
SECURITY LABEL FOR effaced ON COLUMN comment.body IS '{"category": "communication"}';
INSERT INTO comment VALUES (1, 1, NULL, 'one'), (2, 1, 1, 'me again');
SAVEPOINT s;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
SELECT effaced_erase('1') -> 'deleted' AS deleted;
ROLLBACK TO s;
INSERT INTO comment VALUES (3, 2, 2, 'two'), (4, 3, 1, 'three');
SAVEPOINT s;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
TABLE comment;
-- Answers only to others: nothing is in the way.
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;

--
-- Rows that reference what goes: set to NULL where that is possible.
--
BEGIN;
CREATE TABLE employee (id int PRIMARY KEY, name text, manager_id int REFERENCES employee, deputy_id int NOT NULL REFERENCES employee, grade int);
SECURITY LABEL FOR effaced ON TABLE employee IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN employee.name IS '{"category": "identity"}';
INSERT INTO employee VALUES (1, 'Ada', NULL, 1, 9), (2, 'Ben', 1, 3, 5), (3, 'Cleo', 1, 3, 5), (4, 'Dan', 2, 3, 1);
SELECT step, relation, strategy, columns, reason FROM effaced_plan(1, 'employee');
\pset format unaligned
\pset tuples_only on
SELECT statement FROM effaced_plan(1, 'employee');
\pset tuples_only off
\pset format aligned
-- Ada leaves: her reports lose their manager, and her own deputy is herself.
SELECT effaced_erase(1, subject => 'employee');
SELECT payload FROM effaced_audit_events WHERE event_type = 'erasure_step_succeeded' ORDER BY seq;
TABLE employee;
SAVEPOINT s;
-- Cleo cannot: somebody must have a deputy, and she is that of two others.
SELECT effaced_erase(3, subject => 'employee');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
TABLE employee;
UPDATE employee SET deputy_id = id;
SELECT effaced_erase(3, subject => 'employee') -> 'deleted' AS deleted;
ROLLBACK;

--
-- Every kind of reference from other tables, mapped or not.
--
CREATE TABLE invoice (
	id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, text text
);
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.text IS '{"category": "financial"}';
INSERT INTO invoice VALUES (1, 1, 'one'), (2, 2, 'two');

-- Not mapped, NO ACTION and RESTRICT: stops where there is such a row.
BEGIN;
CREATE TABLE export (id int, invoice_id int REFERENCES invoice);
CREATE TABLE parcel (id int, invoice_id int REFERENCES invoice ON DELETE RESTRICT);
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1', 'person');
INSERT INTO parcel VALUES (1, 1), (2, 1), (3, 2), (4, NULL);
SAVEPOINT s;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
DELETE FROM parcel WHERE invoice_id = 1;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
ROLLBACK;

-- SET NULL and SET DEFAULT do it themselves; the plan only says so.
BEGIN;
CREATE TABLE export (id int, invoice_id int DEFAULT 0 REFERENCES invoice ON DELETE SET DEFAULT);
CREATE TABLE parcel (id int, invoice_id int REFERENCES invoice ON DELETE SET NULL);
INSERT INTO invoice VALUES (0, 3, 'none');
INSERT INTO export VALUES (1, 1), (2, 2);
INSERT INTO parcel VALUES (1, 1), (2, 2);
SELECT step, relation, strategy, columns, reason, statement FROM effaced_plan('1', 'person');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
TABLE export;
TABLE parcel;
SELECT payload FROM effaced_audit_events WHERE event_type = 'erasure_step_succeeded' ORDER BY seq;
ROLLBACK;

-- Mapped and surviving: detached where nullable, whatever else happens to the row.
BEGIN;
CREATE TABLE parcel (id int PRIMARY KEY, person_id int REFERENCES person, invoice_id int REFERENCES invoice, receiver text, weight int);
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN parcel.receiver IS '{"category": "identity", "surrogate": "''?''"}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
INSERT INTO parcel VALUES (1, 1, 1, 'Ada', 10), (2, 2, 1, 'Ben', 20), (3, 2, 2, 'Ben', 30);
SELECT step, relation, strategy, columns FROM effaced_plan('1', 'person');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
SELECT * FROM parcel ORDER BY id;
ROLLBACK;

-- Mapped, and the reference cannot be empty: stops.
BEGIN;
CREATE TABLE parcel (id int PRIMARY KEY, person_id int REFERENCES person, invoice_id int NOT NULL REFERENCES invoice, receiver text);
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN parcel.receiver IS '{"category": "identity"}';
INSERT INTO parcel VALUES (1, 1, 1, 'Ada');
SELECT step, relation, strategy, columns FROM effaced_plan('1', 'person');
SAVEPOINT s;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
ROLLBACK TO s;
INSERT INTO parcel VALUES (2, 2, 1, 'Ben');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- The same where the action is SET NULL, which NOT NULL forbids.
ALTER TABLE parcel DROP CONSTRAINT parcel_invoice_id_fkey;
ALTER TABLE parcel ADD CONSTRAINT set_null FOREIGN KEY (invoice_id) REFERENCES invoice ON DELETE SET NULL;
INSERT INTO parcel VALUES (2, 2, 1, 'Ben');
SAVEPOINT s;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- A domain may be what forbids it.
CREATE DOMAIN reference AS int NOT NULL;
ALTER TABLE parcel DROP CONSTRAINT set_null, ALTER invoice_id TYPE reference, ALTER invoice_id DROP NOT NULL,
	ADD CONSTRAINT domain_not_null FOREIGN KEY (invoice_id) REFERENCES invoice;
SAVEPOINT s;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Cascade into rows that the plan keeps, although they do not hang from what goes.
BEGIN;
CREATE TABLE parcel (id int PRIMARY KEY, person_id int REFERENCES person, invoice_id int REFERENCES invoice ON DELETE CASCADE, weight int);
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN parcel.weight IS '{"category": "behavioral", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
SELECT * FROM effaced_plan('1', 'person');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- What is retained keeps its reference, nullable or not: stops.
BEGIN;
CREATE TABLE parcel (id int PRIMARY KEY, person_id int REFERENCES person, invoice_id int REFERENCES invoice);
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN parcel.invoice_id IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "customs"}}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
INSERT INTO parcel VALUES (2, 2, 1);
SAVEPOINT s;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
ALTER TABLE parcel DROP CONSTRAINT parcel_invoice_id_fkey;
ALTER TABLE parcel ADD CONSTRAINT set_null FOREIGN KEY (invoice_id) REFERENCES invoice ON DELETE SET NULL;
SAVEPOINT s;
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- Composite keys.
--
CREATE TABLE room (house int, no int, person_id int NOT NULL REFERENCES person, wish text, PRIMARY KEY (house, no));
SECURITY LABEL FOR effaced ON TABLE room IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN room.wish IS '{"category": "behavioral"}';
INSERT INTO room VALUES (1, 1, 1, 'quiet'), (1, 2, 2, 'warm');

-- MATCH SIMPLE: one NULL is enough, and the column that may be NULL takes it.
BEGIN;
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, house int NOT NULL, no int, body text, FOREIGN KEY (house, no) REFERENCES room);
SECURITY LABEL FOR effaced ON TABLE note IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN note.body IS '{"category": "communication"}';
INSERT INTO note VALUES (1, 2, 1, 1, 'on 1 1'), (2, 2, 1, NULL, 'on 1'), (3, 2, 1, 2, 'on 1 2');
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1', 'person');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
SELECT * FROM note ORDER BY id;
ROLLBACK;

-- MATCH FULL: all of them are NULL or none is.
BEGIN;
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, house int, no int, body text, FOREIGN KEY (house, no) REFERENCES room MATCH FULL);
SECURITY LABEL FOR effaced ON TABLE note IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN note.body IS '{"category": "communication"}';
INSERT INTO note VALUES (1, 2, 1, 1, 'on 1 1'), (2, 2, NULL, NULL, 'on none'), (3, 2, 1, 2, 'on 1 2');
SELECT step, relation, strategy, columns FROM effaced_plan('1', 'person');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
SELECT * FROM note ORDER BY id;
ROLLBACK;
BEGIN;
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, house int NOT NULL, no int, body text, FOREIGN KEY (house, no) REFERENCES room MATCH FULL);
SECURITY LABEL FOR effaced ON TABLE note IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN note.body IS '{"category": "communication"}';
INSERT INTO note VALUES (1, 2, 1, 1, 'on 1 1');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- ON DELETE SET NULL (column): only that one is written, and what is retained
-- beside it stays.
BEGIN;
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, house int, no int, FOREIGN KEY (house, no) REFERENCES room ON DELETE SET NULL (no));
SECURITY LABEL FOR effaced ON TABLE note IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN note.house IS '{"category": "location", "erasure": "retain", "retention": {"reason": "insurance"}}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
INSERT INTO note VALUES (1, 2, 1, 1);
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1', 'person');
SELECT effaced_erase('1', subject => 'person') -> 'deleted' AS deleted;
TABLE note;
ROLLBACK;

--
-- On a row that survives, what a foreign key points at has to keep its value.
--
BEGIN;
CREATE TABLE member (id int PRIMARY KEY, email text UNIQUE, joined date);
CREATE TABLE subscription (id int PRIMARY KEY, email text REFERENCES member (email));
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact"}';
SAVEPOINT s;
SELECT * FROM effaced_plan(1, 'member');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "the address is the key of subscriptions"}}';
SELECT step, strategy FROM effaced_plan(1, 'member');
-- On a row that goes it does not matter.
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact"}';
SELECT step, relation, strategy FROM effaced_plan(1, 'member');
ROLLBACK;

-- Nothing of all this has left a trace.
SELECT count(*) FROM effaced_audit_events;
SELECT * FROM person ORDER BY id;
