-- After a restore: whom a copy of the trail knows as erased is erased again.
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text, since date);
CREATE TABLE "Staff" (country text, no int, name text, PRIMARY KEY (country, no));
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE "Staff" IS '{"path": "", "subject": "the staff"}';
SECURITY LABEL FOR effaced ON COLUMN "Staff".name IS '{"category": "identity"}';
INSERT INTO person SELECT i, 'person ' || i, '2020-01-01' FROM generate_series(1, 20) i;
INSERT INTO "Staff" SELECT 'a:' || i, i, 'staff ' || i FROM generate_series(1, 5) i;

-- A saved trail, as another server may have kept it: other types, another order, events of other kinds.
CREATE SCHEMA saved;
CREATE TABLE saved.events (id serial, payload json, event_type varchar, subject text, subject_ref text, occurred_at timestamptz);
CREATE FUNCTION event(event text, ref text, at timestamptz, payload json DEFAULT '{}', kind text DEFAULT 'person') RETURNS void LANGUAGE sql AS
	'INSERT INTO saved.events (event_type, subject_ref, occurred_at, payload, subject) VALUES ($1, $2, $3, $4, $5)';
-- erased after the backup, and at its very moment
SELECT event('erasure_requested', '1', '2026-01-02'), event('erasure_step_succeeded', '1', '2026-01-02', '{"target": "person", "rows": 1}'), event('erasure_local_completed', '1', '2026-01-02'), event('erasure_completed', '1', '2026-01-02');
SELECT event('erasure_local_completed', '2', '2026-01-01');
-- a little before: it may have committed after it
SELECT event('erasure_local_completed', '3', '2025-12-31 00:00:01');
-- long before, even if an external system followed only later
SELECT event('erasure_local_completed', '4', '2025-12-30'), event('erasure_step_succeeded', '4', '2026-01-03', '{"target": "crm", "entry_id": "x"}'), event('erasure_completed', '4', '2026-01-03'), event('erasure_verified', '4', '2026-01-03');
-- only failures, local or elsewhere
SELECT event('erasure_requested', '5', '2026-01-02'), event('erasure_step_failed', '5', '2026-01-02', '{"target": "person"}');
SELECT event('erasure_step_failed', '6', '2026-01-02', '{"target": "crm", "entry_id": "x"}');
-- a failure, and then not
SELECT event('erasure_step_failed', '7', '2026-01-02'), event('erasure_local_completed', '7', '2026-01-03');
-- asked for, and nothing more; done in a part of the tables; of nobody knows what kind; when, nobody knows
SELECT event('erasure_requested', '8', '2026-01-02');
SELECT event('erasure_local_completed', '9', '2026-01-02', '{"tables": ["person"]}');
SELECT event('erasure_local_completed', '10', '2026-01-02', '{}', NULL);
SELECT event('erasure_local_completed', '11', NULL);
-- another kind, a composite identifier; somebody who is not here
SELECT event('erasure_local_completed', 'a\:1:1', '2026-01-02', '{}', 'the staff');
SELECT event('erasure_local_completed', '99', '2026-01-02', NULL);
-- other events
SELECT event('export_completed', '12', '2026-01-02'), event('consent_granted', '12', '2026-01-02'), event('rectification_step_failed', '12', '2026-01-02');

SELECT * FROM effaced_replay_plan('2026-01-01', 'saved.events');
-- the plan is a look and no more
SELECT count(*) FROM effaced_audit_events;
SELECT subject_id FROM effaced_replay_plan('2026-01-01', 'saved.events', '0') WHERE verdict = 'replayable';
SELECT count(*) FROM effaced_replay_plan('-infinity', 'saved.events') WHERE verdict = 'replayable';

SELECT * FROM effaced_replay('2026-01-01', 'saved.events');
SELECT id, name FROM person WHERE name NOT LIKE 'anon-%' ORDER BY id;
SELECT country, no, name FROM "Staff" ORDER BY no;
SELECT event_type, subject, subject_ref, payload FROM effaced_audit_events WHERE event_type IN ('erasure_replayed', 'erasure_local_completed') ORDER BY seq;
-- again: harmless
CREATE TABLE before AS TABLE person;
SELECT verdict, count(*) FROM effaced_replay('2026-01-01', 'saved.events') GROUP BY verdict ORDER BY 1;
SELECT count(*) FROM (TABLE person EXCEPT TABLE before) x;
-- its own trail is the default
SELECT count(*) FROM effaced_replay_plan(now());
SELECT count(*) FROM effaced_replay_plan(now() + '2 days');

-- Refused, with nothing changed.
SELECT count(*) AS events FROM effaced_audit_events \gset
\set SHOW_CONTEXT never
SELECT * FROM effaced_replay_plan(NULL);
SELECT * FROM effaced_replay_plan('2026-01-01', NULL);
SELECT * FROM effaced_replay_plan('2026-01-01', 'person');
SELECT * FROM effaced_replay('2026-01-01', 'person', NULL);
SELECT * FROM effaced_replay('2026-01-01', 'saved.events', '-1 day');
SELECT event('erasure_local_completed', '1', '2026-01-02', '{}', 'gone kind');
SELECT * FROM effaced_replay('2026-01-01', 'saved.events');
\echo :LAST_ERROR_SQLSTATE
DELETE FROM saved.events WHERE subject = 'gone kind';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM effaced_replay('2026-01-01', 'saved.events');
ROLLBACK;
\set VERBOSITY terse
-- whoever may replay reads the events and writes the tables with privileges of its own
CREATE ROLE regress_dpo;
GRANT EXECUTE ON FUNCTION effaced_replay, effaced_replay_plan TO regress_dpo;
GRANT USAGE ON SCHEMA saved TO regress_dpo;
SET ROLE regress_dpo;
SELECT * FROM effaced_replay('2026-01-01', 'saved.events');
RESET ROLE;
ALTER TABLE saved.events ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON saved.events TO regress_dpo;
SET ROLE regress_dpo;
SELECT * FROM effaced_replay('2026-01-01', 'saved.events');
RESET ROLE;
ALTER TABLE saved.events DISABLE ROW LEVEL SECURITY;
SET ROLE regress_dpo;
SELECT * FROM effaced_replay('2026-01-01', 'saved.events');
RESET ROLE;
SELECT count(*) = :events FROM effaced_audit_events;
GRANT SELECT, UPDATE, DELETE ON person, "Staff" TO regress_dpo;
SET ROLE regress_dpo;
SELECT verdict, count(*) FROM effaced_replay('2026-01-01', 'saved.events') GROUP BY verdict ORDER BY 1;
RESET ROLE;
DROP OWNED BY regress_dpo;
DROP ROLE regress_dpo;
