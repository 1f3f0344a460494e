-- What an erasure would do.

CREATE FUNCTION @extschema@.effaced_plan(subject_id text, subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS TABLE (step int, relation regclass, link text, strategy text, columns name[], reason text, statement text)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_plan(text, regclass, regclass[]) IS
    'The steps of an erasure in their order, with the statement of each; runs none of them';

CREATE FUNCTION @extschema@.effaced_plan(subject_id anynonarray, subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS TABLE (step int, relation regclass, link text, strategy text, columns name[], reason text, statement text)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_plan(anynonarray, regclass, regclass[]) IS
    'The same for an identifier of another type than text';
