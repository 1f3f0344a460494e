#!/usr/bin/env bash
# Two sessions that erase different subjects at the same time, in the bench shop:
# erasures per second of both together, against the function written by hand.
set -euo pipefail

psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SET client_min_messages = warning;
CREATE TABLE arrival (session int, stretch int);
CREATE TABLE work_done (session int, round int, who text, erasures int, started timestamptz, ended timestamptz);

-- Wait until both sessions are there.
CREATE PROCEDURE meet(p_session int, p_stretch int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO arrival VALUES (p_session, p_stretch);
    COMMIT;
    LOOP
        EXIT WHEN (SELECT count(*) FROM arrival WHERE stretch = p_stretch) = 2;
        COMMIT;
    END LOOP;
    COMMIT;
END
$$;

CREATE PROCEDURE work(p_session int, p_rounds int, p_erasures int) LANGUAGE plpgsql AS $$
DECLARE
    side text;
    began timestamptz;
    next_id bigint := p_session;
BEGIN
    FOR r IN 0..p_rounds LOOP   -- round 0 is for warming up
        FOR turn IN 0..1 LOOP
            side := CASE (r + turn) % 2 WHEN 0 THEN 'effaced' ELSE 'by hand' END;
            CALL meet(p_session, 2 * r + turn);
            began := clock_timestamp();
            FOR i IN 1..p_erasures LOOP
                next_id := next_id + 2;
                IF side = 'effaced' THEN PERFORM effaced_erase(next_id); ELSE PERFORM hand_erase(next_id); END IF;
                COMMIT;
            END LOOP;
            INSERT INTO work_done VALUES (p_session, r, side, p_erasures, began, clock_timestamp());
            COMMIT;
        END LOOP;
    END LOOP;
END
$$;
SQL

psql -X -q -v ON_ERROR_STOP=1 -c 'CALL work(1, 40, 80)' &
psql -X -q -v ON_ERROR_STOP=1 -c 'CALL work(2, 40, 80)'
wait $!

psql -X -q -P pager=off <<'SQL'
WITH rates AS (SELECT round, who, sum(erasures) / extract(epoch FROM max(ended) - min(started)) AS rate
                 FROM work_done WHERE round > 0 GROUP BY round, who)
SELECT 'two sessions at once' AS work,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY e.rate)) AS "effaced per s",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY h.rate)) AS "by hand per s",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY e.rate / h.rate)::numeric, 2) AS "rate ratio",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY h.rate / e.rate)::numeric, 2) AS "time ratio",
       count(*) AS rounds, '>= 1.0 (time <= 1.0)' AS target
  FROM rates e JOIN rates h USING (round) WHERE e.who = 'effaced' AND h.who = 'by hand';
SQL
