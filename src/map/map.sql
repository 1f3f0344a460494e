-- Labels: loaded just in time, checked in comments too.

CREATE FUNCTION effaced.effaced_load_provider() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_load_provider() IS
    'Event trigger function: loads the label provider before a SECURITY LABEL runs';

CREATE FUNCTION effaced.effaced_check_ddl() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_check_ddl() IS
    'Event trigger function: checks labels in comments, and warns of labels that a RENAME or DROP has broken';

CREATE EVENT TRIGGER effaced_load_provider ON ddl_command_start
    WHEN TAG IN ('SECURITY LABEL')
    EXECUTE FUNCTION effaced.effaced_load_provider();
ALTER EVENT TRIGGER effaced_load_provider ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER effaced_load_provider IS
    'Loads the label provider of effaced before a SECURITY LABEL runs';

CREATE EVENT TRIGGER effaced_check_ddl ON ddl_command_end
    WHEN TAG IN ('COMMENT', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'ALTER TABLE',
                 'ALTER FOREIGN TABLE', 'DROP TABLE', 'DROP FOREIGN TABLE', 'ALTER SCHEMA', 'DROP SCHEMA',
                 'ALTER TYPE', 'DROP TYPE', 'ALTER DOMAIN', 'DROP DOMAIN', 'ALTER EXTENSION',
                 'DROP EXTENSION', 'DROP OWNED')
    EXECUTE FUNCTION effaced.effaced_check_ddl();
ALTER EVENT TRIGGER effaced_check_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER effaced_check_ddl IS
    'Checks labels of effaced in comments, and warns of labels that DDL has broken';

CREATE FUNCTION @extschema@.effaced_remove_labels() RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_remove_labels() IS
    'Removes every label, in comments too, and returns how many there were; call it before DROP EXTENSION effaced';

-- Whose labels count, although nothing else says so: roles by name, since a dump has no other.

CREATE TABLE effaced.effaced_admitted (
    owner       name PRIMARY KEY,
    admitted_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    admitted_by text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE effaced.effaced_admitted IS
    'Roles whose tables'' labels count since they were admitted; a name that no role has counts for nobody';
COMMENT ON COLUMN effaced.effaced_admitted.owner IS 'Name of the role that owns labelled tables';
COMMENT ON COLUMN effaced.effaced_admitted.admitted_at IS 'When it was admitted, by the clock';
COMMENT ON COLUMN effaced.effaced_admitted.admitted_by IS 'Role that the session logged in as';

CREATE FUNCTION effaced.effaced_admissions_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_admissions_changed() IS
    'Trigger function of the table of admissions: makes every session look at the labels anew';
CREATE TRIGGER effaced_admissions_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON effaced.effaced_admitted
    FOR EACH STATEMENT EXECUTE FUNCTION effaced.effaced_admissions_changed();
ALTER TABLE effaced.effaced_admitted ENABLE ALWAYS TRIGGER effaced_admissions_changed;
SELECT effaced.effaced_publish('effaced_admitted');

CREATE FUNCTION @extschema@.effaced_admit_labels(owner regrole) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_admit_labels(regrole) IS
    'Lets the labels of tables of this role count: its triggers and types then run in whoever''s calls reach them';

CREATE FUNCTION @extschema@.effaced_expel_labels(owner regrole) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_expel_labels(regrole) IS
    'Takes back what effaced_admit_labels() allowed';

SELECT pg_catalog.pg_extension_config_dump('effaced.effaced_admitted', '');

-- The data map as a document.

CREATE FUNCTION @extschema@.effaced_manifest() RETURNS jsonb
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_manifest() IS
    'The data map: every labelled table with the labels of its columns and its link to the subject';

CREATE FUNCTION effaced.effaced_manifest() RETURNS jsonb
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_manifest() IS
    'The same, for functions that must not look it up by name in a schema of others';

CREATE FUNCTION @extschema@.effaced_manifest_table(relation regclass) RETURNS jsonb
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_manifest_table(regclass) IS
    'The data map''s entry of one table';

CREATE FUNCTION @extschema@.effaced_manifest_upgrade(payload jsonb) RETURNS jsonb
LANGUAGE c IMMUTABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_manifest_upgrade(jsonb) IS
    'Lifts a manifest of any older version to the current one';

CREATE FUNCTION @extschema@.effaced_manifest_apply(payload jsonb) RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_manifest_apply(jsonb) IS
    'Gives the tables that a manifest lists the labels it lists, and no others; returns the number of labels set';

CREATE FUNCTION @extschema@.effaced_manifest_diff(old jsonb, new jsonb DEFAULT @extschema@.effaced_manifest())
RETURNS TABLE (relation text, column_name text, change text, before jsonb, after jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH sides AS (
        SELECT side.which, t.value ->> 'name' AS relation, t.value
        FROM (VALUES ('old', @extschema@.effaced_manifest_upgrade(old)),
                     ('new', @extschema@.effaced_manifest_upgrade(new))) AS side (which, manifest),
             jsonb_array_elements(side.manifest -> 'tables') AS t
    ), items AS (
        SELECT which, relation, NULL::text AS column_name, value -> 'subject_link' AS item, 0::bigint AS place
        FROM sides
        UNION ALL
        SELECT which, relation, c.value ->> 'name', c.value -> 'spec', c.ordinality
        FROM sides, jsonb_array_elements(sides.value -> 'columns') WITH ORDINALITY AS c
    )
    SELECT coalesce(o.relation, n.relation), coalesce(o.column_name, n.column_name),
           CASE WHEN o.relation IS NULL THEN 'added' WHEN n.relation IS NULL THEN 'removed' ELSE 'changed' END,
           o.item, n.item
    FROM (SELECT * FROM items WHERE which = 'old') AS o
    FULL JOIN (SELECT * FROM items WHERE which = 'new') AS n
           ON (o.relation, coalesce(o.column_name, '')) = (n.relation, coalesce(n.column_name, ''))
    WHERE o.item IS DISTINCT FROM n.item OR o.relation IS NULL OR n.relation IS NULL
    ORDER BY coalesce(o.relation, n.relation) COLLATE "C", coalesce(n.place, o.place),
             coalesce(o.column_name, n.column_name) COLLATE "C";
END;
COMMENT ON FUNCTION @extschema@.effaced_manifest_diff(jsonb, jsonb) IS
    'What changed between two manifests of any version: a row per column, and per table (column_name NULL) for its link';

CREATE FUNCTION @extschema@.effaced_manifest_snapshot() RETURNS uuid
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_manifest_snapshot() IS
    'Records the data map in the audit trail and returns the event''s id';

-- How tables reach the subject.

CREATE FUNCTION @extschema@.effaced_subject_graph(subject regclass DEFAULT NULL)
RETURNS TABLE (ordinal int, relation regclass, link text, hops jsonb, role text,
               fully_pii_owned boolean, is_subject_table boolean)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_graph(regclass) IS
    'The tables that reach a subject, in deletion order, and by which joins: a row per link';

CREATE FUNCTION effaced.effaced_subject_graph(subject regclass)
RETURNS TABLE (ordinal int, relation regclass, link text, hops jsonb, role text,
               fully_pii_owned boolean, is_subject_table boolean)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION effaced.effaced_subject_graph(regclass) IS
    'The same, for functions that must not look it up by name in a schema of others';

CREATE FUNCTION @extschema@.effaced_table_access(relation regclass, subject regclass DEFAULT NULL)
RETURNS TABLE (ordinal int, relation regclass, link text, hops jsonb, role text,
               fully_pii_owned boolean, is_subject_table boolean)
LANGUAGE c STABLE ROWS 1 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_table_access(regclass, regclass) IS
    'How one table reaches a subject';

CREATE FUNCTION @extschema@.effaced_deletion_order(relations regclass[]) RETURNS regclass[]
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_deletion_order(regclass[]) IS
    'Sorts tables so that rows go before the rows that they reference';

CREATE FUNCTION @extschema@.effaced_graph_dot(subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_graph_dot(regclass) IS
    'The subject graph as a Graphviz drawing: owner links solid, accessor links dashed, hops against a reference with an empty arrow head';
