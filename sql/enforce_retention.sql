-- Retention enforced: what has expired is replaced or removed where the label
-- says so, batch by batch, and nothing else is.
\pset format unaligned
\pset tuples_only on
CREATE EXTENSION effaced;
CREATE TABLE customer (id int PRIMARY KEY, name text, city int);
CREATE TABLE invoice (id int PRIMARY KEY, customer_id int REFERENCES customer, who text, addr text NOT NULL, memo text, other text, total int,
                      issued date, paid timestamptz);
CREATE INDEX ON invoice (issued);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.who IS '{"category": "identity", "erasure": "retain",
  "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued", "on_expiry": "anonymize"}}';
SECURITY LABEL FOR effaced ON COLUMN invoice.addr IS '{"category": "contact", "erasure": "retain", "surrogate": "''address of '' || id",
  "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued", "on_expiry": "anonymize"}}';
SECURITY LABEL FOR effaced ON COLUMN invoice.memo IS '{"category": "communication", "erasure": "anonymize",
  "retention": {"reason": "claims", "duration": "1 year", "anchor": "paid", "on_expiry": "anonymize"}}';
SECURITY LABEL FOR effaced ON COLUMN invoice.other IS '{"category": "communication", "erasure": "retain",
  "retention": {"reason": "unknown", "duration": "1 day", "anchor": "issued"}}';

-- 1. Nothing has been written yet.
CALL effaced_enforce_retention('2024-01-01');

INSERT INTO customer SELECT g, 'name ' || g, 1 FROM generate_series(1, 30) g;
-- 25 rows have expired, several with the same anchor; of 5 the term runs, 2 cannot be told, 1 is nobody's
INSERT INTO invoice SELECT g, g, 'who ' || g, 'addr ' || g, 'memo ' || g, 'other ' || g, g, date '2010-01-01' + g / 4, '2024-01-01' FROM generate_series(1, 25) g;
INSERT INTO invoice SELECT g, g, 'who ' || g, 'addr ' || g, 'memo ' || g, 'other ' || g, g, date '2020-01-01', '2023-12-31' FROM generate_series(26, 30) g;
INSERT INTO invoice VALUES (31, 1, 'who', 'addr', 'memo', 'other', 1, NULL, NULL), (32, 1, NULL, 'addr', NULL, 'other', 1, NULL, NULL),
  (33, NULL, NULL, 'addr', NULL, 'other', 1, '2010-01-01', '2010-01-01');
CREATE TABLE before AS SELECT * FROM invoice;

-- 2. In batches of 10; restrictions first.
SELECT effaced_restrict('2', reason => 'disputed') IS NOT NULL, effaced_restrict('3', 'ads') IS NOT NULL, effaced_lift_restriction('3', 'ads') IS NOT NULL;
SELECT column_name, expired_rows, indeterminate_rows FROM effaced_sweep('2024-01-01');
CALL effaced_enforce_retention('2024-01-01', 10);
-- what has expired is gone, but for the restricted subject's and what is only reported
SELECT column_name, expired_rows, subject_ids, indeterminate_rows FROM effaced_sweep('2024-01-01');
SELECT id, who ~ '^anon-[0-9a-f]{32}$' AS who, addr, memo, other, total FROM invoice WHERE id IN (1, 2, 3, 25, 26, 31, 32, 33) ORDER BY id;
-- everything else is as it was
SELECT count(*) FROM invoice i JOIN before b USING (id) WHERE (i.id, i.customer_id, i.other, i.total, i.issued, i.paid) IS NOT DISTINCT FROM (b.id, b.customer_id, b.other, b.total, b.issued, b.paid);
SELECT count(*) FROM invoice i JOIN before b USING (id) WHERE i.who = b.who OR i.addr = b.addr;
SELECT subject, subject_ref, payload FROM effaced_audit_events WHERE event_type = 'retention_enforced' ORDER BY seq;
SELECT run_id, as_of = '2024-01-01', batch_rows, backend_pid = pg_backend_pid(), finished_at >= started_at, target, batches, anonymized, deleted, restricted, kept, left_over
  FROM effaced_retention_runs ORDER BY run_id;
-- once more: nothing to do
CALL effaced_enforce_retention('2024-01-01', 10);
-- the surrogates are those of an erasure: erasing changes nothing that was enforced
UPDATE invoice SET memo = NULL WHERE id = 2;
SELECT effaced_lift_restriction('2') IS NOT NULL;
CALL effaced_enforce_retention('2024-01-01', 1);
SELECT effaced_verify('2') -> 'residual';

-- 3. What it must not be called with, and where.
CALL effaced_enforce_retention(NULL);
CALL effaced_enforce_retention('infinity');
CALL effaced_enforce_retention(batch_rows => 0);
CALL effaced_enforce_retention(batch_rows => NULL);
BEGIN;
CALL effaced_enforce_retention();
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL effaced_enforce_retention();
RESET default_transaction_isolation;
DO $$ BEGIN CALL effaced_enforce_retention('2024-01-01'); END $$;
-- labels that cannot be carried out stop it before it begins
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TABLE survey (id int PRIMARY KEY, customer_id int REFERENCES customer, mood mood, taken date);
SECURITY LABEL FOR effaced ON COLUMN survey.mood IS '{"category": "special", "erasure": "retain",
  "retention": {"reason": "study", "duration": "1 year", "anchor": "taken", "on_expiry": "anonymize"}}';
CALL effaced_enforce_retention();
SECURITY LABEL FOR effaced ON COLUMN survey.mood IS NULL;
SECURITY LABEL FOR effaced ON COLUMN survey.customer_id IS NULL;
SECURITY LABEL FOR effaced ON COLUMN survey.id IS '{"category": "special", "erasure": "retain", "surrogate": "0",
  "retention": {"reason": "study", "duration": "1 year", "anchor": "taken", "on_expiry": "anonymize"}}';
CREATE TABLE answer (id int PRIMARY KEY, survey_id int REFERENCES survey);
CALL effaced_enforce_retention();
SECURITY LABEL FOR effaced ON COLUMN survey.id IS NULL;
DROP TABLE answer, survey;

-- 4. A trigger that keeps the old value, or swallows the statement: the batch is undone.
INSERT INTO invoice SELECT g, 4, 'who', 'addr', NULL, NULL, 1, '2010-01-01' FROM generate_series(40, 45) g;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.who := OLD.who; RETURN NEW; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON invoice FOR EACH ROW WHEN (OLD.id = 43) EXECUTE FUNCTION keep();
CALL effaced_enforce_retention('2024-01-01', 2);
SELECT id, who = 'who' FROM invoice WHERE id BETWEEN 40 AND 45 ORDER BY id;
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CALL effaced_enforce_retention('2024-01-01', 2);
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'SECRET %', OLD.who; END $$;
CALL effaced_enforce_retention('2024-01-01', 2);
DROP TRIGGER keep ON invoice;
-- one that is deferred
CREATE CONSTRAINT TRIGGER keep AFTER UPDATE ON invoice DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep();
CALL effaced_enforce_retention('2024-01-01', 2);
DROP TRIGGER keep ON invoice;
CALL effaced_enforce_retention('2024-01-01', 2);
SELECT count(*) FROM invoice WHERE who = 'who' AND issued < '2014-01-01';
SELECT effaced_remove_labels() > 0;
DROP TABLE invoice, customer, before;

-- 5. "delete": the row goes when all that it retains has expired, and nothing else keeps it.
CREATE TABLE customer (id int PRIMARY KEY, name text, city int, boss int REFERENCES customer);
CREATE TABLE ticket (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, parent int REFERENCES ticket, title text, body text, ip inet, note text, opened timestamp, closed date);
CREATE TABLE attachment (id int PRIMARY KEY, ticket_id int REFERENCES ticket ON DELETE CASCADE, data text);
CREATE TABLE rating (id int PRIMARY KEY, ticket_id int REFERENCES ticket ON DELETE SET NULL);
CREATE TABLE bill (id int PRIMARY KEY, ticket_id int NOT NULL REFERENCES ticket ON DELETE SET NULL);
CREATE TABLE step (id int PRIMARY KEY, ticket_no int, what text, at date);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE ticket IS '{"path": "customer_id"}';
SECURITY LABEL FOR effaced ON COLUMN ticket.title IS '{"category": "communication", "erasure": "retain",
  "retention": {"reason": "support", "duration": "1 year", "anchor": "opened", "on_expiry": "delete"}}';
SECURITY LABEL FOR effaced ON COLUMN ticket.body IS '{"category": "communication", "erasure": "retain",
  "retention": {"reason": "support", "duration": "2 years", "anchor": "closed", "on_expiry": "delete"}}';
SECURITY LABEL FOR effaced ON COLUMN ticket.ip IS '{"category": "technical", "erasure": "retain",
  "retention": {"reason": "abuse", "duration": "3 years", "anchor": "opened", "on_expiry": "anonymize"}}';
SECURITY LABEL FOR effaced ON COLUMN ticket.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE step IS '{"hops": [{"source_columns": ["ticket_no"], "target_table": "ticket", "target_columns": ["id"]},
  {"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN step.what IS '{"category": "behavioral", "erasure": "retain",
  "retention": {"reason": "support", "duration": "1 year", "anchor": "at", "on_expiry": "delete"}}';
INSERT INTO customer SELECT g, 'name', 1 FROM generate_series(1, 5) g;
INSERT INTO ticket (id, customer_id, parent, title, body, ip, note, opened, closed) VALUES
  (1, 1, NULL, 't', 'b', '192.0.2.1', 'n', '2020-01-01', '2020-01-02'),   -- goes
  (2, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2022-12-31'),          -- the body's term runs
  (3, 1, NULL, 't', NULL, NULL, 'n', '2020-01-01', NULL),                 -- goes: nothing else is retained
  (4, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', NULL),                  -- nobody can tell
  (5, 1, NULL, 't', 'b', '192.0.2.1', 'n', '2022-06-01', '2020-01-01'),   -- the address has to be kept
  (6, 2, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),          -- under a restriction
  (7, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),          -- an attachment keeps it
  (8, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),          -- a rating does not
  (9, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),          -- goes after its child
  (10, 1, 9, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),            -- goes after its child
  (11, 1, 10, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),           -- goes
  (12, 1, 12, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),           -- goes: only it itself references it
  (13, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),         -- goes after its step
  (14, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01'),         -- its step's way leads over it
  (15, 1, NULL, NULL, NULL, NULL, 'n', '2020-01-01', '2020-01-01'),       -- retains nothing
  (16, 1, NULL, 't', 'b', NULL, 'n', '2020-01-01', '2020-01-01');         -- a bill keeps it, which cannot do without
INSERT INTO attachment VALUES (1, 7, 'x');
INSERT INTO rating VALUES (1, 8);
INSERT INTO bill VALUES (1, 16);
INSERT INTO step VALUES (1, 13, 'w', '2020-01-01'), (2, 14, 'w', '2023-12-01');
SELECT effaced_restrict('2') IS NOT NULL;
CALL effaced_enforce_retention('2024-01-01', 2);
SELECT string_agg(id::text, ' ' ORDER BY id) FROM ticket;
SELECT * FROM attachment;
SELECT * FROM rating;
SELECT id FROM step;
SELECT id, ip FROM ticket WHERE id = 5;
SELECT payload, count(*) FROM effaced_audit_events WHERE event_type = 'retention_enforced' AND payload ->> 'target' IN ('ticket', 'step') GROUP BY 1 ORDER BY 1;
-- the reasons gone, the rows go
SELECT effaced_lift_restriction('2') IS NOT NULL;
TRUNCATE attachment;
CALL effaced_enforce_retention('2025-01-01', 1000);
SELECT string_agg(id::text, ' ' ORDER BY id) FROM ticket;

-- 6. A value that is only to be reported keeps the row, though its term is over.
SECURITY LABEL FOR effaced ON COLUMN ticket.note IS '{"category": "communication", "erasure": "retain",
  "retention": {"reason": "support", "duration": "1 day", "anchor": "opened"}}';
INSERT INTO ticket VALUES (20, 1, NULL, 't', NULL, NULL, 'n', '2020-01-01', NULL), (21, 1, NULL, 't', NULL, NULL, NULL, '2020-01-01', NULL);
CALL effaced_enforce_retention('2024-01-01');
SELECT id FROM ticket WHERE id >= 20;
SELECT effaced_remove_labels() > 0;
DROP TABLE step, rating, bill, attachment, ticket, customer;

-- 7. Partitions, tables without a key, "where", several owners, hostile names.
CREATE SCHEMA "Sch"".x";
CREATE TABLE "Sch"".x"."Per son" ("I d" text, "no" int, "na'me" text, PRIMARY KEY ("I d", "no"));
CREATE TABLE "Sch"".x"."Lo""g" ("own er" text, "own no" int, other_id text, other_no int, kind text, "te""xt" text, "A t" timestamptz) PARTITION BY RANGE ("A t");
CREATE TABLE "Sch"".x".part_1 PARTITION OF "Sch"".x"."Lo""g" FOR VALUES FROM ('2000-01-01') TO ('2015-01-01');
CREATE TABLE "Sch"".x".part_2 PARTITION OF "Sch"".x"."Lo""g" DEFAULT;
SECURITY LABEL FOR effaced ON TABLE "Sch"".x"."Per son" IS '{"path": "", "subject": "p:1"}';
SECURITY LABEL FOR effaced ON COLUMN "Sch"".x"."Per son"."na'me" IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE "Sch"".x"."Lo""g" IS '{"links": [
  {"name": "own", "where": "kind = ''p''", "hops": [{"source_columns": ["own er", "own no"], "target_table": "\"Sch\"\".x\".\"Per son\"", "target_columns": ["I d", "no"]}]},
  {"name": "other", "where": "kind = ''p''", "hops": [{"source_columns": ["other_id", "other_no"], "target_table": "\"Sch\"\".x\".\"Per son\"", "target_columns": ["I d", "no"]}]}]}';
SECURITY LABEL FOR effaced ON COLUMN "Sch"".x"."Lo""g"."te""xt" IS '{"category": "behavioral", "erasure": "retain", "surrogate": "''gone''",
  "retention": {"reason": "records", "duration": "1 year", "anchor": "A t", "on_expiry": "anonymize"}}';
INSERT INTO "Sch"".x"."Per son" VALUES ('a:b', 1, 'x'), ('c\d', 2, 'y');
INSERT INTO "Sch"".x"."Lo""g" SELECT 'a:b', 1, NULL, NULL, 'p', 'text', timestamptz '2014-12-25' + g * interval '1 day' FROM generate_series(1, 14) g;
INSERT INTO "Sch"".x"."Lo""g" SELECT 'a:b', 1, 'c\d', 2, 'p', 'shared', timestamptz '2014-12-25' + g * interval '1 day' FROM generate_series(1, 14) g;
INSERT INTO "Sch"".x"."Lo""g" SELECT 'a:b', 1, NULL, NULL, 'firm', 'firm''s', timestamptz '2014-12-25' + g * interval '1 day' FROM generate_series(1, 14) g;
SELECT effaced_restrict(effaced_subject_id('c\d', '2')) IS NOT NULL;
CALL effaced_enforce_retention('2024-01-01', 5);
SELECT tableoid::regclass, "te""xt", count(*) FROM "Sch"".x"."Lo""g" GROUP BY 1, 2 ORDER BY 1, 2;

-- 8. Privileges: to execute, and on the tables; rows that are hidden are an error.
CREATE ROLE regress_keeper;
SET ROLE regress_keeper;
CALL effaced_enforce_retention('2024-01-01');
RESET ROLE;
GRANT EXECUTE ON PROCEDURE effaced_enforce_retention TO regress_keeper;
GRANT USAGE ON SCHEMA "Sch"".x" TO regress_keeper;
GRANT SELECT ON "Sch"".x"."Lo""g" TO regress_keeper;
INSERT INTO "Sch"".x"."Lo""g" VALUES ('a:b', 1, NULL, NULL, 'p', 'text', '2014-01-01');
SET ROLE regress_keeper;
CALL effaced_enforce_retention('2024-01-01');
RESET ROLE;
GRANT UPDATE ON "Sch"".x"."Lo""g" TO regress_keeper;
ALTER TABLE "Sch"".x"."Lo""g" ENABLE ROW LEVEL SECURITY;
SET ROLE regress_keeper;
CALL effaced_enforce_retention('2024-01-01');
RESET ROLE;
ALTER TABLE "Sch"".x"."Lo""g" DISABLE ROW LEVEL SECURITY;
SET ROLE regress_keeper;
CALL effaced_enforce_retention('2024-01-01');
SELECT * FROM effaced_retention_runs;
RESET ROLE;
SELECT count(*) FROM effaced_audit_events e WHERE e::text ~ 'SECRET|who 1|addr 1';
