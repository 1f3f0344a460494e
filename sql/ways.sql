-- The ways by which rows are a subject's: links that differ in their conditions
-- only, hops without a foreign key, composite keys, inheritance. A way is never
-- cut while something is left at its end.
CREATE EXTENSION effaced;

CREATE FUNCTION erased(result jsonb) RETURNS TABLE (found boolean, deleted jsonb, anonymized jsonb, shared jsonb) LANGUAGE sql AS $$
	SELECT (result -> 'subject_found')::boolean, result -> 'deleted', result -> 'anonymized', result -> 'shared'
$$;

--
-- Two links with the same hops and different conditions: a path that passes
-- through the table passes by either of them.
--
BEGIN;
CREATE TABLE owner (id int PRIMARY KEY, email text);
CREATE TABLE doc (id int PRIMARY KEY, kind text NOT NULL, owner_id int REFERENCES owner, title text);
CREATE TABLE page (id int PRIMARY KEY, doc_id int REFERENCES doc, text text);
SECURITY LABEL FOR effaced ON TABLE owner IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN owner.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE doc IS '{"links": [
	{"name": "letters", "path": "owner_id", "where": "kind = ''letter''"},
	{"name": "bills", "path": "owner_id", "where": "kind = ''bill''"}]}';
SECURITY LABEL FOR effaced ON COLUMN doc.title IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''...''"}';
SECURITY LABEL FOR effaced ON TABLE page IS '{"path": "doc_id.owner_id"}';
SECURITY LABEL FOR effaced ON COLUMN page.text IS '{"category": "identity"}';
INSERT INTO owner VALUES (1, 'ada@example.com'), (2, 'ben@example.com');
INSERT INTO doc VALUES (1, 'letter', 1, 'of Ada'), (2, 'bill', 1, 'for Ada'), (3, 'poster', 1, 'with Ada'), (4, 'letter', 2, 'of Ben');
INSERT INTO page SELECT id, id, kind || ' ' || title FROM doc;
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM doc ORDER BY id;
SELECT * FROM page ORDER BY id;
-- Posters are nobody's, and neither are their pages; both are counted.
SELECT effaced_verify(1);
ROLLBACK;

--
-- The same with different roles: what hangs from a row that a subject may only
-- look at is not theirs to erase.
--
BEGIN;
CREATE TABLE owner (id int PRIMARY KEY, email text);
CREATE TABLE doc (id int PRIMARY KEY, kind text NOT NULL, owner_id int REFERENCES owner, title text);
CREATE TABLE page (id int PRIMARY KEY, doc_id int REFERENCES doc, text text);
SECURITY LABEL FOR effaced ON TABLE owner IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN owner.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE doc IS '{"links": [
	{"name": "reader", "role": "accessor", "path": "owner_id", "where": "kind = ''public''"},
	{"name": "owner", "path": "owner_id", "where": "kind <> ''public''"}]}';
SECURITY LABEL FOR effaced ON COLUMN doc.title IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''...''"}';
SECURITY LABEL FOR effaced ON TABLE page IS '{"path": "doc_id.owner_id"}';
SECURITY LABEL FOR effaced ON COLUMN page.text IS '{"category": "identity"}';
INSERT INTO owner VALUES (1, 'ada@example.com');
INSERT INTO doc VALUES (1, 'public', 1, 'everybody''s'), (2, 'private', 1, 'Ada''s');
INSERT INTO page SELECT id, id, kind || ' page' FROM doc;
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM doc ORDER BY id;
SELECT * FROM page ORDER BY id;
SELECT effaced_verify(1) -> 'verified' AS verified;
ROLLBACK;

--
-- Detaching somebody else's row from one that goes takes of a composite reference
-- only the column that nothing else needs: Ben's reply stays in its tenant, and
-- stays Ben's.
--
BEGIN;
CREATE TABLE member (tenant int, no int, email text, PRIMARY KEY (tenant, no));
CREATE TABLE post (id int PRIMARY KEY, tenant int, author int, text text, reply_to int, UNIQUE (tenant, id),
	CONSTRAINT reply FOREIGN KEY (tenant, reply_to) REFERENCES post (tenant, id));
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"owned": true, "hops": [
	{"source_columns": ["tenant", "author"], "target_table": "member", "target_columns": ["tenant", "no"]}]}';
SECURITY LABEL FOR effaced ON COLUMN post.text IS '{"category": "communication"}';
INSERT INTO member VALUES (1, 1, 'ada@example.com'), (1, 2, 'ben@example.com');
INSERT INTO post VALUES (10, 1, 1, 'Ada asks', NULL), (11, 1, 2, 'Ben replies', 10);
SELECT relation, strategy, columns FROM effaced_plan('1:1');
SELECT * FROM erased(effaced_erase('1:1'));
SELECT * FROM post;
SELECT * FROM erased(effaced_erase('1:2'));
SELECT * FROM post;
ROLLBACK;

--
-- The tenant in two composite references of a shared row is nobody's reference:
-- what is detached is the column beside it.
--
BEGIN;
CREATE TABLE member (tenant int, no int, email text, PRIMARY KEY (tenant, no));
CREATE TABLE message (id int PRIMARY KEY, tenant int NOT NULL, sender int, receiver int, sender_name text, body text,
	CONSTRAINT sent_by FOREIGN KEY (tenant, sender) REFERENCES member,
	CONSTRAINT sent_to FOREIGN KEY (tenant, receiver) REFERENCES member);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "sender", "path": "sent_by"}, {"name": "receiver", "path": "sent_to"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_name IS '{"category": "identity", "link": "sender", "surrogate": "''somebody''"}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';
INSERT INTO member VALUES (1, 1, 'ada@example.com'), (1, 2, 'ben@example.com');
INSERT INTO message VALUES (1, 1, 1, 2, 'Ada', 'hello Ben');
SELECT * FROM erased(effaced_erase('1:1'));
SELECT * FROM message;
SELECT effaced_verify('1:1') -> 'verified' AS verified;
SELECT * FROM erased(effaced_erase('1:2'));
SELECT id, tenant, sender, receiver, sender_name, body ~ '^anon-' AS anonymized FROM message;
ROLLBACK;

--
-- A run that "tables" restricts does not cut the way to what it leaves: without
-- its shares nobody would find the item any more.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, email text);
CREATE TABLE item (id int PRIMARY KEY, content text);
CREATE TABLE share (item_id int REFERENCES item, owner int REFERENCES person, PRIMARY KEY (item_id, owner));
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE item IS '{"path": "share(item_id).owner", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN item.content IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE share IS '{"path": "owner", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN share.owner IS '{"category": "identity"}';
INSERT INTO person VALUES (1, 'ada@example.com'), (2, 'ben@example.com');
INSERT INTO item VALUES (1, 'Ada''s secret');
INSERT INTO share VALUES (1, 1);
SAVEPOINT s;
SELECT effaced_erase(1, tables => '{share}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- Together they can go, and so can everything.
SELECT * FROM erased(effaced_erase(1, tables => '{item,share}'));
ROLLBACK TO s;
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM item;
ROLLBACK;

--
-- A "where" on the subject table itself: the row that it leaves out is not erased,
-- and verify says so.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, email text, active boolean);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "where": "active"}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
INSERT INTO person VALUES (1, 'ada@example.com', true), (2, 'ben@example.com', false);
SELECT * FROM erased(effaced_erase(2));
SELECT effaced_verify(2);
SELECT * FROM erased(effaced_erase(1));
SELECT effaced_verify(1);
ROLLBACK;

--
-- An accessor whose link has hops and no foreign key: the reference is detached
-- all the same when the accessor's row goes, and the plan says so.
--
BEGIN;
CREATE TABLE doctor (id int PRIMARY KEY, email text);
CREATE TABLE patient (id int PRIMARY KEY, email text);
CREATE TABLE visit (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient, doctor_id int, note text);
SECURITY LABEL FOR effaced ON TABLE doctor IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN doctor.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN patient.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"owned": true, "links": [
	{"name": "patient", "path": "patient_id"},
	{"name": "doctor", "role": "accessor", "hops": [{"source_columns": ["doctor_id"], "target_table": "doctor", "target_columns": ["id"]}]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.note IS '{"category": "special"}';
INSERT INTO doctor VALUES (1, 'who@example.com'), (2, 'no@example.com');
INSERT INTO patient VALUES (1, 'ada@example.com');
INSERT INTO visit VALUES (1, 1, 1, 'cough'), (2, 1, 2, 'better');
SELECT step, relation, strategy, columns FROM effaced_plan(1, 'doctor');
SELECT * FROM erased(effaced_erase(1, subject => 'doctor'));
SELECT * FROM visit ORDER BY id;
-- Where it is not nullable there is no way.
SAVEPOINT s;
UPDATE visit SET doctor_id = 2;
ALTER TABLE visit ALTER doctor_id SET NOT NULL;
SELECT * FROM effaced_plan(1, 'doctor');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- A foreign key onto an inheritance parent references the parent's own rows. A
-- child's row may have the same key: the remark below is on Ben's document, and
-- not on Ada's scan of that number.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, email text);
CREATE TABLE doc (id int PRIMARY KEY, person_id int REFERENCES person, title text);
CREATE TABLE scan (resolution int) INHERITS (doc);
CREATE TABLE remark (id int PRIMARY KEY, doc_id int REFERENCES doc, text text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE doc IS '{"path": "person_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN doc.title IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE remark IS '{"path": "doc_id.person_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN remark.text IS '{"category": "contact"}';
INSERT INTO person VALUES (1, 'ada@example.com'), (2, 'ben@example.com');
INSERT INTO doc VALUES (1, 1, 'Ada''s'), (2, 2, 'Ben''s');
INSERT INTO scan VALUES (2, 1, 'Ada''s scan', 300);
INSERT INTO remark VALUES (1, 1, 'on Ada''s'), (2, 2, 'on Ben''s');
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM doc ORDER BY id;
SELECT * FROM remark ORDER BY id;
SELECT effaced_verify(1) -> 'verified' AS verified;
SELECT * FROM erased(effaced_erase(2));
SELECT * FROM remark;
ROLLBACK;
