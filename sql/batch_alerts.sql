-- Batches that nobody reviews are told to the resolver that is named for it, and
-- external systems that are not asked are named.
CREATE EXTENSION effaced;
\set SHOW_CONTEXT never
CREATE TABLE person (id int PRIMARY KEY, name text, "Stripe id" text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN person."Stripe id" IS '{"category": "financial", "ref": "stripe"}';
INSERT INTO person SELECT i, 'Name ' || i, 'cus_' || i FROM generate_series(1, 3) i;
CREATE FUNCTION ready(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
	SELECT c, 'ready_for_deletion' FROM unnest(candidates) c
$$;
SELECT effaced_register_anchor('person', 'person');
SELECT effaced_register_bucket('now', 'person', 2, '0');
SELECT effaced_register_producer('p', 'now', 'ready(text[])', '{person}');
SELECT effaced_register_bucket('later', 'person');
SELECT effaced_register_producer('p', 'later', 'ready(text[])', '{person}');
SELECT effaced_alert_unreviewed_batches();
SELECT effaced_create_deletion_records(b), effaced_create_deletion_batches(b) FROM unnest('{now,later}'::text[]) b;

-- Without a resolver: the notification alone.
SELECT effaced_alert_unreviewed_batches();
SELECT count(*) FROM effaced_outbox;
-- One that is not registered.
SET effaced.alert_resolver = 'chat';
SELECT effaced_alert_unreviewed_batches();
SELECT count(*) FROM effaced_outbox;
-- One that is: a worker claims the alert, and reports.
SELECT effaced_register_resolver('chat');
SELECT effaced_alert_unreviewed_batches();
SELECT subject, subject_id, resolver, ref, operation, payload - 'oldest' AS payload, payload ? 'oldest' AS oldest, status FROM effaced_outbox;
SELECT entry_id FROM effaced_outbox_claim('chat') \gset
SELECT effaced_outbox_succeed(:'entry_id');
SELECT payload, status FROM effaced_outbox;
-- A function in the server does.
CREATE FUNCTION chat(ref jsonb, alert jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% batches of % wait', alert ->> 'batches', ref ->> 'value';
	RETURN '{"already_consistent": false}';
END
$$;
SELECT effaced_register_resolver('chat', rectify => 'chat(jsonb, jsonb)');
SELECT effaced_alert_unreviewed_batches();
CALL effaced_run_outbox();
SELECT status, count(*) FROM effaced_outbox GROUP BY status;
SELECT count(*) FROM effaced_audit_events WHERE event_type ~ 'completed';
-- Only a superuser says where alerts go.
CREATE ROLE regress_clerk;
SET ROLE regress_clerk;
SET effaced.alert_resolver = 'stripe';
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_clerk;
-- What is reviewed is told no more.
SET effaced.four_eyes = off;
SELECT effaced_review_batch(id, 'accepted') FROM effaced_deletion_batches WHERE bucket_type = 'now';
SELECT effaced_alert_unreviewed_batches();

-- References to external systems that go with a batch.
SELECT effaced_register_resolver('stripe');
CALL effaced_apply_batch(1);
SELECT resolver, count(*) FROM effaced_outbox GROUP BY 1;
