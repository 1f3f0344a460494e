-- Erasing one subject of the bench shop, warm, a transaction each: by effaced, by
-- the function written by hand, and by ON DELETE CASCADE.
\set QUIET on
SET client_min_messages = warning;
\ir shop/cascade.sql

-- All sides find and change the same rows.
DO $$
DECLARE
    e jsonb := effaced_erase(1);
    h jsonb := hand_erase(2);
BEGIN
    e := (e -> 'deleted') || (e -> 'anonymized');
    h := h - '{subject_id,subject_found}'::text[];
    IF e <> h THEN RAISE EXCEPTION 'the two sides differ: % %', e, h; END IF;
    DELETE FROM cascade.users WHERE id IN (1, 2);
END
$$;

CREATE PROCEDURE measure(p_rounds int, p_erasures int) LANGUAGE plpgsql AS $$
DECLARE
    side text;
    -- each comes after each of the others as often
    orders text[] := '{{effaced,by hand,cascade}, {by hand,effaced,cascade}, {effaced,cascade,by hand},
                       {by hand,cascade,effaced}, {cascade,effaced,by hand}, {cascade,by hand,effaced}}';
    started timestamptz;
    next_id bigint := 10;
BEGIN
    FOR r IN 0..p_rounds LOOP   -- round 0 is for warming up
        FOR turn IN 0..2 LOOP
            side := orders[1 + r % 6][1 + turn];
            started := clock_timestamp();
            FOR i IN 1..p_erasures LOOP
                next_id := next_id + 1;
                CASE side WHEN 'effaced' THEN PERFORM effaced_erase(next_id);
                          WHEN 'by hand' THEN PERFORM hand_erase(next_id);
                          ELSE DELETE FROM cascade.users WHERE id = next_id; END CASE;
                COMMIT;
            END LOOP;
            INSERT INTO timing VALUES ('erase one subject', r, side, 1000 * extract(epoch FROM clock_timestamp() - started) / p_erasures);
            COMMIT;
        END LOOP;
    END LOOP;
    DELETE FROM timing WHERE round = 0;
END
$$;
CALL measure(60, 40);
SELECT * FROM comparison('effaced', 'by hand', '<= 1.0')
UNION ALL
SELECT * FROM comparison('effaced', 'cascade', '<= 1.5');
