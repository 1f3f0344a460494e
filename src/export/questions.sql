-- Saved questions: what labels cannot say.

CREATE TABLE @extschema@.effaced_questions (
    name          text PRIMARY KEY CHECK (name <> ''),
    short_name    text NOT NULL UNIQUE CHECK (short_name ~ '^[A-Za-z0-9_-]{1,64}$'),
    query         text NOT NULL,
    search_path   text NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE @extschema@.effaced_questions IS
    'Saved questions: queries whose answers belong to an access request; written by effaced_register_question()';
COMMENT ON COLUMN @extschema@.effaced_questions.name IS 'Name of the question';
COMMENT ON COLUMN @extschema@.effaced_questions.short_name IS 'What its files are called';
COMMENT ON COLUMN @extschema@.effaced_questions.query IS 'One SELECT; $1 is the identifier of the subject';
COMMENT ON COLUMN @extschema@.effaced_questions.search_path IS 'search_path that its names were written for';
COMMENT ON COLUMN @extschema@.effaced_questions.registered_by IS 'Role that it runs as';
COMMENT ON COLUMN @extschema@.effaced_questions.registered_at IS 'When it was registered';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.effaced_questions', '');

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
