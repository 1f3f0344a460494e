-- Links: what the graph shows of them, how they are drawn, what the plan says of
-- each, and what is wrong with one that cannot be followed.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text, address_id int, best_friend_id int REFERENCES person);
CREATE TABLE address (id int PRIMARY KEY, street text);
ALTER TABLE person ADD CONSTRAINT home FOREIGN KEY (address_id) REFERENCES address;
CREATE TABLE letter (id int PRIMARY KEY, sender_id int REFERENCES person, receiver_id int REFERENCES person, clerk int REFERENCES person, stamp text, body text, weight int);
CREATE TABLE page (letter_id int REFERENCES letter, number int, text text, PRIMARY KEY (letter_id, number));
CREATE TABLE album (id int PRIMARY KEY, title text);
CREATE TABLE album_owner (album_id int REFERENCES album, person_id int REFERENCES person, PRIMARY KEY (album_id, person_id));

SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "person(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE letter IS
	'{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver", "shared": "erase"},
	            {"name": "clerk", "path": "clerk", "role": "accessor", "redact": ["body"]}], "set": {"weight": "NULL"}}';
SECURITY LABEL FOR effaced ON COLUMN letter.stamp IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "postage"}}';
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication", "link": "sender", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE page IS
	'{"links": [{"name": "sender", "path": "letter.sender"}, {"name": "receiver", "path": "letter.receiver"}, {"name": "clerk", "path": "letter.clerk", "role": "accessor"}]}';
SECURITY LABEL FOR effaced ON COLUMN page.text IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE album IS '{"path": "album_owner(album_id).person"}';
SECURITY LABEL FOR effaced ON COLUMN album.title IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE album_owner IS '{"path": "person", "owned": true}';

-- One row per link, in deletion order: what is reached against a reference comes
-- after the subject.
SELECT ordinal, relation, link, role, fully_pii_owned AS owned, is_subject_table AS subject FROM effaced_subject_graph();
SELECT relation, link, h ->> 'source_table' AS source, h -> 'source_columns' AS columns, h ->> 'target_table' AS target, h -> 'target_columns' AS target_columns
  FROM effaced_subject_graph() WITH ORDINALITY g, jsonb_array_elements(hops) WITH ORDINALITY h (h, n) ORDER BY g.ordinality, h.n;
SELECT relation, link, role FROM effaced_table_access('letter');
-- Owner links solid, accessor links dashed, what runs against a reference with an
-- empty arrow head.
\pset format unaligned
\pset tuples_only on
SELECT effaced_graph_dot();
\pset tuples_only off
\pset format aligned
-- Each step says which links it serves, and why the row goes or stays.
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1');
-- A plan is the same every time, for everybody, whatever the tables hold.
CREATE TABLE plan AS SELECT * FROM effaced_plan('1');
INSERT INTO person VALUES (2, 'Ben'), (3, 'Cleo');
INSERT INTO letter VALUES (1, 2, 3, NULL, '1.00', 'Ben to Cleo', 5), (2, 3, 2, 2, '1.00', 'Cleo to Ben', 6), (3, 2, 2, 3, '1.00', 'Ben to himself', 7);
SELECT count(*) AS different FROM (SELECT p::text FROM effaced_plan('2') p EXCEPT SELECT p::text FROM plan p) d;
-- An accessor's row is not the accessor's to erase: letter 3 stays as it is.
SELECT effaced_erase(3) - 'enqueued' - 'skipped_resolvers' AS result;
SELECT id, sender_id, receiver_id, clerk, regexp_replace(body, '^anon-[0-9a-f]+$', 'anon-<token>') AS body, weight FROM letter ORDER BY id;

--
-- The ways to name a hop: a constraint, a column, a column without _id, a table;
-- child(column) against a reference.
--
BEGIN;
SECURITY LABEL FOR effaced ON TABLE letter IS '{"path": "letter_sender_id_fkey"}';
SECURITY LABEL FOR effaced ON COLUMN letter.body IS NULL;
SECURITY LABEL FOR effaced ON TABLE page IS '{"path": "letter_id.sender_id"}';
SECURITY LABEL FOR effaced ON TABLE album IS '{"path": " album_owner ( album_id ) . person_id"}';
SELECT relation, link, jsonb_path_query_array(hops, '$[*].target_table') AS through FROM effaced_subject_graph() WHERE relation IN ('letter'::regclass, 'page'::regclass, 'album'::regclass);
SECURITY LABEL FOR effaced ON TABLE album_owner IS NULL;
SECURITY LABEL FOR effaced ON TABLE album IS
	'{"hops": [{"source_columns": ["id"], "target_table": "album_owner", "target_columns": ["album_id"]}, {"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]}';
-- a hop whose target columns are no key leads against a reference, too
SELECT ordinal, relation, link, jsonb_path_query_array(hops, '$[*].target_table') AS through FROM effaced_subject_graph() WHERE relation = 'album'::regclass;
ROLLBACK;

--
-- What cannot be followed is an error of the call, with what would fit.
--
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication", "erasure": "anonymize"}';
SAVEPOINT s;
-- nothing, or several things
SECURITY LABEL FOR effaced ON TABLE letter IS '{"path": "writer"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON TABLE letter IS '{"path": "person"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- against a reference that is not there
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "person(best_friend_id)"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "letter(address_id)"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- ends before a subject
SECURITY LABEL FOR effaced ON TABLE page IS '{"path": "letter"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- several chains, and no label that chooses
SECURITY LABEL FOR effaced ON TABLE letter IS NULL;
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- a column tied to a link that the table does not have
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication", "link": "carrier"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- a path that is none
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "person(address_id"}';
SELECT effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- tables that are in no graph
SELECT effaced_table_access('plan');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
ROLLBACK;
-- And some things no label may say.
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": [{"path": "sender"}]}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": [{"name": "a", "path": "sender"}, {"name": "a", "path": "receiver"}]}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": []}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": [{"name": "a", "path": "sender", "shared": "maybe"}]}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE letter IS '{"path": "sender", "links": [{"name": "a", "path": "receiver"}]}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": [{"name": "a", "path": "sender", "owned": true}]}';
\echo :LAST_ERROR_SQLSTATE
