-- Citus, where it is.

CREATE FUNCTION @extschema@.effaced_refuse_worker() RETURNS void
STABLE LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_refuse_worker() IS
    'Raises ZE005 on a worker of Citus, which has neither all rows nor what effaced keeps';

CREATE FUNCTION @extschema@.effaced_enable_citus()
RETURNS TABLE (relation regclass, result text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    marker constant text := '@extschema@.effaced_citus_commit';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'citus') THEN
        PERFORM @extschema@.effaced_refuse('extension "citus" is not installed in this database',
            'Without it an erasure and its trail are on one server and commit together anyway.',
            'Where tables are distributed: CREATE EXTENSION citus; SELECT effaced_enable_citus();');
    END IF;
    PERFORM @extschema@.effaced_refuse_worker();
    -- Citus replaces a table that it is given by another one, which an extension's
    -- tables with their sequences and views do not survive: hence one for the purpose,
    -- that is written to with the trail and so makes Citus commit in two phases.
    IF to_regclass(marker) IS NULL THEN
        EXECUTE format('CREATE TABLE %s (nothing boolean CHECK (false))', marker);
        EXECUTE format('ALTER TABLE %s OWNER TO %I', marker,
                       (SELECT c.relowner::regrole::text FROM pg_class AS c WHERE c.oid = '@extschema@.effaced_audit_events'::regclass));
        EXECUTE format('COMMENT ON TABLE %s IS %L', marker,
                       'Always empty: deleting from it makes Citus commit the trail and other nodes together');
    END IF;
    result := 'registered already';
    IF NOT EXISTS (SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = to_regclass(marker)) THEN
        EXECUTE 'SELECT citus_add_local_table_to_metadata($1)' USING to_regclass(marker);
        result := 'registered';
    END IF;
    relation := to_regclass(marker);
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_enable_citus() IS
    'Registers with Citus the table by which an erasure on other nodes and its trail commit together';
