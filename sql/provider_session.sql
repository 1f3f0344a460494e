-- Nothing is preloaded: a fresh session of an ordinary table owner writes labels.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SELECT current_user AS admin \gset
CREATE ROLE regress_effaced_owner LOGIN;
CREATE ROLE regress_effaced_other LOGIN;
GRANT ALL ON SCHEMA public TO regress_effaced_owner;

-- Without the extension nobody knows of the provider.
CREATE TABLE too_early (id int);
SECURITY LABEL FOR effaced ON TABLE too_early IS '{"path": ""}';
\echo :LAST_ERROR_SQLSTATE
DROP TABLE too_early;
CREATE EXTENSION effaced;
SELECT effaced_admit_labels('regress_effaced_owner');
SHOW shared_preload_libraries;
SHOW session_preload_libraries;

-- The owner's very first statements are labels.
\c - regress_effaced_owner
CREATE TABLE users (id int PRIMARY KEY, email text, phone text);
\c - regress_effaced_owner
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
\c - regress_effaced_owner
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact", "surrogate": "''user '' || id"}';
\c - regress_effaced_owner
COMMENT ON COLUMN users.phone IS '@effaced {"category": "contact"}';
SELECT objsubid, label FROM pg_seclabel WHERE provider = 'effaced' ORDER BY 1;

-- A wrong label is refused there as everywhere.
\c - regress_effaced_owner
SECURITY LABEL FOR effaced ON COLUMN users.phone IS '{"category": "phone"}';
\echo :LAST_ERROR_SQLSTATE
\c - regress_effaced_owner
COMMENT ON COLUMN users.phone IS '@effaced {"category": "phone"}';
\echo :LAST_ERROR_SQLSTATE
-- nor does session_replication_role switch anything off
\c - :admin
SET session_replication_role = replica;
SECURITY LABEL FOR effaced ON COLUMN users.phone IS '{"category": "phone"}';
\echo :LAST_ERROR_SQLSTATE
\c - :admin
SET session_replication_role = replica;
SECURITY LABEL FOR effaced ON COLUMN users.phone IS '{"category": "contact"}';

-- Whoever does not own the table labels nothing, and whoever may not execute reads nothing.
\c - regress_effaced_other
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact"}';
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_manifest();
\echo :LAST_ERROR_SQLSTATE
\c - regress_effaced_owner
SELECT effaced_manifest();
\echo :LAST_ERROR_SQLSTATE

-- Privileges are granted like others; the owner erases without any on effaced's own tables.
\c - :admin
GRANT EXECUTE ON FUNCTION effaced_manifest(), effaced_erase(text, jsonb, regclass, regclass[], text) TO regress_effaced_owner;
\c - regress_effaced_owner
INSERT INTO users VALUES (1, 'a@example.com', '1'), (2, 'b@example.com', '2');
SELECT jsonb_path_query_array(effaced_manifest(), '$.tables[*].columns[*].name');
SELECT effaced_erase('1') -> 'subject_found';
SELECT * FROM users ORDER BY id;
SELECT count(*) FROM effaced_audit_events;
\echo :LAST_ERROR_SQLSTATE
SELECT secret FROM effaced.effaced_secret;
\echo :LAST_ERROR_SQLSTATE

-- The extension goes and comes again: labels would stay behind, so they are removed first.
\c - :admin
SELECT effaced_remove_labels();
SELECT count(*) FROM pg_seclabel WHERE provider = 'effaced';
SELECT col_description('users'::regclass, 3) IS NULL;
DROP EXTENSION effaced;
SELECT count(*) FROM pg_event_trigger;
-- (this session has the library still loaded, others do not)
\c - regress_effaced_owner
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
\echo :LAST_ERROR_SQLSTATE
COMMENT ON COLUMN users.phone IS '@effaced {"category": "phone"}';
COMMENT ON COLUMN users.phone IS NULL;
\c - :admin
CREATE EXTENSION effaced;
SELECT effaced_admit_labels('regress_effaced_owner');
SELECT effaced_manifest();
\c - regress_effaced_owner
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact"}';

-- Labels that were left behind are there again with the extension.
\c - :admin
SELECT effaced_manifest() -> 'tables' -> 0 -> 'name';
DROP EXTENSION effaced;
SELECT count(*) FROM pg_seclabel WHERE provider = 'effaced';
CREATE EXTENSION effaced;
SELECT effaced_admit_labels('regress_effaced_owner');
SELECT effaced_manifest() -> 'tables' -> 0 -> 'name';

-- DROP SCHEMA and DROP OWNED may take the extension along.
DROP EXTENSION effaced;
CREATE SCHEMA tools;
CREATE EXTENSION effaced SCHEMA tools;
SELECT tools.effaced_admit_labels('regress_effaced_owner');
SELECT tools.effaced_manifest() -> 'tables' -> 0 -> 'name';
SELECT tools.effaced_remove_labels();
DROP SCHEMA tools CASCADE;
SELECT count(*) FROM pg_event_trigger;

DROP OWNED BY regress_effaced_owner, regress_effaced_other;
DROP ROLE regress_effaced_owner, regress_effaced_other;
