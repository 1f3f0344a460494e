-- Without Citus: what asks for it is refused, and nothing else is different. With
-- Citus see test/t/081_citus.t.
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text);
INSERT INTO person VALUES (1, 'Ada');
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';

SELECT * FROM effaced_enable_citus();
\echo :LAST_ERROR_SQLSTATE
SELECT to_regclass('effaced.effaced_citus_commit');

-- Tables named like those of Citus are nobody's but their owner's.
CREATE TABLE pg_dist_local_group (groupid int);
INSERT INTO pg_dist_local_group VALUES (1);
CREATE TABLE pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text, colocationid int, repmodel "char");
CREATE TABLE effaced.effaced_citus_commit (nothing boolean);
INSERT INTO effaced.effaced_citus_commit VALUES (true);
INSERT INTO pg_dist_partition (logicalrelid, partmethod, colocationid, repmodel) VALUES ('person', 'h', 1, 's'), ('effaced.effaced_citus_commit', 'n', 0, 's');
SELECT effaced_erase(1) -> 'deleted' AS deleted;
SELECT count(*) FROM effaced.effaced_citus_commit;
SELECT effaced_enable_citus();

-- Text joined to a value of another type is written with immutable functions, which
-- distributed tables take, and gives the same.
CREATE TABLE member (id int PRIMARY KEY, joined date NOT NULL, name text, code char(6));
INSERT INTO member VALUES (1, '2024-02-03', 'Ada', 'x');
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity", "surrogate": "''Member '' || id || code || '' of '' || joined || (2 || ''.'')"}';
SELECT statement FROM effaced_plan(1, 'member');
SELECT effaced_erase(1, subject => 'member') -> 'anonymized' AS anonymized;
SET DateStyle = 'ISO';
SELECT name, name = 'Member ' || id || code || ' of ' || joined || (2 || '.') AS same FROM member;
SELECT effaced_verify(1, 'member') -> 'verified' AS verified;

-- Tables of pg_catalog, as only a superuser makes them, are all that is asked for of Citus.
DROP TABLE pg_dist_local_group, pg_dist_partition, effaced.effaced_citus_commit;
SET client_min_messages = warning;
SET allow_system_table_mods = on;
CREATE TABLE IF NOT EXISTS pg_catalog.pg_dist_local_group (groupid int);
CREATE TABLE IF NOT EXISTS pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text, colocationid int, repmodel "char");
RESET allow_system_table_mods;
TRUNCATE pg_dist_local_group;
INSERT INTO pg_dist_local_group VALUES (0);

-- Reference tables are changed before the shards of others are, but for those that they wait for.
CREATE TABLE customer (id int PRIMARY KEY, name text);
CREATE TABLE basket (id int PRIMARY KEY, customer_id int REFERENCES customer, note text);
CREATE TABLE region (id int PRIMARY KEY, customer_id int, contact text);
CREATE TABLE visit (id int PRIMARY KEY, customer_id int REFERENCES customer, region_id int REFERENCES region, note text);
CREATE TABLE wish (id int PRIMARY KEY, customer_id int, note text, kept int);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON TABLE region IS '{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["id"]}], "owned": true}';
SECURITY LABEL FOR effaced ON TABLE wish IS '{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["id"]}], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN basket.note IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN region.contact IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN visit.note IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN wish.note IS '{"category": "identity"}';
SELECT step, relation, strategy FROM effaced_plan(1, 'customer') ORDER BY step;
INSERT INTO pg_dist_partition (logicalrelid, partmethod, colocationid, repmodel) VALUES ('customer', 'h', 1, 's'), ('basket', 'h', 1, 's'), ('visit', 'h', 1, 's'), ('region', 'n', 2, 't'), ('wish', 'n', 2, 't');
\c -
SELECT step, relation, strategy FROM effaced_plan(1, 'customer') ORDER BY step;
INSERT INTO customer VALUES (1, 'Ada');
INSERT INTO region VALUES (1, 1, 'Ada');
INSERT INTO visit VALUES (1, 1, 1, 'x');
INSERT INTO wish VALUES (1, 1, 'x', 1);
SELECT effaced_erase(1, subject => 'customer') -> 'deleted' AS deleted;

-- A worker has neither all rows nor the trail. What would change or decide something is refused, labels are not.
SELECT effaced_register_bucket('customer', 'customer');
UPDATE pg_dist_local_group SET groupid = 1;
SELECT effaced_erase(1, subject => 'customer');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT effaced_plan(1, 'customer');
SELECT effaced_manifest_snapshot();
SELECT effaced_register_question('What is stored', 'stored', 'SELECT name FROM customer WHERE id::text = $1');
SELECT effaced_run_questions(1);
SELECT effaced_lint_exempt('customer', 'name', 'unindexed_path', 'small');
SELECT effaced_register_resolver('crm');
SELECT effaced_outbox_claim('crm');
SELECT effaced_outbox_succeed(gen_random_uuid());
SELECT effaced_outbox_fail(gen_random_uuid(), 'timeout');
SELECT effaced_outbox_schedule(gen_random_uuid(), 'tomorrow');
SELECT effaced_outbox_requeue('{}');
CALL effaced_run_outbox();
SELECT effaced_register_bucket('customer', 'customer');
SELECT effaced_register_anchor('customer', 'customer');
SELECT effaced_register_producer('crm', 'customer', NULL);
SELECT effaced_create_deletion_records('customer');
SELECT effaced_create_deletion_batches('customer');
SELECT effaced_review_batch(1, 'accepted');
SELECT effaced_review_record(1, false);
SELECT effaced_alert_unreviewed_batches();
SELECT effaced_purge_compliance_data('customer');
CALL effaced_apply_batch(1);
CALL effaced_enforce_retention();
SECURITY LABEL FOR effaced ON COLUMN wish.note IS '{"category": "contact"}';
ALTER TABLE wish DROP COLUMN kept;
DROP TABLE wish;
