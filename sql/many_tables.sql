-- Where a plan has very many tables, indexes tell which of them have nothing of the
-- subject, and their statements are not run. Nothing else is different: what is
-- found, who is refused, what triggers write.
CREATE EXTENSION effaced;
SET client_min_messages = warning;

CREATE ROLE regress_dpo;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_dpo;

CREATE FUNCTION label(relation regclass, link text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %s IS %L', relation, link);
	EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %s.note IS %L', relation, '{"category": "communication"}');
END
$$;

CREATE TABLE person (id bigint PRIMARY KEY, name text, joined date);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
INSERT INTO person SELECT i, 'Person ' || i, '2020-01-01' FROM generate_series(1, 200) i;

-- Each refers to the one before, so that its rows keep those from going.
DO $$
BEGIN
	FOR i IN 1..34 LOOP
		EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES person, note text%s)',
					   i, CASE WHEN i > 1 THEN format(', before bigint REFERENCES t%s', i - 1) END);
		EXECUTE format('CREATE INDEX ON t%s (person_id)', i);
		PERFORM label(format('t%s', i)::regclass, '{"path": "person_id"}');
	END LOOP;
END
$$;

-- Others are reached, or looked up, in other ways.
CREATE TABLE narrow (id int PRIMARY KEY, person_id int REFERENCES person, note text, kept text);
CREATE INDEX ON narrow (person_id, id);
SELECT label('narrow', '{"path": "person_id"}');
CREATE TABLE unindexed (id int PRIMARY KEY, person_id bigint REFERENCES person, note text);
CREATE INDEX ON unindexed ((person_id + 0));
CREATE INDEX ON unindexed (person_id) WHERE id < 0;
CREATE INDEX ON unindexed (person_id, note) WHERE note IS NOT NULL;
SELECT label('unindexed', '{"path": "person_id"}');
CREATE TABLE other_order (id int PRIMARY KEY, person_id bigint REFERENCES person, note text);
CREATE INDEX ON other_order (id, person_id);
SELECT label('other_order', '{"path": "person_id"}');
CREATE TABLE hashed (id int PRIMARY KEY, person_id bigint REFERENCES person, note text);
CREATE INDEX ON hashed USING hash (person_id);
SELECT label('hashed', '{"path": "person_id"}');
CREATE TABLE parted (id int, person_id bigint REFERENCES person, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE INDEX ON parted (person_id);
SELECT label('parted', '{"path": "person_id"}');
CREATE TABLE parent (id int PRIMARY KEY, person_id bigint REFERENCES person, note text);
CREATE INDEX ON parent (person_id);
CREATE TABLE child () INHERITS (parent);
SELECT label('parent', '{"path": "person_id"}');
CREATE TABLE kept (id int PRIMARY KEY, person_id bigint REFERENCES person, note text, amount int);
CREATE INDEX ON kept (person_id);
SELECT label('kept', '{"path": "person_id"}');
SECURITY LABEL FOR effaced ON COLUMN kept.amount IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax"}}';
CREATE TABLE item (id int PRIMARY KEY, kept_id int REFERENCES kept, note text, stays int);
SELECT label('item', '{"path": "kept_id.person_id"}');
CREATE TABLE part (id int PRIMARY KEY, item_id int REFERENCES item, note text);
CREATE INDEX ON part (item_id);
SELECT label('part', '{"path": "item_id.kept_id.person_id"}');
CREATE TABLE either (id int PRIMARY KEY, person_id bigint REFERENCES person, by_whom bigint REFERENCES person, note text, stays int);
CREATE INDEX ON either (person_id);
CREATE INDEX ON either (by_whom);
SELECT label('either', '{"links": [{"name": "of", "path": "person_id"}, {"name": "by", "path": "by_whom"}]}');
CREATE TABLE sort (id int PRIMARY KEY, kind text, ref bigint, note text);
CREATE INDEX ON sort (ref);
SELECT label('sort', '{"hops": [{"source_columns": ["ref"], "target_table": "person", "target_columns": ["id"]}], "where": "kind = ''person''"}');

CREATE FUNCTION found(result jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(word, tables) FROM (
		SELECT word, jsonb_object_agg(t, n) AS tables FROM jsonb_each(result) r(word, value), jsonb_each(value) v(t, n)
		WHERE jsonb_typeof(value) = 'object' AND n::int > 0 GROUP BY word) AS s
$$;

-- Tables that statements of the transaction were about: their indexes are locked.
CREATE VIEW used AS SELECT array_agg(DISTINCT t.relname ORDER BY t.relname) AS used
	FROM pg_locks l JOIN pg_index i ON i.indexrelid = l.relation JOIN pg_class t ON t.oid = i.indrelid
	WHERE l.pid = pg_backend_pid() AND (t.relname ~ '^t\d' OR t.relname IN ('narrow', 'kept', 'item', 'part'));

--
-- A row is found wherever it is, and alone.
--
BEGIN;
SELECT found(effaced_erase(1));
SELECT * FROM used;
INSERT INTO t7 VALUES (1, 2, 'a note');
INSERT INTO t8 VALUES (1, 3, 'of another', 1);
SELECT found(effaced_erase(2));
SELECT * FROM t7;
SELECT * FROM t8;
SELECT found(effaced_erase(2));
COMMIT;

CREATE FUNCTION erase_one(person bigint, command text) RETURNS TABLE (erased jsonb, verified jsonb) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(command, '$1', person::text);
	erased := found(effaced_erase(person)) - 'retained';
	verified := effaced_verify(person) -> 'verified';
	RETURN NEXT;
END
$$;
SELECT split_part(c, ' ', 3) AS into, r.* FROM unnest(ARRAY[
	'INSERT INTO narrow VALUES (10, $1, ''a note'', ''kept'')',
	'INSERT INTO unindexed VALUES (10, $1, ''a note'')',
	'INSERT INTO other_order VALUES (10, $1, ''a note'')',
	'INSERT INTO hashed VALUES (10, $1, ''a note'')',
	'INSERT INTO parted VALUES (10, $1, ''a note'')',
	'INSERT INTO parent VALUES (10, $1, ''a note'')',
	'INSERT INTO child VALUES (11, $1, ''a note'')',
	'INSERT INTO kept VALUES (10, $1, ''a note'', 5)',
	'WITH k AS (INSERT INTO kept VALUES (12, $1, NULL, 5)) INSERT INTO item VALUES (10, 12, ''a note'', 1)',
	'WITH k AS (INSERT INTO kept VALUES (13, $1, NULL, 5)), i AS (INSERT INTO item VALUES (11, 13, NULL, 1)) INSERT INTO part VALUES (10, 11, ''a note'')',
	'INSERT INTO either VALUES (10, $1, NULL, ''a note'')',
	'INSERT INTO either VALUES (11, NULL, $1, ''a note'')',
	'INSERT INTO either VALUES (12, 1, $1, ''a note'')',
	'INSERT INTO sort VALUES (10, ''person'', $1, ''a note'')',
	'INSERT INTO sort VALUES (11, ''thing'', $1, ''a note'')',
	'INSERT INTO unindexed VALUES (11, $1)']) WITH ORDINALITY AS u(c, i), erase_one(10 + i, c) AS r ORDER BY i;

-- What a row that goes is referenced by is let go of, and retained rows are recorded,
-- none as well.
INSERT INTO t20 VALUES (20, 40, 'goes');
INSERT INTO t21 VALUES (21, 41, 'refers to it', 20);
SELECT found(effaced_erase(40));
SELECT * FROM t21;
SELECT payload FROM effaced_audit_events WHERE subject_ref = '40' AND payload ->> 'strategy' = 'retain';

-- Several subjects, of whom one has a row.
INSERT INTO t30 VALUES (30, 55, 'of one of them');
SELECT found(effaced_erase_many(ARRAY(SELECT i::text FROM generate_series(50, 60) i)));
SELECT subject_ref, payload ->> 'target' AS target, payload ->> 'rows' AS rows FROM effaced_audit_events
	WHERE event_type = 'erasure_step_succeeded' AND subject_ref::int BETWEEN 50 AND 60 AND payload ->> 'target' <> 'kept' ORDER BY seq;
SELECT found(effaced_erase_many('{}'));

-- Rows of unmapped tables in the way of an empty table are in nobody's way.
CREATE TABLE unmapped (id int PRIMARY KEY, t1 bigint REFERENCES t1);
INSERT INTO t1 VALUES (61, 61, 'one'), (62, 62, 'two');
INSERT INTO unmapped VALUES (1, 62);
SELECT found(effaced_erase(61));
SELECT found(effaced_erase(62));
\echo :LAST_ERROR_SQLSTATE
DROP TABLE unmapped;

--
-- Triggers on statements fire, whether there are rows or not, and what triggers
-- write into tables that were empty is erased.
--
CREATE FUNCTION copy_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t3 VALUES (old.id, old.person_id, 'copied', (SELECT id FROM t2 WHERE person_id = old.person_id));
	INSERT INTO t9 VALUES (old.id, old.person_id, 'copied', NULL);
	RETURN old;
END
$$;
CREATE FUNCTION note_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '% on %', TG_OP, TG_RELNAME; RETURN NULL; END $$;
CREATE TRIGGER copy BEFORE DELETE ON t6 FOR EACH ROW EXECUTE FUNCTION copy_row();
CREATE TRIGGER note AFTER DELETE ON t12 EXECUTE FUNCTION note_statement();
INSERT INTO t2 VALUES (70, 70, 'is referred to by a copy');
INSERT INTO t6 VALUES (70, 70, 'is copied');
SELECT found(effaced_erase(70));
SELECT count(*) FROM t3;
SELECT count(*) FROM t9;
SELECT effaced_verify(70) -> 'verified' AS verified;
INSERT INTO t6 VALUES (72, 72, 'is copied');
SELECT found(effaced_erase_many('{71,72,73}'));
SELECT effaced_verify(72) -> 'verified' AS verified;
DROP TRIGGER copy ON t6;
DROP TRIGGER note ON t12;

--
-- Who may not erase is refused, although there is nothing in that table.
--
CREATE FUNCTION attempt(person bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
BEGIN
	RETURN found(effaced_erase(person));
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
	RETURN state || ': ' || message;
END
$$;
GRANT EXECUTE ON FUNCTION attempt, found TO regress_dpo;
GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO regress_dpo;
REVOKE ALL ON effaced_audit_events, effaced.effaced_secret FROM regress_dpo;
INSERT INTO t2 VALUES (80, 80, 'a note'), (81, 81, 'a note'), (82, 82, 'a note');
BEGIN;
SET LOCAL ROLE regress_dpo;
SELECT attempt(80);
RESET ROLE;
SELECT * FROM used;
COMMIT;

CREATE FUNCTION without(change text, back text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE change;
	SET LOCAL ROLE regress_dpo;
	result := attempt(81);
	RESET ROLE;
	EXECUTE back;
	RETURN result;
END
$$;
SELECT change, without(change, back) FROM (VALUES
	('REVOKE DELETE ON t17 FROM regress_dpo', 'GRANT DELETE ON t17 TO regress_dpo'),
	('REVOKE SELECT ON t17 FROM regress_dpo', 'GRANT SELECT ON t17 TO regress_dpo'),
	('REVOKE UPDATE ON narrow FROM regress_dpo', 'GRANT UPDATE ON narrow TO regress_dpo'),
	('REVOKE UPDATE ON t17 FROM regress_dpo', 'GRANT UPDATE ON t17 TO regress_dpo'),
	('REVOKE SELECT ON kept FROM regress_dpo', 'GRANT SELECT ON kept TO regress_dpo'),
	('ALTER TABLE t17 ENABLE ROW LEVEL SECURITY', 'ALTER TABLE t17 DISABLE ROW LEVEL SECURITY'),
	('ALTER TABLE kept ENABLE ROW LEVEL SECURITY', 'ALTER TABLE kept DISABLE ROW LEVEL SECURITY')) AS v(change, back);
SELECT person_id, note FROM t2 ORDER BY id;

-- Privileges on columns are enough, as they are elsewhere.
REVOKE SELECT, UPDATE ON t17 FROM regress_dpo;
GRANT SELECT (id, person_id, before), UPDATE (before) ON t17 TO regress_dpo;
SET ROLE regress_dpo;
SELECT attempt(81);
RESET ROLE;

-- A schema that may not be looked into.
CREATE SCHEMA hidden;
CREATE TABLE hidden.t (id int PRIMARY KEY, person_id bigint REFERENCES person, note text);
CREATE INDEX ON hidden.t (person_id);
SELECT label('hidden.t', '{"path": "person_id"}');
GRANT SELECT, UPDATE, DELETE ON hidden.t TO regress_dpo;
GRANT SELECT, UPDATE ON t17 TO regress_dpo;
SET ROLE regress_dpo;
SELECT attempt(82);
RESET ROLE;
GRANT USAGE ON SCHEMA hidden TO regress_dpo;
SET ROLE regress_dpo;
SELECT attempt(82);
RESET ROLE;

-- An index that is no longer there, and rows in a child that is new.
INSERT INTO t2 VALUES (100, 100, 'a note');
DROP INDEX t2_person_id_idx;
SELECT found(effaced_erase(100));
CREATE TABLE new_child () INHERITS (t4);
INSERT INTO new_child VALUES (101, 101, 'a note');
SELECT found(effaced_erase(101));

-- A constraint that is put off is checked, also where nothing is of the subject.
INSERT INTO t5 VALUES (90, 90, 'a note', NULL);
ALTER TABLE t5 ADD UNIQUE (note) DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO t5 VALUES (91, 91, 'twice', NULL), (92, 92, 'twice', NULL);
SELECT found(effaced_erase(93));
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

DROP OWNED BY regress_dpo;
DROP ROLE regress_dpo;
