-- Resolvers: the external systems that hold personal data too.

-- A function is kept by its name: a dump has no other, and pg_upgrade takes no regprocedure.
CREATE TABLE effaced.effaced_resolvers (
    name           text PRIMARY KEY CHECK (pg_catalog.length(name) BETWEEN 1 AND 255),
    erase          text,
    export         text,
    rectify        text,
    retention_only boolean NOT NULL DEFAULT false
);
REVOKE ALL ON effaced.effaced_resolvers FROM PUBLIC;
COMMENT ON TABLE effaced.effaced_resolvers IS
    'Registry of external systems that hold personal data: who erases, exports and rectifies there';
COMMENT ON COLUMN effaced.effaced_resolvers.name IS 'Name; references of this kind go there';
COMMENT ON COLUMN effaced.effaced_resolvers.erase IS 'Function that erases; NULL: a worker outside the server does';
COMMENT ON COLUMN effaced.effaced_resolvers.export IS 'Function that gives export records, or NULL';
COMMENT ON COLUMN effaced.effaced_resolvers.rectify IS 'Function that rectifies; NULL: a worker outside the server does';
COMMENT ON COLUMN effaced.effaced_resolvers.retention_only IS 'The system cannot erase: its data expires';
SELECT effaced.effaced_publish('effaced_resolvers');

CREATE FUNCTION @extschema@.effaced_register_resolver(
    name text, erase regprocedure DEFAULT NULL, export regprocedure DEFAULT NULL,
    rectify regprocedure DEFAULT NULL, retention_only boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wrong text;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    IF coalesce(length(effaced_register_resolver.name), 0) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'the name of a resolver must have 1 to 255 characters'
            USING ERRCODE = 'ZE006', HINT = 'SELECT effaced_register_resolver(''stripe'');';
    END IF;
    SELECT format('%s is to be %s(%s) RETURNS jsonb', f.function, f.what, f.arguments) INTO wrong
      FROM (VALUES ('erase', 'ref jsonb', 1, effaced_register_resolver.erase),
                   ('export', 'ref jsonb', 1, effaced_register_resolver.export),
                   ('rectify', 'ref jsonb, corrections jsonb', 2, effaced_register_resolver.rectify))
           AS f (what, arguments, n, function)
      LEFT JOIN pg_proc p ON p.oid = f.function
     WHERE f.function IS NOT NULL
       AND (p.prokind = 'f' AND p.prorettype = 'jsonb'::regtype AND NOT p.proretset
            AND p.proargtypes = rtrim(repeat('jsonb'::regtype::oid::text || ' ', f.n))::oidvector) IS NOT TRUE
     LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'a function of the resolver does not fit'
            USING ERRCODE = 'ZE006', DETAIL = wrong || '.',
                  HINT = 'An erase function takes (jsonb), an export function (jsonb), a rectify function (jsonb, jsonb); each returns jsonb.';
    END IF;
    INSERT INTO effaced.effaced_resolvers
    VALUES (effaced_register_resolver.name, effaced_register_resolver.erase::text, effaced_register_resolver.export::text,
            effaced_register_resolver.rectify::text, coalesce(effaced_register_resolver.retention_only, false))
    ON CONFLICT (name) DO UPDATE
       SET erase = excluded.erase, export = excluded.export, rectify = excluded.rectify,
           retention_only = excluded.retention_only;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_register_resolver(text, regprocedure, regprocedure, regprocedure, boolean) IS
    'Registers an external system, or replaces what is registered under that name; whoever may do that has functions run by the runner';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_resolvers', '');

-- The outbox: what is still to be done in external systems, and how it ended.

CREATE TABLE effaced.effaced_outbox (
    entry_id        uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    subject         text NOT NULL,
    subject_id      text NOT NULL,
    resolver        text NOT NULL,
    ref             jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(ref) = 'object'),
    operation       text NOT NULL CHECK (operation IN ('erase', 'rectify')),
    payload         jsonb,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'in_flight', 'failed', 'scheduled', 'succeeded', 'abandoned')),
    attempts        int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    last_error      text CHECK (last_error ~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$'),
    enqueued_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    seq             bigint GENERATED ALWAYS AS IDENTITY,
    expires_at      timestamptz,
    detail          text,
    claim_id        uuid,
    claimed_by      text[] NOT NULL DEFAULT '{}',
    completes       boolean NOT NULL DEFAULT false,
    -- corrected values are here only as long as somebody may still need them
    CHECK ((payload IS NOT NULL) = (operation = 'rectify' AND status NOT IN ('succeeded', 'abandoned'))),
    -- and so is what an erased person was known as
    CHECK (operation <> 'erase' OR status <> 'succeeded'
           OR (ref ->> 'value') IS NULL AND (ref ->> 'extra') IS NULL),
    CHECK (status <> 'in_flight' OR claim_id IS NOT NULL),
    CHECK (status <> 'scheduled' OR expires_at IS NOT NULL)
);
REVOKE ALL ON effaced.effaced_outbox FROM PUBLIC;
-- the order in which entries are claimed
CREATE INDEX effaced_outbox_due_idx ON effaced.effaced_outbox (next_attempt_at, seq)
    WHERE status IN ('pending', 'in_flight', 'failed', 'scheduled');
-- a hash index, since an identifier may be longer than a btree entry
CREATE INDEX effaced_outbox_subject_id_idx ON effaced.effaced_outbox USING hash (subject_id);
COMMENT ON TABLE effaced.effaced_outbox IS
    'What erasures and rectifications have still to do in external systems, and how each entry ended';
COMMENT ON COLUMN effaced.effaced_outbox.entry_id IS 'Identifier of the entry';
COMMENT ON COLUMN effaced.effaced_outbox.subject IS 'Kind of subject, as the label of its table names it';
COMMENT ON COLUMN effaced.effaced_outbox.subject_id IS 'Identifier of the subject, canonical';
COMMENT ON COLUMN effaced.effaced_outbox.resolver IS 'External system';
COMMENT ON COLUMN effaced.effaced_outbox.ref IS
    'Who the subject is there: kind, value, extra; value and extra go when an erasure has succeeded';
COMMENT ON COLUMN effaced.effaced_outbox.operation IS 'erase or rectify';
COMMENT ON COLUMN effaced.effaced_outbox.payload IS 'Corrections of a rectification, until the entry has ended';
COMMENT ON COLUMN effaced.effaced_outbox.status IS
    'pending, in_flight, failed (to be tried again), scheduled (until the data has expired), succeeded or abandoned';
COMMENT ON COLUMN effaced.effaced_outbox.attempts IS 'How often the entry was claimed, counted at the claim';
COMMENT ON COLUMN effaced.effaced_outbox.next_attempt_at IS
    'Earliest moment of the next claim: when the entry is due, or its lease ends';
COMMENT ON COLUMN effaced.effaced_outbox.last_error IS 'Class of the last error, never a message';
COMMENT ON COLUMN effaced.effaced_outbox.enqueued_at IS 'Start of the transaction that made the entry';
COMMENT ON COLUMN effaced.effaced_outbox.seq IS 'Order of making';
COMMENT ON COLUMN effaced.effaced_outbox.expires_at IS 'When the external system lets the data expire, as it said last';
COMMENT ON COLUMN effaced.effaced_outbox.detail IS 'What the worker noted on success; keep values out of it';
COMMENT ON COLUMN effaced.effaced_outbox.claim_id IS 'The claim that the entry is in flight for';
COMMENT ON COLUMN effaced.effaced_outbox.claimed_by IS 'Sessions that claimed the entry, the last one last';
COMMENT ON COLUMN effaced.effaced_outbox.completes IS
    'The completion of the request as a whole is still to be recorded';
SELECT effaced.effaced_publish('effaced_outbox');

-- Where the entries may be carried out: not in a copy of the database.
CREATE TABLE effaced.effaced_outbox_home (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    identity text NOT NULL
);
REVOKE ALL ON effaced.effaced_outbox_home FROM PUBLIC;
COMMENT ON TABLE effaced.effaced_outbox_home IS
    'The server and database that the outbox belongs to, from the first entry on';
COMMENT ON COLUMN effaced.effaced_outbox_home.only_row IS 'Keeps the table at one row';
COMMENT ON COLUMN effaced.effaced_outbox_home.identity IS 'System identifier of the server, OID of the database';

CREATE FUNCTION effaced.effaced_outbox_here() RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_outbox_here() IS
    'Identity of this server and database, as effaced_outbox_home keeps it';

CREATE FUNCTION effaced.effaced_outbox_session() RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_outbox_session() IS
    'Identity of this session, as effaced_outbox.claimed_by keeps it';

CREATE FUNCTION effaced.effaced_outbox_retry_at(attempts int) RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_outbox_retry_at(int) IS
    'When an entry that failed now is due again, by the settings effaced.outbox_*; NULL after the last attempt';

CREATE FUNCTION @extschema@.effaced_outbox_adopt() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO effaced.effaced_outbox_home (identity) VALUES (effaced.effaced_outbox_here())
    ON CONFLICT (only_row) DO UPDATE SET identity = excluded.identity;
$$;
COMMENT ON FUNCTION @extschema@.effaced_outbox_adopt() IS
    'Lets this database carry out the entries of its outbox, after it was restored from a copy; the original must not any more';

-- Record the end of requests, where these entries were the last ones: no entry of
-- the operation is left for their subjects.
CREATE FUNCTION effaced.effaced_outbox_settle(entry_ids uuid[]) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    WITH request AS (
        SELECT DISTINCT o.subject, o.subject_id, o.operation
          FROM effaced.effaced_outbox o
         WHERE o.entry_id = ANY (entry_ids)
    ), completed AS (
        UPDATE effaced.effaced_outbox o SET completes = false
          FROM request r
         WHERE o.subject_id = r.subject_id AND o.subject = r.subject AND o.operation = r.operation AND o.completes
           AND NOT EXISTS (SELECT FROM effaced.effaced_outbox e
                            WHERE e.subject_id = r.subject_id AND e.subject = r.subject AND e.operation = r.operation
                              AND e.status <> 'succeeded' AND (e.operation = 'erase' OR e.status <> 'abandoned'))
        RETURNING o.subject, o.subject_id, o.operation
    )
    INSERT INTO effaced.effaced_audit_events (event_type, subject, subject_ref)
    SELECT DISTINCT CASE c.operation WHEN 'erase' THEN 'erasure_completed' ELSE 'rectification_completed' END,
           c.subject, c.subject_id
      FROM completed c;
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_settle(uuid[]) IS
    'Records erasure_completed or rectification_completed where nothing is left to do for the subjects of these entries';

-- Write down for each entry what became of it; the payload names the system and the entry.
CREATE FUNCTION effaced.effaced_outbox_record(entry_ids uuid[], event text, payload jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO effaced.effaced_audit_events (event_type, subject, subject_ref, payload)
    SELECT CASE o.operation WHEN 'erase' THEN 'erasure_' ELSE 'rectification_' END || event, o.subject, o.subject_id,
           jsonb_build_object('target', o.resolver, 'entry_id', o.entry_id, 'attempts', o.attempts)
           || effaced_outbox_record.payload
      FROM effaced.effaced_outbox o
     WHERE o.entry_id = ANY (entry_ids)
     ORDER BY o.seq;
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_record(uuid[], text, jsonb) IS
    'Appends an event of the operation of each entry to the trail';

-- A rectification of which one entry is abandoned cannot complete any more: its
-- values are gone. An erasure waits for effaced_outbox_requeue().
CREATE FUNCTION effaced.effaced_outbox_abandon(entry_ids uuid[], error_class text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- The table's CHECK would refuse another class with an error that quotes the row, its reference included.
    IF (effaced_outbox_abandon.error_class ~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$') IS NOT TRUE THEN
        effaced_outbox_abandon.error_class := 'unclassified';
    END IF;
    UPDATE effaced.effaced_outbox
       SET status = 'abandoned', last_error = effaced_outbox_abandon.error_class, payload = NULL
     WHERE entry_id = ANY (effaced_outbox_abandon.entry_ids);
    PERFORM effaced.effaced_outbox_record(effaced_outbox_abandon.entry_ids, 'step_failed',
        jsonb_build_object('error_class', effaced_outbox_abandon.error_class, 'abandoned', true));
    UPDATE effaced.effaced_outbox o SET completes = false
      FROM effaced.effaced_outbox e
     WHERE e.entry_id = ANY (effaced_outbox_abandon.entry_ids) AND e.operation = 'rectify'
       AND o.subject_id = e.subject_id AND o.subject = e.subject AND o.operation = 'rectify'
       AND o.enqueued_at = e.enqueued_at AND o.completes;
    PERFORM effaced.effaced_outbox_settle(effaced_outbox_abandon.entry_ids);
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_abandon(uuid[], text) IS
    'Ends entries that are not tried again, records it, and drops the corrected values';

-- The steps of effaced_outbox_enqueue(). "whole" are the identifiers of the subjects for whom the
-- operation was carried out in all tables. A parameter stands behind its function's name where a
-- column of the statement is called the same.

-- A correction that is carried out after an erasure would write the data of the subject anew.
CREATE FUNCTION effaced.effaced_outbox_supersede(subject text, whole text[]) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    superseded constant uuid[] := ARRAY(
        SELECT o.entry_id FROM effaced.effaced_outbox o
         WHERE o.subject_id = ANY (whole) AND o.subject = effaced_outbox_supersede.subject
           AND o.operation = 'rectify' AND o.status IN ('pending', 'in_flight', 'failed', 'scheduled')
         ORDER BY o.entry_id FOR UPDATE);
BEGIN
    IF superseded <> '{}' THEN
        PERFORM effaced.effaced_outbox_abandon(superseded, 'erased');
    END IF;
    RETURN superseded;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_supersede(text, text[]) IS
    'Part of effaced_outbox_enqueue(): abandons the corrections of subjects who are erased, and returns their entries';

-- A system that a correction never reached still knows the subject by the reference in that
-- correction. subject_ids and refs are the references that the request itself tells of. The
-- latest correction counts for a system and a value; all three arrays are NULL where there is none.
CREATE FUNCTION effaced.effaced_outbox_unreached(
    subject text, whole text[], subject_ids text[], refs jsonb[],
    OUT more_subject_ids text[], OUT more_resolvers text[], OUT more_refs jsonb[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH unreached AS (
        SELECT DISTINCT ON (o.subject_id, o.resolver, o.ref -> 'value') o.subject_id, o.resolver, o.ref, o.seq
          FROM effaced.effaced_outbox o
         WHERE o.subject_id = ANY (whole) AND o.subject = effaced_outbox_unreached.subject
           AND o.operation = 'rectify' AND o.status = 'abandoned' AND o.ref ->> 'value' IS NOT NULL
           AND NOT EXISTS (SELECT FROM ROWS FROM (unnest(subject_ids), unnest(refs)) AS told (subject_id, ref)
                            WHERE told.subject_id = o.subject_id AND told.ref -> 'kind' = o.ref -> 'kind'
                              AND told.ref -> 'value' = o.ref -> 'value')
         ORDER BY o.subject_id, o.resolver, o.ref -> 'value', o.seq DESC)
    SELECT array_agg(u.subject_id ORDER BY u.seq), array_agg(u.resolver ORDER BY u.seq), array_agg(u.ref ORDER BY u.seq)
      INTO more_subject_ids, more_resolvers, more_refs
      FROM unreached u;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_unreached(text, text[], text[], jsonb[]) IS
    'Part of effaced_outbox_enqueue(): references in abandoned corrections that the erasure has to reach too';

CREATE FUNCTION effaced.effaced_outbox_forget_corrections(subject text, whole text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE effaced.effaced_outbox o
       SET ref = jsonb_build_object('kind', o.ref -> 'kind', 'value', NULL, 'extra', NULL)
     WHERE o.subject_id = ANY (whole) AND o.subject = effaced_outbox_forget_corrections.subject
       AND o.operation = 'rectify' AND (o.ref ->> 'value' IS NOT NULL OR o.ref ->> 'extra' IS NOT NULL);
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_forget_corrections(text, text[]) IS
    'Part of effaced_outbox_enqueue(): removes from corrections, which have ended, the references of subjects who are erased';

-- The entries are locked, so that an entry that is just ending does not count as one that is left.
CREATE FUNCTION effaced.effaced_outbox_await(operation text, subject text, whole text[]) RETURNS int[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    waiting int[];
BEGIN
    WITH left_over AS MATERIALIZED (
        SELECT o.entry_id, o.subject_id FROM effaced.effaced_outbox o
         WHERE o.subject_id = ANY (whole) AND o.subject = effaced_outbox_await.subject
           AND o.operation = effaced_outbox_await.operation
           AND o.status <> 'succeeded' AND (o.operation = 'erase' OR o.status <> 'abandoned')
         ORDER BY o.entry_id FOR UPDATE
    ), completing AS (
        UPDATE effaced.effaced_outbox o SET completes = true
          FROM left_over l WHERE o.entry_id = l.entry_id AND NOT o.completes)
    SELECT array_agg(DISTINCT w.place::int) INTO waiting
      FROM unnest(whole) WITH ORDINALITY AS w (subject_id, place)
      JOIN left_over l ON l.subject_id = w.subject_id;
    RETURN waiting;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_await(text, text, text[]) IS
    'Part of effaced_outbox_enqueue(): the places in the array of the subjects of whom an entry is left, which completes the request';

-- Called by requests, in their transaction. subject_ids, resolvers and refs describe the entries,
-- one by one; whole is NULL for an operation that is not the whole of a request. entry_ids are in
-- that order, followed by the entries of more_subject_ids and more_resolvers. waiting are the
-- places in whole of the subjects of whom an entry is left, be it of an earlier request.
CREATE FUNCTION effaced.effaced_outbox_enqueue(
    operation text, subject text, subject_ids text[], resolvers text[], refs jsonb[], payload jsonb, whole text[],
    OUT entry_ids uuid[], OUT more_subject_ids text[], OUT more_resolvers text[], OUT waiting int[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    superseded uuid[] := '{}';
    more_refs  jsonb[];
BEGIN
    IF operation = 'erase' AND whole IS NOT NULL THEN
        superseded := effaced.effaced_outbox_supersede(subject, whole);
        SELECT u.more_subject_ids, u.more_resolvers, u.more_refs
          INTO more_subject_ids, more_resolvers, more_refs
          FROM effaced.effaced_outbox_unreached(subject, whole, subject_ids, refs) AS u;
        PERFORM effaced.effaced_outbox_forget_corrections(subject, whole);
    END IF;

    IF subject_ids <> '{}' OR more_subject_ids <> '{}' THEN
        -- The message of a violated constraint would show the row, and with it who is erased.
        IF subject IS NULL
           OR coalesce(operation NOT IN ('erase', 'rectify') OR (payload IS NULL) = (operation = 'rectify'), true)
           OR EXISTS (SELECT FROM ROWS FROM (unnest(subject_ids), unnest(resolvers), unnest(refs)) AS w (subject_id, resolver, ref)
                       WHERE w.subject_id IS NULL OR w.resolver IS NULL OR jsonb_typeof(w.ref) IS DISTINCT FROM 'object') THEN
            RAISE EXCEPTION 'malformed outbox entries'
                USING ERRCODE = 'ZE005', DETAIL = 'An entry needs a subject, an identifier, a resolver and a reference that is an object; '
                    || 'a correction, and nothing else, needs a payload.',
                HINT = 'Entries are added by effaced_erase() and effaced_rectify().';
        END IF;
        INSERT INTO effaced.effaced_outbox_home (identity)
        SELECT effaced.effaced_outbox_here()
         WHERE NOT EXISTS (SELECT FROM effaced.effaced_outbox_home)
        ON CONFLICT DO NOTHING;
        WITH wanted AS (
            SELECT w.subject_id, w.resolver, w.ref, w.place
              FROM ROWS FROM (unnest(subject_ids || more_subject_ids), unnest(resolvers || more_resolvers),
                              unnest(refs || more_refs))
                   WITH ORDINALITY AS w (subject_id, resolver, ref, place)
        ), busy AS (    -- a worker may still be at a correction: the erasure waits until its lease ends
            SELECT o.subject_id, o.resolver, max(o.next_attempt_at) AS lease_end
              FROM effaced.effaced_outbox o
             WHERE o.entry_id = ANY (superseded) AND o.claim_id IS NOT NULL
             GROUP BY o.subject_id, o.resolver
        ), added AS (
            INSERT INTO effaced.effaced_outbox
                   (subject, subject_id, resolver, ref, operation, payload, next_attempt_at, completes)
            SELECT effaced_outbox_enqueue.subject, w.subject_id, w.resolver, w.ref, effaced_outbox_enqueue.operation,
                   effaced_outbox_enqueue.payload, greatest(now(), b.lease_end), whole IS NOT NULL
              FROM wanted w LEFT JOIN busy b ON b.subject_id = w.subject_id AND b.resolver = w.resolver
             ORDER BY w.place
            RETURNING entry_id, seq
        )
        SELECT array_agg(a.entry_id ORDER BY a.seq) INTO entry_ids FROM added a;
        PERFORM pg_notify('effaced_outbox', '');
    END IF;

    IF whole IS NOT NULL THEN
        waiting := effaced.effaced_outbox_await(operation, subject, whole);
    END IF;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_enqueue(text, text, text[], text[], jsonb[], jsonb, text[]) IS
    'Makes the entries of a request, in its transaction';

-- in_server: only entries that a function is registered for
CREATE FUNCTION effaced.effaced_outbox_take(resolver text, max_entries int, lease interval, in_server boolean)
RETURNS SETOF effaced.effaced_outbox
LANGUAGE plpgsql ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment  timestamptz := clock_timestamp();
    lost    uuid[];
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    IF EXISTS (SELECT FROM effaced.effaced_outbox_home h WHERE h.identity <> effaced.effaced_outbox_here()) THEN
        RAISE EXCEPTION 'this database is a copy: its outbox belongs to another server or database'
            USING ERRCODE = 'ZE005',
                  DETAIL = 'Carrying out the entries here would erase people in live systems.',
                  HINT = 'If this database has replaced the original: SELECT effaced_outbox_adopt();';
    END IF;
    IF effaced_outbox_take.max_entries IS NULL OR effaced_outbox_take.max_entries < 1 THEN
        RAISE EXCEPTION 'max_entries must be at least 1'
            USING ERRCODE = 'ZE006', HINT = 'SELECT * FROM effaced_outbox_claim(max_entries => 10);';
    END IF;
    IF effaced_outbox_take.lease IS NULL OR effaced_outbox_take.lease < '0' THEN
        RAISE EXCEPTION 'lease must be an interval from 0 on'
            USING ERRCODE = 'ZE006', HINT = 'SELECT * FROM effaced_outbox_claim(lease => ''5 min'');';
    END IF;
    IF effaced_outbox_take.resolver IS NOT NULL
       AND NOT EXISTS (SELECT FROM effaced.effaced_resolvers r WHERE r.name = effaced_outbox_take.resolver) THEN
        RAISE EXCEPTION 'no resolver is registered under that name'
            USING ERRCODE = 'ZE006', HINT = 'SELECT name FROM effaced_resolvers;';
    END IF;

    -- Whoever had the last attempt at these has not come back.
    lost := ARRAY(
        SELECT o.entry_id FROM effaced.effaced_outbox o
         WHERE o.status = 'in_flight' AND o.next_attempt_at <= moment
           AND (effaced_outbox_take.resolver IS NULL OR o.resolver = effaced_outbox_take.resolver)
           AND effaced.effaced_outbox_retry_at(o.attempts) IS NULL
         ORDER BY o.entry_id FOR UPDATE SKIP LOCKED);
    IF lost <> '{}' THEN
        PERFORM effaced.effaced_outbox_abandon(lost, 'lease_expired');
    END IF;

    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT o.entry_id, o.next_attempt_at, o.seq
          FROM effaced.effaced_outbox o
         WHERE o.status IN ('pending', 'in_flight', 'failed', 'scheduled') AND o.next_attempt_at <= moment
           AND (effaced_outbox_take.resolver IS NULL OR o.resolver = effaced_outbox_take.resolver)
           AND (NOT effaced_outbox_take.in_server
                OR EXISTS (SELECT FROM effaced.effaced_resolvers r
                            WHERE r.name = o.resolver
                              AND CASE o.operation WHEN 'erase' THEN r.erase ELSE r.rectify END IS NOT NULL))
           -- corrections of the same reference in their order: an old value must not come last
           AND (o.operation = 'erase'
                OR NOT EXISTS (SELECT FROM effaced.effaced_outbox e
                                WHERE e.subject_id = o.subject_id AND e.subject = o.subject AND e.resolver = o.resolver
                                  AND e.operation = 'rectify' AND e.ref = o.ref AND e.seq < o.seq
                                  AND e.status IN ('pending', 'in_flight', 'failed', 'scheduled')))
         ORDER BY o.next_attempt_at, o.seq
         LIMIT effaced_outbox_take.max_entries
           FOR UPDATE OF o SKIP LOCKED
    ), claimed AS (
        UPDATE effaced.effaced_outbox o
           SET status = 'in_flight', attempts = o.attempts + 1, next_attempt_at = moment + effaced_outbox_take.lease,
               claim_id = gen_random_uuid(), claimed_by = o.claimed_by || effaced.effaced_outbox_session()
          FROM due d
         WHERE o.entry_id = d.entry_id
        RETURNING o.*)
    SELECT c.* FROM claimed c JOIN due d ON d.entry_id = c.entry_id
     ORDER BY d.next_attempt_at, d.seq;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_take(text, int, interval, boolean) IS
    'Claims entries that are due, all of them or those that functions in the server carry out';

CREATE FUNCTION @extschema@.effaced_outbox_claim(resolver text DEFAULT NULL, max_entries int DEFAULT 10,
                                                 lease interval DEFAULT '5 min')
RETURNS SETOF @extschema@.effaced_outbox
LANGUAGE plpgsql ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM effaced.effaced_outbox_take(resolver, max_entries, lease, false);
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_outbox_claim(text, int, interval) IS
    'Claims entries that are due, oldest first, for the length of the lease; entries that others are claiming are passed over';

-- The entry, if this claim may report on it; otherwise NULL, and a NOTICE that says why.
-- Entries of the subject that have not succeeded are locked in the order of their
-- identifiers, so that of two last ones the second sees the first.
CREATE FUNCTION effaced.effaced_outbox_held(entry_id uuid, claim_id uuid) RETURNS effaced.effaced_outbox
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    entry   effaced.effaced_outbox;
    session text := effaced.effaced_outbox_session();
    why     text;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    SELECT * INTO entry FROM effaced.effaced_outbox o WHERE o.entry_id = effaced_outbox_held.entry_id;
    IF FOUND THEN
        PERFORM FROM effaced.effaced_outbox o
          WHERE o.subject_id = entry.subject_id AND o.subject = entry.subject AND o.operation = entry.operation
            AND (o.status <> 'succeeded' OR o.entry_id = entry.entry_id)
          ORDER BY o.entry_id FOR UPDATE;
        SELECT * INTO entry FROM effaced.effaced_outbox o WHERE o.entry_id = effaced_outbox_held.entry_id;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no outbox entry with this entry_id'
            USING ERRCODE = 'ZE006', HINT = 'SELECT entry_id, resolver, status FROM effaced_outbox;';
    END IF;
    why := CASE
        WHEN entry.status <> 'in_flight' THEN 'The entry is not in flight: its status is ' || entry.status || '.'
        WHEN effaced_outbox_held.claim_id IS NULL AND session <> ALL (entry.claimed_by)
            THEN 'The entry was claimed in another session: report with its claim_id.'
        WHEN effaced_outbox_held.claim_id IS NULL AND session <> entry.claimed_by[cardinality(entry.claimed_by)]
            OR effaced_outbox_held.claim_id <> entry.claim_id THEN 'The lease ran out, and somebody else has claimed the entry since.'
    END;
    IF why IS NOT NULL THEN
        RAISE NOTICE 'the report was not recorded: the entry is not held by the reporter' USING DETAIL = why;
        RETURN NULL;
    END IF;
    RETURN entry;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_held(uuid, uuid) IS
    'Locks an entry for a report on it; NULL where the reporter does not hold it';

CREATE FUNCTION effaced.effaced_outbox_succeed(entry_id uuid, already_absent boolean DEFAULT false,
                                                   detail text DEFAULT NULL, claim_id uuid DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    entry effaced.effaced_outbox := effaced.effaced_outbox_held(effaced_outbox_succeed.entry_id,
                                                                    effaced_outbox_succeed.claim_id);
BEGIN
    IF entry.entry_id IS NULL THEN
        RETURN false;
    END IF;
    UPDATE effaced.effaced_outbox
       SET status = 'succeeded', last_error = NULL, claim_id = NULL, payload = NULL,
           detail = effaced_outbox_succeed.detail,
           ref = CASE WHEN entry.operation = 'erase'
                      THEN jsonb_build_object('kind', entry.ref -> 'kind', 'value', NULL, 'extra', NULL)
                      ELSE ref END
     WHERE entry_id = entry.entry_id;
    IF entry.expires_at IS NOT NULL THEN
        PERFORM effaced.effaced_outbox_record(ARRAY[entry.entry_id], 'verified',
            jsonb_build_object('expires_at', entry.expires_at));
    END IF;
    PERFORM effaced.effaced_outbox_record(ARRAY[entry.entry_id], 'step_succeeded',
        jsonb_build_object(CASE entry.operation WHEN 'erase' THEN 'already_absent' ELSE 'already_consistent' END,
                           coalesce(effaced_outbox_succeed.already_absent, false)));
    PERFORM effaced.effaced_outbox_settle(ARRAY[entry.entry_id]);
    RETURN true;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_succeed(uuid, boolean, text, uuid) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_outbox_succeed(entry_id uuid, already_absent boolean DEFAULT false,
                                                   detail text DEFAULT NULL, claim_id uuid DEFAULT NULL)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT effaced.effaced_outbox_succeed(entry_id, already_absent, detail, claim_id);
END;
COMMENT ON FUNCTION @extschema@.effaced_outbox_succeed(uuid, boolean, text, uuid) IS
    'Reports that a claimed entry is done; false, with a NOTICE, where the caller does not hold it any more';

CREATE FUNCTION effaced.effaced_outbox_fail(entry_id uuid, error_class text, retryable boolean DEFAULT true,
                                                claim_id uuid DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    entry    effaced.effaced_outbox := effaced.effaced_outbox_held(effaced_outbox_fail.entry_id,
                                                                    effaced_outbox_fail.claim_id);
    retry_at timestamptz;
    class    text := effaced_outbox_fail.error_class;
BEGIN
    IF entry.entry_id IS NULL THEN
        RETURN false;
    END IF;
    -- A message may quote a person.  That the entry failed is recorded all the same.
    IF (class ~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$') IS NOT TRUE THEN
        RAISE NOTICE 'the error class is recorded as unclassified'
            USING DETAIL = 'A class has 1 to 64 letters, digits and the characters _ . : / -, and no spaces.';
        class := 'unclassified';
    END IF;
    retry_at := CASE WHEN coalesce(effaced_outbox_fail.retryable, true)
                     THEN effaced.effaced_outbox_retry_at(entry.attempts) END;
    IF retry_at IS NULL THEN
        UPDATE effaced.effaced_outbox SET claim_id = NULL, status = 'failed' WHERE entry_id = entry.entry_id;
        PERFORM effaced.effaced_outbox_abandon(ARRAY[entry.entry_id], class);
        RETURN true;
    END IF;
    UPDATE effaced.effaced_outbox
       SET status = 'failed', claim_id = NULL, next_attempt_at = retry_at, last_error = class
     WHERE entry_id = entry.entry_id;
    PERFORM effaced.effaced_outbox_record(ARRAY[entry.entry_id], 'step_failed',
        jsonb_build_object('error_class', class, 'abandoned', false));
    RETURN true;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_fail(uuid, text, boolean, uuid) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_outbox_fail(entry_id uuid, error_class text, retryable boolean DEFAULT true,
                                                claim_id uuid DEFAULT NULL)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT effaced.effaced_outbox_fail(entry_id, error_class, retryable, claim_id);
END;
COMMENT ON FUNCTION @extschema@.effaced_outbox_fail(uuid, text, boolean, uuid) IS
    'Reports that a claimed entry failed: tried again later, or abandoned; false, with a NOTICE, where the caller does not hold it any more';

CREATE FUNCTION effaced.effaced_outbox_schedule(entry_id uuid, expires_at timestamptz, claim_id uuid DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    entry  effaced.effaced_outbox;
    passed boolean := effaced_outbox_schedule.expires_at <= clock_timestamp();
BEGIN
    IF effaced_outbox_schedule.expires_at IS NULL OR NOT isfinite(effaced_outbox_schedule.expires_at) THEN
        RAISE EXCEPTION 'expires_at must be a moment'
            USING ERRCODE = 'ZE006', HINT = 'Where the data never expires, report the entry with effaced_outbox_fail().';
    END IF;
    entry := effaced.effaced_outbox_held(effaced_outbox_schedule.entry_id, effaced_outbox_schedule.claim_id);
    IF entry.entry_id IS NULL THEN
        RETURN false;
    END IF;
    IF entry.operation <> 'erase' THEN
        RAISE EXCEPTION 'only an erasure can wait until data has expired'
            USING ERRCODE = 'ZE006', HINT = 'Report the entry with effaced_outbox_succeed() or effaced_outbox_fail().';
    END IF;
    -- A moment that has passed is one more attempt, so that also this comes to an end.
    IF passed AND effaced.effaced_outbox_retry_at(entry.attempts) IS NULL THEN
        RETURN effaced.effaced_outbox_fail(entry.entry_id, 'not_expired', false, entry.claim_id);
    END IF;
    UPDATE effaced.effaced_outbox
       SET status = 'scheduled', claim_id = NULL, last_error = NULL,
           expires_at = effaced_outbox_schedule.expires_at, next_attempt_at = effaced_outbox_schedule.expires_at,
           attempts = CASE WHEN passed THEN attempts ELSE 0 END
     WHERE entry_id = entry.entry_id;
    PERFORM effaced.effaced_outbox_record(ARRAY[entry.entry_id], 'expiry_scheduled',
        jsonb_build_object('expires_at', effaced_outbox_schedule.expires_at));
    RETURN true;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_schedule(uuid, timestamptz, uuid) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_outbox_schedule(entry_id uuid, expires_at timestamptz, claim_id uuid DEFAULT NULL)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT effaced.effaced_outbox_schedule(entry_id, expires_at, claim_id);
END;
COMMENT ON FUNCTION @extschema@.effaced_outbox_schedule(uuid, timestamptz, uuid) IS
    'Parks a claimed erase entry until the external system has let the data expire; then it is claimed again, to be verified';

CREATE FUNCTION @extschema@.effaced_outbox_requeue(entry_ids uuid[]) RETURNS SETOF @extschema@.effaced_outbox
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    requeued uuid[];
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    IF EXISTS (SELECT FROM effaced.effaced_outbox o
                WHERE o.entry_id = ANY (effaced_outbox_requeue.entry_ids) AND o.operation = 'rectify') THEN
        RAISE EXCEPTION 'rectify entries cannot be requeued'
            USING ERRCODE = 'ZE006', DETAIL = 'The corrected values of an entry are gone when it has ended.',
                  HINT = 'Rectify the subject again: SELECT effaced_rectify(...);';
    END IF;
    requeued := ARRAY(
        SELECT o.entry_id FROM effaced.effaced_outbox o
         WHERE o.entry_id = ANY (effaced_outbox_requeue.entry_ids) AND o.status = 'abandoned'
         ORDER BY o.entry_id FOR UPDATE);
    IF requeued = '{}' THEN
        RETURN;
    END IF;
    UPDATE effaced.effaced_outbox
       SET status = 'pending', attempts = 0, last_error = NULL, claim_id = NULL, next_attempt_at = clock_timestamp()
     WHERE entry_id = ANY (requeued);
    PERFORM effaced.effaced_outbox_record(requeued, 'requeued');
    PERFORM pg_notify('effaced_outbox', '');
    RETURN QUERY SELECT * FROM effaced.effaced_outbox o WHERE o.entry_id = ANY (requeued) ORDER BY o.seq;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_outbox_requeue(uuid[]) IS
    'Lets abandoned erase entries begin anew and returns them; others are passed over';

CREATE FUNCTION @extschema@.effaced_outbox_abandoned() RETURNS SETOF @extschema@.effaced_outbox
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM effaced.effaced_outbox o WHERE o.status = 'abandoned' ORDER BY o.seq;
$$;
COMMENT ON FUNCTION @extschema@.effaced_outbox_abandoned() IS
    'Entries that are not tried again, for somebody to look after';

CREATE FUNCTION @extschema@.effaced_outbox_status_counts() RETURNS TABLE (status text, entries bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT o.status, count(*) FROM effaced.effaced_outbox o GROUP BY o.status ORDER BY o.status;
$$;
COMMENT ON FUNCTION @extschema@.effaced_outbox_status_counts() IS
    'Number of entries in each status';

-- What a resolver's function answered, as a report.
CREATE FUNCTION effaced.effaced_outbox_answer(entry_id uuid, claim_id uuid, answer jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
    answer     jsonb := effaced_outbox_answer.answer;
    erasing    boolean;
    waits      boolean;
    already    jsonb;
    expires_at timestamptz;
    class      text;
BEGIN
    SELECT o.operation = 'erase', r.retention_only INTO erasing, waits
      FROM effaced.effaced_outbox o LEFT JOIN effaced.effaced_resolvers r ON r.name = o.resolver
     WHERE o.entry_id = effaced_outbox_answer.entry_id;
    already := answer -> CASE WHEN erasing THEN 'already_absent' ELSE 'already_consistent' END;
    IF jsonb_typeof(answer) IS DISTINCT FROM 'object' OR coalesce(jsonb_typeof(already), 'boolean') <> 'boolean' THEN
        class := 'malformed_answer';
    ELSIF erasing AND already IS DISTINCT FROM 'true' THEN
        BEGIN
            expires_at := answer ->> 'expires_at';
        EXCEPTION WHEN data_exception THEN
            class := 'malformed_answer';
        END;
        IF class IS NULL AND (expires_at <= clock_timestamp() OR waits AND expires_at IS NULL) THEN
            class := 'not_expired';
        ELSIF NOT isfinite(expires_at) THEN
            class := 'never_expires';
        END IF;
    END IF;
    RETURN CASE
        WHEN class IS NOT NULL THEN effaced.effaced_outbox_fail(effaced_outbox_answer.entry_id, class, true, effaced_outbox_answer.claim_id)
        WHEN expires_at IS NOT NULL THEN effaced.effaced_outbox_schedule(
            effaced_outbox_answer.entry_id, expires_at, effaced_outbox_answer.claim_id)
        ELSE effaced.effaced_outbox_succeed(
            effaced_outbox_answer.entry_id, coalesce(already = 'true', false), NULL, effaced_outbox_answer.claim_id)
    END;
END
$$;
COMMENT ON FUNCTION effaced.effaced_outbox_answer(uuid, uuid, jsonb) IS
    'Reports on an entry what the function of its resolver answered';

CREATE PROCEDURE @extschema@.effaced_run_outbox(max_entries int DEFAULT 100)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON PROCEDURE @extschema@.effaced_run_outbox(int) IS
    'Carries out entries that are due and that functions of resolvers are registered for, each in a transaction of its own';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_outbox', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_outbox_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_outbox_home', '');
