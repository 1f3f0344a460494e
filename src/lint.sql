-- What the data map forgets, and what will be slow or stand in the way.

CREATE FUNCTION @extschema@.effaced_lint(schemas name[] DEFAULT NULL, sample int DEFAULT 0)
RETURNS TABLE (severity text, code text, relation regclass, column_name name, message text, hint text)
LANGUAGE c STABLE ROWS 50 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_lint(name[], int) IS
    'Findings about labels, links, keys and indexes, gravest first, each with a hint that fixes it; no row where there is nothing to say';
