-- Consent (Art. 7): records that only grow; whether it is given follows from them.

CREATE TABLE effaced.effaced_consent_records (
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
CREATE INDEX effaced_consent_records_subject_ref_idx ON effaced.effaced_consent_records USING hash (subject_ref);
COMMENT ON TABLE effaced.effaced_consent_records IS
    'Ledger of consent (GDPR Art. 7): every grant and withdrawal, per subject and purpose. Append-only';
COMMENT ON COLUMN effaced.effaced_consent_records.seq IS 'Order of recording';
COMMENT ON COLUMN effaced.effaced_consent_records.record_id IS 'Identifier of the record, and of its event in the trail';
COMMENT ON COLUMN effaced.effaced_consent_records.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN effaced.effaced_consent_records.subject_ref IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN effaced.effaced_consent_records.purpose IS 'What the data may be processed for';
COMMENT ON COLUMN effaced.effaced_consent_records.granted IS 'Given, or withdrawn';
COMMENT ON COLUMN effaced.effaced_consent_records.source IS 'How it came in; free text, which stays here';
COMMENT ON COLUMN effaced.effaced_consent_records.recorded_at IS 'When it was recorded, by the clock';
COMMENT ON COLUMN effaced.effaced_consent_records.actor IS 'Role that the session logged in as';

CREATE TRIGGER effaced_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON effaced.effaced_consent_records
    FOR EACH STATEMENT EXECUTE FUNCTION effaced.effaced_append_only();
ALTER TABLE effaced.effaced_consent_records ENABLE ALWAYS TRIGGER effaced_append_only;
CREATE TRIGGER effaced_append_only_row
    BEFORE UPDATE OR DELETE ON effaced.effaced_consent_records
    FOR EACH ROW EXECUTE FUNCTION effaced.effaced_append_only();
ALTER TABLE effaced.effaced_consent_records ENABLE ALWAYS TRIGGER effaced_append_only_row;
SELECT effaced.effaced_publish('effaced_consent_records');

CREATE FUNCTION @extschema@.effaced_consent_grant(subject_id text, purpose text, source text DEFAULT NULL,
                                                  subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_consent_grant(text, text, text, regclass) IS
    'Records that a subject consents to a purpose (GDPR Art. 7); returns the record''s id';

CREATE FUNCTION @extschema@.effaced_consent_withdraw(subject_id text, purpose text, source text DEFAULT NULL,
                                                     subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_consent_withdraw(text, text, text, regclass) IS
    'Records that a subject takes its consent to a purpose back; the same call as granting it';

CREATE FUNCTION @extschema@.effaced_consent_status(subject_id text, purpose text, subject regclass DEFAULT NULL)
RETURNS boolean LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_consent_status(text, text, regclass) IS
    'Whether a subject consents to a purpose: the latest record counts, a tie as withdrawn, none as no consent';

CREATE FUNCTION @extschema@.effaced_consent_history(subject_id text, subject regclass DEFAULT NULL)
RETURNS SETOF @extschema@.effaced_consent_records
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_consent_history(text, regclass) IS
    'Every record of a subject''s consent, oldest first';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_consent_records', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_consent_records_seq_seq', '');

-- Restriction of processing (Art. 18): records that only grow.

CREATE TABLE effaced.effaced_restriction_records (
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
CREATE INDEX effaced_restriction_records_subject_ref_idx ON effaced.effaced_restriction_records USING hash (subject_ref);
COMMENT ON TABLE effaced.effaced_restriction_records IS
    'Ledger of restrictions (GDPR Art. 18): every one placed and lifted, per subject and purpose. Append-only';
COMMENT ON COLUMN effaced.effaced_restriction_records.seq IS 'Order of recording';
COMMENT ON COLUMN effaced.effaced_restriction_records.record_id IS 'Identifier of the record, and of its event in the trail';
COMMENT ON COLUMN effaced.effaced_restriction_records.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN effaced.effaced_restriction_records.subject_ref IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN effaced.effaced_restriction_records.purpose IS 'What the data must not be processed for; NULL for anything';
COMMENT ON COLUMN effaced.effaced_restriction_records.restricted IS 'Placed, or lifted';
COMMENT ON COLUMN effaced.effaced_restriction_records.reason IS 'Why; free text, which stays here';
COMMENT ON COLUMN effaced.effaced_restriction_records.source IS 'How it came in; free text, which stays here';
COMMENT ON COLUMN effaced.effaced_restriction_records.recorded_at IS 'When it was recorded, by the clock';
COMMENT ON COLUMN effaced.effaced_restriction_records.actor IS 'Role that the session logged in as';

CREATE TRIGGER effaced_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON effaced.effaced_restriction_records
    FOR EACH STATEMENT EXECUTE FUNCTION effaced.effaced_append_only();
ALTER TABLE effaced.effaced_restriction_records ENABLE ALWAYS TRIGGER effaced_append_only;
CREATE TRIGGER effaced_append_only_row
    BEFORE UPDATE OR DELETE ON effaced.effaced_restriction_records
    FOR EACH ROW EXECUTE FUNCTION effaced.effaced_append_only();
ALTER TABLE effaced.effaced_restriction_records ENABLE ALWAYS TRIGGER effaced_append_only_row;
SELECT effaced.effaced_publish('effaced_restriction_records');

CREATE FUNCTION @extschema@.effaced_restrict(subject_id text, purpose text DEFAULT NULL, reason text DEFAULT NULL,
                                             source text DEFAULT NULL, subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_restrict(text, text, text, text, regclass) IS
    'Restricts the processing of a subject''s data (GDPR Art. 18), for a purpose or, where it is NULL, for any; returns the record''s id';

CREATE FUNCTION @extschema@.effaced_lift_restriction(subject_id text, purpose text DEFAULT NULL, reason text DEFAULT NULL,
                                                     source text DEFAULT NULL, subject regclass DEFAULT NULL)
RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_lift_restriction(text, text, text, text, regclass) IS
    'Lifts a restriction: that of the purpose, or the one of all purposes where it is NULL; returns the record''s id';

-- Per subject and purpose the latest record counts, a tie as restricted.
CREATE VIEW effaced.effaced_restrictions AS
    SELECT latest.subject, latest.subject_ref, latest.purpose, latest.recorded_at
    FROM (SELECT DISTINCT ON (r.subject, r.subject_ref, r.purpose)
                 r.subject, r.subject_ref, r.purpose, r.recorded_at, pg_catalog.bool_or(r.restricted) AS restricted
          FROM effaced.effaced_restriction_records AS r
          GROUP BY r.subject, r.subject_ref, r.purpose, r.recorded_at
          ORDER BY r.subject, r.subject_ref, r.purpose, r.recorded_at DESC) AS latest
    WHERE latest.restricted;
COMMENT ON VIEW effaced.effaced_restrictions IS
    'The restrictions that are in force, derived from the records';
SELECT effaced.effaced_publish('effaced_restrictions');

CREATE FUNCTION @extschema@.effaced_restriction_status(subject_id text, purpose text DEFAULT NULL, subject regclass DEFAULT NULL)
RETURNS boolean LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_restriction_status(text, text, regclass) IS
    'Whether processing is restricted for a purpose, or for all of them: the latest record counts, a tie as restricted, and a restriction of all purposes outweighs the rest';

CREATE FUNCTION @extschema@.effaced_restriction_history(subject_id text, subject regclass DEFAULT NULL)
RETURNS SETOF @extschema@.effaced_restriction_records
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_restriction_history(text, regclass) IS
    'Every record of a subject''s restrictions, oldest first';

-- Policies run it; it is PUBLIC's as long as there is one.
CREATE FUNCTION effaced.effaced_restricted_keys(relation regclass, link text, purpose text, fingerprint text)
RETURNS SETOF text[] LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_restricted_keys(regclass, text, text, text) IS
    'For restriction policies: the values by which rows of a table belong to restricted subjects';

CREATE FUNCTION @extschema@.effaced_restriction_policy(relation regclass, purpose text DEFAULT NULL) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_restriction_policy(regclass, text) IS
    'Installs a row-level security policy that hides the rows of restricted subjects from ordinary roles';

CREATE FUNCTION @extschema@.effaced_drop_restriction_policy(relation regclass) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_drop_restriction_policy(regclass) IS
    'Removes the restriction policy of a table, and leaves its row-level security as it was before';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_restriction_records', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_restriction_records_seq_seq', '');
