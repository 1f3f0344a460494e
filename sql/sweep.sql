-- Retention: what has outlived its term, and whose it is.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
CREATE EXTENSION effaced;

-- try() runs a statement and shows what it raised: SQLSTATE, message, detail, hint.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', state || ': ' || message, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;
CREATE FUNCTION sweep(as_of timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT concat_ws(' | ', relation, column_name, subject, cutoff AT TIME ZONE 'UTC', expired_rows, expired_subjects, subject_ids, indeterminate_rows)
    FROM effaced_sweep(as_of)
$$;

-- 1. Nothing is labelled: nothing to tell.
SELECT count(*) FROM effaced_sweep();

CREATE TABLE customer (id int PRIMARY KEY, name text, city int);
CREATE TABLE invoice (id int PRIMARY KEY, customer_id int REFERENCES customer, who text, addr text, note text,
                      issued date, paid timestamp, seen timestamptz, ticket int);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.who IS '{"category": "identity", "erasure": "retain",
  "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued"}}';
SECURITY LABEL FOR effaced ON COLUMN invoice.addr IS '{"category": "contact", "erasure": "retain",
  "retention": {"reason": "delivery", "duration": "1 month", "anchor": "paid"}}';
SECURITY LABEL FOR effaced ON COLUMN invoice.note IS '{"category": "communication", "erasure": "anonymize",
  "retention": {"reason": "claims", "duration": "P1M", "anchor": "seen"}}';
SECURITY LABEL FOR effaced ON COLUMN invoice.ticket IS '{"category": "technical", "erasure": "retain",
  "retention": {"reason": "support", "duration": "1 year"}}';
INSERT INTO customer SELECT g, 'SECRET ' || g FROM generate_series(1, 4) g;
INSERT INTO invoice VALUES
  -- a date and a timestamp without time zone are in UTC; the cutoff itself has expired, one microsecond later has not
  (1, 1, 'SECRET', 'SECRET', 'SECRET', '2014-02-28', '2024-01-29 00:00:00', '2024-01-29 00:00:00+00', 1),
  (2, 2, 'SECRET', 'SECRET', 'SECRET', '2014-03-01', '2024-01-29 00:00:00.000001', '2024-01-29 00:00:00.000001+00', 1),
  -- nothing is held in a NULL, and a NULL anchor tells nothing
  (3, 3, NULL, NULL, NULL, '2000-01-01', '2000-01-01', '2000-01-01', NULL),
  (4, 3, 'SECRET', 'SECRET', 'SECRET', NULL, NULL, NULL, NULL),
  -- of one subject several rows, and of no subject one
  (5, 1, 'SECRET', NULL, NULL, '2001-01-01', NULL, NULL, NULL),
  (6, NULL, 'SECRET', NULL, NULL, '2001-01-01', NULL, NULL, NULL),
  (7, 4, 'SECRET', NULL, NULL, 'infinity', NULL, NULL, NULL),
  (8, 4, 'SECRET', NULL, NULL, '-infinity', NULL, NULL, NULL);

-- 2. One month before the end of February is the end of January, whatever the session's time zone.
SELECT sweep('2024-02-29 00:00:00+00');
SELECT event_type, subject, subject_ref, payload FROM effaced_audit_events ORDER BY seq;
SELECT count(*) FROM effaced_audit_events e WHERE e::text LIKE '%SECRET%';
-- the same in other words, a day later, and long before
SELECT sweep('2024-02-29 09:00:00 Asia/Tokyo');
SELECT sweep('2024-03-01 00:00:00+00');
SELECT sweep('1990-01-01');
SELECT reason, cutoff < now() FROM effaced_sweep();
-- no data was changed
SELECT count(*), count(who), count(addr), count(note) FROM invoice;

-- 3. The retained values of who was erased expire too; surrogates do not.
SELECT effaced_erase(1) -> 'anonymized', effaced_erase(1) -> 'retained';
SELECT sweep('2024-02-29 00:00:00+00');

-- 4. What as_of must not be; durations beyond all time.
SELECT try($$SELECT effaced_sweep(NULL)$$);
SELECT try($$SELECT effaced_sweep('infinity')$$);
SECURITY LABEL FOR effaced ON COLUMN invoice.ticket IS '{"category": "technical", "erasure": "retain",
  "retention": {"reason": "support", "duration": "300000 years", "anchor": "paid"}}';
SELECT try($$SELECT effaced_sweep()$$);
SECURITY LABEL FOR effaced ON COLUMN invoice.ticket IS NULL;

-- 5. An anchor that erasure replaces tells nothing afterwards.
CREATE TABLE visit (id int PRIMARY KEY, customer_id int REFERENCES customer, at date NOT NULL, doctor text);
SECURITY LABEL FOR effaced ON COLUMN visit.at IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN visit.doctor IS '{"category": "special", "erasure": "retain",
  "retention": {"reason": "records", "duration": "10 years", "anchor": "at"}}';
INSERT INTO visit VALUES (1, 2, '2023-01-01', 'SECRET'), (2, 3, '2003-01-01', 'SECRET');
SELECT sweep('2024-01-01') OFFSET 3;
SELECT effaced_erase(2) -> 'anonymized' -> 'visit';
SELECT sweep('2024-01-01') OFFSET 3;
SELECT effaced_remove_labels() > 0;
DROP TABLE visit, invoice, customer;

-- 6. Several owners, kinds and links; columns that are tied to a link; rows that "where" leaves out.
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE firm (country text, no numeric, contact text, PRIMARY KEY (country, no));
CREATE TABLE letter (id int PRIMARY KEY, sender int REFERENCES person, receiver int REFERENCES person,
                     country text, no numeric, body text, ip inet, kind text, sent timestamptz,
                     FOREIGN KEY (country, no) REFERENCES firm);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE firm IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN firm.contact IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE letter IS '{"links": [
  {"name": "sender", "path": "sender", "where": "kind <> ''ad''"}, {"name": "receiver", "path": "receiver", "where": "kind <> ''ad''"},
  {"name": "firm", "path": "firm", "where": "kind <> ''ad''"}]}';
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication", "erasure": "retain",
  "retention": {"reason": "records", "duration": "1 year", "anchor": "sent"}}';
SECURITY LABEL FOR effaced ON COLUMN letter.ip IS '{"category": "technical", "erasure": "retain", "link": "sender",
  "retention": {"reason": "records", "duration": "1 year", "anchor": "sent"}}';
INSERT INTO person SELECT g, 'p' || g FROM generate_series(1, 12) g;
INSERT INTO firm VALUES ('d:e', 1.50), ('d\e', 2);
INSERT INTO letter VALUES
  (1, 10, 2, NULL, NULL, 'b', '192.0.2.1', 'letter', '2020-01-01'),
  (2, 2, 10, 'd:e', 1.5, 'b', '192.0.2.1', 'letter', '2020-01-01'),
  (3, NULL, NULL, 'd\e', 2.0, 'b', '192.0.2.1', 'letter', '2020-01-01'),
  (4, NULL, NULL, NULL, NULL, 'b', '192.0.2.1', 'letter', '2020-01-01'),
  (5, 3, 4, 'd:e', 1.5, 'b', '192.0.2.1', 'ad', '2020-01-01'),
  (6, NULL, NULL, NULL, NULL, 'b', '192.0.2.1', 'ad', '2020-01-01'),
  (7, 5, NULL, NULL, NULL, 'b', '192.0.2.1', 'letter', NULL),
  (8, NULL, NULL, 'd:e', 1.5, 'b', '192.0.2.1', 'letter', NULL);
SELECT sweep('2024-01-01');
-- one event per subject, whatever the columns; identifiers are canonical
SELECT subject, subject_ref, payload -> 'columns' FROM effaced_audit_events WHERE event_type = 'retention_expired' AND payload ->> 'as_of' LIKE '2023-12-31%' ORDER BY seq;
SELECT effaced_parse_subject_id(e.subject_ref, 2) = ARRAY[f.country, trim_scale(f.no)::text] FROM effaced_audit_events e, firm f
 WHERE e.subject = 'firm' AND e.subject_ref = effaced_subject_id(f.country, trim_scale(f.no)::text) ORDER BY e.seq;

-- 7. More subjects than are listed: all are counted and recorded.
INSERT INTO person SELECT g, 'p' FROM generate_series(100, 2599) g;
INSERT INTO letter (id, sender, body, kind, sent) SELECT g, g, 'b', 'letter', '2020-01-01' FROM generate_series(100, 2599) g;
SELECT expired_rows, expired_subjects, cardinality(subject_ids), subject_ids[1:4] FROM effaced_sweep('2024-01-02') WHERE column_name = 'body' AND subject = 'person';
SELECT count(*), count(DISTINCT subject_ref) FROM effaced_audit_events WHERE payload ->> 'as_of' LIKE '2024-01-01%' AND subject = 'person';

-- 8. Rows that the caller must not see are an error, not left out.
CREATE ROLE regress_sweeper;
GRANT EXECUTE ON FUNCTION effaced_sweep TO regress_sweeper;
SET ROLE regress_sweeper;
SELECT try($$SELECT effaced_sweep()$$);
RESET ROLE;
GRANT SELECT ON letter, person, firm TO regress_sweeper;
SET ROLE regress_sweeper;
SELECT try($$SELECT effaced_sweep()$$);
RESET ROLE;
ALTER TABLE letter ENABLE ROW LEVEL SECURITY;
SET ROLE regress_sweeper;
SELECT try($$SELECT effaced_sweep()$$);
RESET ROLE;
