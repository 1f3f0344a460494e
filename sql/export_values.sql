-- What an export says of single values: types, what cannot be said, and what
-- somebody with access must not see.
SET client_min_messages = warning;
CREATE EXTENSION effaced;

-- json that jsonb cannot hold costs its source, which is named, and is not quoted.
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, doc json, docs json[]);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN note.doc IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN note.docs IS '{"category": "special"}';
INSERT INTO person SELECT n, 'Name ' || n FROM generate_series(1, 4) n;
INSERT INTO note VALUES (1, 1, '{"note": "SECRET \u0000 end"}', NULL), (2, 2, '{"x": 1e140000}', NULL), (3, 3, NULL, '{"{\"SECRET\": \"\\u0000\"}"}'),
	(4, 4, '{"b": 1, "a": 2, "b": 3}', '{"{\"a\": [1, null]}", null}');
SELECT e ->> 'subject_id' AS subject, e -> 'incomplete_sources' AS incomplete, jsonb_path_query_array(e, '$.records[*].value') AS values
  FROM generate_series(1, 4) n, effaced_export(n) e;
\set SHOW_CONTEXT always
SELECT count(*) FROM effaced_export_records(1);
\echo :LAST_ERROR_SQLSTATE
SELECT source, field, value FROM effaced_export_records(4);

-- bytea is base64, in an array too, and can be given back so.
CREATE TABLE blobs (id int PRIMARY KEY, person_id int REFERENCES person, one bytea, many bytea[]);
SECURITY LABEL FOR effaced ON COLUMN blobs.one IS '{"category": "technical", "fact": "one"}';
SECURITY LABEL FOR effaced ON COLUMN blobs.many IS '{"category": "technical", "fact": "many"}';
INSERT INTO blobs VALUES (1, 4, '\x00ff10', '{"\\x00ff", null, "\\x"}'), (2, 4, NULL, '{}'), (3, 4, '', NULL), (4, 4, NULL, '{{"\\x01"}, {"\\x02"}}');
SELECT row_key ->> 'id' AS id, field, value FROM effaced_export_records(4) WHERE source = 'blobs';
DELETE FROM blobs WHERE id > 2;
SELECT effaced_rectify(4, jsonb_agg(jsonb_build_object('category', 'technical', 'fact', field, 'value', value))) -> 'rectified' AS rectified
  FROM effaced_export_records(4) WHERE source = 'blobs' AND row_key = '{"id": 1}';
TABLE blobs;
SELECT effaced_rectify(4, '[{"category": "technical", "fact": "one", "value": "\\x0102"}, {"category": "technical", "fact": "many", "value": ["\\x03", "BA=="]}]') -> 'rectified' AS rectified;
TABLE blobs;
SELECT effaced_rectify(4, '[{"category": "technical", "fact": "one", "value": "AP8"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_rectify(4, '[{"category": "technical", "fact": "many", "value": ["not base64!"]}]');
\echo :LAST_ERROR_SQLSTATE

-- A term that ends beyond the calendar of timestamps has no end.
CREATE TABLE contract (id int PRIMARY KEY, person_id int REFERENCES person, note text, signed date, ended timestamp, mail text);
SECURITY LABEL FOR effaced ON COLUMN contract.note IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "law", "duration": "P10Y", "anchor": "signed"}}';
SECURITY LABEL FOR effaced ON COLUMN contract.mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "law", "duration": "178000000 years", "anchor": "ended"}}';
INSERT INTO contract VALUES (1, 3, 'a', '5874897-01-01', 'infinity', 'm'), (2, 3, 'b', 'infinity', '2020-01-01', 'm'), (3, 3, 'c', '294270-01-01', NULL, NULL),
	(4, 3, 'd', '294260-01-01', NULL, NULL), (5, 3, 'e', '4713-01-01 BC', '4713-01-01 BC', NULL), (6, 3, 'f', '2024-02-29', '294276-12-31', 'm');
DELETE FROM note;
SELECT row_key ->> 'id' AS id, field, expires_at FROM effaced_export_records(3) WHERE source = 'contract';

-- What is redacted for those who may access a row, and what is tied to another owner, is not shown as its key.
CREATE TABLE patient (ssn text PRIMARY KEY, name text);
CREATE TABLE visit (ssn text REFERENCES patient, n int, doctor int REFERENCES person, nurse int REFERENCES person, diagnosis text, PRIMARY KEY (ssn, n));
SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"links": [{"name": "patient", "path": "ssn"}, {"name": "doctor", "path": "doctor", "role": "accessor", "redact": ["ssn"]},
	{"name": "nurse", "path": "nurse", "role": "accessor"}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.diagnosis IS '{"category": "special"}';
INSERT INTO patient VALUES ('SSN', 'P');
INSERT INTO visit VALUES ('SSN', 1, 1, NULL, 'flu'), ('SSN', 2, 2, 1, 'cold');
SELECT row_key, field, value FROM effaced_export_records(1, 'person') WHERE source = 'visit';
SELECT effaced_export(2, subject => 'person') -> 'records' @> '[{"source": "visit", "row_key": {"n": 2}}]' AS redacted;
SELECT row_key, field, value FROM effaced_export_records('SSN'::text, 'patient') WHERE source = 'visit';
CREATE TABLE message (sender_mail text, no int, sender int REFERENCES person, receiver int REFERENCES person, body text, PRIMARY KEY (sender_mail, no));
SECURITY LABEL FOR effaced ON TABLE message IS '{"links": [{"name": "s", "path": "sender"}, {"name": "r", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_mail IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "key"}, "link": "s"}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication", "erasure": "anonymize"}';
INSERT INTO message VALUES ('one@x', 1, 1, 2, 'hello');
SELECT row_key, field, value FROM effaced_export_records(1, 'person') WHERE source = 'message';
SELECT row_key, field, value FROM effaced_export_records(2, 'person') WHERE source = 'message';

-- Privileges on what is read suffice.
CREATE ROLE export_values_clerk;
CREATE TABLE profile (id int PRIMARY KEY, person_id int REFERENCES person, "a b" text, kind text, secret text, since date);
SECURITY LABEL FOR effaced ON TABLE profile IS '{"path": "person_id", "where": "kind = ''p''"}';
SECURITY LABEL FOR effaced ON COLUMN profile."a b" IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "law", "duration": "P1Y", "anchor": "since"}}';
INSERT INTO profile VALUES (1, 1, 'x', 'p', 'secret', '2020-01-01'), (2, 1, 'y', 'q', 'secret', '2020-01-01');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO export_values_clerk;
GRANT SELECT ON person, note, blobs, contract, visit, message TO export_values_clerk;
GRANT SELECT (id, person_id, "a b", kind, since) ON profile TO export_values_clerk;
SET ROLE export_values_clerk;
SELECT row_key, field, value, expires_at FROM effaced_export_records(1, 'person') WHERE source = 'profile';
SELECT effaced_export(1, subject => 'person') -> 'records' @> '[{"source": "profile"}]' AS exported;
RESET ROLE;
REVOKE SELECT (since) ON profile FROM export_values_clerk;
SET ROLE export_values_clerk;
SELECT effaced_export(1, subject => 'person');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- An expression may read the whole row.
CREATE TABLE nickname (id int PRIMARY KEY, person_id int REFERENCES person, nick text, kept int, reader int REFERENCES person);
SECURITY LABEL FOR effaced ON TABLE nickname IS '{"links": [{"name": "owner", "path": "person_id", "where": "num_nulls(nickname.*) = 0 AND nickname.*::text LIKE ''%,7,%''"},
	{"name": "reader", "path": "reader", "role": "accessor", "redact": ["nick"]}]}';
SECURITY LABEL FOR effaced ON COLUMN nickname.nick IS '{"category": "identity"}';
INSERT INTO nickname VALUES (1, 1, 'n', 7, 1), (2, 1, 'm', 8, 1);
SELECT row_key, value FROM effaced_export_records(1, 'person') WHERE source = 'nickname';
DROP OWNED BY export_values_clerk;
DROP ROLE export_values_clerk;
