-- Access and portability (Art. 15, 20).

CREATE FUNCTION @extschema@.effaced_export(subject_id text, refs jsonb DEFAULT '[]',
                                           subject regclass DEFAULT NULL, scope text DEFAULT 'access')
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export(text, jsonb, regclass, text) IS
    'Everything held on one subject (GDPR Art. 15), or with scope ''portability'' what rests on consent or contract (Art. 20), as one document';

CREATE FUNCTION @extschema@.effaced_export(subject_id anynonarray, refs jsonb DEFAULT '[]',
                                           subject regclass DEFAULT NULL, scope text DEFAULT 'access')
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export(anynonarray, jsonb, regclass, text) IS
    'The same for an identifier of another type than text';

CREATE FUNCTION @extschema@.effaced_export_stream(subject_id text, subject regclass)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export_stream(text, regclass) IS
    'What effaced_export_records() reads from: grant EXECUTE on both';

-- STABLE, so that it is inlined: the rows are then given one by one, while a
-- function in FROM would be kept whole before the first of them.
CREATE FUNCTION @extschema@.effaced_export_records(subject_id text, subject regclass DEFAULT NULL)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT (s.r).source, (s.r).row_key, (s.r).field, (s.r).category, (s.r).value, (s.r).legal_basis,
           (s.r).purpose, (s.r).retention_reason, (s.r).expires_at
      FROM (SELECT @extschema@.effaced_export_stream($1, $2) AS r) AS s;
END;
COMMENT ON FUNCTION @extschema@.effaced_export_records(text, regclass) IS
    'The records of effaced_export() as rows, streamed: COPY (SELECT ...) TO STDOUT holds none of them back';

-- A function of any type cannot be bound to what it calls when it is made, so this
-- one is not inlined: the server keeps its rows, on disk where they are many.
CREATE FUNCTION @extschema@.effaced_export_records(subject_id anynonarray, subject regclass DEFAULT NULL)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
LANGUAGE c AS 'MODULE_PATHNAME', 'effaced_export_stream';
COMMENT ON FUNCTION @extschema@.effaced_export_records(anynonarray, regclass) IS
    'The same for an identifier of another type than text';

-- Saved questions: what labels cannot say.

CREATE TABLE effaced.effaced_questions (
    name          text PRIMARY KEY CHECK (name <> ''),
    short_name    text NOT NULL UNIQUE CHECK (short_name ~ '^[A-Za-z0-9_-]{1,64}$'),
    query         text NOT NULL,
    search_path   text NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE effaced.effaced_questions IS
    'Saved questions: queries whose answers belong to an access request; written by effaced_register_question()';
COMMENT ON COLUMN effaced.effaced_questions.name IS 'Name of the question';
COMMENT ON COLUMN effaced.effaced_questions.short_name IS 'What its files are called';
COMMENT ON COLUMN effaced.effaced_questions.query IS 'One SELECT; $1 is the identifier of the subject';
COMMENT ON COLUMN effaced.effaced_questions.search_path IS 'search_path that its names were written for';
COMMENT ON COLUMN effaced.effaced_questions.registered_by IS 'Role that it runs as';
COMMENT ON COLUMN effaced.effaced_questions.registered_at IS 'When it was registered';
SELECT effaced.effaced_publish('effaced_questions');

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_questions', '');

CREATE FUNCTION @extschema@.effaced_register_question(name text, short_name text, query text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_register_question(text, text, text) IS
    'Saves a query that belongs to every access request; it takes the identifier of the subject as $1 and runs as the role that registers it';

CREATE FUNCTION @extschema@.effaced_drop_question(name text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_drop_question(text) IS
    'Forgets a saved question';

CREATE FUNCTION @extschema@.effaced_run_questions(subject_id text, file_prefix text DEFAULT '', at timestamptz DEFAULT now())
RETURNS TABLE (file_name text, row_count bigint, content text)
LANGUAGE c AS 'MODULE_PATHNAME' ROWS 10;
COMMENT ON FUNCTION @extschema@.effaced_run_questions(text, text, timestamptz) IS
    'Answers every saved question about one subject, each as a CSV file, from one snapshot and without writing anything';

CREATE FUNCTION @extschema@.effaced_run_questions(subject_id anynonarray, file_prefix text DEFAULT '', at timestamptz DEFAULT now())
RETURNS TABLE (file_name text, row_count bigint, content text)
LANGUAGE c AS 'MODULE_PATHNAME' ROWS 10;
COMMENT ON FUNCTION @extschema@.effaced_run_questions(anynonarray, text, timestamptz) IS
    'The same for an identifier of another type than text';

-- An access request as files on the server.

CREATE FUNCTION @extschema@.effaced_write_access_folder(subject_id text, app_name text, subject regclass DEFAULT NULL)
RETURNS TABLE (path text, bytes bigint)
LANGUAGE c AS 'MODULE_PATHNAME' ROWS 10;
COMMENT ON FUNCTION @extschema@.effaced_write_access_folder(text, text, regclass) IS
    'Writes everything held on one subject (GDPR Art. 15) into a new folder under effaced.export_directory: JSON, HTML, and a CSV file per saved question';

CREATE FUNCTION @extschema@.effaced_write_access_folder(subject_id anynonarray, app_name text, subject regclass DEFAULT NULL)
RETURNS TABLE (path text, bytes bigint)
LANGUAGE c AS 'MODULE_PATHNAME' ROWS 10;
COMMENT ON FUNCTION @extschema@.effaced_write_access_folder(anynonarray, text, regclass) IS
    'The same for an identifier of another type than text';

CREATE FUNCTION @extschema@.effaced_find(fact text, value text, subject regclass DEFAULT NULL)
RETURNS TABLE (subject text, subject_id text, relation regclass, column_name text, owned boolean)
LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_find(text, text, regclass) IS
    'Whose rows hold a value in the labelled columns of a fact or a category, and which of nobody''s: from what a person writes to who it is';
