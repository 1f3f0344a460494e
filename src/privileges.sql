-- Who may run what: nobody, until a duty is granted.

-- What default privileges, or being a function, have given to others.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT format('REVOKE ALL ON ROUTINE %s FROM %s', p.oid::regprocedure,
                               CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END) AS command
        FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'effaced'
        JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid,
             pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a
        WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND a.grantee <> p.proowner
        UNION ALL
        SELECT DISTINCT format('REVOKE ALL ON %s %s FROM %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                               c.oid::regclass, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'effaced'
        JOIN pg_catalog.pg_class AS c ON c.oid = d.objid, pg_catalog.aclexplode(c.relacl) AS a
        WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND a.grantee <> c.relowner
        UNION ALL
        SELECT DISTINCT format('REVOKE ALL ON SCHEMA effaced FROM %s',
                               CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_catalog.pg_namespace AS n, pg_catalog.aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'effaced' AND a.grantee <> n.nspowner
    LOOP
        EXECUTE given.command;
    END LOOP;
END
$$;

-- Policies run it as whoever reads a table; it tells nobody more than the policy does.
GRANT EXECUTE ON FUNCTION effaced.effaced_restricted_keys(regclass, text, text, text) TO PUBLIC;

-- Names of functions, with every overload, and of views, by the duty that needs them.
CREATE FUNCTION effaced.effaced_duties(OUT duty text, OUT names text[]) RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES
    ('erase', '{plan, preview, fingerprint, erase, erase_many, verify, erase_in_pieces, schedule_erasure, cancel_erasure,
                scheduled_erasures, trace, subject_id, parse_subject_id}'::text[]),
    ('export', '{export, export_records, export_stream, export_html, bundle_html, run_questions, write_access_folder, find, questions,
                 subject_id, parse_subject_id}'),
    ('rectify', '{rectify, subject_id, parse_subject_id}'),
    ('consent', '{consent_grant, consent_withdraw, consent_status, consent_history, consent_records,
                  restrict, lift_restriction, restriction_status, restriction_history, restriction_records, restrictions,
                  subject_id, parse_subject_id}'),
    ('hold', '{hold, release_hold, holds, held}'),
    ('requests', '{request_open, request_identify, request_extend, request_answer, requests, requests_html}'),
    ('prepare', '{create_deletion_records, create_deletion_batches, bucket_eligibility, producer_order, reference_reads,
                  unreviewed_batches, alert_unreviewed_batches, subject_kind, subject_ids, batch_html,
                  buckets, anchors, anchor_tables, producers, producer_contracts}'),
    ('review', '{review_batch, review_record, unreviewed_batches, batch_progress, batch_html, deletion_batches,
                 deletion_records, compliance_profiles, buckets, anchors, anchor_tables, producers, producer_contracts}'),
    ('apply', '{apply_batch, batch_progress, batch_runs, buckets, anchors, anchor_tables, producers, producer_contracts}'),
    ('operate', '{sweep, upcoming, enforce_retention, retention_runs, run_outbox, outbox, outbox_claim, outbox_succeed,
                  outbox_fail, outbox_schedule, outbox_requeue, outbox_abandoned, outbox_status_counts, resolvers, run_due,
                  alert_requests, purge_requests, alert_unreviewed_batches, progress, audit_seal, scrub, scrub_due, residue,
                  residue_status}'),
    ('label', '{label, label_table, unlabel, labels, manifest_apply, remove_labels, restriction_policy,
                drop_restriction_policy, lint_exempt, lint_unexempt, lint_exemptions}'),
    ('inspect', '{plan, preview, lint, lint_exemptions, propose, subject_graph, table_access, deletion_order, graph_dot,
                  manifest, manifest_table, manifest_upgrade, manifest_diff, manifest_snapshot, labels, admitted, settings,
                  processing_record, deletion_concept, map_html, processing_html, deletion_concept_html, audit_events,
                  audit_verify, subject_id, parse_subject_id}'),
    ('administer', '{prune_trail, trail_digest, admit_labels, expel_labels, admitted, describe_controller, register_resolver,
                     unregister_resolver, register_question, drop_question, register_bucket, unregister_bucket,
                     register_anchor, unregister_anchor, register_producer, unregister_producer, purge_compliance_data,
                     outbox_adopt, replay_plan, replay, find_bytes, enable_citus}')
$$;
REVOKE ALL ON FUNCTION effaced.effaced_duties() FROM PUBLIC;
COMMENT ON FUNCTION effaced.effaced_duties() IS
    'What belongs to which duty: names of functions and views without their prefix';

-- The parts of effaced_apply_batch() and of what asks producers run as their caller,
-- who so needs them and their schema too.
CREATE FUNCTION effaced.effaced_duty_parts(OUT duty text, OUT names text[]) RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES
    ('prepare', '{ask_producers, ask_producer, subject_ref, eligibility_calls, weigh_verdicts, bucket, bucket_subject,
                  bucket_eligibility, producer_order, open_bucket, candidates, subject_ids, record_subjects}'::text[]),
    ('apply', '{ask_producers, ask_producer, subject_ref, eligibility_calls, weigh_verdicts, bucket, bucket_subject,
                require_own_transactions, begin_batch_run, deletion_steps, claim_record, lock_subject, settle_record,
                end_batch_run, plan, erase}')
$$;
REVOKE ALL ON FUNCTION effaced.effaced_duty_parts() FROM PUBLIC;
COMMENT ON FUNCTION effaced.effaced_duty_parts() IS
    'Functions of the schema of effaced that a duty runs as its own role';

-- What a duty consists of, as it stands in a GRANT, and the roles that have been given it.
CREATE FUNCTION effaced.effaced_duty_privileges(duty text, OUT privilege text, OUT grantees oid[]) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH extension AS (
        SELECT e.oid, e.extnamespace AS home, n.oid AS own
        FROM pg_extension AS e, pg_namespace AS n WHERE e.extname = 'effaced' AND n.nspname = 'effaced'
    ), wanted AS (
        SELECT e.home AS schema, 'effaced_' || n.name AS name
        FROM extension AS e, effaced.effaced_duties() AS d, unnest(d.names) AS n (name)
        WHERE d.duty = effaced_duty_privileges.duty
        UNION
        SELECT e.own, 'effaced_' || n.name
        FROM extension AS e, effaced.effaced_duty_parts() AS d, unnest(d.names) AS n (name)
        WHERE d.duty = effaced_duty_privileges.duty
    ), objects AS (
        SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure) AS privilege, p.proacl AS acl,
               'pg_proc'::regclass AS class, p.oid AS object
        FROM wanted AS w JOIN pg_proc AS p ON p.pronamespace = w.schema AND p.proname = w.name
        UNION ALL
        SELECT format('SELECT ON TABLE %s', c.oid::regclass), c.relacl, 'pg_class'::regclass, c.oid
        FROM wanted AS w JOIN pg_class AS c ON c.relnamespace = w.schema AND c.relname = w.name AND c.relkind = 'v'
        UNION ALL
        SELECT 'USAGE ON SCHEMA effaced', n.nspacl, 'pg_namespace'::regclass, n.oid
        FROM pg_namespace AS n WHERE n.nspname = 'effaced' AND effaced_duty_privileges.duty IN ('prepare', 'apply')
    )
    SELECT o.privilege, ARRAY(SELECT a.grantee FROM aclexplode(o.acl) AS a)
    FROM objects AS o JOIN pg_depend AS d ON d.classid = o.class AND d.objid = o.object
    JOIN extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
$$;
REVOKE ALL ON FUNCTION effaced.effaced_duty_privileges(text) FROM PUBLIC;
COMMENT ON FUNCTION effaced.effaced_duty_privileges(text) IS
    'Part of effaced_grant() and effaced_revoke(): what a duty consists of, and who has been given it';

CREATE FUNCTION effaced.effaced_check_duty(role regrole, duty text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grantee constant text := (SELECT quote_ident(r.rolname) FROM pg_roles AS r WHERE r.oid = role);
BEGIN
    IF grantee IS NULL OR duty IS NULL
       OR NOT EXISTS (SELECT FROM effaced.effaced_duties() AS d WHERE d.duty = effaced_check_duty.duty) THEN
        RAISE EXCEPTION 'a role and its duty must be named' USING ERRCODE = 'ZE005',
              HINT = (SELECT format('Duties: %s.', string_agg(d.duty, ', ')) FROM effaced.effaced_duties() AS d);
    END IF;
    RETURN grantee;
END
$$;
REVOKE ALL ON FUNCTION effaced.effaced_check_duty(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION effaced.effaced_check_duty(regrole, text) IS
    'Part of effaced_grant() and effaced_revoke(): the role, quoted, or ZE005';

-- A duty's privileges on the tables of the map are their owners' to give.
CREATE FUNCTION @extschema@.effaced_grant(role regrole, duty text) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grantee constant text := effaced.effaced_check_duty(role, duty);
    given text;
    needed constant text := CASE duty
        WHEN 'erase' THEN 'SELECT, UPDATE, DELETE' WHEN 'apply' THEN 'SELECT, UPDATE, DELETE'
        WHEN 'export' THEN 'SELECT' WHEN 'rectify' THEN 'SELECT, UPDATE' WHEN 'consent' THEN 'SELECT'
        WHEN 'operate' THEN 'SELECT, UPDATE, DELETE' WHEN 'prepare' THEN 'SELECT' END;
BEGIN
    FOR given IN SELECT p.privilege FROM effaced.effaced_duty_privileges(duty) AS p ORDER BY 1 LOOP
        EXECUTE format('GRANT %s TO %s', given, grantee);
    END LOOP;
    RETURN QUERY
    WITH labelled AS (
        SELECT DISTINCT c.oid AS relation, c.relnamespace AS schema
        FROM jsonb_array_elements(effaced.effaced_manifest() -> 'tables') AS t,
             to_regclass(CASE WHEN cardinality(parse_ident(t.value ->> 'name')) = 1 THEN 'public.' ELSE '' END
                         || (t.value ->> 'name')) AS r (relation)
        JOIN pg_class AS c ON c.oid = r.relation
    )
    SELECT s.statement FROM (
        SELECT 1 AS part, n.nspname::text AS name, format('GRANT USAGE ON SCHEMA %I TO %s;', n.nspname, role) AS statement
        FROM pg_namespace AS n WHERE n.oid IN (SELECT l.schema FROM labelled AS l)
        UNION ALL
        SELECT 2, l.relation::regclass::text, format('GRANT %s ON %s TO %s;', needed, l.relation::regclass, role)
        FROM labelled AS l) AS s
    WHERE needed IS NOT NULL
    ORDER BY s.part, s.name COLLATE "C";
END
$$;
REVOKE ALL ON FUNCTION @extschema@.effaced_grant(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.effaced_grant(regrole, text) IS
    'Gives a role what a duty needs of effaced, and returns the GRANTs that it needs on the labelled tables, which this does not give';

CREATE FUNCTION @extschema@.effaced_revoke(role regrole, duty text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grantee constant text := effaced.effaced_check_duty(role, duty);
    taken text;
BEGIN
    FOR taken IN
        SELECT p.privilege FROM effaced.effaced_duty_privileges(duty) AS p
        EXCEPT
        SELECT p.privilege
        FROM effaced.effaced_duties() AS d, effaced.effaced_duty_privileges(d.duty) AS p
        WHERE d.duty <> effaced_revoke.duty
          AND (SELECT bool_and(role = ANY (o.grantees)) FROM effaced.effaced_duty_privileges(d.duty) AS o)
        ORDER BY 1
    LOOP
        EXECUTE format('REVOKE %s FROM %s', taken, grantee);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION @extschema@.effaced_revoke(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.effaced_revoke(regrole, text) IS
    'Takes a duty from a role, but for what another duty of the role needs too; privileges on tables stay';

DROP FUNCTION effaced.effaced_publish(name);
