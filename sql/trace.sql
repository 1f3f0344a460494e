-- effaced_trace() looks for a person's own values where no label knows of them: in
-- every column of every table, whatever its type. It gives names and numbers, and
-- never a value.
CREATE EXTENSION effaced;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;

-- A shop: 2000 customers, with their orders.
CREATE TABLE customer (id uuid PRIMARY KEY, email text, phone text, name text, city text, nick text, pin text);
CREATE TABLE purchase (id int PRIMARY KEY, customer_id uuid NOT NULL REFERENCES customer, ship_to text, billed_to text, remark text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "fact": "email", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.phone IS '{"category": "contact", "fact": "phone", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN customer.city IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN customer.nick IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN customer.pin IS '{"category": "identity", "trace": false}';
SECURITY LABEL FOR effaced ON COLUMN purchase.ship_to IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON COLUMN purchase.billed_to IS
	'{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law"}}';
INSERT INTO customer
SELECT md5('c' || i)::uuid, 'customer' || i || '@example.com', '0049301' || 100000 + i, 'Zoë Groß' || i, 'Wuppertal',
	'nickname' || i, 'pin-' || 100000 + i
FROM generate_series(1, 2000) i;
INSERT INTO purchase SELECT i, md5('c' || i % 2000 + 1)::uuid, 'Elm Street ' || i, 'Zoë Groß' || i % 2000 + 1 FROM generate_series(1, 4000) i;
-- The customer that this is about.
SELECT md5('c42')::uuid AS her \gset

-- What is labelled is found, and whether an erasure reaches it: "reached". The
-- city tells nothing about her, since more customers than 1 in 1,000 are there, and
-- the nickname is no contact. Nobody looks for the pin, whose label says so.
SELECT * FROM effaced_trace(:'her');

-- A table that no label knows, with a column of each type.
CREATE DOMAIN address AS citext;
CREATE TYPE contact AS (kind text, "home address" text, tags text[]);
CREATE TABLE copy (
	id serial, vc varchar(200), ch char(40), nm name, ci citext, dom address, dom_array address[],
	js json, jb jsonb, x xml, hs hstore, u uuid, us uuid[], tv tsvector,
	i8 bigint, num numeric, f8 double precision, ta text[], comp contact, comps contact[], other bytea);
INSERT INTO copy (vc) VALUES ('customer42@example.com');
INSERT INTO copy (ch) VALUES ('customer42@example.com');
INSERT INTO copy (nm) VALUES ('customer42@example.com');
INSERT INTO copy (ci) VALUES ('Customer42@Example.com');
INSERT INTO copy (dom) VALUES ('<CUSTOMER42@example.com>');
INSERT INTO copy (dom_array) VALUES ('{nobody,customer42@example.com}');
INSERT INTO copy (js) VALUES ('{"to": [{"mail": "customer42\u0040example.com"}, 1], "phone": 49301100042}');
INSERT INTO copy (jb) VALUES ('{"to": [{"mail": "customer42@example.com"}, 1], "phone": 49301100042, "note": "{\"mail\": \"customer42\\u0040example.com\"}"}');
INSERT INTO copy (x) VALUES ('<mail to="customer42&#64;example.com"/>');
INSERT INTO copy (hs) VALUES ('mail => customer42@example.com');
INSERT INTO copy (u) VALUES (:'her');
INSERT INTO copy (us) VALUES (ARRAY[NULL, :'her']::uuid[]);
INSERT INTO copy (tv) VALUES (to_tsvector('simple', 'written by Zoë Groß42'));
INSERT INTO copy (i8) VALUES (49301100042), (49301100043);
INSERT INTO copy (num) VALUES (49301100042.00), (49301100042.5);
INSERT INTO copy (f8) VALUES (49301100042);
INSERT INTO copy (ta) VALUES ('{{a,b},{c,customer42@example.com}}');
INSERT INTO copy (comp) VALUES (ROW('x', 'customer42@example.com', NULL));
INSERT INTO copy (comps) VALUES (ARRAY[ROW('x', NULL, '{a,customer42@example.com}')::contact]);
SELECT column_name, place, fact, row_count, labelled, reached FROM effaced_trace(:'her', relations => '{copy}');

-- Whatever the case of letters, as Unicode has it; a key as text in any spelling.
CREATE TABLE note (id serial, body text);
INSERT INTO note (body) VALUES ('by ZOË GROSS42, again'), ('by ZOË GROẞ42'), (upper(:'her')), ('{' || :'her' || '}'), (translate(:'her', '-', ''));
SELECT fact, row_count FROM effaced_trace(:'her', relations => '{note}');
-- A text is searched for words: no letter, digit or one of @._-+ stands before or behind a value.
TRUNCATE note;
INSERT INTO note (body)
SELECT replace(pattern, '*', 'customer42@example.com')
FROM unnest(ARRAY['x*', 'é*', '*é', '*9', '*.au', '.*', '@*', '*@', '_*', '*_', '-*', '*-', '+*', '*+', '*日本', 'customer42@example.co', 'customer42 @example.com']) pattern;
SELECT fact, row_count FROM effaced_trace(:'her', relations => '{note}');
INSERT INTO note (body)
SELECT replace(pattern, '*', 'customer42@example.com')
FROM unnest(ARRAY['* *', '<*>', '"*"', 'mail:*', 'a,*;b', '(*)', '*/*', '„*“', '=*&x=1', E'a\n*\tb']) pattern;
SELECT fact, row_count FROM effaced_trace(:'her', relations => '{note}');

-- JSON in a text column has places too; what is no JSON is a text.
TRUNCATE note;
INSERT INTO note (body) VALUES
	('{"a": {"b": [["customer42@example.com"]]}}'), (' ["customer42@example.com"'), ('{customer42@example.com'),
	('{"first name": "customer42@example.com"}'), ('{"\u0061": "\"customer42\u0040example.com\""}');
SELECT place, fact, row_count FROM effaced_trace(:'her', relations => '{note}');
-- A place never tells a value: not hers, and not what may be somebody else's.
TRUNCATE copy;
INSERT INTO copy (jb) VALUES ('{"customer42@example.com": {"friend": 1}}'), ('{"ben@example.com": {"friend": "customer42@example.com"}}');
INSERT INTO copy (hs) VALUES ('"customer42@example.com" => x'), ('"0049301100043" => "customer42@example.com"');
SELECT column_name, place, fact, row_count FROM effaced_trace(:'her', relations => '{copy}');

-- Rows are counted, whatever often a value stands in one; long values are taken apart.
TRUNCATE note;
INSERT INTO note (body) VALUES
	(repeat('customer42@example.com ', 1000)),
	(repeat('x ', 500000) || 'Zoë GROSS42'),
	(repeat('ä ', 500000) || 'Zoë GROSS42 ' || repeat('ß ', 100000)),
	((SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 20000) i) || ' customer42@example.com');
SELECT fact, row_count FROM effaced_trace(:'her', relations => '{note}');

-- Partitions are reported under their parent, and labels of the parent count; materialized
-- views are searched; an index, a view or a table that is gone holds nothing.
CREATE TABLE event (at date, text text) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE event_2 (text text, gone text, at date);
ALTER TABLE event_2 DROP COLUMN gone;
ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
INSERT INTO event VALUES ('2020-02-02', 'customer42@example.com'), ('2021-02-02', 'customer42@example.com');
CREATE MATERIALIZED VIEW contacts AS SELECT email || ' (' || name || ')' AS text FROM customer;
CREATE MATERIALIZED VIEW empty AS SELECT email FROM customer WITH NO DATA;
CREATE VIEW all_contacts AS SELECT email FROM customer;
SELECT * FROM effaced_trace(:'her', relations => '{event, contacts, empty, all_contacts}');
SELECT relation, row_count FROM effaced_trace(:'her', relations => '{event_2}');
DROP MATERIALIZED VIEW contacts, empty;
DROP VIEW all_contacts;

-- A count of zero: what an erasure reaches is gone, and the control that was planted is found.
TRUNCATE note, copy, event;
INSERT INTO note (body) VALUES ('write to customer42@example.com');
SELECT relation, column_name, fact, row_count, labelled, reached FROM effaced_trace(:'her') WHERE NOT reached;

-- Who may not read a table is told so, and so is whom row-level security keeps from rows.
CREATE ROLE trace_reader;
GRANT USAGE ON SCHEMA public TO trace_reader;
SELECT oid::regprocedure AS function FROM pg_proc WHERE proname = 'effaced_trace' ORDER BY oid::regprocedure::text;
GRANT EXECUTE ON FUNCTION effaced_trace(text, regclass, regclass[]) TO trace_reader;
GRANT SELECT ON customer, purchase, copy, event TO trace_reader;
GRANT SELECT (id) ON note TO trace_reader;
ALTER TABLE copy ENABLE ROW LEVEL SECURITY;
CREATE SCHEMA hidden;
CREATE TABLE hidden.note (body text);
GRANT SELECT ON hidden.note TO trace_reader;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE remote (body text) SERVER elsewhere;
SET ROLE trace_reader;
SELECT relation, column_name, row_count, labelled, reached FROM effaced_trace(:'her') WHERE row_count IS NULL;
RESET ROLE;
REVOKE SELECT ON customer FROM trace_reader;
SET ROLE trace_reader;
SELECT count(*) FROM effaced_trace(:'her');
RESET ROLE;
DROP FOREIGN TABLE remote;

-- Nobody's code runs: not that of a type, and not that of a policy or an index.
CREATE FUNCTION shout(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'seen'; END $$;
CREATE TABLE trap (body text);
INSERT INTO trap VALUES ('customer42@example.com');
CREATE DOMAIN loud AS text;
ALTER TABLE trap ALTER body TYPE loud;
ALTER DOMAIN loud ADD CHECK (shout(VALUE)) NOT VALID;
ALTER TABLE trap ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON trap USING (shout(body));
SELECT relation, row_count FROM effaced_trace(:'her', relations => '{trap}');

-- Wrong calls.
SELECT effaced_trace(NULL::text);
SELECT effaced_trace('no uuid');
SELECT effaced_trace(:'her', relations => '{}');
SELECT count(*) FROM effaced_trace(md5('nobody')::uuid);
DROP OWNED BY trace_reader;
DROP ROLE trace_reader;
