-- 100,000 subjects whose three producers call them ready: recorded in one call, put
-- into batches of 500, reviewed and applied, against plain effaced_erase() calls that
-- each commit. Applying asks three producers once more and erases in three steps.
\set QUIET on
SET client_min_messages = error;
CREATE EXTENSION effaced;
CREATE TABLE employee (id int PRIMARY KEY, name text, left_on date);
CREATE TABLE enrollment (id int PRIMARY KEY, employee_id int NOT NULL REFERENCES employee, tariff text);
CREATE TABLE exemption (id int PRIMARY KEY, enrollment_id int NOT NULL REFERENCES enrollment, justification text);
CREATE INDEX ON enrollment (employee_id);
CREATE INDEX ON exemption (enrollment_id);
SECURITY LABEL FOR effaced ON TABLE employee IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN employee.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE enrollment IS '{"path": "employee", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN enrollment.tariff IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE exemption IS '{"path": "enrollment.employee", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN exemption.justification IS '{"category": "special"}';
INSERT INTO employee SELECT i, 'Name ' || i, CASE WHEN i <= 100000 THEN DATE '2015-01-01' END FROM generate_series(1, 110000) i;
INSERT INTO enrollment SELECT i, i, 'basic' FROM generate_series(1, 110000) i;
INSERT INTO exemption SELECT i, i, 'because' FROM generate_series(1, 110000) i;

CREATE FUNCTION hr_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT e.id::text, CASE WHEN e.left_on < DATE '2020-01-01' THEN 'ready_for_deletion' ELSE 'not_ready_yet' END
	FROM employee e WHERE e.id = ANY (candidates::int[])
$$;
CREATE FUNCTION insurance_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT e.employee_id::text, 'ready_for_deletion' FROM enrollment e WHERE e.employee_id = ANY (candidates::int[])
$$;
CREATE FUNCTION legal_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT n.employee_id::text, 'ready_for_deletion'
		FROM exemption x JOIN enrollment n ON n.id = x.enrollment_id WHERE n.employee_id = ANY (candidates::int[]);
END
$$;
SET effaced.four_eyes = off;
\o /dev/null
SELECT effaced_register_bucket('employment', 'employee');
SELECT effaced_register_anchor('employee', 'employee');
SELECT effaced_register_anchor('enrollment', 'enrollment');
SELECT effaced_register_anchor('exemption', 'exemption');
SELECT effaced_register_producer('hr', 'employment', 'hr_verdicts(text[])', '{employee}');
SELECT effaced_register_producer('insurance', 'employment', 'insurance_verdicts(text[])', '{enrollment}', '{employee}');
SELECT effaced_register_producer('legal', 'employment', 'legal_verdicts(text[])', '{exemption}', '{enrollment}');
\o
VACUUM ANALYZE;

CREATE TABLE timing (place int GENERATED ALWAYS AS IDENTITY, what text, rows bigint, seconds float8, target text);
CREATE PROCEDURE measure(what text, statement text, target text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
    rows bigint;
BEGIN
    EXECUTE statement INTO rows;
    INSERT INTO timing (what, rows, seconds, target) VALUES (what, rows, extract(epoch FROM clock_timestamp() - started), target);
END
$$;
CALL measure('effaced_create_deletion_records', $$SELECT effaced_create_deletion_records('employment')$$, 'seconds');
CALL measure('the same again: nobody new', $$SELECT effaced_create_deletion_records('employment')$$);
CALL measure('effaced_create_deletion_batches', $$SELECT cardinality(effaced_create_deletion_batches('employment'))$$);
CALL measure('effaced_review_batch', $$SELECT count(*) FROM (SELECT effaced_review_batch(id, 'accepted') FROM effaced_deletion_batches) b$$);
CREATE PROCEDURE measure_erasure(what text, statement text, n bigint) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
    line text;
BEGIN
    FOR line IN EXECUTE statement LOOP
        EXECUTE line;
        COMMIT;
    END LOOP;
    INSERT INTO timing (what, rows, seconds) VALUES (what, n, extract(epoch FROM clock_timestamp() - started));
END
$$;
CALL measure_erasure('plain effaced_erase()', $$SELECT format('SELECT effaced_erase(%s)', i) FROM generate_series(100001, 105000) i$$, 5000);
CALL measure_erasure('plain effaced_erase(), a call per producer', $$SELECT format('SELECT effaced_erase(%1$s, tables => ''{exemption}''), effaced_erase(%1$s, tables => ''{enrollment}''), effaced_erase(%1$s, tables => ''{employee}'')', i)
	FROM generate_series(105001, 110000) i$$, 5000);
CREATE PROCEDURE apply_all() LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
    batch bigint;
BEGIN
    FOR batch IN SELECT id FROM effaced_deletion_batches ORDER BY id LOOP
        CALL effaced_apply_batch(batch);
    END LOOP;
    INSERT INTO timing (what, rows, seconds) VALUES ('effaced_apply_batch(), 200 batches of 500', (SELECT sum(applied) FROM effaced_batch_runs), extract(epoch FROM clock_timestamp() - started));
END
$$;
CALL apply_all();
CALL measure('effaced_purge_compliance_data', $$SELECT records FROM effaced_purge_compliance_data('employment')$$);
SELECT what, rows, round(seconds::numeric, 2) AS seconds, round((rows / seconds)::numeric) AS "per second", target FROM timing ORDER BY place;
SELECT (SELECT count(*) FROM employee) AS employees_left;
