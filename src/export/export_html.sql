-- An export as a page that a person can read.

-- Every string is escaped in one place, before any of it becomes part of the
-- page: the texts are gathered as one JSON document, and its text is escaped.
-- JSON itself has none of & < > '; a backslash is written \u005c first, so
-- that \" is a quote and nothing else.
CREATE FUNCTION @extschema@.effaced_bundle_html(bundle jsonb, manifest jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET "IntervalStyle" = postgres
SET "TimeZone" = 'UTC' SET "DateStyle" = ISO SET standard_conforming_strings = on AS $page$
    WITH labels AS (
        SELECT t.value ->> 'name' AS source, c.value ->> 'name' AS field, c.value -> 'spec' AS spec,
               c.value -> 'spec' -> 'retention' AS retention
        FROM jsonb_array_elements(manifest -> 'tables') AS t, jsonb_array_elements(t.value -> 'columns') AS c
    ), texts AS (
        SELECT jsonb_build_object(
            'subject_id', bundle ->> 'subject_id',
            'generated_at', to_jsonb((bundle ->> 'generated_at')::timestamptz),
            'incomplete', (SELECT jsonb_agg(CASE jsonb_typeof(s.value) WHEN 'string' THEN s.value #>> '{}' ELSE s.value::text END
                                            ORDER BY s.ordinality)
                           FROM jsonb_array_elements(bundle -> 'incomplete_sources') WITH ORDINALITY AS s),
            'records', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'n', r.ordinality,
                    'source', r.value ->> 'source',
                    'field', r.value ->> 'field',
                    'description', l.spec ->> 'description',
                    'category', r.value ->> 'category',
                    'title', initcap(r.value ->> 'category'),
                    'value', CASE jsonb_typeof(r.value -> 'value') WHEN 'null' THEN NULL
                             WHEN 'string' THEN r.value ->> 'value' ELSE (r.value -> 'value')::text END,
                    'row_key', (SELECT string_agg(k.key || ' = ' || k.value, ', ' ORDER BY k.ordinality)
                                FROM jsonb_each_text(r.value -> 'row_key') WITH ORDINALITY AS k),
                    'purpose', r.value ->> 'purpose',
                    'basis', r.value ->> 'legal_basis',
                    'kept', CASE WHEN r.value ->> 'expires_at' IS NOT NULL
                                      THEN 'Until ' || (r.value ->> 'expires_at')::timestamptz::date
                                 WHEN l.retention ->> 'duration' IS NOT NULL
                                      THEN concat((l.retention ->> 'duration')::interval, ' from ' || (l.retention ->> 'anchor'))
                                 WHEN r.value ->> 'retention_reason' IS NOT NULL THEN 'No end is set'
                                 ELSE 'Until its erasure is asked for' END,
                    'reason', r.value ->> 'retention_reason',
                    'reason_basis', l.retention ->> 'basis') ORDER BY r.ordinality), '[]')
                FROM jsonb_array_elements(bundle -> 'records') WITH ORDINALITY AS r
                LEFT JOIN labels AS l ON (l.source, l.field) = (r.value ->> 'source', r.value ->> 'field'))) AS raw
        WHERE bundle IS NOT NULL
    ), escaped AS (
        SELECT regexp_replace(replace(replace(replace(replace(replace(replace(raw::text,
                   '\\', '\u005c'), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '''', '&#39;'), '\"', '&quot;'),
                   -- control characters are not allowed in HTML in any form
                   '\\(u00[01][0-9a-f]|[bf])|[\u007f-\u009f]', '&#xFFFD;', 'g')::jsonb AS safe
        FROM texts
    ), bases (basis, words) AS (
        VALUES ('consent', 'Consent (Art. 6(1)(a) GDPR)'),
               ('contract', 'Contract (Art. 6(1)(b) GDPR)'),
               ('legal_obligation', 'Legal obligation (Art. 6(1)(c) GDPR)'),
               ('vital_interests', 'Vital interests (Art. 6(1)(d) GDPR)'),
               ('public_task', 'Public task (Art. 6(1)(e) GDPR)'),
               ('legitimate_interests', 'Legitimate interests (Art. 6(1)(f) GDPR)')
    ), table_rows AS (
        SELECT r.category, r.title, r.source, r.n,
               concat('<tr><th scope="row">', coalesce(r.description || ' <small>' || r.field || '</small>', r.field),
                      '</th><td class="value" dir="auto">', coalesce(nullif(r.value, ''), '<small>(empty)</small>'),
                      '</td><td>', r.row_key,
                      '</td><td>', r.purpose,
                      '</td><td>', coalesce(b.words, r.basis, 'Not stated'),
                      '</td><td>', r.kept, '<br><small>' || r.reason || coalesce(': ' || rb.words, '') || '</small>',
                      E'</td></tr>\n') AS html
        FROM escaped, jsonb_to_recordset(safe -> 'records') AS r (n bigint, source text, field text, description text,
             category text, title text, value text, row_key text, purpose text, basis text, kept text, reason text, reason_basis text)
        LEFT JOIN bases AS b ON b.basis = r.basis
        LEFT JOIN bases AS rb ON rb.basis = r.reason_basis
    ), tables AS (
        SELECT category, title, source, count(*) AS n,
               concat(E'<div class="scroll" tabindex="0" role="region" aria-label="', title, ' from ', source, E'">\n<table>\n<caption>From table ', source,
                      E'</caption>\n<thead><tr><th scope="col">What</th><th scope="col">Value</th><th scope="col">Record</th>',
                      '<th scope="col">Purpose</th><th scope="col">Legal basis</th>',
                      E'<th scope="col">How long it is kept, and why</th></tr></thead>\n<tbody>\n',
                      string_agg(html, '' ORDER BY table_rows.n), E'</tbody>\n</table>\n</div>\n') AS html
        FROM table_rows GROUP BY category, title, source
    ), categories AS (
        SELECT title, sum(tables.n) AS n, row_number() OVER w AS place,
               string_agg(html, '' ORDER BY source COLLATE "C") AS html
        FROM tables GROUP BY category, title
        WINDOW w AS (ORDER BY array_position('{identity,contact,communication,financial,location,behavioral,technical,special}', category),
                              category COLLATE "C")
    ), sections AS (
        SELECT sum(n) AS n,
               string_agg(format(E'<li><a href="#category-%s">%s</a>: %s</li>\n', place, title,
                                 CASE n WHEN 1 THEN '1 value' ELSE n || ' values' END), '' ORDER BY place) AS contents,
               string_agg(format(E'<section aria-labelledby="category-%s">\n<h2 id="category-%1$s">%s</h2>\n%s</section>\n',
                                 place, title, html), '' ORDER BY place) AS html
        FROM categories
    ), gaps AS (
        SELECT string_agg('<li>' || s.value || E'</li>\n', '' ORDER BY s.ordinality) AS html
        FROM escaped, jsonb_array_elements_text(CASE jsonb_typeof(safe -> 'incomplete') WHEN 'array' THEN safe -> 'incomplete' END)
             WITH ORDINALITY AS s
    )
    SELECT concat($html$<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>Personal data held on $html$, safe ->> 'subject_id', $html$</title>
<style>
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #57606a; --page: #fff; --band: #f3f5f7; --line: #c9d1d9; --link: #0b5394; --warn: #fff4ce; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ed; --quiet: #a9b3be; --page: #15191e; --band: #1f252c; --line: #3d4650; --link: #8cc2ff; --warn: #4a3c00; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; }
a { color: var(--link); }
small { color: var(--quiet); font-weight: normal; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; margin-bottom: 1.5rem; }
caption { text-align: start; font-weight: bold; padding: .5rem 0; }
th, td { text-align: start; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: break-word; min-width: 6rem; }
th small { display: block; }
thead th { background: var(--band); }
.value { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 12rem; }
.warning { background: var(--warn); padding: .1rem 1rem; border: 1px solid var(--line); }
.warning h2 { margin-top: 1rem; }
@media print {
  :root { color-scheme: light; --text: #000; --quiet: #333; --page: #fff; --band: #eee; --line: #999; --link: #000; --warn: #fff; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  nav { display: none; }
  .scroll { overflow: visible; }
  th, td { min-width: 0; }
  .value { min-width: 0; }
  h2, caption { break-after: avoid; }
  tr { break-inside: avoid; }
  thead { display: table-header-group; }
}
</style>
</head>
<body>
<header>
<h1>Personal data held on $html$, safe ->> 'subject_id', E'</h1>\n<p>As of <time datetime="', safe ->> 'generated_at', '">',
        replace("left"(safe ->> 'generated_at', 16), 'T', ' '), E' UTC</time>. Times are in UTC.</p>\n</header>\n',
        CASE WHEN gaps.html IS NOT NULL THEN
            concat(E'<section class="warning" aria-labelledby="incomplete">\n<h2 id="incomplete">This page is not complete</h2>\n',
                   E'<p>These sources could not be read; what they hold is missing here:</p>\n<ul>\n', gaps.html, E'</ul>\n</section>\n')
        END,
        CASE WHEN sections.n IS NULL THEN
            concat(E'<main>\n<p>', CASE WHEN gaps.html IS NULL THEN 'No personal data is held on this person.'
                                        ELSE 'No personal data was found on this person in the other sources.' END, E'</p>\n</main>\n')
        ELSE
            concat(E'<nav aria-label="Categories">\n<ul>\n', sections.contents, E'</ul>\n</nav>\n<main>\n', sections.html, E'</main>\n')
        END, E'</body>\n</html>\n')
    FROM escaped, sections, gaps
$page$;
COMMENT ON FUNCTION @extschema@.effaced_bundle_html(jsonb, jsonb) IS
    'What effaced_export() returned as an HTML page, with what a manifest knows of the columns; NULL for NULL';

CREATE FUNCTION @extschema@.effaced_export_html(subject_id text, subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export_html(text, regclass) IS
    'Everything held on one subject (GDPR Art. 15) as one HTML page that a person can read and print';

CREATE FUNCTION @extschema@.effaced_export_html(subject_id anynonarray, subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export_html(anynonarray, regclass) IS
    'The same for an identifier of another type than text';
