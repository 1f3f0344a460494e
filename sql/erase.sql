-- effaced_erase() erases one subject in the caller's transaction, says what it
-- did, and leaves everybody else's rows as they were.
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
CREATE TABLE login (
	id          int PRIMARY KEY,
	customer_id int REFERENCES customer,
	ip          inet
);

SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''Customer '' || id"}';
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE purchase IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN purchase.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "purchase.customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.billed_to IS
	'{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued"}}';
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN login.ip IS '{"category": "technical"}';

INSERT INTO customer SELECT i, 'user' || i || '@example.com', 'User ' || i, date '2020-01-01' + i FROM generate_series(1, 5) i;
INSERT INTO address SELECT 10 * c + n, c, 'Street ' || c || n FROM generate_series(1, 5) c, generate_series(1, 2) n;
INSERT INTO purchase SELECT 10 * c + n, c, 10 * c + n, 9.99 * n, CASE n WHEN 1 THEN 'gift for ' || c END
  FROM generate_series(1, 5) c, generate_series(1, 2) n;
INSERT INTO invoice SELECT 10 * c + 1, 10 * c + 1, '2024-01-01', 'User ' || c FROM generate_series(1, 5) c;
INSERT INTO login SELECT 100 * c + n, c, '192.0.2.1' FROM generate_series(1, 5) c, generate_series(1, 3) n;
INSERT INTO login VALUES (999, NULL, '192.0.2.99');

-- All rows of all tables, each with the customer it belongs to.
CREATE VIEW everything AS
	SELECT id AS owner, 'customer' AS of, t::text AS row FROM customer t
	UNION ALL SELECT customer_id, 'address', t::text FROM address t
	UNION ALL SELECT customer_id, 'purchase', t::text FROM purchase t
	UNION ALL SELECT customer_id, 'invoice', t::text FROM invoice t JOIN (SELECT id, customer_id FROM purchase) p ON p.id = purchase_id
	UNION ALL SELECT customer_id, 'login', t::text FROM login t;
CREATE VIEW others AS
	SELECT count(*), md5(string_agg(row, '|' ORDER BY of, row)) FROM everything WHERE owner IS DISTINCT FROM 2;
CREATE VIEW trail AS
	SELECT seq, event_type, subject, subject_ref, payload FROM effaced_audit_events;
CREATE TABLE others_before AS TABLE others;
SELECT of, row FROM everything WHERE owner = 2 ORDER BY of, row;

SELECT jsonb_pretty(effaced_erase('2'));

-- Gone, replaced or retained; the text token of the e-mail is derived from a
-- secret of this database, so only its shape can be shown.
SELECT of, regexp_replace(row, 'anon-[0-9a-f]+', 'anon-<token>') AS row FROM everything WHERE owner = 2 ORDER BY of, row;
SELECT email ~ '^anon-[0-9a-f]{32}$' AS email FROM customer WHERE id = 2;
SELECT b.count, b.md5 = a.md5 AS same FROM others_before b, others a;

-- The trail: one event per step that reached a row, retentions always.
SELECT * FROM trail ORDER BY seq;
SELECT count(*) FROM effaced_audit_events a WHERE a::text ~ 'example|Street|User|gift|192.0.2';

-- Again: nothing is left to do, and not one row is written anew.
CREATE TABLE rows_before AS SELECT t.xmin::text AS version, t.ctid AS place, t::text AS row FROM customer t UNION ALL SELECT t.xmin::text, t.ctid, t::text FROM purchase t;
SELECT effaced_erase('2') - 'subject_id';
SELECT count(*) AS written FROM (SELECT t.xmin::text AS version, t.ctid AS place, t::text AS row FROM customer t UNION ALL SELECT t.xmin::text, t.ctid, t::text FROM purchase t
	EXCEPT TABLE rows_before) AS written;
SELECT * FROM trail WHERE seq > 9 ORDER BY seq;

-- Rows that come after an erasure are new data, and go with the next one.
INSERT INTO login VALUES (210, 2, '192.0.2.2');
UPDATE purchase SET note = 'changed my mind' WHERE id = 22;
SELECT effaced_erase('2') - 'subject_id';
SELECT b.count, b.md5 = a.md5 AS same FROM others_before b, others a;

-- Nobody known by that identifier: success, zeros, one event.
SELECT effaced_erase('77');
SELECT event_type, subject_ref, payload FROM trail WHERE subject_ref = '77';

-- After a rollback nothing has happened, the trail included.
SELECT count(*) AS events FROM trail;
BEGIN;
SELECT effaced_erase('3') -> 'deleted' AS deleted;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT effaced_erase('3') -> 'deleted' AS deleted;
SELECT count(*) AS rows_of_3 FROM everything WHERE owner = 3;
ROLLBACK TO s;
SELECT count(*) AS rows_of_3 FROM everything WHERE owner = 3;
COMMIT;
DO $$
BEGIN
	PERFORM effaced_erase('3');
	RAISE EXCEPTION 'no';
EXCEPTION WHEN raise_exception THEN
	NULL;
END
$$;
SELECT count(*) AS rows_of_3 FROM everything WHERE owner = 3;
SELECT count(*) AS events FROM trail;
SELECT b.count, b.md5 = a.md5 AS same FROM others_before b, others a;

-- The identifier as text, as a number, as an array, in any spelling, by name:
-- one subject.
BEGIN;
SELECT effaced_erase(3) ->> 'subject_id' AS id, effaced_erase(' 003 ') ->> 'subject_id' AS id, effaced_erase(ARRAY['3']) ->> 'subject_id' AS id,
	effaced_erase(subject_id => 3::bigint) ->> 'subject_id' AS id, effaced_erase(subject => 'customer', subject_id => '3', refs => '[]', tables => NULL) ->> 'subject_id' AS id,
	effaced_erase(3::numeric) ->> 'subject_id' AS id, effaced_erase(ARRAY[3]::text[], subject => 'customer') ->> 'subject_id' AS id;
SELECT subject_ref, event_type, count(*) FROM trail WHERE subject_ref ~ '3' GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;

-- Some tables only: the run says so in its events, and is not the erasure.
BEGIN;
SELECT effaced_erase('4', tables => '{login,purchase}');
SELECT of, count(*) FROM everything WHERE owner = 4 GROUP BY of ORDER BY of;
SELECT event_type, payload FROM trail WHERE subject_ref = '4' ORDER BY seq;
-- Here too conflicts are looked for: the addresses are still referenced.
ROLLBACK;
SELECT effaced_erase('4', tables => '{address}');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('4', tables => '{others_before}');
\echo :LAST_ERROR_SQLSTATE

-- References to external systems need a resolver; without one the call fails
-- before it has done or recorded anything.
SELECT count(*) AS events FROM trail;
SELECT effaced_erase('4', '[{"kind": "stripe", "value": "cus_42"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('4', refs => '{"kind": "stripe", "value": "cus_42"}');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('4', refs => '["stripe"]');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('4', refs => '[{"value": "cus_42"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS events FROM trail;
SELECT count(*) AS rows_of_4 FROM everything WHERE owner = 4;
SELECT effaced_erase('4', refs => NULL) -> 'enqueued' AS enqueued;

-- No identifier, and identifiers that are none.
SELECT effaced_erase(NULL::text);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase(NULL::int);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('{}'::text[]);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('{3,NULL}'::text[]);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('{3,4}'::text[]);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('3; DROP TABLE customer');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('3.0');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase(true);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase(repeat('x', 100000));
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('3', subject => 'address');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS rows_of_3 FROM everything WHERE owner = 3;

-- A text key may be as long as it likes.
CREATE TABLE device (name text COLLATE "C", seen int);
SECURITY LABEL FOR effaced ON TABLE device IS '{"path": "", "subject_id_columns": ["name"], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN device.name IS '{"category": "technical"}';
INSERT INTO device VALUES (repeat('x', 100000), 1), ('', 2), (' 3', 3);
SELECT effaced_erase(repeat('x', 100000), subject => 'device') - 'subject_id';
SELECT length(subject_ref), event_type FROM trail WHERE subject = 'device' ORDER BY seq;
SELECT effaced_erase('3', subject => 'device');
SELECT effaced_erase(' 3', subject => 'device') -> 'deleted' AS deleted;
SELECT * FROM device;

-- Rows that carry the identifier are erased also where the subject's own row is
-- gone already. A path of several hops ends where a row is missing.
ALTER TABLE login DROP CONSTRAINT login_customer_id_fkey;
SECURITY LABEL FOR effaced ON TABLE login IS
	'{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["id"]}]}';
INSERT INTO login VALUES (600, 6, '192.0.2.6');
SELECT effaced_erase(6, subject => 'customer');
SELECT event_type, payload FROM trail WHERE subject_ref = '6' ORDER BY seq;
SELECT effaced_erase(6, subject => 'customer');

-- Composite keys: all the values, in the order of the key.
CREATE TABLE member (club text, no int, name text, PRIMARY KEY (club, no));
CREATE TABLE visit (id int PRIMARY KEY, no int, club text, place text, FOREIGN KEY (club, no) REFERENCES member);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "member"}';
SECURITY LABEL FOR effaced ON COLUMN visit.place IS '{"category": "location"}';
SELECT effaced_erase(3, subject => 'member');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase('a:b:3', subject => 'member');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase(ARRAY['3', 'a'], subject => 'member');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO member VALUES ('a', 3, 'Ada'), ('a', 4, 'Ben'), ('b', 3, 'Cleo'), ('a:b\', 3, 'Dora'), (E'b'' OR true --', 3, 'Eve');
INSERT INTO visit SELECT row_number() OVER (), no, club, 'somewhere' FROM member;
INSERT INTO visit VALUES (10, 3, NULL, 'nobody''s');
SELECT effaced_erase(ARRAY['a', '03'], subject => 'member');
SELECT effaced_erase(effaced_subject_id('a:b\', '3'), subject => 'member');
SELECT effaced_erase(ARRAY['b'' OR true --', '3'], subject => 'member') -> 'deleted' AS deleted;
SELECT * FROM member ORDER BY club, no;
SELECT * FROM visit ORDER BY id;
