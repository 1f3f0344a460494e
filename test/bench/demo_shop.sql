-- One erasure in the demo's shop against the same deletes, updates and audit
-- inserts written by hand in PL/pgSQL. Target: at most 1.5 times.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION effaced;
\ir ../demo/shop.sql
\ir ../demo/labels.sql

-- 4,000 customers with 2 addresses, 2 orders of 2 items and an invoice each,
-- 1 review, 4 login events and a newsletter subscription
INSERT INTO users SELECT i, 'user' || i || '@example.com', 'Name ' || i, '+43 ' || i, '1980-01-01', 'scrypt$' || i, now()
FROM generate_series(1001, 5000) i;
INSERT INTO addresses SELECT i * 10 + k, i, 'Name ' || i, 'Street ' || k, 'Wien', 'AT'
FROM generate_series(1001, 5000) i, generate_series(1, 2) k;
INSERT INTO orders SELECT i * 10 + k, i, i * 10 + k, now(), 10, 'gift ' || i
FROM generate_series(1001, 5000) i, generate_series(1, 2) k;
INSERT INTO order_items SELECT i * 10 + k, l, 'pen-1', 1, 'E ' || i
FROM generate_series(1001, 5000) i, generate_series(1, 2) k, generate_series(1, 2) l;
INSERT INTO invoices SELECT i * 10 + k, i * 10 + k, current_date, 'Name ' || i, 'Street', 10
FROM generate_series(1001, 5000) i, generate_series(1, 2) k;
INSERT INTO reviews SELECT i, i, 'pen-1', 'Name ' || i, 5, 'Good', now() FROM generate_series(1001, 5000) i;
INSERT INTO login_events SELECT i * 10 + k, i, now(), '10.0.0.1', 'browser'
FROM generate_series(1001, 5000) i, generate_series(1, 4) k;
INSERT INTO newsletter_subscriptions SELECT i, 'user' || i || '@example.com', '{pens}', now() FROM generate_series(1001, 5000) i;
VACUUM ANALYZE;

CREATE TABLE hand_audit (LIKE effaced_audit_events INCLUDING ALL);

-- What an experienced developer would write for this schema: set-based, static
-- statements, and the audit rows in one INSERT.
CREATE FUNCTION hand_erase(p_id int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    targets text[];
    strategies text[];
    counts bigint[];
BEGIN
    PERFORM FROM users WHERE id = p_id FOR UPDATE;
    PERFORM FROM orders WHERE users_id = p_id FOR UPDATE;

    UPDATE orders SET address_id = NULL WHERE address_id IN (SELECT id FROM addresses WHERE users_id = p_id);
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'orders'); strategies := array_append(strategies, 'detach'); counts := array_append(counts, n);

    SELECT count(*) INTO n FROM invoices WHERE order_id IN (SELECT id FROM orders WHERE users_id = p_id);
    targets := array_append(targets, 'invoices'); strategies := array_append(strategies, 'retain'); counts := array_append(counts, n);

    DELETE FROM login_events WHERE users_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'login_events'); strategies := array_append(strategies, 'delete'); counts := array_append(counts, n);

    DELETE FROM newsletter_subscriptions WHERE users_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'newsletter_subscriptions'); strategies := array_append(strategies, 'delete'); counts := array_append(counts, n);

    UPDATE order_items SET engraving = 'anon-' || left(encode(sha256(('secret' || order_id || line)::bytea), 'hex'), 32)
    WHERE order_id IN (SELECT id FROM orders WHERE users_id = p_id) AND engraving IS NOT NULL;
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'order_items'); strategies := array_append(strategies, 'anonymize'); counts := array_append(counts, n);

    UPDATE orders SET gift_note = NULL WHERE users_id = p_id AND gift_note IS NOT NULL;
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'orders'); strategies := array_append(strategies, 'anonymize'); counts := array_append(counts, n);

    DELETE FROM addresses WHERE users_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'addresses'); strategies := array_append(strategies, 'delete'); counts := array_append(counts, n);

    UPDATE reviews SET author_name = 'A former customer' WHERE users_id = p_id AND author_name <> 'A former customer';
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'reviews'); strategies := array_append(strategies, 'anonymize'); counts := array_append(counts, n);

    UPDATE users SET email = 'anon-' || left(encode(sha256(('secret' || id)::bytea), 'hex'), 32),
                     full_name = 'Deleted user #' || id, phone = NULL, birth_date = NULL,
                     password_hash = 'anon-' || left(encode(sha256(('secret.' || id)::bytea), 'hex'), 32)
    WHERE id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT;
    targets := array_append(targets, 'users'); strategies := array_append(strategies, 'anonymize'); counts := array_append(counts, n);

    INSERT INTO hand_audit (event_type, subject, subject_ref, payload)
    SELECT 'erasure_requested', 'users', p_id, '{}'
    UNION ALL
    SELECT 'erasure_step_succeeded', 'users', p_id, jsonb_build_object('target', t, 'strategy', s, 'rows', c)
    FROM unnest(targets, strategies, counts) AS step (t, s, c)
    UNION ALL
    SELECT 'erasure_local_completed', 'users', p_id, jsonb_build_object('rows', n)
    UNION ALL
    SELECT 'erasure_completed', 'users', p_id, '{}';
    RETURN jsonb_build_object('subject_id', p_id, 'steps', jsonb_object(targets, counts::text[]));
END
$$;

CREATE TABLE timing (round int, who text, milliseconds float8);

CREATE PROCEDURE measure() LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz;
    next_id int := 1001;
BEGIN
    FOR i IN 1..10 LOOP   -- warm up
        PERFORM effaced_erase(next_id), hand_erase(next_id + 1);
        next_id := next_id + 2;
    END LOOP;
    COMMIT;
    FOR r IN 1..19 LOOP
        FOR turn IN 0..1 LOOP
            started := clock_timestamp();
            FOR i IN 1..100 LOOP
                IF (r + turn) % 2 = 0 THEN PERFORM effaced_erase(next_id); ELSE PERFORM hand_erase(next_id); END IF;
                next_id := next_id + 1;
            END LOOP;
            COMMIT;
            INSERT INTO timing VALUES (r, CASE (r + turn) % 2 WHEN 0 THEN 'effaced' ELSE 'hand' END,
                                       1000 * extract(epoch FROM clock_timestamp() - started) / 100);
            COMMIT;
        END LOOP;
    END LOOP;
END
$$;
CALL measure();

SELECT 'erase one subject of the demo shop' AS work,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY e.milliseconds)::numeric, 3) AS "effaced ms",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY h.milliseconds)::numeric, 3) AS "by hand ms",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY e.milliseconds / h.milliseconds)::numeric, 2) AS ratio,
       '<= 1.5' AS target
FROM timing e JOIN timing h ON e.round = h.round AND e.who = 'effaced' AND h.who = 'hand';
