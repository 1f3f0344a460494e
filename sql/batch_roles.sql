-- Who may do what with deletion batches, when they run, and whom they leave out.
CREATE EXTENSION effaced;
\set SHOW_CONTEXT never
CREATE SCHEMA app;
CREATE TABLE app.customer (id int PRIMARY KEY, name text);
CREATE TABLE app.login (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES app.customer, ip text);
SECURITY LABEL FOR effaced ON TABLE app.customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN app.customer.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE app.login IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN app.login.ip IS '{"category": "technical"}';
INSERT INTO app.customer SELECT i, 'Name ' || i FROM generate_series(1, 8) i;
INSERT INTO app.login SELECT i, i, '192.0.2.' || i FROM generate_series(1, 8) i;
-- Its names are found by the caller's search_path.
SET search_path = app, public;
CREATE FUNCTION app.verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT id::text, 'ready_for_deletion' FROM customer WHERE id = ANY (candidates::int[]) AND id < 7
$$;
SELECT effaced_register_bucket('login', 'customer', max_batch_size => 2);
SELECT effaced_register_anchor('login', 'login');
SELECT effaced_register_producer('web', 'login', 'verdicts(text[])', '{login}');

-- Three roles, each with what it needs and no more.
CREATE ROLE regress_clerk;
CREATE ROLE regress_officer;
CREATE ROLE regress_runner;
GRANT USAGE ON SCHEMA app TO regress_clerk, regress_officer, regress_runner;
SELECT effaced_grant('regress_clerk', 'prepare');
SELECT effaced_grant('regress_officer', 'review');
SELECT effaced_grant('regress_runner', 'apply');
SELECT effaced_grant('regress_runner', 'anything');
SELECT effaced_grant(NULL, 'apply');
\echo :LAST_ERROR_SQLSTATE
-- Of your tables: what the producers read, and what an erasure writes.
GRANT EXECUTE ON FUNCTION verdicts TO regress_clerk, regress_runner;
GRANT SELECT ON customer TO regress_clerk;
GRANT SELECT, UPDATE ON customer TO regress_runner;
GRANT SELECT, DELETE ON login TO regress_runner;

SET SESSION AUTHORIZATION regress_clerk;
SELECT effaced_create_deletion_records('login') AS records;
SELECT effaced_create_deletion_batches('login') AS batches;
SELECT effaced_review_batch(1, 'accepted', NULL);
\echo :LAST_ERROR_SQLSTATE
CALL effaced_apply_batch(1);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM effaced_deletion_records;
\echo :LAST_ERROR_SQLSTATE
UPDATE effaced.effaced_deletion_batch_rows SET reviewed_status = 'accepted';
\echo :LAST_ERROR_SQLSTATE
UPDATE effaced.effaced_producers SET eligibility = 'evil(text[])';
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;

-- Four eyes: who made the batch does not review it, whatever role it takes on,
-- and only a superuser can say otherwise.
GRANT regress_officer TO regress_clerk;
GRANT EXECUTE ON FUNCTION effaced_review_batch, effaced_review_record TO regress_clerk;
SET SESSION AUTHORIZATION regress_clerk;
SELECT effaced_review_batch(1, 'accepted', NULL);
SET ROLE regress_officer;
SELECT effaced_review_batch(1, 'accepted', NULL);
SELECT effaced_review_record(1, true, NULL);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SET effaced.four_eyes = off;
\echo :LAST_ERROR_SQLSTATE
SELECT set_config('effaced.four_eyes', 'off', false);
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;
-- Nor by setting it before the library is loaded, which tells its name.
\set session `psql -XAtq -d contrib_regression -c "SET SESSION AUTHORIZATION regress_clerk" -c "SET effaced.four_eyes = off" -c "SELECT effaced_review_batch(1, 'accepted')" 2>&1 | grep -c "was created by the role that reviews it"`
\echo :session

SET SESSION AUTHORIZATION regress_officer;
SELECT effaced_review_batch(1, 'perhaps', NULL);
SELECT effaced_review_batch(1, NULL, NULL);
SELECT effaced_review_record(1, NULL, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_review_batch(b, 'accepted', 'fine') FROM generate_series(1, 3) b;
SELECT reviewed_status, reviewed_by FROM effaced_deletion_batches ORDER BY id;
CALL effaced_apply_batch(1);
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;

-- It commits, and says so where it could not.
SET SESSION AUTHORIZATION regress_runner;
BEGIN;
CALL effaced_apply_batch(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
CREATE FUNCTION pg_temp.apply() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL effaced_apply_batch(1); END $$;
SELECT pg_temp.apply();
\echo :LAST_ERROR_SQLSTATE
DO $$ BEGIN CALL effaced_apply_batch(1); EXCEPTION WHEN SQLSTATE 'ZE005' THEN RAISE NOTICE '%', SQLERRM; END $$;
SELECT effaced.effaced_require_own_transactions('p');
\echo :LAST_ERROR_SQLSTATE
SET default_transaction_isolation = 'repeatable read';
CALL effaced_apply_batch(1);
\echo :LAST_ERROR_SQLSTATE
RESET default_transaction_isolation;
SET default_transaction_read_only = on;
CALL effaced_apply_batch(1);
\echo :LAST_ERROR_SQLSTATE
RESET default_transaction_read_only;
RESET SESSION AUTHORIZATION;
SELECT count(*) AS logins, (SELECT count(*) FROM effaced_batch_runs) AS runs FROM login;
-- A DO block leaves the commits to it.
SET SESSION AUTHORIZATION regress_runner;
DO $$ BEGIN CALL effaced_apply_batch(1); END $$;
-- What a step needs and has not got is the record's error.
RESET SESSION AUTHORIZATION;
REVOKE DELETE ON login FROM regress_runner;
SET SESSION AUTHORIZATION regress_runner;
CALL effaced_apply_batch(2);
RESET SESSION AUTHORIZATION;
SELECT deletion_error, count(*) FROM effaced_deletion_records WHERE deletion_batch_id = 2 GROUP BY 1;
SELECT failed_records_count, records_count_for_list, total_records_count FROM effaced_deletion_batches WHERE id = 2;
GRANT DELETE ON login TO regress_runner;
SET SESSION AUTHORIZATION regress_runner;
CALL effaced_apply_batch(2);
RESET SESSION AUTHORIZATION;
SELECT string_agg(id::text, ' ' ORDER BY id) AS logins FROM login;
SELECT DISTINCT actor FROM effaced_audit_events;

-- Whoever is under a restriction of everything is left alone until it is lifted; one for a purpose stops nothing.
SELECT effaced_restrict('5', reason => 'disputes the bill') IS NOT NULL AS restricted, effaced_restrict('6', 'marketing') IS NOT NULL AS restricted;
CALL effaced_apply_batch(3);
SELECT total, applied, failed, rejected, remaining FROM effaced_batch_progress(3);
SELECT id, skipped FROM effaced.effaced_deletion_record_rows WHERE deletion_batch_id = 3 ORDER BY id;
CALL effaced_apply_batch(3);
SELECT string_agg(id::text, ' ' ORDER BY id) AS logins FROM login;
SELECT restricted, applied FROM effaced_batch_runs WHERE batch_id = 3 ORDER BY id;
SELECT subject_ref, payload, count(*) FROM effaced_audit_events WHERE event_type = 'erasure_refused' GROUP BY 1, 2;
SELECT effaced_lift_restriction('5') IS NOT NULL AS lifted;

-- A record may be rejected as long as it is not erased.
SET SESSION AUTHORIZATION regress_officer;
SELECT effaced_review_record(5, false, 'keeps disputing');
RESET SESSION AUTHORIZATION;
CALL effaced_apply_batch(3);
SELECT accepted_for_deletion, is_manually_reviewed, deletion_applied_at FROM effaced_deletion_records WHERE id = 5;

-- Not before it is due.
SELECT effaced_register_bucket('later', 'customer');
SELECT effaced_register_anchor('customer', 'customer');
SELECT effaced_register_producer('web', 'later', 'verdicts(text[])', '{customer,login}');
SET SESSION AUTHORIZATION regress_clerk;
SELECT effaced_create_deletion_records('later', now() + interval '1 hour') AS records;
RESET SESSION AUTHORIZATION;
SET effaced.four_eyes = off;
SELECT effaced_review_batch((effaced_create_deletion_batches('later'))[1], 'accepted');
CALL effaced_apply_batch(4);
UPDATE effaced.effaced_deletion_record_rows SET deletion_scheduled_at = now() WHERE id BETWEEN 7 AND 9;
-- What would fail at the commit only, fails the record, and the rest goes on.
CREATE FUNCTION app.object() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'P0042'; END $$;
CREATE CONSTRAINT TRIGGER object AFTER UPDATE ON customer DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION app.object();
CREATE FUNCTION app.assert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ASSERT false, 'never'; END $$;
CREATE TRIGGER assert BEFORE UPDATE ON customer FOR EACH ROW WHEN (OLD.id = 3) EXECUTE FUNCTION app.assert();
CALL effaced_apply_batch(4);
SELECT p.subject_id, r.deletion_applied_at IS NOT NULL AS applied, r.deletion_error FROM effaced_deletion_records r JOIN effaced_compliance_profiles p ON p.id = r.compliance_profile_id
	WHERE r.deletion_batch_id = 4 ORDER BY p.subject_id;
SELECT id, name ~ '^anon' AS anonymized FROM customer ORDER BY id;
DROP TRIGGER object ON customer;
DROP TRIGGER assert ON customer;
CALL effaced_apply_batch(4);
SELECT id, name ~ '^anon' AS anonymized FROM customer ORDER BY id;

-- A plan that cannot be carried out is told before anything is recorded.
UPDATE effaced.effaced_deletion_record_rows SET deletion_scheduled_at = now() WHERE deletion_batch_id = 4;
CREATE TABLE app.trace (id int PRIMARY KEY, login_ip text, page text);
SECURITY LABEL FOR effaced ON TABLE trace IS '{"hops": [{"source_columns": ["login_ip"], "target_table": "app.login", "target_columns": ["ip"]},
	{"source_columns": ["customer_id"], "target_table": "app.customer", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN trace.page IS '{"category": "behavioral"}';
SELECT count(*) AS runs FROM effaced_batch_runs \gset
CALL effaced_apply_batch(4);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) = :runs AS same FROM effaced_batch_runs;
-- A bucket none of whose producers deletes anything.
SELECT effaced_register_producer('web', 'later', 'verdicts(text[])');
CALL effaced_apply_batch(4);
\echo :LAST_ERROR_SQLSTATE
-- What is reached against a reference goes in one plan with what leads there, whoever owns it.
DROP TABLE trace;
CREATE TABLE app.address (id int PRIMARY KEY, street text);
ALTER TABLE customer ADD address_id int REFERENCES address;
INSERT INTO address SELECT i, 'Street ' || i FROM generate_series(1, 8) i;
UPDATE customer SET address_id = id;
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "customer(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON COLUMN customer.address_id IS '{"category": "location"}';
SELECT effaced_register_anchor('address', 'address');
SELECT effaced_register_producer('web', 'later', 'verdicts(text[])', '{login,customer}');
SELECT effaced_register_producer('post', 'later', 'verdicts(text[])', '{address}');
SELECT * FROM effaced_producer_order('later');
CALL effaced_apply_batch(4);
SELECT string_agg(id::text, ' ' ORDER BY id) AS addresses FROM address;
SELECT event_type, payload -> 'tables' AS tables, payload ->> 'target' AS target, payload ->> 'strategy' AS strategy
	FROM effaced_audit_events WHERE subject_ref = '4' AND seq > (SELECT max(seq) FROM effaced_audit_events WHERE subject_ref = '3') ORDER BY seq;

-- The type of a key may run its maker's code: as the caller, never as effaced's owner.
SET client_min_messages = error;
CREATE FUNCTION app.whoami(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_user = 'postgres' THEN RAISE WARNING 'runs as the owner'; END IF;
	RETURN true;
END $$;
CREATE DOMAIN app.number AS int CHECK (app.whoami(VALUE));
CREATE TABLE app.patient (id app.number PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity"}';
INSERT INTO patient SELECT i, 'Name ' || i FROM generate_series(1, 3) i;
CREATE FUNCTION app.patient_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT '0' || c, 'ready_for_deletion' FROM pg_catalog.unnest(candidates) AS c
$$;
SELECT effaced_register_bucket('care', 'patient');
SELECT effaced_register_anchor('patient', 'patient');
SELECT effaced_register_producer('ward', 'care', 'patient_verdicts(text[])', '{patient}');
SELECT effaced_restrict('1', reason => 'complaint', subject => 'patient') IS NOT NULL AS restricted;
GRANT SELECT ON patient TO regress_clerk;
GRANT SELECT, UPDATE, DELETE ON patient TO regress_runner;
GRANT EXECUTE ON FUNCTION patient_verdicts TO regress_clerk, regress_runner;
RESET client_min_messages;
SET SESSION AUTHORIZATION regress_clerk;
SELECT effaced_create_deletion_records('care') AS records;
SELECT effaced_create_deletion_batches('care') AS batches;
SET SESSION AUTHORIZATION regress_officer;
SELECT effaced_review_batch(5, 'accepted');
SET SESSION AUTHORIZATION regress_runner;
CALL effaced_apply_batch(5);
RESET SESSION AUTHORIZATION;
SELECT string_agg(id::text, ' ') AS patients FROM patient;

-- Rows that are hidden from the caller would make a producer silent: that is an error.
CREATE OR REPLACE FUNCTION app.whoami(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT (effaced_purge_compliance_data('care')).records;
CREATE TABLE app.hold (patient_id int PRIMARY KEY);
INSERT INTO hold VALUES (1);
ALTER TABLE hold ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON hold TO regress_clerk, regress_runner;
CREATE FUNCTION app.hold_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT patient_id::text, 'not_ready_yet' FROM hold WHERE patient_id::text = ANY (candidates)
$$;
GRANT EXECUTE ON FUNCTION hold_verdicts TO regress_clerk, regress_runner;
SELECT effaced_register_producer('lawyers', 'care', 'hold_verdicts(text[])');
SET SESSION AUTHORIZATION regress_clerk;
SELECT effaced_create_deletion_records('care') AS records;
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;
SELECT effaced_create_deletion_records('care') AS records;
CREATE POLICY runner ON hold TO regress_runner USING (patient_id > 1);
DELETE FROM hold;
SELECT effaced_create_deletion_records('care') AS records;
SELECT effaced_review_batch((effaced_create_deletion_batches('care'))[1], 'accepted');
INSERT INTO hold VALUES (1);
SELECT effaced_lift_restriction('1', subject => 'patient') IS NOT NULL AS lifted;
SET SESSION AUTHORIZATION regress_runner;
CALL effaced_apply_batch(6);
RESET SESSION AUTHORIZATION;
SELECT deletion_error FROM effaced_deletion_records WHERE deletion_batch_id = 6;

RESET search_path;
DROP OWNED BY regress_clerk, regress_officer, regress_runner;
DROP ROLE regress_clerk, regress_officer, regress_runner;
