-- Buckets, anchors, producers and their contracts: what is refused, in which order
-- producers delete, and what their functions may answer.
CREATE EXTENSION effaced;
\set SHOW_CONTEXT never
CREATE SCHEMA "odd ""schema";
CREATE TABLE person (id int PRIMARY KEY, name text, numbers numeric);
CREATE TABLE "odd ""schema"."it's" (id int PRIMARY KEY, person_id int REFERENCES person, note text);
CREATE TABLE account (id int PRIMARY KEY, person_id int REFERENCES person, iban text);
CREATE TABLE payment (id int PRIMARY KEY, account_id int REFERENCES account, memo text);
CREATE TABLE other (id int);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE "odd ""schema"."it's" IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN "odd ""schema"."it's".note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE payment IS '{"path": "account.person"}';
SECURITY LABEL FOR effaced ON COLUMN payment.memo IS '{"category": "communication"}';
INSERT INTO person SELECT i, 'Name ' || i FROM generate_series(1, 3) i;
CREATE FUNCTION ready(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT c, 'ready_for_deletion' FROM unnest(candidates) c
$$;

--
-- Registration
--
SELECT effaced_register_bucket('', 'person');
SELECT effaced_register_bucket(NULL, 'person');
SELECT effaced_register_bucket('b', NULL);
SELECT effaced_register_bucket('b', 'person', 0);
SELECT effaced_register_bucket('b', 'person', 1, '-1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_bucket('b', 'account');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_bucket('it''s "b"', 'person', alert_after => '1 hour');
SELECT effaced_register_bucket('b', 'person');
SELECT effaced_register_bucket('b', 'person', 7, '2 days');
SELECT bucket_type, subject, max_batch_size, alert_after FROM effaced_buckets ORDER BY bucket_type COLLATE "C";
SELECT effaced_register_anchor('', 'person');
SELECT effaced_register_anchor('person');
SELECT effaced_register_anchor('person', NULL);
SELECT effaced_register_anchor('person', VARIADIC '{}');
SELECT effaced_register_anchor('person', 'person', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_anchor('person', 'other');
SELECT effaced_register_anchor('person', 'person', 'person');
SELECT effaced_register_anchor('odd', '"odd ""schema"."it''s"');
SELECT effaced_register_anchor('account', 'account');
SELECT effaced_register_anchor('payment', 'payment');
SELECT * FROM effaced_anchor_tables ORDER BY 1, 2;
SELECT effaced_register_producer('', 'b', 'ready(text[])', '{}', '{}', '{}');
SELECT effaced_register_producer('p', 'c', 'ready(text[])', '{}', '{}', '{}');
SELECT effaced_register_producer('p', 'b', 'ready(text[])', '{person,nobody}', '{}', '{}');
SELECT effaced_register_producer('p', 'b', 'ready(text[])', '{person,NULL}', '{}', '{}');
SELECT effaced_register_producer('p', 'b', NULL, '{person}', '{}', '{}');
SELECT effaced_register_producer('p', 'b', 'upper(text)', '{person}', '{}', '{}');
SELECT effaced_register_producer('p', 'b', 'unnest(anyarray)', '{person}', '{}', '{}');
SELECT effaced_register_producer('p', 'b', 'effaced_apply_batch(bigint)', '{person}', '{}', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_register_producer('p', 'b', 'ready(text[])', '{person,odd}', '{account}', NULL);
SELECT effaced_register_producer('q', 'b', 'ready(text[])', '{account,odd}');
\echo :LAST_ERROR_SQLSTATE
-- In another bucket an anchor may have another owner.
SELECT effaced_register_producer('q', 'it''s "b"', 'ready(text[])', '{odd}');
SELECT bucket_type, producer, eligibility, contract, anchor FROM effaced_producers JOIN effaced_producer_contracts USING (bucket_type, producer) ORDER BY 1, 2, 4, 5;
-- What is not registered.
SELECT * FROM effaced_producer_order('c');
SELECT * FROM effaced_bucket_eligibility(NULL);
SELECT effaced_create_deletion_records('c');
SELECT effaced_create_deletion_batches('c');
SELECT * FROM effaced_purge_compliance_data('c');
SELECT * FROM effaced_reference_reads('c');
SELECT * FROM effaced_batch_progress(1);
CALL effaced_apply_batch(1);
CALL effaced_apply_batch(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_review_batch(1, 'accepted', NULL);
SELECT effaced_review_record(1, true, NULL);
\echo :LAST_ERROR_SQLSTATE

--
-- Order
--
-- By name, where nothing decides; what is owned by nobody, or by oneself, orders nothing.
SELECT effaced_register_producer('p', 'b', 'ready(text[])', '{odd}', '{odd,person,account}', '{}');
SELECT effaced_register_producer('c', 'b', 'ready(text[])', '{}');
SELECT * FROM effaced_producer_order('b');
-- Readers before owners; references order nothing.
SELECT effaced_register_producer('a', 'b', 'ready(text[])', '{account}', '{}', '{odd}');
SELECT * FROM effaced_producer_order('b');
-- Rows before the rows that they reference, whatever the names.
SELECT effaced_register_producer('a0', 'b', 'ready(text[])', '{person}');
SELECT effaced_register_producer('z', 'b', 'ready(text[])', '{payment}');
SELECT * FROM effaced_producer_order('b');
-- A contract that wants it the other way round.
BEGIN;
SELECT effaced_register_producer('a', 'b', 'ready(text[])', '{account}', '{payment}', '{}');
SELECT * FROM effaced_producer_order('b');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- A longer way round: a before z by contract with c in between, z before a by the key.
BEGIN;
SELECT effaced_register_anchor('log', 'other');
SELECT effaced_register_producer('c', 'b', 'ready(text[])', '{log}', '{payment}', '{}');
SELECT effaced_register_producer('a', 'b', 'ready(text[])', '{account}', '{log}', '{}');
SELECT * FROM effaced_producer_order('b');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- Three in a circle, and one that waits for them.
BEGIN;
SELECT effaced_register_bucket('circle', 'person');
SELECT effaced_register_producer('1', 'circle', 'ready(text[])', '{person}', '{account}', '{}');
SELECT effaced_register_producer('2', 'circle', 'ready(text[])', '{account}', '{odd}', '{}');
SELECT effaced_register_producer('3', 'circle', 'ready(text[])', '{odd}', '{person}', '{}');
SELECT effaced_register_producer('0', 'circle', 'ready(text[])', '{payment}', '{}', '{}');
SELECT effaced_register_producer('00', 'circle', 'ready(text[])', '{}', '{payment}', '{}');
SELECT * FROM effaced_producer_order('circle');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- Foreign keys of partitions, and joins without any, count too.
BEGIN;
CREATE TABLE visit (id int, at date, person_id int, page text) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
ALTER TABLE visit_1 ADD FOREIGN KEY (person_id) REFERENCES person;
SELECT effaced_register_anchor('visit', 'visit');
SELECT effaced_register_producer('zz', 'b', 'ready(text[])', '{visit}');
SELECT * FROM effaced_producer_order('b') WHERE producer IN ('a0', 'zz');
ALTER TABLE visit_1 DROP CONSTRAINT visit_1_person_id_fkey;
SELECT * FROM effaced_producer_order('b') WHERE producer IN ('a0', 'zz');
SECURITY LABEL FOR effaced ON TABLE visit IS '{"hops": [{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.page IS '{"category": "behavioral"}';
SELECT * FROM effaced_producer_order('b') WHERE producer IN ('a0', 'zz');
ROLLBACK;
-- Who reads for display loses it, but for its owner; in whatever bucket.
SELECT effaced_register_producer('q', 'it''s "b"', 'ready(text[])', '{odd}', '{}', '{odd,account}');
SELECT * FROM effaced_reference_reads('odd');
SELECT * FROM effaced_reference_reads('account');

--
-- Verdicts
--
-- In any spelling, and about others than were asked for; a "not yet" weighs more.
CREATE FUNCTION odd_verdicts(candidates text[], more int DEFAULT 0) RETURNS TABLE (verdict text, subject_id varchar) STABLE LANGUAGE sql AS $$
	VALUES ('not_ready_yet', ' 001'), ('ready_for_deletion', '2'), ('ready_for_deletion', '1'), ('not_ready_yet', '77'), ('ready_for_deletion', '02')
$$;
SELECT effaced_register_producer('q', 'it''s "b"', 'odd_verdicts(text[], int)', '{odd}');
SELECT * FROM effaced_bucket_eligibility('it''s "b"');
CREATE FUNCTION broken(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$ SELECT '1', current_setting('test.verdict') $$;
SELECT effaced_register_producer('q', 'it''s "b"', 'broken(text[])', '{odd}');
SELECT * FROM effaced_bucket_eligibility('it''s "b"');
\echo :LAST_ERROR_SQLSTATE
SET test.verdict = 'perhaps';
SELECT * FROM effaced_bucket_eligibility('it''s "b"');
\echo :LAST_ERROR_SQLSTATE
CREATE OR REPLACE FUNCTION broken(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$ SELECT 'Ada', 'not_ready_yet' $$;
SELECT * FROM effaced_bucket_eligibility('it''s "b"');
\echo :LAST_ERROR_SQLSTATE
CREATE OR REPLACE FUNCTION broken(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'about Ada' USING ERRCODE = 'P1234'; END $$;
SELECT effaced_create_deletion_records('it''s "b"');
\echo :LAST_ERROR_SQLSTATE
DROP FUNCTION broken;
SELECT effaced_create_deletion_records('it''s "b"');
\echo :LAST_ERROR_SQLSTATE
-- Nobody asked, nobody ready.
SELECT effaced_register_bucket('empty', 'person');
SELECT * FROM effaced_bucket_eligibility('empty');
SELECT effaced_create_deletion_records('empty');
SELECT effaced_create_deletion_records('b', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_create_deletion_batches('b', 0);
\echo :LAST_ERROR_SQLSTATE

--
-- Composite keys
--
CREATE TABLE member (club text, no numeric, name text, PRIMARY KEY (club, no));
CREATE TABLE fee (id int PRIMARY KEY, club text, no numeric, memo text, FOREIGN KEY (club, no) REFERENCES member);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true, "subject": "club member"}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE fee IS '{"path": "member", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN fee.memo IS '{"category": "financial"}';
INSERT INTO member VALUES ('chess', 1.50, 'Ada'), ('a:b', 2, 'Ben'), ('a\b', 3, 'Cleo');
INSERT INTO fee VALUES (1, 'chess', 1.5, 'Ada''s'), (2, 'a:b', 2, 'Ben''s'), (3, 'a\b', 3, 'Cleo''s');
SELECT * FROM effaced_subject_ids('member') AS id ORDER BY id COLLATE "C";
SELECT effaced_subject_kind('member');
SELECT * FROM effaced_subject_ids();
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION member_verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT effaced_subject_id(club, no::text), 'ready_for_deletion' FROM member WHERE name <> 'Cleo'
$$;
SELECT effaced_register_bucket('membership', 'member');
SELECT effaced_register_anchor('member', 'member');
SELECT effaced_register_anchor('fee', 'fee');
SELECT effaced_register_producer('club', 'membership', 'member_verdicts(text[])', '{member,fee}');
SELECT effaced_create_deletion_records('membership');
SELECT subject, subject_id FROM effaced_compliance_profiles ORDER BY subject_id COLLATE "C";
SET effaced.four_eyes = off;
SELECT effaced_review_batch(b, 'accepted') FROM unnest(effaced_create_deletion_batches('membership')) b;
CALL effaced_apply_batch(1);
SELECT (SELECT string_agg(name, ' ') FROM member) AS members, (SELECT string_agg(memo, ' ') FROM fee) AS fees;
-- A bucket with records keeps its subject table.
SELECT effaced_register_bucket('membership', 'person');
\echo :LAST_ERROR_SQLSTATE
-- Erased, recorded, and so not recorded again before the bucket is purged.
INSERT INTO member VALUES ('chess', 1.5, 'Ada again');
SELECT effaced_create_deletion_records('membership');
SELECT * FROM effaced_purge_compliance_data('membership');
SELECT effaced_create_deletion_records('membership');
SELECT effaced_register_bucket('membership', 'person');
\echo :LAST_ERROR_SQLSTATE
-- A profile that another bucket needs stays.
SELECT effaced_register_bucket('second', 'member');
SELECT effaced_register_producer('club', 'second', 'member_verdicts(text[])', '{member,fee}');
SELECT effaced_create_deletion_records('second');
SELECT * FROM effaced_purge_compliance_data('membership');
SELECT count(*) AS profiles FROM effaced_compliance_profiles;
SELECT * FROM effaced_purge_compliance_data('second');
SELECT effaced_register_bucket('membership', 'person');

--
-- What is gone
--
SELECT effaced_register_bucket('b', 'person');
SELECT effaced_register_producer('a', 'b', 'ready(text[])', '{account}');
SELECT effaced_create_deletion_records('b');
SELECT effaced_review_batch(b, 'accepted') FROM unnest(effaced_create_deletion_batches('b')) b;
BEGIN;
SELECT max(id) AS batch FROM effaced_deletion_batches \gset
COMMIT;
ALTER TABLE payment RENAME TO paid;
CALL effaced_apply_batch(:batch);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE paid RENAME TO payment;
ALTER TABLE person RENAME TO people;
CALL effaced_apply_batch(:batch);
\echo :LAST_ERROR_SQLSTATE
-- The kind of subject went with the name: records of persons are not people's.
SELECT effaced_register_anchor('person', 'people');
UPDATE effaced.effaced_buckets SET subject = 'public.people' WHERE bucket_type = 'b';
CALL effaced_apply_batch(:batch);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE people RENAME TO person;
SELECT count(*) AS persons FROM person;
