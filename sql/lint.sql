-- What lint finds: a section per code, with a schema that has the finding and
-- what is left of it after its hint was run.
CREATE EXTENSION effaced;

-- A database without a label: what looks like personal data, and nothing else
-- (sql/lint_personal.sql).
CREATE TABLE customers (id int PRIMARY KEY, name text, email text NOT NULL);
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL);
SELECT code, relation, column_name FROM effaced_lint();

-- Nor about one where every column is judged.  countries leads to no person.
SECURITY LABEL FOR effaced ON TABLE customers IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customers.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN customers.email IS '{"category": "contact"}';
SELECT * FROM effaced_lint();
\x on

--
-- unlabelled_column: neither labelled nor a key's.
--
BEGIN;
ALTER TABLE customers ADD motto text;
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
-- Not where the row as a whole is the subject's.
ALTER TABLE customers ADD theme text;
SECURITY LABEL FOR effaced ON TABLE customers IS '{"path": "", "owned": true}';
SELECT * FROM effaced_lint();
-- Nor for what the labels make use of: a flag, an anchor, a condition.
ALTER TABLE customers ADD deleted boolean, ADD left_on date, ADD kind text;
SECURITY LABEL FOR effaced ON TABLE customers IS
	'{"path": "", "set": {"deleted": "true"}, "where": "kind = ''person''"}';
SECURITY LABEL FOR effaced ON COLUMN customers.name IS '{"category": "identity", "erasure": "anonymize",
	"retention": {"reason": "warranty", "duration": "2 years", "anchor": "left_on"}}';
SELECT code, column_name, message FROM effaced_lint();
ROLLBACK;
-- What an inheritance child adds is labelled at its parent.
BEGIN;
CREATE TABLE members (karma int) INHERITS (customers);
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- unlabelled_table: foreign keys lead to a subject, and nobody has judged it.
--
BEGIN;
CREATE TABLE devices (id int PRIMARY KEY, customer_id int REFERENCES customers, serial text);
CREATE INDEX ON devices (customer_id);
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
-- Now its columns are looked at.
SELECT code, column_name, hint FROM effaced_lint();
SELECT hint FROM effaced_lint() WHERE code = 'unlabelled_column' \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- unregistered_resolver: references to a system that nobody knows.
--
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN customers.name IS '{"category": "identity", "ref": "the crm''s"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- broken_label: it named what is no longer there.
--
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN customers.name IS
	'{"category": "identity", "erasure": "anonymize", "surrogate": "''Customer '' || id"}';
ALTER TABLE customers RENAME id TO customer_no;
SELECT * FROM effaced_lint();
SECURITY LABEL FOR effaced ON COLUMN customers.name IS
	'{"category": "identity", "erasure": "anonymize", "surrogate": "''Customer '' || customer_no"}';
SELECT * FROM effaced_lint();
-- A path, too.
CREATE TABLE devices (id int PRIMARY KEY, customer_id int REFERENCES customers, serial text);
CREATE INDEX ON devices (customer_id);
SECURITY LABEL FOR effaced ON TABLE devices IS '{"path": "buyer"}';
SECURITY LABEL FOR effaced ON COLUMN devices.serial IS '{"category": "technical"}';
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- unreachable_table: labelled, and on the way to nobody.
--
BEGIN;
CREATE TABLE newsletter (email text PRIMARY KEY, topic text);
SECURITY LABEL FOR effaced ON COLUMN newsletter.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN newsletter.topic IS '{"category": "behavioral"}';
SELECT * FROM effaced_lint();
ALTER TABLE customers ADD UNIQUE (email);
SECURITY LABEL FOR effaced ON TABLE newsletter IS
	'{"hops": [{"source_columns": ["email"], "target_table": "customers", "target_columns": ["email"]}]}';
SELECT code FROM effaced_lint();
-- Without any subject table it is the mark that is missing.
SECURITY LABEL FOR effaced ON TABLE newsletter IS NULL;
SECURITY LABEL FOR effaced ON TABLE customers IS NULL;
SELECT * FROM effaced_lint() WHERE relation = 'customers'::regclass;
ROLLBACK;

--
-- ambiguous_link: several chains, and it never guesses.
--
BEGIN;
CREATE TABLE messages (id int PRIMARY KEY, sender_id int REFERENCES customers,
	receiver_id int REFERENCES customers, body text);
CREATE INDEX ON messages (sender_id);
CREATE INDEX ON messages (receiver_id);
SECURITY LABEL FOR effaced ON COLUMN messages.body IS '{"category": "communication"}';
SELECT * FROM effaced_lint();
SECURITY LABEL FOR effaced ON TABLE messages IS '{"path": "sender_id"}';
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- inferred_link: the only chain there is, until somebody adds another.
--
BEGIN;
CREATE TABLE devices (id int PRIMARY KEY, customer_id int REFERENCES customers, serial text);
CREATE INDEX ON devices (customer_id);
SECURITY LABEL FOR effaced ON COLUMN devices.serial IS '{"category": "technical"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- path_beyond_subject: a chain ends at the first subject table.
--
BEGIN;
CREATE TABLE employees (id int PRIMARY KEY, name text);
CREATE TABLE shops (id int PRIMARY KEY, keeper_id int REFERENCES customers, name text, manager_id int REFERENCES employees);
CREATE TABLE till (id int PRIMARY KEY, shop_id int REFERENCES shops, code text);
CREATE INDEX ON shops (keeper_id);
CREATE INDEX ON shops (manager_id);
CREATE INDEX ON till (shop_id);
SECURITY LABEL FOR effaced ON TABLE shops IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN shops.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE employees IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN employees.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE till IS '{"path": "shop_id.keeper_id"}';
SECURITY LABEL FOR effaced ON COLUMN till.code IS '{"category": "technical"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- hop_without_foreign_key: rows can slip in under an erasure.
--
BEGIN;
CREATE TABLE devices (id int PRIMARY KEY, customer_no int, serial text);
CREATE INDEX ON devices (customer_no);
SECURITY LABEL FOR effaced ON TABLE devices IS
	'{"hops": [{"source_columns": ["customer_no"], "target_table": "customers", "target_columns": ["id"]}], "owned": true}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
-- Where no key can be, the hint says what to do instead.
ALTER TABLE devices DROP CONSTRAINT devices_customer_no_fkey;
SECURITY LABEL FOR effaced ON TABLE devices IS
	'{"hops": [{"source_columns": ["customer_no"], "target_table": "customers", "target_columns": ["id"]}], "owned": true, "where": "serial <> ''''"}';
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- unindexed_path: looked up for every request, read whole for each.
--
BEGIN;
ALTER TABLE customers ADD vip boolean NOT NULL;
SECURITY LABEL FOR effaced ON COLUMN customers.vip IS '{"category": "behavioral", "erasure": "anonymize"}';
CREATE TABLE devices (id int PRIMARY KEY, customer_id int REFERENCES customers, serial text);
SECURITY LABEL FOR effaced ON TABLE devices IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN devices.serial IS '{"category": "technical"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
-- An index that leaves out only NULLs of the column is as good; one of another kind is none.
DROP INDEX devices_customer_id_idx;
CREATE INDEX ON devices (customer_id) WHERE customer_id IS NOT NULL;
SELECT * FROM effaced_lint();
DROP INDEX devices_customer_id_idx;
CREATE INDEX ON devices USING brin (customer_id);
CREATE INDEX ON devices (customer_id) WHERE id > 0;
CREATE INDEX ON devices (customer_id, serial) WHERE serial IS NOT NULL;
SELECT code, relation, column_name FROM effaced_lint();
ROLLBACK;

--
-- unindexed_reference: every row deleted reads the referencing table whole, be
-- it in the map or not, whatever the action is.
--
BEGIN;
CREATE TABLE audit_log (id int, actor int REFERENCES customers ON DELETE SET NULL, note text);
INSERT INTO audit_log SELECT i, NULL, repeat('x', 100) FROM generate_series(1, 1000) i;
SELECT * FROM effaced_lint() WHERE code = 'unindexed_reference';
SELECT hint FROM effaced_lint() WHERE code = 'unindexed_reference' \gexec
SELECT code FROM effaced_lint();
ROLLBACK;
-- Partitions count with the table, children for themselves.
BEGIN;
CREATE TABLE visits (customer_id int NOT NULL REFERENCES customers, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com');
INSERT INTO visits VALUES (1, '2024-05-01'), (1, '2025-05-01');
SECURITY LABEL FOR effaced ON TABLE visits IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN visits.at IS '{"category": "behavioral"}';
SELECT code, relation, message, hint FROM effaced_lint();
CREATE INDEX ON visits_1 (customer_id);
SELECT code, relation FROM effaced_lint();
CREATE INDEX ON visits_2 (customer_id);
SELECT code, relation, hint FROM effaced_lint();
-- A primary key of a partitioned table has to hold the partition key.
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- surrogate_missing: the default does not fit.
--
BEGIN;
CREATE TYPE tier AS ENUM ('basic', 'gold');
ALTER TABLE customers ADD tier tier NOT NULL;
SECURITY LABEL FOR effaced ON COLUMN customers.tier IS '{"category": "behavioral", "erasure": "anonymize"}';
SELECT * FROM effaced_lint();
SECURITY LABEL FOR effaced ON COLUMN customers.tier IS
	'{"category": "behavioral", "erasure": "anonymize", "surrogate": "''basic''"}';
SELECT * FROM effaced_lint();
-- Where NULL is allowed, that is what the hint proposes.
ALTER TABLE customers ADD next_tier tier;
SECURITY LABEL FOR effaced ON COLUMN customers.next_tier IS '{"category": "behavioral"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- cascade_into_kept: what must stay would go, or what nobody has judged.
--
BEGIN;
CREATE TABLE notes (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE CASCADE, body text);
CREATE INDEX ON notes (customer_id);
SELECT * FROM effaced_lint() WHERE code <> 'unlabelled_table';
SELECT hint FROM effaced_lint() WHERE code = 'cascade_into_kept' \gexec
SELECT * FROM effaced_lint();
ROLLBACK;
BEGIN;
ALTER TABLE customers ADD vip boolean;
SECURITY LABEL FOR effaced ON COLUMN customers.vip IS '{"category": "behavioral", "erasure": "anonymize"}';
CREATE TABLE addresses (id int PRIMARY KEY, customer_id int REFERENCES customers, street text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, gift_note text, address_id int REFERENCES addresses ON DELETE CASCADE);
CREATE INDEX ON addresses (customer_id);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (address_id);
SECURITY LABEL FOR effaced ON TABLE addresses IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN orders.gift_note IS '{"category": "communication", "erasure": "anonymize"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;
BEGIN;
CREATE TABLE authors (id int PRIMARY KEY, name text);
CREATE TABLE books (id int PRIMARY KEY, author_id int REFERENCES authors ON DELETE CASCADE, customer_id int REFERENCES customers, dedication text);
CREATE INDEX ON books (author_id);
CREATE INDEX ON books (customer_id);
SECURITY LABEL FOR effaced ON TABLE authors IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN authors.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE books IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN books.dedication IS '{"category": "identity"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- blocking_reference: somebody else's row may stop the erasure.
--
BEGIN;
CREATE TABLE posts (id int PRIMARY KEY, customer_id int REFERENCES customers, reply_to int NOT NULL REFERENCES posts, body text);
CREATE INDEX ON posts (customer_id);
CREATE INDEX ON posts (reply_to);
SECURITY LABEL FOR effaced ON TABLE posts IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN posts.body IS '{"category": "communication"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
-- Cascading is no way out, nor is SET NULL where NULL is not allowed.
ALTER TABLE posts DROP CONSTRAINT posts_reply_to_fkey, ADD FOREIGN KEY (reply_to) REFERENCES posts ON DELETE CASCADE;
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ALTER TABLE posts ALTER reply_to SET NOT NULL, DROP CONSTRAINT posts_reply_to_fkey,
	ADD FOREIGN KEY (reply_to) REFERENCES posts ON DELETE SET NULL;
SELECT code, message, hint FROM effaced_lint();
ROLLBACK;

--
-- plan_conflict: the labels contradict each other.
--
BEGIN;
CREATE TABLE invoices (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric);
CREATE INDEX ON invoices (customer_id);
SECURITY LABEL FOR effaced ON TABLE invoices IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoices.total IS
	'{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
SELECT * FROM effaced_lint();
SECURITY LABEL FOR effaced ON COLUMN customers.email IS '{"category": "contact", "erasure": "anonymize"}';
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- retention_without_anchor: a term, and nothing it could be counted from.
--
BEGIN;
CREATE TABLE invoices (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric, issued_on date NOT NULL);
CREATE INDEX ON invoices (customer_id);
SECURITY LABEL FOR effaced ON TABLE invoices IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoices.total IS
	'{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years"}}';
SECURITY LABEL FOR effaced ON COLUMN invoices.issued_on IS
	'{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON COLUMN customers.email IS '{"category": "contact", "erasure": "anonymize"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
-- Next come the rows whose term is over: see unindexed_anchor.
SELECT code, column_name FROM effaced_lint();
ROLLBACK;

--
-- unindexed_anchor: what is past its term is looked for by the anchor.  Any index
-- that finds ranges will do; one on a hash does not.
--
BEGIN;
CREATE TABLE invoices (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric, issued_on date NOT NULL)
	PARTITION BY RANGE (id);
CREATE TABLE invoices_1 PARTITION OF invoices FOR VALUES FROM (1) TO (1000);
CREATE INDEX ON invoices (customer_id);
SECURITY LABEL FOR effaced ON TABLE invoices IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoices.total IS '{"category": "financial", "erasure": "retain",
	"retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued_on"}}';
SECURITY LABEL FOR effaced ON COLUMN customers.email IS '{"category": "contact", "erasure": "anonymize"}';
SELECT * FROM effaced_lint();
CREATE INDEX ON invoices USING hash (issued_on);
SELECT code, relation FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
DROP INDEX invoices_issued_on_idx1;
CREATE INDEX ON invoices_1 USING brin (issued_on);
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- no_primary_key: rows that nothing tells apart.
--
BEGIN;
CREATE TABLE devices (customer_id int NOT NULL REFERENCES customers, serial text);
CREATE INDEX ON devices (customer_id);
SECURITY LABEL FOR effaced ON TABLE devices IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN devices.serial IS '{"category": "technical"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
-- A unique key that is there already becomes the primary one.
ALTER TABLE devices DROP row_id, ALTER serial SET NOT NULL, ADD UNIQUE (serial, customer_id);
SELECT code, hint FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- shadowed_comment: a comment's label that does not count.
--
BEGIN;
COMMENT ON COLUMN customers.email IS 'where invoices go @effaced {"category": "technical"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- view_copies_labelled, matview_copies_labelled: also through other views.
--
BEGIN;
CREATE VIEW mailing AS SELECT email, 'customer' AS kind FROM customers;
CREATE MATERIALIZED VIEW mailing_kinds AS SELECT kind, email FROM mailing;
CREATE VIEW number_of_customers AS SELECT count(id) FROM customers;
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- where_excludes_rows: rows that no condition lets through.  It is the only
-- code that reads rows, and does so where the caller may.
--
BEGIN;
CREATE TABLE attachments (id int PRIMARY KEY, kind text NOT NULL, customer_id int REFERENCES customers);
CREATE INDEX ON attachments (customer_id);
SECURITY LABEL FOR effaced ON TABLE attachments IS '{"path": "customer", "where": "kind = ''photo''", "owned": true}';
INSERT INTO attachments VALUES (1, 'photo', NULL), (2, 'video', NULL), (3, 'video', NULL);
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
CREATE ROLE auditor;
GRANT EXECUTE ON FUNCTION effaced_lint TO auditor;
SET LOCAL ROLE auditor;
SELECT * FROM effaced_lint();
RESET ROLE;
DELETE FROM attachments WHERE kind = 'video';
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- only_accessors: readable by somebody, erased for nobody.
--
BEGIN;
CREATE TABLE findings (id int PRIMARY KEY, doctor_id int REFERENCES customers, text text);
CREATE INDEX ON findings (doctor_id);
SECURITY LABEL FOR effaced ON TABLE findings IS '{"path": "doctor_id", "role": "accessor"}';
SECURITY LABEL FOR effaced ON COLUMN findings.text IS '{"category": "special"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- shared_without_link: several owners, and a column that is about none of them.
--
BEGIN;
CREATE TABLE messages (id int PRIMARY KEY, sender_id int REFERENCES customers,
	receiver_id int REFERENCES customers, body text);
CREATE INDEX ON messages (sender_id);
CREATE INDEX ON messages (receiver_id);
SECURITY LABEL FOR effaced ON TABLE messages IS
	'{"links": [{"name": "sender", "path": "sender_id"}, {"name": "receiver", "path": "receiver_id"}]}';
SECURITY LABEL FOR effaced ON COLUMN messages.body IS '{"category": "communication"}';
SELECT * FROM effaced_lint();
SECURITY LABEL FOR effaced ON COLUMN messages.body IS '{"category": "communication", "link": "sender"}';
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- tied_to_accessor: a value of somebody for whom nothing is erased or corrected.
--
BEGIN;
CREATE TABLE visits (id int PRIMARY KEY, patient_id int REFERENCES customers, doctor_id int REFERENCES customers, doctor_phone text);
CREATE INDEX ON visits (patient_id);
CREATE INDEX ON visits (doctor_id);
SECURITY LABEL FOR effaced ON TABLE visits IS
	'{"owned": true, "links": [{"name": "patient", "path": "patient_id"}, {"name": "doctor", "path": "doctor_id", "role": "accessor"}]}';
SECURITY LABEL FOR effaced ON COLUMN visits.doctor_phone IS '{"category": "contact", "link": "doctor"}';
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;

--
-- Where it looks.
--
BEGIN;
CREATE SCHEMA "Other shop";
CREATE TABLE "Other shop"."Device" (id int PRIMARY KEY, "Customer" int REFERENCES customers, "serial""no" text);
CREATE INDEX ON "Other shop"."Device" ("Customer");
SECURITY LABEL FOR effaced ON TABLE "Other shop"."Device" IS '{"path": "Customer"}';
ALTER TABLE customers ADD motto text;
SELECT severity, code, relation, column_name, hint FROM effaced_lint();
SELECT code, relation, column_name FROM effaced_lint('{Other shop}');
SELECT code, relation, column_name FROM effaced_lint(ARRAY['public']::name[]);
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
ROLLBACK;
\x off
SELECT * FROM effaced_lint('{nosuch}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_lint(ARRAY[NULL]::name[]);
SELECT * FROM effaced_lint('{}');
SELECT * FROM effaced_lint(sample => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM effaced_lint(NULL, NULL);

--
-- The shop of make demo: what is left are columns that say nothing about a
-- person.  That is a judgement, and lint cannot make it.
--
DROP TABLE customers, countries;
\set ECHO none
\i test/demo/shop.sql
\i test/demo/labels.sql
\set ECHO all
SELECT severity, code, relation, column_name FROM effaced_lint();

--
-- A schema in which everything is judged, linked and indexed gives no row.
--
CREATE SCHEMA clinic;
SET search_path = clinic, public;
CREATE TABLE wards (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE patients (id int PRIMARY KEY, name text NOT NULL, born date);
CREATE TABLE stays (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patients, ward_id int NOT NULL REFERENCES wards,
	discharged_on date NOT NULL, diagnosis text NOT NULL, remarks text);
CREATE TABLE contacts (patient_id int REFERENCES patients, place int, phone text, PRIMARY KEY (patient_id, place));
CREATE INDEX ON stays (patient_id);
CREATE INDEX ON stays (discharged_on);
SECURITY LABEL FOR effaced ON TABLE patients IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN patients.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN patients.born IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE stays IS '{"path": "patient"}';
SECURITY LABEL FOR effaced ON COLUMN stays.diagnosis IS
	'{"category": "special", "erasure": "retain", "retention": {"reason": "medical records act", "duration": "30 years", "anchor": "discharged_on"}}';
SECURITY LABEL FOR effaced ON COLUMN stays.discharged_on IS
	'{"category": "special", "erasure": "retain", "retention": {"reason": "medical records act", "duration": "30 years", "anchor": "discharged_on"}}';
SECURITY LABEL FOR effaced ON COLUMN stays.remarks IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON TABLE contacts IS '{"path": "patient"}';
SECURITY LABEL FOR effaced ON COLUMN contacts.phone IS '{"category": "contact"}';
SELECT * FROM effaced_lint('{clinic}');
