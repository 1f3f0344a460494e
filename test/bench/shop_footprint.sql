-- What an erasure in the bench shop leaves behind: bytes of WAL, without full-page
-- images, and of the trail with its indexes.
\set QUIET on
SET client_min_messages = warning;
CREATE TABLE footprint (side text, wal numeric);
CREATE TABLE trail (side text, bytes numeric);

CREATE PROCEDURE measure(p_erasures int) LANGUAGE plpgsql AS $$
DECLARE
    side text;
    lsn pg_lsn;
    bytes numeric;
    next_id bigint := 10;
BEGIN
    FOREACH side IN ARRAY '{effaced,by hand}'::text[] LOOP
        bytes := pg_total_relation_size(CASE side WHEN 'effaced' THEN 'effaced_audit_events' ELSE 'hand_audit' END);
        FOR i IN 1..p_erasures LOOP
            next_id := next_id + 1;
            lsn := pg_current_wal_insert_lsn();
            IF side = 'effaced' THEN PERFORM effaced_erase(next_id); ELSE PERFORM hand_erase(next_id); END IF;
            INSERT INTO footprint VALUES (side, pg_current_wal_insert_lsn() - lsn);
            COMMIT;
        END LOOP;
        bytes := pg_total_relation_size(CASE side WHEN 'effaced' THEN 'effaced_audit_events' ELSE 'hand_audit' END) - bytes;
        INSERT INTO trail VALUES (side, bytes / p_erasures);
    END LOOP;
END
$$;
CALL measure(2000);
SELECT side, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wal)::numeric) AS "WAL bytes per erasure",
       round(max(bytes)) AS "trail bytes per erasure"
  FROM footprint JOIN trail USING (side) GROUP BY side ORDER BY side DESC;
