-- A search of some 300 MB of uncompressed text in the cache for the values of one
-- person and of 1,000 persons (five each), beside what SQL has for it: strpos() for
-- each value, which heeds case, and a regular expression of all of them, which does
-- not. Measured is the processor's time, the least of four rounds, without that of
-- reading the values.
\set QUIET on
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION effaced;

CREATE TABLE person (id text PRIMARY KEY, email text, phone text, name text, street text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON COLUMN person.phone IS '{"category": "contact", "fact": "phone"}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN person.street IS '{"category": "contact"}';
INSERT INTO person
SELECT 'person-' || substr(md5(i::text), 1, 10), first || '.' || last || i || '@example.com', '+49 30 ' || 1234000 + i,
       initcap(first) || ' ' || initcap(last) || i % 100, initcap(last) || ' Street ' || i
  FROM generate_series(1, 20000) i,
       LATERAL (SELECT (ARRAY['anna', 'michael', 'peter', 'maria', 'thomas', 'sabine'])[i % 6 + 1] AS first,
                       translate(substr(md5(i || 'n'), 1, 8), '0123456789', 'aeioulmnrs') AS last) n;

-- Texts of ordinary words, first names and the persons' domain among them; and the same with some umlauts.
CREATE TABLE word AS
SELECT w FROM regexp_split_to_table('the of and to in is you that it he was for on are as with his they at be this have
    from or one had by word but not what all were we when your can said there use an each which she do how their if will
    up other about out many then them these so some her would make like him into time has look two more write go see number
    no way could people my than first water been call who oil its now find long down day did get come made may part account
    order invoice michael anna customer address email payment shipping delivery mail@example.com support ticket question
    answer thanks regards person street 2024 10115 berlin', '\s+') w;
CREATE FUNCTION page(int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(w.list[1 + (random() * (cardinality(w.list) - 1))::int], ' ')
      FROM (SELECT array_agg(w) AS list FROM word) w, generate_series(1, 700 + $1 - $1)
$$;
SELECT setseed(0.5) \g /dev/null
CREATE TABLE ascii (body text);
CREATE TABLE umlauts (body text);
ALTER TABLE ascii ALTER body SET STORAGE PLAIN;
ALTER TABLE umlauts ALTER body SET STORAGE PLAIN;
CREATE TABLE page AS SELECT page(i) AS body FROM generate_series(1, 500) i;

-- Processor time of this session in milliseconds.
CREATE FUNCTION cpu() RETURNS float8 LANGUAGE sql VOLATILE AS
$$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1e6 $$;
CREATE TABLE timing (what text, texts text, milliseconds float8);
CREATE FUNCTION measure(what text, texts text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    started float8;
    took float8;
BEGIN
    FOR round IN 1..4 LOOP
        BEGIN
            started := cpu();
            EXECUTE statement;
            took := cpu() - started;
            RAISE 'undo' USING ERRCODE = 'XX999';
        EXCEPTION WHEN SQLSTATE 'XX999' THEN
            INSERT INTO timing VALUES (what, texts, took);
        END;
    END LOOP;
END
$$;
SELECT array_agg(id) AS many, min(id) AS one FROM (SELECT id FROM person LIMIT 1000) p \gset
SELECT measure('one', 'none', format('SELECT count(*) FROM effaced_trace(%L)', :'one')),
       measure('many', 'none', format('SELECT effaced_erase_many(%L, trace => ''report'')', :'many')),
       measure('many, no trace', 'none', format('SELECT effaced_erase_many(%L)', :'many')) \g /dev/null
SELECT string_agg(format('strpos(body, %L) > 0', v), ' OR ') AS strpos, string_agg(regexp_replace(v, '([.+])', '\\\1', 'g'), '|') AS regex
FROM person, unnest(ARRAY[id, email, phone, name, street]) v WHERE id = :'one' \gset

-- a compressed text would stay compressed
INSERT INTO ascii SELECT body || '' FROM page, generate_series(1, 180);
VACUUM ANALYZE ascii;
SELECT measure('one', 'ascii', format('SELECT count(*) FROM effaced_trace(%L)', :'one')),
       measure('many', 'ascii', format('SELECT effaced_erase_many(%L, trace => ''report'')', :'many')),
       measure('many, no trace', 'ascii', format('SELECT effaced_erase_many(%L)', :'many')),
       measure('strpos', 'ascii', format('SELECT count(*) FROM ascii WHERE %s', :'strpos')),
       measure('regex', 'ascii', format('SELECT count(*) FROM ascii WHERE body ~* %L', :'regex')) \g /dev/null
CREATE TABLE size AS SELECT 'ascii' AS texts, sum(octet_length(body)) / 1e6 AS mb FROM ascii;
TRUNCATE ascii;
INSERT INTO umlauts SELECT replace(replace(body, 'people', 'Käufer'), ' street', 'straße') FROM page, generate_series(1, 180);
VACUUM ANALYZE umlauts;
SELECT measure('one', 'umlauts', format('SELECT count(*) FROM effaced_trace(%L)', :'one')),
       measure('many', 'umlauts', format('SELECT effaced_erase_many(%L, trace => ''report'')', :'many')),
       measure('many, no trace', 'umlauts', format('SELECT effaced_erase_many(%L)', :'many')),
       measure('strpos', 'umlauts', format('SELECT count(*) FROM umlauts WHERE %s', :'strpos')) \g /dev/null
INSERT INTO size SELECT 'umlauts', sum(octet_length(body)) / 1e6 FROM umlauts;

WITH least AS (
    SELECT what, texts, min(milliseconds) AS ms FROM timing GROUP BY what, texts),
search AS (
    SELECT m.what, m.texts, m.ms - coalesce((SELECT n.ms FROM least n WHERE n.what = m.what AND n.texts = 'none'), 0)
           - CASE m.what WHEN 'many' THEN (SELECT n.ms FROM least n WHERE n.what = 'many, no trace' AND n.texts = m.texts)
                                          - (SELECT n.ms FROM least n WHERE n.what = 'many, no trace' AND n.texts = 'none') ELSE 0 END AS ms
      FROM least m WHERE m.texts <> 'none' AND m.what <> 'many, no trace')
SELECT s.texts, CASE s.what WHEN 'one' THEN 'effaced, 1 person' WHEN 'many' THEN 'effaced, 1000 persons'
                            WHEN 'strpos' THEN 'strpos(), 1 person' ELSE 'regular expression, 1 person' END AS search,
       round(size.mb) AS "MB", round(s.ms::numeric) AS "ms", round((size.mb / s.ms::numeric * 1000)) AS "MB/s",
       round((s.ms / one.ms)::numeric, 2) AS "to 1 person",
       CASE s.what WHEN 'one' THEN '> 500 MB/s' WHEN 'many' THEN '< 1.5' END AS target
  FROM search s JOIN size USING (texts) JOIN search one ON one.what = 'one' AND one.texts = s.texts
 ORDER BY s.texts, array_position(ARRAY['one', 'many', 'strpos', 'regex'], s.what);
