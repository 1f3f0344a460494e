-- Nobody but the owner runs anything until it is granted.

DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT d.objid
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          AND e.extname = 'effaced'
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', function);
    END LOOP;
END
$$;
