-- Retention on a large table, of which one row in a hundred has expired: with an
-- index on the anchor the sweep reads these alone, and the enforcement picks
-- its batches by it. EFFACED_BENCH_ROWS sets the size (1,000,000).
\set QUIET on
\set rows `echo ${EFFACED_BENCH_ROWS:-1000000}`
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE login (id bigint PRIMARY KEY, person_id int NOT NULL, ip inet, agent text, at timestamptz NOT NULL);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN login.ip IS '{"category": "technical", "erasure": "retain",
  "retention": {"reason": "abuse", "duration": "90 days", "anchor": "at", "on_expiry": "anonymize"}}';
INSERT INTO person SELECT g, 'name ' || g FROM generate_series(1, 50000) g;
INSERT INTO login SELECT g, 1 + g % 50000, '192.0.2.1', 'agent', timestamptz '2020-01-01 00:00+00' + (g * 31536000.0 / :rows) * interval '1 second' FROM generate_series(1, :rows) g;
ALTER TABLE login ADD FOREIGN KEY (person_id) REFERENCES person;
VACUUM ANALYZE;
-- the 90 days of the first hundredth are over
CREATE TABLE timing (what text, milliseconds float8);
SELECT timestamptz '2020-01-01 00:00+00' + interval '93.65 days' AS as_of \gset

CREATE PROCEDURE measure(what text, statement text) LANGUAGE plpgsql AS $$
DECLARE started timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    INSERT INTO timing VALUES (what, 1000 * extract(epoch FROM clock_timestamp() - started));
END
$$;

CALL measure('sweep without an index', format('SELECT count(*) FROM effaced_sweep(%L)', :'as_of'));
CREATE INDEX ON login (at);
ANALYZE login;
CALL measure('sweep with an index', format('SELECT count(*) FROM effaced_sweep(%L)', :'as_of'));
CALL measure('sweep with an index', format('SELECT count(*) FROM effaced_sweep(%L)', :'as_of'));
SELECT expired_rows, expired_subjects FROM effaced_sweep(:'as_of');

SELECT clock_timestamp() AS started \gset
CALL effaced_enforce_retention(:'as_of');
INSERT INTO timing VALUES ('enforcement in batches of 1000', 1000 * extract(epoch FROM clock_timestamp() - :'started'));
VACUUM ANALYZE login;
SELECT clock_timestamp() AS started \gset
CALL effaced_enforce_retention(:'as_of');
INSERT INTO timing VALUES ('enforcement with nothing left', 1000 * extract(epoch FROM clock_timestamp() - :'started'));
CALL measure('the same as one UPDATE by hand',
             format('UPDATE login SET ip = %L WHERE at <= timestamptz %L - interval ''90 days''', '192.0.2.7', :'as_of'));
SELECT batches, anonymized FROM effaced_retention_runs ORDER BY run_id;
SELECT what, round(avg(milliseconds)::numeric) AS ms FROM timing GROUP BY what ORDER BY min(ctid);
