-- External systems: what is registered, which references go where, and the
-- columns that hold them.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

-- try() runs a statement and shows what it raised: SQLSTATE, message, detail, hint.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', state || ': ' || message, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;

-- 1. The registry
CREATE SCHEMA "my app";
CREATE FUNCTION "my app"."erase it"(ref jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"already_absent": false}'::jsonb $$;
CREATE FUNCTION correct(ref jsonb, corrections jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"already_consistent": true}'::jsonb $$;
CREATE FUNCTION number(ref jsonb) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION rows(ref jsonb) RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT ref $$;
CREATE PROCEDURE command(ref jsonb) LANGUAGE sql AS $$ SELECT 1 $$;
SELECT effaced_register_resolver('stripe');
SELECT effaced_register_resolver('crm', erase => '"my app"."erase it"(jsonb)', export => '"my app"."erase it"(jsonb)', rectify => 'correct(jsonb,jsonb)');
SELECT effaced_register_resolver(name => 'log archive', retention_only => true);
TABLE effaced_resolvers ORDER BY name;
-- once more replaces
SELECT effaced_register_resolver('crm', erase => '"my app"."erase it"(jsonb)');
SELECT * FROM effaced_resolvers WHERE name = 'crm';
-- what does not fit
SELECT try($$SELECT effaced_register_resolver(NULL)$$);
SELECT try($$SELECT effaced_register_resolver('')$$);
SELECT try($$SELECT effaced_register_resolver(repeat('x', 256))$$);
SELECT try($$SELECT effaced_register_resolver(repeat('ß', 255))$$);
SELECT try($$SELECT effaced_register_resolver('bad', erase => 'number(jsonb)')$$);
SELECT try($$SELECT effaced_register_resolver('bad', export => 'rows(jsonb)')$$);
SELECT try($$SELECT effaced_register_resolver('bad', erase => 'command(jsonb)')$$);
SELECT try($$SELECT effaced_register_resolver('bad', erase => 'correct(jsonb,jsonb)')$$);
SELECT try($$SELECT effaced_register_resolver('bad', rectify => '"my app"."erase it"(jsonb)')$$);
DELETE FROM effaced.effaced_resolvers WHERE name LIKE 'ß%';
SELECT name FROM effaced_resolvers ORDER BY name;

-- 2. References that a request is given
CREATE TABLE person (id int PRIMARY KEY, name text, since date);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
INSERT INTO person SELECT i, 'person ' || i, '2020-01-01' FROM generate_series(1, 9) i;
CREATE VIEW entries AS SELECT subject, subject_id, resolver, ref, operation, status, attempts FROM effaced_outbox ORDER BY seq;

SELECT effaced_erase(1, '[{"kind": "stripe", "value": "cus_1"}]') #- '{enqueued,0,entry_id}';
TABLE entries;
-- the whole of a reference; the same one twice is one
SELECT effaced_erase(2, $$[{"kind": "crm", "value": "2", "extra": {"region": "eu", "n": [1, null]}},
	{"kind": "stripe", "value": "O'Brien \"x\" \\", "extra": null}, {"kind": "stripe", "value": "O'Brien \"x\" \\"},
	{"kind": "crm", "value": "2", "extra": {"n": [1, null], "region": "eu"}}, {"kind": "crm", "value": "2", "extra": false}]$$) -> 'skipped_resolvers';
SELECT ref FROM entries WHERE subject_id = '2';
-- the entries are those that the result tells of, one each
SELECT e -> 'enqueued' = (SELECT jsonb_agg(jsonb_build_object('resolver', resolver, 'entry_id', entry_id)) FROM effaced_outbox WHERE subject_id = '3')
  FROM effaced_erase(3, '[{"kind": "stripe", "value": "cus_3"}, {"kind": "log archive", "value": "3"}]') e;
-- several subjects: whoever asks for them with references means each of them
SELECT effaced_erase_many('{4,5,4}', '[{"kind": "crm", "value": "45"}]') -> 'skipped_resolvers';
SELECT subject_id, resolver, ref ->> 'value' FROM entries WHERE subject_id IN ('4', '5');
-- somebody who is not here may still be elsewhere
SELECT effaced_erase(99, '[{"kind": "stripe", "value": "cus_99"}]') -> 'subject_found';
SELECT event_type, payload FROM effaced_audit_events WHERE subject_ref = '99' ORDER BY seq;
SELECT count(*) FROM entries WHERE subject_id = '99';

-- What is no reference changes nothing, and leaves no event.
SELECT count(*) AS events FROM effaced_audit_events \gset
SELECT count(*) AS entries FROM effaced_outbox \gset
SELECT try($$SELECT effaced_erase(6, '[{"kind": "paypal", "value": "SECRET"}]')$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "stripe", "value": "cus_6"}, {"kind": "Stripe", "value": "cus_6"}]')$$);
SELECT try($$SELECT effaced_erase_many('{6,7}', '[{"kind": "paypal", "value": "SECRET"}]')$$);
SELECT try($$SELECT effaced_erase(6, '{"kind": "stripe", "value": "SECRET"}')$$);
SELECT try($$SELECT effaced_erase(6, '"stripe"')$$);
SELECT try($$SELECT effaced_erase(6, '["stripe"]')$$);
SELECT try($$SELECT effaced_erase(6, '[["stripe"]]')$$);
SELECT try($$SELECT effaced_erase(6, '[null]')$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "stripe"}]')$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "stripe", "value": null}]')$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "stripe", "value": 6}]')$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "stripe", "value": ""}]')$$);
SELECT try($$SELECT effaced_erase(6, jsonb_build_array(jsonb_build_object('kind', 'stripe', 'value', repeat('x', 256))))$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "", "value": "SECRET"}]')$$);
SELECT try($$SELECT effaced_erase(6, '[{"kind": "stripe", "value": "SECRET", "key": 1}]')$$);
SELECT count(*) = :events FROM effaced_audit_events;
SELECT count(*) = :entries FROM effaced_outbox;
SELECT name FROM person WHERE id = 6;
-- characters are counted, not bytes
SELECT jsonb_array_length(effaced_erase(6, jsonb_build_array(jsonb_build_object('kind', 'stripe', 'value', repeat('ß', 255)))) -> 'enqueued');
-- a rollback takes the entries with it
BEGIN;
SELECT jsonb_array_length(effaced_erase(7, '[{"kind": "stripe", "value": "cus_7"}]') -> 'enqueued');
ROLLBACK;
SELECT count(*) FROM entries WHERE subject_id = '7';

-- A part of the tables: nothing is told of it, unless references are given; and
-- that they have succeeded does not complete an erasure.
SELECT e -> 'enqueued', e -> 'skipped_resolvers' FROM effaced_erase(7, tables => '{person}') e;
SELECT jsonb_array_length(effaced_erase(8, '[{"kind": "stripe", "value": "cus_8"}]', tables => '{person}') -> 'enqueued');
SELECT completes FROM effaced_outbox WHERE subject_id = '8';

-- 3. Columns that hold references: read before they are erased.
TRUNCATE effaced.effaced_outbox;
DROP TABLE person;
CREATE TYPE tier AS ENUM ('a', 'b');
CREATE TABLE customer (id int PRIMARY KEY, name text, stripe text, crm int, since date);
CREATE TABLE device (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, token uuid);
CREATE TABLE invoice (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, "billing id" varchar(20), total numeric);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN customer.stripe IS '{"category": "financial", "ref": "stripe"}';
SECURITY LABEL FOR effaced ON COLUMN customer.crm IS '{"category": "identity", "ref": "crm"}';
SECURITY LABEL FOR effaced ON COLUMN device.token IS '{"category": "technical", "ref": "push service"}';
SECURITY LABEL FOR effaced ON COLUMN invoice."billing id" IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}, "ref": "stripe"}';
INSERT INTO customer SELECT i, 'customer ' || i, 'cus_' || i, 1000 + i, '2020-01-01' FROM generate_series(1, 9) i;
INSERT INTO device SELECT 10 * i + j, i, md5((10 * i + j)::text)::uuid FROM generate_series(1, 9) i, generate_series(1, 2) j;
INSERT INTO invoice SELECT i, i, 'bill_' || i, 9 FROM generate_series(1, 9) i;
UPDATE customer SET stripe = '' WHERE id = 3;
UPDATE customer SET stripe = NULL, crm = NULL WHERE id = 4;

-- a label that names a system that is not registered
SELECT try($$SELECT effaced_erase(1)$$);
SELECT count(*) FROM device WHERE customer_id = 1;
SELECT effaced_register_resolver('push service');
SELECT effaced_erase(1) -> 'skipped_resolvers';
SELECT resolver, ref FROM entries;
SELECT id, stripe ~ '^anon-[0-9a-f]{32}$', crm FROM customer WHERE id = 1;
SELECT count(*) FROM device WHERE customer_id = 1;
-- a second run finds what is retained, and no surrogates
SELECT effaced_erase(1) -> 'skipped_resolvers';
SELECT resolver, ref ->> 'value' FROM entries OFFSET 5;
-- given and found is one; empty and NULL are none; others' rows are not read
SELECT jsonb_array_length(effaced_erase(2, '[{"kind": "stripe", "value": "cus_2"}, {"kind": "stripe", "value": "cus_2", "extra": 1}]') -> 'enqueued');
SELECT resolver, ref ->> 'value', ref -> 'extra' FROM entries WHERE subject_id = '2';
SELECT effaced_erase_many('{3,4}') -> 'skipped_resolvers';
SELECT subject_id, resolver, ref ->> 'value' FROM entries WHERE subject_id IN ('3', '4');
-- a value that is too long
INSERT INTO customer VALUES (10, 'customer 10', repeat('x', 256));
SELECT try($$SELECT effaced_erase(10)$$);
SELECT name FROM customer WHERE id = 10;
-- a part of the tables
SELECT e -> 'enqueued' FROM effaced_erase(5, tables => '{device}') e;
SELECT resolver, ref ->> 'value' FROM entries WHERE subject_id = '5';

-- 4. Rows with several owners: a reference goes with its link, or with the last owner.
TRUNCATE effaced.effaced_outbox;
DROP TABLE invoice, device, customer;
CREATE TABLE member (id int PRIMARY KEY, name text);
CREATE TABLE chat (id int PRIMARY KEY, a int REFERENCES member, b int REFERENCES member, a_account text, room text);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE chat IS '{"links": [{"name": "a", "path": "a"}, {"name": "b", "path": "b"}]}';
SECURITY LABEL FOR effaced ON COLUMN chat.a_account IS '{"category": "identity", "link": "a", "ref": "crm"}';
SECURITY LABEL FOR effaced ON COLUMN chat.room IS '{"category": "communication", "ref": "push service"}';
INSERT INTO member VALUES (1, 'Ada'), (2, 'Ben'), (3, 'Cleo');
INSERT INTO chat VALUES (10, 1, 2, 'ada@crm', 'room 10'), (11, 1, NULL, 'ada2@crm', 'room 11'), (12, 2, 3, 'ben@crm', 'room 12');
-- Ada's own room goes, the one that she shares with Ben stays; her accounts both go
SELECT effaced_erase(1) -> 'skipped_resolvers';
SELECT subject_id, resolver, ref ->> 'value' FROM entries ORDER BY 1, 2, 3;
TRUNCATE effaced.effaced_outbox;
SELECT effaced_erase_many('{2,3}') -> 'skipped_resolvers';
SELECT subject_id, resolver, ref ->> 'value' FROM entries ORDER BY 1, 2, 3;
