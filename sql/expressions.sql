-- Expressions in labels (surrogate, where, set): what fits, what does not, and
-- that a label is no way to run code as whoever erases.
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

CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE TABLE users (
    id       int PRIMARY KEY,
    email    text NOT NULL,
    code     varchar(3),
    tag      char(2),
    born     date,
    visits   int,
    credit   numeric(4,2),
    active   boolean,
    feeling  mood,
    tags     text[],
    extra    jsonb,
    seen     timestamptz,
    addr     inet,
    fixed    int GENERATED ALWAYS AS IDENTITY
);
CREATE TABLE orders (id int PRIMARY KEY, email text);
CREATE ROLE regress_effaced_mallory;

-- surrogate of a column, where and set of the table
CREATE FUNCTION sur(col text, expression text) RETURNS text LANGUAGE sql AS $$
    SELECT try(format('SECURITY LABEL FOR effaced ON COLUMN users.%I IS %L', col,
                      json_build_object('category', 'contact', 'surrogate', expression))) $$;
CREATE FUNCTION whe(expression text) RETURNS text LANGUAGE sql AS $$
    SELECT try(format('SECURITY LABEL FOR effaced ON TABLE users IS %L',
                      json_build_object('path', '', 'where', expression))) $$;
CREATE FUNCTION put(col text, expression text) RETURNS text LANGUAGE sql AS $$
    SELECT try(format('SECURITY LABEL FOR effaced ON TABLE users IS %L',
                      json_build_object('path', '', 'set', json_build_object(col, expression)))) $$;

-- 1. What fits: constants, own columns, functions and operators of pg_catalog
SELECT sur('email', $$'Deleted user #' || id$$);
SELECT sur('email', $$'x'::text COLLATE "C"$$);
SELECT sur('email', $$CASE WHEN visits > 3 THEN lower('A') ELSE concat_ws('-', id, code) END$$);
SELECT sur('email', $$users.id::text$$);
SELECT sur('email', $$md5(id::text)::uuid::text$$);
SELECT sur('code', 'NULL');
SELECT sur('code', 'null::text');
SELECT sur('code', $$'abc'$$);
SELECT sur('tag', $$'?'$$);
SELECT sur('born', $$'1900-01-01'$$);
SELECT sur('born', $$make_date(1900, 1, 1)$$);
SELECT sur('visits', '-1');
SELECT sur('credit', '12.345');
SELECT sur('active', 'false');
SELECT sur('feeling', $$'sad'$$);
SELECT sur('tags', $$ARRAY['none']$$);
SELECT sur('extra', $$jsonb_build_object('id', id)$$);
SELECT sur('addr', $$'127.0.0.1'$$);
SELECT whe('active AND visits BETWEEN 1 AND 9');
SELECT whe('code IS NULL OR code = ANY (ARRAY[''a'', ''b''])');
SELECT whe('seen < now()');
SELECT put('active', 'false');
SELECT put('seen', 'now()');
SELECT put('visits', 'visits + 1');
SELECT put('feeling', $$'fine'$$);

-- 2. What does not parse
SELECT sur('email', '');
SELECT sur('email', '   ');
SELECT sur('email', 'lower(');
SELECT sur('email', $$'unfinished$$);
SELECT sur('email', '*');
SELECT sur('email', 'users.*');
SELECT sur('email', '$1');
SELECT sur('email', 'DEFAULT');
SELECT whe('');
SELECT put('active', '');

-- injection
SELECT whe('1) OR (true');
SELECT whe('true; DROP TABLE orders');
SELECT sur('email', $$'x'; DROP TABLE orders$$);
SELECT sur('email', $$'x' FROM orders$$);
SELECT sur('email', $$'x' AS y$$);
SELECT sur('email', $$'x', 'y'$$);
SELECT sur('email', $$'x' WHERE true$$);
SELECT sur('email', $$'x' UNION SELECT 'y'$$);
SELECT sur('email', $$'x' INTO stolen$$);
SELECT sur('email', $$DISTINCT 'x'$$);
SELECT sur('email', $$'x' LIMIT 1$$);
SELECT sur('email', $$'x' /* open$$);
-- a comment is no way to cut anything off
SELECT whe('true -- and nothing else');
SELECT try($$SELECT relation, strategy FROM effaced_plan('1')$$);
SELECT whe('active /* or not */ OR true');

-- 3. What is not of the right type
SELECT sur('visits', $$'many'$$);
SELECT sur('visits', 'email');
SELECT sur('born', '7');
SELECT sur('active', $$'perhaps'$$);
SELECT sur('feeling', $$'happy'$$);
SELECT sur('feeling', 'email');
SELECT sur('addr', $$'nowhere'$$);
SELECT whe('visits');
SELECT whe($$'maybe'$$);
SELECT put('active', '1 + 1');
SELECT put('visits', $$now()$$);

-- constants that do not fit their column
SELECT sur('code', $$'abcd'$$);
SELECT sur('code', $$repeat('ab', 2)$$);
SELECT sur('tag', $$'abc'$$);
SELECT sur('credit', '1234');
SELECT sur('visits', '3000000000');
SELECT sur('visits', '1 / 0');
SELECT put('code', $$'abcd'$$);
-- NULL into a column that is NOT NULL
SELECT sur('email', 'NULL');
SELECT sur('email', 'NULL::varchar');
SELECT put('email', 'NULL');

-- 4. Only the table's own columns
SELECT sur('email', 'phone');
SELECT sur('email', 'orders.email');
SELECT sur('email', 'ctid::text');
SELECT sur('email', 'xmin::text');
SELECT whe('EXCLUDED.id = 1');

-- 5. No sub-select, aggregate, window or set-returning function
SELECT sur('email', '(SELECT email FROM orders LIMIT 1)');
SELECT whe('EXISTS (SELECT FROM orders)');
SELECT whe('id IN (SELECT id FROM orders)');
SELECT put('visits', '(VALUES (1))');
SELECT sur('tags', 'ARRAY(SELECT email FROM orders)');
SELECT sur('visits', 'count(*)');
SELECT sur('visits', 'max(id)');
SELECT whe('bool_or(active)');
SELECT sur('visits', 'rank() OVER (ORDER BY id)');
SELECT sur('visits', 'max(id) OVER ()');
SELECT sur('visits', 'generate_series(1, 2)');
SELECT sur('email', $$regexp_split_to_table('a b', ' ')$$);
SELECT whe('unnest(ARRAY[true])');

-- 6. No volatile function
SELECT sur('visits', 'random()::int');
SELECT sur('email', 'gen_random_uuid()::text');
SELECT whe('clock_timestamp() > seen');
SELECT put('email', $$set_config('search_path', 'public', false)$$);
SELECT sur('email', $$pg_read_file('/etc/passwd')$$);
SELECT sur('visits', $$pg_terminate_backend(1)::int$$);
SELECT sur('email', $$query_to_xml('SELECT 1', true, true, '')::text$$);
SELECT sur('email', $$table_to_xml('public.users', true, true, '')::text$$);

-- 7. No function, operator, cast or domain of a user's
CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'shout() ran as %', current_user; RETURN upper($1); END $$;
CREATE FUNCTION shout_ok(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'shout_ok() ran as %', current_user; RETURN $1 <> 'bad'; END $$;
CREATE FUNCTION same(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 OPERATOR(pg_catalog.=) $2';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE DOMAIN loud AS text CHECK (shout_ok(VALUE));
CREATE DOMAIN plain AS text;
CREATE TYPE pair AS (a loud, b int);
CREATE TYPE spell AS RANGE (SUBTYPE = loud);
SELECT sur('email', $$public.shout('x')$$);
SELECT sur('email', $$public.shout(email)$$);
-- not even found: search_path is pg_catalog
SELECT sur('email', $$shout(email)$$);
SELECT whe($$email === 'x'$$);
SELECT whe($$email OPERATOR(public.===) 'x'$$);
SELECT sur('email', $$email::public.loud$$);
SELECT sur('email', $$'x'::public.loud$$);
SELECT sur('email', $$'x'::public.plain$$);
SELECT sur('email', $$public.loud('x')$$);
SELECT sur('email', $$array_to_string(ARRAY['x']::public.loud[], '')$$);
SELECT sur('email', $$(ROW('x', 1)::public.pair).a$$);
-- literals are read, and their domains checked, before anything can be refused: as the owner of the table
SET client_min_messages = error;
SELECT sur('email', $$('{x}'::public.loud[])::text$$);
SELECT sur('email', $$('(x,1)'::public.pair)::text$$);
SELECT sur('email', $$('[a,b]'::public.spell)::text$$);
SELECT sur('email', $$email::public.loud[]::text$$);
SET client_min_messages = warning;
-- casts that JSON functions look for
CREATE FUNCTION mood_json(mood) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT '"?"'::json $$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
SELECT sur('email', $$to_json(feeling)::text$$);
SELECT sur('extra', $$to_jsonb(feeling)$$);
SELECT sur('extra', $$to_jsonb(users)$$);
SELECT sur('extra', $$jsonb_build_object('feeling', feeling)$$);
SELECT sur('extra', $$jsonb_build_object('feeling', feeling::text)$$);

-- A literal in the label of somebody's table is read as that owner, not as who looks at the map.
GRANT ALL ON SCHEMA public TO regress_effaced_mallory;
SET ROLE regress_effaced_mallory;
CREATE FUNCTION who_ok(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'who_ok() ran as %', current_user; RETURN true; END $$;
CREATE DOMAIN trap AS text CHECK (public.who_ok(VALUE));
CREATE TABLE bait (id int PRIMARY KEY, name text, traps trap[]);
SECURITY LABEL FOR effaced ON TABLE bait IS '{"path": "", "where": "traps = ''{x}''"}';
RESET ROLE;
SECURITY LABEL FOR effaced ON TABLE bait IS '{"path": "", "where": "traps = ''{x}''"}';
DROP TABLE bait;

-- 8. The domain of the column itself is its own business
CREATE DOMAIN short AS varchar(5) NOT NULL CHECK (VALUE <> 'none');
CREATE TABLE people (id int PRIMARY KEY, nick short, labels short[]);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.nick IS '{"category": "identity", "surrogate": "''gone''"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.nick IS '{"category": "identity", "surrogate": "''x'' || id"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.nick IS '{"category": "identity", "surrogate": "''none''"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.nick IS '{"category": "identity", "surrogate": "''too long''"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.nick IS '{"category": "identity", "surrogate": "NULL"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.labels IS '{"category": "identity", "surrogate": "''{gone}''"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN people.labels IS '{"category": "identity", "surrogate": "''{none}''"}'$$);
DROP TABLE people;

-- 9. Functions of an extension, when they are qualified
CREATE SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION pgcrypto SCHEMA ext;
ALTER TABLE users ADD login ext.citext;
SELECT sur('email', $$encode(ext.digest(id::text, 'sha256'), 'hex')$$);
SELECT sur('email', $$encode(digest(id::text, 'sha256'), 'hex')$$);
SELECT sur('login', $$'nobody'$$);
SELECT sur('login', $$ext.translate('a'::ext.citext, 'A', 'b')$$);
SELECT whe($$login OPERATOR(ext.=) 'X'::ext.citext$$);
SELECT whe($$login = 'x'$$);
SELECT sur('email', $$ext.gen_salt('md5')$$);
SELECT sur('email', $$ext.gen_random_uuid()::text$$);
-- a function that takes the place of one that was an extension's does not run
CREATE FUNCTION planted() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x'::text $$;
ALTER EXTENSION pgcrypto ADD FUNCTION planted();
SELECT sur('email', 'public.planted()');
SELECT whe('true');
ALTER EXTENSION pgcrypto DROP FUNCTION planted();
CREATE OR REPLACE FUNCTION planted() RETURNS text IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'planted() ran'; RETURN 'x'; END $$;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SELECT sur('email', 'NULL::text || id');

-- 10. set: other columns than those that where reads, and only such as can be written
SELECT try($$SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "where": "active", "set": {"active": "false"}}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "where": "users IS NOT NULL", "set": {"visits": "0"}}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "where": "active", "set": {"visits": "0"}}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON TABLE users IS '{"links": [{"name": "me", "path": "", "where": "visits > 0"}, {"name": "other", "path": "id", "where": "active"}], "set": {"active": "false"}}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON TABLE users IS '{"links": [{"name": "me", "path": "", "where": "visits > 0"}, {"name": "other", "path": "id", "where": "active"}], "set": {"visits": "0"}}'$$);
SELECT put('fixed', '1');

SELECT sur('extra', 'NULL');

-- 11. Expressions stand in statements with every name qualified, whatever the caller's search_path.
SELECT whe($$email = 'a' AND code IS NOT NULL$$);
SET search_path = pg_temp, public;
SELECT statement LIKE '%(t.email = ''a''::text) AND (t.code IS NOT NULL)%' AND statement LIKE '%''sad''::public.mood%'
  FROM public.effaced_plan('1') LIMIT 1;
RESET search_path;

-- 12. A surrogate that its column rounds counts as written; one that is too long is not cut.
DROP TABLE users;
CREATE TABLE account (id int PRIMARY KEY, credit numeric(4,2), code varchar(3), opened date);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN account.credit IS '{"category": "financial", "surrogate": "12.345"}';
SECURITY LABEL FOR effaced ON COLUMN account.code IS '{"category": "technical", "surrogate": "''u'' || id"}';
INSERT INTO account VALUES (1, 99.99, 'abc', '2024-01-01'), (12345, 99.99, 'def', '2024-01-01');
SELECT effaced_erase('1') -> 'anonymized';
SELECT * FROM account WHERE id = 1;
SELECT effaced_verify('1') -> 'verified';
SELECT effaced_erase('1') -> 'anonymized';
SELECT try($$SELECT effaced_erase('12345')$$);
SELECT * FROM account WHERE id = 12345;

-- 13. Coercions and polymorphic calls that are put in behind the text: the finished tree is checked.
DROP TABLE account;
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, feeling mood, plain plain, visits int, extra jsonb);
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
INSERT INTO users VALUES (1, 'a@x', 'sad', 'p', 1, '{}');
SELECT sur('email', $$'gone ' || feeling$$);
SELECT sur('email', $$'gone ' || feeling::text$$);
SELECT sur('email', $$'gone ' || plain::public.plain$$);
SELECT sur('email', $$CASE feeling WHEN 'sad'::public.mood THEN 'was ' || feeling ELSE 'x'::public.plain END$$);
SELECT whe($$plain = 'p'$$);
SELECT whe('true');
SELECT effaced_plan('1') IS NOT NULL;
SELECT sur('email', 'quote_literal(feeling)');
SELECT sur('extra', 'to_jsonb(ROW(feeling))');
SELECT sur('email', $$record_in('(x)'::cstring, 'public.pair'::regtype::oid, -1)::text$$);
SELECT sur('email', $$domain_in('x'::cstring, 'public.loud'::regtype::oid, -1)::text$$);
SELECT sur('email', $$array_in('{x}'::cstring, 'public.loud'::regtype::oid, -1)::text$$);
SELECT sur('email', $$(jsonb_populate_record(NULL::public.pair, '{"a": "x"}')).a::text$$);
SELECT sur('feeling', $$lower('SAD')::public.mood$$);
-- no setting, catalog, file or session is read
SELECT sur('email', $$current_setting('data_directory')$$);
SELECT put('email', $$current_setting('data_directory')$$);
SELECT put('email', 'pg_stat_get_backend_activity(1)');
SELECT sur('email', $$id::regclass::text$$);
SELECT whe($$has_table_privilege('users', 'select')$$);
-- a collation of a user's; the column's own is its own business
CREATE COLLATION strange (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT whe($$email = 'x' COLLATE public.strange$$);
-- a domain that gets a CHECK, and a cast, once the label is there
SELECT sur('email', $$'gone ' || feeling$$);
CREATE FUNCTION mood_text(mood) RETURNS text STABLE LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'mood_text() ran as %', current_user; RETURN 'x'; END $$;
CREATE CAST (mood AS text) WITH FUNCTION mood_text(mood);
SELECT effaced_erase('1') -> 'anonymized';
SELECT email FROM users;
SELECT sur('email', $$'gone ' || feeling$$);
SELECT sur('email', 'feeling::text');
SELECT sur('email', 'feeling');
DROP CAST (mood AS text);
SELECT sur('email', $$'x'::public.plain$$);
ALTER DOMAIN plain ADD CHECK (shout_ok(VALUE));
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SELECT sur('email', 'NULL::text || id');
-- a member of an extension is nobody's code only where it is a superuser's
CREATE FUNCTION planted2() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x'::text $$;
ALTER FUNCTION planted2() OWNER TO regress_effaced_mallory;
ALTER EXTENSION pgcrypto ADD FUNCTION planted2();
SELECT sur('email', 'public.planted2()');
ALTER EXTENSION pgcrypto DROP FUNCTION planted2();
DROP TABLE users;

DROP OWNED BY regress_effaced_mallory CASCADE;
DROP ROLE regress_effaced_mallory;
