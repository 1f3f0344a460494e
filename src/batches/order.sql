-- In which order producers delete: each before those that own what it reads to
-- decide, and rows before the rows that they reference.

CREATE FUNCTION effaced.effaced_owned_tables(bucket_type text)
RETURNS TABLE (producer text, anchor text, relation regclass)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone record;
BEGIN
    SELECT c.anchor, c.producer INTO gone
    FROM effaced.effaced_producer_contracts AS c
    WHERE c.bucket_type = effaced_owned_tables.bucket_type AND NOT EXISTS (SELECT FROM effaced.effaced_anchors AS a WHERE a.anchor = c.anchor)
    ORDER BY c.anchor LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'anchor % of producer % is not registered', quote_literal(gone.anchor), quote_literal(gone.producer)
            USING ERRCODE = 'ZE005',
                  HINT = format('SELECT effaced_register_anchor(%L, ''schema.table'');', gone.anchor);
    END IF;
    SELECT t.anchor, t.relation INTO gone
    FROM effaced.effaced_producer_contracts AS c
    JOIN effaced.effaced_anchor_tables AS t ON t.anchor = c.anchor
    WHERE c.bucket_type = effaced_owned_tables.bucket_type AND c.contract = 'owns' AND to_regclass(t.relation) IS NULL
    ORDER BY t.anchor, t.relation LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table % of anchor % does not exist', gone.relation, quote_literal(gone.anchor) USING ERRCODE = 'ZE005',
              DETAIL = 'It was dropped or renamed after the anchor was registered.',
              HINT = format('SELECT effaced_register_anchor(%L, ''schema.table'');', gone.anchor);
    END IF;
    RETURN QUERY
        SELECT c.producer, t.anchor, to_regclass(t.relation)
        FROM effaced.effaced_producer_contracts AS c
        JOIN effaced.effaced_anchor_tables AS t ON t.anchor = c.anchor
        WHERE c.bucket_type = effaced_owned_tables.bucket_type AND c.contract = 'owns';
END
$$;
COMMENT ON FUNCTION effaced.effaced_owned_tables(text) IS
    'The tables that the producers of a bucket delete from, or ZE005 where one is gone';

-- (Without jit: the tables are few, whatever the planner guesses.)
CREATE FUNCTION effaced.effaced_producer_edges(bucket_type text)
RETURNS TABLE (earlier text, later text, by_contract boolean, reason text)
LANGUAGE sql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH RECURSIVE owned AS (
        SELECT o.producer, o.relation::oid AS relation FROM effaced.effaced_owned_tables(bucket_type) AS o
        UNION
        SELECT o.producer, i.inhrelid FROM owned AS o JOIN pg_inherits AS i ON i.inhparent = o.relation
    ), keys AS MATERIALIZED (
        SELECT k.conrelid AS referencing, k.confrelid AS referenced,
               format('constraint %I of %s references %s', k.conname, k.conrelid::regclass, k.confrelid::regclass) AS reason
        FROM pg_constraint AS k
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND k.conrelid IN (SELECT o.relation FROM owned AS o) AND k.confrelid IN (SELECT o.relation FROM owned AS o)
    ), hops AS MATERIALIZED (
        -- names in JSON leave out schema public
        SELECT DISTINCT to_regclass(CASE WHEN cardinality(parse_ident(j.source_table)) = 1 THEN 'public.' ELSE '' END || j.source_table)::oid AS source,
                        to_regclass(CASE WHEN cardinality(parse_ident(j.target_table)) = 1 THEN 'public.' ELSE '' END || j.target_table)::oid AS target
        FROM effaced.effaced_subject_graph(effaced.effaced_bucket_subject(bucket_type)) AS g,
             jsonb_to_recordset(g.hops) AS j (source_table text, target_table text)
        WHERE g.role = 'owner'
    ), joins AS (
        SELECT k.referencing, k.referenced, k.reason FROM keys AS k
        UNION ALL
        -- joins that need no foreign key, but for those against one
        SELECT h.source, h.target, format('rows of %s are found through %s', h.source::regclass, h.target::regclass)
        FROM hops AS h
        WHERE NOT EXISTS (SELECT FROM keys AS k
                          WHERE (k.referencing, k.referenced) IN ((h.source, h.target), (h.target, h.source)))
    )
    SELECT r.producer, o.producer, true,
           format('%L reads anchor %L, which %L owns', r.producer, o.anchor, o.producer)
    FROM effaced.effaced_producer_contracts AS r
    JOIN effaced.effaced_producer_contracts AS o ON o.bucket_type = r.bucket_type AND o.anchor = r.anchor
    WHERE r.bucket_type = effaced_producer_edges.bucket_type AND r.contract = 'reads_as_discriminator' AND o.contract = 'owns' AND r.producer <> o.producer
    UNION ALL
    SELECT DISTINCT a.producer, b.producer, false, j.reason
    FROM joins AS j
    JOIN owned AS a ON a.relation = j.referencing
    JOIN owned AS b ON b.relation = j.referenced
    WHERE a.producer <> b.producer
      -- a table that both own goes with whoever comes first
      AND (b.producer, j.referencing) NOT IN (SELECT producer, relation FROM owned)
      AND (a.producer, j.referenced) NOT IN (SELECT producer, relation FROM owned)
$$;
COMMENT ON FUNCTION effaced.effaced_producer_edges(text) IS
    'Which producers of a bucket delete before which, and why';

CREATE FUNCTION effaced.effaced_sort_producers(producers text[], earlier text[], later text[],
                                                   OUT sorted text[], OUT cycle text[])
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    waiting text[] := ARRAY(SELECT p FROM unnest(producers) AS p ORDER BY p COLLATE "C");
    next text;
BEGIN
    sorted := '{}';
    LOOP
        SELECT p INTO next FROM unnest(waiting) WITH ORDINALITY AS w (p, place)
        WHERE NOT EXISTS (SELECT FROM unnest(earlier, later) AS e (earlier, later)
                          WHERE e.later = w.p AND e.earlier = ANY (waiting))
        ORDER BY w.place LIMIT 1;
        EXIT WHEN NOT FOUND;
        sorted := sorted || next;
        waiting := array_remove(waiting, next);
    END LOOP;
    IF waiting = '{}' THEN
        RETURN;
    END IF;
    -- everyone left waits for someone left: going back from one to the next must meet itself
    next := waiting[1];
    LOOP
        cycle := next || cycle;
        SELECT e.earlier INTO next FROM unnest(earlier, later) AS e (earlier, later)
        WHERE e.later = next AND e.earlier = ANY (waiting)
        ORDER BY e.earlier COLLATE "C" LIMIT 1;
        EXIT WHEN next = ANY (cycle);
    END LOOP;
    cycle := next || cycle[1 : array_position(cycle, next)];
END
$$;
COMMENT ON FUNCTION effaced.effaced_sort_producers(text[], text[], text[]) IS
    'Sorts names so that each comes after those that are to come earlier; where that cannot be, a cycle of them';

CREATE FUNCTION effaced.effaced_producer_order(bucket_type text)
RETURNS TABLE (ordinal int, producer text)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bucket effaced.effaced_buckets := effaced.effaced_bucket(bucket_type);
    producers text[] := ARRAY(SELECT p.producer FROM effaced.effaced_producers AS p WHERE p.bucket_type = effaced_producer_order.bucket_type);
    contracts record;
    edges record;
    result record;
BEGIN
    SELECT coalesce(array_agg(e.earlier), '{}') AS earlier, coalesce(array_agg(e.later), '{}') AS later,
           coalesce(array_agg(e.reason), '{}') AS reason
    INTO edges FROM effaced.effaced_producer_edges(bucket_type) AS e;
    SELECT coalesce(array_agg(e.earlier), '{}') AS earlier, coalesce(array_agg(e.later), '{}') AS later
    INTO contracts FROM effaced.effaced_producer_edges(bucket_type) AS e WHERE e.by_contract;

    SELECT s.* INTO result FROM effaced.effaced_sort_producers(producers, contracts.earlier, contracts.later) AS s;
    IF result.cycle IS NOT NULL THEN
        RAISE EXCEPTION 'contracts of bucket type % form a cycle: %', quote_literal(bucket_type), array_to_string(result.cycle, ' -> ')
            USING ERRCODE = 'ZE005',
                  DETAIL = 'Each reads, to decide, what the next one deletes.',
                  HINT = 'Let one of them name what it reads in reads_as_reference, or give the anchors to one owner.';
    END IF;
    SELECT s.* INTO result FROM effaced.effaced_sort_producers(producers, edges.earlier, edges.later) AS s;
    IF result.cycle IS NOT NULL THEN
        RAISE EXCEPTION 'contracts of bucket type % contradict the foreign keys: %', quote_literal(effaced_producer_order.bucket_type), array_to_string(result.cycle, ' -> ')
            USING ERRCODE = 'ZE005',
                  DETAIL = (SELECT string_agg(format('%L before %L: %s.', e.earlier, e.later, e.reason), '  ' ORDER BY c.place)
                            FROM unnest(result.cycle[1 : cardinality(result.cycle) - 1], result.cycle[2 :]) WITH ORDINALITY AS c (earlier, later, place),
                                 LATERAL (SELECT u.earlier, u.later, min(u.reason) AS reason
                                          FROM unnest(edges.earlier, edges.later, edges.reason) AS u (earlier, later, reason)
                                          WHERE (u.earlier, u.later) = (c.earlier, c.later)
                                          GROUP BY u.earlier, u.later) AS e),
                  HINT = 'Give the tables to one owner, or let what is read be read_as_reference.';
    END IF;
    RETURN QUERY SELECT s.place::int, s.name FROM unnest(result.sorted) WITH ORDINALITY AS s (name, place);
END
$$;
COMMENT ON FUNCTION effaced.effaced_producer_order(text) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_producer_order(bucket_type text)
RETURNS TABLE (ordinal int, producer text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM effaced.effaced_producer_order(bucket_type);
END;
COMMENT ON FUNCTION @extschema@.effaced_producer_order(text) IS
    'The producers of a bucket in the order in which they delete, or ZE005 naming those that wait for each other';

CREATE FUNCTION effaced.effaced_reference_reads(anchor text)
RETURNS TABLE (producer text)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM effaced.effaced_anchors AS a WHERE a.anchor = effaced_reference_reads.anchor) THEN
        RAISE EXCEPTION 'anchor % is not registered', coalesce(quote_literal(anchor), 'NULL') USING ERRCODE = 'ZE005',
              HINT = 'SELECT anchor FROM effaced_anchors;';
    END IF;
    RETURN QUERY
        SELECT DISTINCT c.producer COLLATE "C"
        FROM effaced.effaced_producer_contracts AS c
        WHERE c.anchor = effaced_reference_reads.anchor AND c.contract = 'reads_as_reference'
          AND NOT EXISTS (SELECT FROM effaced.effaced_producer_contracts AS o
                          WHERE o.anchor = c.anchor AND o.contract = 'owns'
                            AND o.bucket_type = c.bucket_type AND o.producer = c.producer)
        ORDER BY 1;
END
$$;
COMMENT ON FUNCTION effaced.effaced_reference_reads(text) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_reference_reads(anchor text)
RETURNS TABLE (producer text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM effaced.effaced_reference_reads(anchor);
END;
COMMENT ON FUNCTION @extschema@.effaced_reference_reads(text) IS
    'The producers that display an anchor''s data and lose it when it is deleted';
