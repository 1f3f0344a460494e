-- Large objects go with the values that point to them.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

CREATE FUNCTION objects() RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(m.oid || ' ' || convert_from(lo_get(m.oid), 'UTF8'), ', ' ORDER BY m.oid) FROM pg_largeobject_metadata m $$;
CREATE DOMAIN picture AS oid;
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE scan (id int PRIMARY KEY, person_id int REFERENCES person, content oid, thumb picture, made date NOT NULL);
CREATE INDEX ON scan (person_id);
CREATE TABLE badge (id int PRIMARY KEY, person_id int REFERENCES person, photo oid, room text);
CREATE INDEX ON badge (person_id);
CREATE TABLE poster (id int PRIMARY KEY, image oid);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE scan IS '{"path": "person_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN scan.content IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN scan.thumb IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE badge IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN badge.photo IS '{"category": "identity"}';
INSERT INTO person SELECT n, 'person ' || n FROM generate_series(1, 5) n;
SELECT lo_from_bytea(100000 + n, convert_to('scan ' || n, 'UTF8')) IS NULL FROM generate_series(1, 5) n;
SELECT lo_from_bytea(200000 + n, convert_to('thumb ' || n, 'UTF8')) IS NULL FROM generate_series(1, 5) n;
SELECT lo_from_bytea(300000 + n, convert_to('photo ' || n, 'UTF8')) IS NULL FROM generate_series(1, 5) n;
INSERT INTO scan SELECT n, n, 100000 + n, 200000 + n, '2020-01-01' FROM generate_series(1, 5) n;
INSERT INTO badge SELECT n, n, 300000 + n, 'room ' || n FROM generate_series(1, 5) n;
-- what is no pointer, or leads to nothing
INSERT INTO scan VALUES (11, 1, 999999, NULL, '2020-01-01'), (12, 1, 0, 0, '2020-01-01');

-- 1. Deleted with their rows, and where a row survives with the value that pointed to them.
SELECT effaced_erase(1) - 'enqueued' - 'skipped_resolvers' - 'retained' - 'shared';
SELECT objects();
SELECT photo, room FROM badge WHERE id = 1;
SELECT effaced_verify(1) -> 'verified';

-- 2. An object that another row points to stays, whatever table it is in, and is told.
INSERT INTO poster VALUES (1, 100002);
SELECT effaced_erase(2) -> 'large_objects_kept';
SELECT payload -> 'large_objects_kept' FROM effaced_audit_events WHERE event_type = 'erasure_local_completed' ORDER BY seq DESC LIMIT 1;
SELECT objects();

-- 3. One that two persons point to goes with the last one; one call may take both.
UPDATE badge SET photo = 300003 WHERE id = 4;
SELECT lo_unlink(300004);
BEGIN;
SELECT effaced_erase(3) -> 'large_objects_kept';
SELECT effaced_erase(4) -> 'large_objects_kept';
SELECT objects();
ROLLBACK;
SELECT effaced_erase_many('{3,4}') -> 'large_objects_kept';
SELECT objects();

-- 4. What the table's owner does not own stays, whoever erases.
CREATE ROLE regress_clerk;
GRANT ALL ON SCHEMA public TO regress_clerk;
SELECT count(*) > 0 FROM effaced_grant('regress_clerk', 'erase');
GRANT SELECT, UPDATE, DELETE ON person, scan, badge TO regress_clerk;
ALTER LARGE OBJECT 200005 OWNER TO regress_clerk;
SET ROLE regress_clerk;
SELECT effaced_erase(5) -> 'large_objects_kept';
RESET ROLE;
SELECT objects();

-- 5. A row whose oids cannot be read as its table's owner may point to any of them.
INSERT INTO person VALUES (6, 'person 6');
SELECT lo_from_bytea(100006, 'scan 6');
INSERT INTO scan VALUES (6, 6, 100006, NULL, '2020-01-01');
CREATE TABLE closed (o oid);
ALTER TABLE closed OWNER TO regress_clerk;
REVOKE ALL ON closed FROM regress_clerk;
BEGIN;
SELECT effaced_erase(6) -> 'large_objects_kept';
ROLLBACK;
DROP TABLE closed;
SELECT effaced_erase(6) -> 'large_objects_kept', lo_get(100006) FROM pg_largeobject_metadata WHERE oid = 100006;
SELECT objects();

-- 6. Retention enforced: with the rows, and with the values.
SECURITY LABEL FOR effaced ON COLUMN scan.content IS '{"category": "identity", "erasure": "retain",
    "retention": {"reason": "id check", "duration": "1 year", "anchor": "made", "on_expiry": "delete"}}';
CREATE TABLE visit (id int PRIMARY KEY, person_id int REFERENCES person, picture oid, made date NOT NULL, room text);
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN visit.picture IS '{"category": "identity", "erasure": "retain",
    "retention": {"reason": "security", "duration": "1 year", "anchor": "made", "on_expiry": "anonymize"}}';
INSERT INTO person VALUES (7, 'person 7');
SELECT lo_from_bytea(o, 'x') IS NULL FROM unnest('{100007,200007,400007,400008}'::oid[]) AS o;
INSERT INTO scan VALUES (7, 7, 100007, 200007, '2020-01-01');
INSERT INTO visit VALUES (1, 7, 400007, '2020-01-01', 'a'), (2, 7, 400008, '2020-01-01', 'b'), (3, 7, 400008, '2025-12-31', 'c');
CALL effaced_enforce_retention('2026-01-01');
SELECT count(*) FROM scan WHERE id = 7;
SELECT id, picture FROM visit ORDER BY id;
SELECT payload - 'columns' FROM effaced_audit_events WHERE event_type = 'retention_enforced' ORDER BY seq;
SELECT objects();

DROP OWNED BY regress_clerk;
DROP ROLE regress_clerk;
