-- A correction goes along the ways by which rows are found: what joins them is written
-- at both ends in the same call, from rows found before anything changed. Where that
-- cannot be, nothing is changed.
CREATE EXTENSION effaced;

--
-- The other end of a hop has no label: it follows, and is counted.
--
BEGIN;
CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE);
CREATE TABLE cart (id int PRIMARY KEY, owner text, items text);
CREATE TABLE newsletter (email text, topic text, PRIMARY KEY (email, topic));
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON TABLE cart IS '{"owned": true, "hops": [{"source_columns": ["owner"], "target_table": "customer", "target_columns": ["email"]}]}';
SECURITY LABEL FOR effaced ON COLUMN cart.items IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON TABLE newsletter IS '{"owned": true, "hops": [{"source_columns": ["email"], "target_table": "customer", "target_columns": ["email"]}]}';
INSERT INTO customer VALUES (1, 'nora@x'), (2, 'ben@x');
INSERT INTO cart VALUES (10, 'nora@x', 'hat'), (11, 'ben@x', 'cap');
INSERT INTO newsletter VALUES ('nora@x', 'chess'), ('nora@x', 'go'), ('ben@x', 'go');
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@x"}]') -> 'rectified' AS rectified;
SELECT * FROM cart ORDER BY id;
SELECT * FROM newsletter ORDER BY 1, 2;
SELECT effaced_erase(1) -> 'deleted' AS deleted;
SELECT * FROM cart;
SELECT * FROM newsletter;
ROLLBACK;

--
-- From the source to a target without a label: the same. A target that has another
-- label, or that identifies the subject, is not what the correction is about.
--
BEGIN;
CREATE TABLE customer (id int PRIMARY KEY, login text UNIQUE, since date);
CREATE TABLE visit (id int PRIMARY KEY, login text, page text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.since IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"owned": true, "hops": [{"source_columns": ["login"], "target_table": "customer", "target_columns": ["login"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.login IS '{"category": "identity", "fact": "login"}';
INSERT INTO customer VALUES (1, 'nora');
INSERT INTO visit VALUES (1, 'nora', '/a'), (2, 'nora', '/b');
SAVEPOINT s;
SELECT effaced_rectify(1, '[{"category": "identity", "value": "eleonora"}]') -> 'rectified' AS rectified;
SELECT * FROM customer;
SELECT * FROM visit ORDER BY id;
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON COLUMN customer.login IS '{"category": "contact", "fact": "handle"}';
SELECT effaced_rectify(1, '[{"category": "identity", "value": "eleonora"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "subject_id_columns": ["login"]}';
SELECT effaced_rectify('nora', '[{"category": "identity", "value": "eleonora"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM customer;
ROLLBACK;

--
-- Generated columns at both ends follow what they are generated from.
--
BEGIN;
CREATE TABLE customer (id int PRIMARY KEY, email text, k text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, email text, k text GENERATED ALWAYS AS (lower(email)) STORED);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON TABLE orders IS '{"hops": [{"source_columns": ["k"], "target_table": "customer", "target_columns": ["k"]}]}';
SECURITY LABEL FOR effaced ON COLUMN orders.email IS '{"category": "contact", "fact": "email"}';
INSERT INTO customer VALUES (1, 'Nora@x'), (2, 'Ben@x');
INSERT INTO orders VALUES (10, 'NORA@x'), (11, 'ben@X');
SAVEPOINT s;
SELECT effaced_rectify(1, '[{"category": "contact", "fact": "email", "value": "New@x"}]') -> 'rectified' AS rectified;
SELECT * FROM orders ORDER BY id;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
ROLLBACK TO s;
-- At one end it is made of another fact: then it cannot follow.
SECURITY LABEL FOR effaced ON COLUMN orders.email IS '{"category": "contact", "fact": "billing_email"}';
SELECT effaced_rectify(1, '[{"category": "contact", "fact": "email", "value": "New@x"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- Made in another way, it would not be equal any more.
ALTER TABLE orders DROP k;
ALTER TABLE orders ADD k text GENERATED ALWAYS AS (left(lower(email), 6)) STORED;
SELECT effaced_rectify(1, '[{"category": "contact", "fact": "email", "value": "Longer@x"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM orders ORDER BY id;
ROLLBACK;

--
-- Along several hops, through a table between; and a "where" that the new value does
-- not fulfil.
--
BEGIN;
CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE, since date);
CREATE TABLE orders (no text PRIMARY KEY, email text);
CREATE TABLE parcel (id int PRIMARY KEY, order_no text, street text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE orders IS '{"hops": [{"source_columns": ["email"], "target_table": "customer", "target_columns": ["email"]}]}';
SECURITY LABEL FOR effaced ON COLUMN orders.no IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"hops": [
	{"source_columns": ["order_no"], "target_table": "orders", "target_columns": ["no"]},
	{"source_columns": ["email"], "target_table": "customer", "target_columns": ["email"]}]}';
SECURITY LABEL FOR effaced ON COLUMN parcel.street IS '{"category": "location"}';
INSERT INTO customer VALUES (1, 'nora@x');
INSERT INTO orders VALUES ('A-1', 'nora@x');
INSERT INTO parcel VALUES (1, 'A-1', 'Main Street 1');
SAVEPOINT s;
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@x"}, {"category": "financial", "value": "B-2"}]') -> 'rectified' AS rectified;
SELECT * FROM orders;
SELECT * FROM parcel;
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "where": "email LIKE ''%@x''"}';
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@x"}]') -> 'rectified' AS rectified;
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@y"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- A row that another living subject owns too would be found by the old value.
--
BEGIN;
CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE);
CREATE TABLE chat (id int PRIMARY KEY, email text, agent_id int, body text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE chat IS '{"links": [
	{"name": "customer", "hops": [{"source_columns": ["email"], "target_table": "customer", "target_columns": ["email"]}]},
	{"name": "agent", "hops": [{"source_columns": ["agent_id"], "target_table": "customer", "target_columns": ["id"]}]}]}';
SECURITY LABEL FOR effaced ON COLUMN chat.body IS '{"category": "communication"}';
INSERT INTO customer VALUES (1, 'nora@x'), (2, 'ben@x');
INSERT INTO chat VALUES (1, 'nora@x', 2, 'hello');
SAVEPOINT s;
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@x"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM customer ORDER BY id;
-- What is tied to the link is about nobody else, and follows.
SECURITY LABEL FOR effaced ON COLUMN chat.email IS '{"category": "contact", "link": "customer"}';
SELECT effaced_rectify(1, '[{"category": "contact", "value": "new@x"}]') -> 'rectified' AS rectified;
SELECT * FROM chat;
ROLLBACK;
