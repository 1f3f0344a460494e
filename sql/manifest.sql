-- The data map as a document: effaced_manifest() and what reads and writes one.
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

CREATE SCHEMA crm;
CREATE SCHEMA "Ünï";
CREATE TABLE users (id int PRIMARY KEY, born date, email text, name text, hired timestamptz);
CREATE TABLE crm.notes (id int PRIMARY KEY, user_id int REFERENCES users, at timestamptz, body text, gone boolean);
CREATE TABLE "order" (id int PRIMARY KEY, buyer int REFERENCES users, seller int REFERENCES users, text text);
CREATE TABLE "Ünï"."we""ird.tab le" ("sel""ect" int REFERENCES users, "Group" text);

-- 1. An empty map
SELECT effaced_manifest();

-- 2. Every key of every label. Defaults are filled in, keys without one are null,
--    tables stand in order of their name and columns of their position.
SECURITY LABEL FOR effaced ON COLUMN users.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS
    '{"ref": "stripe", "fact": "email", "erasure": "anonymize", "category": "contact", "legal_basis": "contract", "description": "as typed", "purpose": "order messages", "surrogate": "''x'' || id", "retention": {"reason": "guarantee"}}';
SECURITY LABEL FOR effaced ON COLUMN users.born IS
    '{"category": "identity", "erasure": "retain", "retention": {"reason": "age check", "basis": "contract", "duration": "1 year 2 mons 3 days 04:05:06.7", "anchor": "hired", "on_expiry": "delete"}}';
SECURITY LABEL FOR effaced ON TABLE crm.notes IS
    '{"path": "user_id", "owned": true, "where": "id > 0", "shared": "erase", "set": {"gone": "true", "at": "now()"}}';
SECURITY LABEL FOR effaced ON COLUMN crm.notes.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE "order" IS
    '{"links": [{"name": "buyer", "path": "buyer"}, {"name": "seller", "hops": [{"source_columns": ["seller"], "target_table": "users", "target_columns": ["id"]}], "where": "id > 1", "role": "accessor", "redact": ["text"]}]}';
SECURITY LABEL FOR effaced ON COLUMN "order".text IS '{"category": "special", "link": "buyer"}';
SECURITY LABEL FOR effaced ON COLUMN "Ünï"."we""ird.tab le"."Group" IS '{"category": "technical"}';
SELECT jsonb_pretty(effaced_manifest()) AS manifest \gset
\echo :manifest

-- 3. The same labels always give the same text, whatever order they were written in and whatever the session's settings.
SELECT effaced_manifest()::text AS before \gset
SECURITY LABEL FOR effaced ON TABLE users IS NULL;
SECURITY LABEL FOR effaced ON TABLE users IS '{"subject": null, "path": ""}';
SELECT effaced_manifest()::text = :'before';
SET quote_all_identifiers = on;
SET intervalstyle = sql_standard;
SET search_path = crm, public;
SELECT public.effaced_manifest()::text = :'before';
\c
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET quote_all_identifiers = on;
SELECT effaced_manifest()::text = :'before';
SELECT effaced_manifest_upgrade(effaced_manifest())::text = :'before';
RESET quote_all_identifiers;
SELECT effaced_manifest()::text = :'before';
SET client_min_messages = warning;

-- 4. One table of it
SELECT effaced_manifest_table('crm.notes') = (effaced_manifest() #> '{tables,2}');
SELECT effaced_manifest_table('"Ünï"."we""ird.tab le"') ->> 'name';
CREATE TABLE plain (id int);
CREATE VIEW view AS SELECT * FROM users;
SELECT try($$SELECT effaced_manifest_table('plain')$$);
SELECT try($$SELECT effaced_manifest_table('view')$$);
SELECT try($$SELECT effaced_manifest_table(NULL)$$);
SELECT try($$SELECT effaced_manifest_table(0)$$);

-- 5. Durations are written as ISO 8601, however they were given.
CREATE TABLE durations (v text);
CREATE FUNCTION duration(spec text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN durations.v IS %L',
        '{"category": "contact", "erasure": "retain", "retention": {"reason": "x", "duration": ' || spec || '}}');
    RETURN effaced_manifest_table('durations') #>> '{columns,0,spec,retention,duration}';
END $$;
SELECT d, duration(d) FROM unnest(ARRAY['"10 years"', '"P10Y"', '"P3650D"', '"3 mons"', '"P1Y2M3DT4H5M6S"', '"90 minutes"',
    '"PT0.5S"', '"1 week"', '"P2W"', '"36:00:00"', '3600', '86400', '0.25', '"100 years 1 day"']) d;
SELECT effaced_remove_labels() > 0;

-- 6. Round trip: manifest, remove_labels, apply, the same manifest.
SELECT effaced_manifest();
SELECT effaced_manifest_apply(:'before');
SELECT effaced_manifest()::text = :'before';
-- once more changes nothing
SELECT effaced_manifest_apply(:'before');
SELECT effaced_manifest()::text = :'before';
SELECT effaced_manifest_apply(effaced_manifest_upgrade(:'before'));
SELECT effaced_manifest()::text = :'before';

-- 7. Apply: the tables listed get the labels listed and no others; other tables keep theirs.
SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "\"order\"", "columns": [{"name": "id", "spec": {"category": "technical"}}]}]}');
SELECT t ->> 'name', t -> 'subject_link' ->> 'path', jsonb_path_query_array(t, '$.columns[*].name') FROM jsonb_array_elements(effaced_manifest() -> 'tables') t;
SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "\"order\"", "columns": []}]}');
SELECT jsonb_path_query_array(effaced_manifest(), '$.tables[*].name');
SELECT effaced_manifest_apply('{"schema_version": 3, "tables": []}');
SELECT effaced_manifest_apply('{"schema_version": 3}');
-- all or nothing
SELECT effaced_manifest()::text AS now \gset
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "users"}, {"name": "nobody"}]}')$$);
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "\"Users\""}]}')$$);
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "users"}, {"name": "public.users"}]}')$$);
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "order"}, {"name": "view", "columns": [{"name": "email", "spec": {"category": "contact"}}]}]}')$$);
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "users", "columns": [{"name": "e-mail", "spec": {"category": "contact"}}]}]}')$$);
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "users", "columns": [{"name": "email", "spec": {"category": "contact"}}, {"name": "email", "spec": {"category": "special"}}]}]}')$$);
SELECT try($$SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "users", "columns": [{"name": "email", "spec": {"category": "contact", "surrogate": "nothing"}}]}]}')$$);
SELECT effaced_manifest()::text = :'now';
-- labels may move from a table to its parent
CREATE TABLE base (id int, who text);
CREATE TABLE derived () INHERITS (base);
SECURITY LABEL FOR effaced ON COLUMN derived.who IS '{"category": "identity"}';
SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "base", "columns": [{"name": "who", "spec": {"category": "identity"}}]}, {"name": "derived", "columns": []}]}');
SELECT effaced_manifest_apply('{"schema_version": 3, "tables": [{"name": "base", "columns": []}]}');

-- 8. A subject with a condition and links keeps both, whatever the links are called.
SECURITY LABEL FOR effaced ON TABLE users IS
    '{"links": [{"name": "me", "path": "", "where": "id > 0"}, {"name": "subject", "hops": [{"source_columns": ["id"], "target_table": "\"order\"", "target_columns": ["id"]}]}], "subject_id_columns": ["email", "id"], "subject": "person"}';
SELECT jsonb_pretty(effaced_manifest_table('users') -> 'subject_link');
SELECT effaced_manifest_table('users')::text AS users \gset
SELECT effaced_manifest_apply(jsonb_build_object('schema_version', 3, 'tables', jsonb_build_array(:'users'::jsonb)));
SELECT effaced_manifest_table('users')::text = :'users';

-- 9. Diff: a row per column, and per table (column NULL) for its link
\pset null (null)
SELECT * FROM effaced_manifest_diff(:'before', :'before');
SELECT * FROM effaced_manifest_diff('{"schema_version": 3, "tables": []}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "b", "spec": {"category": "contact"}}, {"name": "a", "spec": {"category": "contact"}}]}]}');
SELECT relation, column_name, change, before IS NULL AS no_before, after IS NULL AS no_after
  FROM effaced_manifest_diff(:'before') ORDER BY 1, 2;
SELECT relation, column_name, change, before ->> 'erasure' AS before, after ->> 'erasure' AS after
  FROM effaced_manifest_diff(
    '{"schema_version": 1, "tables": [{"name": "t", "columns": [{"name": "a", "spec": {"category": "contact"}}, {"name": "b", "spec": {"category": "contact"}}]}, {"name": "u", "columns": []}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "c", "spec": {"category": "contact"}}, {"name": "a", "spec": {"category": "contact", "erasure": "anonymize"}}]}]}');
SELECT try($$SELECT * FROM effaced_manifest_diff('{}')$$);

-- 10. Upgrade. Versions 1 and 2 are what the Python library of the same name writes.
SELECT jsonb_pretty(effaced_manifest_upgrade('{
  "schema_version": 1,
  "tables": [
    {"name": "users",
     "columns": [
       {"name": "email", "spec": {"category": "contact", "erasure": "delete", "retention": null, "legal_basis": "contract", "purpose": "login", "description": "mail"}},
       {"name": "tax_id", "spec": {"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "basis": "legal_obligation", "duration": "P3650D"}, "legal_basis": null, "purpose": null, "description": null}}],
     "subject_link": {"path": "", "subject_id_column": "uid"}},
    {"name": "posts",
     "columns": [{"name": "body", "spec": {"category": "communication", "erasure": "anonymize"}}],
     "subject_link": {"path": "author", "subject_id_column": "id"}},
    {"name": "logs", "columns": [{"name": "ip", "spec": {"category": "technical"}}], "subject_link": null}]}'));
SELECT jsonb_pretty(effaced_manifest_upgrade('{
  "schema_version": 2,
  "tables": [
    {"name": "bills", "columns": [{"name": "who", "spec": {"category": "identity", "erasure": "retain",
       "retention": {"reason": "tax law", "basis": "legal_obligation", "duration": "P3650D", "anchor": "issued_at"}}}],
     "subject_link": {"path": ""}}]}') -> 'tables' -> 0);
-- their names are plain, ours are quoted where SQL needs it
SELECT jsonb_path_query_array(effaced_manifest_upgrade('{"schema_version": 2, "tables": [{"name": "order"}, {"name": "Users"}, {"name": "crm.notes"}, {"name": "public.x"}, {"name": "crm.User"}]}'), '$.tables[*].name');
-- sparse payloads
SELECT effaced_manifest_upgrade('{"schema_version": 1}');
SELECT effaced_manifest_upgrade('{"schema_version": 2, "tables": []}');
SELECT effaced_manifest_upgrade('{"schema_version": 1, "tables": [{"name": "t"}]}');
SELECT effaced_manifest_upgrade('{"schema_version": 1, "tables": null}');
SELECT effaced_manifest_upgrade('{"schema_version": 1, "tables": [{"name": "t", "columns": null, "subject_link": null}]}');
-- once lifted, it stays
WITH u AS (SELECT effaced_manifest_upgrade('{"schema_version": 1, "tables": [{"name": "t", "subject_link": {"path": ""}}]}') AS m)
SELECT effaced_manifest_upgrade(m) = m, m -> 'schema_version' FROM u;
-- an old one applies
SELECT effaced_remove_labels() > 0;
SELECT effaced_manifest_apply('{"schema_version": 2, "tables": [
    {"name": "users", "columns": [{"name": "email", "spec": {"category": "contact"}}], "subject_link": {"path": "", "subject_id_column": "id"}},
    {"name": "order", "columns": [{"name": "text", "spec": {"category": "special"}}], "subject_link": {"path": "buyer"}}]}');
SELECT relation, hops FROM effaced_subject_graph();

-- newer or broken: ZE001
SELECT m, try(format('SELECT effaced_manifest_upgrade(%L)', m)) FROM unnest(ARRAY[
    NULL, 'null', '7', '[]', '{}', '{"tables": []}', '{"schema_version": null}', '{"schema_version": "3"}', '{"schema_version": 0}', '{"schema_version": -1}', '{"schema_version": 4}',
    '{"schema_version": 1.5}', '{"schema_version": 99999999999999999999}', '{"schema_version": 3, "more": 1}',
    '{"schema_version": 3, "tables": {}}', '{"schema_version": 3, "tables": "users"}', '{"schema_version": 3, "tables": ["users"]}', '{"schema_version": 3, "tables": [{}]}',
    '{"schema_version": 3, "tables": [{"name": ""}]}', '{"schema_version": 3, "tables": [{"name": 1}]}', '{"schema_version": 3, "tables": [{"name": "t", "colour": "red"}]}',
    '{"schema_version": 3, "tables": [{"name": "t"}, {"name": "t"}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": {}}]}', '{"schema_version": 3, "tables": [{"name": "t", "columns": ["a"]}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "a"}]}]}', '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"spec": {"category": "contact"}}]}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "a", "spec": []}]}]}', '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "a", "spec": {}}]}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "a", "spec": {"category": "contact", "erasure": "burn"}}]}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "columns": [{"name": "a", "spec": {"category": "contact"}}, {"name": "a", "spec": {"category": "contact"}}]}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "subject_link": []}]}', '{"schema_version": 3, "tables": [{"name": "t", "subject_link": {"path": 1}}]}',
    '{"schema_version": 3, "tables": [{"name": "t", "subject_link": {"path": "", "subject_id_column": "id"}}]}',
    '{"schema_version": 2, "tables": [{"name": "t", "subject_link": {"path": "", "subject_id_column": 1}}]}',
    '{"schema_version": 2, "tables": [{"name": "t", "subject_link": {"path": "", "subject": 1}}]}',
    '{"schema_version": 1, "tables": [{"name": "t", "columns": [{"name": "a", "spec": {"category": "contact", "erasure": "retain"}}]}]}'
    ]) m;

-- 11. A snapshot of the map goes into the trail.
SELECT effaced_manifest_snapshot() AS id \gset
SELECT event_type, subject, subject_ref, payload = effaced_manifest() FROM effaced_audit_events WHERE event_id = :'id';
