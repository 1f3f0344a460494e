-- Saved questions: queries that belong to every access request, answered as CSV.
SET client_min_messages = warning;
CREATE EXTENSION effaced;

CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, mail text);
CREATE TABLE purchase (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, at timestamptz, total numeric, note text);
INSERT INTO customer VALUES (1, 'Ada', 'ada@example.com'), (2, 'Ben', NULL);
INSERT INTO purchase VALUES
	(10, 1, '2024-02-29 23:30:00-05', 10.50, 'red, "large"'),
	(11, 1, '2024-03-01', -5, NULL),
	(12, 1, NULL, 1e3, ''),
	(20, 2, '2024-03-02', 7, 'Ben''s');

-- Nothing is asked yet.
SELECT * FROM effaced_run_questions('1');

SELECT effaced_register_question('what was bought', 'purchases',
	'SELECT p.id, p.at, p.total, p.note, c.name AS "for whom" FROM purchase p JOIN customer c ON c.id = p.customer_id WHERE c.id = $1::int ORDER BY p.id');
-- The identifier is text; where it stands for an integer it is one.
SELECT effaced_register_question('totals', 'totals', 'SELECT count(*) AS n, sum(total) AS total FROM purchase WHERE customer_id = $1');
SELECT effaced_register_question('by "mail"', 'mail-2', 'WITH c AS (SELECT * FROM customer) SELECT mail FROM c WHERE id::text = $1;');
SELECT effaced_register_question('constants', 'constants', 'VALUES (1, NULL), (2, '''')');
SELECT name, short_name, search_path, registered_by = current_user AS mine FROM effaced_questions ORDER BY name;

-- One file each, in order of their names; NULL is empty, an empty text is quoted.
SELECT file_name, row_count, replace(content, E'\r\n', E'|\n') AS content
FROM effaced_run_questions('1', 'request 17 ', '2024-05-06 07:08:09.5+02');
SELECT file_name, row_count, replace(content, E'\r\n', E'|\n') AS content FROM effaced_run_questions(2, at => '2024-05-06') WHERE row_count <= 1;
-- What the session has set for itself changes no answer.
CREATE TEMP TABLE first AS SELECT * FROM effaced_run_questions('1', at => '2024-05-06 00:00 UTC');
SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'; SET extra_float_digits = -3; SET search_path = ''; SET standard_conforming_strings = off;
SELECT count(*) AS differing FROM (SELECT * FROM public.effaced_run_questions('1', at => '2024-05-06 00:00 UTC') EXCEPT TABLE pg_temp.first) d;
RESET ALL;
SET client_min_messages = warning;
SELECT count(DISTINCT file_name) AS files, bool_and(file_name ~ '_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.csv$') AS stamped,
       count(DISTINCT substring(file_name FROM '_([^_]*)$')) AS stamps FROM effaced_run_questions('1');
SELECT effaced_drop_question(name) FROM effaced_questions;

-- Cells: what a spreadsheet would run gets an apostrophe; numbers stay numbers.
CREATE TABLE cell (n int PRIMARY KEY, t text);
INSERT INTO cell VALUES (1, '=1+1'), (2, '+1'), (3, '-1'), (4, '@SUM(A1)'), (5, E'\t=1'), (6, E'\r=1'), (7, 'a=1'), (8, '=1,"2"'),
	(9, E'two\nlines'), (10, ' space '), (11, '"'), (12, ''), (13, NULL), (14, '\.'), (15, '＝1'), (16, 'NULL'), (17, E'cr\rin'), (18, '-'), (101, 'x;=1+1'), (102, E'x\t@SUM(A1)'), (103, 'x;"=1'), (104, 'a; b;c');
SELECT effaced_register_question('cells', 'cells', 'SELECT n, t, -n AS "=n", -n::numeric / 10 AS "-", ''-Infinity''::float8 AS i, -1e-9::float8 AS f, to_jsonb(-n) AS j FROM cell ORDER BY n');
CREATE TABLE answer AS SELECT * FROM effaced_run_questions('1', at => '2024-05-06');
SELECT row_count, replace(replace(replace(content, E'\r\n', E'|\n'), E'\r', '<cr>'), E'\t', '<tab>') AS content FROM answer;
SELECT effaced_drop_question('cells');

-- Bad questions are refused, and nothing is kept.
SELECT effaced_register_question('q', 'q', 'SELEC 1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', '');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT 1 AS a; SELECT 2 AS b');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'DELETE FROM customer RETURNING id');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'WITH gone AS (DELETE FROM purchase RETURNING id) SELECT * FROM gone');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT id FROM customer FOR UPDATE');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT id FROM (SELECT id FROM customer FOR SHARE) s');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT 1 AS a INTO evil');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'EXPLAIN SELECT 1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'COPY customer TO STDOUT');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT $1 AS a, $2 AS b');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT id FROM customer WHERE id = $1 AND name = $2');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT c.id, p.id FROM customer c, purchase p');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT FROM customer');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT nam FROM customer');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT id FROM custome');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT id FROM customer WHERE id = ''Ada''');
\echo :LAST_ERROR_SQLSTATE
CREATE TEMP TABLE mine (id int);
SELECT effaced_register_question('q', 'q', 'SELECT id FROM mine');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('', 'q', 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question(NULL, 'q', 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', short_name, 'SELECT 1 AS a') FROM (VALUES ('../q')) AS v (short_name);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', '', 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'ä', 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', repeat('q', 65), 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_drop_question('q');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM effaced_questions;
SELECT count(*) FROM customer;
SELECT effaced_register_question('q', repeat('q', 64), 'SELECT 1 AS a');
SELECT effaced_register_question('q', 'r', 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('r', repeat('q', 64), 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE

-- Names of files stay in their folder.
SELECT effaced_run_questions('1', prefix) FROM (VALUES ('../')) AS v (prefix);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', '..');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', 'a\b');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', E'a\nb');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', repeat('x', 200));
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', at => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', at => '0044-03-15 BC');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('1', at => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions(NULL::text);
\echo :LAST_ERROR_SQLSTATE
SELECT file_name FROM effaced_run_questions('1', NULL, '2024-05-06');
SELECT effaced_drop_question('q');

-- A question that fails says which, and why by its SQLSTATE; no value is told.
SELECT effaced_register_question('divides', 'divides', 'SELECT 1 / (id - $1::int) AS a FROM customer');
SELECT effaced_run_questions('2');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_run_questions('secret');
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION complain(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'about %', $1 USING ERRCODE = 'ZE005', DETAIL = $1, HINT = $1; END $$;
SELECT effaced_drop_question('divides'), effaced_register_question('complains', 'complains', 'SELECT complain(name) AS a FROM customer');
SELECT effaced_run_questions('2');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_drop_question('complains'), effaced_register_question('renamed', 'renamed', 'SELECT name FROM customer WHERE id = $1');
ALTER TABLE customer RENAME name TO called;
SELECT effaced_run_questions('2');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE customer RENAME called TO name;
SELECT content FROM effaced_run_questions('2');
-- Inside a transaction and caught, all goes on as before.
DO $$
BEGIN
	PERFORM effaced_run_questions('secret');
EXCEPTION WHEN invalid_text_representation THEN
	RAISE WARNING '%, %, %', SQLERRM, current_setting('transaction_read_only'), (SELECT count(*) FROM effaced_run_questions('1'));
END
$$;
SHOW transaction_read_only;
-- and the transaction that asked can write again
BEGIN;
SELECT count(*) > 0 AS asked FROM effaced_run_questions('1');
SHOW transaction_read_only;
ROLLBACK;
SELECT effaced_drop_question('renamed');

-- Questions only read, whatever their functions try.
CREATE TABLE log (at timestamptz DEFAULT now());
CREATE SEQUENCE numbers;
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log DEFAULT VALUES; RETURN 1; END $$;
CREATE FUNCTION writes_anyway() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET transaction_read_only = off; INSERT INTO log DEFAULT VALUES; RETURN 1; END $$;
-- from 16 on there can be no such function
DO $do$ BEGIN
	CREATE FUNCTION writes_set() RETURNS int LANGUAGE sql SET transaction_read_only = off AS $$ INSERT INTO log DEFAULT VALUES RETURNING 1 $$;
EXCEPTION WHEN feature_not_supported THEN
END $do$;
CREATE FUNCTION writes_caught() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log DEFAULT VALUES; RETURN 1; EXCEPTION WHEN OTHERS THEN SET transaction_read_only = off; INSERT INTO log DEFAULT VALUES; RETURN 2; END $$;
CREATE FUNCTION writes_temp() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pg_temp.mine VALUES (1); RETURN 1; END $$;
CREATE FUNCTION prepares() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'PREPARE customer AS SELECT 1'; RETURN 1; END $$;
CREATE FUNCTION becomes() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN current_user; END $$;
CREATE FUNCTION ask(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM effaced_register_question('q', 'q', query);
	RETURN (SELECT content FROM effaced_run_questions('1'));
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;
SELECT f, ask(format('SELECT %s AS a', f)) AS answer
FROM unnest(ARRAY['writes()', 'writes_anyway()', 'writes_caught()', 'writes_temp()', 'prepares()', 'becomes()', 'nextval(''numbers'')',
	'effaced_manifest_snapshot()']) AS f;
-- how these fail depends on the version
SELECT f, ask(format('SELECT %s AS a', f)) ~ ': question "q" ' AS refused FROM unnest(ARRAY['writes_set()', 'lo_create(0)']) AS f;
SELECT (SELECT count(*) FROM log) AS logged, (SELECT count(*) FROM pg_temp.mine) AS temporary, (SELECT count(*) FROM pg_largeobject_metadata) AS objects,
       (SELECT count(*) FROM effaced_audit_events) AS events, (SELECT count(*) FROM effaced_questions) AS questions;
SELECT is_called FROM numbers;
SELECT count(*) FROM pg_prepared_statements;


-- Who may what. A question runs as who registered it, and whoever runs it has to
-- be allowed to read its tables: nobody lends privileges to anybody.
CREATE ROLE regress_author;
CREATE ROLE regress_clerk;
GRANT CREATE, USAGE ON SCHEMA public TO regress_author;
SET ROLE regress_clerk;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT 1 AS a');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_drop_question('q');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION effaced_register_question, effaced_drop_question, effaced_run_questions(text, text, timestamptz) TO regress_author, regress_clerk;
GRANT SELECT ON customer TO regress_author;
SET ROLE regress_author;
TABLE effaced_questions;
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('q', 'q', 'SELECT id FROM purchase');
\echo :LAST_ERROR_SQLSTATE
-- not with the rights of who runs it: a function that would be glad of a superuser
CREATE FUNCTION grabs() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_user || ' ' || (SELECT count(*) FROM purchase); END $$;
SELECT effaced_register_question('who', 'who', 'SELECT current_user::text AS who, name FROM customer WHERE id = $1');
SELECT effaced_register_question('grabs', 'grabs', 'SELECT grabs() AS a');
RESET ROLE;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
-- by any means
CREATE OR REPLACE FUNCTION grabs() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN 'reset'; END $$;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
CREATE OR REPLACE FUNCTION grabs() RETURNS text LANGUAGE plpgsql AS $$ BEGIN SET SESSION AUTHORIZATION DEFAULT; RETURN 'set'; END $$;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_drop_question('grabs');
SELECT content FROM effaced_run_questions('1');
-- not with the rights of the author either
SET ROLE regress_clerk;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT (id) ON customer TO regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON customer TO regress_clerk;
SET ROLE regress_clerk;
SELECT content FROM effaced_run_questions('1');
-- a temporary table does not take the place of the author's
CREATE TEMP TABLE customer (id int, name text);
INSERT INTO customer VALUES (1, 'forged');
SELECT content FROM effaced_run_questions('1');
DROP TABLE pg_temp.customer;
SELECT effaced_drop_question('who');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- row-level security of either is an error, not an answer with rows left out
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
SET ROLE regress_clerk;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_question('all', 'all', 'SELECT count(*) AS n FROM customer');
SELECT effaced_drop_question('who');
SELECT content FROM effaced_run_questions('1');
SET ROLE regress_clerk;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT effaced_drop_question('all');
ALTER TABLE customer DISABLE ROW LEVEL SECURITY;
-- a view lends what it always lends
CREATE VIEW purchases AS SELECT customer_id, total FROM purchase;
GRANT SELECT ON purchases TO regress_author, regress_clerk;
SET ROLE regress_author;
SELECT effaced_register_question('view', 'view', 'SELECT sum(total) AS total FROM purchases WHERE customer_id = $1');
SET ROLE regress_clerk;
SELECT content FROM effaced_run_questions('1');
RESET ROLE;
-- a lock of the session would outlast the question: it is given up, the caller's own are kept
RESET ROLE;
SELECT effaced_drop_question('view');
CREATE FUNCTION lock_it() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(4711), pg_advisory_lock_shared(4712); RETURN 1; END $$;
SELECT effaced_register_question('lock', 'lock', 'SELECT lock_it() AS n, $1 AS id');
SELECT pg_advisory_lock(4713);
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
SELECT objid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT pg_advisory_unlock(4713);
SELECT effaced_drop_question('lock');
SET ROLE regress_author;
SELECT effaced_register_question('view', 'view', 'SELECT sum(total) AS total FROM purchases WHERE customer_id = $1');
RESET ROLE;
-- a role that is gone
DROP OWNED BY regress_author, regress_clerk;
DROP ROLE regress_author;
SELECT * FROM effaced_run_questions('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_drop_question('view');
SELECT * FROM effaced_run_questions('1');
DROP ROLE regress_clerk;
