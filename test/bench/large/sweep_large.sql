-- effaced_sweep() over 10 million rows of which 0.1 % are expired, the anchor
-- indexed, against the plain SELECT.
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

CREATE PROCEDURE measure(p_rounds int) LANGUAGE plpgsql AS $$
DECLARE
    as_of timestamptz := '2026-01-01';
    side text;
    started timestamptz;
    e bigint;
    h bigint;
BEGIN
    FOR r IN 0..p_rounds LOOP   -- round 0 is for warming up
        FOR turn IN 0..1 LOOP
            side := CASE (r + turn) % 2 WHEN 0 THEN 'effaced' ELSE 'plain' END;
            started := clock_timestamp();
            IF side = 'effaced' THEN SELECT sum(expired_rows) INTO e FROM effaced_sweep(as_of);
            ELSE SELECT count(*) + 0 * count(DISTINCT user_id) + 0 * cardinality(array_agg(DISTINCT user_id::text)) INTO h
                   FROM event WHERE happened < as_of - interval '1 year' AND note IS NOT NULL; END IF;
            INSERT INTO timing VALUES ('sweep 10,000,000 rows', r, side, 1000 * extract(epoch FROM clock_timestamp() - started));
            COMMIT;
        END LOOP;
    END LOOP;
    IF e <> h THEN RAISE EXCEPTION 'the two sides differ: % %', e, h; END IF;
    DELETE FROM timing WHERE round = 0;
END
$$;
CALL measure(15);
SELECT * FROM comparison('effaced', 'plain', '<= 1.2');
