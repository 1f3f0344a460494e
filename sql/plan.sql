-- effaced_plan() tells, step by step and with its statement, what an erasure
-- would do. It looks at labels and catalogs only, never at a row.
CREATE EXTENSION effaced;

CREATE TABLE customer (
	id     int PRIMARY KEY,
	email  text NOT NULL UNIQUE,
	name   text,
	joined date NOT NULL
);
CREATE TABLE address (
	id          int PRIMARY KEY,
	customer_id int NOT NULL REFERENCES customer,
	street      text NOT NULL
);
CREATE TABLE purchase (
	id          int PRIMARY KEY,
	customer_id int NOT NULL REFERENCES customer,
	address_id  int REFERENCES address,
	total       numeric(10,2) NOT NULL,
	note        varchar(30)
);
CREATE TABLE invoice (
	id          int PRIMARY KEY,
	purchase_id int NOT NULL REFERENCES purchase,
	issued      date NOT NULL,
	billed_to   text NOT NULL
);
CREATE TABLE newsletter (
	customer_id int PRIMARY KEY REFERENCES customer,
	topics      text[] NOT NULL
);
CREATE TABLE stock (
	sku text PRIMARY KEY,
	price numeric
);

SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE purchase IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN purchase.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "purchase.customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.billed_to IS
	'{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued"}}';
SECURITY LABEL FOR effaced ON TABLE newsletter IS '{"path": "customer", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN newsletter.customer_id IS '{"category": "behavioral"}';

-- A row goes where everything in it is labelled "delete", a key or "owned". It
-- survives where it has something else: then the label's columns are replaced,
-- and those to retain are named with the reason. References to rows that go are
-- set to NULL first, and rows go before the rows that they reference.
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1');

-- Each step is one statement. Identifiers are parameters, so is the secret.
\pset format unaligned
\pset tuples_only on
SELECT step, strategy, relation || E'\n  ' || replace(statement, ' WHERE ', E'\n  WHERE ') FROM effaced_plan('1');
\pset tuples_only off
\pset format aligned

-- The same text for whoever and whatever is in the tables, ...
CREATE TEMPORARY TABLE before AS SELECT * FROM effaced_plan('1');
INSERT INTO customer VALUES (1, 'ada@example.com', 'Ada', '2020-02-02'), (2, 'ben@example.com', 'Ben', '2021-03-03');
INSERT INTO purchase VALUES (11, 1, NULL, 10, 'for Carl');
CREATE VIEW other AS SELECT * FROM effaced_plan('2');
SELECT count(*) AS steps FROM before;
(TABLE before EXCEPT TABLE other) UNION ALL (TABLE other EXCEPT TABLE before);
SELECT effaced_erase('1') -> 'deleted' AS deleted;
(TABLE before EXCEPT TABLE other) UNION ALL (TABLE other EXCEPT TABLE before);
-- ... in other settings and in another session too.
SET search_path = pg_catalog;
SET "DateStyle" = 'German, DMY';
SET standard_conforming_strings = off;
SET quote_all_identifiers = on;
SELECT count(*) AS differing FROM public.other o FULL JOIN pg_temp.before b USING (step, strategy, columns, reason, statement)
 WHERE o.step IS NULL OR b.step IS NULL;
RESET ALL;
CREATE TABLE kept AS TABLE before;
\c
(TABLE kept EXCEPT TABLE other) UNION ALL (TABLE other EXCEPT TABLE kept);

-- Planning reads labels and catalogs only: no privilege on the tables is needed.
CREATE ROLE regress_planner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_planner;
SET ROLE regress_planner;
SELECT count(*) FROM effaced_plan('1');
SELECT count(*) FROM customer;
RESET ROLE;
SELECT count(*) AS events FROM effaced_audit_events WHERE event_type = 'erasure_requested';

-- The identifier may be of any scalar type, and arguments may be named.
SELECT count(*) FROM effaced_plan(1);
SELECT count(*) FROM effaced_plan(1::bigint, subject => 'customer');
SELECT count(*) FROM effaced_plan(subject_id => '1', tables => '{purchase}');
SELECT step, relation, strategy FROM effaced_plan('1', tables => '{invoice,newsletter}');

-- It must fit the key; the message names the table and not the value.
SELECT * FROM effaced_plan('one');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan('7e1');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan('99999999999');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan(gen_random_uuid());
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan(NULL::text);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan(NULL::int);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan(repeat('1', 100000));
\echo :LAST_ERROR_SQLSTATE

-- Tables outside the map, and tables that are none.
SELECT * FROM effaced_plan('1', tables => '{stock}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan('1', tables => '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan('1', tables => '{address,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_plan('1', subject => 'address');
\echo :LAST_ERROR_SQLSTATE

-- With a second subject table the call has to name one. A uuid as key works
-- like any other.
CREATE TABLE visitor (id uuid PRIMARY KEY, ip inet);
SECURITY LABEL FOR effaced ON TABLE visitor IS '{"path": "", "subject": "visitor of the site"}';
SECURITY LABEL FOR effaced ON COLUMN visitor.ip IS '{"category": "technical"}';
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
SELECT step, relation, strategy, statement FROM effaced_plan(uuid '00000000-0000-0000-0000-00000000000a', 'visitor');
SELECT step, relation, strategy FROM effaced_plan('{0000000000000000000000000000000A}', 'visitor');
SELECT count(*) FROM effaced_plan(1, 'customer');

DROP OWNED BY regress_planner;
DROP ROLE regress_planner;
