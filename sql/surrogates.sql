-- What an anonymized column of a surviving row holds afterwards: a value that is
-- valid for the type, recognisable, derived from the row's key and never from the
-- value that was there.
CREATE EXTENSION effaced;
CREATE EXTENSION citext;

CREATE TABLE person (id int PRIMARY KEY, joined date);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
INSERT INTO person VALUES (1, '2020-01-01'), (2, '2020-01-02'), (3, '2020-01-03');

-- Label every column of a table but its first two, and link it to person.
CREATE PROCEDURE label_all(relation regclass) LANGUAGE plpgsql AS $$
DECLARE
	name name;
BEGIN
	EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %s IS %L', relation, '{"path": "person"}');
	FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = relation AND attnum > 2 AND NOT attisdropped LOOP
		EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %s.%I IS %L', relation, name, '{"category": "special", "erasure": "anonymize"}');
	END LOOP;
END
$$;

--
-- Built-in types. Text gets a token; what cannot be told by its value gets the
-- neutral value of its type.
--
CREATE TYPE pair AS RANGE (subtype = int);
CREATE TABLE everything (
	id int PRIMARY KEY, person_id int NOT NULL REFERENCES person,
	"text" text, "varchar" varchar, "char" char, "name" name, "internal char" "char", "citext" citext,
	"varchar(4)" varchar(4), "varchar(20)" varchar(20), "varchar(37)" varchar(37), "varchar(40)" varchar(40), "char(3)" char(3), "char(50)" char(50),
	"smallint" smallint, "int" int, "bigint" bigint, "numeric" numeric, "numeric(5,2)" numeric(5,2), "numeric(2,2)" numeric(2,2), "numeric(2,-3)" numeric(2,-3),
	"real" real, "double" double precision, "money" money, "oid" oid, "bool" boolean,
	"date" date, "time" time, "time(0)" time(0), "timetz" timetz, "timestamp" timestamp, "timestamp(0)" timestamp(0), "timestamptz" timestamptz, "timestamptz(3)" timestamptz(3),
	"interval" interval, "interval year" interval year, "interval(0)" interval(0),
	"uuid" uuid, "json" json, "jsonb" jsonb, "bytea" bytea, "inet" inet, "cidr" cidr,
	"text[]" text[], "int[][]" int[][], "json[]" json[], "varchar(3)[]" varchar(3)[],
	"int4range" int4range, "tstzrange" tstzrange, "daterange" daterange, "own range" pair, "int4multirange" int4multirange, "nummultirange" nummultirange,
	"int4range[]" int4range[]
);
CALL label_all('everything');
INSERT INTO everything VALUES (10, 1,
	'text', 'varchar', 'c', 'name', 'i', 'CiText', 'vc4', 'varchar 20', 'varchar 37', 'varchar 40', 'ch3', 'char 50',
	1, 2, 3, 4.5, 6.78, 0.9, 12000, 1.5, 'NaN', 9.99, 42, true,
	'1999-12-31', '12:34', '12:34', '12:34+02', '1999-12-31 12:34', '1999-12-31 12:34', '1999-12-31 12:34+02', '1999-12-31 12:34+02',
	'3 days', '4 years', '5 seconds',
	'6f9619ff-8b86-d011-b42d-00cf4fc964ff', '{"a": 1}', '{"b": 2}', '\xdeadbeef', '192.0.2.1', '192.0.2.0/24',
	'{a,b}', '{{1,2}}', ARRAY['{}', '1']::json[], '{a}',
	'[1,3)', '[2020-01-01,)', '[2020-01-01,)', '[1,3)', '{[1,3)}', '{[1,)}', '{"[1,3)"}');
-- A row of NULLs, and one that holds the neutral values already.
INSERT INTO everything (id, person_id) VALUES (11, 1);
INSERT INTO everything SELECT (jsonb_populate_record(e, '{"id": 20, "person_id": 2}')).* FROM everything e WHERE id = 10;
CREATE TABLE before AS TABLE everything;
SELECT effaced_erase('1') -> 'anonymized' AS anonymized;
SELECT key AS "column", regexp_replace(regexp_replace(value, 'anon-[0-9a-f]+', 'anon-<token>'), '^[0-9a-f-]{36}$', '<uuid>') AS value, length(value)
  FROM everything e, jsonb_each_text(to_jsonb(e) - 'id' - 'person_id') JOIN pg_attribute ON attrelid = 'everything'::regclass AND attname = key
 WHERE e.id = 10 ORDER BY attnum;
SELECT count(*) FILTER (WHERE value IS NULL) AS still_null, count(value) AS filled FROM everything e, jsonb_each_text(to_jsonb(e) - 'id' - 'person_id') WHERE e.id = 11;
-- Tokens differ by column and row. Nobody else's row has changed.
SELECT "text" <> "varchar" AS by_column FROM everything WHERE id = 10;
SELECT md5(e::text) = md5(b::text) AS same FROM everything e JOIN before b USING (id) WHERE id = 20;
SELECT effaced_erase('2') -> 'anonymized' AS anonymized;
SELECT a."text" <> b."text" AS by_row, a."uuid" <> b."uuid" AS by_row, a."json"::text = b."json"::text AS constant
  FROM everything a, everything b WHERE a.id = 10 AND b.id = 20;
-- Verified, and nothing is left to do, for json too, which has no equality.
SELECT effaced_verify('1') -> 'residual' AS residual;
SELECT effaced_erase('1') -> 'anonymized' AS anonymized;

--
-- The same in every session, whatever its settings.
--
CREATE TABLE by_key (at timestamptz, period tstzrange, span interval, ratio float8, code text, raw bytea, person_id bigint NOT NULL REFERENCES person,
	note text, ref uuid, PRIMARY KEY (at, period, span, ratio, code, raw));
SECURITY LABEL FOR effaced ON TABLE by_key IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN by_key.note IS '{"category": "special", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN by_key.ref IS '{"category": "special", "erasure": "anonymize"}';
INSERT INTO by_key SELECT '2020-02-29 12:00Z', '[2020-02-29 12:00Z,)', '1 mon 2 days', 0.1 + 0.2, code, '\x5c00', 1, 'x', gen_random_uuid()
  FROM unnest(ARRAY['plain', 'back\slash', '\', '\\', E'''', E'\n', 'ünï', '']) code;
SET "DateStyle" = 'ISO, YMD';
SELECT effaced_erase('1', tables => '{by_key}') -> 'anonymized' AS anonymized;
CREATE TABLE first_time AS TABLE by_key;
SELECT count(DISTINCT note) AS tokens, count(DISTINCT ref) AS uuids FROM by_key;
SET "DateStyle" = 'German';
SET "TimeZone" = 'Asia/Kathmandu';
SET "IntervalStyle" = 'iso_8601';
SET extra_float_digits = -5;
SET bytea_output = 'escape';
SET standard_conforming_strings = off;
SET backslash_quote = on;
SET search_path = pg_temp, public;
SET quote_all_identifiers = on;
SET client_encoding = 'LATIN1';
SELECT effaced_erase('1', tables => '{by_key}') -> 'anonymized' AS anonymized;
\c
SET client_encoding = 'LATIN1';
SET "TimeZone" = 'Asia/Kathmandu';
SELECT effaced_verify('1') -> 'residual' AS residual;
UPDATE by_key SET note = 'y', ref = gen_random_uuid();
SET "DateStyle" = 'SQL, DMY';
SET extra_float_digits = 0;
SELECT effaced_erase('1', tables => '{by_key}') -> 'anonymized' AS anonymized;
RESET ALL;
SELECT count(*) AS differing FROM (TABLE by_key EXCEPT TABLE first_time) d;
SELECT effaced_verify('1') -> 'residual' AS residual;

-- What counts as a number may be a name as text, with a backslash in it.
CREATE TABLE "back\slash" ();
CREATE TABLE "back\101" ();
CREATE TABLE by_name (relation regclass PRIMARY KEY, note text, person_id int NOT NULL REFERENCES person);
SECURITY LABEL FOR effaced ON TABLE by_name IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN by_name.note IS '{"category": "special", "erasure": "anonymize"}';
INSERT INTO by_name SELECT oid, 'x', 1 FROM pg_class WHERE relname LIKE 'back%';
SELECT effaced_erase('1', tables => '{by_name}') -> 'anonymized' AS anonymized;
SELECT count(DISTINCT note) AS tokens FROM by_name WHERE note LIKE 'anon-%';
DROP TABLE by_name;

-- Without a key there is nothing to derive a token from: one constant for all.
CREATE TABLE keyless (note text, person_id int NOT NULL REFERENCES person, code uuid, flag bool);
SECURITY LABEL FOR effaced ON TABLE keyless IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN keyless.note IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN keyless.code IS '{"category": "special"}';
INSERT INTO keyless SELECT 'note ' || i, 1 + i % 2, gen_random_uuid() FROM generate_series(1, 6) i;
SELECT effaced_erase('1', tables => '{keyless}') -> 'anonymized' AS anonymized;
SELECT count(DISTINCT note) AS notes, count(DISTINCT code) AS codes, min(note) ~ '^anon-[0-9a-f]{32}$' AS text FROM keyless WHERE person_id = 1;
SELECT effaced_erase('1', tables => '{keyless}') -> 'anonymized' AS anonymized;
DROP TABLE keyless, by_key, everything, before, first_time;

--
-- The label has to give the surrogate where the default may not fit. The error
-- comes with the plan, before any row is touched.
--
CREATE TABLE t (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person);
SECURITY LABEL FOR effaced ON TABLE t IS '{"path": "person"}';
INSERT INTO t VALUES (1, 1), (2, 1), (3, 2);

-- Tries a column definition: what the plan says, and without error what erasing
-- does to a row.
CREATE FUNCTION attempt(definition text, value text DEFAULT NULL, label jsonb DEFAULT '{}', extra text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; result text;
BEGIN
	EXECUTE 'ALTER TABLE t ADD c ' || definition;
	IF extra IS NOT NULL THEN
		EXECUTE extra;
	END IF;
	EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN t.c IS %L', '{"category": "special", "erasure": "anonymize"}' || label);
	IF value IS NOT NULL THEN
		EXECUTE format('UPDATE t SET c = %s WHERE id = 1', value);
	END IF;
	EXECUTE $q$SELECT effaced_erase('1', tables => '{t}') -> 'anonymized' ->> 't'$q$ INTO result;
	EXECUTE $q$SELECT $1 || ': ' || coalesce(regexp_replace(regexp_replace(c::text, '^anon-[0-9a-f]+$', 'anon-<token>'), '^[0-9a-f]{8}-[0-9a-f-]{27}$', '<uuid>'), 'NULL') FROM t WHERE id = 1$q$ INTO result USING result;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0', MESSAGE = result;
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
		RETURN state || ': ' || message || E'\n' || detail;
END
$$;
\pset format unaligned
\pset tuples_only on
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE complex AS (re float8, im float8);
-- enums, composite types, and types without a default of their own
SELECT attempt('mood', '''sad''');
SELECT attempt('mood', '''sad''', '{"surrogate": "''ok''"}');
SELECT attempt('mood[]', '''{sad}''');
SELECT attempt('complex', '''(1,2)''');
SELECT attempt('point', '''(1,2)''');
SELECT attempt('point', '''(1,2)''', '{"surrogate": "''(0,0)''"}');
SELECT attempt('macaddr', '''08:00:2b:01:02:03''');
SELECT attempt('bit(4)', 'B''1010''');
SELECT attempt('bit(4)', 'B''1010''', '{"surrogate": "B''0000''"}');
SELECT attempt('bit varying', 'B''1010''');
SELECT attempt('tsvector', '''a b''');
SELECT attempt('xml', '''<a/>''');
SELECT attempt('xml', '''<a/>''', '{"surrogate": "''<b/>''"}');
-- domains: as their type, unless they have a check that the default may violate
CREATE DOMAIN plain AS text;
CREATE DOMAIN short AS varchar(8);
CREATE DOMAIN email AS text CHECK (VALUE ~ '@');
CREATE DOMAIN present AS text CHECK (VALUE IS NOT NULL);
CREATE DOMAIN natural_number AS int CHECK (VALUE >= 0);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small_positive AS positive CHECK (VALUE < 10);
CREATE DOMAIN required AS text NOT NULL DEFAULT '';
CREATE DOMAIN tags AS text[];
SELECT attempt('plain', '''x''');
SELECT attempt('short', '''x''');
SELECT attempt('email', '''a@b''');
SELECT attempt('email', '''a@b''', '{"surrogate": "''user'' || id || ''@invalid''"}');
SELECT attempt('present DEFAULT ''y''', '''x''');
SELECT attempt('natural_number', '7');
SELECT attempt('positive', '7');
SELECT attempt('small_positive', '7');
SELECT attempt('small_positive', '7', '{"surrogate": "1"}');
SELECT attempt('required', '''x''');
SELECT attempt('tags', '''{x}''');
SELECT attempt('natural_number[]', '''{7}''');
-- CHECK constraints: a constant is tried; IS NOT NULL does not look at the value
SELECT attempt('text CHECK (c IS NOT NULL OR person_id > 0)', '''x''');
SELECT attempt('text CHECK (length(c) < 100)', '''x''');
SELECT attempt('int CHECK (c >= 0)', '7');
SELECT attempt('int CHECK (c BETWEEN 1 AND 9)', '7');
SELECT attempt('int CHECK (c BETWEEN 1 AND 9)', '7', '{"surrogate": "1"}');
SELECT attempt('int CHECK (c <= id + 10)', '7');
SELECT attempt('date CHECK (c > ''1900-01-01'')', '''1999-12-31''');
SELECT attempt('date CHECK (c > ''1980-01-01'')', '''1999-12-31''');
SELECT attempt('jsonb CHECK (jsonb_typeof(c) = ''object'')', '''{"a": 1}''');
SELECT attempt('jsonb CHECK (c ? ''a'')', '''{"a": 1}''');
SELECT attempt('int CHECK (100 / c > 0)', '7');
SELECT attempt('text[] CHECK (array_length(c, 1) < 3)', '''{x}''');
SELECT attempt('text[] CHECK (cardinality(c) > 0)', '''{x}''');
CREATE FUNCTION valid(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 100 / $1 > 0; END $$;
CREATE FUNCTION strict_valid(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF $1 = 0 THEN RAISE EXCEPTION 'no'; END IF; RETURN true; END $$;
SELECT attempt('int CHECK (valid(c))', '7');
SELECT attempt('int CHECK (strict_valid(c))', '7');
-- generated and identity columns
SELECT attempt('int GENERATED ALWAYS AS IDENTITY');
SELECT attempt('int GENERATED BY DEFAULT AS IDENTITY');
SELECT attempt('text', '''Ada Lovelace''', extra => $$
	ALTER TABLE t ADD initial text GENERATED ALWAYS AS (left(c, 1)) STORED;
	SECURITY LABEL FOR effaced ON COLUMN t.initial IS '{"category": "identity"}'$$);
SELECT attempt('text GENERATED ALWAYS AS (person_id || ''!'') STORED');
-- unique indexes: a token of 64 bits, else the label has to say
SELECT attempt('text UNIQUE', '''x''');
SELECT attempt('uuid UNIQUE', 'gen_random_uuid()');
SELECT attempt('varchar(21) UNIQUE', '''x''');
SELECT attempt('varchar(20) UNIQUE', '''x''');
SELECT attempt('varchar(20) UNIQUE', '''x''', '{"surrogate": "id::text"}');
SELECT attempt('int UNIQUE', '7');
SELECT attempt('date UNIQUE', '''1999-12-31''');
SELECT attempt('citext UNIQUE', '''X''');
SELECT attempt('text', '''x''', extra => 'CREATE UNIQUE INDEX ON t (lower(c))');
SELECT attempt('varchar(40)', '''x''', extra => 'CREATE UNIQUE INDEX ON t (md5(lower(c)), id)');
SELECT attempt('text', '''x''', extra => 'CREATE UNIQUE INDEX ON t (left(c, 4))');
SELECT attempt('text', '''x''', extra => 'CREATE UNIQUE INDEX ON t (person_id, c) WHERE c > ''a''');
SELECT attempt('int', '7', extra => 'CREATE UNIQUE INDEX ON t (person_id, c)');
SELECT attempt('int', '7', extra => 'CREATE INDEX ON t (c)');
SELECT attempt('int4range', '''[1,3)''', extra => 'ALTER TABLE t ADD EXCLUDE USING gist (c WITH &&)');
SELECT attempt('text', '''x''', extra => 'CREATE UNIQUE INDEX ON t (id) INCLUDE (c)');
SELECT attempt('text', '''x''', extra => 'ALTER TABLE t ADD d text GENERATED ALWAYS AS (left(c, 4)) STORED; CREATE UNIQUE INDEX ON t (d)');
SELECT attempt('text', '''x''', extra => 'ALTER TABLE t ADD d text GENERATED ALWAYS AS (lower(c)) STORED; CREATE UNIQUE INDEX ON t (d)');
-- foreign keys: NULL, where that is possible; and what is referenced must stay
SELECT attempt('int REFERENCES person', '3');
SELECT attempt('int NOT NULL DEFAULT 2 REFERENCES person', '3');
SELECT attempt('int NOT NULL DEFAULT 2 REFERENCES person', '3', '{"surrogate": "2"}');
SELECT attempt('int UNIQUE', '7', '{"surrogate": "-id"}', 'CREATE TABLE u (c int REFERENCES t (c))');
-- NULL as the label's surrogate needs a column that may be NULL
SELECT attempt('text', '''x''', '{"surrogate": "NULL"}');
SELECT attempt('text NOT NULL DEFAULT ''''', '''x''', '{"surrogate": "NULL"}');
SELECT attempt('text', '''x''', '{"surrogate": "CASE WHEN id > 1 THEN ''y'' END"}');
-- NULL stays NULL, whatever the surrogate
SELECT attempt('text', NULL, '{"surrogate": "''y''"}');
SELECT attempt('int');
SELECT attempt('mood', NULL, '{"surrogate": "''ok''"}');
-- expressions may use the row's own columns, but none that the erasure changes
SELECT attempt('text', '''x''', '{"surrogate": "''Deleted user #'' || person_id || ''/'' || id"}');
SELECT attempt('text', '''x''', '{"surrogate": "upper(c)"}');
SELECT attempt('text', '''x''', '{"surrogate": "''was '' || d"}', $$ALTER TABLE t ADD d int; SECURITY LABEL FOR effaced ON COLUMN t.d IS '{"category": "special"}'$$);
SELECT attempt('varchar(3)', '''x''', '{"surrogate": "''abcdef''"}');
SELECT attempt('int', '7', '{"surrogate": "''abc''"}');
\pset tuples_only off
\pset format aligned
-- Nothing has been left behind.
SELECT * FROM t ORDER BY id;
SELECT count(*) FROM effaced_audit_events WHERE payload ->> 'target' = 't';
