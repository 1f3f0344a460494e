-- effaced_lint(sample => n) looks into values, and tells shapes and shares, never
-- a value.
CREATE EXTENSION effaced;
CREATE TABLE subject (id int PRIMARY KEY, label text);
SECURITY LABEL FOR effaced ON TABLE subject IS '{"path": "", "owned": true}';
CREATE TABLE t (id int PRIMARY KEY, subject_id int REFERENCES subject,
	a text, b text, c varchar(40), d text, e bigint, f text, g text, h jsonb, i text[], j text, k text, l text, m text, n numeric, o text, p text)
	WITH (autovacuum_enabled = off);
CREATE INDEX ON t (subject_id);
SECURITY LABEL FOR effaced ON TABLE t IS '{"path": "subject", "owned": true}';
INSERT INTO t SELECT i, NULL,
	'user' || i || '@example.com',                                            -- a: all of them
	CASE WHEN i = 77 THEN 'please write to ada.lovelace@example.co.uk.' ELSE 'nothing' END,  -- b: a single one
	CASE i % 3 WHEN 0 THEN '+49 30 901820' || i WHEN 1 THEN '(0171) 234 56' || i ELSE '555-123-' || 4000 + i END,  -- c: telephones
	CASE WHEN i % 2 = 0 THEN 'DE89 3704 0044 0532 0130 00' ELSE 'GB82WEST12345698765432' END,  -- d: IBANs
	4111111111111111,                                                         -- e: a card
	CASE WHEN i % 2 = 0 THEN '192.0.2.' || i % 256 ELSE '2001:db8::' || i END, -- f: IP
	'0' || i % 10 || ':00:5e:00:53:af',                                       -- g: MAC
	jsonb_build_object('contact', 'user' || i || '@example.com'),             -- h: inside a document
	ARRAY['x', 'user' || i || '@example.com'],                                -- i: inside an array
	52 + i / 1000.0 || ', ' || 13 + i / 1000.0,                               -- j: coordinates
	-- and what is none of them
	'AB' || 10 + i % 90 || lpad((i * i * 7919)::text, 16, '0'),               -- k: numbers that begin like an IBAN
	(DATE '2020-01-01' + i)::text,                                            -- l: dates
	'1.' || i % 20 || '.' || i % 7,                                           -- m: versions
	4111111111111111 + i,                                                     -- n: one in ten passes by chance
	i % 24 || ':' || i % 60 || ':00',                                         -- o: times
	'@user' || i || ' a@b, x@y and 3.14159 at 2021-05-05 10:00'               -- p
FROM generate_series(1, 100) i;
SELECT severity, column_name, message FROM effaced_lint(sample => 1000) WHERE code = 'personal_values';
-- Without a sample nothing is read.
SELECT count(*) FROM effaced_lint() WHERE code = 'personal_values';
-- Nothing is written.
BEGIN READ ONLY;
SELECT count(*) FROM effaced_lint(sample => 10) WHERE code = 'personal_values';
COMMIT;
-- Only so many rows are: 77 is not among the first 50.
SELECT column_name, substring(message from 'of \d+') FROM effaced_lint(sample => 50) WHERE column_name IN ('a', 'b');
-- The hint labels the column.
SELECT hint FROM effaced_lint(sample => 1000) WHERE code = 'personal_values' \gexec
SELECT * FROM effaced_lint(sample => 1000);

-- No value gets into a finding.
CREATE TABLE secrets (id int PRIMARY KEY, x text);
INSERT INTO secrets VALUES (1, 'hidden.person@example.com');
SELECT count(*) FROM effaced_lint(sample => 10) f WHERE f::text ~ 'example|hidden';
SELECT code, column_name, severity FROM effaced_lint(sample => 10);
-- Empty values and NULLs are none; names and values may both tell.
INSERT INTO secrets SELECT i, CASE WHEN i % 2 = 0 THEN '' END FROM generate_series(2, 50) i;
ALTER TABLE secrets RENAME x TO email;
SELECT code, column_name, message FROM effaced_lint(sample => 100);
DROP TABLE secrets;

-- not_sampled: what the caller may not read is not looked into, and said so.
CREATE TABLE closed (id int PRIMARY KEY, x text);
CREATE TABLE hidden (id int PRIMARY KEY, x text);
CREATE TABLE "Half open" (id int PRIMARY KEY, "an ""x" text, y text);
CREATE SCHEMA locked;
CREATE TABLE locked.inside (id int PRIMARY KEY, x text);
INSERT INTO closed VALUES (1, 'a@example.com');
INSERT INTO hidden VALUES (1, 'a@example.com');
INSERT INTO "Half open" VALUES (1, 'a@example.com', 'b@example.com');
INSERT INTO locked.inside VALUES (1, 'a@example.com');
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE ROLE "An auditor";
GRANT EXECUTE ON FUNCTION effaced_lint TO "An auditor";
GRANT SELECT ON hidden, locked.inside TO "An auditor";
GRANT SELECT (y) ON "Half open" TO "An auditor";
SET ROLE "An auditor";
\x on
SELECT * FROM effaced_lint(sample => 10) WHERE relation <> 't'::regclass AND relation <> 'subject'::regclass;
RESET ROLE;
SELECT hint FROM effaced_lint(sample => 10) WHERE code = 'not_sampled';
SET ROLE "An auditor";
CREATE TEMP TABLE hints AS SELECT hint FROM effaced_lint(sample => 10) WHERE code = 'not_sampled' AND hint LIKE 'GRANT%';
RESET ROLE;
SELECT hint FROM hints ORDER BY 1 \gexec
ALTER ROLE "An auditor" BYPASSRLS;
SET ROLE "An auditor";
\x off
SELECT code, relation, column_name FROM effaced_lint(sample => 10) WHERE relation <> 't'::regclass AND relation <> 'subject'::regclass;
RESET ROLE;
DROP TABLE closed, hidden, "Half open", locked.inside;

-- The planner computes expressions of indexes: as the owner of the table, who made them.
CREATE ROLE regress_spy;
CREATE FUNCTION spy(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN IF current_user <> 'regress_spy' THEN RAISE WARNING 'spy() ran as %', current_user; END IF; RETURN $1; END $$;
CREATE TABLE spied (x int, y text);
ALTER TABLE spied OWNER TO regress_spy;
GRANT USAGE ON SCHEMA public TO regress_spy;
CREATE INDEX ON spied (spy('c'));
INSERT INTO spied SELECT i, 'user' || i || '@example.com' FROM generate_series(1, 10) AS i;
\c -
SET client_min_messages = warning;
SELECT code, column_name FROM effaced_lint(sample => 10) WHERE relation = 'spied'::regclass;
DROP TABLE spied;
DROP FUNCTION spy;
REVOKE USAGE ON SCHEMA public FROM regress_spy;
DROP ROLE regress_spy;
RESET client_min_messages;

-- A table that cannot be read: its error, which may quote a row, is not passed on.
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE broken (x int, y text) SERVER files OPTIONS (program 'echo not-a-number-but-ada@example.com');
SELECT code, relation, message, hint FROM effaced_lint(sample => 10);
DROP EXTENSION file_fdw CASCADE;

-- Of a large table pages are drawn by lot, always the same ones, and few.
CREATE TABLE large (id int, x text, filler text) WITH (autovacuum_enabled = off);
INSERT INTO large SELECT i, CASE WHEN i > 45000 THEN 'user' || i || '@example.com' ELSE 'none' END, repeat('x', 400) FROM generate_series(1, 50000) i;
ANALYZE large;
SELECT column_name, message ~ '\d+ % look like e-mail' AS found FROM effaced_lint(sample => 200);
SELECT (SELECT array_agg(message) FROM effaced_lint(sample => 200)) = (SELECT array_agg(message) FROM effaced_lint(sample => 200)) AS same;
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset_single_table_counters('large'::regclass);
SELECT count(*) FROM effaced_lint(sample => 200);
SELECT pg_stat_force_next_flush();
SELECT relpages > 2500 AS large, heap_blks_read + heap_blks_hit < 200 AS few
FROM pg_statio_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.relname = 'large';
-- Several shapes in one column.
TRUNCATE large;
INSERT INTO large SELECT i, CASE WHEN i % 4 = 0 THEN '+44 20 7946 0' || 100 + i ELSE 'user' || i || '@example.com' END FROM generate_series(1, 40) i;
ANALYZE large;
SELECT message FROM effaced_lint(sample => 200) WHERE column_name = 'x';
DROP TABLE large;
