-- The schema of effaced's own objects: tables, and functions that are no interface.
-- It is the extension's and nobody else's: what runs with the owner's rights is
-- looked up here, where nobody can put or rename anything.

DO $$
BEGIN
    IF pg_catalog.to_regnamespace('effaced') IS NOT NULL THEN
        RAISE EXCEPTION 'schema "effaced" exists already'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'The extension makes a schema of this name for what is its own.',
                  HINT = 'Rename or drop it: ALTER SCHEMA effaced RENAME TO other_name;';
    END IF;
END
$$;
CREATE SCHEMA effaced;
REVOKE ALL ON SCHEMA effaced FROM PUBLIC;
COMMENT ON SCHEMA effaced IS 'What extension effaced keeps for itself; its interface is in the schema of the extension';

-- Whoever writes to a view of an own table.
CREATE FUNCTION effaced.effaced_read_only_view() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: the view is read-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Call the functions of effaced that write to it.';
END
$$;
COMMENT ON FUNCTION effaced.effaced_read_only_view() IS
    'Trigger function of the views over effaced''s own tables: refuses to write to them';

-- The view over a table or view of this schema, with its comments, for people to read.
-- Of an append-only table only INSERT is refused here: its own triggers refuse the
-- rest, whatever session_replication_role says, which triggers of views obey.
CREATE FUNCTION effaced.effaced_publish(relation name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $publish$
DECLARE
    own constant regclass := format('effaced.%I', relation);
    shown constant text := format('@extschema@.%I', relation);
    append_only constant boolean := EXISTS (SELECT FROM pg_trigger AS t
                                            WHERE t.tgrelid = own AND t.tgname = 'effaced_append_only');
    attribute record;
BEGIN
    EXECUTE format('CREATE VIEW %s AS SELECT * FROM %s', shown, own);
    EXECUTE format('COMMENT ON VIEW %s IS %L', shown, obj_description(own, 'pg_class'));
    FOR attribute IN
        SELECT a.attname, col_description(own, a.attnum) AS description
        FROM pg_attribute AS a WHERE a.attrelid = own AND a.attnum > 0 AND NOT a.attisdropped
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', shown, attribute.attname, attribute.description);
    END LOOP;
    EXECUTE format('CREATE TRIGGER effaced_read_only INSTEAD OF INSERT %s ON %s'
                   ' FOR EACH ROW EXECUTE FUNCTION effaced.effaced_read_only_view()',
                   CASE WHEN NOT append_only THEN 'OR UPDATE OR DELETE' END, shown);
    IF NOT append_only THEN
        EXECUTE format('CREATE TRIGGER effaced_read_only_statement BEFORE INSERT OR UPDATE OR DELETE ON %s'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION effaced.effaced_read_only_view()', shown);
    END IF;
END
$publish$;
COMMENT ON FUNCTION effaced.effaced_publish(name) IS
    'Part of the installation: makes the read-only view over a table of effaced''s own';

-- What refuses a call, for the SQL of other folders

CREATE FUNCTION effaced.effaced_refuse(message text, detail text, hint text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_refuse(text, text, text) IS
    'Raises ZE005 and keeps the statement out of the log';

CREATE FUNCTION effaced.effaced_require_own_transactions(procedure text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_require_own_transactions(text) IS
    'Raises ZE005 where the procedure that calls it may not commit';

-- Citus, where it is.

CREATE FUNCTION effaced.effaced_refuse_worker() RETURNS void
STABLE LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_refuse_worker() IS
    'Raises ZE005 on a worker of Citus, which has neither all rows nor what effaced keeps';

CREATE FUNCTION @extschema@.effaced_enable_citus()
RETURNS TABLE (relation regclass, result text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    marker constant text := 'effaced.effaced_citus_commit';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'citus') THEN
        PERFORM effaced.effaced_refuse('extension "citus" is not installed in this database',
            'Without it an erasure and its trail are on one server and commit together anyway.',
            'Where tables are distributed: CREATE EXTENSION citus; SELECT effaced_enable_citus();');
    END IF;
    PERFORM effaced.effaced_refuse_worker();
    -- Citus replaces a table that it is given by another one, which an extension's
    -- tables with their sequences and views do not survive: hence one for the purpose,
    -- that is written to with the trail and so makes Citus commit in two phases.
    IF to_regclass(marker) IS NULL THEN
        EXECUTE format('CREATE TABLE %s (nothing boolean CHECK (false))', marker);
        EXECUTE format('ALTER TABLE %s OWNER TO %I', marker,
                       (SELECT c.relowner::regrole::text FROM pg_class AS c WHERE c.oid = 'effaced.effaced_audit_events'::regclass));
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
