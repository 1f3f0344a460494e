-- Triggers and rules of the tables fire as they do for any DELETE and UPDATE. One
-- that keeps a statement from its work is noticed, and the call fails as a whole.
CREATE EXTENSION effaced;
CREATE SCHEMA app;
SET search_path = app, public;

CREATE TABLE person (id int PRIMARY KEY, name text, email text, joined date, deleted boolean DEFAULT false);
CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, body text);
CREATE TABLE likes (id int PRIMARY KEY, post_id int REFERENCES post, emoji text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "set": {"deleted": "true"}}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "surrogate": "''Nobody''"}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE likes IS '{"path": "post.person"}';
SECURITY LABEL FOR effaced ON COLUMN likes.emoji IS '{"category": "behavioral"}';
INSERT INTO person VALUES (1, 'Ada', 'ada@example.com'), (2, 'Ben', 'ben@example.com');
INSERT INTO post SELECT i, 1 + i % 2, 'post ' || i FROM generate_series(1, 4) i;
INSERT INTO likes SELECT i, i, 'heart' FROM generate_series(1, 4) i;

CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE VIEW state AS SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM person t) AS person,
	(SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM post t) AS post,
	(SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM likes t) AS likes,
	(SELECT count(*) FROM effaced_audit_events) AS events;
CREATE TABLE before AS TABLE state;

-- A BEFORE trigger that swallows the DELETE.
CREATE TRIGGER swallow BEFORE DELETE ON post FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
-- Only some of the rows are enough, ...
DROP TRIGGER swallow ON post;
CREATE TRIGGER swallow BEFORE DELETE ON likes FOR EACH ROW WHEN (OLD.id = 1) EXECUTE FUNCTION swallow();
SELECT effaced_erase('2') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
-- ... and rows of others do not matter.
BEGIN;
SELECT effaced_erase('1') -> 'deleted' AS deleted;
ROLLBACK;
-- Disabled, or for replication only, it does not fire.
BEGIN;
ALTER TABLE likes DISABLE TRIGGER swallow;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
-- ENABLE ALWAYS fires even then.
BEGIN;
ALTER TABLE likes ENABLE ALWAYS TRIGGER swallow;
SET LOCAL session_replication_role = replica;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DROP TRIGGER swallow ON likes;

-- One that swallows the UPDATE, ...
CREATE TRIGGER swallow BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER swallow ON person;
-- ... or puts a value back, ...
CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := OLD.name; RETURN NEW; END';
CREATE TRIGGER put_back BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION put_back();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER put_back ON person;
-- ... or writes another one, ...
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.email := upper(NEW.email); RETURN NEW; END';
CREATE TRIGGER shout BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION shout();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER shout ON person;
-- ... or only undoes what "set" has written.
CREATE FUNCTION undelete() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.deleted := false; RETURN NEW; END';
CREATE TRIGGER undelete BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION undelete();
BEGIN;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DROP TRIGGER undelete ON person;
-- One that writes the row anew after it was deleted.
CREATE FUNCTION resurrect() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO likes VALUES (OLD.id + 100, OLD.post_id, OLD.emoji); RETURN NULL; END';
CREATE TRIGGER resurrect AFTER DELETE ON likes FOR EACH ROW EXECUTE FUNCTION resurrect();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER resurrect ON likes;

-- One on a table whose rows only lose their reference.
CREATE TABLE quote (id int PRIMARY KEY, post_id int REFERENCES post, person_id int REFERENCES person, text text, year int);
SECURITY LABEL FOR effaced ON TABLE quote IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN quote.text IS '{"category": "communication", "surrogate": "''...''"}';
INSERT INTO quote VALUES (1, 2, 2, 'quoted', 2020);
CREATE TRIGGER swallow BEFORE UPDATE ON quote FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
SELECT p.body, q.text FROM post p LEFT JOIN quote q ON q.post_id = p.id ORDER BY p.id;
DROP TABLE quote;

-- Rules: DO INSTEAD NOTHING, and the classic of DELETE as a flag.
CREATE RULE keep AS ON DELETE TO likes DO INSTEAD NOTHING;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP RULE keep ON likes;
CREATE RULE keep AS ON DELETE TO likes WHERE OLD.id = 2 DO INSTEAD UPDATE likes SET emoji = 'gone' WHERE id = OLD.id;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP RULE keep ON likes;
CREATE RULE keep AS ON UPDATE TO person DO INSTEAD NOTHING;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP RULE keep ON person;
-- A rule that only does more is none of effaced's business.
CREATE TABLE counter (deleted int);
INSERT INTO counter VALUES (0);
CREATE RULE count AS ON DELETE TO likes DO ALSO UPDATE app.counter SET deleted = deleted + 1;
BEGIN;
SELECT effaced_erase('1') -> 'deleted' AS deleted;
TABLE counter;
ROLLBACK;
DROP RULE count ON likes;
-- On a partition or a child too.
CREATE TABLE scroll (id int, person_id int REFERENCES person, at date, path text) PARTITION BY RANGE (at);
CREATE TABLE scroll_1 PARTITION OF scroll FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
SECURITY LABEL FOR effaced ON TABLE scroll IS '{"path": "person", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN scroll.path IS '{"category": "behavioral"}';
INSERT INTO scroll VALUES (1, 1, '2020-05-05', '/');
CREATE TRIGGER swallow BEFORE DELETE ON scroll_1 FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE scroll;

-- After all these failures nothing has changed.
SELECT * FROM state EXCEPT TABLE before;

--
-- Triggers see the caller's search_path, as for the caller's own DELETE: many
-- name their tables without a schema. Those that have a setting of their own
-- keep it.
--
CREATE TABLE log (seq int GENERATED ALWAYS AS IDENTITY, place text, path text, security text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (place, path, security) VALUES (TG_OP || ' ' || TG_TABLE_NAME, current_setting('search_path'), current_setting('row_security'));
	RETURN NULL;
END
$$;
CREATE FUNCTION note_pinned() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	INSERT INTO app.log (place, path, security) VALUES (TG_OP || ' ' || TG_TABLE_NAME, current_setting('search_path'), current_setting('row_security'));
	RETURN NULL;
END
$$;
CREATE FUNCTION note_other() RETURNS trigger LANGUAGE plpgsql SET work_mem = '1MB' AS $$
BEGIN
	INSERT INTO log (place, path, security) VALUES (TG_OP || ' ' || TG_TABLE_NAME, current_setting('search_path'), current_setting('row_security'));
	RETURN NULL;
END
$$;
CREATE TRIGGER note AFTER DELETE ON likes FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER note_pinned AFTER DELETE ON likes FOR EACH STATEMENT EXECUTE FUNCTION note_pinned();
CREATE TRIGGER note_other AFTER DELETE ON likes FOR EACH STATEMENT EXECUTE FUNCTION note_other();
CREATE TRIGGER note BEFORE UPDATE ON person FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE FUNCTION note_deeper() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app.log (place, path) VALUES (TG_OP || ' ' || TG_TABLE_NAME, current_setting('search_path'));
	RETURN NULL;
END
$$;
CREATE TRIGGER note_deeper AFTER INSERT ON log FOR EACH STATEMENT WHEN (pg_trigger_depth() < 2) EXECUTE FUNCTION note_deeper();
BEGIN;
SELECT effaced_erase('1') -> 'deleted' AS deleted;
SELECT place, path, security FROM log ORDER BY seq;
SHOW search_path;
ROLLBACK;
-- The caller may be a function that has pinned its own search_path: that is what
-- its triggers see, whatever was called before.
CREATE FUNCTION erase_pinned(id text) RETURNS jsonb LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	SELECT public.effaced_erase(id)
$$;
BEGIN;
SELECT app.erase_pinned('1') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DROP TRIGGER note ON likes;
DROP TRIGGER note_other ON likes;
DROP TRIGGER note ON person;
BEGIN;
SELECT app.erase_pinned('1') -> 'deleted' AS deleted;
SELECT place, path, security FROM log ORDER BY seq;
ROLLBACK;
-- Ordinary DML in such a function, outside effaced, is not touched at all.
CREATE FUNCTION show_path() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', current_setting('search_path'); RETURN NULL; END $$;
CREATE TRIGGER show_path AFTER UPDATE ON post FOR EACH STATEMENT EXECUTE FUNCTION show_path();
CREATE FUNCTION touch() RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ UPDATE app.post SET body = body $$;
SELECT count(*) > 0 FROM effaced_plan('1');
SELECT app.touch();
DROP TRIGGER show_path ON post;
-- Nor does an error in the middle leave anything behind.
SET search_path = '';
CREATE TRIGGER show_path AFTER DELETE ON app.likes FOR EACH STATEMENT EXECUTE FUNCTION app.show_path();
CREATE TRIGGER swallow BEFORE DELETE ON app.post FOR EACH ROW EXECUTE FUNCTION app.swallow();
SELECT public.effaced_erase('1');
SHOW search_path;
DROP TRIGGER swallow ON app.post;
DROP TRIGGER show_path ON app.likes;
SET search_path = app, public;
CREATE TRIGGER show_path AFTER UPDATE ON post FOR EACH STATEMENT EXECUTE FUNCTION show_path();
SELECT app.touch();
UPDATE post SET body = body WHERE false;
DROP TRIGGER show_path ON post;

-- A trigger may itself erase, and one may fire deeper down.
CREATE FUNCTION erase_too() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.id = 1 THEN
		PERFORM effaced_erase('2');
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER erase_too AFTER UPDATE ON person FOR EACH ROW EXECUTE FUNCTION erase_too();
BEGIN;
SELECT effaced_erase('1') -> 'deleted' AS deleted;
SELECT id, name, deleted FROM person ORDER BY id;
SHOW search_path;
SHOW row_security;
ROLLBACK;
DROP TRIGGER erase_too ON person;

--
-- An error of a trigger keeps its SQLSTATE and the names; its text and its
-- context are withheld, since they may quote a row.
--
CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'not %', OLD.body USING DETAIL = 'It says ' || OLD.body, HINT = 'Ask ' || OLD.body,
		ERRCODE = 'check_violation', TABLE = 'post', SCHEMA = 'app', COLUMN = 'body', CONSTRAINT = 'no_' || OLD.id, DATATYPE = 'text';
END
$$;
CREATE TRIGGER complain BEFORE DELETE ON post FOR EACH ROW EXECUTE FUNCTION complain();
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION diagnose(id text) RETURNS TABLE (field text, value text) LANGUAGE plpgsql AS $$
DECLARE
	a text; b text; c text; d text; e text; f text; g text; h text; i text; j text;
BEGIN
	PERFORM effaced_erase(id);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS a = RETURNED_SQLSTATE, b = MESSAGE_TEXT, c = PG_EXCEPTION_DETAIL, d = PG_EXCEPTION_HINT, e = PG_EXCEPTION_CONTEXT,
		f = SCHEMA_NAME, g = TABLE_NAME, h = COLUMN_NAME, i = CONSTRAINT_NAME, j = PG_DATATYPE_NAME;
	RETURN QUERY VALUES ('sqlstate', a), ('message', b), ('detail', c), ('hint', d), ('context', e), ('schema', f), ('table', g), ('column', h), ('constraint', i), ('type', j);
END
$$;
SELECT * FROM diagnose('1');
DROP TRIGGER complain ON post;
-- A constraint that the surrogate violates is named.
ALTER TABLE person ADD CONSTRAINT not_nobody CHECK (name <> 'Nobody');
SELECT * FROM diagnose('1') WHERE value <> '';
SELECT count(*) AS quoting FROM diagnose('1') WHERE value ~ 'Ada|ada@|post \d';
ALTER TABLE person DROP CONSTRAINT not_nobody;
SELECT * FROM state EXCEPT TABLE before;
