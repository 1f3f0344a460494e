-- Where labelled values are found besides their own columns, and who may read
-- them: a section per code; after its hint was run there is nothing left to say.
CREATE EXTENSION effaced;
CREATE TABLE customers (id int PRIMARY KEY, name text, email text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, note text, placed date);
CREATE INDEX ON orders (customer_id);
SECURITY LABEL FOR effaced ON TABLE customers IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customers.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN customers.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "customer", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN orders.note IS '{"category": "communication"}';
INSERT INTO customers SELECT i, 'Name ' || i % 3, 'user' || i || '@example.com' FROM generate_series(1, 40) i;
SELECT * FROM effaced_lint();
\x on

--
-- statistics_copy_labelled: most common values and bounds of the histogram.
--
CREATE INDEX customers_lower ON customers (lower(email), name);
CREATE INDEX orders_placed ON orders (placed);
ANALYZE customers, orders;
\set in_statistics 'SELECT tablename, attname FROM pg_stats WHERE tablename ~ ''^customers'' AND coalesce(most_common_vals, histogram_bounds)::text ~* ''user|name'' ORDER BY 1, 2;'
:in_statistics
SELECT * FROM effaced_lint() WHERE code = 'statistics_copy_labelled';
SELECT hint FROM effaced_lint() WHERE code = 'statistics_copy_labelled' \gexec
SELECT code FROM effaced_lint();
-- A session knows its indexes as they were; others collect no values any more.
\c -
ANALYZE customers;
:in_statistics
SELECT code FROM effaced_lint();
DROP INDEX customers_lower, orders_placed;
-- Of partitions, too, and of the table over them.
BEGIN;
CREATE TABLE visits (id int, customer_id int REFERENCES customers, "Pa""ge" text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (10);
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM (10) TO (20);
CREATE INDEX ON visits (customer_id);
INSERT INTO visits SELECT i, i, 'page of ' || i FROM generate_series(1, 19) i;
SECURITY LABEL FOR effaced ON TABLE visits IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN visits."Pa""ge" IS '{"category": "behavioral"}';
ANALYZE visits;
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
ANALYZE visits;
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- extended_statistics_copy_labelled: lists of values that are common together,
-- and of expressions; counts and dependencies hold no values.
--
BEGIN;
CREATE STATISTICS "common ones" (mcv) ON name, email FROM customers;
CREATE STATISTICS lengths ON (length(email)) FROM customers;
CREATE STATISTICS counts (ndistinct, dependencies) ON name, email FROM customers;
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- index_copies_labelled: computed, or carried along.  Plain keys are not told:
-- they are the column.
--
BEGIN;
CREATE INDEX ON customers (email);
CREATE INDEX "lower mail" ON customers (lower(email));
CREATE INDEX covering ON customers USING btree (id DESC) INCLUDE (name, email) WITH (fillfactor = 80) WHERE id > 0;
ALTER TABLE orders ADD CONSTRAINT " INCLUDE (note)" UNIQUE (placed, id) INCLUDE (note, customer_id);
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
SELECT indexdef FROM pg_indexes WHERE tablename IN ('customers', 'orders') ORDER BY indexname COLLATE "C";
ROLLBACK;

--
-- trigger_copies_labelled: what a trigger writes elsewhere.
--
BEGIN;
CREATE TABLE customers_history (id int, changed timestamptz, was text);
CREATE SCHEMA "Audit trail";
CREATE TABLE "Audit trail"."All ""changes""" (what text);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customers_history VALUES (old.id, now(), old.name);
	insert  into
		"Audit trail"."All ""changes""" VALUES (old.name);
	UPDATE customers SET name = name WHERE false; -- its own table
	RETURN NULL;
END $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.name := trim(new.name); RETURN new; END $$;
CREATE FUNCTION anywhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('INSERT INTO %I VALUES ($1)', tg_argv[0]) USING new; RETURN new; END $$;
CREATE TRIGGER "keep it" AFTER UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER stamp BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER anywhere AFTER INSERT ON customers FOR EACH ROW EXECUTE FUNCTION anywhere('x');
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
-- The copy that could be labelled is in the map now, and its columns come up; the
-- other triggers are off.
SELECT code, relation, column_name FROM effaced_lint();
ROLLBACK;
-- Functions that the trigger's function calls, and those call, count as well.
BEGIN;
CREATE SCHEMA "Audit trail";
CREATE TABLE "Audit trail".changes (what text);
CREATE FUNCTION "Audit trail"."note ""it"""(what text) RETURNS void BEGIN ATOMIC INSERT INTO "Audit trail".changes VALUES (what); END;
CREATE FUNCTION note_all(what text, times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN IF times > 0 THEN PERFORM "Audit trail"."note ""it"""(what); PERFORM NOTE_ALL(what, times - 1); END IF; END $$;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM note_all(old.name, 2); RETURN NULL; END $$;
CREATE TRIGGER keep AFTER DELETE ON customers FOR EACH ROW EXECUTE FUNCTION keep();
SELECT code, relation, message FROM effaced_lint() WHERE code = 'trigger_copies_labelled';
-- one of the same name elsewhere does not
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.note_all(old.name, 2); RETURN NULL; END $$;
SELECT code, relation, message FROM effaced_lint() WHERE code = 'trigger_copies_labelled';
ROLLBACK;
-- A copy of a table on the way goes on as that does.
BEGIN;
CREATE TABLE orders_history (id int PRIMARY KEY, customer_id int, note text);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO orders_history VALUES (old.id, old.customer_id, old.note); RETURN NULL; END $$;
CREATE TRIGGER keep AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();
SELECT hint FROM effaced_lint();
ROLLBACK;

--
-- rule_copies_labelled: the same by rules.
--
BEGIN;
CREATE TABLE customers_log (id int PRIMARY KEY, name text);
CREATE TABLE elsewhere (x text);
CREATE RULE keep AS ON DELETE TO customers DO ALSO INSERT INTO customers_log VALUES (old.id, old.name);
CREATE RULE "and here" AS ON INSERT TO customers DO ALSO INSERT INTO elsewhere VALUES (new.name);
CREATE RULE itself AS ON UPDATE TO customers WHERE false DO INSTEAD DELETE FROM customers;
SELECT * FROM effaced_lint() WHERE code = 'rule_copies_labelled';
SELECT hint FROM effaced_lint() WHERE code = 'rule_copies_labelled' \gexec
SELECT code, relation FROM effaced_lint();
ROLLBACK;

--
-- foreign_table_copies_labelled: a foreign table with the columns of a labelled one.
--
BEGIN;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE crm (id int, name text, email text, score int) SERVER elsewhere;
CREATE FOREIGN TABLE weather (id int, temperature numeric, name int) SERVER elsewhere;
SELECT * FROM effaced_lint() WHERE code = 'foreign_table_copies_labelled';
SELECT hint FROM effaced_lint() WHERE code = 'foreign_table_copies_labelled' \gexec
SELECT code, relation, column_name FROM effaced_lint();
ROLLBACK;

--
-- publication_keeps_labelled: subscribers get what is written, but not what is
-- erased.  publication_copies_labelled: they get both.
--
BEGIN;
SET LOCAL client_min_messages = error; -- wal_level
CREATE PUBLICATION "new ones" FOR TABLE customers WITH (publish = 'insert, update, truncate');
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication;
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
-- Of a partition, too, by whatever of its parents.
CREATE SCHEMA parts;
CREATE TABLE visits (id int, customer_id int, page text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts.visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (10);
ALTER TABLE parts.visits_1 ADD FOREIGN KEY (customer_id) REFERENCES customers;
CREATE INDEX ON parts.visits_1 (customer_id);
SECURITY LABEL FOR effaced ON TABLE parts.visits_1 IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN parts.visits_1.page IS '{"category": "behavioral"}';
CREATE PUBLICATION root FOR TABLE visits;
CREATE PUBLICATION part FOR TABLES IN SCHEMA parts;
SELECT code, relation, message, hint FROM effaced_lint();
SECURITY LABEL FOR effaced ON COLUMN parts.visits_1.page IS NULL;
SECURITY LABEL FOR effaced ON TABLE parts.visits_1 IS NULL;
SECURITY LABEL FOR effaced ON TABLE visits IS '{"hops": [{"source_columns": ["customer_id"], "target_table": "customers", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visits.page IS '{"category": "behavioral"}';
SELECT code, relation, message, hint FROM effaced_lint() WHERE code ~ 'publication';
DROP TABLE visits;
DROP PUBLICATION root, part;
CREATE PUBLICATION keys FOR TABLE customers (id), orders (id, note);
CREATE PUBLICATION by_schema FOR TABLES IN SCHEMA public;
CREATE PUBLICATION every FOR ALL TABLES;
SELECT code, relation, message, hint FROM effaced_lint();
SELECT DISTINCT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- replica_identity_full: old values go to the WAL.
--
BEGIN;
ALTER TABLE customers REPLICA IDENTITY FULL;
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- readable_in_bulk: roles other than the owner.
--
BEGIN;
CREATE ROLE owner_of_shop;
CREATE ROLE may_act_as_owner IN ROLE owner_of_shop;
CREATE ROLE "App server";
CREATE ROLE reporting;
CREATE ROLE backup IN ROLE pg_read_all_data;
CREATE ROLE root SUPERUSER;
CREATE ROLE stranger;
CREATE ROLE keys_only;
CREATE SCHEMA closed;
CREATE TABLE closed.t (id int PRIMARY KEY, customer_id int REFERENCES customers, x text);
CREATE INDEX ON closed.t (customer_id);
SECURITY LABEL FOR effaced ON TABLE closed.t IS '{"path": "customer", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN closed.t.x IS '{"category": "special"}';
ALTER TABLE customers OWNER TO owner_of_shop;
SELECT severity, code, relation, hint FROM effaced_lint() WHERE code = 'label_not_admitted';
SELECT effaced_admit_labels('owner_of_shop');
GRANT SELECT ON customers TO "App server", may_act_as_owner, root;
GRANT SELECT (email) ON customers TO reporting;
GRANT SELECT (id) ON customers TO keys_only;
GRANT INSERT, UPDATE ON customers TO stranger;
GRANT SELECT ON orders TO PUBLIC;
GRANT SELECT ON closed.t TO stranger; -- who may not use the schema
SELECT * FROM effaced_lint();
-- Row-level security holds back whom it applies to.
SAVEPOINT before;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER ROLE reporting BYPASSRLS;
SELECT message FROM effaced_lint() WHERE relation = 'customers'::regclass;
ROLLBACK TO before;
-- A policy that hides the rows of restricted subjects, and shows the rest, does not; another restrictive one does.
SELECT effaced_restriction_policy('customers');
SELECT message FROM effaced_lint() WHERE relation = 'customers'::regclass;
CREATE POLICY own ON customers AS RESTRICTIVE TO "App server" USING (email = current_user);
SELECT message FROM effaced_lint() WHERE relation = 'customers'::regclass;
DROP POLICY own ON customers;
ALTER POLICY effaced_restriction_others ON customers TO backup;
SELECT message FROM effaced_lint() WHERE relation = 'customers'::regclass;
ROLLBACK TO before;
-- a role that has several such privileges is told to give up one of them more than once
SET client_min_messages = error;
SELECT DISTINCT hint FROM effaced_lint() \gexec
RESET client_min_messages;
SELECT * FROM effaced_lint();
SELECT has_column_privilege('reporting', 'customers', 'email', 'SELECT') AS reporting, pg_has_role('backup', 'pg_read_all_data', 'MEMBER') AS backup;
ROLLBACK;
