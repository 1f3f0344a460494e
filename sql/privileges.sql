-- Everything runs with the caller's privileges on the tables; effaced's own tables
-- need none. Rows that row-level security would hide make the call fail.
CREATE EXTENSION effaced;

CREATE ROLE regress_owner;
SELECT effaced_admit_labels('regress_owner');
CREATE ROLE regress_dpo;
CREATE ROLE regress_anyone;
CREATE ROLE regress_bypass BYPASSRLS;
GRANT CREATE ON SCHEMA public TO regress_owner;

-- Nobody runs anything before it is granted.
SET ROLE regress_anyone;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify('1');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_owner, regress_dpo, regress_bypass;

SET ROLE regress_owner;
CREATE TABLE person (id int PRIMARY KEY, name text, joined date);
CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, body text);
CREATE TABLE likes (id int PRIMARY KEY, post_id int REFERENCES post, emoji text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE likes IS '{"path": "post.person"}';
SECURITY LABEL FOR effaced ON COLUMN likes.emoji IS '{"category": "behavioral"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben'), (3, 'Cleo'), (4, 'Dan');
INSERT INTO post SELECT i, 1 + i % 4, 'post ' || i FROM generate_series(1, 8) i;
INSERT INTO likes SELECT i, i, 'heart' FROM generate_series(1, 8) i;

-- The owner of the tables may erase; what it may not is to read or write what
-- effaced keeps.
SELECT effaced_erase('1') - 'subject_id' AS result;
SELECT effaced_verify('1') -> 'verified' AS verified;
SELECT count(*) FROM effaced.effaced_secret;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO effaced.effaced_audit_events (event_type) VALUES ('erasure_completed');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT event_type, actor = session_user AS logged_in_as FROM effaced_audit_events ORDER BY seq;
CREATE VIEW state AS SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM person t) AS person,
	(SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM post t) AS post,
	(SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM likes t) AS likes,
	(SELECT count(*) FROM effaced_audit_events) AS events;
CREATE TABLE before AS TABLE state;

-- One privilege missing on one table: nothing happens, on the others either.
SET ROLE regress_dpo;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT, UPDATE, DELETE ON person, likes TO regress_dpo;
GRANT SELECT, UPDATE ON post TO regress_dpo;
SET ROLE regress_dpo;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT * FROM state EXCEPT TABLE before;
GRANT DELETE ON post TO regress_dpo;
REVOKE UPDATE ON person FROM regress_dpo;
SET ROLE regress_dpo;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT * FROM state EXCEPT TABLE before;
GRANT UPDATE ON person TO regress_dpo;
BEGIN;
SET LOCAL ROLE regress_dpo;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
-- Whoever deletes rows need not be allowed to change them.
BEGIN;
REVOKE UPDATE ON post, likes FROM regress_dpo;
SET LOCAL ROLE regress_dpo;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
-- No privilege on a table that only stands in the way.
CREATE TABLE report (id int, post_id int REFERENCES post);
SET ROLE regress_dpo;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP TABLE report;
-- Statements run as the caller also where a plan was made by somebody else.
SELECT count(*) FROM effaced_plan('2');
SET ROLE regress_anyone;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
REVOKE SELECT ON likes FROM regress_dpo;
BEGIN;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
SET ROLE regress_dpo;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON likes TO regress_dpo;
-- A schema that the caller may not use.
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SET ROLE regress_dpo;
SELECT public.effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT USAGE ON SCHEMA public TO PUBLIC;
SELECT * FROM state EXCEPT TABLE before;

-- Row-level security: whoever it applies to gets an error instead of an erasure
-- of the rows that can be seen, whatever row_security is set to.
ALTER TABLE post ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON post USING (id % 2 = 1);
SET ROLE regress_dpo;
SELECT count(*) FROM post;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
SET row_security = on;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify('2');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM effaced_plan('2');
SHOW row_security;
RESET row_security;
-- The owner is not subject to it, nor is who has BYPASSRLS, ...
RESET ROLE;
GRANT SELECT, UPDATE, DELETE ON person, post, likes TO regress_bypass;
BEGIN;
SET LOCAL ROLE regress_owner;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_bypass;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
-- ... unless it is forced on the owner.
ALTER TABLE post FORCE ROW LEVEL SECURITY;
SET ROLE regress_owner;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- On a table that only the blockers look at, too.
ALTER TABLE post DISABLE ROW LEVEL SECURITY;
CREATE TABLE report (id int, post_id int REFERENCES post);
GRANT SELECT ON report TO regress_dpo;
ALTER TABLE report ENABLE ROW LEVEL SECURITY;
SET ROLE regress_dpo;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP TABLE report;
SELECT * FROM state EXCEPT TABLE before;

-- A trigger may run with row-level security of its own, as outside.
CREATE FUNCTION count_visible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'row_security is %, % posts', current_setting('row_security'), (SELECT count(*) FROM post);
	RETURN NULL;
END
$$;
CREATE TRIGGER count_visible AFTER UPDATE ON person FOR EACH STATEMENT EXECUTE FUNCTION count_visible();
BEGIN;
SET LOCAL ROLE regress_dpo;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
DROP TRIGGER count_visible ON person;

-- SECURITY DEFINER lends the privileges of its owner.
CREATE FUNCTION erase_for_anyone(id text) RETURNS jsonb LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT effaced_erase(id) -> 'deleted'
$$;
ALTER FUNCTION erase_for_anyone OWNER TO regress_owner;
BEGIN;
SET LOCAL ROLE regress_anyone;
SELECT erase_for_anyone('2');
ROLLBACK;

-- Isolation: READ COMMITTED only.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT effaced_erase('2');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT effaced_erase_many('{2}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT effaced_verify('1') -> 'verified' AS verified;
SELECT count(*) FROM effaced_plan('2');
ROLLBACK;
BEGIN ISOLATION LEVEL READ UNCOMMITTED;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
ROLLBACK;
BEGIN READ ONLY;
SELECT effaced_erase('2') -> 'deleted' AS deleted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT * FROM state EXCEPT TABLE before;

DROP OWNED BY regress_owner, regress_dpo, regress_anyone, regress_bypass CASCADE;
DROP ROLE regress_owner, regress_dpo, regress_anyone, regress_bypass;
