-- Who is due: verdicts, profiles, records, batches.

CREATE TABLE effaced.effaced_compliance_profiles (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject    text NOT NULL,
    subject_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (subject, subject_id)
);
COMMENT ON TABLE effaced.effaced_compliance_profiles IS
    'Subjects that deletion records are about';
COMMENT ON COLUMN effaced.effaced_compliance_profiles.id IS 'Number of the profile';
COMMENT ON COLUMN effaced.effaced_compliance_profiles.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN effaced.effaced_compliance_profiles.subject_id IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN effaced.effaced_compliance_profiles.created_at IS 'When its first record was created';
SELECT effaced.effaced_publish('effaced_compliance_profiles');

CREATE TABLE effaced.effaced_deletion_batch_rows (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket_type     text NOT NULL,
    created_by      text NOT NULL DEFAULT SESSION_USER,
    reviewed_status text NOT NULL DEFAULT 'pending' CHECK (reviewed_status IN ('pending', 'accepted', 'rejected')),
    reviewed_at     timestamptz,
    reviewed_by     text,
    reviewed_reason text,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at      timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX effaced_deletion_batch_rows_bucket ON effaced.effaced_deletion_batch_rows (bucket_type, reviewed_status);
COMMENT ON TABLE effaced.effaced_deletion_batch_rows IS
    'Deletion batches, as effaced_deletion_batches shows them; written by functions only';
COMMENT ON COLUMN effaced.effaced_deletion_batch_rows.created_by IS 'Role that the session logged in as, which may not review it';

CREATE TABLE effaced.effaced_deletion_record_rows (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    compliance_profile_id bigint NOT NULL,
    bucket_type           text NOT NULL,
    deletion_batch_id     bigint,
    deletion_scheduled_at timestamptz NOT NULL,
    deletion_applied_at   timestamptz,
    accepted_for_deletion boolean,
    is_manually_reviewed  boolean NOT NULL DEFAULT false,
    deletion_error        text CHECK (deletion_error ~ '^[0-9A-Z]{5}$'),
    skipped               text CHECK (skipped IN ('restricted', 'not_ready_yet')),
    reviewed_at           timestamptz,
    reviewed_by           text,
    reviewed_reason       text,
    created_at            timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at            timestamptz NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (compliance_profile_id, bucket_type),
    CHECK (deletion_applied_at IS NULL OR
           (deletion_batch_id IS NOT NULL AND accepted_for_deletion IS TRUE AND deletion_error IS NULL AND skipped IS NULL))
);
CREATE INDEX effaced_deletion_record_rows_batch ON effaced.effaced_deletion_record_rows (deletion_batch_id, id);
CREATE INDEX effaced_deletion_record_rows_unbatched ON effaced.effaced_deletion_record_rows (bucket_type, deletion_scheduled_at, id)
    WHERE deletion_batch_id IS NULL;
COMMENT ON TABLE effaced.effaced_deletion_record_rows IS
    'Deletion records, as effaced_deletion_records shows them; written by functions only';
COMMENT ON COLUMN effaced.effaced_deletion_record_rows.skipped IS
    'Why the last run left the record: the subject is restricted, or a producer says not yet';
COMMENT ON COLUMN effaced.effaced_deletion_record_rows.reviewed_by IS 'Role that the session of the record''s own review logged in as';

CREATE VIEW effaced.effaced_deletion_records AS
    SELECT r.id, r.compliance_profile_id, r.bucket_type, r.deletion_batch_id, r.deletion_scheduled_at,
           r.deletion_applied_at, r.accepted_for_deletion, r.is_manually_reviewed, r.deletion_error,
           r.created_at, r.updated_at
    FROM effaced.effaced_deletion_record_rows AS r;
COMMENT ON VIEW effaced.effaced_deletion_records IS
    'Deletion records: a subject''s data of one bucket, when it is due, whether it may go, and what became of it';
SELECT effaced.effaced_publish('effaced_deletion_records');

CREATE VIEW effaced.effaced_deletion_batches AS
    SELECT b.id, b.bucket_type, b.reviewed_status, b.reviewed_at, b.reviewed_by, b.reviewed_reason,
           b.created_at, b.updated_at, c.records_count_for_list, c.failed_records_count,
           c.manually_reviewed_count, c.rejected_records_count, c.total_records_count
    FROM effaced.effaced_deletion_batch_rows AS b
    CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) FILTER (WHERE r.accepted_for_deletion IS NOT FALSE) AS records_count_for_list,
               pg_catalog.count(*) FILTER (WHERE r.deletion_error IS NOT NULL) AS failed_records_count,
               pg_catalog.count(*) FILTER (WHERE r.is_manually_reviewed) AS manually_reviewed_count,
               pg_catalog.count(*) FILTER (WHERE r.accepted_for_deletion IS FALSE) AS rejected_records_count,
               pg_catalog.count(*) AS total_records_count
        FROM effaced.effaced_deletion_record_rows AS r
        WHERE r.deletion_batch_id = b.id) AS c;
COMMENT ON VIEW effaced.effaced_deletion_batches IS
    'Deletion batches: what a reviewer accepts or rejects, with counts of their records';
SELECT effaced.effaced_publish('effaced_deletion_batches');

-- Functions with enable_nestloop = off join arrays of any length with tables whose
-- statistics may still say that they are empty.

-- Producers' functions are the user's: they run as the caller, under the caller's
-- search_path.  So what leads to them has no SET clause and qualifies every name.

CREATE FUNCTION effaced.effaced_eligibility_calls(bucket_type text)
RETURNS TABLE (producer text, call text)
LANGUAGE plpgsql STABLE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked record;
BEGIN
    FOR asked IN
        SELECT p.producer, p.eligibility, n.nspname, f.proname
        FROM effaced.effaced_producers AS p
        LEFT JOIN (pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace) ON f.oid = to_regprocedure(p.eligibility)
        WHERE p.bucket_type = effaced_eligibility_calls.bucket_type
        ORDER BY p.producer COLLATE "C"
    LOOP
        IF asked.proname IS NULL THEN
            RAISE EXCEPTION 'function % of producer % does not exist', asked.eligibility, quote_literal(asked.producer)
                USING ERRCODE = 'ZE005',
                      DETAIL = 'It was dropped or renamed after the producer was registered.',
                      HINT = format('SELECT effaced_register_producer(%L, %L, ''function(text[])'', ...);', asked.producer, bucket_type);
        END IF;
        producer := asked.producer;
        call := format('SELECT pg_catalog.array_agg(e.subject_id::pg_catalog.text), pg_catalog.array_agg(e.verdict::pg_catalog.text) FROM %I.%I($1) AS e',
                       asked.nspname, asked.proname);
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION effaced.effaced_eligibility_calls(text) IS
    'The statements that ask the producers of a bucket for their verdicts';

-- As its caller: a domain behind the key of the subject table has checks of its owner's.
CREATE FUNCTION effaced.effaced_weigh_verdicts(bucket_type text, candidates text[],
                                                   producers text[], subject_ids text[], verdicts text[])
RETURNS TABLE (subject_id text, verdict text, opinions jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    subject regclass := effaced.effaced_bucket_subject(bucket_type);
    wrong text;
BEGIN
    SELECT a.producer INTO wrong
    FROM unnest(producers, subject_ids, verdicts) AS a (producer, subject_id, verdict)
    WHERE a.subject_id IS NULL OR a.verdict IS NULL OR a.verdict NOT IN ('ready_for_deletion', 'not_ready_yet')
    ORDER BY a.producer LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'producer % gives a verdict that is none', quote_literal(wrong) USING ERRCODE = 'ZE005',
              DETAIL = 'Its function returned NULL or another word.',
              HINT = 'Allowed verdicts: ready_for_deletion, not_ready_yet. Leave out whom the producer has no opinion on.';
    END IF;
    RETURN QUERY
        WITH candidate AS MATERIALIZED (
            SELECT c.id, min(c.place) AS place FROM unnest(candidates) WITH ORDINALITY AS c (id, place) GROUP BY c.id
        ), answer AS MATERIALIZED (
            SELECT a.producer, a.subject_id, a.verdict, c.id, c.place
            FROM unnest(producers, subject_ids, verdicts) AS a (producer, subject_id, verdict)
            LEFT JOIN candidate AS c ON c.id = a.subject_id
        ), known AS (
            SELECT a.producer, a.id, a.place, a.verdict FROM answer AS a WHERE a.id IS NOT NULL
            UNION ALL
            -- another spelling of a candidate, or somebody who was not asked for
            SELECT a.producer, c.id, c.place, a.verdict
            FROM answer AS a
            JOIN candidate AS c ON c.id = effaced.effaced_subject_ref(a.subject_id, subject)
            WHERE a.id IS NULL
        ), opinion AS (
            SELECT k.producer, k.id, k.place,
                   CASE WHEN bool_or(k.verdict = 'not_ready_yet') THEN 'not_ready_yet' ELSE 'ready_for_deletion' END AS verdict
            FROM known AS k GROUP BY k.producer, k.id, k.place
        )
        SELECT o.id,
               CASE WHEN bool_or(o.verdict = 'not_ready_yet') THEN 'not_ready_yet' ELSE 'ready_for_deletion' END,
               jsonb_object_agg(o.producer, o.verdict)
        FROM opinion AS o GROUP BY o.id, o.place ORDER BY o.place;
END
$$;
COMMENT ON FUNCTION effaced.effaced_weigh_verdicts(text, text[], text[], text[], text[]) IS
    'What several producers'' verdicts come to: ready where one says so and none says not yet';

CREATE FUNCTION effaced.effaced_ask_producer(call text, candidates text[], OUT subject_ids text[], OUT verdicts text[])
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_ask_producer(text, text[]) IS
    'Runs the statement that asks a producer about some candidates, with the caller''s privileges';

CREATE FUNCTION effaced.effaced_ask_producers(bucket_type text, candidates text[])
RETURNS TABLE (subject_id text, verdict text, opinions jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    calls text[];
    names text[];
    asked text;
    ids text[];
    words text[];
    producers text[];
    subject_ids text[];
    verdicts text[];
    state text;
BEGIN
    SELECT pg_catalog.array_agg(c.producer), pg_catalog.array_agg(c.call) INTO names, calls
    FROM effaced.effaced_eligibility_calls(bucket_type) AS c;
    BEGIN
        FOR i IN 1 .. coalesce(pg_catalog.cardinality(names), 0) LOOP
            asked := names[i];
            SELECT a.subject_ids, a.verdicts INTO ids, words FROM effaced.effaced_ask_producer(calls[i], candidates) AS a;
            producers := pg_catalog.array_cat(producers, pg_catalog.array_fill(asked, ARRAY[coalesce(pg_catalog.cardinality(ids), 0)]));
            subject_ids := pg_catalog.array_cat(subject_ids, ids);
            verdicts := pg_catalog.array_cat(verdicts, words);
        END LOOP;
    EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
        state := SQLSTATE;
    END;
    IF state IS NOT NULL THEN
        -- outside the handler, whose CONTEXT could quote values
        RAISE EXCEPTION 'producer % failed to give its verdicts', pg_catalog.quote_literal(asked)
            USING ERRCODE = state,
                  DETAIL = pg_catalog.format('SQLSTATE %s.  The original message is withheld, since it may hold personal data.', state),
                  HINT = CASE WHEN state OPERATOR(pg_catalog.=) '42501'
                              THEN 'Grant the calling role what the function reads; policies of row-level security must not hide any of it.'
                              ELSE 'Call its function with a few candidates to see what is wrong.' END;
    END IF;
    RETURN QUERY SELECT w.subject_id, w.verdict, w.opinions
                 FROM effaced.effaced_weigh_verdicts(bucket_type, candidates, producers, subject_ids, verdicts) AS w;
END
$$;
COMMENT ON FUNCTION effaced.effaced_ask_producers(text, text[]) IS
    'What the producers of a bucket say about some candidates';

CREATE FUNCTION effaced.effaced_open_bucket(bucket_type text) RETURNS regclass
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    PERFORM o.producer FROM effaced.effaced_producer_order(bucket_type) AS o;
    RETURN effaced.effaced_bucket_subject(bucket_type);
END
$$;
COMMENT ON FUNCTION effaced.effaced_open_bucket(text) IS
    'The subject table of a bucket whose contracts can be kept, or ZE005';

CREATE FUNCTION effaced.effaced_candidates(subject regclass) RETURNS SETOF text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(c.id)
    FROM (SELECT s.id, (row_number() OVER () - 1) / 100000 AS chunk
          FROM effaced.effaced_subject_ids(subject) AS s (id)) AS c
    GROUP BY c.chunk
$$;
COMMENT ON FUNCTION effaced.effaced_candidates(regclass) IS
    'The identifiers of a subject table, in arrays of a size that producers can be asked about';

CREATE FUNCTION effaced.effaced_bucket_eligibility(bucket_type text)
RETURNS TABLE (subject_id text, verdict text, opinions jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    candidates text[];
BEGIN
    FOR candidates IN SELECT c.ids FROM effaced.effaced_candidates(effaced.effaced_open_bucket(bucket_type)) AS c (ids)
    LOOP
        RETURN QUERY SELECT a.subject_id, a.verdict, a.opinions FROM effaced.effaced_ask_producers(bucket_type, candidates) AS a;
    END LOOP;
END
$$;
COMMENT ON FUNCTION effaced.effaced_bucket_eligibility(text) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_bucket_eligibility(bucket_type text)
RETURNS TABLE (subject_id text, verdict text, opinions jsonb)
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM effaced.effaced_bucket_eligibility(bucket_type);
END;
COMMENT ON FUNCTION @extschema@.effaced_bucket_eligibility(text) IS
    'Whose data of a bucket may go: a row per subject on whom a producer has an opinion, with all opinions';

CREATE FUNCTION effaced.effaced_record_subjects(bucket_type text, subject_ids text[], scheduled_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    kind text;
    recorded bigint;
BEGIN
    IF scheduled_at IS NULL THEN
        RAISE EXCEPTION 'scheduled_at must not be NULL' USING ERRCODE = 'ZE005',
              HINT = 'Leave the argument out for records that are due at once.';
    END IF;
    kind := effaced.effaced_subject_kind(effaced.effaced_bucket_subject(bucket_type));
    -- another spelling would pass by the restrictions and erasures of the same person
    subject_ids := effaced.effaced_subject_refs(subject_ids, effaced.effaced_bucket_subject(bucket_type));
    -- one at a time, be it to add profiles or to purge them
    LOCK TABLE effaced.effaced_compliance_profiles IN SHARE ROW EXCLUSIVE MODE;
    PERFORM FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_record_subjects.bucket_type FOR KEY SHARE;
    INSERT INTO effaced.effaced_compliance_profiles (subject, subject_id)
    SELECT kind, s.id FROM unnest(subject_ids) WITH ORDINALITY AS s (id, place)
    WHERE NOT EXISTS (SELECT FROM effaced.effaced_compliance_profiles AS p
                      WHERE p.subject = kind AND p.subject_id = s.id)
    ORDER BY s.place
    ON CONFLICT DO NOTHING;
    INSERT INTO effaced.effaced_deletion_record_rows (compliance_profile_id, bucket_type, deletion_scheduled_at)
    SELECT p.id, effaced_record_subjects.bucket_type, scheduled_at
    FROM unnest(subject_ids) WITH ORDINALITY AS s (id, place)
    JOIN effaced.effaced_compliance_profiles AS p ON p.subject = kind AND p.subject_id = s.id
    WHERE NOT EXISTS (SELECT FROM effaced.effaced_deletion_record_rows AS r
                      WHERE r.compliance_profile_id = p.id AND r.bucket_type = effaced_record_subjects.bucket_type)
    ORDER BY s.place
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    RETURN recorded;
END
$$;
COMMENT ON FUNCTION effaced.effaced_record_subjects(text, text[], timestamptz) IS
    'Writes the records, and profiles where they are missing, of subjects that are ready';

CREATE FUNCTION @extschema@.effaced_create_deletion_records(bucket_type text, scheduled_at timestamptz DEFAULT pg_catalog.now())
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    ready text[];
BEGIN
    SELECT pg_catalog.array_agg(e.subject_id) INTO ready
    FROM effaced.effaced_bucket_eligibility(bucket_type) AS e
    WHERE e.verdict OPERATOR(pg_catalog.=) 'ready_for_deletion';
    RETURN effaced.effaced_record_subjects(bucket_type, ready, scheduled_at);
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_create_deletion_records(text, timestamptz) IS
    'Creates a record for every subject that is ready and has none in this bucket; returns how many';

CREATE FUNCTION @extschema@.effaced_create_deletion_batches(bucket_type text, max_batch_size int DEFAULT NULL)
RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    bucket effaced.effaced_buckets := effaced.effaced_bucket(bucket_type);
    size int := coalesce(max_batch_size, bucket.max_batch_size);
    records bigint[];
    batches bigint[];
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    IF size < 1 THEN
        RAISE EXCEPTION 'max_batch_size must be at least 1' USING ERRCODE = 'ZE005',
              HINT = 'Leave the argument out for the size that the bucket is registered with.';
    END IF;
    -- one at a time
    PERFORM FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_create_deletion_batches.bucket_type FOR NO KEY UPDATE;
    SELECT array_agg(r.id ORDER BY r.deletion_scheduled_at, r.id) INTO records
    FROM (SELECT u.id, u.deletion_scheduled_at FROM effaced.effaced_deletion_record_rows AS u
          WHERE u.bucket_type = effaced_create_deletion_batches.bucket_type AND u.deletion_batch_id IS NULL FOR NO KEY UPDATE) AS r;
    IF records IS NULL THEN
        RETURN '{}';
    END IF;
    WITH batch AS (
        INSERT INTO effaced.effaced_deletion_batch_rows (bucket_type)
        SELECT effaced_create_deletion_batches.bucket_type FROM generate_series(1, (cardinality(records) + size - 1) / size)
        RETURNING id
    )
    SELECT array_agg(b.id ORDER BY b.id) INTO batches FROM batch AS b;
    UPDATE effaced.effaced_deletion_record_rows AS r
    SET deletion_batch_id = batches[(n.place - 1) / size + 1], updated_at = clock_timestamp()
    FROM unnest(records) WITH ORDINALITY AS n (id, place)
    WHERE r.id = n.id;
    RETURN batches;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_create_deletion_batches(text, int) IS
    'Puts the records that are in no batch into batches, earliest first; returns the batches'' ids';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_compliance_profiles', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_compliance_profiles_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_deletion_batch_rows', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_deletion_batch_rows_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_deletion_record_rows', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_deletion_record_rows_id_seq', '');
