-- What a correction may say: facts and columns without one, dates, generated
-- columns, and what of it is recorded.
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, email text, fax text, other text, born date, seen timestamp, at timestamptz, days date[], stay tstzrange, eras datemultirange,
                     first text, unlabelled text, full_name text GENERATED ALWAYS AS ('Mr ' || first) STORED,
                     nick text GENERATED ALWAYS AS (upper(unlabelled)) STORED);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SELECT format('SECURITY LABEL FOR effaced ON COLUMN person.%I IS %L', c, jsonb_build_object('category', k, 'fact', f, 'surrogate', s))
  FROM (VALUES ('email', 'contact', 'email'), ('fax', 'contact', NULL), ('other', 'contact', NULL), ('born', 'identity', 'born'), ('seen', 'identity', 'seen'),
               ('at', 'identity', 'at'), ('days', 'identity', 'days'), ('stay', 'identity', 'stay'), ('eras', 'identity', 'eras'), ('first', 'special', 'first'),
               ('full_name', 'special', 'name'), ('nick', 'financial', NULL)) v (c, k, f), LATERAL (SELECT CASE WHEN c NOT IN ('full_name', 'nick') THEN 'NULL' END) x (s) \gexec
INSERT INTO person (id, email, fax, first, unlabelled) VALUES (1, 'e', 'f', 'Ada', 'ad');
CREATE FUNCTION try(corrections jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; col text; hint text; detail text;
BEGIN
	RETURN effaced_rectify(1, corrections, subject => 'person') -> 'rectified';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, col = COLUMN_NAME, hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(E'\n', concat_ws(' ', state, col) || ': ' || SQLERRM, detail, hint);
END $$;
\pset format unaligned
\pset tuples_only on

-- No fact: refused where there are several and some have none. null: those that have none.
SELECT try('[{"category": "contact", "value": "x"}]');
SELECT try('[{"category": "contact", "fact": null, "value": "x"}, {"category": "contact", "fact": "email", "value": "y"}]');
SELECT email, fax, other FROM person;
SELECT try('[{"category": "identity", "fact": null, "value": "x"}]');
-- The trail keeps facts that a label has, and no others.
SELECT try('[{"category": "contact", "fact": "ada@secret.example", "value": "x"}]');
SELECT DISTINCT payload -> 'corrections' FROM effaced_audit_events WHERE event_type = 'rectification_requested';

-- Dates that any setting reads alike.
SET datestyle = 'SQL, DMY';
SET timezone = 'America/New_York';
SELECT try(jsonb_build_array(jsonb_build_object('category', 'identity', 'fact', f, 'value', v)))
  FROM (VALUES ('born', '"1980-04-05"'::jsonb), ('born', '"0044-03-15 BC"'), ('born', '"infinity"'), ('born', 'null'),
               ('born', '"05/04/1980"'), ('born', '"05.04.1980"'), ('born', '"80-04-05"'), ('born', '"April 5, 1980"'), ('born', '"tomorrow"'), ('born', '19800405'),
               ('born', '"1980-13-05"'), ('born', '"1980-04-05T10:00"'), ('born', '"1980-04-05-05"'),
               ('seen', '"1980-04-05"'), ('seen', '"1980-04-05 10:00:00.5"'), ('seen', '"1980-04-05T10:00Z"'), ('seen', '"05-04-1980 10:00"'),
               ('at', '"1980-04-05T10:00:00+02:00"'), ('at', '"1980-04-05 10:00Z"'), ('at', '"1980-04-05T10:00"'), ('at', '"1980-04-05"'), ('at', '"1980-04-05 10:00 EST"'),
               ('days', '["1980-04-05", null, "2000-01-01"]'), ('days', '"{1980-04-05}"'), ('days', '["1980-04-05", "05/04/1980"]'),
               ('stay', '"[1980-04-05T10:00:00Z,)"'), ('stay', '"[\"1980-04-05 10:00:00+00\",infinity)"'), ('stay', '"empty"'), ('stay', '"[05/04/1980,)"'),
               ('eras', '"{[1980-04-05,1980-05-05)}"'), ('eras', '"{[4.5.1980,)}"')) v (f, v);
SELECT row_to_json(p) FROM (SELECT born, seen, at, days, stay, eras FROM person) p;
-- What an export gives can be given back.
SELECT try(jsonb_agg(jsonb_build_object('category', 'identity', 'fact', field, 'value', value)))
  FROM effaced_export_records(1) WHERE category = 'identity';
SELECT row_to_json(p) FROM (SELECT born, seen, at, days, stay, eras FROM person) p;
RESET datestyle;
RESET timezone;

-- A generated column is corrected through what it is made of, or not at all.
SELECT try('[{"category": "financial", "value": "x"}]');
SELECT try('[{"category": "special", "fact": "name", "value": "Mr X"}]');
SELECT try('[{"category": "special", "fact": "name", "value": "Mr X"}, {"category": "special", "fact": "first", "value": "X"}]');
SELECT full_name, nick FROM person;
