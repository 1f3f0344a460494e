-- DDL that breaks a label warns at once, and the next use fails with ZE001.
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

CREATE TABLE users (id int PRIMARY KEY, uid int UNIQUE, email text, born date, active boolean, kind text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int CONSTRAINT buyer REFERENCES users, note text, gone boolean, at timestamptz);
CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders, gift text);
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN orders.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON COLUMN items.gift IS '{"category": "identity"}';
SELECT try($$SELECT * FROM effaced_plan('1')$$);

-- 1. What breaks nothing warns of nothing: labels move along with their tables and columns.
ALTER TABLE users RENAME TO people;
ALTER TABLE people RENAME COLUMN email TO mail;
ALTER TABLE people RENAME COLUMN id TO pid;
ALTER TABLE orders ADD more text;
ALTER TABLE orders DROP more;
ALTER TABLE orders RENAME CONSTRAINT buyer TO customer;
ALTER TABLE people RENAME TO users;
ALTER TABLE users RENAME COLUMN pid TO id;
CREATE SCHEMA shop;
ALTER TABLE items SET SCHEMA shop;
ALTER SCHEMA shop RENAME TO store;
SELECT relation, hops FROM effaced_subject_graph();
ALTER TABLE store.items SET SCHEMA public;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
-- a dropped column takes its label along
ALTER TABLE items ADD extra text;
SECURITY LABEL FOR effaced ON COLUMN items.extra IS '{"category": "identity"}';
ALTER TABLE items DROP extra;
SELECT try($$SELECT * FROM effaced_plan('1')$$);

ALTER TABLE users RENAME COLUMN mail TO email;
SECURITY LABEL FOR effaced ON COLUMN items.gift IS NULL;

-- 2. Paths: the column, the constraint, the table that a segment names
ALTER TABLE orders RENAME COLUMN user_id TO owner;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SELECT try($$SELECT effaced_erase('1')$$);
ALTER TABLE orders RENAME COLUMN owner TO user_id;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "customer"}';
ALTER TABLE orders RENAME CONSTRAINT customer TO client;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE orders RENAME CONSTRAINT client TO customer;
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "users"}';
ALTER TABLE users RENAME TO people;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE people RENAME TO users;
ALTER TABLE orders DROP CONSTRAINT customer;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (user_id) REFERENCES users;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
-- an inferred link is no label, but its loss is told too
SECURITY LABEL FOR effaced ON COLUMN items.gift IS '{"category": "identity"}';
ALTER TABLE items DROP CONSTRAINT items_order_id_fkey;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES orders;

-- 3. Hops
SECURITY LABEL FOR effaced ON TABLE items IS '{"hops": [{"source_columns": ["order_id"], "target_table": "orders", "target_columns": ["id"]}, {"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}';
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE orders RENAME TO purchases;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE purchases RENAME TO orders;
ALTER TABLE items RENAME COLUMN order_id TO purchase;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
ALTER TABLE items RENAME COLUMN purchase TO order_id;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SECURITY LABEL FOR effaced ON TABLE items IS NULL;

-- 4. Columns that labels name: subject_id_columns, anchor, set, redact, and those in expressions
CREATE FUNCTION after(label text, ddl text, undo text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE label;
    RETURN NEXT try('SELECT * FROM effaced_plan(''1'')');
    EXECUTE ddl;
    RETURN NEXT try('SELECT * FROM effaced_plan(''1'')');
    EXECUTE undo;
    RETURN NEXT try('SELECT * FROM effaced_plan(''1'')');
END $$;
SELECT after($$SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "subject_id_columns": ["uid"]}'$$,
    'ALTER TABLE users RENAME uid TO number', 'ALTER TABLE users RENAME number TO uid');
SELECT after($$SECURITY LABEL FOR effaced ON TABLE users IS '{"path": "", "subject_id_columns": ["uid"]}'$$,
    'ALTER TABLE users DROP uid', 'ALTER TABLE users ADD uid int UNIQUE');
SELECT after($$SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}'$$,
    'ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE', 'ALTER TABLE users ADD PRIMARY KEY (id); ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (user_id) REFERENCES users');
SELECT after($$SECURITY LABEL FOR effaced ON COLUMN orders.note IS '{"category": "communication", "erasure": "retain", "retention": {"reason": "x", "anchor": "at"}}'$$,
    'ALTER TABLE orders RENAME at TO ordered', 'ALTER TABLE orders RENAME ordered TO at');
SELECT after('SELECT 1', 'ALTER TABLE orders ALTER at TYPE text', 'ALTER TABLE orders ALTER at TYPE timestamptz USING at::timestamptz');
SECURITY LABEL FOR effaced ON COLUMN orders.note IS '{"category": "communication", "erasure": "anonymize"}';
SELECT after($$SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id", "set": {"gone": "true"}}'$$,
    'ALTER TABLE orders DROP gone', 'ALTER TABLE orders ADD gone boolean');
SELECT after($$SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id", "where": "gone"}'$$,
    'ALTER TABLE orders RENAME gone TO went', 'ALTER TABLE orders RENAME went TO gone');
SELECT after($$SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id", "where": "orders.gone"}'$$,
    'ALTER TABLE orders RENAME TO purchases', 'ALTER TABLE purchases RENAME TO orders');
SELECT after($$SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id", "role": "accessor", "redact": ["gone"]}'$$,
    'ALTER TABLE orders DROP gone', 'ALTER TABLE orders ADD gone boolean');
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id"}';
SELECT after($$SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact", "erasure": "anonymize", "surrogate": "''x'' || kind"}'$$,
    'ALTER TABLE users DROP kind', 'ALTER TABLE users ADD kind text');
-- a label in a comment, too
SECURITY LABEL FOR effaced ON COLUMN users.email IS NULL;
SELECT after($$COMMENT ON COLUMN users.email IS 'mail @effaced {"category": "contact", "erasure": "anonymize", "surrogate": "''x'' || kind"}'$$,
    'ALTER TABLE users RENAME kind TO sort', 'ALTER TABLE users RENAME sort TO kind');

COMMENT ON COLUMN users.email IS '@effaced {"category": "contact"}';

-- 5. Types, extensions and schemas that expressions name
CREATE TYPE mood AS ENUM ('sad', 'fine');
ALTER TABLE users ADD feeling mood;
SELECT after($$SECURITY LABEL FOR effaced ON COLUMN users.feeling IS '{"category": "special", "surrogate": "''sad''"}'$$,
    $$ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'$$, $$ALTER TYPE mood RENAME VALUE 'blue' TO 'sad'$$);
SELECT after($$SECURITY LABEL FOR effaced ON COLUMN users.feeling IS '{"category": "special", "surrogate": "''sad''::public.mood"}'$$,
    'ALTER TYPE mood RENAME TO feelings', 'ALTER TYPE feelings RENAME TO mood');
SECURITY LABEL FOR effaced ON COLUMN users.feeling IS NULL;
CREATE SCHEMA ext;
CREATE EXTENSION pgcrypto SCHEMA ext;
SELECT after($$SECURITY LABEL FOR effaced ON COLUMN users.kind IS '{"category": "technical", "erasure": "anonymize", "surrogate": "encode(ext.digest(id::text, ''sha256''), ''hex'')"}'$$,
    'DROP EXTENSION pgcrypto', 'CREATE EXTENSION pgcrypto SCHEMA ext');
SELECT after('SELECT 1', 'ALTER EXTENSION pgcrypto SET SCHEMA public', 'ALTER EXTENSION pgcrypto SET SCHEMA ext');
SELECT after('SELECT 1', 'ALTER EXTENSION pgcrypto DROP FUNCTION ext.digest(text, text)', 'ALTER EXTENSION pgcrypto ADD FUNCTION ext.digest(text, text)');
SELECT after('SELECT 1', 'ALTER SCHEMA ext RENAME TO extensions', 'ALTER SCHEMA extensions RENAME TO ext');
SELECT after('SELECT 1', 'DROP SCHEMA ext CASCADE', 'CREATE SCHEMA ext; CREATE EXTENSION pgcrypto SCHEMA ext');
SECURITY LABEL FOR effaced ON COLUMN users.kind IS NULL;
-- a type that goes takes columns along
CREATE DOMAIN flag AS boolean;
ALTER TABLE orders ADD hidden flag;
SELECT after($$SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id", "where": "hidden"}'$$,
    'DROP DOMAIN flag CASCADE', 'ALTER TABLE orders ADD hidden boolean');
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id"}';

-- 6. Tables: a dropped one is out of the map, what hung on it warns.
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SECURITY LABEL FOR effaced ON TABLE items IS '{"path": "order.user"}';
DROP TABLE orders CASCADE;
SELECT try($$SELECT * FROM effaced_plan('1')$$);
DROP TABLE items;
SELECT relation FROM effaced_subject_graph();
-- what is rolled back is forgotten
BEGIN;
ALTER TABLE users RENAME TO people;
SELECT relation FROM effaced_subject_graph();
ROLLBACK;
SELECT relation FROM effaced_subject_graph();

-- 7. Whoever may change the table is warned, whatever the privileges on effaced.
CREATE ROLE regress_effaced_owner;
SELECT effaced_admit_labels('regress_effaced_owner');
GRANT ALL ON SCHEMA public TO regress_effaced_owner;
SET ROLE regress_effaced_owner;
CREATE TABLE mine (id int PRIMARY KEY, note text, gone boolean);
SECURITY LABEL FOR effaced ON TABLE mine IS '{"path": "", "subject": "mine", "where": "NOT gone"}';
ALTER TABLE mine RENAME gone TO went;
ALTER TABLE mine RENAME went TO gone;
RESET ROLE;
SET session_replication_role = replica;
ALTER TABLE mine DROP gone;
RESET session_replication_role;
DROP TABLE mine;
DROP OWNED BY regress_effaced_owner;
DROP ROLE regress_effaced_owner;
