-- An export as a page: everything is there, escaped, and nothing else.
SET client_min_messages = warning;
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, mail text, extra jsonb, since date);
CREATE TABLE "order & <co>" (no int, year int, person_id int NOT NULL REFERENCES person, "ship'to" text, total numeric, placed date, gift boolean, PRIMARY KEY (year, no));
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "description": "Name <as given>", "legal_basis": "contract", "purpose": "to say \"hello\" & <b>bye</b>", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN person.mail IS '{"category": "contact", "legal_basis": "consent"}';
SECURITY LABEL FOR effaced ON COLUMN person.extra IS '{"category": "special"}';
SECURITY LABEL FOR effaced ON TABLE "order & <co>" IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN "order & <co>"."ship'to" IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN "order & <co>".total IS
	'{"category": "financial", "erasure": "retain", "legal_basis": "legal_obligation", "retention": {"reason": "tax & <law>", "duration": "P10Y", "anchor": "placed"}}';
SECURITY LABEL FOR effaced ON COLUMN "order & <co>".gift IS
	'{"category": "behavioral", "erasure": "retain", "retention": {"reason": "audit", "duration": "18 months", "basis": "legitimate_interests"}}';
INSERT INTO person VALUES (1, '<script>alert("x")</script>' || chr(127) || chr(133), 'o''neill & sons@example.com', '{"a": "say \"hi\" <b>", "b": [1, null, true]}', '2020-01-01'),
	(2, E'two\nlines\x01\\ & \\"', '', 'null', NULL), (3, 'C:\u001f\b\', '\', '{"\\": "\\"}', NULL);
INSERT INTO "order & <co>" VALUES (1, 2024, 1, 'here', 12.50, '2024-02-29', true), (2, 2024, 1, 'there', 7, NULL, false);

\pset format unaligned
\pset tuples_only on
-- The page of one person, but for the style sheet and the time.
SELECT regexp_replace(regexp_replace(effaced_export_html(1), '<style>.*</style>', '<style/>'), 'datetime="[^"]*">[^<]*<', 'datetime="…">…<') AS page;
-- Backslashes, quotes, line breaks, empty texts, JSON null.
SELECT line FROM regexp_split_to_table(effaced_export_html('2'), E'(?<=</tr>)\n|\n(?=<tr>)') AS line WHERE line ~ '^<tr>';
SELECT line FROM regexp_split_to_table(effaced_export_html('3'), E'(?<=</tr>)\n|\n(?=<tr>)') AS line WHERE line ~ '^<tr>';
-- Somebody of whom nothing is held.
SELECT regexp_replace(substring(effaced_export_html('4') FROM '<body>.*'), '<time.*</time>', '…') AS page;
-- The same as text and as a number; one pair of events each, as for an export.
SELECT regexp_replace(effaced_export_html('1', 'person'), '<time.*</time>', '') = regexp_replace(effaced_export_html(1), '<time.*</time>', '') AS same;
SELECT event_type, count(*), count(DISTINCT payload) FROM effaced_audit_events GROUP BY 1 ORDER BY 1;
-- Every value of the export is on the page, escaped.
SELECT count(*) AS records, count(*) FILTER (WHERE strpos(page, value) = 0) AS missing
FROM (SELECT effaced_export_html('1') AS page) p,
     (SELECT replace(replace(replace(replace(replace(value #>> '{}', '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '''', '&#39;'), '"', '&quot;') AS value
      FROM effaced_export_records('1')) r;
-- No script, nothing from elsewhere, no markup that is not the page's own; every element is closed.
SELECT tag, count(*) FROM (SELECT effaced_export_html('1') AS page) p, LATERAL regexp_matches(page, '<(/?[a-z0-9!]+)', 'gi') AS m (tags), unnest(tags) AS tag
GROUP BY tag ORDER BY ltrim(tag, '/'), tag;
SELECT effaced_export_html('1') ~* '<script|javascript:|https?:|src=|url\(|@import| on[a-z]+=' AS reaches_out;

-- Sources that could not be read are named, whatever they are called.
SELECT substring(effaced_bundle_html('{"subject_id": "<1>", "generated_at": "2024-01-02T20:04:05-08:00", "records": [], "incomplete_sources": ["a <b>", {"source": "c & d"}]}',
	effaced_manifest()) FROM '<body>.*') AS page;
-- A bundle of another database, with words and columns that the map does not know.
SELECT substring(effaced_bundle_html('{"subject_id": "1", "generated_at": "2024-01-02T03:04:05+00:00", "records": [
	{"source": "x", "row_key": {}, "field": "f", "category": "<new>", "value": "v", "legal_basis": "\"because\"", "purpose": null, "retention_reason": "why", "expires_at": null}]}',
	'{"tables": []}') FROM '<main>.*') AS page;
SELECT effaced_bundle_html(NULL, effaced_manifest()) IS NULL AS nothing;
-- What the session has set for itself changes nothing.
SET IntervalStyle = 'iso_8601'; SET standard_conforming_strings = off; SET DateStyle = 'German'; SET TimeZone = 'Asia/Kathmandu';
SELECT effaced_export_html('1') LIKE E'%<td>1 year 6 mons<br>%' AS term, effaced_export_html('1') LIKE E'%<td>Until 2034-02-28<br>%' AS until;
RESET ALL;
SET client_min_messages = warning;

-- Who may ask for the page needs nothing more, but on the tables.
CREATE ROLE regress_clerk;
GRANT EXECUTE ON FUNCTION effaced_export_html(text, regclass) TO regress_clerk;
SET ROLE regress_clerk;
SELECT effaced_export_html('1');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_bundle_html('{}', '{}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON person, "order & <co>" TO regress_clerk;
SET ROLE regress_clerk;
SELECT length(effaced_export_html('1')) > 1000 AS page;
RESET ROLE;
DROP OWNED BY regress_clerk;
DROP ROLE regress_clerk;
SELECT effaced_export_html(NULL::text);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_export_html('x');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_export_html('1', 'order & <co>');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_export_html('1', '"order & <co>"');
\echo :LAST_ERROR_SQLSTATE
