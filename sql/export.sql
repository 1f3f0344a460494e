-- Export: everything a subject owns or may access, one record per value.
SET client_min_messages = warning;
CREATE EXTENSION effaced;

-- A clinic: patients own their visits, doctors may read them, without what is
-- redacted; both are subjects.
CREATE TABLE patient (id int PRIMARY KEY, name text NOT NULL, born date, photo bytea, scores int[], extra jsonb, since timestamptz);
CREATE TABLE doctor (id int PRIMARY KEY, name text NOT NULL, phone text);
CREATE TABLE visit (
	no         int,
	year       int,
	patient_id int NOT NULL REFERENCES patient,
	doctor_id  int REFERENCES doctor,
	on_day     date NOT NULL,
	diagnosis  text,
	doctor_was text,
	fee        numeric(8,2),
	paid       boolean,
	PRIMARY KEY (year, no)
);
SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity", "legal_basis": "contract", "purpose": "treatment", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN patient.born IS '{"category": "identity", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN patient.photo IS '{"category": "special", "legal_basis": "consent"}';
SECURITY LABEL FOR effaced ON COLUMN patient.scores IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN patient.extra IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN patient.since IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON TABLE doctor IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN doctor.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE visit IS
	'{"links": [{"name": "patient", "path": "patient_id"},
	            {"name": "doctor", "path": "doctor_id", "role": "accessor", "redact": ["fee", "paid"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.diagnosis IS '{"category": "special", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN visit.fee IS
	'{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "duration": "P7Y", "anchor": "on_day"}}';
SECURITY LABEL FOR effaced ON COLUMN visit.paid IS
	'{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
INSERT INTO patient VALUES
	(1, 'Ada', '1980-01-11', '\x00ff10', '{1,2}', '{"a": [1, null]}', '2020-02-29 23:30:00-05'),
	(2, '<b>Ben</b>', NULL, NULL, NULL, NULL, NULL);
INSERT INTO doctor VALUES (7, 'Dr. Who', '1'), (8, 'Dr. No', '2');
INSERT INTO visit VALUES (1, 2024, 1, 7, '2024-02-29', 'cold', 'W', 80.50, true), (2, 2024, 2, 7, '2024-03-01', 'cough', 'W', 90, false),
	(1, 2025, 1, NULL, '2025-01-01', NULL, NULL, NULL, NULL);

-- A patient: her own row, and her visits whole. NULLs are left out, types are kept.
SELECT * FROM effaced_export_records('1', 'patient');
-- A doctor: his own row, and both visits without fee and paid.
SELECT source, row_key, field, value FROM effaced_export_records('7', 'doctor');
SELECT count(*) FROM effaced_export_records('8', 'doctor') WHERE source = 'visit';

-- The same as one document; portability keeps what rests on consent or contract.
SELECT jsonb_pretty(effaced_export('1', subject => 'patient', scope => 'portability') - 'generated_at');
SELECT jsonb_array_length(effaced_export(1, subject => 'patient') -> 'records') AS records,
       (effaced_export(1, subject => 'patient') ->> 'generated_at')::timestamptz BETWEEN now() - interval '1 minute' AND clock_timestamp() AS stamped;
SELECT effaced_export('99', subject => 'patient') - 'generated_at' AS unknown;
SELECT event_type, subject, subject_ref, payload FROM effaced_audit_events ORDER BY seq;

-- Terms end by the calendar, in UTC, whatever the session says; values are the same.
CREATE TABLE first AS SELECT * FROM effaced_export_records('1', 'patient');
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET extra_float_digits = -3;
SELECT count(*) AS differing FROM (SELECT * FROM effaced_export_records('1', 'patient') EXCEPT TABLE first) d;
RESET ALL;
SET client_min_messages = warning;

-- Rows are streamed: the function is inlined, and no node of the plan keeps them.
EXPLAIN (COSTS OFF) SELECT * FROM effaced_export_records('1', 'patient');
EXPLAIN (COSTS OFF) SELECT value FROM effaced_export_records('1', 'patient') WHERE field = 'name';

-- What an erasure has replaced is nobody's data any more; what is kept is exported.
SELECT effaced_erase('1', subject => 'patient') -> 'anonymized' AS anonymized;
SELECT source, field, value, retention_reason, expires_at FROM effaced_export_records('1', 'patient');
-- Who comes back is exported again.
UPDATE patient SET name = 'Ada again' WHERE id = 1;
SELECT source, field, value FROM effaced_export_records('1', 'patient') WHERE category = 'identity';

-- An owner who is an accessor too sees the row whole; a value tied to another's link is that other's.
CREATE TABLE account (id int PRIMARY KEY, name text);
CREATE TABLE message (id int PRIMARY KEY, sender int REFERENCES account, receiver int REFERENCES account, reader int REFERENCES account,
                      sender_mail text, receiver_mail text, body text);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE message IS
	'{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"},
	            {"name": "reader", "path": "reader", "role": "accessor", "redact": ["body"]}]}';
SECURITY LABEL FOR effaced ON COLUMN message.sender_mail IS '{"category": "contact", "link": "sender"}';
SECURITY LABEL FOR effaced ON COLUMN message.receiver_mail IS '{"category": "contact", "link": "receiver"}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';
INSERT INTO account VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO message VALUES (1, 1, 2, 1, 'one@x', 'two@x', 'hello'), (2, 2, NULL, 3, 'two@x', 'nobody@x', 'draft'), (3, 1, 1, NULL, 'one@x', 'uno@x', 'note to self');
SELECT row_key ->> 'id' AS message, field, value FROM effaced_export_records(1, 'account');
SELECT row_key ->> 'id' AS message, field, value FROM effaced_export_records(2, 'account');
SELECT row_key ->> 'id' AS message, field, value FROM effaced_export_records(3, 'account');

-- What is left for another owner is not the erased one's any more, whatever the row still says; used anew it is again.
CREATE TABLE letter (id int PRIMARY KEY, sender int NOT NULL REFERENCES account, receiver int REFERENCES account, body text);
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": [{"name": "sender", "path": "sender"}, {"name": "receiver", "path": "receiver"}]}';
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity", "erasure": "anonymize"}';
BEGIN;
INSERT INTO letter VALUES (1, 2, 3, 'dear c');
SELECT effaced_erase('2', subject => 'account') -> 'shared' -> 'letter' AS shared;
SELECT field, value FROM effaced_export_records(2, 'account') WHERE source = 'letter';
SELECT field, value FROM effaced_export_records(3, 'account') WHERE source = 'letter';
UPDATE account SET name = 'b again' WHERE id = 2;
SELECT field, value FROM effaced_export_records(2, 'account') WHERE source = 'letter';
ROLLBACK;

-- A type of a user's is exported as text: its casts are not called.
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE sql AS $$ SELECT '"cast was called"'::json $$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE FUNCTION mood_text(mood) RETURNS text LANGUAGE sql AS $$ SELECT 'cast was called' $$;
CREATE CAST (mood AS text) WITH FUNCTION mood_text(mood);
CREATE TABLE diary (id int PRIMARY KEY, account_id int REFERENCES account, feels mood, felt mood[]);
SECURITY LABEL FOR effaced ON TABLE diary IS '{"path": "account", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN diary.feels IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN diary.felt IS '{"category": "special"}';
INSERT INTO diary VALUES (1, 3, 'good', '{{bad,good},{good,NULL}}'), (2, 3, NULL, NULL);
SELECT field, value FROM effaced_export_records(3, 'account') WHERE source = 'diary';

-- A source that cannot be read is named, and the others are given all the same;
-- rows are given until there, and then it is an error.
CREATE EXTENSION file_fdw;
CREATE SERVER archive FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE archived (account_id int, note text) SERVER archive OPTIONS (filename '/nowhere/archived.csv', format 'csv');
SECURITY LABEL FOR effaced ON FOREIGN TABLE archived IS '{"hops": [{"source_columns": ["account_id"], "target_table": "account", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN archived.note IS '{"category": "communication"}';
SELECT b -> 'incomplete_sources' AS incomplete, jsonb_array_length(b -> 'records') AS records
  FROM (SELECT effaced_export(3, subject => 'account') AS b) s;
SELECT payload FROM effaced_audit_events ORDER BY seq DESC LIMIT 1;
SELECT count(*) FROM effaced_export_records(3, 'account');
\echo :LAST_ERROR_SQLSTATE
-- Missing privileges are the caller's to mend: the call fails.
CREATE ROLE export_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO export_reader;
GRANT SELECT ON account, message TO export_reader;
SET ROLE export_reader;
SELECT effaced_export(3, subject => 'account');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP OWNED BY export_reader;
DROP ROLE export_reader;
DROP FOREIGN TABLE archived;

-- Bad input
SELECT effaced_export('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_export('1', subject => 'account', scope => 'all');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_export('1', '[{"kind": "stripe", "value": "x"}]', 'account');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_export(NULL::text, subject => 'account');
\echo :LAST_ERROR_SQLSTATE
