-- The runner in the server: functions of resolvers, one transaction each.
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET TimeZone = 'America/New_York';
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';

-- A system that does what its reference tells it, and writes down that it was asked.
CREATE SCHEMA crm;
CREATE TABLE crm.asked (who text PRIMARY KEY, times int DEFAULT 1);
CREATE TABLE crm.child (who text REFERENCES crm.asked DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION crm.erase(ref jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	-- the name is the caller's to find: nothing is pinned here
	INSERT INTO asked (who) VALUES (ref ->> 'value') ON CONFLICT (who) DO UPDATE SET times = asked.times + 1;
	CASE split_part(ref ->> 'value', ' ', 1)
		WHEN 'raise' THEN RAISE 'no such customer: %', ref;
		WHEN 'divide' THEN RETURN 1 / 0;
		WHEN 'refuse' THEN RAISE 'never: %', ref USING ERRCODE = 'ZE006';
		WHEN 'later' THEN INSERT INTO crm.child VALUES ('nobody');
		WHEN 'commit' THEN COMMIT;
		ELSE NULL;
	END CASE;
	RETURN ref -> 'extra';
END $$;
SELECT effaced_register_resolver('crm', erase => 'crm.erase(jsonb)');
SELECT effaced_register_resolver('outside');
SELECT effaced_register_resolver('archive', erase => 'crm.erase(jsonb)', retention_only => true);
CREATE FUNCTION erase(who text, answer text, system text DEFAULT 'crm') RETURNS int LANGUAGE sql AS $$
    SELECT jsonb_array_length(effaced_erase(1, jsonb_build_array(jsonb_build_object('kind', system, 'value', who, 'extra', answer::jsonb))) -> 'enqueued');
$$;
CREATE VIEW entries AS SELECT o.resolver, coalesce(o.ref ->> 'value', '-') AS who, status, attempts, last_error, expires_at FROM effaced_outbox o ORDER BY seq;

-- 1. What a function answers, and what becomes of it
SELECT erase('present', '{"already_absent": false}'), erase('absent', '{"already_absent": true}'), erase('silent', '{}'), erase('outside', NULL, 'outside'),
	erase('raise', NULL), erase('divide', NULL), erase('refuse', NULL), erase('later', '{}'), erase('commit', '{}'),
	erase('null', NULL), erase('array', '[]'), erase('word', '{"already_absent": "yes"}'), erase('date', '{"expires_at": "soon"}'),
	erase('expires', '{"already_absent": false, "expires_at": "2999-01-01T12:00:00"}'), erase('expired', '{"already_absent": false, "expires_at": "2001-01-01"}'),
	erase('gone', '{"already_absent": true, "expires_at": "2999-01-01"}'), erase('never', '{"already_absent": false, "expires_at": "infinity"}'),
	erase('kept', '{"already_absent": false}', 'archive'), erase('let go', '{"already_absent": true}', 'archive');
CALL effaced_run_outbox(2);
SELECT status, entries FROM effaced_outbox_status_counts();
-- without the schema in the path the function fails, as it would for its caller
CALL effaced_run_outbox(1);
SELECT who, status, last_error FROM entries WHERE attempts > 0 AND who <> '-';
SET search_path = crm, public;
UPDATE effaced.effaced_outbox SET next_attempt_at = '2020-01-01' WHERE status = 'failed';
CALL effaced_run_outbox();
TABLE entries;
-- what a function has done stays if it returned, and only then
SELECT who, times FROM crm.asked ORDER BY who;
SELECT event_type, payload - 'entry_id' FROM effaced_audit_events WHERE payload ? 'entry_id' ORDER BY seq;
SELECT count(*) FROM effaced_audit_events WHERE payload::text ~ 'customer|raise|refuse';
-- not due: nothing to do
CALL effaced_run_outbox();
SELECT sum(attempts) FROM effaced_outbox;

-- 2. Again and again, until it ends: a failure is tried again, ZE006 was not.
SET effaced.outbox_backoff = 0;
UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE status = 'failed';
CALL effaced_run_outbox(1000);
SELECT status, entries FROM effaced_outbox_status_counts();
SELECT who, attempts, last_error FROM entries WHERE status = 'abandoned';
RESET effaced.outbox_backoff;

-- 3. Retention only, from beginning to end
TRUNCATE effaced.effaced_outbox, crm.asked, crm.child;
SELECT erase('archived', '{"already_absent": false, "expires_at": "2999-01-01T12:00:00Z"}', 'archive');
CALL effaced_run_outbox();
SELECT status, attempts, expires_at FROM entries;
UPDATE effaced.effaced_outbox SET next_attempt_at = now(), ref = ref || '{"extra": {"already_absent": true}}';
SELECT max(seq) AS seq FROM effaced_audit_events \gset
CALL effaced_run_outbox();
SELECT status, attempts FROM entries;
SELECT event_type FROM effaced_audit_events WHERE seq > :seq ORDER BY seq;

-- 4. A function that is gone, and one whose caller may not call it
TRUNCATE effaced.effaced_outbox;
SELECT erase('a', '{}'), erase('b', '{}', 'archive');
ALTER FUNCTION crm.erase(jsonb) RENAME TO erase_customer;
CREATE ROLE regress_runner;
GRANT EXECUTE ON PROCEDURE effaced_run_outbox TO regress_runner;
GRANT USAGE ON SCHEMA crm, public TO regress_runner;
REVOKE ALL ON FUNCTION crm.erase_customer(jsonb) FROM PUBLIC;
CALL effaced_run_outbox(1);
SELECT effaced_register_resolver('archive', erase => 'crm.erase_customer(jsonb)');
SET ROLE regress_runner;
CALL effaced_run_outbox();
RESET ROLE;
SELECT resolver, status, last_error FROM entries;
GRANT EXECUTE ON FUNCTION crm.erase_customer(jsonb) TO regress_runner;
GRANT ALL ON crm.asked TO regress_runner;
UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE resolver = 'archive';
-- it is the same function, with its caller's privileges; everything else needs none
SELECT effaced_register_resolver('archive', erase => 'crm.erase_customer(jsonb)');
SET ROLE regress_runner;
CALL effaced_run_outbox();
RESET ROLE;
SELECT resolver, status, last_error FROM entries;
ALTER FUNCTION crm.erase_customer(jsonb) RENAME TO erase;
-- what a function sets is not for the next one, nor for the report
TRUNCATE effaced.effaced_outbox, crm.asked, crm.child;
CREATE FUNCTION crm.set(ref jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	SET search_path = pg_catalog;
	SET transaction_read_only = on;
	SET ROLE regress_runner;
	RETURN '{}';
END $$;
SELECT effaced_register_resolver('outside', erase => 'crm.set(jsonb)');
SELECT erase('set', NULL, 'outside'), erase('next', '{}');
CALL effaced_run_outbox();
SELECT resolver, status, last_error FROM entries;
SELECT current_user = session_user, current_setting('search_path');
SELECT effaced_register_resolver('outside');

-- 5. The record of the outcome fails: nothing has happened, but for the attempt.
TRUNCATE effaced.effaced_outbox, crm.asked, crm.child;
SELECT erase('unrecorded', '{}');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON public.effaced_audit_events EXECUTE FUNCTION refuse();
\set VERBOSITY terse
CALL effaced_run_outbox();
\set VERBOSITY default
DROP TRIGGER refuse ON public.effaced_audit_events;
SELECT who, status, attempts FROM entries;
SELECT count(*) FROM crm.asked;

-- 6. Alone, or not at all
BEGIN;
CALL effaced_run_outbox();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
CREATE FUNCTION run() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL public.effaced_run_outbox(); END $$;
SELECT run();
\echo :LAST_ERROR_SQLSTATE
CALL effaced_run_outbox(0);
\echo :LAST_ERROR_SQLSTATE
CALL effaced_run_outbox(NULL);
\echo :LAST_ERROR_SQLSTATE
UPDATE effaced.effaced_outbox SET next_attempt_at = now();
DO $$ BEGIN CALL public.effaced_run_outbox(); END $$;
SELECT who, status, attempts FROM entries;

-- 7. In a copy of the database nothing is carried out, until it is adopted.
SELECT erase('live', '{}');
UPDATE effaced.effaced_outbox_home SET identity = '1234567890/5';
\set VERBOSITY terse
CALL effaced_run_outbox();
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM effaced_outbox_claim();
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
-- erasing goes on
SELECT erase('staging', '{}');
SELECT who, status, attempts FROM entries WHERE status <> 'succeeded';
SELECT effaced_outbox_adopt();
CALL effaced_run_outbox();
SELECT status, entries FROM effaced_outbox_status_counts();
SELECT who FROM crm.asked WHERE who IN ('live', 'staging') ORDER BY who;
DROP OWNED BY regress_runner;
DROP ROLE regress_runner;
