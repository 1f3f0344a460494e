-- Restriction of processing (Art. 18): records that only grow.

CREATE TABLE @extschema@.effaced_restriction_records (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_id    uuid NOT NULL UNIQUE DEFAULT pg_catalog.gen_random_uuid(),
    subject      text NOT NULL,
    subject_ref  text NOT NULL,
    purpose      text CHECK (purpose <> ''),
    restricted   boolean NOT NULL,
    reason       text,
    source       text,
    recorded_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    actor        text NOT NULL DEFAULT SESSION_USER
);
CREATE INDEX effaced_restriction_records_subject_ref_idx ON @extschema@.effaced_restriction_records USING hash (subject_ref);
COMMENT ON TABLE @extschema@.effaced_restriction_records IS
    'Ledger of restrictions (GDPR Art. 18): every one placed and lifted, per subject and purpose. Append-only';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.seq IS 'Order of recording';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.record_id IS 'Identifier of the record, and of its event in the trail';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.subject_ref IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.purpose IS 'What the data must not be processed for; NULL for anything';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.restricted IS 'Placed, or lifted';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.reason IS 'Why; free text, which stays here';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.source IS 'How it came in; free text, which stays here';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.recorded_at IS 'When it was recorded, by the clock';
COMMENT ON COLUMN @extschema@.effaced_restriction_records.actor IS 'Role that the session logged in as';

CREATE TRIGGER effaced_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON @extschema@.effaced_restriction_records
    FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.effaced_append_only();
ALTER TABLE @extschema@.effaced_restriction_records ENABLE ALWAYS TRIGGER effaced_append_only;

CREATE FUNCTION @extschema@.effaced_record_restriction(subject_id text, purpose text, restricted boolean,
                                                       reason text, source text, subject regclass)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH record AS (
        INSERT INTO @extschema@.effaced_restriction_records (subject, subject_ref, purpose, restricted, reason, source)
        SELECT s.kind, s.ref, @extschema@.effaced_check_purpose($2, false), $3, $4, $5
        FROM @extschema@.effaced_resolve_subject($1, $6) AS s
        RETURNING *
    )
    INSERT INTO @extschema@.effaced_audit_events (event_id, event_type, subject, subject_ref, occurred_at, payload)
    SELECT r.record_id, CASE WHEN r.restricted THEN 'restriction_placed' ELSE 'restriction_lifted' END,
           r.subject, r.subject_ref, r.recorded_at, jsonb_build_object('purpose', r.purpose)
    FROM record AS r
    RETURNING event_id
$$;
COMMENT ON FUNCTION @extschema@.effaced_record_restriction(text, text, boolean, text, text, regclass) IS
    'Writes one record of a restriction and its event; what placing and lifting have in common';

CREATE FUNCTION @extschema@.effaced_restrict(subject_id text, purpose text DEFAULT NULL, reason text DEFAULT NULL,
                                             source text DEFAULT NULL, subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT @extschema@.effaced_record_restriction($1, $2, true, $3, $4, $5)
$$;
COMMENT ON FUNCTION @extschema@.effaced_restrict(text, text, text, text, regclass) IS
    'Restricts the processing of a subject''s data (GDPR Art. 18), for a purpose or, where it is NULL, for any; returns the record''s id';

CREATE FUNCTION @extschema@.effaced_lift_restriction(subject_id text, purpose text DEFAULT NULL, reason text DEFAULT NULL,
                                                     source text DEFAULT NULL, subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT @extschema@.effaced_record_restriction($1, $2, false, $3, $4, $5)
$$;
COMMENT ON FUNCTION @extschema@.effaced_lift_restriction(text, text, text, text, regclass) IS
    'Lifts a restriction: that of the purpose, or the one of all purposes where it is NULL; returns the record''s id';

-- Per subject and purpose the latest record counts, a tie as restricted.
CREATE VIEW @extschema@.effaced_restrictions AS
    SELECT latest.subject, latest.subject_ref, latest.purpose, latest.recorded_at
    FROM (SELECT DISTINCT ON (r.subject, r.subject_ref, r.purpose)
                 r.subject, r.subject_ref, r.purpose, r.recorded_at, pg_catalog.bool_or(r.restricted) AS restricted
          FROM @extschema@.effaced_restriction_records AS r
          GROUP BY r.subject, r.subject_ref, r.purpose, r.recorded_at
          ORDER BY r.subject, r.subject_ref, r.purpose, r.recorded_at DESC) AS latest
    WHERE latest.restricted;
COMMENT ON VIEW @extschema@.effaced_restrictions IS
    'The restrictions that are in force, derived from the records';

CREATE FUNCTION @extschema@.effaced_restriction_status(subject_id text, purpose text DEFAULT NULL, subject regclass DEFAULT NULL)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM @extschema@.effaced_restrictions AS r
                   WHERE r.subject_ref = s.ref AND r.subject = s.kind AND (r.purpose IS NULL OR r.purpose = s.purpose))
    FROM (SELECT k.kind, k.ref, @extschema@.effaced_check_purpose($2, false) AS purpose
          FROM @extschema@.effaced_resolve_subject($1, $3) AS k) AS s
$$;
COMMENT ON FUNCTION @extschema@.effaced_restriction_status(text, text, regclass) IS
    'Whether processing is restricted for a purpose, or for all of them: the latest record counts, a tie as restricted, and a restriction of all purposes outweighs the rest';

CREATE FUNCTION @extschema@.effaced_restriction_history(subject_id text, subject regclass DEFAULT NULL)
RETURNS SETOF @extschema@.effaced_restriction_records
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.*
    FROM @extschema@.effaced_resolve_subject($1, $2) AS s
    JOIN @extschema@.effaced_restriction_records AS r ON r.subject_ref = s.ref AND r.subject = s.kind
    ORDER BY r.recorded_at, r.seq
$$;
COMMENT ON FUNCTION @extschema@.effaced_restriction_history(text, regclass) IS
    'Every record of a subject''s restrictions, oldest first';

-- Policies run it; it is PUBLIC's as long as there is one.
CREATE FUNCTION @extschema@.effaced_restricted_keys(relation regclass, link text, purpose text, fingerprint text)
RETURNS SETOF text[] LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_restricted_keys(regclass, text, text, text) IS
    'For restriction policies: the values by which rows of a table belong to restricted subjects';

CREATE FUNCTION @extschema@.effaced_restriction_policy(relation regclass, purpose text DEFAULT NULL) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_restriction_policy(regclass, text) IS
    'Installs a row-level security policy that hides the rows of restricted subjects from ordinary roles';

CREATE FUNCTION @extschema@.effaced_drop_restriction_policy(relation regclass) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_drop_restriction_policy(regclass) IS
    'Removes the restriction policy of a table, and leaves its row-level security as it was before';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.effaced_restriction_records', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.effaced_restriction_records_seq_seq', '');
