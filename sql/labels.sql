-- SECURITY LABEL FOR effaced: what a label may say, and how a wrong one is refused.
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

CREATE TABLE users (
    id         int PRIMARY KEY,
    email      text NOT NULL,
    nick       varchar(10),
    born       date,
    seen       timestamptz,
    logged     timestamp,
    visits     int,
    whole_name text GENERATED ALWAYS AS (nick || email) STORED
);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, note text, at date, gone boolean);

-- Labels of the column users.email and of the tables users and orders.
CREATE FUNCTION col(label text) RETURNS text LANGUAGE sql AS
$$ SELECT try(format('SECURITY LABEL FOR effaced ON COLUMN users.email IS %L', label)) $$;
CREATE FUNCTION usr(label text) RETURNS text LANGUAGE sql AS
$$ SELECT try(format('SECURITY LABEL FOR effaced ON TABLE users IS %L', label)) $$;
CREATE FUNCTION ord(label text) RETURNS text LANGUAGE sql AS
$$ SELECT try(format('SECURITY LABEL FOR effaced ON TABLE orders IS %L', label)) $$;

-- 1. Column labels: text that is no JSON object
SELECT col('');
SELECT col('contact');
SELECT col('{"category": "contact"');
SELECT col('{"category": "contact"} and more');
SELECT col('["contact"]');
SELECT col('"contact"');
SELECT col('null');
SELECT col('{}');

-- unknown keys and unknown words
SELECT col('{"category": "contact", "colour": "red"}');
SELECT col('{"category": "contact", "Erasure": "delete"}');
SELECT col('{"category": "contacts"}');
SELECT col('{"category": "Contact"}');
SELECT col('{"category": ""}');
SELECT col('{"category": "contact", "erasure": "remove"}');
SELECT col('{"category": "contact", "legal_basis": "whim"}');

-- values of another type
SELECT col('{"category": 1}');
SELECT col('{"category": ["contact"]}');
SELECT col('{"category": "contact", "erasure": true}');
SELECT col('{"category": "contact", "description": {}}');
SELECT col('{"category": "contact", "purpose": 3}');
SELECT col('{"category": "contact", "fact": false}');
SELECT col('{"category": "contact", "link": []}');
SELECT col('{"category": "contact", "ref": 7}');
SELECT col('{"category": "contact", "surrogate": 0}');
SELECT col('{"category": "contact", "retention": "10 years"}');

-- retention: required with retain, allowed with anonymize, pointless with delete
SELECT col('{"category": "contact", "erasure": "retain"}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": null}');
SELECT col('{"category": "contact", "retention": {"reason": "tax"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": ""}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "  "}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": 1}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "until": "2030"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "basis": "law"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "on_expiry": "explode"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "duration": "a while"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "duration": "-1 day"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "duration": "0"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "duration": true}}');

-- an anchor is a date or timestamp column of the same table
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": "no_such"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": "visits"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": "orders.at"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": "ctid"}}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": ""}}');

-- a surrogate for a column that cannot be written
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN users.whole_name IS '{"category": "identity", "surrogate": "NULL"}'$$);

-- 2. Table labels
SELECT usr('path');
SELECT usr('[]');
SELECT usr('{"category": "contact"}');
SELECT usr('{"path": 1}');
SELECT usr('{"path": "", "subject": ""}');
SELECT usr('{"path": "", "subject": 4}');
SELECT usr('{"path": "", "owned": "yes"}');
SELECT usr('{"path": "", "subject_id_columns": "id"}');
SELECT usr('{"path": "", "subject_id_columns": []}');
SELECT usr('{"path": "", "subject_id_columns": ["id", "id"]}');
SELECT usr('{"path": "", "subject_id_columns": ["id", 2]}');
SELECT usr('{"path": "", "subject_id_columns": ["uid"]}');
SELECT usr('{"path": "", "role": "accessor"}');
SELECT usr('{"path": "", "shared": "erase"}');

-- what only a subject table has
SELECT ord('{"path": "user_id", "subject": "order"}');
SELECT ord('{"path": "user_id", "subject_id_columns": ["id"]}');
SELECT ord('{"subject": "order"}');

-- path and hops
SELECT ord('{"path": "user_id", "hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}');
SELECT ord('{"hops": "users"}');
SELECT ord('{"hops": []}');
SELECT ord('{"hops": ["users"]}');
SELECT ord('{"hops": [{"source_columns": ["user_id"], "target_table": "users"}]}');
SELECT ord('{"hops": [{"source_columns": ["user_id"], "target_columns": ["id"]}]}');
SELECT ord('{"hops": [{"target_table": "users", "target_columns": ["id"]}]}');
SELECT ord('{"hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id", "email"]}]}');
SELECT ord('{"hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"], "join": "left"}]}');
SELECT ord('{"hops": [{"source_columns": ["uid"], "target_table": "users", "target_columns": ["id"]}]}');

-- role, redact, shared
SELECT ord('{"path": "user_id", "role": "reader"}');
SELECT ord('{"path": "user_id", "shared": "maybe"}');
SELECT ord('{"path": "user_id", "redact": ["note"]}');
SELECT ord('{"path": "user_id", "role": "accessor", "redact": "note"}');
SELECT ord('{"path": "user_id", "role": "accessor", "redact": ["notes"]}');

-- set
SELECT ord('{"path": "user_id", "set": "gone = true"}');
SELECT ord('{"path": "user_id", "set": {"gone": true}}');
SELECT ord('{"path": "user_id", "set": {"went": "true"}}');
SELECT usr('{"path": "", "set": {"whole_name": "''x''"}}');

-- links: each has a name and a way; nothing of one link beside them
SELECT ord('{"links": {"name": "buyer", "path": "user_id"}}');
SELECT ord('{"links": []}');
SELECT ord('{"links": ["user_id"]}');
SELECT ord('{"links": [{"path": "user_id"}]}');
SELECT ord('{"links": [{"name": "", "path": "user_id"}]}');
SELECT ord('{"links": [{"name": "buyer"}]}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}, {"name": "buyer", "path": "users"}]}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id", "owned": true}]}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id", "set": {"gone": "true"}}]}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}], "path": "user_id"}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}], "hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}], "where": "true"}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}], "role": "owner"}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}], "redact": ["note"]}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id"}], "shared": "keep"}');
SELECT usr('{"links": [{"name": "a", "path": "", "where": "visits = 1"}, {"name": "b", "path": "", "where": "visits = 2"}]}');

-- 3. What takes no label at all
CREATE VIEW emails AS SELECT email FROM users;
CREATE MATERIALIZED VIEW emails_copy AS SELECT email FROM users;
CREATE SEQUENCE numbers;
CREATE TYPE pair AS (a text, b text);
CREATE FUNCTION double(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
CREATE ROLE regress_effaced_labels;
CREATE SCHEMA aside;
SELECT try($$SECURITY LABEL FOR effaced ON VIEW emails IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN emails.email IS '{"category": "contact"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON MATERIALIZED VIEW emails_copy IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN emails_copy.email IS '{"category": "contact"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON SEQUENCE numbers IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN pair.a IS '{"category": "contact"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN users.ctid IS '{"category": "contact"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON FUNCTION double(int) IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON TYPE pair IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON SCHEMA aside IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON ROLE regress_effaced_labels IS '{"path": ""}'$$);
-- an index is not even a table to PostgreSQL
SELECT try($$SECURITY LABEL FOR effaced ON TABLE users_pkey IS '{"path": ""}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN users_pkey.id IS '{"category": "contact"}'$$);

-- 4. Nothing was stored so far, at the top level neither.
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "phone"}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE orders IS '{"paths": "user_id"}';
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM pg_seclabel;
SELECT count(*) FROM pg_shseclabel;
SELECT effaced_manifest();

-- 5. What a label may say. JSON null counts as unset, at every key.
SELECT col('{"category": "contact", "erasure": null, "legal_basis": null, "description": null, "purpose": null, "retention": null, "surrogate": null, "fact": null, "link": null, "ref": null}');
SELECT col('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "basis": null, "duration": null, "anchor": null, "on_expiry": null}}');
SELECT usr('{"path": "", "subject_id_columns": null, "subject": null, "owned": null, "where": null, "hops": null, "role": null, "redact": null, "shared": null, "set": null, "links": null}');
SELECT ord('{"path": null, "set": {"gone": null}}');
SELECT ord('{"links": [{"name": "buyer", "path": "user_id", "hops": null, "where": null, "role": null, "redact": null, "shared": null}], "path": null, "where": null}');
SELECT jsonb_pretty(effaced_manifest_table('orders') -> 'subject_link');
-- null is no value for what is required
SELECT col('{"category": null}');

-- every word
SELECT word, col(format('{"category": "%s"}', word))
  FROM unnest('{contact,identity,financial,behavioral,technical,location,communication,special}'::text[]) word;
SELECT word, col(format('{"category": "contact", "legal_basis": "%s"}', word))
  FROM unnest('{consent,contract,legal_obligation,vital_interests,public_task,legitimate_interests}'::text[]) word;
SELECT word, col(format('{"category": "contact", "erasure": "%s", "retention": {"reason": "tax"}}', word))
  FROM unnest('{anonymize,retain}'::text[]) word;
SELECT word, col(format('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "on_expiry": "%s"}}', word))
  FROM unnest('{report,anonymize,delete}'::text[]) word;
SELECT word, col(format('{"category": "contact", "erasure": "retain", "retention": {"reason": "tax", "anchor": "%s"}}', word))
  FROM unnest('{born,seen,logged}'::text[]) word;
SELECT word, ord(format('{"path": "user_id", "role": "%s"}', word)) FROM unnest('{owner,accessor}'::text[]) word;
SELECT word, ord(format('{"path": "user_id", "shared": "%s"}', word)) FROM unnest('{keep,erase}'::text[]) word;

-- Paths, hops and links are looked at when the map is used: a restore writes labels before keys exist.
SELECT ord('{"path": "to.be.done"}');
SELECT ord('{"hops": [{"source_columns": ["user_id"], "target_table": "later", "target_columns": ["id"]}]}');
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN orders.note IS '{"category": "contact", "link": "later", "ref": "later"}'$$);

SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN orders.note IS NULL;

-- A second label replaces the first; NULL removes it.
SELECT col('{"category": "contact"}');
SELECT col('{"category": "special"}');
SELECT label FROM pg_seclabel WHERE objoid = 'users'::regclass AND objsubid = 2;
SECURITY LABEL FOR effaced ON COLUMN users.email IS NULL;
SECURITY LABEL FOR effaced ON COLUMN users.born IS NULL;
SELECT label FROM pg_seclabel WHERE objoid = 'users'::regclass AND objsubid = 2;

-- 6. Partitioned tables: the labels of the parent count, a partition takes none.
CREATE TABLE events (user_id int REFERENCES users, day date, what text) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (user_id);
CREATE TABLE events_2024_rest PARTITION OF events_2024 DEFAULT;
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN events.what IS '{"category": "behavioral"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN events_2024.what IS '{"category": "behavioral"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON TABLE events_2024_rest IS '{"path": "user_id"}'$$);

-- 7. Inheritance: the same, and a parent is not labelled over labelled children.
CREATE TABLE base (id int PRIMARY KEY, who text);
CREATE TABLE derived (extra text) INHERITS (base);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN derived.extra IS '{"category": "contact"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN base.who IS '{"category": "contact"}'$$);
SECURITY LABEL FOR effaced ON COLUMN derived.extra IS NULL;
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN base.who IS '{"category": "contact"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN derived.extra IS '{"category": "contact"}'$$);
-- a labelled table that becomes a child is found when the map is used
CREATE TABLE adopted (id int NOT NULL, who text);
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN adopted.who IS '{"category": "contact"}'$$);
ALTER TABLE adopted INHERIT base;
SELECT try($$SELECT effaced_manifest()$$);
SECURITY LABEL FOR effaced ON COLUMN adopted.who IS NULL;
SELECT try($$SELECT effaced_manifest()$$);
SECURITY LABEL FOR effaced ON COLUMN base.who IS NULL;

-- 8. Foreign tables: they have no foreign keys, so a path is refused and hops are needed.
CREATE FOREIGN DATA WRAPPER dummy;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER dummy;
CREATE FOREIGN TABLE remote_log (user_id int, line text) SERVER elsewhere;
SELECT try($$SECURITY LABEL FOR effaced ON COLUMN remote_log.line IS '{"category": "technical"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON FOREIGN TABLE remote_log IS '{"path": "user_id"}'$$);
SELECT try($$SECURITY LABEL FOR effaced ON FOREIGN TABLE remote_log IS '{"links": [{"name": "who", "path": "user_id"}]}'$$);
SELECT try($$SELECT * FROM effaced_table_access('remote_log')$$);
SELECT try($$SECURITY LABEL FOR effaced ON FOREIGN TABLE remote_log IS
    '{"hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}'$$);
SELECT relation, link, hops FROM effaced_table_access('remote_log');

-- 9. The kind of a subject is unique in the database.
CREATE TABLE staff (id int PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE staff IS '{"path": "", "subject": "users"}';
SELECT try($$SELECT effaced_manifest()$$);
SECURITY LABEL FOR effaced ON TABLE staff IS '{"path": "", "subject": "employee"}';
SELECT try($$SELECT effaced_manifest()$$);

DROP ROLE regress_effaced_labels;
