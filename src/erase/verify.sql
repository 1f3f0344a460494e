-- What is left of a subject.

CREATE FUNCTION @extschema@.effaced_verify(subject_id text, subject regclass DEFAULT NULL) RETURNS jsonb
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_verify(text, regclass) IS
    'Counts what is left of a subject after its erasure, table by table, and records the verdict';

CREATE FUNCTION @extschema@.effaced_verify(subject_id anynonarray, subject regclass DEFAULT NULL) RETURNS jsonb
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_verify(anynonarray, regclass) IS
    'The same for an identifier of another type than text';
