-- Rectification (Art. 16).

CREATE FUNCTION @extschema@.effaced_rectify(subject_id text, corrections jsonb, refs jsonb DEFAULT '[]',
                                            subject regclass DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_rectify(text, jsonb, jsonb, regclass) IS
    'Corrects facts about one subject wherever the labels say that they are held (GDPR Art. 16), in the caller''s transaction, and records it without values';

CREATE FUNCTION @extschema@.effaced_rectify(subject_id anynonarray, corrections jsonb, refs jsonb DEFAULT '[]',
                                            subject regclass DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_rectify(anynonarray, jsonb, jsonb, regclass) IS
    'The same for an identifier of another type than text';
