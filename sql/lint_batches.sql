-- What lint finds of deletion batches: what they are registered with and is gone, and
-- what no erasure of a bucket's subject reaches.
CREATE EXTENSION effaced;
\set SHOW_CONTEXT never
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE account (id int PRIMARY KEY, person_id int REFERENCES person, iban text);
CREATE INDEX ON account (person_id);
CREATE TABLE journal (id int PRIMARY KEY);
CREATE TABLE archive (id int PRIMARY KEY);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial"}';
CREATE FUNCTION ready(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT c, 'ready_for_deletion' FROM unnest(candidates) c
$$;
SELECT effaced_register_bucket('it''s', 'person');
SELECT effaced_register_anchor('person', 'person');
SELECT effaced_register_anchor('account', 'account', 'journal', 'archive');
SELECT effaced_register_anchor('journal', 'journal');
SELECT effaced_register_producer('bank', 'it''s', 'ready(text[])', '{account,journal}');
SELECT effaced_register_producer('hr', 'it''s', 'ready(text[])', '{person}');
-- An anchor that nobody owns is only to be there.
SELECT effaced_register_anchor('nobody''s', 'archive');

ALTER TABLE archive RENAME TO attic;
ALTER FUNCTION ready RENAME TO steady;
\x on
SELECT severity, code, relation, message, hint FROM effaced_lint() WHERE code ~ '^(anchor|producer)_';
-- Those about what is gone are no schema's.
SELECT code, relation FROM effaced_lint('{public}') WHERE code ~ '^(anchor|producer)_';
-- What can be said in a statement is.
SELECT hint FROM effaced_lint() WHERE code = 'anchor_table_gone' AND message ~ 'account' \gexec
SELECT hint FROM effaced_lint() WHERE code = 'anchor_without_link' AND message ~ 'anchor .account' \gexec
UPDATE effaced.effaced_producers SET eligibility = 'public.steady(text[])';
SELECT code, relation, message FROM effaced_lint() WHERE code ~ '^(anchor|producer)_';
SELECT effaced_register_anchor('nobody''s', 'attic');
SELECT effaced_register_anchor('journal', 'account');
SELECT code, relation, message FROM effaced_lint() WHERE code ~ '^(anchor|producer)_';
