-- effaced_erase_many() erases several subjects in one transaction, all or none.
CREATE EXTENSION effaced;

CREATE TABLE person (
	id     int PRIMARY KEY,
	name   text,
	boss   int REFERENCES person,
	since  date
);
CREATE TABLE message (
	id        int PRIMARY KEY,
	person_id int NOT NULL REFERENCES person,
	body      text,
	reply_to  int REFERENCES message
);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE message IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN message.body IS '{"category": "communication"}';

INSERT INTO person SELECT i, 'Person ' || i, nullif(i / 2, 0), '2020-01-01' FROM generate_series(1, 7) i;
INSERT INTO message SELECT i, 1 + i % 7, 'Message ' || i, nullif(i / 2, 0) FROM generate_series(1, 14) i;

-- The totals over all of them; identifiers count once, however they are written.
SELECT effaced_erase_many(ARRAY['3', '2', ' 003', '2', '99']);
SELECT * FROM person ORDER BY id;
SELECT * FROM message ORDER BY id;

-- Every subject has its own events.
SELECT subject_ref, event_type, payload FROM effaced_audit_events ORDER BY subject_ref, seq;

-- Nobody, and the same again.
SELECT effaced_erase_many('{}');
SELECT effaced_erase_many('{2,3}');
SELECT count(*) FROM effaced_audit_events;

-- All or none: one identifier that does not fit, or one that is NULL.
SELECT effaced_erase_many('{1,x}');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase_many('{1,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase_many(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase_many('{1}', '[{"kind": "stripe", "value": "cus_42"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM person;
SELECT count(*) FROM effaced_audit_events;

-- Some tables only.
SELECT effaced_erase_many(subject_ids => '{4,5}', subject => 'person', tables => '{message}');
SELECT subject_ref, event_type, payload FROM effaced_audit_events WHERE subject_ref IN ('4', '5') ORDER BY seq;

-- One subject in the way of another who is not erased with it: nobody goes.
CREATE TABLE contract (
	id         int PRIMARY KEY,
	person_id  int NOT NULL REFERENCES person,
	witness_id int NOT NULL REFERENCES person,
	terms      text
);
SECURITY LABEL FOR effaced ON TABLE contract IS '{"path": "contract_person_id_fkey"}';
SECURITY LABEL FOR effaced ON COLUMN contract.terms IS '{"category": "financial"}';
INSERT INTO contract VALUES (1, 4, 6, 'terms'), (2, 7, 5, 'terms');
SELECT effaced_erase_many('{4,5,6}');
\echo :LAST_ERROR_SQLSTATE
SELECT id FROM person ORDER BY id;
SELECT count(*) FROM effaced_audit_events;
-- Together with the one in the way they all go, whoever is listed first.
SELECT effaced_erase_many('{6,4,7,5}') -> 'deleted' AS deleted;
SELECT id FROM person ORDER BY id;

-- So do rows of one that reference those of the other in the same table.
CREATE TABLE thread (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, start int NOT NULL REFERENCES thread, body text);
SECURITY LABEL FOR effaced ON TABLE thread IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN thread.body IS '{"category": "communication"}';
INSERT INTO person VALUES (11, 'Ada'), (12, 'Ben'), (13, 'Cleo');
INSERT INTO thread VALUES (1, 11, 1, 'hello'), (2, 12, 1, 'hi'), (3, 11, 2, 'hi'), (4, 12, 4, 'bye'), (5, 13, 5, 'alone');
SELECT effaced_erase_many('{11,12}') -> 'deleted' AS deleted;
SELECT * FROM thread;

-- Composite identifiers are given in their canonical text.
CREATE TABLE member (club text, no int, name text, PRIMARY KEY (club, no));
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity"}';
INSERT INTO member VALUES ('a', 1, 'Ada'), ('a:1', 1, 'Ben'), ('b', 2, 'Cleo');
SELECT effaced_erase_many(ARRAY['a:01', effaced_subject_id('a:1', '1')], subject => 'member');
SELECT * FROM member;

-- Each subject's events are those of an erasure of its own, whatever the call runs at once: keys
-- whose type takes several texts for equal, two hops, retained columns, references inside a table, and to
-- the subject, that are taken out.
CREATE TABLE reader (id numeric PRIMARY KEY, name text);
CREATE TABLE loan (id int PRIMARY KEY, reader_id numeric NOT NULL REFERENCES reader, fee numeric, note text);
CREATE TABLE reminder (id int PRIMARY KEY, loan_id int NOT NULL REFERENCES loan, text text, after int REFERENCES reminder);
CREATE TABLE visit (id int PRIMARY KEY, reader_id numeric NOT NULL REFERENCES reader, door text);
CREATE TABLE wish (id int PRIMARY KEY, reader_id numeric REFERENCES reader, title text);
SECURITY LABEL FOR effaced ON TABLE reader IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE wish IS '{"path": "reader"}';
SECURITY LABEL FOR effaced ON COLUMN wish.reader_id IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN reader.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN loan.fee IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON COLUMN loan.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE reminder IS '{"path": "loan.reader", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN reminder.text IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON COLUMN visit.door IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "reader", "owned": true}';
INSERT INTO reader SELECT CASE n WHEN 2 THEN 2.00 ELSE n END, 'name ' || n FROM generate_series(1, 30) n;
INSERT INTO loan SELECT n, 1 + n % 30, n, 'note ' || n FROM generate_series(1, 100) n WHERE n % 30 <> 4;
INSERT INTO reminder SELECT n, l.id, 'pay' FROM generate_series(1, 200) n JOIN loan l ON l.id = 1 + n / 3;
UPDATE reminder r SET after = p.id FROM reminder p WHERE p.loan_id = r.loan_id AND p.id = r.id - 1;
INSERT INTO wish SELECT n, 1 + n % 25, 'title' FROM generate_series(1, 40) n;
INSERT INTO visit SELECT n, 1 + n % 20, 'door' FROM generate_series(1, 50) n;
CREATE FUNCTION events_of(erasures text[]) RETURNS TABLE (trail jsonb, left_over text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint := (SELECT max(seq) FROM effaced_audit_events);
	erasure text;
BEGIN
	BEGIN
		FOREACH erasure IN ARRAY erasures LOOP EXECUTE erasure; END LOOP;
		trail := (SELECT jsonb_agg(e ORDER BY e.subject_ref, e.seq) FROM (
			SELECT subject_ref, event_type, payload, row_number() OVER (PARTITION BY subject_ref ORDER BY seq) AS seq
			  FROM effaced_audit_events WHERE seq > before AND subject = 'reader') e);
		left_over := (SELECT md5(concat((SELECT string_agg(t::text, ',' ORDER BY id) FROM reader t), (SELECT string_agg(t::text, ',' ORDER BY id) FROM loan t),
			(SELECT string_agg(t::text, ',' ORDER BY id) FROM reminder t), (SELECT string_agg(t::text, ',' ORDER BY id) FROM visit t),
			(SELECT string_agg(t::text, ',' ORDER BY id) FROM wish t))));
		RAISE EXCEPTION 'taken back';
	EXCEPTION WHEN raise_exception THEN
	END;
	RETURN NEXT;
END $$;
SELECT effaced_erase('25', subject => 'reader') -> 'deleted' AS deleted;
SELECT many.trail = each.trail AS same_events, many.left_over = each.left_over AS same_rows, jsonb_array_length(many.trail) AS events
  FROM events_of(ARRAY[$$SELECT effaced_erase_many('{1,2,3.000,4,5,17,29,30,31}', subject => 'reader')$$]) many,
       events_of(ARRAY(SELECT format('SELECT effaced_erase(%L, subject => ''reader'')', id) FROM unnest('{1,2,3.000,4,5,17,29,30,31}'::text[]) id)) each;
SELECT effaced_erase_many('{1,2,3.000,4,5,17,29,30,31}', subject => 'reader') AS totals;

-- A reference that is generated goes with what it is generated from, and rows and events are told before.
SELECT effaced_remove_labels() > 0 AS removed;
CREATE TABLE patient (id int PRIMARY KEY, name text, ward text);
CREATE TABLE sample (id int PRIMARY KEY, code text, patient_id int GENERATED ALWAYS AS (split_part(code, '-', 1)::int) STORED REFERENCES patient, result text);
CREATE TABLE bed (id int PRIMARY KEY, code text, patient_id int GENERATED ALWAYS AS (split_part(code, '-', 1)::int) STORED REFERENCES patient, side text);
SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE sample IS '{"path": "patient_id", "release": true}';
SECURITY LABEL FOR effaced ON COLUMN sample.code IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN sample.result IS '{"category": "special", "erasure": "retain", "retention": {"reason": "medical records"}}';
SECURITY LABEL FOR effaced ON COLUMN bed.code IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''0-'' || id"}';
INSERT INTO patient SELECT n, 'name ' || n FROM generate_series(0, 4) n;
INSERT INTO sample (id, code, result) SELECT n, n || '-x', 'fine' FROM generate_series(1, 4) n;
INSERT INTO bed (id, code, side) SELECT n, n || '-x', 'left' FROM generate_series(1, 4) n;
SELECT e -> 'anonymized' AS anonymized, e -> 'retained' AS retained FROM effaced_erase('1') e;
SELECT e -> 'anonymized' AS anonymized, e -> 'retained' AS retained FROM effaced_erase_many('{2,3}') e;
SELECT * FROM sample ORDER BY id;
SELECT * FROM bed ORDER BY id;
