-- Erasing one subject whose 12 events lie in a table of 1 to 1,000 partitions by
-- time, with the index on the reference that finds them: each erasure looks into
-- every partition, and holds a lock on each and on its indexes.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION effaced;
\ir lib/timing.sql
CREATE TABLE locks_held (work text, held bigint);

CREATE PROCEDURE measure(p_partitions int) LANGUAGE plpgsql AS $$
DECLARE
    subject text := 'u' || p_partitions;
    started timestamptz;
    label text := format('%s partitions', p_partitions);
BEGIN
    EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, name text, created date)', subject);
    EXECUTE format('INSERT INTO %I SELECT i, ''Name '' || i, current_date FROM generate_series(1, 2000) i', subject);
    EXECUTE format('CREATE TABLE %I (id int, user_id int NOT NULL REFERENCES %I, happened int, note text, PRIMARY KEY (id, happened)) PARTITION BY RANGE (happened)', subject || '_event', subject);
    FOR i IN 0 .. p_partitions - 1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', subject || '_event' || i, subject || '_event', i, i + 1);
    END LOOP;
    EXECUTE format('CREATE INDEX ON %I (user_id)', subject || '_event');
    EXECUTE format('INSERT INTO %I SELECT i * 12 + k, i, (i + k * 97) %% %s, ''Note '' || i FROM generate_series(1, 2000) i, generate_series(0, 11) k', subject || '_event', p_partitions);
    EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %I IS ''{"path": ""}''', subject);
    EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %I.name IS ''{"category": "identity"}''', subject);
    EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %I IS ''{"path": "user_id", "owned": true}''', subject || '_event');
    EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %I.note IS ''{"category": "behavioral"}''', subject || '_event');
    COMMIT;
    EXECUTE format('ANALYZE %I, %I', subject, subject || '_event');
    COMMIT;
    FOR i IN 1..60 LOOP
        started := clock_timestamp();
        PERFORM effaced_erase(i, subject => subject::regclass);
        IF i = 60 THEN INSERT INTO locks_held SELECT label, count(*) FROM pg_locks WHERE pid = pg_backend_pid(); END IF;
        COMMIT;
        INSERT INTO timing VALUES (label, i, CASE i WHEN 1 THEN 'first' ELSE 'warm' END, 1000 * extract(epoch FROM clock_timestamp() - started));
        COMMIT;
    END LOOP;
END
$$;
CALL measure(1);
CALL measure(10);
CALL measure(100);
CALL measure(1000);
SELECT work, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE who = 'first')::numeric, 2) AS "first ms",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE who = 'warm')::numeric, 3) AS "warm ms", max(held) AS "locks held"
  FROM timing JOIN locks_held USING (work) GROUP BY work ORDER BY "locks held";
