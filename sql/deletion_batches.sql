-- Deletion at scale, from the first contract to the last record: an insurer
-- forgets employees whose data nobody needs any more.
CREATE EXTENSION effaced;
\set SHOW_CONTEXT never

CREATE TABLE employee (id int PRIMARY KEY, name text, email text, left_on date);
CREATE TABLE enrollment (id int PRIMARY KEY, employee_id int NOT NULL REFERENCES employee, tariff text, ended_on date);
CREATE TABLE exemption (id int PRIMARY KEY, enrollment_id int NOT NULL REFERENCES enrollment, justification text, kept_until date);
CREATE TABLE signed_document (id int PRIMARY KEY, exemption_id int NOT NULL REFERENCES exemption, scan bytea);
CREATE TABLE booking (id int PRIMARY KEY, employee_id int NOT NULL REFERENCES employee, note text);
CREATE SCHEMA chat;
CREATE TABLE chat.conversation (id int PRIMARY KEY, employee_id int NOT NULL REFERENCES employee, topic text);
CREATE TABLE chat.message (id int PRIMARY KEY, conversation_id int NOT NULL REFERENCES chat.conversation, body text);

SECURITY LABEL FOR effaced ON TABLE employee IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN employee.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN employee.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE enrollment IS '{"path": "employee", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN enrollment.tariff IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE exemption IS '{"path": "enrollment.employee", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN exemption.justification IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON TABLE signed_document IS '{"path": "exemption.enrollment.employee"}';
SECURITY LABEL FOR effaced ON COLUMN signed_document.scan IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE booking IS '{"path": "employee"}';
SECURITY LABEL FOR effaced ON COLUMN booking.note IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON TABLE chat.conversation IS '{"path": "employee"}';
SECURITY LABEL FOR effaced ON COLUMN chat.conversation.topic IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE chat.message IS '{"path": "conversation.employee"}';
SECURITY LABEL FOR effaced ON COLUMN chat.message.body IS '{"category": "communication"}';

-- Twelve employees: 1 to 3 work here, the others have left; 4 and 5 not long ago.
INSERT INTO employee SELECT i, 'Name ' || i, i || '@example.com',
	CASE WHEN i > 5 THEN DATE '2015-01-01' WHEN i > 3 THEN DATE '2024-01-01' END FROM generate_series(1, 12) i;
INSERT INTO enrollment SELECT i, i, 'basic', CASE WHEN i > 3 THEN DATE '2015-01-01' END FROM generate_series(1, 12) i;
-- What 6 signed has to be kept.
INSERT INTO exemption SELECT i, i, 'because ' || i, CASE WHEN i = 6 THEN DATE '2030-12-31' ELSE DATE '2020-12-31' END FROM generate_series(1, 9) i;
INSERT INTO signed_document SELECT i, i, 'scan' FROM generate_series(1, 9) i;
INSERT INTO chat.conversation SELECT i, i, 'topic ' || i FROM generate_series(1, 2) i;
INSERT INTO chat.message SELECT i, 1 + i % 2, 'body ' || i FROM generate_series(1, 4) i;
CREATE VIEW contents AS
	SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM employee) AS employees,
		(SELECT count(*) FROM enrollment) AS enrollments, (SELECT count(*) FROM exemption) AS exemptions,
		(SELECT count(*) FROM signed_document) AS documents, (SELECT count(*) FROM chat.message) AS messages,
		(SELECT count(*) FROM booking) AS bookings;

--
-- Contracts
--
SELECT effaced_register_bucket('employment', 'employee', max_batch_size => 4);
SELECT effaced_register_anchor('employee', 'employee');
SELECT effaced_register_anchor('enrollment', 'enrollment');
SELECT effaced_register_anchor('exemption', 'exemption', 'signed_document');
SELECT effaced_register_anchor('conversation', 'chat.conversation', 'chat.message');
SELECT effaced_register_anchor('booking', 'booking');

-- Each producer says what it knows. Names are found as in any function of yours.
CREATE FUNCTION hr_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT e.id::text, CASE WHEN e.left_on < DATE '2020-01-01' THEN 'ready_for_deletion' ELSE 'not_ready_yet' END
	FROM employee e WHERE e.id = ANY (candidates::int[])
$$;
CREATE FUNCTION insurance_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT e.employee_id::text, CASE WHEN e.ended_on IS NULL THEN 'not_ready_yet' ELSE 'ready_for_deletion' END
	FROM enrollment e WHERE e.employee_id = ANY (candidates::int[])
$$;
CREATE FUNCTION legal_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT n.employee_id::text, CASE WHEN x.kept_until > DATE '2025-01-01' THEN 'not_ready_yet' ELSE 'ready_for_deletion' END
		FROM exemption x JOIN enrollment n ON n.id = x.enrollment_id WHERE n.employee_id = ANY (candidates::int[]);
END
$$;
CREATE FUNCTION support_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT NULL::text, NULL::text WHERE false
$$;

-- The enrollment tells insurance whom to ask about, so legal, which goes by it,
-- comes first; insurance goes by the employee.
SELECT effaced_register_producer('hr', 'employment', 'hr_verdicts(text[])', '{employee}', '{}', '{}');
SELECT effaced_register_producer('insurance', 'employment', 'insurance_verdicts(text[])', '{enrollment}', '{employee}', '{}');
SELECT effaced_register_producer('legal', 'employment', 'legal_verdicts(text[])', '{exemption}', '{enrollment,exemption}', '{}');
SELECT effaced_register_producer('support', 'employment', 'support_verdicts(text[])', '{conversation}', '{}', '{exemption}');
SELECT * FROM effaced_producer_order('employment');
SELECT * FROM effaced_reference_reads('exemption');
SELECT * FROM effaced_reference_reads('employee');

-- A contract that closes a circle: insurance would have to come before legal, too.
BEGIN;
SELECT effaced_register_producer('insurance', 'employment', 'insurance_verdicts(text[])', '{enrollment}', '{employee,exemption}', '{}');
SAVEPOINT s;
SELECT * FROM effaced_producer_order('employment');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT effaced_create_deletion_records('employment');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- Who is due
--
SELECT * FROM effaced_bucket_eligibility('employment') ORDER BY subject_id::int;
-- Support is silent, and blocks nobody. One record for each who is ready, once.
SELECT effaced_create_deletion_records('employment') AS records;
SELECT effaced_create_deletion_records('employment') AS records;
SELECT p.id, p.subject, p.subject_id, r.bucket_type, r.deletion_batch_id, r.deletion_applied_at, r.accepted_for_deletion,
	r.is_manually_reviewed, r.deletion_error
	FROM effaced_compliance_profiles p JOIN effaced_deletion_records r ON r.compliance_profile_id = p.id ORDER BY p.subject_id::int;
SELECT effaced_create_deletion_batches('employment') AS batches;
SELECT effaced_create_deletion_batches('employment') AS batches;
SELECT bucket_type, batches, records FROM effaced_unreviewed_batches();
SELECT bucket_type, batches, records FROM effaced_unreviewed_batches('1 day');

--
-- Review
--
-- Nothing is erased before somebody has looked.
CALL effaced_apply_batch(1);
SELECT * FROM contents;
-- That has to be somebody else than who made the batch.
SELECT effaced_review_batch(1, 'accepted', 'checked the list');
\echo :LAST_ERROR_SQLSTATE
CREATE ROLE regress_officer;
GRANT EXECUTE ON FUNCTION effaced_review_batch, effaced_review_record TO regress_officer;
GRANT SELECT ON effaced_deletion_batches, effaced_deletion_records, effaced_compliance_profiles TO regress_officer;
SET SESSION AUTHORIZATION regress_officer;
SELECT effaced_review_batch(1, 'accepted', 'checked the list');
-- 8 has called and wants to come back.
SELECT effaced_review_record(r.id, false, 'will be hired again')
	FROM effaced_deletion_records r JOIN effaced_compliance_profiles p ON p.id = r.compliance_profile_id WHERE p.subject_id = '8';
SELECT id, bucket_type, reviewed_status, reviewed_by, reviewed_reason, records_count_for_list, failed_records_count,
	manually_reviewed_count, rejected_records_count, total_records_count FROM effaced_deletion_batches ORDER BY id;
RESET SESSION AUTHORIZATION;

--
-- Deletion
--
-- Somebody else's table holds on to 9, nobody thought of it; 10 comes back before
-- the batch runs.
CREATE TABLE advance (id int PRIMARY KEY, employee_id int REFERENCES employee);
INSERT INTO advance VALUES (1, 9);
UPDATE enrollment SET ended_on = NULL WHERE employee_id = 10;
CALL effaced_apply_batch(1);
SELECT * FROM contents;
SELECT p.subject_id, r.accepted_for_deletion, r.deletion_applied_at IS NOT NULL AS applied, r.deletion_error
	FROM effaced_compliance_profiles p JOIN effaced_deletion_records r ON r.compliance_profile_id = p.id
	WHERE r.deletion_batch_id = 1 ORDER BY p.subject_id::int;
SELECT total, applied, failed, rejected, remaining, started_at IS NOT NULL AS started, rate > 0 AS rated, eta FROM effaced_batch_progress(1);
-- The trail tells each step of each producer, in their order.
SELECT event_type, payload ->> 'target' AS target, payload ->> 'strategy' AS strategy, payload -> 'rows' AS rows
	FROM effaced_audit_events WHERE subject_ref = '7' ORDER BY seq;
SELECT count(*) AS completed FROM effaced_audit_events WHERE event_type = 'erasure_completed';
-- Nothing of who failed, or was left out, has changed.
SELECT (SELECT count(*) FROM enrollment WHERE employee_id = e.id) AS enrollments, (SELECT count(*) FROM exemption x WHERE x.id = e.id) AS exemptions, e.*
	FROM employee e WHERE id > 5 ORDER BY id;

-- Run again, it takes up what is left.
DELETE FROM advance;
UPDATE enrollment SET ended_on = '2015-01-01' WHERE employee_id = 10;
CALL effaced_apply_batch(1);
CALL effaced_apply_batch(1);
SELECT total, applied, failed, rejected, remaining FROM effaced_batch_progress(1);
SELECT * FROM contents;
SELECT started_by = session_user AS by_me, applied, failed, restricted, not_ready_yet, finished_at >= last_at AS finished FROM effaced_batch_runs ORDER BY id;

-- What is applied stays as it was reviewed.
SET SESSION AUTHORIZATION regress_officer;
SELECT effaced_review_batch(1, 'rejected', 'too late');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_review_record(r.id, false, 'too late') FROM effaced_deletion_records r JOIN effaced_compliance_profiles p ON p.id = r.compliance_profile_id WHERE p.subject_id = '7';
\echo :LAST_ERROR_SQLSTATE
-- A batch that was not begun may be rejected, and accepted after all.
SELECT effaced_review_batch(2, 'rejected', 'why these?');
SELECT reviewed_status, records_count_for_list, rejected_records_count FROM effaced_deletion_batches WHERE id = 2;
RESET SESSION AUTHORIZATION;
CALL effaced_apply_batch(2);
SET SESSION AUTHORIZATION regress_officer;
SELECT effaced_review_batch(2, 'pending', NULL);
SELECT reviewed_status, reviewed_at, reviewed_by, records_count_for_list, rejected_records_count FROM effaced_deletion_batches WHERE id = 2;
SELECT effaced_review_batch(2, 'accepted', 'I see');
RESET SESSION AUTHORIZATION;
CALL effaced_apply_batch(2);
SELECT * FROM contents;

--
-- Clearing up
--
SELECT count(*) AS events FROM effaced_audit_events \gset
SELECT * FROM effaced_purge_compliance_data('employment');
SELECT (SELECT count(*) FROM effaced_deletion_records) AS records, (SELECT count(*) FROM effaced_deletion_batches) AS batches,
	(SELECT count(*) FROM effaced_compliance_profiles) AS profiles, (SELECT count(*) FROM effaced_audit_events) = :events AS trail;
-- Who is ready now has been rejected before; the bucket starts anew.
SELECT effaced_create_deletion_records('employment') AS records;
SELECT subject_id FROM effaced_compliance_profiles;

-- Other spellings of an identifier are the same person, whoever gives them.
SELECT effaced.effaced_record_subjects('employment', '{05,+5,5,NULL}', now()) AS records;
SELECT subject_id FROM effaced_compliance_profiles ORDER BY 1;

-- What asks a producer reads no other types than text[].
\set VERBOSITY terse
SELECT effaced.effaced_ask_producer('SELECT 1', '{1}');
SELECT effaced.effaced_ask_producer('SELECT 1, 2', '{1}');
SELECT effaced.effaced_ask_producer($$SELECT 'abcdefgh'::name, 'x'::name$$, '{1}');
SELECT effaced.effaced_ask_producer('SELECT $1, $1 WHERE false', '{1}');
SELECT effaced.effaced_ask_producer('SELECT $1, $1', '{1}');

DROP OWNED BY regress_officer;
DROP ROLE regress_officer;
