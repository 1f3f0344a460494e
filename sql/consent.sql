-- Consent: granted, withdrawn, derived from records that nobody changes.
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

-- 1. No subject table: nobody to consent.
SELECT try($$SELECT effaced_consent_grant('1', 'newsletter')$$);

CREATE TABLE users (id int PRIMARY KEY, email text);
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "subject": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact"}';

-- 2. No record means no consent; the latest record counts.
SELECT effaced_consent_status('42', 'newsletter');
SELECT effaced_consent_grant('42', 'newsletter', 'SECRET web form') IS NOT NULL;
SELECT effaced_consent_status('42', 'newsletter'), effaced_consent_status('42', 'Newsletter'), effaced_consent_status('7', 'newsletter');
SELECT effaced_consent_withdraw('42', 'newsletter', 'SECRET phone call') IS NOT NULL;
SELECT effaced_consent_status('42', 'newsletter');
SELECT effaced_consent_grant('042', 'newsletter', subject => 'users') IS NOT NULL;
-- every spelling of an identifier is one subject
SELECT effaced_consent_status('42', 'newsletter'), effaced_consent_status(' +42', 'newsletter', 'users');
-- within one transaction the order of the calls counts, not the transaction's time
BEGIN;
SELECT effaced_consent_grant('8', 'ads') <> effaced_consent_withdraw('8', 'ads');
SELECT effaced_consent_status('8', 'ads');
SELECT effaced_consent_grant('8', 'ads') IS NOT NULL;
SELECT effaced_consent_status('8', 'ads');
ROLLBACK;
-- and what is rolled back was never said
SELECT effaced_consent_status('8', 'ads'), count(*) FROM effaced_consent_history('8');

-- 3. The history, oldest first; a record has the id of its event.
SELECT subject, subject_ref, purpose, granted, source, actor = session_user, recorded_at <= clock_timestamp() FROM effaced_consent_history('42');
SELECT e.event_type, e.subject, e.subject_ref, e.payload, e.occurred_at = r.recorded_at
  FROM effaced_consent_records r JOIN effaced_audit_events e ON e.event_id = r.record_id ORDER BY r.seq;
SELECT count(*) FROM effaced_audit_events e WHERE e::text LIKE '%SECRET%';

-- 4. A tie counts as withdrawn.
INSERT INTO effaced.effaced_consent_records (subject, subject_ref, purpose, granted, recorded_at) VALUES
  ('customer', '9', 'ads', true, '2026-01-01'), ('customer', '9', 'ads', false, '2026-02-02'), ('customer', '9', 'ads', true, '2026-02-02');
SELECT effaced_consent_status('9', 'ads');
INSERT INTO effaced.effaced_consent_records (subject, subject_ref, purpose, granted, recorded_at) VALUES ('customer', '9', 'ads', true, '2026-02-03');
SELECT effaced_consent_status('9', 'ads');

-- 5. What is no purpose, and no identifier.
SELECT try($$SELECT effaced_consent_grant('42', NULL)$$);
SELECT try($$SELECT effaced_consent_withdraw('42', E' \t\n')$$);
SELECT try($$SELECT effaced_consent_status('42', '')$$);
SELECT try($$SELECT effaced_consent_grant(NULL, 'ads')$$);
SELECT try($$SELECT effaced_consent_grant('SECRET', 'ads')$$);
SELECT try($$SELECT effaced_consent_history('SECRET')$$);
SELECT count(*) FROM effaced_consent_records;

-- 6. Nobody changes a record.
SELECT try($$UPDATE effaced.effaced_consent_records SET granted = true$$);
SELECT try($$DELETE FROM effaced.effaced_consent_records$$);
SELECT try($$TRUNCATE effaced.effaced_consent_records$$);
SET session_replication_role = replica;
SELECT try($$DELETE FROM effaced.effaced_consent_records$$);
RESET session_replication_role;

-- 7. Several kinds of subjects, composite keys, hostile names.
CREATE SCHEMA "Sch"".x";
CREATE TABLE "Sch"".x"."Mem ""ber" ("Region" text, n numeric(6,2), note text, PRIMARY KEY ("Region", n));
SECURITY LABEL FOR effaced ON TABLE "Sch"".x"."Mem ""ber" IS '{"path": "", "subject": "mem \"ber"}';
SECURITY LABEL FOR effaced ON COLUMN "Sch"".x"."Mem ""ber".note IS '{"category": "contact"}';
SELECT try($$SELECT effaced_consent_grant('42', 'ads')$$);
SELECT try($$SELECT effaced_consent_status('42', 'ads')$$);
SELECT try($$SELECT effaced_consent_grant('42', 'ads', subject => 'pg_class')$$);
SELECT effaced_consent_grant(effaced_subject_id('e:u\', '1.50'), 'ads', subject => '"Sch"".x"."Mem ""ber"') IS NOT NULL;
SELECT effaced_consent_status(effaced_subject_id('e:u\', '01.5'), 'ads', '"Sch"".x"."Mem ""ber"');
SELECT subject, subject_ref FROM effaced_consent_history(effaced_subject_id('e:u\', '1.5'), '"Sch"".x"."Mem ""ber"');
SELECT try($$SELECT effaced_consent_grant('eu', 'ads', subject => '"Sch"".x"."Mem ""ber"')$$);

-- 8. Whoever may execute needs no privilege on the ledger; others may not.
CREATE ROLE regress_desk;
SET ROLE regress_desk;
SELECT try($$SELECT effaced_consent_grant('42', 'ads', subject => 'users')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION effaced_consent_grant, effaced_consent_status TO regress_desk;
SET ROLE regress_desk;
SELECT effaced_consent_grant('42', 'ads', 'desk', 'users') IS NOT NULL;
SELECT effaced_consent_status('42', 'ads', 'users');
SELECT try($$SELECT effaced_consent_history('42', 'users')$$);
SELECT try($$SELECT * FROM effaced_consent_records$$);
-- a search_path of the caller's changes nothing
CREATE TEMP TABLE effaced_consent_records (subject text, subject_ref text, purpose text, granted boolean, recorded_at timestamptz);
SET search_path = pg_temp, public;
SELECT public.effaced_consent_status('42', 'ads', 'public.users');
RESET search_path;
RESET ROLE;

-- 9. Code behind a type runs as the caller, not as the owner of the ledger.
CREATE FUNCTION whoami(v int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'checked by %', current_user; RETURN true; END $$;
CREATE DOMAIN watched AS int CHECK (whoami(VALUE));
CREATE TABLE odd (id watched PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE odd IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN odd.name IS '{"category": "identity"}';
GRANT EXECUTE ON FUNCTION effaced_consent_history TO regress_desk;
SET ROLE regress_desk;
SELECT effaced_consent_grant('1', 'ads', subject => 'odd') IS NOT NULL;
SELECT effaced_consent_status('1', 'ads', 'odd');
SELECT count(*) FROM effaced_consent_history('1', 'odd');
RESET ROLE;
