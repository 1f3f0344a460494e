-- Corrections of keys: what is found by a key is written although the key
-- changes, and nothing is lost without a word.
SET client_min_messages = warning;
CREATE EXTENSION effaced;

-- A key that follows a corrected column by ON UPDATE CASCADE, over two tables,
CREATE TABLE member (id int PRIMARY KEY, mail text UNIQUE, misc text);
CREATE TABLE newsletter (mail text REFERENCES member (mail) ON UPDATE CASCADE, topic text, contact text, PRIMARY KEY (mail, topic));
CREATE TABLE issue (mail text, topic text, no int, sent_to text, PRIMARY KEY (mail, topic, no),
                    FOREIGN KEY (mail, topic) REFERENCES newsletter ON UPDATE CASCADE);
-- one that is labelled itself, and is deferrable,
CREATE TABLE vote (mail text REFERENCES member (mail) DEFERRABLE, topic text, contact text, PRIMARY KEY (mail, topic));
-- and one that is labelled and follows.
CREATE TABLE login (mail text REFERENCES member (mail) ON UPDATE CASCADE, device text, contact text, PRIMARY KEY (mail, device));
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
SECURITY LABEL FOR effaced ON TABLE newsletter IS '{"path": "mail"}';
SECURITY LABEL FOR effaced ON COLUMN newsletter.contact IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE issue IS '{"path": "newsletter.member"}';
SECURITY LABEL FOR effaced ON COLUMN issue.sent_to IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE vote IS '{"path": "mail"}';
SECURITY LABEL FOR effaced ON COLUMN vote.mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
SECURITY LABEL FOR effaced ON COLUMN vote.contact IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "mail"}';
SECURITY LABEL FOR effaced ON COLUMN login.mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
SECURITY LABEL FOR effaced ON COLUMN login.contact IS '{"category": "contact", "erasure": "anonymize"}';
INSERT INTO member VALUES (1, 'old'), (2, 'two');
INSERT INTO newsletter VALUES ('old', 't', 'old'), ('two', 't', 'two');
INSERT INTO issue VALUES ('old', 't', 1, 'old'), ('old', 't', 2, 'old'), ('two', 't', 1, 'two');
INSERT INTO vote VALUES ('old', 't', 'old'), ('old', 'u', 'old'), ('two', 't', 'two');
INSERT INTO login VALUES ('old', 'd', 'old'), ('two', 'd', 'two');
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new"}]') -> 'rectified' AS rectified;
TABLE member ORDER BY 1; TABLE newsletter ORDER BY 1; TABLE issue ORDER BY 1, 3; TABLE vote ORDER BY 1, 2; TABLE login ORDER BY 1;
SELECT DISTINCT value FROM effaced_export_records(1);

-- Rows with several owners whose key is corrected, and with it what is tied to a link.
CREATE TABLE account (id int PRIMARY KEY, name text);
CREATE TABLE message (ref text PRIMARY KEY, sender int REFERENCES account, receiver int REFERENCES account, sender_mail text, receiver_mail text);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "s", "path": "sender"}, {"name": "r", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.ref IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_mail IS '{"category": "contact", "erasure": "anonymize", "link": "s"}';
SECURITY LABEL FOR effaced ON COLUMN message.receiver_mail IS '{"category": "contact", "erasure": "anonymize", "link": "r"}';
INSERT INTO account VALUES (1, 'a'), (2, 'b');
INSERT INTO message VALUES ('k1', 1, NULL, 'old', 'x'), ('k2', 2, NULL, 'b', 'x'), ('k3', 1, 2, 'old', 'b');
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new"}]', subject => 'account') - 'subject_id' AS result;
TABLE message ORDER BY 1;
-- Two links that each hold a part of the key: the second step would miss what the first has moved, and says so.
CREATE TABLE pair (a_mail text, b_mail text, a int REFERENCES account, b int REFERENCES account, PRIMARY KEY (a_mail, b_mail));
SECURITY LABEL FOR effaced ON TABLE pair IS '{"links": [{"name": "a", "path": "a"}, {"name": "b", "path": "b"}]}';
SECURITY LABEL FOR effaced ON COLUMN pair.a_mail IS '{"category": "location", "erasure": "retain", "retention": {"reason": "key"}, "link": "a"}';
SECURITY LABEL FOR effaced ON COLUMN pair.b_mail IS '{"category": "location", "erasure": "retain", "retention": {"reason": "key"}, "link": "b"}';
INSERT INTO pair VALUES ('x', 'y', 1, 2), ('v', 'w', 1, 1);
SELECT effaced_rectify(1, '[{"category": "location", "value": "z"}]', subject => 'account');
\echo :LAST_ERROR_SQLSTATE
TABLE pair ORDER BY 1;

-- The subject's own key, and what hangs from it.
CREATE TABLE cu (mail text PRIMARY KEY, alt text);
CREATE TABLE od (id int PRIMARY KEY, mail text REFERENCES cu ON UPDATE CASCADE, alt text);
SECURITY LABEL FOR effaced ON TABLE cu IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN cu.mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}}';
SECURITY LABEL FOR effaced ON COLUMN cu.alt IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN od.alt IS '{"category": "contact", "erasure": "anonymize"}';
INSERT INTO cu VALUES ('a', 'a'), ('b', 'b');
INSERT INTO od VALUES (1, 'a', 'a'), (2, 'b', 'b');
SELECT effaced_rectify('a'::text, '[{"category": "contact", "value": "c"}]', subject => 'cu') -> 'rectified' AS rectified;
TABLE cu ORDER BY 1; TABLE od ORDER BY 1;

-- A value that is tied to a link which leads from the subject's row to itself.
CREATE TABLE emp (id int PRIMARY KEY, boss int REFERENCES emp, name text, boss_note text);
SECURITY LABEL FOR effaced ON TABLE emp IS '{"path": "", "links": [{"name": "boss", "path": "boss"}]}';
SECURITY LABEL FOR effaced ON COLUMN emp.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN emp.boss_note IS '{"category": "special", "erasure": "anonymize", "link": "boss"}';
INSERT INTO emp VALUES (1, NULL, 'Boss', 'nobody''s'), (2, 1, 'Two', 'n2'), (4, 4, 'Self', 'n4'), (5, 4, 'Five', 'n5');
SELECT effaced_rectify(1, '[{"category": "special", "value": "FIX"}, {"category": "identity", "value": "NAME"}]', subject => 'emp') -> 'rectified' AS rectified;
SELECT effaced_rectify(4, '[{"category": "special", "value": "FIX4"}, {"category": "identity", "value": "NAME4"}]', subject => 'emp') -> 'rectified' AS rectified;
TABLE emp ORDER BY id;
SELECT row_key ->> 'id' AS id, field, value FROM effaced_export_records(4, 'emp');

-- Constraints that are deferred are checked before the call returns, without a value, whatever their names meet.
CREATE TABLE cust (id int PRIMARY KEY, email text CONSTRAINT one_each UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE other (id int CONSTRAINT one_each_ok CHECK (id > 0), email text);
SECURITY LABEL FOR effaced ON TABLE cust IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN cust.email IS '{"category": "contact", "erasure": "anonymize"}';
INSERT INTO cust VALUES (1, 'one'), (2, 'SECRET@x');
SELECT effaced_rectify(1, '[{"category": "contact", "value": "SECRET@x"}]', subject => 'cust');
\echo :LAST_ERROR_SQLSTATE
-- What the caller has deferred stays so.
BEGIN;
INSERT INTO cust VALUES (3, 'three');
SELECT effaced_rectify(1, '[{"category": "contact", "value": "uno"}]', subject => 'cust') -> 'rectified' AS rectified;
INSERT INTO cust VALUES (4, 'three');
SELECT 'not yet checked' AS constraint;
DELETE FROM cust WHERE id > 2;
COMMIT;
TABLE cust ORDER BY id;
CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad %', NEW.email; END $$;
CREATE CONSTRAINT TRIGGER complain AFTER UPDATE ON cust DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION complain();
SELECT effaced_rectify(1, '[{"category": "contact", "value": "SECRET"}]', subject => 'cust');
\echo :LAST_ERROR_SQLSTATE
-- An erasure is held to it as well.
CREATE OR REPLACE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad %', OLD.email; END $$;
SELECT effaced_erase(2, subject => 'cust');
\echo :LAST_ERROR_SQLSTATE
-- A trigger that is put off does its work once, when the transaction ends.
CREATE TABLE done (email text);
CREATE OR REPLACE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO done VALUES (NEW.email); RETURN NULL; END $$;
BEGIN;
SELECT effaced_rectify(1, '[{"category": "contact", "value": "eins"}]', subject => 'cust') -> 'rectified' AS rectified;
SELECT count(*) AS done FROM done;
COMMIT;
TABLE done;
-- Namesakes of which one cannot be deferred
CREATE TABLE mem (mail text PRIMARY KEY);
CREATE TABLE ballot (id int PRIMARY KEY, mail text, CONSTRAINT fkm FOREIGN KEY (mail) REFERENCES mem DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE elsewhere (id int PRIMARY KEY, mail text, CONSTRAINT fkm FOREIGN KEY (mail) REFERENCES mem);
SECURITY LABEL FOR effaced ON TABLE mem IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN mem.mail IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "key"}}';
INSERT INTO mem VALUES ('SECRET-A');
INSERT INTO ballot VALUES (1, 'SECRET-A');
SELECT effaced_rectify('SECRET-A'::text, '[{"category": "identity", "value": "SECRET-B"}]', subject => 'mem');
\echo :LAST_ERROR_SQLSTATE
TABLE mem;

-- The column of a violated constraint is named where several are corrected at once.
CREATE TABLE several (id int PRIMARY KEY, a text, b text CHECK (b <> 'bad'), c text);
CREATE UNIQUE INDEX several_c ON several (lower(c), b);
SECURITY LABEL FOR effaced ON TABLE several IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN several.a IS '{"category": "identity", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN several.b IS '{"category": "identity", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN several.c IS '{"category": "contact", "surrogate": "NULL"}';
INSERT INTO several VALUES (1, 'x', 'y', 'z'), (2, 'x', 'taken', 'z');
CREATE FUNCTION attempt(corrections jsonb, OUT state text, OUT col text, OUT con text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM effaced_rectify(1, corrections, subject => 'several');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, col = COLUMN_NAME, con = CONSTRAINT_NAME, detail = PG_EXCEPTION_DETAIL;
END $$;
SELECT * FROM attempt('[{"category": "identity", "value": "bad"}]');
SELECT * FROM attempt('[{"category": "identity", "value": "taken"}]');
TABLE several ORDER BY id;
