-- A clinic: what is written of a patient is the patient's. The doctors who wrote
-- it may read it, but it is never erased for them.
CREATE EXTENSION effaced;

CREATE TABLE patient (id int PRIMARY KEY, name text NOT NULL, born date);
CREATE TABLE doctor (id int PRIMARY KEY, name text NOT NULL, phone text);
CREATE TABLE visit (
	id         int PRIMARY KEY,
	patient_id int NOT NULL REFERENCES patient,
	doctor_id  int REFERENCES doctor,
	day        date NOT NULL,
	complaint  text,
	diagnosis  text,
	remark     text
);
CREATE TABLE prescription (id int PRIMARY KEY, visit_id int NOT NULL REFERENCES visit, drug text NOT NULL);
CREATE TABLE shift (id int PRIMARY KEY, doctor_id int NOT NULL REFERENCES doctor, ward text NOT NULL);

SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN patient.born IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE doctor IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN doctor.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN doctor.phone IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE visit IS
	'{"links": [{"name": "patient", "path": "patient"},
	            {"name": "doctor", "path": "doctor", "role": "accessor", "redact": ["complaint"]}], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN visit.complaint IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN visit.diagnosis IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON COLUMN visit.remark IS '{"category": "behavioral", "link": "doctor"}';
SECURITY LABEL FOR effaced ON TABLE prescription IS
	'{"links": [{"name": "patient", "path": "visit.patient"}, {"name": "doctor", "path": "visit.doctor", "role": "accessor"}]}';
SECURITY LABEL FOR effaced ON COLUMN prescription.drug IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON TABLE shift IS '{"path": "doctor"}';
SECURITY LABEL FOR effaced ON COLUMN shift.ward IS '{"category": "behavioral"}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE patient, doctor, visit, prescription, shift;
	INSERT INTO patient VALUES (1, 'Ada', '1980-01-01'), (2, 'Ben', '1990-02-02');
	INSERT INTO doctor VALUES (1, 'Dr Dora', '0123'), (2, 'Dr Dan', '0987');
	INSERT INTO visit VALUES
		(1, 1, 1, '2024-01-01', 'cough', 'cold', 'was late'), (2, 1, 2, '2024-02-01', 'cough', 'flu', NULL),
		(3, 2, 1, '2024-03-01', 'knee', 'rest', 'was kind'), (4, 2, NULL, '2024-04-01', 'knee', 'rest more', NULL);
	INSERT INTO prescription VALUES (1, 1, 'syrup'), (2, 2, 'tea'), (3, 3, 'ointment');
	INSERT INTO shift VALUES (1, 1, 'A'), (2, 2, 'B'), (3, 1, 'C');
$$;
CALL fill();

-- Two kinds of subjects: each call says which one it means.
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
SELECT ordinal, relation, link, role, fully_pii_owned, is_subject_table FROM effaced_subject_graph('patient');
SELECT ordinal, relation, link, role, fully_pii_owned, is_subject_table FROM effaced_subject_graph('doctor');
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1', 'patient');
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1', 'doctor');

-- A doctor is a subject too: the doctor's own rows go, what is the patients' stays
-- and names the doctor no more.
BEGIN;
SELECT effaced_verify(1, 'doctor');
SELECT effaced_erase(1, subject => 'doctor') - 'enqueued' - 'skipped_resolvers' AS result;
TABLE doctor;
TABLE shift;
SELECT * FROM visit ORDER BY id;
SELECT * FROM prescription ORDER BY id;
SELECT effaced_verify(1, 'doctor');
SELECT event_type, subject, payload FROM effaced_audit_events WHERE subject_ref = '1' AND event_type = 'erasure_step_succeeded' ORDER BY seq;
-- A patient's visits go, whoever may read them.
SELECT effaced_erase(1, subject => 'patient') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT * FROM visit ORDER BY id;
SELECT effaced_verify(1, 'patient') AS patient, effaced_verify(2, 'patient') -> 'residual' AS other;
ROLLBACK;

-- The other way round it is the same.
BEGIN;
SELECT effaced_erase(1, subject => 'patient') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT effaced_erase(1, subject => 'doctor') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT * FROM visit ORDER BY id;
SELECT effaced_verify(1, 'patient') -> 'verified' AS patient, effaced_verify(1, 'doctor') -> 'verified' AS doctor;
ROLLBACK;

-- The doctor's row survives: there is nothing to detach.
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN doctor.phone IS '{"category": "contact", "erasure": "anonymize"}';
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1', 'doctor');
SELECT effaced_erase(1, subject => 'doctor') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT * FROM visit ORDER BY id;
ROLLBACK;

-- A reference that must not be NULL: the doctor's row cannot go, as the plan says.
BEGIN;
DELETE FROM visit WHERE doctor_id IS NULL;
ALTER TABLE visit ALTER doctor_id SET NOT NULL;
SAVEPOINT s;
SELECT * FROM effaced_plan('1', 'doctor');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT effaced_erase(1, subject => 'doctor');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- It does not concern the patients.
SELECT effaced_erase(1, subject => 'patient') -> 'deleted' AS deleted;
-- Nor does it where the key's own action detaches.
ALTER TABLE visit ALTER doctor_id SET DEFAULT 2, DROP CONSTRAINT visit_doctor_id_fkey, ADD FOREIGN KEY (doctor_id) REFERENCES doctor ON DELETE SET DEFAULT;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1', 'doctor');
SELECT effaced_erase(1, subject => 'doctor') -> 'deleted' AS deleted;
SELECT * FROM visit ORDER BY id;
ROLLBACK;
-- So it is where the reference is to be kept.
BEGIN;
ALTER TABLE visit ADD signed date;
SECURITY LABEL FOR effaced ON COLUMN visit.doctor_id IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "medical liability", "anchor": "day"}}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE prescription IS NULL;
SECURITY LABEL FOR effaced ON COLUMN prescription.drug IS NULL;
SAVEPOINT s;
SELECT * FROM effaced_plan('1', 'doctor');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1', 'patient');
ROLLBACK;

--
-- Who is the patient and the doctor of one visit is its owner: owner beats
-- accessor. Here both are persons.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE consultation (id int PRIMARY KEY, patient_id int REFERENCES person, doctor_id int REFERENCES person, notes text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE consultation IS
	'{"links": [{"name": "patient", "path": "patient"}, {"name": "doctor", "path": "doctor", "role": "accessor", "redact": ["notes"]}]}';
SECURITY LABEL FOR effaced ON COLUMN consultation.notes IS '{"category": "special"}';
INSERT INTO person VALUES (1, 'Dora'), (2, 'Ada');
INSERT INTO consultation VALUES (1, 2, 1, 'cough'), (2, 1, 1, 'self-treated'), (3, 1, NULL, 'knee'), (4, NULL, 1, 'nobody''s');
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1', 'person');
SELECT effaced_erase(1, subject => 'person') - 'enqueued' - 'skipped_resolvers' AS result;
TABLE consultation;
ROLLBACK;

-- A row that only accessors have is erased for nobody.
BEGIN;
SECURITY LABEL FOR effaced ON TABLE visit IS
	'{"links": [{"name": "patient", "path": "patient", "role": "accessor"}, {"name": "doctor", "path": "doctor", "role": "accessor"}]}';
SECURITY LABEL FOR effaced ON TABLE prescription IS NULL;
SECURITY LABEL FOR effaced ON COLUMN prescription.drug IS NULL;
ALTER TABLE visit ALTER patient_id DROP NOT NULL;
SELECT step, relation, strategy, columns FROM effaced_plan('1', 'patient');
SELECT effaced_erase(1, subject => 'patient', tables => '{visit}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- What the label cannot say.
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "patient", "role": "reader"}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "patient", "redact": ["symptom"]}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON COLUMN visit.remark IS '{"category": "behavioral", "link": "nurse"}';
SELECT effaced_plan('1', 'patient');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase(1, subject => 'visit');
\echo :LAST_ERROR_SQLSTATE
