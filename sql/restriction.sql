-- Restriction of processing: placed, lifted, derived from records that nobody changes.
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

CREATE TABLE users (id int PRIMARY KEY, email text);
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "subject": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact"}';

-- 1. No record means no restriction.
SELECT effaced_restriction_status('42'), effaced_restriction_status('42', 'ads');
-- for a purpose, that one alone
SELECT effaced_restrict('42', 'ads', 'SECRET disputes the address', 'SECRET letter') IS NOT NULL;
SELECT effaced_restriction_status('42'), effaced_restriction_status('042', 'ads'), effaced_restriction_status('42', 'stats'), effaced_restriction_status('7', 'ads');
-- for every purpose, also one that was lifted by itself
SELECT effaced_restrict('42') IS NOT NULL;
SELECT effaced_lift_restriction('42', 'ads') IS NOT NULL;
SELECT effaced_restriction_status('42'), effaced_restriction_status('42', 'ads'), effaced_restriction_status('42', 'stats');
-- lifting that leaves those of single purposes
SELECT effaced_restrict('42', 'stats') IS NOT NULL;
SELECT effaced_lift_restriction('42', reason => 'SECRET agreed') IS NOT NULL;
SELECT effaced_restriction_status('42'), effaced_restriction_status('42', 'ads'), effaced_restriction_status('42', 'stats');
SELECT effaced_lift_restriction('42', 'stats') IS NOT NULL;
SELECT effaced_restriction_status('42', 'stats');

-- 2. The history, oldest first, and its events without the free text.
SELECT subject, subject_ref, purpose, restricted, reason, source, actor = session_user FROM effaced_restriction_history('42');
SELECT e.event_type, e.subject, e.subject_ref, e.payload, e.occurred_at = r.recorded_at
  FROM effaced_restriction_records r JOIN effaced_audit_events e ON e.event_id = r.record_id ORDER BY r.seq;
SELECT count(*) FROM effaced_audit_events e WHERE e::text LIKE '%SECRET%';

-- 3. A tie counts as restricted.
INSERT INTO effaced.effaced_restriction_records (subject, subject_ref, purpose, restricted, recorded_at) VALUES
  ('customer', '9', 'ads', false, '2026-02-02'), ('customer', '9', 'ads', true, '2026-02-02'), ('customer', '9', 'ads', false, '2026-02-02'),
  ('customer', '9', NULL, true, '2026-01-01'), ('customer', '9', NULL, false, '2026-01-02');
SELECT effaced_restriction_status('9'), effaced_restriction_status('9', 'ads'), effaced_restriction_status('9', 'stats');

-- 4. What is no purpose, and no identifier.
SELECT try($$SELECT effaced_restrict('42', '')$$);
SELECT try($$SELECT effaced_lift_restriction('42', ' ')$$);
SELECT try($$SELECT effaced_restriction_status('42', '')$$);
SELECT try($$SELECT effaced_restrict(NULL)$$);
SELECT try($$SELECT effaced_restrict('SECRET', 'ads')$$);
SELECT try($$SELECT effaced_restriction_status('SECRET')$$);

-- 5. Nobody changes a record.
SELECT try($$UPDATE effaced.effaced_restriction_records SET restricted = false$$);
SELECT try($$DELETE FROM effaced.effaced_restriction_records$$);
SELECT try($$TRUNCATE effaced.effaced_restriction_records$$);

-- 6. Privileges: EXECUTE is enough.
CREATE ROLE regress_desk;
SET ROLE regress_desk;
SELECT try($$SELECT effaced_restrict('42')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION effaced_restrict, effaced_restriction_status TO regress_desk;
SET ROLE regress_desk;
SELECT effaced_restrict('42') IS NOT NULL;
SELECT effaced_restriction_status('42');
SELECT try($$SELECT * FROM effaced_restriction_records$$);
RESET ROLE;
