-- Rows that nobody owns, and accounts that were merged.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

CREATE TABLE cust (id int PRIMARY KEY, email text, manager int REFERENCES cust, merged_into int REFERENCES cust);
CREATE TABLE ord (id int PRIMARY KEY, cust_id int REFERENCES cust, ship_email text, kind text);
CREATE TABLE item (id int PRIMARY KEY, ord_id int REFERENCES ord, note text);
CREATE INDEX ON ord (cust_id);
CREATE INDEX ON item (ord_id);
SECURITY LABEL FOR effaced ON TABLE cust IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN cust.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE ord IS '{"path": "cust_id"}';
SECURITY LABEL FOR effaced ON COLUMN ord.ship_email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE item IS '{"path": "ord.cust"}';
SECURITY LABEL FOR effaced ON COLUMN item.note IS '{"category": "communication"}';
INSERT INTO cust VALUES (1, 'ada@example.com');
INSERT INTO ord VALUES (1, 1, 'ada@example.com'), (2, NULL, 'ada@example.com'), (3, NULL, 'guest@example.com'), (4, NULL, NULL);
INSERT INTO item VALUES (1, 1, 'hers'), (2, 2, 'nobody''s'), (3, NULL, 'nobody''s');

-- 1. Counted with a sample, since it reads; the hint selects them.
SELECT count(*) FROM effaced_lint() WHERE code = 'rows_without_owner';
SELECT relation, message, hint FROM effaced_lint(sample => 1) WHERE code = 'rows_without_owner' ORDER BY 1;
SELECT hint AS statement FROM effaced_lint(sample => 1) WHERE code = 'rows_without_owner' AND relation = 'ord'::regclass \gset
:statement

-- 2. Who is erased leaves none behind; a guest's row needs an owner.
UPDATE ord SET cust_id = 1 WHERE id IN (2, 3);
DELETE FROM item WHERE id = 3;
SELECT count(*) FROM effaced_lint(sample => 1) WHERE code = 'rows_without_owner';

-- 3. The account that goes on: a manager is somebody else.
SELECT relation, column_name, message, hint FROM effaced_lint() WHERE code = 'merged_into';
INSERT INTO ord VALUES (5, NULL, 'guest@example.com');
\pset tuples_only off
\pset format aligned
SELECT code, severity, relation, column_name FROM effaced_lint(sample => 1) WHERE code IN ('merged_into', 'rows_without_owner') ORDER BY 1;
