-- Identifiers of subjects: how composite ones are written, and how any of them
-- is cast to the key's type before it is compared or stored.
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

-- 1. effaced_subject_id() joins values with ':', a backslash before ':' and '\' inside a value.
SELECT effaced_subject_id('42');
SELECT effaced_subject_id('at', '42');
SELECT effaced_subject_id('a:b');
SELECT effaced_subject_id('a:b', 'c\d', '');
SELECT effaced_subject_id('', '');
SELECT effaced_subject_id('\', ':');
SELECT effaced_subject_id(VARIADIC ARRAY['x', 'y']);
SELECT effaced_subject_id(E'line\nbreak', 'Ünï');
SELECT try($$SELECT effaced_subject_id(NULL)$$);
SELECT try($$SELECT effaced_subject_id('a', NULL)$$);
SELECT try($$SELECT effaced_subject_id(VARIADIC NULL::text[])$$);
SELECT try($$SELECT effaced_subject_id(VARIADIC '{}'::text[])$$);

-- effaced_parse_subject_id() takes them apart; with arity 1 the text is the value.
SELECT effaced_parse_subject_id('42');
SELECT effaced_parse_subject_id('at:42', 2);
SELECT effaced_parse_subject_id('a\:b:c\\d:');
SELECT effaced_parse_subject_id('');
SELECT effaced_parse_subject_id(':');
SELECT effaced_parse_subject_id('a:b', 1);
SELECT effaced_parse_subject_id('a\b', 1);
SELECT effaced_parse_subject_id('', 1);
SELECT try($$SELECT effaced_parse_subject_id(NULL)$$);
SELECT try($$SELECT effaced_parse_subject_id('secret:value', 3)$$);
SELECT try($$SELECT effaced_parse_subject_id('secret', 2)$$);
SELECT try($$SELECT effaced_parse_subject_id('secret\value', 2)$$);
SELECT try($$SELECT effaced_parse_subject_id('secret\')$$);
SELECT try($$SELECT effaced_parse_subject_id('secret', 0)$$);
SELECT try($$SELECT effaced_parse_subject_id('secret', -1)$$);

-- Distinct tuples of one arity never collide, and parse back exactly.
WITH v(x) AS (VALUES (''), ('a'), (':'), ('\'), ('\\'), ('a:'), (':a'), ('\:'), (':\'), ('a\:b'), ('a:b:c')),
     t AS (SELECT a.x AS a, b.x AS b, c.x AS c, effaced_subject_id(a.x, b.x, c.x) AS id FROM v a, v b, v c)
SELECT count(*), count(DISTINCT id), bool_and(effaced_parse_subject_id(id, 3) = ARRAY[a, b, c]) FROM t;
SELECT bool_and(effaced_parse_subject_id(effaced_subject_id(x), 1) = ARRAY[x]) FROM (VALUES (''), (':'), ('\'), ('a:b')) v(x);

-- 2. Every type of key. used() says which subject an identifier means, and that it was found.
CREATE FUNCTION used(subject regclass, id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result jsonb;
BEGIN
    result := effaced_erase(id, subject => subject);
    RAISE SQLSTATE 'UNDO0' USING MESSAGE = format('%s found %s', result ->> 'subject_id', result ->> 'subject_found');
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    RETURN SQLERRM;
END $$;
CREATE FUNCTION used(subject regclass, id text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result jsonb;
BEGIN
    result := effaced_erase(id, subject => subject);
    RAISE SQLSTATE 'UNDO0' USING MESSAGE = format('%s found %s', result ->> 'subject_id', result ->> 'subject_found');
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    RETURN SQLERRM;
END $$;
CREATE FUNCTION subject_table(name text, type text, key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (id %s PRIMARY KEY, email text)', name, type);
    EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %I IS ''{"path": ""}''', name);
    EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %I.email IS ''{"category": "contact"}''', name);
    EXECUTE format('INSERT INTO %I VALUES (%L, ''x'')', name, key);
END $$;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(4) CHECK (VALUE ~ '^[A-Z]');
CREATE TYPE colour AS ENUM ('red', 'green');
SELECT count(subject_table(n, t, k)) FROM (VALUES
    ('k_int', 'int', '42'), ('k_bigint', 'bigint', '9007199254740993'), ('k_small', 'smallint', '7'),
    ('k_text', 'text', 'a:b\c'), ('k_empty', 'text', ''), ('k_varchar', 'varchar(5)', 'abcde'), ('k_char', 'char(5)', 'abc'),
    ('k_uuid', 'uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('k_numeric', 'numeric', '12.50'), ('k_scaled', 'numeric(6,2)', '12.5'),
    ('k_domain', 'positive', '42'), ('k_code', 'code', 'AB'), ('k_enum', 'colour', 'red'), ('k_date', 'date', '2024-02-29'),
    ('k_time', 'timestamptz', '2024-02-29 12:00Z'), ('k_inet', 'inet', '10.0.0.1'), ('k_bytea', 'bytea', '\x00ff'), ('k_bool', 'boolean', 'true'), ('k_float', 'float8', '0.1')) v(n, t, k);

-- what is one value is one subject, and has one canonical text
SELECT id, used('k_int', id) FROM unnest(ARRAY['42', '042', ' 42 ', '+42', '-0', '43']) id;
SELECT used('k_bigint', '9007199254740993'), used('k_bigint', '9007199254740992');
SELECT used('k_text', 'a:b\c'), used('k_text', 'A:b\c'), used('k_text', 'a\:b\\c');
SELECT used('k_empty', ''), used('k_empty', ' ');
SELECT used('k_varchar', 'abcde'), used('k_varchar', 'abc');
SELECT used('k_char', 'abc'), used('k_char', 'abc  ');
SELECT id, used('k_uuid', id) FROM unnest(ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}']) id;
SELECT id, used('k_numeric', id) FROM unnest(ARRAY['12.5', '12.50', '0012.500', '1.25e1', '12']) id;
SELECT id, used('k_scaled', id) FROM unnest(ARRAY['12.5', '12.50', '12.5000', '13']) id;
SELECT id, used('k_domain', id) FROM unnest(ARRAY['42', '042']) id;
SELECT used('k_code', 'AB'), used('k_enum', 'red'), used('k_inet', '10.0.0.1/32'), used('k_bytea', '\x00FF'), used('k_bytea', '\000\377'), used('k_bool', 'yes');
-- in every session's settings
SET datestyle = 'German';
SET timezone = 'Asia/Tokyo';
SET bytea_output = 'escape';
SELECT used('k_date', '2024-02-29'), used('k_date', '29.02.2024');
SELECT used('k_time', '2024-02-29 21:00'), used('k_time', '2024-02-29 13:00+01');
SELECT used('k_bytea', '\x00ff');
SET extra_float_digits = -10;
SELECT used('k_float', '0.1'), used('k_float', '0.10000000000000002');
RESET extra_float_digits;
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Kolkata';
SELECT effaced_erase(timestamptz '2024-02-29 12:00Z', subject => 'k_time') ->> 'subject_id';
RESET datestyle;
RESET timezone;
RESET bytea_output;

-- 3. What does not fit is ZE002, names the table and not the value.
CREATE FUNCTION refused(subject regclass, id text) RETURNS text LANGUAGE sql AS
$$ SELECT try(format('SELECT effaced_erase(%L, subject => %L)', id, subject)) $$;
SELECT refused('k_int', 'secret');
SELECT refused('k_int', '');
SELECT refused('k_int', '4.2');
SELECT refused('k_int', '3000000000');
SELECT refused('k_int', '2a');
SELECT refused('k_uuid', 'a0eebc99-secret');
SELECT refused('k_varchar', 'secret');
SELECT refused('k_varchar', 'abc   ');
SELECT refused('k_varchar', 'abcde ');
SELECT refused('k_char', 'secret');
SELECT refused('k_scaled', '12.505');
SELECT refused('k_scaled', '99999.5');
SELECT refused('k_domain', '-42');
SELECT refused('k_code', 'secret');
SELECT refused('k_code', '9');
SELECT refused('k_enum', 'secret');
SELECT refused('k_date', 'secret');
SELECT refused('k_bytea', '\xsecret');
SELECT refused('k_int', NULL);
SELECT try($$SELECT * FROM effaced_plan(NULL::text, 'k_int')$$);
SELECT try($$SELECT * FROM effaced_plan('secret', 'k_int')$$);
SELECT try($$SELECT effaced_verify('secret', 'k_int')$$);
SELECT try($$SELECT effaced_erase_many(ARRAY['42', 'secret'], subject => 'k_int')$$);
SELECT try($$SELECT effaced_erase_many(ARRAY['42', NULL], subject => 'k_int')$$);
SELECT count(*) FROM k_int;
-- at the top level neither
SELECT effaced_erase('secret', subject => 'k_int');
\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE

-- 4. Other types than text, by the overloads
SELECT effaced_erase(42, subject => 'k_int') ->> 'subject_id';
SELECT effaced_erase(42::bigint, subject => 'k_int') ->> 'subject_id';
SELECT effaced_erase(7::smallint, subject => 'k_small') -> 'subject_found';
SELECT effaced_erase('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, subject => 'k_uuid') -> 'subject_found';
SELECT effaced_erase(12.50, subject => 'k_numeric') -> 'subject_found';
SELECT effaced_erase('red'::colour, subject => 'k_enum') -> 'subject_found';
SELECT effaced_erase('AB'::code, subject => 'k_code') -> 'subject_found';
SELECT effaced_erase(date '2024-02-29', subject => 'k_date') -> 'subject_found';
SELECT try($$SELECT effaced_erase(NULL::int, subject => 'k_int')$$);
SELECT try($$SELECT effaced_erase(42, subject => 'k_uuid')$$);
SELECT count(*) FROM effaced_plan(42, 'k_int');
SELECT effaced_verify(42, 'k_int') -> 'verified';

-- 5. Composite keys: the whole ordered key is matched, never part of it.
CREATE TABLE member (club text, no int, day date, email text, PRIMARY KEY (no, club));
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "subject_id_columns": ["club", "no"]}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact"}';
INSERT INTO member VALUES ('chess', 1, now(), 'a'), ('chess', 2, now(), 'b'), ('a:b\c', 1, now(), 'c'), ('', 1, now(), 'd');
SELECT used('member', 'chess:1'), used('member', 'chess:01'), used('member', 'chess:3'), used('member', ':1');
SELECT used('member', 'a\:b\\c:1'), used('member', ARRAY['a:b\c', '1']), used('member', ARRAY['chess', '002']);
SELECT refused('member', 'chess');
SELECT refused('member', '1:chess');
SELECT refused('member', 'a:b\c:1');
SELECT refused('member', 'a\c:1');
SELECT refused('member', 'secret:1:2');
SELECT refused('member', 'secret:one');
SELECT try($$SELECT effaced_erase(ARRAY['chess'], subject => 'member')$$);
SELECT try($$SELECT effaced_erase(ARRAY['chess', NULL], subject => 'member')$$);
SELECT try($$SELECT effaced_erase(NULL::text[], subject => 'member')$$);
SELECT try($$SELECT effaced_erase('{}'::text[], subject => 'member')$$);
SELECT effaced_erase('chess:1', subject => 'member') ->> 'subject_id';
SELECT effaced_erase(ARRAY['a:b\c', '1'], subject => 'member') ->> 'subject_id';
SELECT club, no, email IS NULL OR email LIKE 'anon-%' AS erased FROM member ORDER BY club, no;
-- the trail has the canonical text
SELECT DISTINCT subject, subject_ref FROM effaced_audit_events WHERE subject = 'member' ORDER BY 2;
-- a text[] of one value does for one column
SELECT used('k_text', ARRAY['a:b\c']);

-- 6. Which subject table: with several in the map one has to be named.
SELECT try($$SELECT effaced_erase('42')$$);
CREATE TABLE other (id int PRIMARY KEY);
SELECT try($$SELECT effaced_erase('42', subject => 'other')$$);

-- 7. A 100,000-byte identifier is one like any other, or refused without showing it.
SELECT repeat('0123456789', 10000) AS long \gset
SELECT length(effaced_subject_id(:'long', ':')), length(effaced_parse_subject_id(:'long' || ':x', 2) ::text);
SELECT length(used('k_text', :'long'));
SELECT refused('k_int', :'long');
SELECT refused('member', :'long');
SELECT refused('k_numeric', :'long' || 'x');
SELECT effaced_erase(:'long', subject => 'k_text') -> 'subject_found';
SELECT effaced_erase(ARRAY[:'long', '1'], subject => 'member') -> 'subject_found';
SELECT event_type, subject, length(subject_ref) FROM effaced_audit_events WHERE length(subject_ref) > 1000 ORDER BY seq;
-- One of many parts takes memory in proportion, and notices a statement timeout.
SET statement_timeout = '60s';
SELECT cardinality(effaced_parse_subject_id(repeat(':', 400000)));
SELECT peak < 450 AS modest FROM (SELECT max(pg_size_mb) AS peak FROM (
    SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::int / 1024 AS pg_size_mb) AS s) AS p;
SELECT effaced_parse_subject_id('a:b:'), effaced_parse_subject_id(':'), effaced_parse_subject_id('\:\\');
RESET statement_timeout;

-- 8. One person is one, whatever the spelling: a key of a collation that takes several for equal.
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE guest (id text COLLATE ci PRIMARY KEY, email text, note text);
INSERT INTO guest VALUES ('Ada', 'a@x', 'n'), ('Ben', 'b@x', 'n');
SECURITY LABEL FOR effaced ON TABLE guest IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN guest.email IS '{"category": "contact"}';
SELECT effaced_restrict('ADA', subject => 'guest') IS NOT NULL;
SELECT effaced_restriction_status('Ada', subject => 'guest'), effaced_restriction_status('aDA', subject => 'guest'),
	effaced_restriction_status('Ben', subject => 'guest');
SELECT try($$SELECT effaced_erase('ada', subject => 'guest')$$);
SELECT effaced_lift_restriction('ada', subject => 'guest') IS NOT NULL;
SELECT effaced_restriction_status('ADA', subject => 'guest');
-- of nobody: the first record has the spelling that counts, also once there is a row
SELECT effaced_consent_grant('Zoe', 'x', subject => 'guest') IS NOT NULL;
SELECT effaced_consent_status('ZOE', 'x', 'guest');
INSERT INTO guest VALUES ('zoe', 'z@x', 'n');
SELECT effaced_consent_withdraw('ZOE', 'x', subject => 'guest') IS NOT NULL;
SELECT effaced_consent_status('Zoe', 'x', 'guest'), effaced_consent_status('zoe', 'x', 'guest');
SELECT effaced_consent_grant('max', 'x', subject => 'guest') <> effaced_consent_grant('MAX', 'x', subject => 'guest');
SELECT effaced_erase('BEN', subject => 'guest') ->> 'subject_id';
SELECT effaced_verify('ben', 'guest') -> 'verified';
SELECT DISTINCT subject_ref FROM effaced_audit_events WHERE subject = 'guest' ORDER BY 1;
-- several columns of a key, one of which is such
CREATE TABLE seat (club text COLLATE ci, no int, email text, PRIMARY KEY (club, no));
INSERT INTO seat VALUES ('a:B', 1, 'x');
SECURITY LABEL FOR effaced ON TABLE seat IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN seat.email IS '{"category": "contact"}';
SELECT effaced_restrict(effaced_subject_id('A:b', '01'), subject => 'seat') IS NOT NULL;
SELECT effaced_restriction_status(effaced_subject_id('a:b', '1'), subject => 'seat'), effaced_restriction_status(effaced_subject_id('a:b', '2'), subject => 'seat');
SELECT subject_ref FROM effaced_audit_events WHERE subject = 'seat';
