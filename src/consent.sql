-- Consent (Art. 7): records that only grow; whether it is given follows from them.

CREATE FUNCTION @extschema@.effaced_resolve_subject(subject_id text, subject regclass, OUT kind text, OUT ref text)
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_resolve_subject(text, regclass) IS
    'The kind of a subject and its canonical identifier, as they are recorded';

CREATE FUNCTION @extschema@.effaced_check_purpose(purpose text, required boolean) RETURNS text
LANGUAGE c IMMUTABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_check_purpose(text, boolean) IS
    'Returns a purpose, or fails where it is blank, or missing though required';

CREATE TABLE @extschema@.effaced_consent_records (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_id    uuid NOT NULL UNIQUE DEFAULT pg_catalog.gen_random_uuid(),
    subject      text NOT NULL,
    subject_ref  text NOT NULL,
    purpose      text NOT NULL CHECK (purpose <> ''),
    granted      boolean NOT NULL,
    source       text,
    recorded_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    actor        text NOT NULL DEFAULT SESSION_USER
);
CREATE INDEX effaced_consent_records_subject_ref_idx ON @extschema@.effaced_consent_records USING hash (subject_ref);
COMMENT ON TABLE @extschema@.effaced_consent_records IS
    'Ledger of consent (GDPR Art. 7): every grant and withdrawal, per subject and purpose. Append-only';
COMMENT ON COLUMN @extschema@.effaced_consent_records.seq IS 'Order of recording';
COMMENT ON COLUMN @extschema@.effaced_consent_records.record_id IS 'Identifier of the record, and of its event in the trail';
COMMENT ON COLUMN @extschema@.effaced_consent_records.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN @extschema@.effaced_consent_records.subject_ref IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN @extschema@.effaced_consent_records.purpose IS 'What the data may be processed for';
COMMENT ON COLUMN @extschema@.effaced_consent_records.granted IS 'Given, or withdrawn';
COMMENT ON COLUMN @extschema@.effaced_consent_records.source IS 'How it came in; free text, which stays here';
COMMENT ON COLUMN @extschema@.effaced_consent_records.recorded_at IS 'When it was recorded, by the clock';
COMMENT ON COLUMN @extschema@.effaced_consent_records.actor IS 'Role that the session logged in as';

CREATE TRIGGER effaced_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON @extschema@.effaced_consent_records
    FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.effaced_append_only();
ALTER TABLE @extschema@.effaced_consent_records ENABLE ALWAYS TRIGGER effaced_append_only;

CREATE FUNCTION @extschema@.effaced_record_consent(subject_id text, purpose text, granted boolean, source text, subject regclass)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH record AS (
        INSERT INTO @extschema@.effaced_consent_records (subject, subject_ref, purpose, granted, source)
        SELECT s.kind, s.ref, @extschema@.effaced_check_purpose($2, true), $3, $4
        FROM @extschema@.effaced_resolve_subject($1, $5) AS s
        RETURNING *
    )
    INSERT INTO @extschema@.effaced_audit_events (event_id, event_type, subject, subject_ref, occurred_at, payload)
    SELECT r.record_id, CASE WHEN r.granted THEN 'consent_granted' ELSE 'consent_withdrawn' END,
           r.subject, r.subject_ref, r.recorded_at, jsonb_build_object('purpose', r.purpose)
    FROM record AS r
    RETURNING event_id
$$;
COMMENT ON FUNCTION @extschema@.effaced_record_consent(text, text, boolean, text, regclass) IS
    'Writes one record of consent and its event; what granting and withdrawing have in common';

CREATE FUNCTION @extschema@.effaced_consent_grant(subject_id text, purpose text, source text DEFAULT NULL,
                                                  subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT @extschema@.effaced_record_consent($1, $2, true, $3, $4)
$$;
COMMENT ON FUNCTION @extschema@.effaced_consent_grant(text, text, text, regclass) IS
    'Records that a subject consents to a purpose (GDPR Art. 7); returns the record''s id';

CREATE FUNCTION @extschema@.effaced_consent_withdraw(subject_id text, purpose text, source text DEFAULT NULL,
                                                     subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT @extschema@.effaced_record_consent($1, $2, false, $3, $4)
$$;
COMMENT ON FUNCTION @extschema@.effaced_consent_withdraw(text, text, text, regclass) IS
    'Records that a subject takes its consent to a purpose back; the same call as granting it';

CREATE FUNCTION @extschema@.effaced_consent_status(subject_id text, purpose text, subject regclass DEFAULT NULL)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT bool_and(r.granted)
                     FROM @extschema@.effaced_consent_records AS r
                     WHERE r.subject_ref = s.ref AND r.subject = s.kind AND r.purpose = s.purpose
                     GROUP BY r.recorded_at
                     ORDER BY r.recorded_at DESC
                     LIMIT 1), false)
    FROM (SELECT k.kind, k.ref, @extschema@.effaced_check_purpose($2, true) AS purpose
          FROM @extschema@.effaced_resolve_subject($1, $3) AS k) AS s
$$;
COMMENT ON FUNCTION @extschema@.effaced_consent_status(text, text, regclass) IS
    'Whether a subject consents to a purpose: the latest record counts, a tie as withdrawn, none as no consent';

CREATE FUNCTION @extschema@.effaced_consent_history(subject_id text, subject regclass DEFAULT NULL)
RETURNS SETOF @extschema@.effaced_consent_records
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.*
    FROM @extschema@.effaced_resolve_subject($1, $2) AS s
    JOIN @extschema@.effaced_consent_records AS r ON r.subject_ref = s.ref AND r.subject = s.kind
    ORDER BY r.recorded_at, r.seq
$$;
COMMENT ON FUNCTION @extschema@.effaced_consent_history(text, regclass) IS
    'Every record of a subject''s consent, oldest first';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.effaced_consent_records', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.effaced_consent_records_seq_seq', '');
