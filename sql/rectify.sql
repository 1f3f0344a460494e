-- Rectification: a fact is corrected wherever it is held, and only there.
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, email varchar(30) UNIQUE, phone text, born date, tags text[], extra jsonb,
                       shown text GENERATED ALWAYS AS (upper(name)) STORED, CONSTRAINT email_has_at CHECK (email LIKE '%@%'));
CREATE TABLE "Order" (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, "e-mail" text, total numeric);
CREATE TABLE invoice (id int PRIMARY KEY, order_id int NOT NULL REFERENCES "Order", email text, issued date);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "fact": "name", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.shown IS '{"category": "identity", "fact": "name", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "fact": "email", "erasure": "anonymize", "surrogate": "''gone-'' || id || ''@x''"}';
SECURITY LABEL FOR effaced ON COLUMN customer.phone IS '{"category": "contact", "fact": "phone", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.born IS '{"category": "identity", "fact": "birth", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.tags IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN customer.extra IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON COLUMN "Order"."e-mail" IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.email IS
	'{"category": "contact", "fact": "email", "erasure": "retain", "retention": {"reason": "tax law", "duration": "P10Y", "anchor": "issued"}}';
INSERT INTO customer (id, name, email, phone, born) VALUES (1, 'Ada', 'ada@old', '1', '1980-01-01'), (2, 'Ben', 'ben@old', '2', NULL), (3, 'Cy', NULL, NULL, NULL);
INSERT INTO "Order" VALUES (10, 1, 'ada@old', 5), (11, 1, NULL, 6), (20, 2, 'ben@old', 7);
INSERT INTO invoice VALUES (100, 10, 'ada@old', '2024-01-01'), (200, 20, 'ben@old', '2024-01-01');

-- Everywhere, retained and anonymized columns too, NULLs too; nobody else's.
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "ada@new"}]');
SELECT id, name, email, phone FROM customer ORDER BY id;
SELECT * FROM "Order" ORDER BY id;
SELECT * FROM invoice ORDER BY id;
SELECT DISTINCT value FROM effaced_export_records(1) WHERE category = 'contact' AND field LIKE '%mail';
SELECT event_type, subject, subject_ref, payload FROM effaced_audit_events WHERE event_type LIKE 'rectification%' ORDER BY seq;

-- Several facts at once; the types of JSON; NULL; what is generated follows.
SELECT effaced_rectify(2, '[{"category": "identity", "fact": "name", "value": "Ben Ali"}, {"category": "identity", "fact": "birth", "value": "1999-12-31"},
	{"category": "contact", "fact": "phone", "value": 555}, {"category": "behavioral", "value": ["a", "b c"]},
	{"category": "technical", "value": {"k": [1, null]}}]');
SELECT * FROM customer WHERE id = 2;
SELECT effaced_rectify(2, '[{"category": "contact", "fact": "phone", "value": null}]') -> 'rectified' AS rectified;
SELECT phone IS NULL AS unknown FROM customer WHERE id = 2;

-- Nothing to correct is an answer, and so is nobody.
SELECT effaced_rectify('1', '[]');
SELECT effaced_rectify('1', '[{"category": "financial", "value": "x"}]');
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "fax", "value": "x"}]');
SELECT effaced_rectify('99', '[{"category": "contact", "fact": "email", "value": "x@y"}]');

-- Refused, with nothing changed: a value that fits several facts,
CREATE TABLE before AS SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customer c;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "ada@new"}]');
\echo :LAST_ERROR_SQLSTATE
-- no value of the type, too long, wrong by a constraint, taken, missing where it must not be;
CREATE FUNCTION attempt(corrections jsonb, subject_id text DEFAULT '1', OUT state text, OUT place text, OUT says text) LANGUAGE plpgsql AS $$
DECLARE
	t text; c text; k text; d text;
BEGIN
	PERFORM effaced_rectify(subject_id, corrections, subject => 'customer');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, t = TABLE_NAME, c = COLUMN_NAME, k = CONSTRAINT_NAME, says = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
	place := concat_ws(' ', t, c, k);
	says := says || '. ' || d;
END $$;
SELECT * FROM attempt('[{"category": "contact", "fact": "phone", "value": "77"}, {"category": "identity", "fact": "birth", "value": "secret-day"}]');
SELECT * FROM attempt('[{"category": "contact", "fact": "email", "value": "secret-secret-secret-secret-secret@x"}]');
SELECT * FROM attempt('[{"category": "contact", "fact": "email", "value": "secret"}]');
SELECT * FROM attempt('[{"category": "contact", "fact": "email", "value": "ada@new"}]', '2');
SELECT * FROM attempt('[{"category": "identity", "fact": "name", "value": null}]');
-- and bad input.
SELECT effaced_rectify('1', NULL);
SELECT effaced_rectify('1', '{"category": "contact"}');
SELECT effaced_rectify('1', '"contact"');
SELECT effaced_rectify('1', '["contact"]');
SELECT effaced_rectify('1', '[{"value": "x"}]');
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email"}]');
SELECT effaced_rectify('1', '[{"category": 1, "value": "x"}]');
SELECT effaced_rectify('1', '[{"category": "contacts", "value": "x"}]');
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "x", "column": "email"}]');
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "a@b"}, {"category": "contact", "fact": "email", "value": "c@d"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_rectify('1', '[]', '[{"kind": "stripe", "value": "x"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_rectify(NULL::text, '[]');
\echo :LAST_ERROR_SQLSTATE
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT effaced_rectify('1', '[]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT before = now AS unchanged FROM before, (SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customer c) AS now (md5) WHERE before.md5 = now.md5;
SELECT count(*) AS values_in_trail FROM effaced_audit_events WHERE payload::text ~* 'ada|ben|secret|555|@';

-- A trigger that keeps the correction from being written is noticed, as is one that writes another.
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE UPDATE ON "Order" FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "ada@third"}]');
\echo :LAST_ERROR_SQLSTATE
CREATE OR REPLACE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."e-mail" := OLD."e-mail"; RETURN NEW; END $$;
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "ada@third"}]');
SELECT count(*) AS corrected FROM customer WHERE email = 'ada@third';
CREATE OR REPLACE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.total := NEW.total + 1; RETURN NEW; END $$;
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "ada@third"}]') -> 'rectified' AS rectified;

-- Surrogates of an erased subject stay, and nothing comes back to life; what is kept can be corrected.
SELECT effaced_erase('1') -> 'retained' AS retained;
SELECT effaced_rectify('1', '[{"category": "contact", "fact": "email", "value": "ada@fourth"}, {"category": "contact", "fact": "phone", "value": "4"},
	{"category": "technical", "value": 1}]');
SELECT c.email, c.phone LIKE 'anon-%' AS phone, c.extra, o."e-mail" LIKE 'anon-%' AS order_mail FROM customer c JOIN "Order" o ON o.customer_id = c.id WHERE c.id = 1 ORDER BY o.id;
SELECT email FROM invoice WHERE id = 100;
SELECT effaced_verify('1') -> 'residual' AS residual;
-- Used anew, the row is corrected again; the surrogates of old stay.
UPDATE customer SET name = 'Ada again' WHERE id = 1;
SELECT effaced_rectify('1', '[{"category": "identity", "fact": "name", "value": "Ada"}, {"category": "technical", "value": 2},
	{"category": "contact", "fact": "phone", "value": "4"}]') -> 'rectified' AS rectified;
SELECT name, extra, phone LIKE 'anon-%' AS phone FROM customer WHERE id = 1;

-- Rows with several owners: a tied column goes by its link, any other is left to all of them.
CREATE TABLE account (id int PRIMARY KEY, mail text);
CREATE TABLE message (id int PRIMARY KEY, sender int REFERENCES account, receiver int REFERENCES account,
                      sender_mail text, receiver_mail text, reply_to text);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN account.mail IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_mail IS '{"category": "contact", "link": "sender", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN message.receiver_mail IS '{"category": "contact", "link": "receiver", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN message.reply_to IS '{"category": "contact", "erasure": "anonymize"}';
INSERT INTO account VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO message VALUES (1, 1, 2, 'one', 'two', 'old'), (2, 2, 1, 'two', 'one', 'old'), (3, 1, 1, 'one', 'one', 'old'), (4, 1, NULL, 'one', NULL, 'old'),
                           (5, 2, 3, 'two', 'three', 'old'), (6, 1, 3, 'one', 'three', 'old');
SELECT effaced_rectify('1', '[{"category": "contact", "value": "ONE"}]', subject => 'account');
TABLE message ORDER BY id;
-- An erased owner is none, and what was written for it stays.
SELECT effaced_erase('3', subject => 'account') -> 'shared' AS shared;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "uno"}]', subject => 'account');
SELECT id, sender, receiver, sender_mail, receiver_mail LIKE 'anon-%' AS receiver_gone, reply_to FROM message ORDER BY id;
-- In a row that names an erased owner still, a text as an expression makes it is a surrogate of that
-- owner's; a number is a value like any other.
ALTER TABLE message ADD COLUMN note text, ADD COLUMN stars int;
SECURITY LABEL FOR effaced ON COLUMN message.note IS '{"category": "identity", "fact": "note", "erasure": "anonymize", "surrogate": "''gone''"}';
SECURITY LABEL FOR effaced ON COLUMN message.stars IS '{"category": "identity", "fact": "stars", "erasure": "anonymize", "surrogate": "-1"}';
UPDATE message SET receiver = CASE id WHEN 6 THEN 3 ELSE receiver END, note = CASE id WHEN 6 THEN 'gone' ELSE 'note' END, stars = CASE id WHEN 6 THEN -1 ELSE 3 END;
SELECT effaced_rectify('1', '[{"category": "identity", "fact": "note", "value": "new"}, {"category": "identity", "fact": "stars", "value": 5}]', subject => 'account');
SELECT id, sender, receiver, note, stars FROM message ORDER BY id;

-- A way that joins on what is corrected: rows are found first.
CREATE TABLE member (id int PRIMARY KEY, mail text UNIQUE);
CREATE TABLE newsletter (mail text, topic text, PRIMARY KEY (mail, topic));
CREATE TABLE click (id int PRIMARY KEY, mail text REFERENCES member (mail) ON UPDATE CASCADE, page text);
CREATE TABLE vote (id int PRIMARY KEY, mail text REFERENCES member (mail) DEFERRABLE, ballot text);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
SECURITY LABEL FOR effaced ON TABLE newsletter IS '{"hops": [{"source_columns": ["mail"], "target_table": "member", "target_columns": ["mail"]}], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN newsletter.mail IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN newsletter.topic IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN click.page IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN vote.mail IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN vote.ballot IS '{"category": "special"}';
INSERT INTO member VALUES (1, 'a@old'), (2, 'b@old');
INSERT INTO newsletter VALUES ('a@old', 'cats'), ('a@old', 'dogs'), ('b@old', 'cats');
INSERT INTO click VALUES (1, 'a@old', 'x'), (2, 'b@old', 'x');
INSERT INTO vote VALUES (1, 'a@old', 'x'), (2, 'b@old', 'y');
SELECT effaced_rectify('1', '[{"category": "contact", "value": "a@new"}, {"category": "behavioral", "value": "all"}]', subject => 'member');
DELETE FROM newsletter WHERE mail = 'a@old' AND topic = 'dogs';
SELECT effaced_rectify('1', '[{"category": "contact", "value": "a@new"}, {"category": "behavioral", "value": "all"}]', subject => 'member');
TABLE member ORDER BY 1; TABLE newsletter ORDER BY 1, 2; TABLE click ORDER BY 1; TABLE vote ORDER BY 1;

-- A link that may lead to several: an erased one is let go of without a trace, and its surrogate stays.
CREATE TABLE firm (id int PRIMARY KEY, mail text);
CREATE TABLE item (id int PRIMARY KEY, kept text, title text);
CREATE TABLE share (item_id int REFERENCES item, owner int REFERENCES firm, PRIMARY KEY (item_id, owner));
SECURITY LABEL FOR effaced ON TABLE firm IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN firm.mail IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE share IS '{"path": "owner", "owned": true}';
SECURITY LABEL FOR effaced ON TABLE item IS '{"links": [{"name": "joined", "path": "share(item_id).owner"}]}';
SECURITY LABEL FOR effaced ON COLUMN item.title IS '{"category": "contact", "link": "joined", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN item.kept IS '{"category": "identity", "erasure": "anonymize"}';
INSERT INTO firm VALUES (1, 'a'), (2, 'b');
INSERT INTO item VALUES (1, 'k', 'both'), (2, 'k', 'b');
INSERT INTO share VALUES (1, 1), (1, 2), (2, 2);
SELECT effaced_rectify(2, '[{"category": "contact", "value": "c"}, {"category": "identity", "value": "i"}]', subject => 'firm') - 'subject_id' AS both_living;
TABLE item ORDER BY id;
SELECT effaced_erase('1', subject => 'firm') -> 'shared' AS shared;
SELECT effaced_rectify(2, '[{"category": "contact", "value": "d"}, {"category": "identity", "value": "i"}]', subject => 'firm') - 'subject_id' AS one_living;
SELECT id, kept, title LIKE 'anon-%' AS gone FROM item ORDER BY id;
