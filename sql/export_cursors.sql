-- Records that are read by a cursor which outlives the transaction, or by a
-- loop that ends it; and what an export leaves behind.
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE post (id int PRIMARY KEY, person_id int REFERENCES person, note text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN post.note IS '{"category": "identity"}';
INSERT INTO person VALUES (1, 'Ada');
INSERT INTO post SELECT n, 1, 'n' || n FROM generate_series(1, 50) n;

-- WITH HOLD, under names that meet in different order when the transaction ends
BEGIN; DECLARE c1 CURSOR WITH HOLD FOR SELECT value FROM effaced_export_records('1'); MOVE 5 FROM c1; COMMIT; MOVE 45 FROM c1; FETCH ALL FROM c1; CLOSE c1;
BEGIN; DECLARE c2 CURSOR WITH HOLD FOR SELECT value FROM effaced_export_records('1'); MOVE 5 FROM c2; COMMIT; MOVE 45 FROM c2; FETCH ALL FROM c2; CLOSE c2;
BEGIN; DECLARE abc CURSOR WITH HOLD FOR SELECT value FROM effaced_export_records('1'); MOVE 5 FROM abc; COMMIT; MOVE 45 FROM abc; FETCH ALL FROM abc; CLOSE abc;
BEGIN; DECLARE xyz CURSOR WITH HOLD FOR SELECT value FROM effaced_export_records('1'); MOVE 5 FROM xyz; COMMIT; MOVE 45 FROM xyz; FETCH ALL FROM xyz; CLOSE xyz;
BEGIN; DECLARE h5 CURSOR WITH HOLD FOR SELECT value FROM effaced_export_records('1'); COMMIT; MOVE 50 FROM h5; FETCH ALL FROM h5; CLOSE h5;
BEGIN; DECLARE h6 SCROLL CURSOR WITH HOLD FOR SELECT value FROM effaced_export_records('1'); MOVE 5 FROM h6; UPDATE post SET note = 'later' WHERE id > 40; COMMIT; FETCH LAST FROM h6; CLOSE h6;
SELECT count(*) AS cursors FROM pg_cursors;

-- Loops of PL/pgSQL that end the transaction, more than once a session
DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM effaced_export_records('1') LOOP n := n + 1; COMMIT; END LOOP; RAISE WARNING '%', n; END $$;
DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM effaced_export_records('1') LOOP n := n + 1; ROLLBACK; END LOOP; RAISE WARNING '%', n; END $$;
DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM effaced_export_records('1') LOOP n := n + 1; ROLLBACK; END LOOP; RAISE WARNING '%', n; END $$;
DO $$ DECLARE r record; n int := 0; BEGIN FOR i IN 1..20 LOOP FOR r IN SELECT * FROM effaced_export_records('1') LOOP n := n + 1; COMMIT; EXIT WHEN n % 7 = 0; END LOOP; END LOOP; RAISE WARNING '%', n; END $$;
SELECT count(*) AS cursors FROM pg_cursors;
BEGIN; SELECT count(*) FROM (SELECT FROM effaced_export_records('1') LIMIT 20) r; SELECT count(*) AS cursors FROM pg_cursors; COMMIT;

-- A record that is taken whole is what its columns are, and stays so when the next one comes.
BEGIN;
INSERT INTO person VALUES (2, 'Ben');
INSERT INTO post SELECT 100 + n, 2, repeat('n', 300 * (n % 3)) FROM generate_series(1, 5) n;
SELECT array_agg(s.r::text) = ARRAY(SELECT e::text FROM effaced_export_records('2') e) AS same, count(*), count(DISTINCT s.r)
  FROM (SELECT effaced_export_stream('2', NULL) AS r) s;
SELECT length(r::text) FROM unnest((SELECT array_agg(s.r) FROM (SELECT effaced_export_stream('2', NULL) AS r) s)) r (source text, row_key jsonb,
	field text, category text, value jsonb, legal_basis text, purpose text, retention_reason text, expires_at timestamptz);
ROLLBACK;

-- Many sources: what is kept of one outlasts the reading of the others.
DO $$
BEGIN
	FOR n IN 1..120 LOOP
		EXECUTE format('CREATE TABLE source_%s (id int PRIMARY KEY, person_id int REFERENCES person, note json)', n);
		EXECUTE format('INSERT INTO source_%s VALUES (1, 1, %L)', n, CASE WHEN n % 2 = 0 THEN '"\u0000"' ELSE '"x"' END);
		EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN source_%s.note IS %L', n, '{"category": "technical"}');
	END LOOP;
END $$;
SELECT jsonb_array_length(e -> 'incomplete_sources') AS incomplete, e -> 'incomplete_sources' -> 59 AS last,
       jsonb_array_length(e -> 'records') AS records FROM effaced_export(1) e;
SELECT jsonb_array_length(payload -> 'incomplete_sources') AS incomplete FROM effaced_audit_events ORDER BY seq DESC LIMIT 1;

-- Whether a subject is erased is looked up by the index of the trail.
INSERT INTO effaced.effaced_audit_events (event_type, subject, subject_ref) SELECT 'consent_granted', 'person', n FROM generate_series(1, 20000) n;
\c -
SELECT count(*) FROM effaced_export_records('2');
SELECT pg_stat_force_next_flush();
SELECT idx_scan > 0 AS by_index FROM pg_stat_user_indexes WHERE indexrelname = 'effaced_audit_events_subject_ref_idx';
