-- Triggers that write what an erasure removes into a history, and triggers and
-- rules that keep a shared row as it is. An erasure either takes what they left
-- too, or fails: success is never reported while a value is still there.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, email text, grade int);
CREATE TABLE a_history (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person_id int, actor_id int, email text);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO a_history (person_id, email) VALUES (OLD.id, OLD.email);
	RETURN NULL;
END $$;
CREATE TRIGGER remember AFTER UPDATE OR DELETE ON person FOR EACH ROW EXECUTE FUNCTION remember();
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact", "surrogate": "''...''"}';
SECURITY LABEL FOR effaced ON COLUMN a_history.email IS '{"category": "contact"}';
INSERT INTO person VALUES (1, 'ada@old.example', 1), (2, 'ben@old.example', 1);
UPDATE person SET email = 'ada@new.example' WHERE id = 1;
UPDATE person SET email = 'ben@new.example' WHERE id = 2;

-- The history comes before the person, so what the trigger adds comes after the
-- history was handled. It goes as well.
BEGIN;
SECURITY LABEL FOR effaced ON TABLE a_history IS '{"owned": true, "hops": [
	{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]}';
SELECT relation, strategy FROM effaced_plan(1) ORDER BY step;
SELECT e -> 'deleted' AS deleted, e -> 'anonymized' AS anonymized FROM effaced_erase(1) e;
SELECT person_id, email FROM a_history;
SELECT effaced_verify(1) -> 'verified' AS verified;
-- Whoever has nothing to erase leaves no history.
SELECT e -> 'deleted' AS deleted, e -> 'anonymized' AS anonymized FROM effaced_erase(1) e;
SELECT e -> 'deleted' AS deleted, e -> 'anonymized' AS anonymized FROM effaced_erase_many('{1,2}') e;
SELECT person_id, email FROM a_history;
ROLLBACK;

-- The same where the person's row is deleted.
BEGIN;
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON TABLE a_history IS '{"owned": true, "hops": [
	{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]}';
SELECT e -> 'deleted' AS deleted FROM effaced_erase(1) e;
SELECT person_id, email FROM a_history;
ROLLBACK;

-- A history with several owners: which of its rows go was settled before, and a
-- row more is an error.
BEGIN;
SECURITY LABEL FOR effaced ON TABLE a_history IS '{"owned": true, "links": [
	{"name": "person", "hops": [{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]},
	{"name": "actor", "hops": [{"source_columns": ["actor_id"], "target_table": "person", "target_columns": ["id"]}]}]}';
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT person_id, email FROM a_history ORDER BY id;
-- Without the trigger there is nothing in the way.
BEGIN;
ALTER TABLE person DISABLE TRIGGER remember;
SECURITY LABEL FOR effaced ON TABLE a_history IS '{"owned": true, "links": [
	{"name": "person", "hops": [{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]},
	{"name": "actor", "hops": [{"source_columns": ["actor_id"], "target_table": "person", "target_columns": ["id"]}]}]}';
SELECT e -> 'deleted' AS deleted, e -> 'anonymized' AS anonymized FROM effaced_erase(1) e;
SELECT person_id, email FROM a_history ORDER BY id;
ROLLBACK;

--
-- A shared row loses one owner's values by an UPDATE. A trigger or a rule that
-- swallows it is noticed like any other.
--
ALTER TABLE person DISABLE TRIGGER remember;
SECURITY LABEL FOR effaced ON COLUMN a_history.email IS NULL;
CREATE TABLE message (id int PRIMARY KEY, sender int REFERENCES person, receiver int REFERENCES person, sender_name text, body text);
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_name IS '{"category": "identity", "link": "sender", "surrogate": "''somebody''"}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';
INSERT INTO message VALUES (1, 1, 2, 'Ada', 'hello Ben');
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

BEGIN;
CREATE TRIGGER swallow BEFORE UPDATE ON message FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
CREATE RULE keep AS ON UPDATE TO message DO INSTEAD NOTHING;
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT count(*) AS events FROM effaced_audit_events;
SELECT e -> 'shared' AS shared FROM effaced_erase(1) e;
SELECT * FROM message;
