-- A sweep reads together what has one term, and tells the columns, rows and subjects apart.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE EXTENSION citext;
CREATE FUNCTION sweep(as_of timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT concat_ws(' | ', relation, column_name, subject, expired_rows, expired_subjects, subject_ids, indeterminate_rows)
    FROM effaced_sweep(as_of)
$$;
-- the events of a sweep: which columns, of how many subjects and of whom
CREATE FUNCTION events(as_of timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT concat_ws(' | ', subject, array_agg(subject_ref ORDER BY subject_ref), payload -> 'columns')
    FROM effaced_audit_events WHERE event_type = 'retention_expired' AND (payload ->> 'as_of')::timestamptz = as_of
   GROUP BY subject, payload -> 'columns' ORDER BY 1
$$;
CREATE FUNCTION retain(column_name text, duration text, more text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %s IS %L', column_name, format('{"category": "behavioral", "erasure": "retain", %s
    "retention": {"reason": "records", "duration": "%s", "anchor": "at"}}', more, duration));
END $$;
CREATE TABLE customer (id int PRIMARY KEY, name text, city int);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
INSERT INTO customer SELECT g, 'n', 1 FROM generate_series(1, 3000) g;

-- 1. One table: columns of one term, however it is written, and of another; a column may be called anything.
CREATE TABLE note (id int PRIMARY KEY, customer_id int REFERENCES customer, a text, b text, c int, columns text, d text, at date);
SELECT retain('note.a', '1 year'), retain('note.c', '12 months'), retain('note.columns', 'P1Y'), retain('note.d', '2 years');
SECURITY LABEL FOR effaced ON COLUMN note.b IS '{"category": "behavioral", "erasure": "anonymize",
  "retention": {"reason": "records", "duration": "1 year", "anchor": "at"}}';
INSERT INTO note VALUES
  -- of one subject some columns here and some there, some of them twice
  (1, 1, 'x', NULL, NULL, NULL, NULL, '2022-06-01'), (2, 1, NULL, 'x', NULL, NULL, NULL, '2022-06-01'),
  (3, 1, 'x', 'x', NULL, NULL, NULL, '2022-06-01'), (4, 1, NULL, NULL, NULL, NULL, NULL, '2022-06-01'),
  (5, 2, 'x', 'x', 1, 'x', 'x', '2022-06-01'), (6, 2, 'x', 'x', 1, 'x', 'x', '2020-06-01'),
  -- of nobody; of a term that has not ended, of no term
  (7, NULL, 'x', NULL, 1, NULL, NULL, '2022-06-01'), (8, 3, 'x', 'x', 1, 'x', 'x', '2023-06-01'),
  (9, 3, 'x', NULL, 1, NULL, NULL, NULL), (10, NULL, NULL, NULL, 1, NULL, 'x', NULL);
SELECT sweep('2024-01-01');
SELECT events('2024-01-01');
-- what was replaced has no term any more
SELECT effaced_erase(2) -> 'anonymized' -> 'note';
SELECT sweep('2024-01-02');
SELECT events('2024-01-02');

-- 2. Rows that are reached over others, and rows with several owners, of whom each is told and each row is counted once.
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customer);
CREATE TABLE item (id int PRIMARY KEY, columns int REFERENCES orders, text text, memo text, at date);
CREATE TABLE document (id int PRIMARY KEY, body text, at date);
CREATE TABLE share (document_id int REFERENCES document, customer_id int REFERENCES customer);
CREATE TABLE call (id int PRIMARY KEY, caller int REFERENCES customer, callee int REFERENCES customer, text text, place text, cell text, kind text, at date);
SECURITY LABEL FOR effaced ON TABLE item IS '{"path": "columns.customer_id"}';
SECURITY LABEL FOR effaced ON TABLE document IS '{"path": "share(document_id).customer_id"}';
SECURITY LABEL FOR effaced ON TABLE call IS '{"links": [{"name": "caller", "path": "caller", "where": "kind = ''out''"}, {"name": "callee", "path": "callee"}]}';
SELECT retain('item.text', '1 year'), retain('item.memo', '1 year'), retain('document.body', '1 year'), retain('call.text', '1 year'),
       retain('call.place', '1 year'), retain('call.cell', '1 year', '"link": "caller", ');
INSERT INTO orders VALUES (1, 1), (2, 1), (3, 4), (4, NULL);
INSERT INTO item VALUES (1, 1, 'x', NULL, '2022-06-01'), (2, 2, 'x', 'x', '2022-06-01'), (3, 3, NULL, 'x', '2022-06-01'),
  (4, 4, 'x', 'x', '2022-06-01'), (5, NULL, 'x', 'x', '2022-06-01'), (6, 3, 'x', 'x', NULL), (7, 3, NULL, NULL, '2022-06-01');
INSERT INTO document SELECT g, 'x', '2022-06-01' FROM generate_series(1, 3) g;
INSERT INTO share VALUES (1, 1), (1, 4), (1, 4), (2, 5), (NULL, 6);
INSERT INTO call VALUES (1, 1, 7, 'x', 'x', 'x', 'out', '2022-06-01'), (2, 7, 7, 'x', NULL, 'x', 'out', '2022-06-01'),
  (3, 8, NULL, 'x', 'x', 'x', 'in', '2022-06-01'), (4, NULL, NULL, 'x', NULL, NULL, 'out', '2022-06-01'), (5, 9, 8, NULL, 'x', NULL, 'in', '2022-06-01');
SELECT sweep('2024-01-03');
SELECT events('2024-01-03');
SELECT effaced_remove_labels() > 0;
DROP TABLE note, item, orders, share, document, call;

-- 3. A link with "where"; nobody's rows, of a table that only shows them to somebody.
CREATE TABLE login (id int PRIMARY KEY, customer_id int REFERENCES customer, ip text, kind text, at date);
CREATE TABLE news (id int PRIMARY KEY, customer_id int REFERENCES customer, author text, at date);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "where": "name <> ''robot''"}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "customer_id", "where": "kind = ''web''"}';
SECURITY LABEL FOR effaced ON TABLE news IS '{"path": "customer_id", "role": "accessor"}';
SELECT retain('login.ip', '1 year'), retain('news.author', '1 year');
UPDATE customer SET name = 'robot' WHERE id = 3;
INSERT INTO login VALUES (1, 1, 'x', 'web', '2022-06-01'), (2, 2, 'x', 'cron', '2022-06-01'), (3, 3, 'x', 'web', '2022-06-01'),
  (4, NULL, 'x', 'web', '2022-06-01'), (5, NULL, 'x', NULL, '2022-06-01'), (6, 4, 'x', NULL, '2022-06-01'), (7, 4, 'x', 'web', NULL);
INSERT INTO news VALUES (1, 1, 'x', '2022-06-01'), (2, NULL, 'x', NULL);
SELECT sweep('2024-01-04');
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SELECT sweep('2024-01-05');
SELECT events('2024-01-05');
SELECT effaced_remove_labels() > 0;
DROP TABLE login, news;

-- 4. Keys: spellings of one subject, parts that are missing, and a subject's own row.
CREATE TABLE account (email citext PRIMARY KEY, name text, phone text, at date);
CREATE TABLE firm (country text, no numeric, name text, at date, PRIMARY KEY (country, no));
CREATE TABLE visit (id int PRIMARY KEY, email citext REFERENCES account, country text, no numeric, page text, query text, at date, FOREIGN KEY (country, no) REFERENCES firm);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE firm IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"links": [{"name": "email", "path": "email", "where": "query IS DISTINCT FROM ''robot''"}, {"name": "firm", "path": "visit_country_no_fkey"}]}';
SELECT retain('account.name', '1 year'), retain('account.phone', '1 year'), retain('firm.name', '1 year'), retain('visit.page', '1 year'), retain('visit.query', '1 year');
INSERT INTO account VALUES ('Ann@x', 'x', NULL, '2022-06-01'), ('bob@x', NULL, 'x', '2022-06-01'), ('eve@x', 'x', 'x', '2024-01-01');
INSERT INTO firm VALUES ('a:b', 1.50, 'x', '2022-06-01'), ('a', 2, 'x', '2024-01-01');
INSERT INTO visit VALUES (1, 'ann@X', NULL, NULL, 'x', NULL, '2022-06-01'), (2, 'ANN@x', 'a:b', 1.5, NULL, 'x', '2022-06-01'),
  (3, 'Eve@x', 'a', 2.00, 'x', 'x', '2022-06-01'), (4, NULL, 'a', NULL, 'x', 'x', '2022-06-01'), (5, NULL, NULL, 2, 'x', NULL, NULL),
  -- nobody's, since the link does not hold
  (6, 'bob@x', NULL, NULL, NULL, 'robot', '2022-06-01');
SELECT sweep('2024-01-06');
SELECT events('2024-01-06');
SELECT effaced_remove_labels() > 0;
DROP TABLE visit, account, firm;

-- 5. More columns than one scan takes, and more subjects than are recorded at a time, each once.
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SELECT format('CREATE TABLE wide (id int PRIMARY KEY, customer_id int REFERENCES customer, at date, %s)', string_agg(format('c%s int', g), ', ')) FROM generate_series(1, 130) g \gexec
SELECT count(retain('wide.c' || g, '1 year')) FROM generate_series(1, 130) g;
INSERT INTO wide (id, customer_id, at, c1, c62, c63, c124, c125, c130) VALUES (1, 1, '2022-06-01', 1, 1, 1, NULL, 1, NULL), (2, 1, '2022-06-01', NULL, NULL, NULL, 1, NULL, NULL), (3, 2, '2022-06-01', NULL, NULL, NULL, NULL, NULL, 1);
SELECT column_name, expired_rows, expired_subjects, subject_ids FROM effaced_sweep('2024-01-07') WHERE expired_rows > 0;
SELECT events('2024-01-07');
SELECT effaced_remove_labels() > 0;
DROP TABLE wide;
CREATE TABLE bill (id int PRIMARY KEY, customer_id int REFERENCES customer, address text, place text, at date);
CREATE TABLE letter (id int PRIMARY KEY, customer_id int REFERENCES customer, body text, at date);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SELECT retain('bill.address', '1 year'), retain('bill.place', '1 year');
INSERT INTO bill SELECT g, 1 + g % 2500, CASE WHEN g % 3 > 0 THEN 'x' END, CASE WHEN g % 2 > 0 THEN 'x' END, '2022-06-01' FROM generate_series(1, 5000) g;
INSERT INTO letter SELECT g, 501 + g % 2500, 'x', '2022-06-01' FROM generate_series(1, 2500) g;
CREATE VIEW recorded AS SELECT (payload ->> 'as_of')::date AS as_of, payload -> 'columns' AS columns, count(*), count(DISTINCT subject_ref) AS subjects,
    min(subject_ref::int), max(subject_ref::int) FROM effaced_audit_events WHERE event_type = 'retention_expired' AND subject = 'customer' GROUP BY 1, 2;
SELECT column_name, expired_rows, expired_subjects, cardinality(subject_ids), subject_ids[1:3], subject_ids[1000] FROM effaced_sweep('2024-01-08');
SELECT * FROM recorded WHERE as_of = '2024-01-08' ORDER BY 2;
SELECT retain('letter.body', '2 months');
SELECT column_name, expired_rows, expired_subjects, cardinality(subject_ids), subject_ids[1:3], subject_ids[1000] FROM effaced_sweep('2024-01-09');
SELECT * FROM recorded WHERE as_of = '2024-01-09' ORDER BY 2;
-- as the rows say
SELECT columns, count(*) FROM (
  SELECT c.id, jsonb_agg(DISTINCT x) AS columns FROM customer c CROSS JOIN LATERAL (
    SELECT 'bill.address' FROM bill WHERE customer_id = c.id AND address IS NOT NULL UNION ALL SELECT 'bill.place' FROM bill WHERE customer_id = c.id AND place IS NOT NULL
    UNION ALL SELECT 'letter.body' FROM letter WHERE customer_id = c.id) AS e (x) GROUP BY c.id) AS s GROUP BY 1 ORDER BY 1;
-- in order of recording, with identifiers that go up
SELECT count(*) FROM (SELECT event_id < lag(event_id) OVER (ORDER BY seq) AS down FROM effaced_audit_events WHERE payload ->> 'as_of' LIKE '2024-01-09%') AS e WHERE down;
SELECT effaced_remove_labels() > 0;
DROP TABLE bill, letter;

-- 6. Keys that are equal in other spellings, and links whose columns have collations that do not go together.
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE guest (name text COLLATE ignore_case PRIMARY KEY);
CREATE TABLE stay (id int PRIMARY KEY, guest text COLLATE ignore_case REFERENCES guest, room text, bill text, at date);
SECURITY LABEL FOR effaced ON TABLE guest IS '{"path": ""}';
SELECT retain('stay.room', '1 year'), retain('stay.bill', '1 year');
INSERT INTO guest VALUES ('Ann'), ('Bob');
INSERT INTO stay VALUES (1, 'ann', 'x', NULL, '2022-06-01'), (2, 'ANN', NULL, 'x', '2022-06-01'), (3, 'aNN', 'x', 'x', '2022-06-01'), (4, 'Bob', 'x', NULL, '2022-06-01');
SELECT relation, column_name, expired_rows, expired_subjects, lower(subject_ids::text) FROM effaced_sweep('2024-01-10');
SELECT lower(subject_ref), payload -> 'columns' FROM effaced_audit_events WHERE payload ->> 'as_of' LIKE '2024-01-10%' ORDER BY 1;
SELECT effaced_remove_labels() > 0;
DROP TABLE stay, guest;
CREATE TABLE guest (name text PRIMARY KEY);
CREATE TABLE stay (id int PRIMARY KEY, guest text COLLATE "C" REFERENCES guest, payer text COLLATE "POSIX" REFERENCES guest, room text, at date);
SECURITY LABEL FOR effaced ON TABLE guest IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE stay IS '{"links": [{"name": "guest", "path": "guest"}, {"name": "payer", "path": "payer"}]}';
SELECT retain('stay.room', '1 year');
INSERT INTO guest VALUES ('Ann'), ('Bob');
INSERT INTO stay VALUES (1, 'Ann', 'Bob', 'x', '2022-06-01'), (2, 'Bob', 'Bob', 'x', '2022-06-01');
SELECT sweep('2024-01-11');
SELECT effaced_remove_labels() > 0;
DROP TABLE stay, guest;
