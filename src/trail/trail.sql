-- The trail: append-only, value-free.

CREATE FUNCTION effaced.effaced_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: the table is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Write a new row instead; what was recorded stays.';
END
$$;
COMMENT ON FUNCTION effaced.effaced_append_only() IS
    'Trigger function of append-only tables: refuses UPDATE, DELETE and TRUNCATE';

-- A function, since the list of a CHECK would be read anew by every INSERT.
CREATE FUNCTION effaced.effaced_is_event_type(event_type text) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_is_event_type(text) IS
    'Whether a word is one that the audit trail has for what happens to a subject''s data';

CREATE TABLE effaced.effaced_audit_events (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    event_type   text NOT NULL CHECK (effaced.effaced_is_event_type(event_type)),
    subject      text,
    subject_ref  text,
    occurred_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    actor        text NOT NULL DEFAULT SESSION_USER,
    on_behalf_of text DEFAULT nullif(pg_catalog.current_setting('effaced.actor', true), ''),
    payload      jsonb NOT NULL DEFAULT '{}'
);
-- a hash index, since an identifier may be longer than a btree entry; none on event_id,
-- which every erasure would pay for, a fourth of the trail's indexes for values made unique
CREATE INDEX effaced_audit_events_subject_ref_idx ON effaced.effaced_audit_events USING hash (subject_ref);
COMMENT ON TABLE effaced.effaced_audit_events IS
    'Audit trail (GDPR Art. 5(2)): what was done for which subject, with names and counts, never values. Append-only';
COMMENT ON COLUMN effaced.effaced_audit_events.seq IS 'Order of recording';
COMMENT ON COLUMN effaced.effaced_audit_events.event_id IS 'Identifier of the event';
COMMENT ON COLUMN effaced.effaced_audit_events.event_type IS 'What happened';
COMMENT ON COLUMN effaced.effaced_audit_events.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN effaced.effaced_audit_events.subject_ref IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN effaced.effaced_audit_events.occurred_at IS 'When it happened, by the clock';
COMMENT ON COLUMN effaced.effaced_audit_events.actor IS 'Role that the session logged in as';
COMMENT ON COLUMN effaced.effaced_audit_events.on_behalf_of IS 'On whose behalf the session worked, as effaced.actor said; NULL where it did not';
COMMENT ON COLUMN effaced.effaced_audit_events.payload IS 'Names, counts and SQLSTATEs';

CREATE TRIGGER effaced_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON effaced.effaced_audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION effaced.effaced_append_only();
ALTER TABLE effaced.effaced_audit_events ENABLE ALWAYS TRIGGER effaced_append_only;
CREATE TRIGGER effaced_append_only_row
    BEFORE UPDATE OR DELETE ON effaced.effaced_audit_events
    FOR EACH ROW EXECUTE FUNCTION effaced.effaced_append_only();
ALTER TABLE effaced.effaced_audit_events ENABLE ALWAYS TRIGGER effaced_append_only_row;
SELECT effaced.effaced_publish('effaced_audit_events');

-- Where restrictions and erasures of a subject meet.  Nothing is read from it, so that
-- a dump leaves it out.
CREATE TABLE effaced.effaced_subject_locks (
    subject_key bytea PRIMARY KEY
);
COMMENT ON TABLE effaced.effaced_subject_locks IS
    'A row per subject that whoever restricts it and whoever erases it both lock, so that whoever is first decides';
COMMENT ON COLUMN effaced.effaced_subject_locks.subject_key IS 'Digest of the kind and the identifier';

CREATE FUNCTION effaced.effaced_is_held(subject text, subject_ref text) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_is_held(text, text) IS
    'Part of effaced_apply_batch(): whether all processing of a subject is restricted, which cannot change until the transaction ends';

-- Surrogates are made with it.  It is filled at the first use and not here, so
-- that a restore brings the old one over into an empty table.
CREATE TABLE effaced.effaced_secret (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    secret   text NOT NULL CHECK (length(secret) >= 32)
);
REVOKE ALL ON effaced.effaced_secret FROM PUBLIC;
COMMENT ON TABLE effaced.effaced_secret IS
    'The secret that surrogates are derived from; whoever reads it can tell which row a surrogate belongs to';
COMMENT ON COLUMN effaced.effaced_secret.only_row IS 'Keeps the table at one row';
COMMENT ON COLUMN effaced.effaced_secret.secret IS 'Random, hexadecimal';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_audit_events', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_audit_events_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_secret', '');
