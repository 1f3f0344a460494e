-- Exporting one subject of the bench shop, against one query that builds the same
-- objects. effaced also writes two events into its trail.
\set QUIET on
SET client_min_messages = warning;
SET TimeZone = 'UTC';

-- Both sides give the same records.
DO $$
DECLARE
    e jsonb := effaced_export(1) -> 'records';
    h jsonb := hand_export(1) -> 'records';
BEGIN
    IF jsonb_array_length(e) <> jsonb_array_length(h) OR NOT (e @> h AND h @> e) THEN
        RAISE EXCEPTION 'the two sides differ: % %',
            (SELECT jsonb_agg(r) FROM (SELECT jsonb_array_elements(e) EXCEPT ALL SELECT jsonb_array_elements(h)) x (r)),
            (SELECT jsonb_agg(r) FROM (SELECT jsonb_array_elements(h) EXCEPT ALL SELECT jsonb_array_elements(e)) x (r));
    END IF;
END
$$;

CREATE PROCEDURE measure(p_rounds int, p_exports int) LANGUAGE plpgsql AS $$
DECLARE
    side text;
    started timestamptz;
    next_id bigint := 10;
    size bigint;
BEGIN
    FOR r IN 0..p_rounds LOOP   -- round 0 is for warming up
        FOR turn IN 0..1 LOOP
            side := CASE (r + turn) % 2 WHEN 0 THEN 'effaced' ELSE 'by hand' END;
            started := clock_timestamp();
            FOR i IN 1..p_exports LOOP
                next_id := next_id + 1;
                IF side = 'effaced' THEN size := pg_column_size(effaced_export(next_id));
                ELSE size := pg_column_size(hand_export(next_id)); END IF;
                COMMIT;
            END LOOP;
            INSERT INTO timing VALUES ('export one subject', r, side, 1000 * extract(epoch FROM clock_timestamp() - started) / p_exports);
            COMMIT;
        END LOOP;
    END LOOP;
    DELETE FROM timing WHERE round = 0;
END
$$;
CALL measure(60, 20);
SELECT jsonb_array_length(effaced_export(1) -> 'records') AS records;
SELECT * FROM comparison('effaced', 'by hand', '<= 1.0');
