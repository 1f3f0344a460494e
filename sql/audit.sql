-- The trail: which events a call leaves, that they hold no values, and that
-- nobody changes them afterwards.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

-- try() runs a statement and shows what it raised: SQLSTATE, message, detail, hint.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', state || ': ' || message, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;

CREATE TABLE users (id int PRIMARY KEY, email text, name text, joined date);
CREATE TABLE bills (id int PRIMARY KEY, user_id int REFERENCES users, who text, amount numeric);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, body text);
CREATE TABLE likes (user_id int REFERENCES users, post_id int REFERENCES posts, PRIMARY KEY (user_id, post_id));
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "subject": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN users.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN bills.who IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON COLUMN posts.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE likes IS '{"path": "user_id", "owned": true}';
INSERT INTO users SELECT g, 'SECRET mail ' || g, 'SECRET name ' || g, '2024-01-01' FROM generate_series(1, 5) g;
INSERT INTO bills SELECT g, g, 'SECRET who ' || g, 9 FROM generate_series(1, 4) g;
INSERT INTO posts SELECT 10 * u + g, u, 'SECRET body' FROM generate_series(1, 4) u, generate_series(1, 2) g;
INSERT INTO likes VALUES (1, 11), (1, 12);

CREATE VIEW trail AS SELECT seq, event_type, subject, subject_ref, payload FROM effaced_audit_events ORDER BY seq;

-- 1. An erasure: requested, a step each that reached a row (retain steps always), local totals, completed.
SELECT effaced_erase('1') -> 'deleted';
SELECT event_type, subject, subject_ref, payload FROM trail;
-- user 5 has nothing anywhere but the row: the retain step is recorded all the same
SELECT effaced_erase('5') -> 'anonymized';
SELECT event_type, payload FROM trail WHERE subject_ref = '5';
-- once more: nothing to do, and the trail says so
SELECT effaced_erase('1') -> 'subject_found';
SELECT event_type, payload FROM trail WHERE subject_ref = '1' OFFSET (SELECT count(*) FROM trail WHERE subject_ref = '1') - 4;
-- unknown subject: one event
SELECT effaced_erase('99');
SELECT event_type, payload FROM trail WHERE subject_ref = '99';
-- restricted to some tables: the events tell which
SELECT effaced_erase('2', tables => '{posts}') -> 'deleted';
SELECT event_type, payload FROM trail WHERE subject_ref = '2';
-- many: the events of each
SELECT effaced_erase_many('{3,4,98}') -> 'subjects';
SELECT subject_ref, event_type FROM trail WHERE subject_ref IN ('3', '4', '98');
-- verification, and a snapshot of the map
SELECT effaced_verify('1') -> 'verified', effaced_verify('2') -> 'verified';
SELECT event_type, subject, subject_ref, payload FROM trail WHERE event_type LIKE '%verif%';
SELECT effaced_manifest_snapshot() IS NOT NULL;
SELECT event_type, subject, subject_ref, payload -> 'schema_version' FROM trail ORDER BY seq DESC LIMIT 1;

-- 2. A call that fails or is rolled back leaves nothing.
SELECT count(*) AS events FROM trail \gset
SELECT try($$SELECT effaced_erase('nobody')$$);
BEGIN;
SELECT effaced_erase('2') -> 'subject_found';
ROLLBACK;
SELECT count(*) = :events FROM trail;

-- 3. What an event consists of
SELECT count(*), count(DISTINCT event_id), bool_and(seq > 0), bool_and(actor = session_user), bool_and(occurred_at <= clock_timestamp()) FROM effaced_audit_events;
-- occurred_at is the clock, not the start of the transaction
BEGIN;
SELECT effaced_erase('97') -> 'subject_found';
SELECT occurred_at > now() FROM effaced_audit_events WHERE subject_ref = '97';
ROLLBACK;
-- the actor is who logged in, even within SET ROLE
CREATE ROLE regress_effaced_clerk;
GRANT EXECUTE ON FUNCTION effaced_erase(text, jsonb, regclass, regclass[], text) TO regress_effaced_clerk;
GRANT SELECT, UPDATE, DELETE ON users, bills, posts, likes TO regress_effaced_clerk;
SET ROLE regress_effaced_clerk;
SELECT effaced_erase('96') -> 'subject_found';
RESET ROLE;
SELECT actor = session_user, event_type FROM effaced_audit_events WHERE subject_ref = '96';
-- only the event words are accepted
INSERT INTO effaced.effaced_audit_events (event_type) VALUES ('erasure_imagined');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS words, count(*) FILTER (WHERE NOT effaced.effaced_is_event_type(word)) AS refused FROM unnest('{
	consent_granted, consent_withdrawn, export_requested, export_completed, erasure_requested, erasure_local_completed,
	erasure_expiry_scheduled, erasure_step_succeeded, erasure_step_failed, erasure_verified, erasure_verification_failed, erasure_completed,
	erasure_requeued, erasure_replayed, manifest_snapshot, rectification_requested, rectification_local_completed, rectification_step_succeeded,
	rectification_step_failed, rectification_completed, restriction_placed, restriction_lifted, retention_expired, retention_enforced,
	request_opened, request_identified, request_extended, request_answered, hold_placed, hold_released, erasure_refused,
	erasure_scheduled, erasure_cancelled, restriction_step_succeeded, restriction_step_failed, labels_admitted, labels_expelled, trail_pruned}'::text[]) word;
SELECT word FROM unnest('{Erasure_completed, erasure, "", erasure_completedx, NULL}'::text[]) word WHERE effaced.effaced_is_event_type(word) IS NOT FALSE;

-- 4. No value anywhere: names, counts and SQLSTATEs only
SELECT count(*) FROM effaced_audit_events WHERE effaced_audit_events::text ~* 'secret';

-- 5. Append-only for everybody, superusers and replication included
CREATE FUNCTION change() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT try(s) FROM unnest(ARRAY[
        'UPDATE effaced.effaced_audit_events SET subject_ref = ''x''',
        'UPDATE effaced.effaced_audit_events SET payload = ''{}'' WHERE false',
        'DELETE FROM effaced.effaced_audit_events',
        'DELETE FROM effaced.effaced_audit_events WHERE seq = 1',
        'TRUNCATE effaced.effaced_audit_events',
        'TRUNCATE effaced.effaced_audit_events RESTART IDENTITY CASCADE',
        'INSERT INTO effaced.effaced_audit_events (seq, event_type) OVERRIDING SYSTEM VALUE SELECT seq, event_type FROM effaced_audit_events LIMIT 1
            ON CONFLICT (seq) DO UPDATE SET subject_ref = ''x''',
        'MERGE INTO effaced.effaced_audit_events e USING effaced_audit_events o ON e.seq = o.seq WHEN MATCHED THEN DELETE',
        'MERGE INTO effaced.effaced_audit_events e USING effaced_audit_events o ON e.seq = o.seq WHEN MATCHED THEN UPDATE SET actor = ''x''',
        'WITH gone AS (DELETE FROM effaced.effaced_audit_events RETURNING 1) SELECT * FROM gone',
        'INSERT INTO effaced_audit_events (event_type) VALUES (''erasure_completed'')',
        'UPDATE effaced_audit_events SET actor = ''x''',
        'DELETE FROM effaced_audit_events WHERE false',
        'UPDATE trail_simple SET actor = ''x''',
        'DELETE FROM trail_simple']) s $$;
CREATE VIEW trail_simple AS SELECT * FROM effaced_audit_events;
SELECT change();
SET session_replication_role = replica;
SELECT change();
SET session_replication_role = local;
SELECT change();
RESET session_replication_role;
GRANT USAGE ON SCHEMA effaced TO regress_effaced_clerk;
GRANT ALL ON effaced.effaced_audit_events, effaced_audit_events, trail_simple TO regress_effaced_clerk;
SET ROLE regress_effaced_clerk;
DELETE FROM effaced.effaced_audit_events;
\echo :LAST_ERROR_SQLSTATE
UPDATE effaced.effaced_audit_events SET actor = 'x';
\echo :LAST_ERROR_SQLSTATE
TRUNCATE effaced.effaced_audit_events;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
REVOKE ALL ON effaced.effaced_audit_events, effaced_audit_events, trail_simple FROM regress_effaced_clerk;
REVOKE USAGE ON SCHEMA effaced FROM regress_effaced_clerk;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'effaced.effaced_audit_events'::regclass AND NOT tgisinternal;
-- a failed attempt changed nothing
SELECT count(*) >= :events, bool_and(subject_ref IS DISTINCT FROM 'x' AND actor <> 'x') FROM effaced_audit_events;

-- 6. PUBLIC executes nothing, reads nothing and writes nothing.
CREATE ROLE regress_effaced_public;
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'effaced'
 WHERE has_function_privilege('regress_effaced_public', p.oid, 'EXECUTE');
SELECT c.oid::regclass, privilege FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'effaced', unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
 WHERE c.relkind = 'r' AND has_table_privilege('regress_effaced_public', c.oid, privilege);
SET ROLE regress_effaced_public;
SELECT * FROM effaced_audit_events;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced.effaced_secret;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO effaced.effaced_audit_events (event_type) VALUES ('erasure_completed');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_subject_id('1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

DROP OWNED BY regress_effaced_clerk, regress_effaced_public;
DROP ROLE regress_effaced_clerk, regress_effaced_public;
