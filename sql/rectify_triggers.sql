-- Corrections under triggers: what they keep from being written is noticed, and
-- what they copy is corrected too.
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;

-- A subject used anew, whose values may be surrogates,
CREATE TABLE client (id int PRIMARY KEY, name text, phone text, misc text);
SECURITY LABEL FOR effaced ON TABLE client IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN client.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN client.phone IS '{"category": "contact", "erasure": "anonymize"}';
INSERT INTO client VALUES (1, 'Old', '1'), (2, 'Living', '2');
SELECT effaced_erase(1, subject => 'client') -> 'anonymized' AS anonymized;
UPDATE client SET name = 'New' WHERE id = 1;
CREATE TRIGGER t BEFORE UPDATE ON client FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_rectify(1, '[{"category": "identity", "value": "Fixed"}]', subject => 'client');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER t ON client;
CREATE TRIGGER t BEFORE UPDATE ON client FOR EACH ROW EXECUTE FUNCTION put_back();
SELECT effaced_rectify(1, '[{"category": "identity", "value": "Fixed"}]', subject => 'client');
\echo :LAST_ERROR_SQLSTATE
SELECT id, name, phone LIKE 'anon-%' AS gone FROM client ORDER BY id;
DROP TRIGGER t ON client;
CREATE TRIGGER t BEFORE UPDATE ON client FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT effaced_rectify(1, '[{"category": "identity", "value": "Fixed"}, {"category": "contact", "value": "3"}]', subject => 'client') -> 'rectified' AS rectified;
SELECT effaced_rectify(1, '[{"category": "identity", "value": "Fixed"}]', subject => 'client') -> 'rectified' AS already;
SELECT id, name, phone LIKE 'anon-%' AS gone FROM client ORDER BY id;

-- a key that is corrected,
CREATE TABLE k (email text PRIMARY KEY, misc text);
SECURITY LABEL FOR effaced ON TABLE k IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN k.email IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
INSERT INTO k VALUES ('a@x');
CREATE TRIGGER t BEFORE UPDATE ON k FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_rectify('a@x'::text, '[{"category": "contact", "value": "b@x"}]', subject => 'k');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER t ON k;
CREATE TRIGGER t BEFORE UPDATE ON k FOR EACH ROW EXECUTE FUNCTION put_back();
SELECT effaced_rectify('a@x'::text, '[{"category": "contact", "value": "b@x"}]', subject => 'k');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER t ON k;
CREATE TRIGGER t BEFORE UPDATE ON k FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT effaced_rectify('a@x'::text, '[{"category": "contact", "value": "a@x"}]', subject => 'k') -> 'rectified' AS same;
SELECT effaced_rectify('a@x'::text, '[{"category": "contact", "value": "b@x"}]', subject => 'k') -> 'rectified' AS changed;
TABLE k;

-- rows without a key,
CREATE TABLE loose (client_id int REFERENCES client, note text);
SECURITY LABEL FOR effaced ON COLUMN loose.note IS '{"category": "special", "erasure": "anonymize"}';
INSERT INTO loose VALUES (2, 'a'), (2, 'a'), (1, 'b');
CREATE TRIGGER t BEFORE UPDATE ON loose FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_rectify(2, '[{"category": "special", "value": "c"}]', subject => 'client');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE loose;

-- and rows that an erased subject owned too. What erasure left to the living one is that one's: 0, false and NULL are values.
CREATE TABLE account (id int PRIMARY KEY, mail text);
CREATE TABLE message (id int PRIMARY KEY, sender int NOT NULL REFERENCES account, receiver int NOT NULL REFERENCES account,
                      reply_to text, starred boolean, prio int);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN account.mail IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.reply_to IS '{"category": "communication", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN message.starred IS '{"category": "behavioral", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN message.prio IS '{"category": "technical", "erasure": "anonymize"}';
INSERT INTO account VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO message VALUES (1, 1, 3, NULL, false, 0), (2, 1, 3, 'old', true, 0), (3, 2, 3, 'two''s', true, 1);
SELECT effaced_erase(3, subject => 'account') -> 'shared' AS shared;
SELECT effaced_rectify(1, '[{"category": "communication", "value": "NEW"}, {"category": "behavioral", "value": true},
	{"category": "technical", "value": 7}]', subject => 'account') - 'subject_id' AS result;
TABLE message ORDER BY id;
CREATE TRIGGER t BEFORE UPDATE ON message FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_rectify(1, '[{"category": "communication", "value": "NEWER"}]', subject => 'account');
\echo :LAST_ERROR_SQLSTATE

-- Where an erasure deletes the rows, those that are there are new: nothing in them is a surrogate.
CREATE TABLE guest (id int PRIMARY KEY, name text, visits int, newsletter boolean, tags text[]);
CREATE TABLE stay (id int PRIMARY KEY, guest_id int REFERENCES guest, nights int);
SECURITY LABEL FOR effaced ON TABLE guest IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN guest.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN guest.visits IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN guest.newsletter IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN guest.tags IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN stay.nights IS '{"category": "behavioral"}';
INSERT INTO guest VALUES (1, 'Ada', 3, true, '{a}');
SELECT effaced_erase(1, subject => 'guest') -> 'deleted' AS deleted;
INSERT INTO guest VALUES (1, 'Ada again', 0, false, '{}');
INSERT INTO stay VALUES (1, 1, 0);
SELECT source, field, value FROM effaced_export_records(1, 'guest');
SELECT effaced_rectify(1, '[{"category": "contact", "value": true}, {"category": "behavioral", "value": 7}]', subject => 'guest') -> 'rectified' AS rectified;
TABLE guest; TABLE stay;

-- Histories: the old value that a trigger copies is corrected, wherever its table stands in the order,
CREATE TABLE a_hist (hid int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cust_id int, email text);
CREATE TABLE cust (id int PRIMARY KEY, email text, misc text);
CREATE TABLE z_hist (hid int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cust_id int REFERENCES cust, email text);
CREATE TABLE ver (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cust_id int REFERENCES cust, addr text, current boolean DEFAULT true);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO a_hist (cust_id, email) VALUES (OLD.id, OLD.email);
	INSERT INTO z_hist (cust_id, email) VALUES (OLD.id, OLD.email);
	RETURN NULL;
END $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION new_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.current THEN
		INSERT INTO ver (cust_id, addr, current) VALUES (OLD.cust_id, OLD.addr, false);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER remember AFTER UPDATE ON cust FOR EACH ROW EXECUTE FUNCTION remember();
CREATE TRIGGER nothing BEFORE UPDATE ON z_hist FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER new_version BEFORE UPDATE ON ver FOR EACH ROW EXECUTE FUNCTION new_version();
SECURITY LABEL FOR effaced ON TABLE cust IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN cust.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE a_hist IS '{"hops": [{"source_columns": ["cust_id"], "target_table": "cust", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN a_hist.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN z_hist.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN ver.addr IS '{"category": "location", "erasure": "anonymize"}';
INSERT INTO cust VALUES (1, 'old@x'), (2, 'two@x');
INSERT INTO ver (cust_id, addr) VALUES (1, 'old place'), (2, 'place');
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@x"}, {"category": "location", "value": "new place"}]', subject => 'cust') -> 'rectified' AS rectified;
TABLE cust ORDER BY 1; TABLE a_hist ORDER BY 1; TABLE z_hist ORDER BY 1; TABLE ver ORDER BY 1;
-- or it is an error: a trigger that copies without end, and a row whose owners nobody has asked for.
CREATE OR REPLACE FUNCTION new_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ver (cust_id, addr, current) VALUES (OLD.cust_id, 'old place', false);
	RETURN NEW;
END $$;
SELECT effaced_rectify(1, '[{"category": "location", "value": "newer place"}]', subject => 'cust');
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE both_hist (hid int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cust_id int REFERENCES cust, by_id int REFERENCES cust, email text);
SECURITY LABEL FOR effaced ON TABLE both_hist IS '{"links": [{"name": "of", "path": "cust_id"}, {"name": "by", "path": "by_id"}]}';
SECURITY LABEL FOR effaced ON COLUMN both_hist.email IS '{"category": "contact", "erasure": "anonymize", "link": "of"}';
CREATE OR REPLACE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO both_hist (cust_id, by_id, email) VALUES (OLD.id, 2, OLD.email);
	RETURN NULL;
END $$;
SELECT effaced_rectify(1, '[{"category": "contact", "value": "newest@x"}]', subject => 'cust');
\echo :LAST_ERROR_SQLSTATE
SELECT email FROM cust WHERE id = 1;
