-- Resolvers: the external systems that hold personal data too.

-- A function is kept by its name: a dump has no other, and pg_upgrade takes no regprocedure.
CREATE TABLE @extschema@.effaced_resolvers (
    name           text PRIMARY KEY CHECK (pg_catalog.length(name) BETWEEN 1 AND 255),
    erase          text,
    export         text,
    rectify        text,
    retention_only boolean NOT NULL DEFAULT false
);
REVOKE ALL ON @extschema@.effaced_resolvers FROM PUBLIC;
COMMENT ON TABLE @extschema@.effaced_resolvers IS
    'Registry of external systems that hold personal data: who erases, exports and rectifies there';
COMMENT ON COLUMN @extschema@.effaced_resolvers.name IS 'Name; references of this kind go there';
COMMENT ON COLUMN @extschema@.effaced_resolvers.erase IS 'Function that erases; NULL: a worker outside the server does';
COMMENT ON COLUMN @extschema@.effaced_resolvers.export IS 'Function that gives export records, or NULL';
COMMENT ON COLUMN @extschema@.effaced_resolvers.rectify IS 'Function that rectifies; NULL: a worker outside the server does';
COMMENT ON COLUMN @extschema@.effaced_resolvers.retention_only IS 'The system cannot erase: its data expires';

CREATE FUNCTION @extschema@.effaced_register_resolver(
    name text, erase regprocedure DEFAULT NULL, export regprocedure DEFAULT NULL,
    rectify regprocedure DEFAULT NULL, retention_only boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wrong text;
BEGIN
    PERFORM @extschema@.effaced_refuse_worker();
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
    INSERT INTO @extschema@.effaced_resolvers
    VALUES (effaced_register_resolver.name, effaced_register_resolver.erase::text, effaced_register_resolver.export::text,
            effaced_register_resolver.rectify::text, coalesce(effaced_register_resolver.retention_only, false))
    ON CONFLICT (name) DO UPDATE
       SET erase = excluded.erase, export = excluded.export, rectify = excluded.rectify,
           retention_only = excluded.retention_only;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_register_resolver(text, regprocedure, regprocedure, regprocedure, boolean) IS
    'Registers an external system, or replaces what is registered under that name; whoever may do that has functions run by the runner';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.effaced_resolvers', '');
