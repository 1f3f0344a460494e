-- Where the values of a subject stand.

CREATE FUNCTION @extschema@.effaced_trace(subject_id text, subject regclass DEFAULT NULL, relations regclass[] DEFAULT NULL)
RETURNS TABLE (relation regclass, column_name text, place text, fact text, row_count bigint, labelled boolean, reached boolean)
LANGUAGE c ROWS 50 COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_trace(text, regclass, regclass[]) IS
    'Looks for a subject''s own values in every table, labelled or not: where they stand, in how many rows, and whether an erasure reaches them';

CREATE FUNCTION @extschema@.effaced_trace(subject_id text[], subject regclass DEFAULT NULL, relations regclass[] DEFAULT NULL)
RETURNS TABLE (relation regclass, column_name text, place text, fact text, row_count bigint, labelled boolean, reached boolean)
LANGUAGE c ROWS 50 COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_trace(text[], regclass, regclass[]) IS
    'The same for a composite identifier: the values of the key in its order';

CREATE FUNCTION @extschema@.effaced_trace(subject_id anynonarray, subject regclass DEFAULT NULL, relations regclass[] DEFAULT NULL)
RETURNS TABLE (relation regclass, column_name text, place text, fact text, row_count bigint, labelled boolean, reached boolean)
LANGUAGE c ROWS 50 COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_trace(anynonarray, regclass, regclass[]) IS
    'The same for an identifier of another type than text';
