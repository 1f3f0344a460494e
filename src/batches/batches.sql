-- Who there is.

CREATE FUNCTION @extschema@.effaced_subject_kind(subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_kind(regclass) IS
    'The kind of subject that a table holds, as its label names it';

CREATE FUNCTION effaced.effaced_subject_kind(subject regclass) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_subject_kind(regclass) IS
    'The same, for functions that must not look it up by name in a schema of others';

CREATE FUNCTION @extschema@.effaced_subject_ids(subject regclass DEFAULT NULL) RETURNS SETOF text
LANGUAGE c STABLE ROWS 10000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_ids(regclass) IS
    'The canonical identifiers of all subjects in a subject table';

CREATE FUNCTION effaced.effaced_subject_ids(subject regclass) RETURNS SETOF text
LANGUAGE c STABLE ROWS 10000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_subject_ids(regclass) IS
    'The same, for functions that must not look it up by name in a schema of others';

CREATE FUNCTION effaced.effaced_subject_ref(subject_id text, subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_subject_ref(text, regclass) IS
    'The canonical identifier of a subject, as it is recorded';

CREATE FUNCTION effaced.effaced_subject_refs(subject_ids text[], subject regclass) RETURNS text[]
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_subject_refs(text[], regclass) IS
    'The canonical identifiers of subjects, found without a CHECK of the key''s domain';

-- Deletion at scale: which kinds of data there are, who owns them, who decides.
--
-- Tables and functions are kept by name.  An OID would be dumped as a number once
-- its object is gone, and might be another object's in the database restored to;
-- and pg_upgrade does not take regprocedure.
--
-- No foreign keys between effaced's own tables: an archive does not say in which
-- order their rows have to come, and pg_restore -j would fail.  The functions below
-- are all that writes here, and check.

CREATE TABLE effaced.effaced_buckets (
    bucket_type    text PRIMARY KEY CHECK (length(bucket_type) BETWEEN 1 AND 255),
    subject        text NOT NULL,
    max_batch_size int NOT NULL CHECK (max_batch_size > 0),
    alert_after    interval NOT NULL CHECK (alert_after >= '0'),
    created_at     timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE effaced.effaced_buckets IS
    'Data buckets: kinds of data that are deleted by rules of their own';
COMMENT ON COLUMN effaced.effaced_buckets.bucket_type IS 'Name of the kind';
COMMENT ON COLUMN effaced.effaced_buckets.subject IS 'Subject table whose rows are the candidates';
COMMENT ON COLUMN effaced.effaced_buckets.max_batch_size IS 'Records in a batch, at most';
COMMENT ON COLUMN effaced.effaced_buckets.alert_after IS 'How long a batch may wait for its review';
COMMENT ON COLUMN effaced.effaced_buckets.created_at IS 'When it was registered';
SELECT effaced.effaced_publish('effaced_buckets');

CREATE TABLE effaced.effaced_anchors (
    anchor     text PRIMARY KEY CHECK (length(anchor) BETWEEN 1 AND 255),
    relations  text[] NOT NULL CHECK (cardinality(relations) > 0 AND array_position(relations, NULL) IS NULL),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE effaced.effaced_anchors IS
    'Deletion anchors: tables, or logical groups of tables, that take part in the order of deletion';
COMMENT ON COLUMN effaced.effaced_anchors.anchor IS 'Name of the group';
COMMENT ON COLUMN effaced.effaced_anchors.relations IS 'Its tables, quoted and with their schemas';
COMMENT ON COLUMN effaced.effaced_anchors.created_at IS 'When it was registered';
SELECT effaced.effaced_publish('effaced_anchors');

CREATE VIEW effaced.effaced_anchor_tables AS
    SELECT a.anchor, t.relation
    FROM effaced.effaced_anchors AS a, pg_catalog.unnest(a.relations) AS t (relation);
COMMENT ON VIEW effaced.effaced_anchor_tables IS 'The tables of each anchor';
SELECT effaced.effaced_publish('effaced_anchor_tables');

CREATE TABLE effaced.effaced_producers (
    bucket_type            text NOT NULL,
    producer               text NOT NULL CHECK (length(producer) BETWEEN 1 AND 255),
    eligibility            text NOT NULL,
    owns                   text[] NOT NULL CHECK (array_position(owns, NULL) IS NULL),
    reads_as_discriminator text[] NOT NULL CHECK (array_position(reads_as_discriminator, NULL) IS NULL),
    reads_as_reference     text[] NOT NULL CHECK (array_position(reads_as_reference, NULL) IS NULL),
    created_at             timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (bucket_type, producer)
);
COMMENT ON TABLE effaced.effaced_producers IS
    'Producers: who owns part of the data of a bucket and knows whether it may go; and their contracts';
COMMENT ON COLUMN effaced.effaced_producers.bucket_type IS 'Bucket';
COMMENT ON COLUMN effaced.effaced_producers.producer IS 'Name of the producer';
COMMENT ON COLUMN effaced.effaced_producers.eligibility IS 'Function that gives the verdicts, with its argument types';
COMMENT ON COLUMN effaced.effaced_producers.owns IS 'Anchors that it deletes';
COMMENT ON COLUMN effaced.effaced_producers.reads_as_discriminator IS 'Anchors that it reads to decide, before their owner deletes them';
COMMENT ON COLUMN effaced.effaced_producers.reads_as_reference IS 'Anchors that it reads to display; deleting them is a warning';
COMMENT ON COLUMN effaced.effaced_producers.created_at IS 'When it was registered';
SELECT effaced.effaced_publish('effaced_producers');

CREATE VIEW effaced.effaced_producer_contracts AS
    SELECT p.bucket_type, p.producer, c.contract, a.anchor
    FROM effaced.effaced_producers AS p,
         LATERAL (VALUES ('owns', p.owns), ('reads_as_discriminator', p.reads_as_discriminator),
                         ('reads_as_reference', p.reads_as_reference)) AS c (contract, anchors),
         pg_catalog.unnest(c.anchors) AS a (anchor);
COMMENT ON VIEW effaced.effaced_producer_contracts IS
    'Deletion contracts: which anchors a producer deletes, reads to decide, and reads to display';
SELECT effaced.effaced_publish('effaced_producer_contracts');

-- Settings and errors

CREATE FUNCTION effaced.effaced_four_eyes() RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_four_eyes() IS
    'The setting effaced.four_eyes: who has created a batch may not review it';

CREATE FUNCTION effaced.effaced_alert_resolver() RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_alert_resolver() IS
    'The setting effaced.alert_resolver, NULL where it is empty';

-- Registration

CREATE FUNCTION effaced.effaced_bucket(bucket_type text) RETURNS effaced.effaced_buckets
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bucket effaced.effaced_buckets;
BEGIN
    SELECT b.* INTO bucket FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_bucket.bucket_type;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'bucket type % is not registered', coalesce(quote_literal(effaced_bucket.bucket_type), 'NULL')
            USING ERRCODE = 'ZE005',
                  HINT = coalesce((SELECT format('Registered: %s.', string_agg(quote_literal(b.bucket_type), ', ' ORDER BY b.bucket_type))
                                   FROM effaced.effaced_buckets AS b),
                                  'SELECT effaced_register_bucket(bucket_type, subject);');
    END IF;
    RETURN bucket;
END
$$;
COMMENT ON FUNCTION effaced.effaced_bucket(text) IS
    'The registration of a bucket, or ZE005';

CREATE FUNCTION effaced.effaced_bucket_subject(bucket_type text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bucket effaced.effaced_buckets := effaced.effaced_bucket(bucket_type);
BEGIN
    IF to_regclass(bucket.subject) IS NULL THEN
        RAISE EXCEPTION 'subject table % of bucket type % does not exist', bucket.subject, quote_literal(bucket_type)
            USING ERRCODE = 'ZE005',
                  HINT = format('SELECT effaced_register_bucket(%L, subject);', bucket_type);
    END IF;
    RETURN to_regclass(bucket.subject);
END
$$;
COMMENT ON FUNCTION effaced.effaced_bucket_subject(text) IS
    'The subject table of a bucket, or ZE005';

CREATE FUNCTION @extschema@.effaced_register_bucket(bucket_type text, subject regclass, max_batch_size int DEFAULT 500,
                                                    alert_after interval DEFAULT '7 days')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text;
BEGIN
    IF bucket_type IS NULL OR length(bucket_type) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'bucket type must have 1 to 255 characters' USING ERRCODE = 'ZE005',
              HINT = 'Name a kind of data, such as ''employment''.';
    ELSIF subject IS NULL THEN
        RAISE EXCEPTION 'subject must not be NULL' USING ERRCODE = 'ZE005',
              HINT = 'Name the subject table whose rows are the candidates.';
    ELSIF max_batch_size IS NULL OR max_batch_size < 1 THEN
        RAISE EXCEPTION 'max_batch_size must be at least 1' USING ERRCODE = 'ZE005',
              HINT = 'Leave the argument out for 500.';
    ELSIF alert_after IS NULL OR alert_after < '0' THEN
        RAISE EXCEPTION 'alert_after must not be NULL or negative' USING ERRCODE = 'ZE005',
              HINT = 'Leave the argument out for 7 days.';
    END IF;
    -- ZE002 where it is no subject table
    PERFORM effaced.effaced_subject_kind(subject);

    SELECT b.subject INTO before FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_register_bucket.bucket_type FOR UPDATE;
    IF before <> effaced_register_bucket.subject::text AND EXISTS (SELECT FROM effaced.effaced_deletion_record_rows AS r WHERE r.bucket_type = effaced_register_bucket.bucket_type) THEN
        RAISE EXCEPTION 'bucket type % has records of subjects of %', quote_literal(bucket_type), before
            USING ERRCODE = 'ZE005',
                  DETAIL = 'With another subject table their identifiers would be other people''s.',
                  HINT = format('SELECT * FROM effaced_purge_compliance_data(%L);', bucket_type);
    END IF;
    INSERT INTO effaced.effaced_buckets AS b (bucket_type, subject, max_batch_size, alert_after)
    VALUES (effaced_register_bucket.bucket_type, effaced_register_bucket.subject::text, effaced_register_bucket.max_batch_size, effaced_register_bucket.alert_after)
    ON CONFLICT ON CONSTRAINT effaced_buckets_pkey DO UPDATE
        SET subject = excluded.subject, max_batch_size = excluded.max_batch_size, alert_after = excluded.alert_after;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_register_bucket(text, regclass, int, interval) IS
    'Registers a kind of data and the subject table that its candidates are in, or changes its registration';

CREATE FUNCTION @extschema@.effaced_register_anchor(anchor text, VARIADIC tables regclass[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    IF anchor IS NULL OR length(anchor) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'anchor must have 1 to 255 characters' USING ERRCODE = 'ZE005',
              HINT = 'Name what the tables hold, such as ''enrollment''.';
    ELSIF coalesce(cardinality(tables), 0) = 0 OR array_position(tables, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'anchor % must have at least one table and no NULL', quote_literal(anchor) USING ERRCODE = 'ZE005',
              HINT = format('SELECT effaced_register_anchor(%L, ''schema.table'');', anchor);
    END IF;
    INSERT INTO effaced.effaced_anchors (anchor, relations)
    VALUES (effaced_register_anchor.anchor, ARRAY(SELECT DISTINCT t.relation::text FROM unnest(tables) AS t (relation) ORDER BY 1))
    ON CONFLICT ON CONSTRAINT effaced_anchors_pkey DO UPDATE SET relations = excluded.relations;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_register_anchor(text, regclass[]) IS
    'Registers a table or a group of tables under a name that contracts use, or changes its tables';

CREATE FUNCTION effaced.effaced_check_eligibility(eligibility regprocedure) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found boolean;
    columns name[];
BEGIN
    SELECT p.prokind = 'f' AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1
           AND p.proargtypes[0] = 'text[]'::regtype,
           ARRAY(SELECT a.name::name
                 FROM unnest(p.proargnames, p.proargmodes) AS a (name, mode)
                 WHERE a.mode IN ('o', 't')
                 UNION ALL
                 SELECT a.attname
                 FROM pg_type AS t JOIN pg_attribute AS a ON a.attrelid = t.typrelid
                 WHERE t.oid = p.prorettype AND a.attnum > 0 AND NOT a.attisdropped)
    INTO found, columns
    FROM pg_proc AS p WHERE p.oid = effaced_check_eligibility.eligibility;
    IF found AND columns @> '{subject_id, verdict}' THEN
        RETURN;
    END IF;
    RAISE EXCEPTION 'function % does not give verdicts', coalesce(eligibility::text, 'NULL')
        USING ERRCODE = 'ZE005',
              DETAIL = 'It has to take the candidates as text[] and to return rows of (subject_id, verdict).',
              HINT = 'CREATE FUNCTION name(candidates text[]) RETURNS TABLE (subject_id text, verdict text) ...';
END
$$;
COMMENT ON FUNCTION effaced.effaced_check_eligibility(regprocedure) IS
    'Raises ZE005 where a function is not one that gives verdicts';

CREATE FUNCTION @extschema@.effaced_register_producer(producer text, bucket_type text, eligibility regprocedure,
                                                      owns text[] DEFAULT '{}', reads_as_discriminator text[] DEFAULT '{}',
                                                      reads_as_reference text[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bucket effaced.effaced_buckets;
    named text[] := array_cat(array_cat(owns, reads_as_discriminator), reads_as_reference);
    problem record;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    IF producer IS NULL OR length(producer) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'producer must have 1 to 255 characters' USING ERRCODE = 'ZE005',
              HINT = 'Name who owns the data, such as ''payroll''.';
    END IF;
    bucket := effaced.effaced_bucket(bucket_type);
    -- nobody else registers in this bucket meanwhile
    PERFORM FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_register_producer.bucket_type FOR NO KEY UPDATE;
    PERFORM effaced.effaced_check_eligibility(eligibility);

    SELECT n.anchor INTO problem FROM unnest(named) AS n (anchor)
    WHERE n.anchor IS NULL OR NOT EXISTS (SELECT FROM effaced.effaced_anchors AS a WHERE a.anchor = n.anchor)
    ORDER BY n.anchor LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'anchor % is not registered', coalesce(quote_literal(problem.anchor), 'NULL') USING ERRCODE = 'ZE005',
              HINT = coalesce(format('SELECT effaced_register_anchor(%L, ''schema.table'');', problem.anchor),
                              'Name registered anchors.');
    END IF;
    SELECT c.anchor, c.producer INTO problem
    FROM effaced.effaced_producer_contracts AS c
    WHERE c.bucket_type = effaced_register_producer.bucket_type AND c.producer <> effaced_register_producer.producer AND c.contract = 'owns' AND c.anchor = ANY (effaced_register_producer.owns)
    ORDER BY c.anchor LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'anchor % is owned by producer % already', quote_literal(problem.anchor), quote_literal(problem.producer)
            USING ERRCODE = 'ZE005',
                  DETAIL = format('In bucket type %L an anchor has one owner at most.', bucket_type),
                  HINT = 'Let one of them own it and the other read it, or register the tables as two anchors.';
    END IF;

    INSERT INTO effaced.effaced_producers (bucket_type, producer, eligibility, owns, reads_as_discriminator, reads_as_reference)
    VALUES (effaced_register_producer.bucket_type, effaced_register_producer.producer, effaced_register_producer.eligibility::text, ARRAY(SELECT DISTINCT a FROM unnest(owns) AS a ORDER BY a),
            ARRAY(SELECT DISTINCT a FROM unnest(reads_as_discriminator) AS a ORDER BY a), ARRAY(SELECT DISTINCT a FROM unnest(reads_as_reference) AS a ORDER BY a))
    ON CONFLICT ON CONSTRAINT effaced_producers_pkey DO UPDATE
        SET eligibility = excluded.eligibility, owns = excluded.owns,
            reads_as_discriminator = excluded.reads_as_discriminator, reads_as_reference = excluded.reads_as_reference;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_register_producer(text, text, regprocedure, text[], text[], text[]) IS
    'Registers who owns part of a bucket''s data, the function that says whether it may go, and the contract; or changes them';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_buckets', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_anchors', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_producers', '');
