-- Code that a call runs, of a CHECK, a domain or a trigger, may set whatever its
-- caller may set. What it sets of the settings that effaced pins lasts no longer than
-- its statement: nothing of effaced's runs under it, and the caller's session does not
-- keep it. A role that it leaves changed fails the call.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE ROLE regress_shop;
CREATE ROLE regress_mallory;
CREATE ROLE regress_dpo;
CREATE SCHEMA shop AUTHORIZATION regress_shop;
CREATE SCHEMA evil AUTHORIZATION regress_mallory;
GRANT USAGE ON SCHEMA shop TO regress_dpo, regress_mallory;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_dpo, regress_shop;
SELECT effaced_register_resolver('crm');
SELECT effaced_admit_labels('regress_shop');

-- What is hidden in the schema evil says as whom it runs: the operators and functions that
-- a search_path with evil in front finds instead of the server's.
SET ROLE regress_mallory;
CREATE TABLE evil.seen (who name, what text);
GRANT INSERT, SELECT ON evil.seen TO PUBLIC;
CREATE FUNCTION evil.saw(what text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	INSERT INTO evil.seen VALUES (current_user, what);
EXCEPTION WHEN read_only_sql_transaction THEN
	RAISE WARNING '% ran %', current_user, what;
END $$;
DO $$
DECLARE type text; op text;
BEGIN
	FOREACH type IN ARRAY '{text,integer,bigint,boolean,uuid,name,oid,timestamptz}'::text[] LOOP
		FOREACH op IN ARRAY '{=,<>,<}'::text[] LOOP
			EXECUTE format('CREATE FUNCTION evil.f%s(%s, %2$s) RETURNS boolean LANGUAGE plpgsql AS
				$f$ BEGIN PERFORM evil.saw(%L); RETURN $1 OPERATOR(pg_catalog.%s) $2; END $f$',
				md5(op || type), type, op || ' of ' || type, op);
			EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.f%s, LEFTARG = %s, RIGHTARG = %3$s)',
				op, md5(op || type), type);
		END LOOP;
	END LOOP;
END $$;
-- poison() sets all that effaced pins, for the session or, with is_local, for the
-- transaction.
CREATE FUNCTION evil.poison(is_local boolean DEFAULT false) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.set_config(name, value, is_local) FROM (VALUES ('search_path', 'evil, pg_catalog, public'),
		('row_security', 'on'), ('standard_conforming_strings', 'off'), ('quote_all_identifiers', 'on'),
		('DateStyle', 'German'), ('IntervalStyle', 'iso_8601'), ('TimeZone', 'Asia/Tokyo'), ('extra_float_digits', '-15'),
		('bytea_output', 'escape'), ('array_nulls', 'off'), ('gin_fuzzy_search_limit', '1'), ('jit', 'on'),
		('plan_cache_mode', 'force_custom_plan')) v (name, value);
	RETURN true;
END $$;
CREATE FUNCTION evil.checked(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN evil.poison(); END';
CREATE FUNCTION evil.checked_locally(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN evil.poison(true); END';
CREATE FUNCTION evil.fires() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.set_config('evil.fired', 'yes', false);
	PERFORM evil.poison();
	RETURN NEW;
END $$;
CREATE DOMAIN evil.word AS text CHECK (evil.checked(VALUE));
CREATE DOMAIN evil.number AS int CHECK (evil.checked(VALUE::text));
RESET ROLE;

SET ROLE regress_shop;
CREATE TABLE shop.customer (id int PRIMARY KEY, email text, since timestamptz);
CREATE TABLE shop.note (id int PRIMARY KEY, customer_id int REFERENCES shop.customer, body text);
CREATE TABLE shop.invoice (id int PRIMARY KEY, customer_id int REFERENCES shop.customer, who text, at timestamptz, placed timestamptz);
CREATE TABLE shop.member (id evil.number PRIMARY KEY, email evil.word);
INSERT INTO shop.customer SELECT i, 'mail ' || i, '2020-01-31 20:00+00' FROM generate_series(1, 30) i;
INSERT INTO shop.note SELECT i, i, 'hello' FROM generate_series(1, 30) i;
INSERT INTO shop.invoice SELECT i, i, 'Ada', now(), '2020-01-31 20:00+00' FROM generate_series(1, 30) i;
INSERT INTO shop.member SELECT i, 'mail ' || i FROM generate_series(1, 9) i;
GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO regress_dpo;
SET search_path = public;
SECURITY LABEL FOR effaced ON TABLE shop.customer IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN shop.customer.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE shop.note IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN shop.note.body IS '{"category": "communication", "erasure": "anonymize", "surrogate": "''gone''"}';
SECURITY LABEL FOR effaced ON TABLE shop.invoice IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN shop.invoice.who IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN shop.invoice.at IS '{"category": "behavioral", "erasure": "anonymize", "surrogate": "date_trunc(''month'', placed)"}';
SECURITY LABEL FOR effaced ON TABLE shop.member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN shop.member.email IS '{"category": "contact", "erasure": "anonymize", "surrogate": "''gone''"}';
SHOW search_path;
RESET search_path;
RESET ROLE;

-- changed() tells which settings and which role are no longer those of the last call, and which
-- roles have run what is hidden.
CREATE TABLE settings AS SELECT name, setting FROM pg_catalog.pg_settings LIMIT 0;
CREATE FUNCTION changed() RETURNS TABLE (what text) LANGUAGE sql AS $$
	SELECT s.name || ': ' || pg_catalog.current_setting(s.name) FROM public.settings s
	WHERE pg_catalog.current_setting(s.name) OPERATOR(pg_catalog.<>) s.setting
	UNION ALL SELECT DISTINCT who || ' ran ' || what FROM evil.seen
$$;
GRANT SELECT, INSERT ON settings TO PUBLIC;
SET ROLE regress_dpo;
SET search_path = shop, public;
SET TimeZone = 'Europe/Rome';
SET DateStyle = 'SQL, DMY';
INSERT INTO settings SELECT name, current_setting(name) FROM pg_settings
	WHERE name NOT IN ('role', 'is_superuser', 'transaction_read_only', 'evil.fired');

-- 1. Nothing runs before a trigger or a CHECK does.
SELECT effaced_erase('1', '[{"kind": "crm", "value": "x"}]', 'customer') -> 'anonymized';
SELECT changed();

-- 2. A CHECK, for the session and for the transaction.
RESET ROLE;
ALTER TABLE shop.note ADD CONSTRAINT c CHECK (evil.checked(body)) NOT VALID;
SET search_path = shop, public; SET TimeZone = 'Europe/Rome'; SET DateStyle = 'SQL, DMY';
SET ROLE regress_dpo;
SELECT effaced_erase('2', '[{"kind": "crm", "value": "y"}]', 'customer') -> 'anonymized';
SELECT changed();
SELECT effaced_erase_many('{3,4}', '[{"kind": "crm", "value": "y"}]', 'customer') -> 'anonymized';
SELECT changed();
SELECT effaced_rectify('5', '[{"category": "communication", "value": "other"}]', subject => 'customer') -> 'rectified';
SELECT changed();
RESET ROLE;
ALTER TABLE shop.note DROP CONSTRAINT c;
ALTER TABLE shop.note ADD CONSTRAINT c CHECK (evil.checked_locally(body)) NOT VALID;
SET search_path = shop, public; SET TimeZone = 'Europe/Rome'; SET DateStyle = 'SQL, DMY';
SET ROLE regress_dpo;
BEGIN;
SELECT effaced_erase('6', '[{"kind": "crm", "value": "y"}]', 'customer') -> 'anonymized';
SELECT changed();
COMMIT;
SELECT changed();
-- what the caller has set for the transaction stays so
BEGIN;
SET LOCAL TimeZone = 'Asia/Kolkata';
SELECT effaced_erase('7', subject => 'customer') -> 'anonymized';
SHOW TimeZone;
COMMIT;
SHOW TimeZone;
RESET ROLE;
ALTER TABLE shop.note DROP CONSTRAINT c;

-- 3. Triggers; any other setting that they set stays.
CREATE TRIGGER t BEFORE UPDATE ON shop.note FOR EACH ROW EXECUTE FUNCTION evil.fires();
CREATE TRIGGER u AFTER UPDATE ON shop.note FOR EACH STATEMENT EXECUTE FUNCTION evil.fires();
SET ROLE regress_dpo;
SELECT effaced_erase('8', '[{"kind": "crm", "value": "y"}]', 'customer') -> 'anonymized';
SELECT changed();
SELECT current_setting('evil.fired');
SELECT effaced_erase_many('{9,10}', '[{"kind": "crm", "value": "y"}]', 'customer') -> 'anonymized';
SELECT changed();
BEGIN;
SET LOCAL TimeZone = 'Asia/Kolkata';
SELECT effaced_erase('11', subject => 'customer') -> 'anonymized';
SHOW TimeZone;
COMMIT;
SELECT changed();
-- the surrogates are those that were made without
SELECT DISTINCT at AT TIME ZONE 'UTC' FROM shop.invoice WHERE id <= 11 AND id <> 5;
SELECT effaced_verify('8', 'customer') -> 'verified';
SELECT changed();

-- 4. Rows that a policy hides are not left behind.
RESET ROLE;
ALTER TABLE shop.invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON shop.invoice USING (false);
SET ROLE regress_dpo;
SELECT effaced_erase('12', subject => 'customer') -> 'anonymized';
\echo :LAST_ERROR_SQLSTATE
SELECT changed();
RESET ROLE;
SELECT email, body, who FROM shop.customer c, shop.note n, shop.invoice i WHERE c.id = 12 AND n.id = 12 AND i.id = 12;
ALTER TABLE shop.invoice DISABLE ROW LEVEL SECURITY;
DROP TRIGGER t ON shop.note;
DROP TRIGGER u ON shop.note;

-- 5. Domains: of a column, of a key, of a constant in a label.
SET ROLE regress_dpo;
SELECT effaced_erase('1', subject => 'member') -> 'deleted';
SELECT changed();
SELECT effaced_consent_grant('2', 'news', subject => 'member') IS NOT NULL;
SELECT changed();
SELECT effaced_consent_status('2', 'news', subject => 'member');
SELECT changed();
SELECT effaced_restrict('3', subject => 'member') IS NOT NULL;
SELECT changed();
SELECT effaced_restriction_status('3', subject => 'member');
SELECT changed();
SELECT effaced_export('4', subject => 'member') IS NOT NULL;
SELECT changed();
SELECT effaced_verify('4', 'member') -> 'verified';
SELECT changed();
SELECT count(*) > 0 FROM effaced_plan('4', 'member');
SELECT changed();
SELECT effaced_rectify('4', '[{"category": "contact", "value": "other"}]', subject => 'member') -> 'rectified';
SELECT changed();
RESET ROLE;
SELECT count(*) > 0 FROM effaced_lint();
SELECT changed();
SECURITY LABEL FOR effaced ON COLUMN shop.member.email IS '{"category": "contact", "surrogate": "''left''"}';
SELECT changed();
SELECT effaced_manifest_apply(effaced_manifest()) > 0;
SELECT changed();
CREATE TYPE mood AS ENUM ('sad');
DROP TYPE mood;
SELECT changed();
SELECT count(*) FROM effaced_sweep();
SELECT changed();
SELECT count(*) FROM effaced_subject_ids('member');
SELECT changed();

-- 6. A role, or session_replication_role, that is left changed fails the call.
GRANT regress_shop TO regress_dpo;
CREATE FUNCTION becomes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE current_setting('app.command');
	RETURN NEW;
END $$;
CREATE TRIGGER t BEFORE UPDATE ON shop.note FOR EACH ROW EXECUTE FUNCTION becomes();
\set VERBOSITY default
SET ROLE regress_dpo;
SET app.command = 'SET ROLE regress_shop';
SELECT effaced_erase('13', subject => 'customer');
SELECT current_user;
SET app.command = 'SET LOCAL ROLE regress_shop';
SELECT effaced_erase('13', subject => 'customer');
SELECT current_user;
SET app.command = 'RESET ROLE';
SELECT effaced_erase_many('{13}', subject => 'customer');
SELECT current_user;
RESET ROLE;
SET app.command = 'SET SESSION AUTHORIZATION regress_shop';
SELECT effaced_rectify('13', '[{"category": "communication", "value": "other"}]', subject => 'customer');
SET app.command = 'SET session_replication_role = replica';
SELECT effaced_erase('13', subject => 'customer');
SHOW session_replication_role;
\set VERBOSITY terse
SELECT current_user = session_user, body FROM shop.note WHERE id = 13;
SELECT changed();
-- one that is taken back does not
CREATE OR REPLACE FUNCTION becomes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE regress_shop;
	SET LOCAL ROLE regress_dpo;
	RETURN NEW;
END $$;
SET ROLE regress_dpo;
SELECT effaced_erase('13', subject => 'customer') -> 'anonymized';
SELECT current_user;
RESET ROLE;
DROP TRIGGER t ON shop.note;

-- 7. What fails while it runs as the owner of effaced's tables, and is caught, leaves nothing behind.
REVOKE regress_shop FROM regress_dpo;
SET ROLE regress_mallory;
CREATE OR REPLACE FUNCTION evil.checked(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('app.attack', true) = 'on' THEN
		PERFORM set_config('app.attack', 'off', true);
		PERFORM set_config('transaction_read_only', 'on', true);
		PERFORM public.effaced_consent_grant('7', 'x', subject => 'shop.member');
	END IF;
	RETURN true;
END $$;
RESET ROLE;
SELECT effaced_restrict('4', subject => 'member') IS NOT NULL;
SELECT effaced_restriction_policy('shop.member');
SET ROLE regress_dpo;
SELECT count(*) FROM shop.member;
SET app.attack = on;
-- it is not passed over, as an identifier that does not fit is
SELECT count(*) FROM shop.member;
\echo :LAST_ERROR_SQLSTATE
SELECT current_user;
SHOW transaction_read_only;
SELECT changed();
SET app.attack = on;
BEGIN;
SELECT effaced_restriction_status('3', subject => 'shop.member');
SELECT current_user;
ROLLBACK;
SELECT current_user;
RESET ROLE;

DROP OWNED BY regress_shop, regress_mallory, regress_dpo CASCADE;
DROP ROLE regress_shop, regress_mallory, regress_dpo;
