-- Names with quotes, dots, spaces, backslashes, keywords, letters of any script
-- and the full 63 bytes: whatever PostgreSQL accepts.
CREATE SCHEMA "Gdpr tools";
CREATE EXTENSION effaced SCHEMA "Gdpr tools";
SET search_path = "Gdpr tools", public;

CREATE SCHEMA "a.b";
CREATE SCHEMA "select";
CREATE SCHEMA "Über ""quoted"" 'schema'";
CREATE TABLE "a.b"."user" ("user" int, "order by" text, "na""me" text, PRIMARY KEY ("user"));
CREATE TABLE "select"."from" ("where" int PRIMARY KEY, "user_id" int NOT NULL CONSTRAINT "weird.name" REFERENCES "a.b"."user",
	"back\slash" text, "'; DROP TABLE x; --" text, "$1" text, "t" text, "h1" text, "日本語" text, "%s" text);
CREATE TABLE "Über ""quoted"" 'schema'"."child.of ""from"""
	("ID" int PRIMARY KEY, "from" int REFERENCES "select"."from", "E'x'" text, "CamelCase" varchar(10), " " int);
CREATE TABLE "select"."aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
	("hhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkkllllllllllmmmmmmmmmmnnn" int PRIMARY KEY,
	 "oooooooooo" int CONSTRAINT "ppppppppppqqqqqqqqqqrrrrrrrrrrssssssssssttttttttttuuuuuuuuuuvvv" REFERENCES "a.b"."user",
	 "wwwwwwwwwwxxxxxxxxxxyyyyyyyyyyzzzzzzzzzz0000000000111111111122é" text);

SECURITY LABEL FOR effaced ON TABLE "a.b"."user" IS '{"path": "", "subject": "the \"user\" of a.b", "set": {"order by": "''gone: '' || \"user\""}}';
SECURITY LABEL FOR effaced ON COLUMN "a.b"."user"."na""me" IS '{"category": "identity", "surrogate": "''user \"'' || \"user\" || ''\" \\ ''''''"}';
-- A path segment is a constraint, a column, a column without _id, or a table.
SECURITY LABEL FOR effaced ON TABLE "select"."from" IS '{"path": "\"weird.name\""}';
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['back\slash', '''; DROP TABLE x; --', '$1', 't', 'h1', '日本語'] LOOP
		EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN "select"."from".%I IS %L', name, '{"category": "special"}');
	END LOOP;
END
$$;
SECURITY LABEL FOR effaced ON TABLE "Über ""quoted"" 'schema'"."child.of ""from""" IS '{"path": "from.user"}';
SECURITY LABEL FOR effaced ON COLUMN "Über ""quoted"" 'schema'"."child.of ""from"""."E'x'" IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN "Über ""quoted"" 'schema'"."child.of ""from"""."CamelCase" IS
	'{"category": "special", "erasure": "retain", "retention": {"reason": "it''s \"needed\""}}';
SECURITY LABEL FOR effaced ON TABLE "select"."aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg" IS
	'{"path": "ppppppppppqqqqqqqqqqrrrrrrrrrrssssssssssttttttttttuuuuuuuuuuvvv"}';
SECURITY LABEL FOR effaced ON COLUMN "select"."aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"."wwwwwwwwwwxxxxxxxxxxyyyyyyyyyyzzzzzzzzzz0000000000111111111122é" IS
	'{"category": "special"}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE "a.b"."user" CASCADE;
	INSERT INTO "a.b"."user" VALUES (1, 'one', 'Ada'), (2, 'two', 'Ben');
	INSERT INTO "select"."from" SELECT i, i, 'a', 'b', 'c', 'd', 'e', 'f', 'g' FROM generate_series(1, 2) i;
	INSERT INTO "Über ""quoted"" 'schema'"."child.of ""from""" SELECT i, i, 'a', 'b', 1 FROM generate_series(1, 2) i;
	INSERT INTO "select"."aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg" SELECT i, i, 'a' FROM generate_series(1, 2) i;
$$;
CALL fill();

\pset format unaligned
\pset tuples_only on
SELECT step, relation, strategy, columns, reason, E'\n  ' || statement FROM effaced_plan(1);
SELECT jsonb_pretty(effaced_erase(1));
SELECT jsonb_pretty(effaced_verify(1));
SELECT event_type, subject, payload FROM effaced_audit_events ORDER BY seq;
SELECT regexp_replace(t::text, 'anon-[0-9a-f]{32}', 'anon-<token>', 'g') FROM "a.b"."user" t ORDER BY "user";
SELECT regexp_replace(t::text, 'anon-[0-9a-f]{32}', 'anon-<token>', 'g') FROM "select"."from" t ORDER BY "where";
SELECT regexp_replace(t::text, 'anon-[0-9a-f]{32}', 'anon-<token>', 'g') FROM "Über ""quoted"" 'schema'"."child.of ""from""" t ORDER BY "ID";
SELECT t FROM "select"."aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg" t;
SELECT effaced_erase(1) -> 'anonymized';
\pset tuples_only off
\pset format aligned
-- As an argument, and in errors.
SELECT count(*) FROM effaced_plan(1, subject => '"a.b"."user"', tables => ARRAY['"select"."from"'::regclass]);
SELECT effaced_erase('x');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE "select"."from" ADD CONSTRAINT "no ""surrogates""" CHECK ("日本語" !~ '^anon') NOT VALID;
CALL fill();
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE "select"."from" DROP CONSTRAINT "no ""surrogates""";
-- A cycle of them, and a deferrable constraint that has to be named.
ALTER TABLE "select"."from" DROP "%s";
ALTER TABLE "Über ""quoted"" 'schema'"."child.of ""from""" DROP " ", DROP "CamelCase";
ALTER TABLE "select"."from" ADD "last child" int CONSTRAINT "a.b c""d" REFERENCES "Über ""quoted"" 'schema'"."child.of ""from""" DEFERRABLE;
UPDATE "select"."from" SET "last child" = "where";
ALTER TABLE "select"."from" ALTER "last child" SET NOT NULL;
SELECT step, relation, strategy FROM effaced_plan(1);
SELECT effaced_erase(1) -> 'deleted' AS deleted;
-- Operators of the same name in front of pg_catalog's change nothing.
CREATE SCHEMA evil;
CREATE FUNCTION evil.yes(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';
CREATE FUNCTION evil.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1';
SET search_path = evil, pg_catalog, "Gdpr tools", public;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
SELECT effaced_verify(1) -> 'residual' AS residual;
SELECT effaced_erase(2) -> 'deleted' AS deleted;
