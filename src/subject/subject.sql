-- Identifiers of subjects as text.

CREATE FUNCTION @extschema@.effaced_subject_id(VARIADIC text[]) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_id(text[]) IS
    'Joins the values of a composite key into one identifier: with '':'', escaped by a backslash inside a value';

CREATE FUNCTION @extschema@.effaced_parse_subject_id(serialized text, arity int DEFAULT NULL) RETURNS text[]
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_parse_subject_id(text, int) IS
    'Takes an identifier apart into the values of its key; arity 1 takes the text as it is';
