-- The trail as somebody has changed it: what is written there meets triggers, checks,
-- columns, rules and indexes as it would in an INSERT.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE post (id int PRIMARY KEY, person_id int REFERENCES person, body text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "subject": "person"}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "communication"}';
CREATE INDEX ON post (person_id);
INSERT INTO person SELECT g, 'SECRET name ' || g FROM generate_series(1, 300) g;
INSERT INTO post SELECT g, g, 'SECRET body ' || g FROM generate_series(1, 300) g;

-- what a call left, in its order
CREATE VIEW news AS
	SELECT subject_ref, string_agg(event_type, ' ' ORDER BY seq) AS events,
	       bool_and(actor = session_user AND subject = 'person' AND occurred_at <= clock_timestamp()) AS well
	  FROM effaced_audit_events GROUP BY subject_ref;
CREATE TABLE seen (what text, event_type text, subject_ref text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_LEVEL = 'ROW' THEN
		INSERT INTO public.seen VALUES (TG_WHEN, NEW.event_type, NEW.subject_ref);
		RETURN NEW;
	END IF;
	INSERT INTO public.seen VALUES (TG_WHEN || ' STATEMENT');
	RETURN NULL;
END $$;
CREATE VIEW sight AS SELECT what, subject_ref, count(*) FROM seen GROUP BY 1, 2 ORDER BY 1, 2;

-- 1. As it is
SELECT effaced_erase(1) -> 'deleted';
TABLE news;

-- 2. Triggers of each kind, from the next call on, until they are gone
CREATE TRIGGER see_row AFTER INSERT ON effaced.effaced_audit_events FOR EACH ROW EXECUTE FUNCTION see();
SELECT effaced_erase(2) -> 'deleted';
TABLE sight;
DROP TRIGGER see_row ON effaced_audit_events;
CREATE TRIGGER see_row BEFORE INSERT ON effaced.effaced_audit_events FOR EACH ROW EXECUTE FUNCTION see();
SELECT effaced_erase(3) -> 'deleted';
DROP TRIGGER see_row ON effaced_audit_events;
CREATE TRIGGER see_all BEFORE INSERT ON effaced.effaced_audit_events EXECUTE FUNCTION see();
SELECT effaced_erase(4) -> 'deleted';
DROP TRIGGER see_all ON effaced_audit_events;
CREATE TRIGGER see_all AFTER INSERT ON effaced.effaced_audit_events EXECUTE FUNCTION see();
SELECT effaced_erase(5) -> 'deleted';
DROP TRIGGER see_all ON effaced_audit_events;
SELECT effaced_erase(6) -> 'deleted';
TABLE sight;
SELECT count(*), count(DISTINCT events) FROM news WHERE well;
TRUNCATE seen;

-- 3. One that was never committed
BEGIN;
CREATE TRIGGER see_all AFTER INSERT ON effaced.effaced_audit_events EXECUTE FUNCTION see();
SELECT effaced_erase(7) -> 'deleted';
TABLE sight;
ROLLBACK;
BEGIN;
SAVEPOINT s;
CREATE TRIGGER see_all AFTER INSERT ON effaced.effaced_audit_events EXECUTE FUNCTION see();
ROLLBACK TO s;
SELECT effaced_erase(7) -> 'deleted';
COMMIT;
SELECT count(*) FROM seen;

-- 4. A rule
CREATE RULE also AS ON INSERT TO effaced_audit_events DO ALSO INSERT INTO seen VALUES ('rule', NEW.event_type, NEW.subject_ref);
SELECT effaced_erase(8) -> 'deleted';
DROP RULE also ON effaced_audit_events;
SELECT effaced_erase(9) -> 'deleted';
TABLE sight;

-- 5. Checks
ALTER TABLE effaced.effaced_audit_events ADD CONSTRAINT nobody_10 CHECK (subject_ref <> '10');
SELECT effaced_erase(10);
\echo :LAST_ERROR_SQLSTATE
SELECT name FROM person WHERE id = 10;
SELECT effaced_erase(11) -> 'deleted';
ALTER TABLE effaced.effaced_audit_events DROP CONSTRAINT nobody_10;
SELECT effaced_erase(10) -> 'deleted';
-- one that got the name of its own
ALTER TABLE effaced.effaced_audit_events DROP CONSTRAINT effaced_audit_events_event_type_check;
ALTER TABLE effaced.effaced_audit_events ADD CONSTRAINT effaced_audit_events_event_type_check CHECK (subject_ref <> '16');
SELECT effaced_erase(16);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE effaced.effaced_audit_events DROP CONSTRAINT effaced_audit_events_event_type_check;
-- or a function of somebody's, asked of the same column
CREATE FUNCTION is_word_of_theirs(word text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT word <> 'erasure_completed' $$;
ALTER TABLE effaced.effaced_audit_events ADD CONSTRAINT effaced_audit_events_event_type_check CHECK (is_word_of_theirs(event_type)) NOT VALID;
SELECT effaced_erase(16);
\echo :LAST_ERROR_SQLSTATE
SELECT name FROM person WHERE id = 16;
ALTER TABLE effaced.effaced_audit_events DROP CONSTRAINT effaced_audit_events_event_type_check;
DROP FUNCTION is_word_of_theirs(text);
ALTER TABLE effaced.effaced_audit_events ADD CHECK (effaced.effaced_is_event_type(event_type));
-- and that of a partition; from 17 on, a table that numbers itself becomes none
CREATE TABLE archive (LIKE effaced_audit_events) PARTITION BY LIST (subject_ref);
DO $$
BEGIN
	IF current_setting('server_version_num')::int < 170000 THEN
		EXECUTE (SELECT format('ALTER TABLE archive ATTACH PARTITION effaced_audit_events FOR VALUES IN (%s)',
		                       string_agg(DISTINCT quote_literal(subject_ref), ', ')) FROM effaced_audit_events);
		PERFORM effaced_erase('16');
		RAISE 'a row was written that its partition does not take';
	END IF;
EXCEPTION
	WHEN check_violation THEN
		NULL;
END $$;
DROP TABLE archive;
SELECT effaced_erase(16) -> 'deleted';
ALTER TABLE effaced.effaced_audit_events ALTER subject_ref SET NOT NULL;
SELECT effaced_manifest_snapshot();
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE effaced.effaced_audit_events ALTER subject_ref DROP NOT NULL;
SELECT effaced_manifest_snapshot() IS NOT NULL;
SELECT event_type, subject, subject_ref, payload = effaced_manifest() FROM effaced_audit_events WHERE subject_ref IS NULL;

-- 6. Indexes: expressions, parts, uniqueness
CREATE INDEX by_word ON effaced.effaced_audit_events (upper(event_type));
CREATE INDEX of_completed ON effaced.effaced_audit_events (occurred_at) WHERE event_type = 'erasure_completed';
CREATE UNIQUE INDEX by_id ON effaced_audit_events (event_id);
SELECT effaced_erase(12) -> 'deleted';
SELECT effaced_erase_many(ARRAY(SELECT g::text FROM generate_series(101, 290) g)) ->> 'subjects';
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT count(*) FROM effaced_audit_events WHERE upper(event_type) = 'ERASURE_REQUESTED';
SELECT count(*) FROM effaced_audit_events WHERE upper(event_type) = 'ERASURE_REQUESTED';
SET enable_bitmapscan = off;
SELECT count(occurred_at) FROM effaced_audit_events WHERE event_type = 'erasure_completed' AND occurred_at > '-infinity';
SELECT count(*), max(seq) - min(seq) FROM effaced_audit_events WHERE subject_ref = '12';
SELECT count(*) FROM generate_series(101, 290) g WHERE 5 = (SELECT count(*) FROM effaced_audit_events WHERE subject_ref = g::text);
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(*) FROM effaced_audit_events WHERE upper(event_type) = 'ERASURE_REQUESTED';
SELECT count(*) FROM effaced_audit_events WHERE event_type = 'erasure_completed';
-- those of a call are in their order, and so are their identifiers
SELECT count(*) FROM (SELECT event_id < lag(event_id) OVER (ORDER BY seq) AS down FROM effaced_audit_events) e WHERE down;
SELECT count(DISTINCT events) FROM news WHERE subject_ref::int BETWEEN 101 AND 290 AND well;
DROP INDEX by_word, of_completed, by_id;

-- 7. Its numbers
SELECT setval('effaced_audit_events_seq_seq', 1, false);
SELECT effaced_erase(13);
\echo :LAST_ERROR_SQLSTATE
SELECT name FROM person WHERE id = 13;
ALTER TABLE effaced.effaced_audit_events ALTER seq SET INCREMENT 10 RESTART WITH 5000;
SELECT effaced_erase(13) -> 'deleted';
SELECT min(seq), max(seq) FROM effaced_audit_events WHERE subject_ref = '13';

-- 8. Where nothing may be written
BEGIN READ ONLY;
SELECT effaced_export(20);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT effaced_erase(20) -> 'deleted';
SELECT events, well FROM news WHERE subject_ref = '20';
ROLLBACK;
SELECT count(*) FROM news WHERE subject_ref = '20';
-- what is written is there at once, also for what runs in the same statement
CREATE FUNCTION events_of(ref text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT count(*) FROM effaced_audit_events WHERE subject_ref = ref);
END $$;
SELECT effaced_erase(26) -> 'deleted', events_of('26');

-- 9. The owner writes, whoever calls; under policies too
CREATE ROLE regress_effaced_trail;
GRANT EXECUTE ON FUNCTION effaced_erase(text, jsonb, regclass, regclass[], text) TO regress_effaced_trail;
GRANT SELECT, DELETE, UPDATE ON person, post TO regress_effaced_trail;
SET ROLE regress_effaced_trail;
SELECT effaced_erase('21') -> 'deleted';
INSERT INTO effaced.effaced_audit_events (event_type) VALUES ('erasure_completed');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER TABLE effaced.effaced_audit_events ENABLE ROW LEVEL SECURITY;
SET ROLE regress_effaced_trail;
SELECT effaced_erase('22') -> 'deleted';
RESET ROLE;
SELECT subject_ref, well FROM news WHERE subject_ref IN ('21', '22') ORDER BY 1;
-- a policy that holds for the owner too is not evaded
CREATE POLICY all_but_23 ON effaced.effaced_audit_events WITH CHECK (subject_ref <> '23');
ALTER TABLE effaced.effaced_audit_events FORCE ROW LEVEL SECURITY;
GRANT EXECUTE ON FUNCTION effaced.effaced_is_event_type(text) TO regress_effaced_trail;
ALTER TABLE effaced.effaced_audit_events OWNER TO regress_effaced_trail;
SELECT effaced_erase(23) -> 'deleted';
\echo :LAST_ERROR_SQLSTATE
SELECT name FROM person WHERE id = 23;
ALTER TABLE effaced.effaced_audit_events NO FORCE ROW LEVEL SECURITY;
SELECT effaced_erase(23) -> 'deleted';
ALTER TABLE effaced.effaced_audit_events OWNER TO CURRENT_USER;
DROP POLICY all_but_23 ON effaced_audit_events;
ALTER TABLE effaced.effaced_audit_events DISABLE ROW LEVEL SECURITY;

-- 10. A column more, also after it is gone
ALTER TABLE effaced.effaced_audit_events ADD ticket text NOT NULL DEFAULT 'T-1';
SELECT effaced_erase(14) -> 'deleted';
SELECT DISTINCT ticket FROM effaced_audit_events WHERE subject_ref = '14';
ALTER TABLE effaced.effaced_audit_events DROP ticket;
SELECT effaced_erase(15) -> 'deleted';
SELECT count(*), count(DISTINCT events) FROM news WHERE subject_ref::int < 30 AND well;
SELECT count(*) FROM effaced_audit_events e WHERE e::text LIKE '%SECRET%';
DROP OWNED BY regress_effaced_trail;
DROP ROLE regress_effaced_trail;
