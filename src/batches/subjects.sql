-- Who there is.

CREATE FUNCTION @extschema@.effaced_subject_kind(subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_kind(regclass) IS
    'The kind of subject that a table holds, as its label names it';

CREATE FUNCTION @extschema@.effaced_subject_ids(subject regclass DEFAULT NULL) RETURNS SETOF text
LANGUAGE c STABLE ROWS 10000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_ids(regclass) IS
    'The canonical identifiers of all subjects in a subject table';

CREATE FUNCTION @extschema@.effaced_subject_ref(subject_id text, subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_ref(text, regclass) IS
    'The canonical identifier of a subject, as it is recorded';
