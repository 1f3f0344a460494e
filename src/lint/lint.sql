-- What the data map forgets, and what will be slow or stand in the way.

CREATE FUNCTION @extschema@.effaced_lint(schemas name[] DEFAULT NULL, sample int DEFAULT 0)
RETURNS TABLE (severity text, code text, relation regclass, column_name name, message text, hint text)
LANGUAGE c STABLE ROWS 50 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_lint(name[], int) IS
    'Findings about labels, links, keys and copies, gravest first, each with a hint that fixes it; no row where there is nothing to say. With sample it looks into that many rows of each table';

-- Relations by name, since an oid would mean another table after a restore.
CREATE TABLE effaced.effaced_lint_exemptions (
    exemption_id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    relation    text NOT NULL,
    column_name name,
    code        text NOT NULL,
    reason      text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    recorded_by text NOT NULL DEFAULT SESSION_USER,
    UNIQUE NULLS NOT DISTINCT (relation, column_name, code)
);
COMMENT ON TABLE effaced.effaced_lint_exemptions IS
    'Findings of effaced_lint() that need no action, and why; written by effaced_lint_exempt()';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.exemption_id IS 'Identity of the row, which publications need';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.relation IS 'Quoted where needed, with the schema unless it is public';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.column_name IS 'Column of the finding; NULL for findings about the whole relation';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.code IS 'Code of the finding';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.reason IS 'Why it needs no action';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.recorded_at IS 'When it was recorded, by the clock';
COMMENT ON COLUMN effaced.effaced_lint_exemptions.recorded_by IS 'Role that the session logged in as';
SELECT effaced.effaced_publish('effaced_lint_exemptions');

CREATE FUNCTION @extschema@.effaced_lint_exempt(relation regclass, column_name name, code text, reason text)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_lint_exempt(regclass, name, text, text) IS
    'Records why a finding needs no action, so that effaced_lint() no longer gives it; column_name is NULL for findings about the whole relation';

CREATE FUNCTION @extschema@.effaced_lint_unexempt(relation text, column_name name, code text)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_lint_unexempt(text, name, text) IS
    'Takes an exemption back, also of what is gone';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_lint_exemptions', '');
