-- effaced_erase(…, trace => …) takes a subject's values before it erases, and looks
-- in the whole database for copies that stay: 'report' tells of them, 'refuse' fails.
CREATE EXTENSION effaced;
CREATE TABLE customer (id text PRIMARY KEY, email text, name text);
CREATE TABLE invoice (id int PRIMARY KEY, customer_id text NOT NULL REFERENCES customer, email text, billed_to text, memo text);
CREATE TABLE parcel (id int PRIMARY KEY, sender text REFERENCES customer, recipient text REFERENCES customer, recipient_email text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "fact": "email", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS
	'{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.email IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.billed_to IS
	'{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON TABLE parcel IS
	'{"links": [{"name": "sender", "path": "sender"}, {"name": "recipient", "path": "recipient"}]}';
SECURITY LABEL FOR effaced ON COLUMN parcel.recipient_email IS '{"category": "contact", "fact": "email", "link": "recipient"}';
INSERT INTO customer SELECT 'customer-' || i, 'person' || i || '@example.com', 'Person Number ' || i FROM generate_series(1, 100) i;
INSERT INTO invoice SELECT i, 'customer-' || i, 'person' || i || '@example.com', 'Person Number ' || i, 'thanks' FROM generate_series(1, 100) i;
INSERT INTO parcel SELECT i, 'customer-' || i, 'customer-' || i + 1, 'person' || i + 1 || '@example.com' FROM generate_series(1, 99) i;

-- What an erasure replaces is gone, what it retains is not counted, and neither is the key in
-- columns that link rows. A parcel of hers stays, since it is the sender's too, without her address.
SELECT effaced_erase('customer-2', trace => 'report') -> 'traces' AS traces;
-- Without the argument nobody looks.
SELECT effaced_erase('customer-3') ? 'traces' AS traces;

-- Copies: in tables and columns without labels, in another person's row, as text with her key.
CREATE TABLE log (id serial, line text, payload jsonb);
INSERT INTO log (line, payload) VALUES
	('mail to PERSON5@example.com', '{"a": ["person5@example.com", "person5@example.com"]}'),
	('user customer-5 logged in', NULL),
	('person50@example.com', '{"name": "Person Number 50"}');
UPDATE invoice SET memo = 'call Person Number 5' WHERE id = 5;
UPDATE invoice SET email = 'person5@example.com' WHERE id = 7;
BEGIN;
SELECT effaced_erase('customer-5', trace => 'report') -> 'traces' AS traces;
ROLLBACK;
-- 'refuse': no erasure that leaves a copy. Nothing has happened.
SELECT effaced_erase('customer-5', trace => 'refuse');
SELECT email FROM customer WHERE id = 'customer-5';
SELECT count(*) FROM effaced_audit_events WHERE subject_ref = 'customer-5';
-- As the hint says: labelled, the copy is part of the plan.
ALTER TABLE log ADD customer_id text REFERENCES customer;
UPDATE log SET customer_id = 'customer-5' WHERE id < 3;
SECURITY LABEL FOR effaced ON TABLE log IS '{"path": "customer", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN log.line IS '{"category": "technical"}';
UPDATE invoice SET memo = NULL, email = NULL WHERE id IN (5, 7);
SELECT jsonb_pretty(effaced_erase('customer-5', trace => 'refuse'));

-- Many subjects, one look: a row counts once, whoever is in it.
INSERT INTO log (line) VALUES ('person11@example.com, person12@example.com'), ('person12@example.com'), ('person13@example.com');
SELECT effaced_erase_many(ARRAY['customer-11', 'customer-12', 'nobody at all'], trace => 'report') -> 'traces' AS traces;
SELECT effaced_erase_many(ARRAY['customer-13'], trace => 'refuse');
SELECT effaced_erase_many('{}', trace => 'refuse') -> 'traces' AS traces;
-- A restricted call leaves the rest, and is told so.
SELECT effaced_erase('customer-14', tables => '{invoice}', trace => 'report') -> 'traces' AS traces;

-- What could not be read is null, and makes 'refuse' fail.
CREATE ROLE trace_clerk;
GRANT USAGE ON SCHEMA public TO trace_clerk;
GRANT EXECUTE ON FUNCTION effaced_erase(text, jsonb, regclass, regclass[], text) TO trace_clerk;
GRANT SELECT, UPDATE, DELETE ON customer, invoice, parcel, log TO trace_clerk;
CREATE TABLE diary (text text, "Secret Text" text, n int /* which no value can stand in */);
GRANT SELECT (text) ON diary TO trace_clerk;
CREATE TABLE vault (text text);
SET ROLE trace_clerk;
SELECT effaced_erase('customer-20', trace => 'report') -> 'traces' AS traces;
SELECT effaced_erase('customer-21', trace => 'refuse');
RESET ROLE;

-- Another word.
SELECT effaced_erase('customer-30', trace => 'maybe');
SELECT effaced_erase(ARRAY['customer-30'], trace => 'refuse') ->> 'subject_id' AS subject_id;
DROP OWNED BY trace_clerk;
DROP ROLE trace_clerk;
