-- What effaced keeps for itself is in a schema of its own, that nobody else can
-- write to, rename, or be given by default.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA effaced;
CREATE EXTENSION effaced;
\echo :LAST_ERROR_SQLSTATE
DROP SCHEMA effaced;

-- Default privileges give nothing of it away.
CREATE ROLE regress_app;
CREATE ROLE regress_dbo;
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_app;
CREATE EXTENSION effaced;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_app;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM regress_app;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_app;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM regress_app;
SELECT 'function', p.oid::regprocedure FROM pg_proc p WHERE p.proname ~ '^effaced_' AND has_function_privilege('regress_app', p.oid, 'EXECUTE');
SELECT 'relation', c.oid::regclass FROM pg_class c WHERE c.relname ~ '^effaced_' AND c.relkind IN ('r', 'v')
	AND has_table_privilege('regress_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
SELECT 'schema' WHERE has_schema_privilege('regress_app', 'effaced', 'USAGE, CREATE');

-- Every function of the interface and every view belongs to a duty.
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^effaced_' AND p.proname NOT IN ('effaced_grant', 'effaced_revoke')
  AND NOT EXISTS (SELECT FROM effaced.effaced_duties() d WHERE p.proname = ANY (ARRAY(SELECT 'effaced_' || n FROM unnest(d.names) n)));
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^effaced_' AND c.relkind = 'v'
  AND NOT EXISTS (SELECT FROM effaced.effaced_duties() d WHERE c.relname = ANY (ARRAY(SELECT 'effaced_' || n FROM unnest(d.names) n)));

-- A duty gives its functions, with every overload, and its views; on tables it only says what is needed.
CREATE TABLE customer (id int PRIMARY KEY, email text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
INSERT INTO customer VALUES (1, 'a@example.org'), (2, 'b@example.org');
SELECT effaced_grant('regress_app', 'erase');
SELECT count(*) > 0 AND bool_and(has_function_privilege('regress_app', p.oid, 'EXECUTE')) FROM pg_proc p WHERE p.proname IN ('effaced_erase', 'effaced_plan', 'effaced_verify')
  AND p.pronamespace = 'public'::regnamespace;
SELECT has_table_privilege('regress_app', 'customer', 'DELETE'), has_table_privilege('regress_app', 'effaced_audit_events', 'SELECT'),
	has_schema_privilege('regress_app', 'effaced', 'USAGE');
SELECT effaced_grant('regress_app', 'inspect');
SELECT has_table_privilege('regress_app', 'effaced_audit_events', 'SELECT');
SELECT effaced_revoke('regress_app', 'erase');
-- what inspecting needs too stays
SELECT p.proname, bool_or(has_function_privilege('regress_app', p.oid, 'EXECUTE')) FROM pg_proc p
WHERE p.proname IN ('effaced_plan', 'effaced_erase') AND p.pronamespace = 'public'::regnamespace GROUP BY 1 ORDER BY 1;
SELECT effaced_revoke('regress_app', 'inspect');
SELECT count(*) FROM pg_proc p WHERE p.proname ~ '^effaced_' AND has_function_privilege('regress_app', p.oid, 'EXECUTE');
SELECT effaced_grant('regress_app', 'everything');
\echo :LAST_ERROR_SQLSTATE

-- Views of what is effaced's own are for reading.
SELECT effaced_erase('1') -> 'deleted';
INSERT INTO effaced_audit_events (event_type) VALUES ('erasure_completed');
UPDATE effaced_audit_events SET actor = 'x';
DELETE FROM effaced_resolvers;
INSERT INTO effaced_resolvers (name) VALUES ('x');
\echo :LAST_ERROR_SQLSTATE

-- The trail stays append-only where another table is made its parent.
SELECT count(*) AS events FROM effaced_audit_events \gset
CREATE TABLE parent (LIKE effaced.effaced_audit_events);
ALTER TABLE effaced.effaced_audit_events INHERIT parent;
DELETE FROM parent;
UPDATE parent SET actor = 'forged';
TRUNCATE parent;
ALTER TABLE effaced.effaced_audit_events NO INHERIT parent;
SELECT count(*) = :events FROM effaced_audit_events WHERE actor <> 'forged';
-- On whose behalf a session works is recorded beside who it is.
SET effaced.actor = 'ticket 17';
SELECT effaced_erase('2') -> 'deleted';
RESET effaced.actor;
SELECT event_type, actor = session_user, on_behalf_of FROM effaced_audit_events ORDER BY seq DESC LIMIT 1;

-- Whoever may rename the schema of the extension puts no function of his in place of effaced's.
SELECT current_database() AS database \gset
GRANT CREATE ON DATABASE :"database" TO regress_dbo;
ALTER SCHEMA public OWNER TO regress_dbo;
CREATE SCHEMA old AUTHORIZATION regress_dbo;
CREATE TABLE caught (who name);
GRANT INSERT ON caught TO PUBLIC;
SELECT effaced_grant('regress_dbo', 'operate');
ALTER TABLE caught SET SCHEMA old;
GRANT USAGE ON SCHEMA old TO PUBLIC;
SET ROLE regress_dbo;
ALTER SCHEMA public RENAME TO moved;
CREATE SCHEMA public;
CREATE FUNCTION public.effaced_refuse_worker() RETURNS void LANGUAGE sql AS 'INSERT INTO old.caught VALUES (current_user)';
CREATE FUNCTION public.effaced_outbox_take(text, int, interval, boolean) RETURNS TABLE (entry_id uuid, claim_id uuid)
	LANGUAGE sql AS 'INSERT INTO old.caught VALUES (current_user) RETURNING NULL::uuid, NULL::uuid';
CREATE TABLE public.effaced_outbox (entry_id uuid, operation text, status text);
SELECT * FROM moved.effaced_outbox_requeue('{}');
SELECT moved.effaced_outbox_claim();
CALL moved.effaced_run_outbox();
RESET ROLE;
SELECT count(*) FROM old.caught;
DROP SCHEMA public CASCADE;
ALTER SCHEMA moved RENAME TO public;
ALTER SCHEMA public OWNER TO CURRENT_USER;
DROP EXTENSION effaced CASCADE;
SET client_min_messages = warning;
DROP SCHEMA old CASCADE;
DROP OWNED BY regress_app, regress_dbo;
DROP ROLE regress_app, regress_dbo;
