-- Corrections and exports for every type, any name, composite keys, partitions,
-- inheritance, generated and dropped columns.
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET bytea_output = 'escape';
SET extra_float_digits = 0;

CREATE SCHEMA "Odd ""place""";
CREATE TYPE "Odd ""place"""."Mood" AS ENUM ('good', 'so so', 'b"ad');
CREATE DOMAIN "Odd ""place""".code AS varchar(6) CHECK (value ~ '^[A-Z]+$');
CREATE TYPE "Odd ""place""".pair AS (a int, b text);
CREATE TABLE "Odd ""place"""."Per'son" (gone int, "re:alm" text, "No" int, name text, also_gone text, PRIMARY KEY ("re:alm", "No"));
ALTER TABLE "Odd ""place"""."Per'son" DROP gone, DROP also_gone;
CREATE TABLE "Odd ""place"""."T %s" (
	id int PRIMARY KEY, gone int, r text, n int,
	"citext" citext, "varchar" varchar(5), "char" char(4), "domain" "Odd ""place""".code, "enum" "Odd ""place"""."Mood", "enums" "Odd ""place"""."Mood"[],
	"numeric" numeric, "money2" numeric(6,2), "float" float8, "bigint" bigint, "bool" boolean, "bit" bit(3),
	"date" date, "time" timetz, "stamp" timestamp, "stamptz" timestamptz, "interval" interval,
	"texts" text[], "matrix" int[], "json" json, "jsonb" jsonb, "bytea" bytea, "uuid" uuid, "inet" inet,
	"range" int4range, "ranges" tsmultirange, "point" point, "hstore" hstore, "row" "Odd ""place""".pair, "xml" xml, "vector" tsvector, "void" text,
	"twice" text GENERATED ALWAYS AS ("varchar" || '/' || "varchar") STORED,
	FOREIGN KEY (r, n) REFERENCES "Odd ""place"""."Per'son"
);
ALTER TABLE "Odd ""place"""."T %s" DROP gone;
SECURITY LABEL FOR effaced ON TABLE "Odd ""place"""."Per'son" IS '{"path": "", "subject": "person"}';
SECURITY LABEL FOR effaced ON COLUMN "Odd ""place"""."Per'son".name IS '{"category": "identity", "erasure": "anonymize"}';
DO $$
DECLARE
	c name;
BEGIN
	FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = '"Odd ""place"""."T %s"'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'r', 'n', 'twice') LOOP
		EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN "Odd ""place"""."T %%s".%I IS %L', c,
			jsonb_build_object('category', 'technical', 'fact', c, 'erasure', 'anonymize', 'surrogate', 'NULL'));
	END LOOP;
END $$;
SECURITY LABEL FOR effaced ON COLUMN "Odd ""place"""."T %s".twice IS '{"category": "technical", "fact": "varchar", "erasure": "anonymize"}';
INSERT INTO "Odd ""place"""."Per'son" VALUES ('a:b', 1, 'Ada'), ('a', 1, 'Ben'), ('a:b', 2, 'Cleo');
INSERT INTO "Odd ""place"""."T %s" (id, r, n, "varchar") VALUES (1, 'a:b', 1, 'old'), (2, 'a', 1, 'old'), (3, 'a:b', 2, 'old');

-- Every type takes its value from JSON, whatever the caller's settings.
CREATE TABLE fact (fact text, value jsonb);
INSERT INTO fact VALUES
	('citext', '"CamelCase"'), ('varchar', '"12345"'), ('char', '"ab"'), ('domain', '"ABC"'), ('enum', '"b\"ad"'), ('enums', '["so so", null, "b\"ad"]'),
	('numeric', '"NaN"'), ('money2', '1234.565'), ('float', '"-Infinity"'), ('bigint', '9223372036854775807'), ('bool', 'false'), ('bit', '"101"'),
	('date', '"infinity"'), ('time', '"12:00:00+02"'), ('stamp', '"2024-02-03T04:05:06"'), ('stamptz', '"-infinity"'), ('interval', '"P1Y2M3DT4H"'),
	('texts', '["a", "b,\"c\"", null, ""]'), ('matrix', '[[1, 2], [3, 4]]'), ('json', '{"k": [1.50, null]}'), ('jsonb', '"just text"'),
	('bytea', '"\\x00ff"'), ('uuid', '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"'), ('inet', '"10.0.0.0/8"'),
	('range', '"[1,5]"'), ('ranges', '"{[2024-01-01,2024-01-02)}"'), ('point', '"(1,2)"'), ('hstore', '"a=>1, b=>NULL"'), ('row', '{"a": 7, "b": "x,y"}'),
	('xml', '"<a>&amp;</a>"'), ('vector', '"a b a"'), ('void', 'null');
SELECT effaced_rectify('a\:b:1', jsonb_agg(jsonb_build_object('category', 'technical', 'fact', fact, 'value', value))) - 'subject_id' AS result FROM fact;
\x
SET DateStyle = ISO;
SELECT * FROM "Odd ""place"""."T %s" WHERE id = 1;
\x
SELECT count(*) AS others FROM "Odd ""place"""."T %s" t WHERE id <> 1 AND jsonb_strip_nulls(to_jsonb(t)) - 'id' - 'r' - 'n' = '{"varchar": "old", "twice": "old/old"}';
-- The export gives them back.
SELECT row_key, field, value, jsonb_typeof(value) FROM effaced_export_records('a\:b:1') WHERE source LIKE '%T \%s%';
SELECT source, row_key, field, value FROM effaced_export_records(effaced_subject_id('a:b', '2'));
SELECT e -> 'records' = jsonb_agg(r) AS agree FROM effaced_export('a\:b:1') e, effaced_export_records('a\:b:1') r GROUP BY e;
SELECT bool_and(expires_at IS NULL) AND max(category) = 'technical' AS same_head FROM effaced_export_records('a\:b:1') WHERE field <> 'name';

-- What does not fit names the column, and not the value; whatever else is in the call is not written either.
CREATE TABLE before AS SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM "Odd ""place"""."T %s" t;
CREATE FUNCTION attempt(fact text, value jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	says text; c text; d text;
BEGIN
	PERFORM effaced_rectify('a\:b:1', jsonb_build_array(
		jsonb_build_object('category', 'technical', 'fact', 'float', 'value', 4711), jsonb_build_object('category', 'technical', 'fact', fact, 'value', value)));
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS says = MESSAGE_TEXT, c = COLUMN_NAME, d = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, c, CASE WHEN says || d ~ '4711|secret' THEN 'WITH VALUE ' || says || d END);
END $$;
SELECT fact, attempt(fact, value::jsonb) FROM (VALUES
	('varchar', '"secret-secret"'), ('char', '"secret"'), ('domain', '"secret"'), ('domain', '"SECRETS"'), ('enum', '"secret"'), ('enums', '["secret"]'), ('enums', '"secret"'),
	('numeric', '"secret"'), ('money2', '4711999'), ('bigint', '9223372036854775808'), ('bigint', '1.5'), ('bool', '"secret"'), ('bit', '"10"'), ('date', '"2024-02-30"'),
	('stamptz', '{}'), ('interval', '"secret"'), ('texts', '"secret"'), ('matrix', '[1, [2]]'), ('uuid', '"secret"'), ('inet', '"secret"'), ('range', '"[5,1]"'),
	('point', '[1]'), ('hstore', '{"secret": 1}'), ('row', '"secret"'), ('xml', '"<secret>"'), ('bytea', '"\\xsecret"')) AS v (fact, value);
SELECT md5 = (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM "Odd ""place"""."T %s" t) AS unchanged FROM before;

-- Once erased there is nothing to export or to correct.
SELECT effaced_erase('a\:b:1') - 'subject_id' - 'subject' AS erased;
SELECT count(*) FROM effaced_export_records('a\:b:1');
SELECT effaced_rectify('a\:b:1', '[{"category": "technical", "fact": "texts", "value": ["back"]}]') -> 'rectified' AS rectified;
SELECT count(*) FROM effaced_export_records('a\:b:1');
SELECT count(*) FROM effaced_export_records(effaced_subject_id('a:b', '2'));

-- Partitions and inheritance: rows of all of them; a corrected partition key moves the row.
CREATE TABLE rider (id int PRIMARY KEY, name text);
CREATE TABLE ride (id int, rider_id int NOT NULL REFERENCES rider, on_day date NOT NULL, place text, PRIMARY KEY (id, on_day)) PARTITION BY RANGE (on_day);
CREATE TABLE ride_2023 PARTITION OF ride FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE ride_2024 (place text, on_day date NOT NULL, junk int, rider_id int NOT NULL, id int NOT NULL);
ALTER TABLE ride_2024 DROP junk;
ALTER TABLE ride ATTACH PARTITION ride_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE bill (id int PRIMARY KEY, rider_id int REFERENCES rider, place text);
CREATE TABLE tax_bill (rate int) INHERITS (bill);
SECURITY LABEL FOR effaced ON TABLE rider IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN rider.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE ride IS '{"path": "rider"}';
SECURITY LABEL FOR effaced ON COLUMN ride.place IS '{"category": "location", "fact": "place", "erasure": "anonymize", "retention": {"reason": "audit", "duration": "P1M", "anchor": "on_day"}}';
SECURITY LABEL FOR effaced ON COLUMN ride.on_day IS '{"category": "location", "fact": "day", "erasure": "retain", "retention": {"reason": "tax"}}';
SECURITY LABEL FOR effaced ON TABLE bill IS '{"hops": [{"source_columns": ["rider_id"], "target_table": "rider", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN bill.place IS '{"category": "location", "fact": "place", "erasure": "anonymize"}';
INSERT INTO rider VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO ride VALUES (1, 1, '2023-01-31', 'here'), (2, 1, '2024-01-31', 'there'), (3, 2, '2023-01-31', 'here'), (4, 2, '2024-01-31', 'there');
INSERT INTO bill VALUES (1, 1, 'here'), (2, 2, 'here');
INSERT INTO tax_bill VALUES (3, 1, 'there', 7), (4, 2, 'there', 7);
SELECT source, row_key, field, value, retention_reason, expires_at AT TIME ZONE 'UTC' AS expires_at FROM effaced_export_records(1, 'rider');
SELECT effaced_rectify(1, '[{"category": "location", "fact": "place", "value": "home"}]', subject => 'rider') -> 'rectified' AS rectified;
SELECT effaced_rectify(1, '[{"category": "location", "fact": "day", "value": "2024-03-01"}]', subject => 'rider') -> 'rectified' AS rectified;
SELECT tableoid::regclass, id, rider_id, on_day, place FROM ride ORDER BY id;
SELECT tableoid::regclass, * FROM bill ORDER BY id;
SELECT rate FROM tax_bill ORDER BY id;
SELECT source, row_key, field, value FROM effaced_export_records(1, 'rider') WHERE source <> 'rider';
-- A day without a partition: nothing is written.
SELECT effaced_rectify(1, '[{"category": "location", "fact": "day", "value": "2031-03-01"}, {"category": "location", "fact": "place", "value": "nowhere"}]', subject => 'rider');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM ride WHERE place = 'nowhere';
