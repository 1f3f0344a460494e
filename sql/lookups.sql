-- How the rows of one subject are looked up: in the order of a B-tree, and by a
-- bitmap only where there is no such index.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;
-- as on a disk, where the planner likes bitmaps
SET random_page_cost = 4;
SET plan_cache_mode = force_generic_plan;

CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE visit (id int PRIMARY KEY, person_id int REFERENCES person, note text);
CREATE TABLE visit_page (id int PRIMARY KEY, visit_id int REFERENCES visit, url text);
CREATE TABLE hit (id int PRIMARY KEY, person_id int REFERENCES person, ip text);
CREATE TABLE reading (id int PRIMARY KEY, person_id int REFERENCES person, pulse text) PARTITION BY RANGE (id);
CREATE TABLE reading_1 PARTITION OF reading FOR VALUES FROM (0) TO (10000);
CREATE TABLE reading_2 PARTITION OF reading FOR VALUES FROM (10000) TO (20001);
CREATE TABLE mark (id int PRIMARY KEY, person_id int REFERENCES person, note text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "subject": "person"}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN visit.note IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN visit_page.url IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN hit.ip IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON COLUMN mark.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON COLUMN reading.pulse IS '{"category": "special"}';
INSERT INTO person SELECT g, 'name' FROM generate_series(1, 1000) g;
INSERT INTO visit SELECT g, 1 + g % 1000, repeat('note ', 10) FROM generate_series(1, 20000) g;
INSERT INTO visit_page SELECT g, 1 + g % 20000, repeat('url ', 10) FROM generate_series(1, 40000) g;
INSERT INTO hit SELECT g, 1 + g / 20, repeat('ip ', 10) FROM generate_series(0, 19999) g;
INSERT INTO reading SELECT g, 1 + g % 1000, repeat('pulse ', 10) FROM generate_series(1, 20000) g;
INSERT INTO mark SELECT g, 1 + g / 10, repeat('m ', 60) FROM generate_series(0, 1999) g;
CREATE INDEX mark_by_person ON mark USING brin (person_id) WITH (pages_per_range = 1);
CREATE INDEX visit_by_person ON visit (person_id);
CREATE INDEX visit_page_by_visit ON visit_page (visit_id);
CREATE INDEX hit_by_person ON hit USING brin (person_id) WITH (pages_per_range = 2);
CREATE INDEX reading_by_person ON reading (person_id);
VACUUM ANALYZE;

-- 1. What the planner does with such a statement
PREPARE one(int) AS DELETE FROM visit WHERE person_id = $1;
PREPARE hits(int) AS DELETE FROM hit WHERE person_id = $1;
PREPARE readings(int) AS DELETE FROM reading WHERE person_id = $1;
EXPLAIN (COSTS off) EXECUTE one(7);
EXPLAIN (COSTS off) EXECUTE hits(7);
EXPLAIN (COSTS off) EXECUTE readings(7);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();

-- 2. Rows of an index scan are fetched by the index, those of a bitmap are not
SELECT effaced_erase(7) -> 'deleted';
SELECT effaced_erase(8) -> 'deleted' -> 'visit';
SELECT pg_stat_force_next_flush();
SELECT indexrelname, idx_scan > 0 AS scanned, idx_tup_fetch > 0 AS in_order
  FROM pg_stat_user_indexes WHERE indexrelname ~ '^(visit|hit|mark|reading)' AND idx_scan > 0 ORDER BY 1;
-- and no table is read whole, though that of marks would not take much longer
SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname ~ '^(visit|hit|mark|reading)' AND seq_scan > 0 ORDER BY 1;

-- 3. The settings of the session are as they were
SELECT name, setting FROM pg_settings WHERE name IN ('enable_bitmapscan', 'enable_seqscan') ORDER BY 1;

-- 4. Exports look rows up in the same way; what is erased is none
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();
SELECT jsonb_array_length(effaced_export(9) -> 'records');
SELECT pg_stat_force_next_flush();
SELECT indexrelname, idx_tup_fetch > 0 AS in_order
  FROM pg_stat_user_indexes WHERE indexrelname ~ '^(visit|hit|mark|reading)' AND idx_scan > 0 ORDER BY 1;

-- 5. A plan that a change of the table made anew is chosen in the same way
DROP INDEX visit_by_person;
CREATE INDEX visit_by_person ON visit USING brin (person_id) WITH (pages_per_range = 2);
SELECT effaced_erase(10) -> 'deleted' -> 'visit';
DROP INDEX visit_by_person;
CREATE INDEX visit_by_person ON visit (person_id);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();
SELECT effaced_erase(11) -> 'deleted' -> 'visit';
SELECT pg_stat_force_next_flush();
SELECT idx_tup_fetch > 0 AS in_order FROM pg_stat_user_indexes WHERE indexrelname = 'visit_by_person';

-- 6. An index that sorts the rows of a key by something else gives them in no order
-- of the table: one who has most of them must not have each page read many times
DROP INDEX visit_by_person;
CREATE INDEX visit_by_person ON visit (person_id, note);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();
SELECT effaced_erase(12) -> 'deleted' -> 'visit';
SELECT pg_stat_force_next_flush();
SELECT idx_scan > 0 AS scanned, idx_tup_fetch > 0 AS in_order FROM pg_stat_user_indexes WHERE indexrelname = 'visit_by_person';
