-- A subject's key may be of any type that has a unique index: the identifier is
-- cast to it, and one subject is recorded under one text, however it is written
-- and whatever the session's settings are.
CREATE EXTENSION effaced;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN code AS varchar(5) CHECK (VALUE ~ '^[A-Z]+$');
CREATE DOMAIN inner_code AS code;
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- Two subjects with a child each; the first is erased by another spelling of its
-- key. Gives the identifier recorded, and what is left of both.
CREATE FUNCTION try_key(type text, key text, spelling text, other text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	recorded text;
	again text;
	rest text;
	message text;
	state text;
BEGIN
	EXECUTE format('CREATE TABLE subject (key %s PRIMARY KEY, name text)', type);
	EXECUTE format('CREATE TABLE child (id int PRIMARY KEY, subject_key %s NOT NULL REFERENCES subject, name text, kept int)', type);
	SECURITY LABEL FOR effaced ON TABLE subject IS '{"path": ""}';
	SECURITY LABEL FOR effaced ON COLUMN subject.name IS '{"category": "identity", "erasure": "anonymize"}';
	SECURITY LABEL FOR effaced ON TABLE child IS '{"path": "subject"}';
	SECURITY LABEL FOR effaced ON COLUMN child.name IS '{"category": "identity", "erasure": "anonymize"}';
	EXECUTE format('INSERT INTO subject VALUES (%L, ''one''), (%L, ''two'')', key, other);
	EXECUTE format('INSERT INTO child VALUES (1, %L, ''one''), (2, %L, ''two'')', key, other);
	EXECUTE 'SELECT effaced_erase($1)' INTO again USING spelling;
	recorded := again::jsonb ->> 'subject_id';
	EXECUTE 'SELECT string_agg(what, '' '' ORDER BY what) FROM (SELECT ''s-'' || name AS what FROM subject WHERE name !~ ''^anon'' UNION ALL SELECT ''c-'' || name FROM child WHERE name !~ ''^anon'') w' INTO rest;
	-- the same from a session with other settings, by the text recorded
	SET LOCAL "DateStyle" = 'German';
	SET LOCAL "TimeZone" = 'Asia/Kathmandu';
	SET LOCAL "IntervalStyle" = 'iso_8601';
	SET LOCAL extra_float_digits = -10;
	SET LOCAL bytea_output = 'escape';
	EXECUTE 'SELECT CASE WHEN e ->> ''subject_id'' <> $1 THEN ''; another identifier '' || (e ->> ''subject_id'') ELSE '''' END
		|| CASE WHEN e -> ''anonymized'' <> ''{"child": 0, "subject": 0}'' OR e ->> ''subject_found'' <> ''true'' THEN ''; again '' || e::text ELSE '''' END
		FROM effaced_erase($1) e' INTO again USING recorded;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0', MESSAGE = format('%s: %s is left%s', recorded, coalesce(rest, 'nothing'), again);
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
		RETURN state || ': ' || message;
END
$$;
SET "TimeZone" = 'UTC';
SET "DateStyle" = 'ISO, DMY';
SELECT type, try_key(type, key, spelling, other) FROM (VALUES
	('smallint', '7', ' 007 ', '8'),
	('int', '-7', '-07', '7'),
	('bigint', '9223372036854775807', '+9223372036854775807', '1'),
	('numeric', '1.50', '1.5', '1.51'),
	('numeric(6,2)', '1.5', '1.50', '1.51'),
	('numeric(6,2)', '1.5', '1.501', '1.51'),
	('real', '0.1', '1e-1', '0.2'),
	('double precision', '0.3', '0.300000000000000000', '0.30000000000000004'),
	('boolean', 'true', 'yes', 'false'),
	('text', 'a:b\c', 'a:b\c', 'a'),
	('text', '', '', ' '),
	('text COLLATE ignore_case', 'Ada', 'ADA', 'Bea'),
	('varchar(3)', 'abc', 'abc', 'ab'),
	('varchar(3)', 'abc', 'abcd', 'ab'),
	('char(5)', 'ab', 'ab', 'abc'),
	('char(5)', 'ab', 'ab   ', 'abc'),
	('citext', 'Ada', 'ada', 'Bea'),
	('name', 'ada', 'ada', 'bea'),
	('uuid', '6f9619ff-8b86-d011-b42d-00cf4fc964ff', '{6F9619FF8B86D011B42D00CF4FC964FF}', '6f9619ff-8b86-d011-b42d-00cf4fc964fe'),
	('mood', 'ok', 'ok', 'sad'),
	('mood', 'ok', 'great', 'sad'),
	('code', 'ABC', 'ABC', 'AB'),
	('code', 'ABC', 'abc', 'AB'),
	('inner_code', 'ABC', 'ABC', 'AB'),
	('date', '2020-02-03', '3.2.2020', '2020-03-02'),
	('timestamp', '2020-02-03 04:05', '3/2/2020 04:05:00', '2020-02-03 04:06'),
	('timestamptz', '2020-02-03 04:05Z', '2020-02-03 05:05+01', '2020-02-03 04:06Z'),
	('timestamptz(0)', '2020-02-03 04:05Z', '2020-02-03 04:05:00.4Z', '2020-02-03 04:06Z'),
	('time', '04:05', '4:05:00 AM', '04:06'),
	('interval', '1 day', 'P1D', '2 days'),
	('bytea', '\x5c00ff', '\x5C00FF', '\x5c00'),
	('inet', '192.0.2.1', '192.0.2.1/32', '192.0.2.2'),
	('cidr', '192.0.2.0/24', '192.0.2/24', '192.0.2.0/25'),
	('macaddr', '08:00:2b:01:02:03', '08002B-010203', '08:00:2b:01:02:04'),
	('bit(4)', '1010', '1010', '1011'),
	('jsonb', '{"a": 1, "b": 2}', '{"b":2,"a":1}', '{"a": 1}'),
	('int[]', '{1,2}', '{1, 2}', '{1}'),
	('text[]', '{a,"b c"}', '{"a","b c"}', '{a}'),
	('int4range', '[1,3)', '[1,2]', '[1,2)'),
	('tstzrange', '[2020-01-01 00:00Z,)', '["2020-01-01 01:00+01",)', '[2020-01-02 00:00Z,)')
) AS keys (type, key, spelling, other);

-- Given as their own type they need no spelling at all.
CREATE TABLE visitor (id uuid PRIMARY KEY, ip inet, seen timestamptz UNIQUE, at date);
SECURITY LABEL FOR effaced ON TABLE visitor IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN visitor.ip IS '{"category": "technical"}';
INSERT INTO visitor SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, '192.0.2.1', timestamptz '2020-01-01 00:00Z' + i * interval '1 day' FROM generate_series(1, 4) i;
SELECT effaced_erase(id) - 'subject' AS erased FROM visitor WHERE id::text LIKE '%1';
SELECT effaced_erase(uuid '00000000-0000-0000-0000-000000000002') -> 'anonymized' AS anonymized;
SELECT effaced_erase(42);
\echo :LAST_ERROR_SQLSTATE
-- Other columns than the primary key may be the identifier.
SECURITY LABEL FOR effaced ON TABLE visitor IS '{"path": "", "subject_id_columns": ["seen"]}';
SET "DateStyle" = 'SQL, MDY';
SET "TimeZone" = 'America/New_York';
SELECT effaced_erase(timestamptz '2020-01-04 00:00Z') ->> 'subject_id' AS id;
SELECT effaced_erase(date '2020-01-04') ->> 'subject_found' AS midnight_elsewhere;
SELECT id, ip FROM visitor ORDER BY id;

-- Columns that are compared may have collations of their own.
CREATE TABLE member (name text COLLATE "C", club text COLLATE "POSIX", nick text COLLATE ignore_case, since date, PRIMARY KEY (name, club));
CREATE TABLE visit (id text COLLATE "POSIX" PRIMARY KEY, name text COLLATE "und-x-icu", club text COLLATE "C", note text, at date, FOREIGN KEY (name, club) REFERENCES member);
CREATE TABLE photo (id int PRIMARY KEY, visit_id text COLLATE "C" REFERENCES visit, caption text COLLATE "und-x-icu", taken date, stage text COLLATE "C");
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.nick IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "member"}';
SECURITY LABEL FOR effaced ON COLUMN visit.note IS '{"category": "behavioral", "surrogate": "name || club"}';
SECURITY LABEL FOR effaced ON TABLE photo IS '{"path": "visit.member", "set": {"stage": "visit_id || id"}}';
SECURITY LABEL FOR effaced ON COLUMN photo.caption IS '{"category": "identity", "surrogate": "visit_id"}';
INSERT INTO member VALUES ('ada', 'x', 'ADA'), ('ben', 'x', 'BEN');
INSERT INTO visit VALUES ('v1', 'ada', 'x', 'one'), ('v2', 'ben', 'x', 'two');
INSERT INTO photo VALUES (1, 'v1', 'Ada', NULL, ''), (2, 'v2', 'Ben', NULL, '');
SELECT effaced_erase(ARRAY['ada', 'x'], subject => 'member') -> 'anonymized' AS anonymized;
SELECT name, nick ~ 'anon-' COLLATE "C" AS anonymized FROM member ORDER BY name;
SELECT id, note FROM visit ORDER BY id;
SELECT id, caption, stage FROM photo ORDER BY id;
SELECT effaced_verify(effaced_subject_id('ada', 'x'), 'member') -> 'residual' AS residual;
SELECT effaced_erase(ARRAY['ada', 'x'], subject => 'member') -> 'anonymized' AS anonymized;

-- A composite key with a column whose = is an extension's: all of its columns are compared by their own.
CREATE TABLE player (club citext, no numeric, name text, PRIMARY KEY (club, no));
CREATE TABLE fee (id int PRIMARY KEY, club citext, no numeric, payer text, FOREIGN KEY (club, no) REFERENCES player);
SECURITY LABEL FOR effaced ON TABLE player IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN player.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE fee IS '{"path": "player"}';
SECURITY LABEL FOR effaced ON COLUMN fee.payer IS '{"category": "identity"}';
INSERT INTO player VALUES ('Chess', 1.0, 'Ada'), ('Chess', 2, 'Ben');
INSERT INTO fee VALUES (1, 'CHESS', 1, 'Ada'), (2, 'Chess', 2, 'Ben');
SELECT effaced_erase('{cHESS,1}'::text[], subject => 'player') - 'enqueued' - 'skipped_resolvers';
SELECT (SELECT string_agg(name, ' ') FROM player), (SELECT string_agg(payer, ' ') FROM fee);
