-- Storage limitation (Art. 5(1)(e)).

CREATE FUNCTION @extschema@.effaced_sweep(as_of timestamptz DEFAULT now())
RETURNS TABLE (relation regclass, column_name name, subject text, reason text, cutoff timestamptz, expired_rows bigint,
               expired_subjects bigint, subject_ids text[], indeterminate_rows bigint)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_sweep(timestamptz) IS
    'Reports what has outlived its retention, per column and kind of subject, and records it for each subject; changes no data';

CREATE TABLE effaced.effaced_retention_runs (
    run_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    as_of        timestamptz NOT NULL,
    batch_rows   int NOT NULL,
    backend_pid  int NOT NULL,
    actor        text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at  timestamptz,
    target       text,
    strategy     text,
    batches      bigint NOT NULL DEFAULT 0,
    anonymized   bigint NOT NULL DEFAULT 0,
    deleted      bigint NOT NULL DEFAULT 0,
    restricted   bigint,
    kept         bigint,
    left_over    bigint
);
COMMENT ON TABLE effaced.effaced_retention_runs IS
    'Progress of effaced_enforce_retention(), a row per call, written with every batch';
COMMENT ON COLUMN effaced.effaced_retention_runs.as_of IS 'Instant that the terms are reckoned from';
COMMENT ON COLUMN effaced.effaced_retention_runs.batch_rows IS 'Rows per transaction';
COMMENT ON COLUMN effaced.effaced_retention_runs.backend_pid IS 'Process that works, or worked, on it';
COMMENT ON COLUMN effaced.effaced_retention_runs.actor IS 'Role that the session logged in as';
COMMENT ON COLUMN effaced.effaced_retention_runs.started_at IS 'When the call began';
COMMENT ON COLUMN effaced.effaced_retention_runs.updated_at IS 'When the last batch was done';
COMMENT ON COLUMN effaced.effaced_retention_runs.finished_at IS 'When the call was done; NULL while it runs, or where it was stopped';
COMMENT ON COLUMN effaced.effaced_retention_runs.target IS 'Table of the last batch';
COMMENT ON COLUMN effaced.effaced_retention_runs.strategy IS 'What the last batch did: delete or anonymize';
COMMENT ON COLUMN effaced.effaced_retention_runs.batches IS 'Batches so far';
COMMENT ON COLUMN effaced.effaced_retention_runs.anonymized IS 'Rows whose expired values were replaced so far';
COMMENT ON COLUMN effaced.effaced_retention_runs.deleted IS 'Rows removed so far';
COMMENT ON COLUMN effaced.effaced_retention_runs.restricted IS 'Rows left, since processing is restricted for a subject of theirs';
COMMENT ON COLUMN effaced.effaced_retention_runs.kept IS 'Rows left, since other rows or values keep them';
COMMENT ON COLUMN effaced.effaced_retention_runs.left_over IS 'Rows left, since others had locked or have added them';
SELECT effaced.effaced_publish('effaced_retention_runs');

CREATE PROCEDURE @extschema@.effaced_enforce_retention(as_of timestamptz DEFAULT now(), batch_rows int DEFAULT 1000)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON PROCEDURE @extschema@.effaced_enforce_retention(timestamptz, int) IS
    'Replaces values whose retention has ended, or removes their rows, where labels say so (on_expiry), and commits after each batch';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_retention_runs', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_retention_runs_run_id_seq', '');
