-- Labels in comments: COMMENT ON ... IS 'free text @effaced {...}', for tools
-- that cannot write security labels.
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

CREATE TABLE users (id int PRIMARY KEY, email text, phone text, born date);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, note text);

-- 1. On tables and columns; everything up to @effaced stays free text.
COMMENT ON TABLE users IS 'Everybody who buys. @effaced {"path": ""}';
COMMENT ON COLUMN users.email IS 'As they typed it (see also joe@effaced.example). @effaced {"category": "contact", "fact": "email"}';
COMMENT ON COLUMN users.phone IS '@effaced{"category": "contact"}';
COMMENT ON COLUMN users.born IS E'Two lines,\n@effaced\n{"category": "identity",\n "erasure": "anonymize"}';
COMMENT ON TABLE orders IS 'No word of labels here.';
COMMENT ON COLUMN orders.note IS '@effaced {"category": "communication"}';
SELECT t ->> 'name', c ->> 'name', c #>> '{spec,category}', c #>> '{spec,erasure}'
  FROM jsonb_array_elements(effaced_manifest() -> 'tables') t, jsonb_array_elements(t -> 'columns') c;
SELECT relation, hops FROM effaced_subject_graph();
SELECT col_description('users'::regclass, 2);

-- 2. A wrong one is refused like a wrong label, and not stored.
SELECT try($$COMMENT ON COLUMN orders.note IS 'Better. @effaced {"category": "chatter"}'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced {"category": "contact", "colour": "red"}'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced {"erasure": "delete"}'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced category: contact'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced {"category": "contact"} and more'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced {"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": "user_id"}}'$$);
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced {"category": "contact", "surrogate": "(SELECT 1)"}'$$);
SELECT try($$COMMENT ON TABLE orders IS '@effaced {"path": "user_id", "where": "gone"}'$$);
COMMENT ON COLUMN orders.note IS 'Better. @effaced {"category": "chatter"}';
\echo :LAST_ERROR_SQLSTATE
SELECT col_description('orders'::regclass, 3);
-- what only looks like it is text
COMMENT ON COLUMN orders.id IS 'write to dpo@effaced.example, see @effaced_docs';
SELECT jsonb_array_length(effaced_manifest_table('orders') -> 'columns');

-- 3. What takes no label takes none in its comment.
CREATE VIEW emails AS SELECT email FROM users;
CREATE MATERIALIZED VIEW emails_copy AS SELECT email FROM users;
CREATE TYPE pair AS (a text);
SELECT try($$COMMENT ON VIEW emails IS '@effaced {"path": ""}'$$);
SELECT try($$COMMENT ON COLUMN emails.email IS '@effaced {"category": "contact"}'$$);
SELECT try($$COMMENT ON MATERIALIZED VIEW emails_copy IS '@effaced {"path": ""}'$$);
SELECT try($$COMMENT ON COLUMN emails_copy.email IS '@effaced {"category": "contact"}'$$);
SELECT try($$COMMENT ON COLUMN pair.a IS '@effaced {"category": "contact"}'$$);
SELECT obj_description('emails'::regclass), col_description('emails'::regclass, 1);
-- ordinary comments are nobody's business
COMMENT ON VIEW emails IS 'a view';
COMMENT ON INDEX users_pkey IS 'an index';
COMMENT ON CONSTRAINT users_pkey ON users IS 'a constraint';

-- 4. Children, foreign tables: the rules of labels
CREATE TABLE events (user_id int REFERENCES users, day date, what text) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
COMMENT ON COLUMN events.what IS '@effaced {"category": "behavioral"}';
SELECT try($$COMMENT ON COLUMN events_2024.what IS '@effaced {"category": "behavioral"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN events_2024.what IS '{"category": "behavioral"}'$$);
CREATE FOREIGN DATA WRAPPER dummy;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER dummy;
CREATE FOREIGN TABLE remote_log (user_id int, line text) SERVER elsewhere;
SELECT try($$COMMENT ON FOREIGN TABLE remote_log IS '@effaced {"path": "user_id"}'$$);
COMMENT ON FOREIGN TABLE remote_log IS 'far away @effaced {"hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}';
SELECT relation FROM effaced_subject_graph() ORDER BY relation::text;

-- 5. The security label wins where both exist.
SECURITY LABEL FOR effaced ON COLUMN users.phone IS '{"category": "special"}';
SELECT c ->> 'name', c #>> '{spec,category}'
  FROM jsonb_array_elements(effaced_manifest_table('users') -> 'columns') c WHERE c ->> 'name' = 'phone';
-- the shadowed comment is still checked
SELECT try($$COMMENT ON COLUMN users.phone IS '@effaced {"category": "chatter"}'$$);
SECURITY LABEL FOR effaced ON COLUMN users.phone IS NULL;
SELECT c ->> 'name', c #>> '{spec,category}'
  FROM jsonb_array_elements(effaced_manifest_table('users') -> 'columns') c WHERE c ->> 'name' = 'phone';

-- 6. LIKE copies comments, and what it copies is checked.
CREATE TABLE users_archive (LIKE users INCLUDING ALL);
SELECT jsonb_path_query_array(effaced_manifest_table('users_archive'), '$.columns[*].name');
CREATE TABLE users_bare (LIKE users);
SELECT try($$SELECT effaced_manifest_table('users_bare')$$);
-- a copy into a child of what it copies
CREATE TABLE base (id int, who text);
COMMENT ON COLUMN base.who IS '@effaced {"category": "identity"}';
SELECT try($$CREATE TABLE derived (LIKE base INCLUDING COMMENTS) INHERITS (base)$$);
SELECT to_regclass('derived');
-- a copied anchor that the copy does not have
CREATE TABLE bills (who text, issued date);
COMMENT ON COLUMN bills.who IS '@effaced {"category": "identity", "erasure": "retain", "retention": {"reason": "tax", "anchor": "issued"}}';
CREATE SCHEMA aside CREATE TABLE bills (LIKE public.bills INCLUDING COMMENTS);
SELECT jsonb_path_query_array(effaced_manifest_table('aside.bills'), '$.columns[*].name');
-- an old comment from before the extension, copied, is checked then
SET session_replication_role = replica;
ALTER EVENT TRIGGER effaced_check_ddl DISABLE;
COMMENT ON COLUMN bills.issued IS '@effaced {"category": "chatter"}';
ALTER EVENT TRIGGER effaced_check_ddl ENABLE ALWAYS;
SET session_replication_role = origin;
SELECT try($$CREATE TABLE bills_copy (LIKE bills INCLUDING COMMENTS)$$);
SELECT try($$SELECT effaced_manifest_table('bills')$$);
SELECT try($$CREATE SCHEMA copies CREATE TABLE bills (LIKE public.bills INCLUDING COMMENTS)$$);
COMMENT ON COLUMN bills.issued IS NULL;
SELECT try($$SELECT effaced_manifest_table('bills')$$);

-- 7. session_replication_role does not switch the checks off.
SET session_replication_role = replica;
SELECT try($$COMMENT ON COLUMN orders.note IS '@effaced {"category": "chatter"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN orders.note IS '{"category": "chatter"}'$$);
SELECT try($$CREATE TABLE derived (LIKE base INCLUDING COMMENTS) INHERITS (base)$$);
SET session_replication_role = origin;
SELECT evtname, evtenabled FROM pg_event_trigger ORDER BY 1;

-- A temporary table that hides a table does not hide what CREATE TABLE copied.
CREATE TEMP TABLE sketch (a int);
CREATE TABLE public.sketch (LIKE users INCLUDING COMMENTS);
SELECT jsonb_path_query_array(effaced_manifest_table('public.sketch'), '$.columns[*].name');
DROP TABLE pg_temp.sketch, public.sketch;

-- 8. Removal: a comment without @effaced is no label; effaced_remove_labels() keeps the free text.
COMMENT ON COLUMN orders.note IS 'A note.';
SELECT jsonb_path_query_array(effaced_manifest() -> 'tables', '$[*].name');
SECURITY LABEL FOR effaced ON COLUMN users.phone IS '{"category": "special"}';
DROP TABLE bills, aside.bills, users_archive, base;
SELECT effaced_remove_labels();
SELECT c.relname, a.attname, quote_nullable(d.description)
  FROM pg_description d JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
  LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE c.relname !~ '^(effaced|pg)_' AND c.relkind IN ('r', 'p', 'f') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname, d.objsubid;
SELECT effaced_manifest();
SELECT effaced_remove_labels();
