-- Erasure (Art. 17).

CREATE FUNCTION @extschema@.effaced_erase(subject_id text, refs jsonb DEFAULT '[]',
                                          subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase(text, jsonb, regclass, regclass[]) IS
    'Erases one subject in the caller''s transaction (GDPR Art. 17): deletes, anonymizes and retains as the plan says, and records it';

CREATE FUNCTION @extschema@.effaced_erase(subject_id text[], refs jsonb DEFAULT '[]',
                                          subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase(text[], jsonb, regclass, regclass[]) IS
    'The same for a composite identifier: the values of the key in its order';

CREATE FUNCTION @extschema@.effaced_erase(subject_id anynonarray, refs jsonb DEFAULT '[]',
                                          subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase(anynonarray, jsonb, regclass, regclass[]) IS
    'The same for an identifier of another type than text';

CREATE FUNCTION @extschema@.effaced_erase_many(subject_ids text[], refs jsonb DEFAULT '[]',
                                               subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase_many(text[], jsonb, regclass, regclass[]) IS
    'Erases several subjects in the caller''s transaction, all or none';
