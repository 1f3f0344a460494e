-- Exports and corrections run with the caller's privileges on the tables. What is
-- missing, and rows that row-level security would hide, make the call fail: never is
-- an export given without them, or a correction of the rest.
CREATE EXTENSION effaced;
CREATE ROLE regress_owner;
SELECT effaced_admit_labels('regress_owner');
CREATE ROLE regress_dpo;
CREATE ROLE regress_anyone;
CREATE ROLE regress_bypass BYPASSRLS;
GRANT CREATE ON SCHEMA public TO regress_owner;

-- Nobody runs anything before it is granted.
SET ROLE regress_anyone;
SELECT effaced_export('1');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_export_records('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_rectify('1', '[]');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_owner, regress_dpo, regress_bypass;

SET ROLE regress_owner;
CREATE TABLE person (id int PRIMARY KEY, mail text, joined date);
CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, mail text, body text);
CREATE TABLE likes (id int PRIMARY KEY, post_id int REFERENCES post, mail text, emoji text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.mail IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN post.mail IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE likes IS '{"path": "post.person"}';
SECURITY LABEL FOR effaced ON COLUMN likes.mail IS '{"category": "contact"}';
INSERT INTO person VALUES (1, 'ada', NULL), (2, 'ben', NULL);
INSERT INTO post SELECT i, 1 + i % 2, CASE i % 2 WHEN 0 THEN 'ada' ELSE 'ben' END, 'post ' || i FROM generate_series(1, 6) i;
INSERT INTO likes SELECT i, i, CASE i % 2 WHEN 0 THEN 'ada' ELSE 'ben' END, 'heart' FROM generate_series(1, 6) i;

-- The owner of the tables may; the trail is written all the same.
SELECT jsonb_array_length(effaced_export('1') -> 'records') AS records, (SELECT count(*) FROM effaced_export_records('1')) AS rows;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "ada"}]') -> 'rectified' AS rectified;
SELECT count(*) FROM effaced_audit_events;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT event_type, count(*) FROM effaced_audit_events GROUP BY 1 ORDER BY 1;
CREATE VIEW state AS SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM person t) AS person,
	(SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM post t) AS post,
	(SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM likes t) AS likes,
	(SELECT count(*) FROM effaced_audit_events) AS events;
CREATE TABLE before AS TABLE state;
-- what a role gets: the number of records, or the error
CREATE FUNCTION attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text; t text;
BEGIN
	EXECUTE CASE call
		WHEN 'export' THEN $q$SELECT jsonb_array_length(e -> 'records') || ' records, incomplete ' || (e -> 'incomplete_sources')::text FROM effaced_export('1') e$q$
		WHEN 'records' THEN $q$SELECT count(*) || ' records' FROM effaced_export_records('1')$q$
		ELSE $q$SELECT 'rectified ' || (effaced_rectify('1', '[{"category": "contact", "value": "new"}]') -> 'rectified')::text$q$ END INTO answer;
	-- whatever it did is taken back
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = answer;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS t = TABLE_NAME;
	RETURN CASE SQLSTATE WHEN 'ZZ000' THEN SQLERRM ELSE concat_ws(' ', SQLSTATE, t, CASE WHEN SQLERRM ~ 'ada|ben|new' THEN 'WITH VALUE' END) END;
END $$;
CREATE VIEW attempts AS SELECT c AS call, attempt(c) FROM unnest(ARRAY['export', 'records', 'rectify']) c;
GRANT SELECT ON attempts TO PUBLIC;
ALTER VIEW attempts SET (security_invoker = true);

-- Nothing granted; then reading, then writing of some; of columns only; then of all.
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
GRANT SELECT ON person, post, likes TO regress_dpo;
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
GRANT UPDATE ON person, post TO regress_dpo;
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
GRANT UPDATE (emoji) ON likes TO regress_dpo;
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
GRANT UPDATE (mail) ON likes TO regress_dpo;
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
-- One table that may not be read: it is no source that happens to be away.
REVOKE SELECT ON likes FROM regress_dpo;
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
GRANT SELECT (id, post_id) ON likes TO regress_dpo;
SET ROLE regress_dpo;
TABLE attempts;
RESET ROLE;
GRANT SELECT ON likes TO regress_dpo;
SELECT * FROM state EXCEPT TABLE before;

-- Statements run as the caller also where a plan was made by somebody else.
BEGIN;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "new"}]') -> 'rectified' AS rectified;
ROLLBACK;
SET ROLE regress_anyone;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "new"}]');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

-- Row-level security: whoever it applies to gets an error, whatever row_security is set to.
ALTER TABLE post ENABLE ROW LEVEL SECURITY;
CREATE POLICY late ON post USING (id > 2);
SET ROLE regress_dpo;
SELECT count(*) FROM post;
TABLE attempts;
SET row_security = on;
TABLE attempts;
RESET row_security;
RESET ROLE;
GRANT SELECT, UPDATE ON person, post, likes TO regress_bypass;
SET ROLE regress_bypass;
TABLE attempts;
SET ROLE regress_owner;
TABLE attempts;
RESET ROLE;
ALTER TABLE post FORCE ROW LEVEL SECURITY;
SET ROLE regress_owner;
TABLE attempts;
RESET ROLE;
ALTER TABLE post DISABLE ROW LEVEL SECURITY;
SELECT * FROM state EXCEPT TABLE before;

-- The columns that an export reads are those that it needs, whatever a surrogate spells.
BEGIN;
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, mail text, secret text);
SECURITY LABEL FOR effaced ON TABLE note IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN note.mail IS '{"category": "contact", "surrogate": "''was t.secret''"}';
INSERT INTO person VALUES (9, 'eve', NULL);
INSERT INTO note VALUES (1, 9, 'eve', 'hidden');
GRANT SELECT (id, person_id, mail) ON note TO regress_dpo;
SELECT effaced_erase('9') -> 'anonymized' AS anonymized;
UPDATE person SET mail = 'eve is back' WHERE id = 9;
INSERT INTO note VALUES (2, 9, 'eve is back', 'hidden');
SET LOCAL ROLE regress_dpo;
SELECT source, row_key, field, value FROM effaced_export_records('9') ORDER BY source;
ROLLBACK;

-- Read-only transactions and other isolation levels.
BEGIN READ ONLY;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "new"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT effaced_rectify('1', '[{"category": "contact", "value": "new"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT jsonb_array_length(effaced_export('1') -> 'records') AS records, (SELECT count(*) FROM effaced_export_records('1')) AS rows;
ROLLBACK;
SELECT * FROM state EXCEPT TABLE before;

DROP OWNED BY regress_owner, regress_dpo, regress_anyone, regress_bypass CASCADE;
DROP ROLE regress_owner, regress_dpo, regress_anyone, regress_bypass;
