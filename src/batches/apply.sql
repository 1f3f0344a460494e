-- Applying a batch: record by record, each in a transaction of its own.

CREATE TABLE effaced.effaced_batch_runs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id      bigint NOT NULL,
    started_by    text NOT NULL DEFAULT SESSION_USER,
    started_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    last_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at   timestamptz,
    applied       bigint NOT NULL DEFAULT 0,
    failed        bigint NOT NULL DEFAULT 0,
    restricted    bigint NOT NULL DEFAULT 0,
    not_ready_yet bigint NOT NULL DEFAULT 0,
    backend_pid   int NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    backend_start timestamptz NOT NULL,
    statement_at  timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp()
);
CREATE INDEX effaced_batch_runs_batch ON effaced.effaced_batch_runs (batch_id);
COMMENT ON TABLE effaced.effaced_batch_runs IS
    'Runs of effaced_apply_batch(): who applied which batch, and how far it came';
COMMENT ON COLUMN effaced.effaced_batch_runs.started_by IS 'Role that the session logged in as';
COMMENT ON COLUMN effaced.effaced_batch_runs.last_at IS 'When the last record was done';
COMMENT ON COLUMN effaced.effaced_batch_runs.finished_at IS 'NULL while it runs, and where it was interrupted';
COMMENT ON COLUMN effaced.effaced_batch_runs.statement_at IS
    'With backend_pid and backend_start: the statement that the run is, by which pg_stat_activity tells whether it still runs';
SELECT effaced.effaced_publish('effaced_batch_runs');

CREATE FUNCTION effaced.effaced_is_running(run effaced.effaced_batch_runs) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- what cannot be seen counts as running
    SELECT run.finished_at IS NULL AND EXISTS (
        SELECT FROM pg_stat_get_activity(run.backend_pid) AS a
        WHERE a.backend_start = run.backend_start
          AND coalesce(a.state = 'disabled' OR a.state <> 'idle' AND a.query_start = run.statement_at, true))
$$;
COMMENT ON FUNCTION effaced.effaced_is_running(effaced.effaced_batch_runs) IS
    'Whether a run of effaced_apply_batch() goes on now; one that was interrupted does not';

CREATE FUNCTION effaced.effaced_begin_batch_run(batch_id bigint,
                                                    OUT run_id bigint, OUT bucket_type text, OUT subject regclass,
                                                    OUT some_subject_id text, OUT steps text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    status text;
    kind text;
    waiting bigint;
    lost record;
    known_by text;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    SELECT b.bucket_type, b.reviewed_status INTO bucket_type, status
    FROM effaced.effaced_deletion_batch_rows AS b WHERE b.id = effaced_begin_batch_run.batch_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'deletion batch % does not exist', coalesce(batch_id::text, 'NULL') USING ERRCODE = 'ZE005',
              HINT = 'SELECT id FROM effaced_deletion_batches;';
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'effaced_apply_batch must run at isolation level READ COMMITTED' USING ERRCODE = 'ZE005',
              HINT = 'SET default_transaction_isolation = ''read committed'';';
    END IF;
    -- whoever purges the bucket waits until the run can be seen
    PERFORM FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_begin_batch_run.bucket_type FOR KEY SHARE;
    IF status <> 'accepted' THEN
        RAISE WARNING 'deletion batch % is not accepted, nothing was erased', batch_id
            USING DETAIL = format('Its review is: %s.', status),
                  HINT = format('SELECT effaced_review_batch(%s, ''accepted'', reason);', batch_id);
        RETURN;
    END IF;

    subject := effaced.effaced_bucket_subject(bucket_type);
    kind := effaced.effaced_subject_kind(subject);
    SELECT count(*), min(p.subject_id COLLATE "C") INTO waiting, some_subject_id
    FROM effaced.effaced_deletion_record_rows AS r
    JOIN effaced.effaced_compliance_profiles AS p ON p.id = r.compliance_profile_id
    WHERE r.deletion_batch_id = effaced_begin_batch_run.batch_id AND r.accepted_for_deletion AND r.deletion_applied_at IS NULL
      AND r.deletion_scheduled_at <= clock_timestamp();
    IF waiting = 0 THEN
        RAISE NOTICE 'deletion batch % has no record that is accepted, due and not applied', batch_id;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM effaced.effaced_deletion_record_rows AS r
               JOIN effaced.effaced_compliance_profiles AS p ON p.id = r.compliance_profile_id
               WHERE r.deletion_batch_id = effaced_begin_batch_run.batch_id AND p.subject <> kind) THEN
        RAISE EXCEPTION 'deletion batch % is about subjects of another kind than %', batch_id, quote_literal(kind)
            USING ERRCODE = 'ZE005',
                  DETAIL = 'The label of the subject table, or its name, was changed after the records were created.',
                  HINT = format('SELECT * FROM effaced_purge_compliance_data(%L);', bucket_type);
    END IF;

    -- as OIDs, which read the same under any search_path
    steps := ARRAY(SELECT (SELECT array_agg(DISTINCT t.relation::oid)::text
                           FROM effaced.effaced_owned_tables(effaced_begin_batch_run.bucket_type) AS t
                           WHERE t.producer = o.producer)
                   FROM effaced.effaced_producer_order(effaced_begin_batch_run.bucket_type) AS o
                   ORDER BY o.ordinal);
    steps := array_remove(steps, NULL);
    IF steps = '{}' THEN
        RAISE EXCEPTION 'no producer of bucket type % owns an anchor', quote_literal(bucket_type) USING ERRCODE = 'ZE005',
              HINT = 'SELECT effaced_register_producer(producer, bucket_type, eligibility, owns => ARRAY[anchor]);';
    END IF;
    SELECT string_agg(DISTINCT quote_literal(c.anchor), ', ') AS anchors, string_agg(DISTINCT quote_literal(r.producer), ', ') AS producers
    INTO lost
    FROM effaced.effaced_producer_contracts AS c, LATERAL effaced.effaced_reference_reads(c.anchor) AS r
    WHERE c.bucket_type = effaced_begin_batch_run.bucket_type AND c.contract = 'owns';
    IF lost.producers IS NOT NULL THEN
        RAISE WARNING 'data lost elsewhere: %', lost.producers
            USING DETAIL = format('They display data of %s, which is deleted.', lost.anchors);
    END IF;

    -- an erasure of some tables asks no external system, and then nobody knows any more whom to ask for
    SELECT string_agg(DISTINCT format('%s.%I', t.relation, c.value ->> 'name'), ', ') INTO known_by
    FROM effaced.effaced_owned_tables(effaced_begin_batch_run.bucket_type) AS t,
         jsonb_array_elements(effaced.effaced_manifest() -> 'tables') AS m,
         jsonb_array_elements(m.value -> 'columns') AS c
    WHERE c.value #>> '{spec,ref}' IS NOT NULL
      AND t.relation = to_regclass(CASE WHEN cardinality(parse_ident(m.value ->> 'name')) = 1 THEN 'public.' ELSE '' END || (m.value ->> 'name'));
    IF known_by IS NOT NULL THEN
        RAISE WARNING 'external systems are not told: the batch erases references in %', known_by
            USING HINT = 'Erase there before, by effaced_erase() as a whole, or leave their tables out of the anchors.';
    END IF;

    INSERT INTO effaced.effaced_batch_runs AS r (batch_id, backend_start)
    SELECT effaced_begin_batch_run.batch_id, a.backend_start FROM pg_stat_get_activity(pg_backend_pid()) AS a
    RETURNING r.id INTO run_id;
END
$$;
COMMENT ON FUNCTION effaced.effaced_begin_batch_run(bigint) IS
    'First part of effaced_apply_batch(): checks the batch, and opens a run of it unless there is nothing to do';

CREATE FUNCTION effaced.effaced_deletion_steps(subject_id text, subject regclass, steps text[]) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step text;
    together regclass[];
BEGIN
    BEGIN
        FOREACH step IN ARRAY steps LOOP
            PERFORM p.step FROM effaced.effaced_plan(subject_id, subject, step::regclass[]) AS p;
        END LOOP;
        RETURN steps;
    EXCEPTION WHEN SQLSTATE 'ZE003' THEN
        -- one producer's tables would cut the way to another's: they go in one plan
        together := ARRAY(SELECT DISTINCT t FROM unnest(steps) AS s, unnest(s::oid[]) AS t);
    END;
    PERFORM p.step FROM effaced.effaced_plan(subject_id, subject, together) AS p;
    RETURN ARRAY[together::oid[]::text];
END
$$;
COMMENT ON FUNCTION effaced.effaced_deletion_steps(text, regclass, text[]) IS
    'Part of effaced_apply_batch(): the sets of tables that are erased one after the other, or the error that all records would fail with';

CREATE FUNCTION effaced.effaced_claim_record(run_id bigint, after bigint,
                                                 OUT record_id bigint, OUT subject_id text, OUT held boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch record;
    profile bigint;
BEGIN
    -- batches before records, as everywhere; a review waits from here on, or is heeded
    SELECT b.id INTO batch
    FROM effaced.effaced_batch_runs AS u
    JOIN effaced.effaced_deletion_batch_rows AS b ON b.id = u.batch_id
    WHERE u.id = effaced_claim_record.run_id AND b.reviewed_status = 'accepted'
    FOR SHARE OF b;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT r.id, r.compliance_profile_id INTO record_id, profile
    FROM effaced.effaced_deletion_record_rows AS r
    WHERE r.deletion_batch_id = batch.id AND r.id > after
      AND r.accepted_for_deletion AND r.deletion_applied_at IS NULL AND r.deletion_scheduled_at <= clock_timestamp()
    ORDER BY r.id LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- the ledger writes subjects as profiles do; from here on nobody restricts this one
    SELECT p.subject_id, effaced.effaced_is_held(p.subject, p.subject_id)
    INTO subject_id, held FROM effaced.effaced_compliance_profiles AS p WHERE p.id = profile;
END
$$;
COMMENT ON FUNCTION effaced.effaced_claim_record(bigint, bigint) IS
    'Part of effaced_apply_batch(): locks the next record that is to be erased and that no other session has';

CREATE FUNCTION effaced.effaced_lock_subject(subject_id text, subject regclass, tables regclass[]) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_lock_subject(text, regclass, regclass[]) IS
    'Part of effaced_apply_batch(): locks the subject''s row, so that producers are asked about what is erased';

CREATE FUNCTION effaced.effaced_settle_record(run_id bigint, record_id bigint, outcome text, sqlstate text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    done timestamptz := clock_timestamp();
BEGIN
    UPDATE effaced.effaced_deletion_record_rows AS r
    SET deletion_applied_at = CASE WHEN outcome = 'applied' THEN done END,
        deletion_error = CASE WHEN outcome = 'failed' THEN effaced_settle_record.sqlstate END,
        skipped = CASE WHEN outcome IN ('restricted', 'not_ready_yet') THEN outcome END,
        updated_at = done
    FROM effaced.effaced_batch_runs AS u
    WHERE r.id = effaced_settle_record.record_id AND r.deletion_batch_id = u.batch_id AND u.id = effaced_settle_record.run_id AND r.deletion_applied_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'deletion record % is not one that the run has claimed', record_id USING ERRCODE = 'ZE005',
              HINT = 'CALL effaced_apply_batch(batch_id);';
    END IF;
    UPDATE effaced.effaced_batch_runs AS u
    SET applied = u.applied + (outcome = 'applied')::int, failed = u.failed + (outcome = 'failed')::int,
        restricted = u.restricted + (outcome = 'restricted')::int, not_ready_yet = u.not_ready_yet + (outcome = 'not_ready_yet')::int,
        last_at = done
    WHERE u.id = effaced_settle_record.run_id;
    IF outcome = 'restricted' THEN
        INSERT INTO effaced.effaced_audit_events (event_type, subject, subject_ref, payload)
        SELECT 'erasure_refused', p.subject, p.subject_id, jsonb_build_object('held', 1)
        FROM effaced.effaced_deletion_record_rows AS r
        JOIN effaced.effaced_compliance_profiles AS p ON p.id = r.compliance_profile_id WHERE r.id = effaced_settle_record.record_id;
    END IF;
END
$$;
COMMENT ON FUNCTION effaced.effaced_settle_record(bigint, bigint, text, text) IS
    'Part of effaced_apply_batch(): records what became of a record';

CREATE FUNCTION effaced.effaced_end_batch_run(run_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run effaced.effaced_batch_runs;
    status text;
    told text;
BEGIN
    UPDATE effaced.effaced_batch_runs AS u SET finished_at = clock_timestamp() WHERE u.id = effaced_end_batch_run.run_id RETURNING u.* INTO run;
    SELECT b.reviewed_status INTO status FROM effaced.effaced_deletion_batch_rows AS b WHERE b.id = run.batch_id;
    told := format('deletion batch %s: %s applied, %s failed, %s skipped', run.batch_id, run.applied, run.failed, run.restricted + run.not_ready_yet);
    IF run.restricted + run.not_ready_yet > 0 THEN
        told := told || format(' (%s under a restriction, %s not ready any more)', run.restricted, run.not_ready_yet);
    END IF;
    IF run.failed > 0 THEN
        RAISE WARNING '%', told
            USING HINT = format('SELECT id, deletion_error FROM effaced_deletion_records WHERE deletion_batch_id = %s AND deletion_error IS NOT NULL;', run.batch_id);
    ELSE
        RAISE NOTICE '%', told;
    END IF;
    IF status <> 'accepted' THEN
        RAISE WARNING 'deletion batch % is no longer accepted, the run has stopped', run.batch_id;
    END IF;
END
$$;
COMMENT ON FUNCTION effaced.effaced_end_batch_run(bigint) IS
    'Last part of effaced_apply_batch(): closes the run and tells what it did';

-- No SET clause, since it commits: every name is qualified.  The erasure and the
-- producers' functions run as the caller; what is written to effaced's own tables
-- is written by the functions above.
CREATE PROCEDURE @extschema@.effaced_apply_batch(batch_id bigint)
LANGUAGE plpgsql AS $$
DECLARE
    run record;
    due record;
    step text;
    last bigint := 0;
    outcome text;
    state text;
BEGIN
    PERFORM effaced.effaced_require_own_transactions('effaced_apply_batch');
    SELECT b.* INTO run FROM effaced.effaced_begin_batch_run(batch_id) AS b;
    IF run.run_id IS NULL THEN
        RETURN;
    END IF;
    run.steps := effaced.effaced_deletion_steps(run.some_subject_id, run.subject, run.steps);
    COMMIT;
    LOOP
        SELECT c.* INTO due FROM effaced.effaced_claim_record(run.run_id, last) AS c;
        EXIT WHEN due.record_id IS NULL;
        last := due.record_id;
        state := NULL;
        IF due.held THEN
            outcome := 'restricted';
        ELSE
            BEGIN
                PERFORM effaced.effaced_lock_subject(due.subject_id, run.subject, run.steps[1]::pg_catalog.regclass[]);
                SELECT a.verdict INTO outcome
                FROM effaced.effaced_ask_producers(run.bucket_type, ARRAY[due.subject_id]) AS a
                WHERE a.verdict OPERATOR(pg_catalog.=) 'ready_for_deletion';
                IF outcome IS NULL THEN
                    outcome := 'not_ready_yet';
                ELSE
                    outcome := 'applied';
                    FOREACH step IN ARRAY run.steps LOOP
                        PERFORM effaced.effaced_erase(due.subject_id, '[]', run.subject, step::pg_catalog.regclass[]);
                    END LOOP;
                    -- what is left for the commit could no longer be caught there
                    SET CONSTRAINTS ALL IMMEDIATE;
                END IF;
            EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
                outcome := 'failed';
                state := SQLSTATE;
            END;
        END IF;
        PERFORM effaced.effaced_settle_record(run.run_id, due.record_id, outcome, state);
        COMMIT;
    END LOOP;
    PERFORM effaced.effaced_end_batch_run(run.run_id);
END
$$;
COMMENT ON PROCEDURE @extschema@.effaced_apply_batch(bigint) IS
    'Erases the accepted and due records of an accepted batch, each in a transaction of its own; run again it takes up what is left';

CREATE FUNCTION @extschema@.effaced_batch_progress(batch_id bigint,
                                                   OUT total bigint, OUT applied bigint, OUT failed bigint,
                                                   OUT rejected bigint, OUT remaining bigint, OUT started_at timestamptz,
                                                   OUT rate float8, OUT eta timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    running boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM effaced.effaced_deletion_batch_rows AS b WHERE b.id = effaced_batch_progress.batch_id) THEN
        RAISE EXCEPTION 'deletion batch % does not exist', coalesce(batch_id::text, 'NULL') USING ERRCODE = 'ZE005',
              HINT = 'SELECT id FROM effaced_deletion_batches;';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE r.deletion_applied_at IS NOT NULL),
           count(*) FILTER (WHERE r.deletion_error IS NOT NULL AND r.accepted_for_deletion IS NOT FALSE),
           count(*) FILTER (WHERE r.accepted_for_deletion IS FALSE)
    INTO total, applied, failed, rejected
    FROM effaced.effaced_deletion_record_rows AS r WHERE r.deletion_batch_id = effaced_batch_progress.batch_id;
    remaining := total - applied - failed - rejected;

    SELECT coalesce(bool_or(effaced.effaced_is_running(u)), false) INTO running
    FROM effaced.effaced_batch_runs AS u WHERE u.batch_id = effaced_batch_progress.batch_id;
    -- the runs that go on, or else the last one
    SELECT min(u.started_at),
           sum(u.applied + u.failed + u.restricted + u.not_ready_yet)
               / nullif(extract(epoch FROM CASE WHEN running THEN clock_timestamp() ELSE max(u.last_at) END - min(u.started_at)), 0)
    INTO started_at, rate
    FROM effaced.effaced_batch_runs AS u
    WHERE CASE WHEN running THEN u.batch_id = effaced_batch_progress.batch_id AND effaced.effaced_is_running(u)
               ELSE u.id = (SELECT max(l.id) FROM effaced.effaced_batch_runs AS l WHERE l.batch_id = effaced_batch_progress.batch_id) END;
    IF running AND rate > 0 THEN
        eta := clock_timestamp() + make_interval(secs => remaining / rate);
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_batch_progress(bigint) IS
    'How far a batch is, also while another session applies it: records per second, and when it will be done';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_batch_runs', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_batch_runs_id_seq', '');
