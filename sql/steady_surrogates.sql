-- A surrogate is the same in every session and on every run: settings do not
-- change it, and nothing that it is made of changes with the erasure.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, email text, name text, joined timestamptz, share float8, stay interval);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
INSERT INTO person SELECT i, 'somebody@example.com', 'name', '2024-03-01 22:30:00+00', 1 / 3.0, '1 day 02:00' FROM generate_series(1, 3) i;

-- The first erasure, in a session that quotes every name: the token does not depend on it.
SET quote_all_identifiers = on;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
SELECT effaced_verify(1) -> 'verified' AS verified;
\c -
SELECT effaced_verify(1) -> 'verified' AS verified;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
-- And the other way round.
SELECT effaced_erase(2) -> 'anonymized' AS anonymized;
\c -
SET quote_all_identifiers = on;
SELECT effaced_verify(2) -> 'verified' AS verified;
SELECT effaced_erase(2) -> 'anonymized' AS anonymized;
RESET quote_all_identifiers;

-- Expressions that turn a value into text: DateStyle, TimeZone, IntervalStyle and
-- extra_float_digits are pinned while they run.
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "surrogate": "''joined '' || joined || '', has '' || share || '', stayed '' || stay"}';
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT name FROM person WHERE id = 3;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -5;
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT name FROM person WHERE id = 3;
-- The same in a session that starts with them; its settings are its own again afterwards.
\c -
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SHOW timezone;
SHOW datestyle;

--
-- A generated column of an erased one is the erased value in other words, so no
-- surrogate is made of it ...
--
BEGIN;
CREATE TABLE login (id int PRIMARY KEY, person_id int REFERENCES person, address text,
	folded text GENERATED ALWAYS AS (lower(address)) STORED, label text GENERATED ALWAYS AS ('login ' || id) STORED);
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "person_id"}';
INSERT INTO login VALUES (1, 3, 'Ada@example.com');
SAVEPOINT s;
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact", "surrogate": "md5(folded)"}';
SELECT effaced_erase(3);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- ... while one made of columns that stay will do.
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact", "surrogate": "md5(label)"}';
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT address = md5('login 1') AS replaced FROM login;
ROLLBACK;

-- ... and it is no key of the row from which a token could be made either. This
-- table has no other, so its rows get constants, which its unique index forbids.
BEGIN;
CREATE TABLE login (person_id int REFERENCES person, address text NOT NULL, since int,
	folded text NOT NULL GENERATED ALWAYS AS (lower(address)) STORED UNIQUE);
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact"}';
INSERT INTO login VALUES (3, 'Ada@example.com', 2020);
SAVEPOINT s;
SELECT effaced_erase(3);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- With one that is made of what stays it can be erased, once and for all.
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact", "surrogate": "''login of '' || person_id"}';
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT * FROM login;
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
ROLLBACK;

-- For one subject the token of its own row is made before the statement, for
-- several of them by it: it is the same, whatever the names, and verify, which
-- makes it by a third statement, knows it.
CREATE TABLE "od\d: ""'name" ("the\id" int PRIMARY KEY, "e'mail" text, code text);
CREATE TABLE guest (id uuid PRIMARY KEY, email varchar(20), code text);
CREATE DOMAIN number AS bigint;
CREATE TABLE visitor (id number PRIMARY KEY, email text, code text);
CREATE FUNCTION label(relation regclass, email text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %s IS %L', relation, '{"path": ""}');
	EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %s.%I IS %L', relation, email, '{"category": "contact"}');
END
$$;
SELECT label('"od\d: ""''name"', 'e''mail'), label('guest', 'email'), label('visitor', 'email');
CREATE FUNCTION tokens(relation regclass, ids text[]) RETURNS TABLE (relation_name regclass, same boolean, distinct_tokens bigint, verified boolean) LANGUAGE plpgsql AS $$
DECLARE
	one text; many text;
BEGIN
	BEGIN
		PERFORM effaced_erase(i, subject => relation) FROM unnest(ids) i;
		EXECUTE format('SELECT string_agg(t::text, '' '' ORDER BY t::text) FROM %s t', relation) INTO one;
		SELECT bool_and((effaced_verify(i, relation) ->> 'verified')::boolean) INTO verified FROM unnest(ids) i;
		RAISE EXCEPTION USING ERRCODE = 'ZZ001';
	EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	END;
	PERFORM effaced_erase_many(ids, subject => relation);
	EXECUTE format('SELECT string_agg(t::text, '' '' ORDER BY t::text) FROM %s t', relation) INTO many;
	relation_name := relation;
	same := one = many;
	distinct_tokens := count(DISTINCT m) FROM regexp_matches(many, 'anon-[0-9a-f]+', 'g') m;
	RETURN NEXT;
END
$$;
INSERT INTO "od\d: ""'name" VALUES (1, 'a', 'x'), (-2, 'b', 'x');
INSERT INTO guest VALUES ('11111111-2222-3333-4444-55555555ABCD', 'a', 'x'), ('11111111-2222-3333-4444-55555555abce', 'b', 'x');
INSERT INTO visitor VALUES (9223372036854775807, 'a', 'x'), (0, 'b', 'x');
SELECT * FROM tokens('"od\d: ""''name"', '{1,-2}');
SELECT * FROM tokens('guest', '{11111111-2222-3333-4444-55555555ABCD,11111111222233334444-55555555abce}');
SELECT * FROM tokens('visitor', '{9223372036854775807,000}');
