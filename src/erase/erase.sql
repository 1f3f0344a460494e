-- What an erasure would do.

CREATE FUNCTION @extschema@.effaced_plan(subject_id text, subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS TABLE (step int, relation regclass, link text, strategy text, columns name[], reason text, statement text)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_plan(text, regclass, regclass[]) IS
    'The steps of an erasure in their order, with the statement of each; runs none of them';

CREATE FUNCTION effaced.effaced_plan(subject_id text, subject regclass, tables regclass[])
RETURNS TABLE (step int, relation regclass, link text, strategy text, columns name[], reason text, statement text)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_plan(text, regclass, regclass[]) IS
    'The same, for functions that must not look it up by name in a schema of others';

CREATE FUNCTION @extschema@.effaced_plan(subject_id anynonarray, subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL)
RETURNS TABLE (step int, relation regclass, link text, strategy text, columns name[], reason text, statement text)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_plan(anynonarray, regclass, regclass[]) IS
    'The same for an identifier of another type than text';

-- Erasure (Art. 17).

CREATE FUNCTION @extschema@.effaced_erase(subject_id text, refs jsonb DEFAULT '[]',
                                          subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL,
                                          trace text DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase(text, jsonb, regclass, regclass[], text) IS
    'Erases one subject in the caller''s transaction (GDPR Art. 17): deletes, anonymizes and retains as the plan says, and records it';

CREATE FUNCTION effaced.effaced_erase(subject_id text, refs jsonb, subject regclass, tables regclass[])
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_erase(text, jsonb, regclass, regclass[]) IS
    'The same, for functions that must not look it up by name in a schema of others';

CREATE FUNCTION @extschema@.effaced_erase(subject_id text[], refs jsonb DEFAULT '[]',
                                          subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL,
                                          trace text DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase(text[], jsonb, regclass, regclass[], text) IS
    'The same for a composite identifier: the values of the key in its order';

CREATE FUNCTION @extschema@.effaced_erase(subject_id anynonarray, refs jsonb DEFAULT '[]',
                                          subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL,
                                          trace text DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase(anynonarray, jsonb, regclass, regclass[], text) IS
    'The same for an identifier of another type than text';

CREATE FUNCTION @extschema@.effaced_erase_many(subject_ids text[], refs jsonb DEFAULT '[]',
                                               subject regclass DEFAULT NULL, tables regclass[] DEFAULT NULL,
                                               trace text DEFAULT NULL, skip_held boolean DEFAULT false)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_erase_many(text[], jsonb, regclass, regclass[], text, boolean) IS
    'Erases several subjects in the caller''s transaction, all or none';

-- After a restore: erase again whom a surviving copy of the trail knows as erased.

CREATE FUNCTION @extschema@.effaced_replay_plan(
    backup_taken_at timestamptz, events regclass DEFAULT '@extschema@.effaced_audit_events',
    slack interval DEFAULT '1 day')
RETURNS TABLE (subject text, subject_id text, verdict text)
-- rows that row-level security would hide are an error
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    missing text;
BEGIN
    IF backup_taken_at IS NULL OR slack IS NULL OR slack < '0' THEN
        RAISE EXCEPTION 'backup_taken_at must be a moment, and slack an interval from 0 on'
            USING ERRCODE = 'ZE005', HINT = 'SELECT * FROM effaced_replay_plan(''2026-01-31 03:00+00'', ''saved_events'');';
    END IF;
    SELECT string_agg(c.name, ', ' ORDER BY c.place) INTO missing
      FROM unnest('{event_type,subject,subject_ref,occurred_at,payload}'::text[]) WITH ORDINALITY AS c (name, place)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = events AND a.attname = c.name AND a.attnum > 0 AND NOT a.attisdropped);
    IF events IS NULL OR missing IS NOT NULL THEN
        RAISE EXCEPTION 'events must name a copy of the audit trail'
            USING ERRCODE = 'ZE005', DETAIL = 'Missing columns: ' || missing || '.',
                  HINT = 'Name a table or view with the columns of effaced_audit_events.';
    END IF;
    -- An event without a time may be one that counts.
    RETURN QUERY EXECUTE format($sql$
        SELECT e.subject::text, e.subject_ref::text,
               CASE WHEN bool_or(e.event_type = 'erasure_local_completed' AND NOT e.restricted)
                         AND e.subject IS NOT NULL AND e.subject_ref IS NOT NULL THEN 'replayable'
                    WHEN bool_or(e.event_type = 'erasure_step_failed')
                         AND NOT bool_or(e.event_type = 'erasure_local_completed') THEN 'failed_only'
                    ELSE 'indeterminate' END
          FROM (SELECT t.event_type, t.subject, t.subject_ref,
                       coalesce(t.payload::text::jsonb ? 'tables', false) AS restricted,
                       coalesce(t.payload::text::jsonb ? 'entry_id', false) AS external
                  FROM %s t
                 WHERE t.event_type IN ('erasure_requested', 'erasure_local_completed',
                                        'erasure_step_succeeded', 'erasure_step_failed')
                   AND (t.occurred_at >= $1 - $2 OR t.occurred_at IS NULL)) AS e
         -- what an external system did later says nothing about the rows here
         WHERE NOT (e.external AND e.event_type = 'erasure_step_succeeded')
         GROUP BY e.subject, e.subject_ref
         ORDER BY 1, 2 $sql$, events)
    USING backup_taken_at, slack;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_replay_plan(timestamptz, regclass, interval) IS
    'Whom a copy of the trail knows as erased after a backup was taken, or shortly before: replayable, failed_only or indeterminate';

CREATE FUNCTION @extschema@.effaced_replay(
    backup_taken_at timestamptz, events regclass DEFAULT '@extschema@.effaced_audit_events',
    slack interval DEFAULT '1 day')
RETURNS TABLE (subject text, subject_id text, verdict text)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_replay(timestamptz, regclass, interval) IS
    'Erases again the subjects that effaced_replay_plan() finds replayable, and records it';

-- What is left of a subject.

CREATE FUNCTION @extschema@.effaced_verify(subject_id text, subject regclass DEFAULT NULL) RETURNS jsonb
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_verify(text, regclass) IS
    'Counts what is left of a subject after its erasure, table by table, and records the verdict';

CREATE FUNCTION @extschema@.effaced_verify(subject_id anynonarray, subject regclass DEFAULT NULL) RETURNS jsonb
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_verify(anynonarray, regclass) IS
    'The same for an identifier of another type than text';
