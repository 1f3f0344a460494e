-- Erasing 2,000 subjects of the bench shop in one transaction, with what is
-- recorded per subject and step. Rolled back, so that each round has all rows.
\set QUIET on
SET client_min_messages = warning;

CREATE PROCEDURE measure(p_rounds int, p_subjects int) LANGUAGE plpgsql AS $$
DECLARE
    side text;
    started timestamptz;
    ms float8[] := '{}';
    sides text[] := '{}';
    ids bigint[];
    texts text[];
    done bigint;
BEGIN
    FOR r IN 0..p_rounds LOOP   -- round 0 is for warming up
        SELECT array_agg(i), array_agg(i::text) INTO ids, texts FROM generate_series(1 + r % 9 * p_subjects, (1 + r % 9) * p_subjects) i;
        FOR turn IN 0..1 LOOP
            side := CASE (r + turn) % 2 WHEN 0 THEN 'effaced' ELSE 'by hand' END;
            started := clock_timestamp();
            IF side = 'effaced' THEN done := effaced_erase_many(texts) #>> '{anonymized,users}';
            ELSE done := hand_erase_many(ids); END IF;
            IF done <> p_subjects THEN RAISE EXCEPTION '%: % subjects', side, done; END IF;
            ms := ms || 1000 * extract(epoch FROM clock_timestamp() - started)::float8;
            sides := sides || side;
            ROLLBACK;
        END LOOP;
    END LOOP;
    INSERT INTO timing SELECT format('erase %s subjects', p_subjects), (i - 1) / 2, sides[i], ms[i] FROM generate_subscripts(ms, 1) i WHERE i > 2;
END
$$;
CALL measure(11, 2000);
SELECT * FROM comparison('effaced', 'by hand', '<= 1.0');
