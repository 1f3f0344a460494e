-- Reviewing batches, telling of those that wait, and clearing up.

CREATE FUNCTION @extschema@.effaced_review_batch(batch_id bigint, status text, reason text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch effaced.effaced_deletion_batch_rows;
    changed timestamptz := clock_timestamp();
    problem text;
    detail text;
    hint text;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    -- waits for the record that is being erased
    SELECT b.* INTO batch FROM effaced.effaced_deletion_batch_rows AS b WHERE b.id = effaced_review_batch.batch_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        problem := format('deletion batch %s does not exist', coalesce(batch_id::text, 'NULL'));
        hint := 'SELECT id FROM effaced_deletion_batches;';
    ELSIF status IS NULL OR status NOT IN ('pending', 'accepted', 'rejected') THEN
        problem := 'a review has no such status';
        hint := 'Allowed: pending, accepted, rejected.';
    ELSIF effaced.effaced_four_eyes() AND batch.created_by = session_user THEN
        problem := format('deletion batch %s was created by the role that reviews it', batch_id);
        detail := format('Role %I has to leave the review to another, which logs in by itself.', session_user);
        hint := 'A superuser can lift this: SET effaced.four_eyes = off;';
    ELSIF EXISTS (SELECT FROM effaced.effaced_deletion_record_rows AS r
                  WHERE r.deletion_batch_id = effaced_review_batch.batch_id AND r.deletion_applied_at IS NOT NULL) THEN
        problem := format('deletion batch %s is applied, its review cannot be changed', batch_id);
        detail := 'Records of it are erased already.';
        hint := 'Reject single records that are left: SELECT effaced_review_record(record_id, false);';
    END IF;
    IF problem IS NOT NULL THEN
        PERFORM effaced.effaced_refuse(problem, detail, hint);
    END IF;
    UPDATE effaced.effaced_deletion_batch_rows AS b
    SET reviewed_status = status, reviewed_reason = effaced_review_batch.reason, updated_at = changed,
        reviewed_at = CASE WHEN status <> 'pending' THEN changed END,
        reviewed_by = CASE WHEN status <> 'pending' THEN session_user END
    WHERE b.id = effaced_review_batch.batch_id;
    -- what was reviewed by itself stays as it was decided
    UPDATE effaced.effaced_deletion_record_rows AS r
    SET accepted_for_deletion = CASE status WHEN 'accepted' THEN true WHEN 'rejected' THEN false END, updated_at = changed
    WHERE r.deletion_batch_id = effaced_review_batch.batch_id AND NOT r.is_manually_reviewed;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_review_batch(bigint, text, text) IS
    'Accepts or rejects a batch, or takes the review back, until it is applied';

CREATE FUNCTION @extschema@.effaced_review_record(record_id bigint, accepted boolean, reason text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    record effaced.effaced_deletion_record_rows;
    creator text;
    problem text;
    detail text;
    hint text;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    -- batches are locked before their records, here as everywhere
    SELECT b.created_by INTO creator FROM effaced.effaced_deletion_batch_rows AS b
    WHERE b.id = (SELECT r.deletion_batch_id FROM effaced.effaced_deletion_record_rows AS r WHERE r.id = effaced_review_record.record_id)
    FOR SHARE;
    SELECT r.* INTO record FROM effaced.effaced_deletion_record_rows AS r WHERE r.id = effaced_review_record.record_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        problem := format('deletion record %s does not exist', coalesce(record_id::text, 'NULL'));
        hint := 'SELECT id FROM effaced_deletion_records;';
    ELSIF accepted IS NULL THEN
        problem := 'accepted must not be NULL';
        hint := 'Say true or false.';
    ELSIF effaced.effaced_four_eyes() AND creator = session_user THEN
        problem := format('deletion record %s is in a batch that was created by the role that reviews it', record_id);
        detail := format('Role %I has to leave the review to another, which logs in by itself.', session_user);
        hint := 'A superuser can lift this: SET effaced.four_eyes = off;';
    ELSIF record.deletion_applied_at IS NOT NULL THEN
        problem := format('deletion record %s is applied, its review cannot be changed', record_id);
        hint := 'Review records before their batch is applied.';
    END IF;
    IF problem IS NOT NULL THEN
        PERFORM effaced.effaced_refuse(problem, detail, hint);
    END IF;
    UPDATE effaced.effaced_deletion_record_rows AS r
    SET accepted_for_deletion = accepted, is_manually_reviewed = true, reviewed_at = clock_timestamp(),
        reviewed_by = session_user, reviewed_reason = effaced_review_record.reason, updated_at = clock_timestamp()
    WHERE r.id = effaced_review_record.record_id;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_review_record(bigint, boolean, text) IS
    'Decides about one record by itself, whatever is decided about its batch';

CREATE FUNCTION effaced.effaced_unreviewed_batches(older_than interval DEFAULT NULL)
RETURNS TABLE (bucket_type text, batches bigint, records bigint, oldest timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.bucket_type, count(*), sum(c.records)::bigint, min(b.created_at)
    FROM effaced.effaced_deletion_batch_rows AS b,
         LATERAL (SELECT count(*) AS records FROM effaced.effaced_deletion_record_rows AS r
                  WHERE r.deletion_batch_id = b.id) AS c
    WHERE b.reviewed_status = 'pending' AND (older_than IS NULL OR b.created_at < clock_timestamp() - older_than)
    GROUP BY b.bucket_type
    ORDER BY b.bucket_type COLLATE "C"
$$;
COMMENT ON FUNCTION effaced.effaced_unreviewed_batches(interval) IS
    'What the function of that name in the schema of the extension does';

CREATE FUNCTION @extschema@.effaced_unreviewed_batches(older_than interval DEFAULT NULL)
RETURNS TABLE (bucket_type text, batches bigint, records bigint, oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM effaced.effaced_unreviewed_batches(older_than);
END;
COMMENT ON FUNCTION @extschema@.effaced_unreviewed_batches(interval) IS
    'The batches that wait for a review, longer than an interval where one is given';

CREATE FUNCTION effaced.effaced_enqueue_alert(alert jsonb) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    resolver text := effaced.effaced_alert_resolver();
    bucket_type text := alert ->> 'bucket_type';
BEGIN
    IF resolver IS NULL THEN
        RETURN NULL;
    ELSIF NOT EXISTS (SELECT FROM effaced.effaced_resolvers AS r WHERE r.name = resolver) THEN
        RAISE WARNING 'effaced.alert_resolver names a resolver that is not registered'
            USING HINT = format('SELECT effaced_register_resolver(%L);', resolver);
        RETURN NULL;
    END IF;
    -- a rectification, whose payload goes when the entry has ended; it completes no subject's request
    RETURN (SELECT q.entry_ids[1]
            FROM effaced.effaced_outbox_enqueue(
                 operation => 'rectify', subject => 'deletion_batch', subject_ids => ARRAY[bucket_type],
                 resolvers => ARRAY[resolver], payload => alert, whole => NULL,
                 refs => ARRAY[jsonb_build_object('kind', resolver, 'value', bucket_type, 'extra', NULL)]) AS q);
END
$$;
COMMENT ON FUNCTION effaced.effaced_enqueue_alert(jsonb) IS
    'Makes an outbox entry of an alert, for the resolver that effaced.alert_resolver names; NULL where there is none';

CREATE FUNCTION @extschema@.effaced_alert_unreviewed_batches()
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    alert jsonb;
    alerts bigint := 0;
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    FOR alert IN
        SELECT to_jsonb(u.*)
        FROM effaced.effaced_buckets AS k,
             LATERAL effaced.effaced_unreviewed_batches(k.alert_after) AS u
        WHERE u.bucket_type = k.bucket_type
        ORDER BY k.bucket_type COLLATE "C"
    LOOP
        PERFORM pg_notify('effaced_alerts', alert::text);
        PERFORM effaced.effaced_enqueue_alert(alert);
        alerts := alerts + 1;
    END LOOP;
    RETURN alerts;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_alert_unreviewed_batches() IS
    'Notifies effaced_alerts, and the resolver of effaced.alert_resolver, of buckets with batches that wait longer than their alert_after; returns how many buckets';

CREATE FUNCTION @extschema@.effaced_purge_compliance_data(bucket_type text, OUT records bigint, OUT batches bigint, OUT profiles bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    bucket effaced.effaced_buckets := effaced.effaced_bucket(bucket_type);
    busy bigint;
    concerned bigint[];
BEGIN
    PERFORM effaced.effaced_refuse_worker();
    -- a run that starts waits, and so does whoever creates records or batches
    LOCK TABLE effaced.effaced_compliance_profiles IN SHARE ROW EXCLUSIVE MODE;
    PERFORM FROM effaced.effaced_buckets AS b WHERE b.bucket_type = effaced_purge_compliance_data.bucket_type FOR UPDATE;
    SELECT r.batch_id INTO busy
    FROM effaced.effaced_batch_runs AS r
    JOIN effaced.effaced_deletion_batch_rows AS b ON b.id = r.batch_id
    WHERE b.bucket_type = effaced_purge_compliance_data.bucket_type AND effaced.effaced_is_running(r)
    ORDER BY r.batch_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'deletion batch % is being applied', busy USING ERRCODE = 'ZE005',
              HINT = format('Wait for it: SELECT * FROM effaced_batch_progress(%s);', busy);
    END IF;
    PERFORM FROM effaced.effaced_deletion_batch_rows AS b WHERE b.bucket_type = effaced_purge_compliance_data.bucket_type FOR UPDATE;
    WITH gone AS (
        DELETE FROM effaced.effaced_deletion_record_rows AS r WHERE r.bucket_type = effaced_purge_compliance_data.bucket_type RETURNING r.compliance_profile_id
    )
    SELECT count(*), array_agg(g.compliance_profile_id) INTO records, concerned FROM gone AS g;
    DELETE FROM effaced.effaced_batch_runs AS r
    USING effaced.effaced_deletion_batch_rows AS b WHERE b.id = r.batch_id AND b.bucket_type = effaced_purge_compliance_data.bucket_type;
    DELETE FROM effaced.effaced_deletion_batch_rows AS b WHERE b.bucket_type = effaced_purge_compliance_data.bucket_type;
    GET DIAGNOSTICS batches = ROW_COUNT;
    DELETE FROM effaced.effaced_compliance_profiles AS p
    WHERE p.id = ANY (concerned)
      AND NOT EXISTS (SELECT FROM effaced.effaced_deletion_record_rows AS r WHERE r.compliance_profile_id = p.id);
    GET DIAGNOSTICS profiles = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION @extschema@.effaced_purge_compliance_data(text) IS
    'Removes a bucket''s records and batches, and the profiles that have no other; the audit trail stays';
