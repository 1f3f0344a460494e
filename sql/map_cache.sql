--
-- A session keeps the data map and its plans until something changes that they
-- hold: ANALYZE and VACUUM say to every session that a table has changed, too.
--
CREATE EXTENSION effaced;
SET client_min_messages = warning;
CREATE ROLE regress_mapper;
CREATE SCHEMA shop;
CREATE TABLE person (id int PRIMARY KEY, email text, born date, note text DEFAULT 'none',
	mail text GENERATED ALWAYS AS (lower(email)) STORED);
CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, body varchar(100), extra text UNIQUE);
CREATE TABLE visit (person_id int REFERENCES person, at date NOT NULL, path text) PARTITION BY RANGE (at);
CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM ('2000-01-01') TO ('2010-01-01') PARTITION BY RANGE (at);
CREATE TABLE visit_2005 PARTITION OF visit_old FOR VALUES FROM ('2005-01-01') TO ('2006-01-01');
CREATE TABLE shop.bill (id int PRIMARY KEY, person_id int REFERENCES person, address text);
CREATE TABLE message (id int PRIMARY KEY, person_id int REFERENCES person, text text);
CREATE TABLE letter (stamp text) INHERITS (message);
CREATE TABLE other (id int PRIMARY KEY, text text);
CREATE VIEW mails AS SELECT email FROM person;
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER pass BEFORE UPDATE ON post FOR EACH ROW EXECUTE FUNCTION pass();
CREATE RULE keep AS ON DELETE TO shop.bill DO INSTEAD NOTHING;
ALTER TABLE post ADD CONSTRAINT short CHECK (length(body) < 100) NOT VALID;
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN person.mail IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN person.note IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "contact", "surrogate": "''gone''"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "person", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN visit.path IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN shop.bill.address IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "tax"}}';
SECURITY LABEL FOR effaced ON COLUMN message.text IS '{"category": "communication"}';
INSERT INTO person VALUES (1, 'a@example.org');
INSERT INTO post VALUES (1, 1, 'hello');
INSERT INTO visit VALUES (1, '2005-05-05', '/');

-- The number of the session's map, and of the plans of an erasure that hang from it.
CREATE VIEW in_memory AS
	SELECT max(ident::int) FILTER (WHERE name = 'effaced data map') AS map,
		count(*) FILTER (WHERE name = 'effaced map entry' AND ident = 'erasure plan') AS plans
	FROM pg_backend_memory_contexts;
CREATE FUNCTION use_map() RETURNS bigint LANGUAGE sql AS
	$$SELECT count(*) FROM effaced_plan('1') $$;

-- What changes nothing that the map holds.
SELECT use_map() > 0 AS used;
SELECT map AS before FROM in_memory \gset
SELECT plans FROM in_memory;
ANALYZE person, post, visit, visit_2005, shop.bill, message, letter;
VACUUM (ANALYZE) person, post, visit_2005;
SELECT use_map() > 0 AS used;
SELECT map = :before AS kept, plans FROM in_memory;
VACUUM FULL person;
TRUNCATE other;
REINDEX TABLE post;
INSERT INTO person SELECT n, n || '@example.org' FROM generate_series(2, 1000) AS n;
VACUUM (ANALYZE) person, message;
CREATE TEMP TABLE mine (id int);
GRANT USAGE ON SCHEMA shop TO regress_mapper;
ALTER TABLE other ADD COLUMN more int;
CREATE INDEX ON other (text);
SELECT use_map() > 0 AS used;
SELECT map = :before AS kept, plans FROM in_memory;

--
-- What changes something: each statement is taken back at once.  Without the
-- event trigger, which tells of many of them.
--
CREATE FUNCTION new_map_after(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before int;
	after int;
	again int;
BEGIN
	PERFORM effaced_lint(), use_map();
	SELECT map INTO before FROM in_memory;
	BEGIN
		EXECUTE statement;
		BEGIN
			PERFORM use_map();
		EXCEPTION WHEN SQLSTATE 'ZE001' OR SQLSTATE 'ZE002' OR SQLSTATE 'ZE003' OR SQLSTATE 'ZE004' THEN
		END;
		SELECT map INTO after FROM in_memory;
		RAISE SQLSTATE 'MAPPE';
	EXCEPTION WHEN SQLSTATE 'MAPPE' THEN
	END;
	PERFORM use_map();
	SELECT map INTO again FROM in_memory;
	/* what is taken back has changed, too */
	RETURN after > before AND again > after;
END
$$;
ALTER EVENT TRIGGER effaced_check_ddl DISABLE;
SELECT statement FROM unnest(ARRAY[
	'ALTER TABLE person ADD COLUMN more int',
	'ALTER TABLE person DROP COLUMN born',
	'ALTER TABLE person RENAME born TO birthday',
	'ALTER TABLE person ALTER born TYPE timestamp',
	'ALTER TABLE post ALTER body TYPE varchar(50)',
	'ALTER TABLE post ALTER body TYPE text',
	'ALTER TABLE message ALTER text TYPE text COLLATE "C"',
	'ALTER TABLE person ALTER email SET NOT NULL',
	'ALTER TABLE post ALTER person_id DROP NOT NULL',
	'ALTER TABLE person ALTER email SET DEFAULT ''''',
	'ALTER TABLE person ALTER note DROP DEFAULT',
	'ALTER TABLE person ALTER mail DROP EXPRESSION',
	'ALTER TABLE person DROP mail, ADD COLUMN mail text GENERATED ALWAYS AS (note) STORED',
	'ALTER TABLE message ALTER id ADD GENERATED ALWAYS AS IDENTITY',
	'CREATE INDEX ON person (email)',
	'CREATE UNIQUE INDEX ON person (email)',
	'CREATE INDEX ON person (lower(email))',
	'CREATE INDEX ON post (person_id) WHERE body IS NOT NULL',
	'CREATE INDEX ON visit (person_id)',
	'ALTER TABLE post DROP CONSTRAINT post_extra_key',
	'ALTER TABLE post DROP CONSTRAINT post_extra_key, ADD UNIQUE (extra) DEFERRABLE',
	'ALTER TABLE post DROP CONSTRAINT post_pkey',
	'CREATE TRIGGER other BEFORE DELETE ON message FOR EACH ROW EXECUTE FUNCTION pass()',
	'CREATE TRIGGER other BEFORE DELETE ON letter FOR EACH ROW EXECUTE FUNCTION pass()',
	'CREATE TRIGGER other BEFORE DELETE ON visit_2005 FOR EACH ROW EXECUTE FUNCTION pass()',
	'CREATE CONSTRAINT TRIGGER other AFTER DELETE ON message DEFERRABLE FOR EACH ROW EXECUTE FUNCTION pass()',
	'ALTER TABLE post DISABLE TRIGGER pass',
	'DROP TRIGGER pass ON post',
	'CREATE RULE other AS ON DELETE TO message DO INSTEAD NOTHING',
	'CREATE OR REPLACE RULE keep AS ON DELETE TO shop.bill DO ALSO NOTHING',
	'DROP RULE keep ON shop.bill',
	'ALTER TABLE person ADD CHECK (email LIKE ''%@%'')',
	'ALTER TABLE post DROP CONSTRAINT short',
	'ALTER TABLE post VALIDATE CONSTRAINT short',
	'ALTER TABLE post DROP CONSTRAINT short, ADD CONSTRAINT short CHECK (length(body) < 200)',
	'ALTER TABLE letter ADD CHECK (text <> ''x'')',
	'ALTER TABLE other ADD COLUMN person_id int REFERENCES person',
	'ALTER TABLE post DROP CONSTRAINT post_person_id_fkey',
	'ALTER TABLE post ALTER CONSTRAINT post_person_id_fkey DEFERRABLE',
	'CREATE TABLE visit_new PARTITION OF visit FOR VALUES FROM (''2010-01-01'') TO (''2020-01-01'')',
	'CREATE TABLE visit_2006 PARTITION OF visit_old FOR VALUES FROM (''2006-01-01'') TO (''2007-01-01'')',
	'ALTER TABLE visit_old DETACH PARTITION visit_2005',
	'ALTER TABLE visit DETACH PARTITION visit_old',
	'DROP TABLE visit_2005',
	'CREATE TABLE note () INHERITS (message)',
	'CREATE TABLE note () INHERITS (letter)',
	'ALTER TABLE letter NO INHERIT message',
	'ALTER TABLE letter ADD COLUMN more int',
	'ALTER TABLE message ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE message FORCE ROW LEVEL SECURITY',
	'ALTER TABLE message OWNER TO regress_mapper',
	'ALTER TABLE message SET UNLOGGED',
	'ALTER TABLE message RENAME TO mail',
	'ALTER TABLE letter RENAME TO card',
	'ALTER TABLE message SET SCHEMA shop',
	'ALTER SCHEMA shop RENAME TO store',
	'DROP TABLE shop.bill',
	'SECURITY LABEL FOR effaced ON COLUMN post.extra IS ''{"category": "contact"}'''
	]) WITH ORDINALITY AS s (statement, n)
WHERE new_map_after(statement) IS NOT TRUE ORDER BY n;
ALTER EVENT TRIGGER effaced_check_ddl ENABLE ALWAYS;

-- Of several changes that come to nothing, none counts.
SELECT use_map() > 0 AS used;
SELECT map AS before FROM in_memory \gset
ALTER TABLE person ALTER email SET DEFAULT '';
ALTER TABLE person ALTER email DROP DEFAULT;
SELECT use_map() > 0 AS used;
SELECT map = :before AS kept FROM in_memory;
