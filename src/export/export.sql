-- Access and portability (Art. 15, 20).

CREATE FUNCTION @extschema@.effaced_export(subject_id text, refs jsonb DEFAULT '[]',
                                           subject regclass DEFAULT NULL, scope text DEFAULT 'access')
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export(text, jsonb, regclass, text) IS
    'Everything held on one subject (GDPR Art. 15), or with scope ''portability'' what rests on consent or contract (Art. 20), as one document';

CREATE FUNCTION @extschema@.effaced_export(subject_id anynonarray, refs jsonb DEFAULT '[]',
                                           subject regclass DEFAULT NULL, scope text DEFAULT 'access')
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export(anynonarray, jsonb, regclass, text) IS
    'The same for an identifier of another type than text';

CREATE FUNCTION @extschema@.effaced_export_stream(subject_id text, subject regclass)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export_stream(text, regclass) IS
    'What effaced_export_records() reads from: grant EXECUTE on both';

CREATE FUNCTION @extschema@.effaced_export_stream(subject_id anynonarray, subject regclass)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_export_stream(anynonarray, regclass) IS
    'The same for an identifier of another type than text';

-- STABLE, so that it is inlined: the rows are then given one by one, while a
-- function in FROM would be kept whole before the first of them.
CREATE FUNCTION @extschema@.effaced_export_records(subject_id text, subject regclass DEFAULT NULL)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
STABLE LANGUAGE sql
AS $$
    SELECT (s.r).source, (s.r).row_key, (s.r).field, (s.r).category, (s.r).value, (s.r).legal_basis,
           (s.r).purpose, (s.r).retention_reason, (s.r).expires_at
      FROM (SELECT @extschema@.effaced_export_stream($1, $2) AS r) AS s
$$;
COMMENT ON FUNCTION @extschema@.effaced_export_records(text, regclass) IS
    'The records of effaced_export() as rows, streamed: COPY (SELECT ...) TO STDOUT holds none of them back';

CREATE FUNCTION @extschema@.effaced_export_records(subject_id anynonarray, subject regclass DEFAULT NULL)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz)
STABLE LANGUAGE sql
AS $$
    SELECT (s.r).source, (s.r).row_key, (s.r).field, (s.r).category, (s.r).value, (s.r).legal_basis,
           (s.r).purpose, (s.r).retention_reason, (s.r).expires_at
      FROM (SELECT @extschema@.effaced_export_stream($1, $2) AS r) AS s
$$;
COMMENT ON FUNCTION @extschema@.effaced_export_records(anynonarray, regclass) IS
    'The same for an identifier of another type than text';
