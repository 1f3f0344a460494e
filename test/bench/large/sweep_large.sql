-- effaced_sweep() over 10 million rows of which 0.1 % are expired, the anchor
-- indexed: against the plain SELECT that counts them and lists their subjects,
-- which records nothing, and against what one would write by hand to also record
-- an event per subject, in a trail like that of shop/reference.sql. Then the same
-- with a second column of the same term, and with one more table of the subjects';
-- and with rows of fewer subjects, where there are fewer events.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION effaced;
SELECT to_regprocedure('effaced_sweep(timestamptz)') IS NULL AS missing \gset
\if :missing
\echo effaced_sweep() is not there
\quit
\endif
\ir ../lib/timing.sql
CREATE TABLE users (id bigint PRIMARY KEY, name text, created date);
CREATE TABLE event (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, happened timestamptz, note text, kind int);
INSERT INTO users SELECT i, 'Name ' || i, '2020-01-01' FROM generate_series(1, 100000) i;
INSERT INTO event SELECT i, 1 + i % 100000, timestamptz '2026-01-01' - CASE WHEN hashint8(i) % 1000 = 0 THEN interval '400 days' ELSE interval '10 days' END
                                            - i % 1000 * interval '1 minute', 'Note ' || i, 1
  FROM generate_series(1::bigint, 10000000) i;
CREATE INDEX ON event (user_id);
CREATE INDEX ON event (happened);
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE event IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN event.note IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "fraud", "basis": "legitimate_interests", "duration": "1 year", "anchor": "happened"}}';
VACUUM (FREEZE, ANALYZE);

CREATE TABLE hand_audit (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL DEFAULT SESSION_USER,
    as_of       timestamptz NOT NULL,
    columns     text[] NOT NULL
);
CREATE INDEX ON hand_audit (user_id);

CREATE PROCEDURE measure(p_work text, p_rounds int, p_columns int) LANGUAGE plpgsql AS $$
DECLARE
    as_of timestamptz := '2026-01-01';
    sides text[] := CASE p_columns WHEN 1 THEN '{effaced,plain,by hand}' ELSE '{effaced,plain}' END;
    side text;
    started timestamptz;
    e bigint;
    h bigint;
    subjects bigint;
    first text[];
BEGIN
    FOR r IN 0..p_rounds LOOP   -- round 0 is for warming up
        FOR turn IN 0..cardinality(sides) - 1 LOOP
            side := sides[1 + (r + turn) % cardinality(sides)];
            started := clock_timestamp();
            IF side = 'effaced' THEN SELECT sum(expired_rows) INTO e FROM effaced_sweep(as_of);
            ELSIF side = 'by hand' THEN
                WITH expired AS MATERIALIZED (SELECT user_id, count(*) AS rows FROM event
                                               WHERE happened <= as_of - interval '1 year' AND note IS NOT NULL GROUP BY user_id),
                     recorded AS (INSERT INTO hand_audit (user_id, as_of, columns) SELECT user_id, as_of, '{event.note}' FROM expired ORDER BY user_id)
                SELECT sum(rows), count(*), ARRAY(SELECT user_id::text FROM expired ORDER BY user_id LIMIT 1000) INTO h, subjects, first FROM expired;
            ELSIF p_columns = 1 THEN
                SELECT count(*) + 0 * count(DISTINCT user_id) + 0 * cardinality(array_agg(DISTINCT user_id::text)) INTO h
                  FROM event WHERE happened < as_of - interval '1 year' AND note IS NOT NULL;
            ELSE
                SELECT count(note) + count(kind) + 0 * count(DISTINCT user_id) FILTER (WHERE note IS NOT NULL) + 0 * count(DISTINCT user_id) FILTER (WHERE kind IS NOT NULL)
                       + 0 * cardinality(array_agg(DISTINCT user_id::text)) INTO h
                  FROM event WHERE happened < as_of - interval '1 year' AND (note IS NOT NULL OR kind IS NOT NULL);
            END IF;
            INSERT INTO timing VALUES (p_work, r, side, 1000 * extract(epoch FROM clock_timestamp() - started));
            COMMIT;
            IF e <> h THEN RAISE EXCEPTION 'the two sides differ: % %', e, h; END IF;
        END LOOP;
    END LOOP;
    DELETE FROM timing WHERE round = 0;
END
$$;
CALL measure('1 column of 10,000,000 rows', 15, 1);
SECURITY LABEL FOR effaced ON COLUMN event.kind IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "fraud", "basis": "legitimate_interests", "duration": "1 year", "anchor": "happened"}}';
CALL measure('2 columns of one term', 15, 2);
-- an empty table, of which nothing is known beforehand
CREATE TABLE visit (id bigint PRIMARY KEY, user_id bigint REFERENCES users, happened timestamptz, page text);
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN visit.page IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "fraud", "basis": "legitimate_interests", "duration": "1 year", "anchor": "happened"}}';
CALL measure('2 columns, and another table', 15, 2);
-- one column again, and as many rows of fewer subjects
SECURITY LABEL FOR effaced ON COLUMN event.kind IS NULL;
SECURITY LABEL FOR effaced ON COLUMN visit.page IS NULL;
CREATE PROCEDURE expire(p_subjects int) LANGUAGE sql AS $$
    UPDATE event SET happened = happened + interval '390 days' WHERE happened <= timestamptz '2026-01-01' - interval '1 year';
    UPDATE event SET happened = happened - interval '390 days' WHERE user_id <= p_subjects AND id <= 10000000 / (p_subjects / 100);
$$;
CALL expire(1000);
VACUUM ANALYZE event;
CALL measure('1 column, of 1,000 subjects', 15, 1);
CALL expire(100);
VACUUM ANALYZE event;
CALL measure('1 column, of 100 subjects', 15, 1);
SELECT * FROM comparison('effaced', 'plain', '<= 1.2') UNION ALL SELECT * FROM comparison('effaced', 'by hand', '') ORDER BY work, reference DESC;
