-- What a DBA writes for this one schema instead of using effaced.

-- The trail that goes with it: a row per table.
CREATE TABLE hand_audit (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL DEFAULT SESSION_USER,
    target      text NOT NULL,
    strategy    text NOT NULL,
    rows        bigint NOT NULL
);
CREATE INDEX ON hand_audit (user_id);

-- One subject: locks it, deletes children first, updates what stays.
CREATE FUNCTION hand_erase(p_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c bigint[] := array_fill(0::bigint, ARRAY[12]);
    n bigint;
    user_found boolean;
BEGIN
    PERFORM FROM users WHERE id = p_id FOR UPDATE;
    user_found := FOUND;

    DELETE FROM order_items WHERE order_id IN (SELECT id FROM orders WHERE user_id = p_id);
    GET DIAGNOSTICS n = ROW_COUNT; c[1] := n;
    DELETE FROM payments WHERE order_id IN (SELECT id FROM orders WHERE user_id = p_id);
    GET DIAGNOSTICS n = ROW_COUNT; c[2] := n;
    DELETE FROM orders WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[3] := n;
    DELETE FROM ticket_messages WHERE ticket_id IN (SELECT id FROM support_tickets WHERE user_id = p_id);
    GET DIAGNOSTICS n = ROW_COUNT; c[4] := n;
    DELETE FROM support_tickets WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[5] := n;
    DELETE FROM profiles WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[6] := n;
    DELETE FROM addresses WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[7] := n;
    DELETE FROM sessions WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[8] := n;
    DELETE FROM login_events WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[9] := n;
    UPDATE invoices SET contact_email = NULL WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[10] := n;
    UPDATE reviews SET author_name = 'A former customer', body = 'deleted-' || id WHERE user_id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[11] := n;
    UPDATE users SET email = 'deleted-' || id, full_name = 'Deleted user #' || id, phone = NULL,
                     password_hash = 'deleted', birth_date = NULL
     WHERE id = p_id;
    GET DIAGNOSTICS n = ROW_COUNT; c[12] := n;

    INSERT INTO hand_audit (user_id, target, strategy, rows)
    VALUES (p_id, 'order_items', 'delete', c[1]), (p_id, 'payments', 'delete', c[2]), (p_id, 'orders', 'delete', c[3]),
           (p_id, 'ticket_messages', 'delete', c[4]), (p_id, 'support_tickets', 'delete', c[5]),
           (p_id, 'profiles', 'delete', c[6]), (p_id, 'addresses', 'delete', c[7]), (p_id, 'sessions', 'delete', c[8]),
           (p_id, 'login_events', 'delete', c[9]), (p_id, 'invoices', 'anonymize', c[10]),
           (p_id, 'reviews', 'anonymize', c[11]), (p_id, 'users', 'anonymize', c[12]);
    RETURN jsonb_build_object('subject_id', p_id, 'subject_found', user_found, 'order_items', c[1], 'payments', c[2],
                              'orders', c[3], 'ticket_messages', c[4], 'support_tickets', c[5], 'profiles', c[6],
                              'addresses', c[7], 'sessions', c[8], 'login_events', c[9], 'invoices', c[10],
                              'reviews', c[11], 'users', c[12]);
END
$$;

-- Many subjects: one statement per table, which audits the rows that it returns.
-- With generic plans, since planning for 2,000 constants costs more than it gains.
CREATE FUNCTION hand_erase_many(p_ids bigint[]) RETURNS bigint LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM FROM users WHERE id = ANY (p_ids) ORDER BY id FOR UPDATE;

    WITH o AS MATERIALIZED (SELECT id, user_id FROM orders WHERE user_id = ANY (p_ids)),
         gone AS (DELETE FROM order_items i USING o WHERE i.order_id = o.id RETURNING o.user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'order_items', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH o AS MATERIALIZED (SELECT id, user_id FROM orders WHERE user_id = ANY (p_ids)),
         gone AS (DELETE FROM payments p USING o WHERE p.order_id = o.id RETURNING o.user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'payments', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH gone AS (DELETE FROM orders WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'orders', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH t AS MATERIALIZED (SELECT id, user_id FROM support_tickets WHERE user_id = ANY (p_ids)),
         gone AS (DELETE FROM ticket_messages m USING t WHERE m.ticket_id = t.id RETURNING t.user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'ticket_messages', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH gone AS (DELETE FROM support_tickets WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'support_tickets', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH gone AS (DELETE FROM profiles WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'profiles', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH gone AS (DELETE FROM addresses WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'addresses', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH gone AS (DELETE FROM sessions WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'sessions', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH gone AS (DELETE FROM login_events WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'login_events', 'delete', count(*) FROM gone GROUP BY user_id;
    WITH kept AS (UPDATE invoices SET contact_email = NULL WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'invoices', 'anonymize', count(*) FROM kept GROUP BY user_id;
    WITH kept AS (UPDATE reviews SET author_name = 'A former customer', body = 'deleted-' || id
                   WHERE user_id = ANY (p_ids) RETURNING user_id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT user_id, 'reviews', 'anonymize', count(*) FROM kept GROUP BY user_id;
    WITH kept AS (UPDATE users SET email = 'deleted-' || id, full_name = 'Deleted user #' || id, phone = NULL,
                                   password_hash = 'deleted', birth_date = NULL
                   WHERE id = ANY (p_ids) RETURNING id)
    INSERT INTO hand_audit (user_id, target, strategy, rows)
    SELECT id, 'users', 'anonymize', 1 FROM kept;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;

-- Every personal value of one subject; the planner looks through the function.
CREATE FUNCTION hand_export_records(p_id bigint)
RETURNS TABLE (source text, row_key jsonb, field text, category text, value jsonb, legal_basis text,
               purpose text, retention_reason text, expires_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT * FROM (
            SELECT 'users' AS source, jsonb_build_object('id', id) AS row_key, v.*, NULL AS retention_reason, NULL::timestamptz AS expires_at
              FROM users, LATERAL (VALUES ('email', 'contact', to_jsonb(email), 'contract', 'account and order messages'),
                                          ('full_name', 'identity', to_jsonb(full_name), 'contract', NULL),
                                          ('phone', 'contact', to_jsonb(phone), NULL, NULL),
                                          ('password_hash', 'technical', to_jsonb(password_hash), NULL, NULL),
                                          ('birth_date', 'identity', to_jsonb(birth_date), NULL, NULL))
                          v (field, category, value, legal_basis, purpose)
             WHERE id = p_id
            UNION ALL
            SELECT 'profiles', jsonb_build_object('user_id', user_id), v.*, NULL, NULL, NULL
              FROM profiles, LATERAL (VALUES ('nickname', 'identity', to_jsonb(nickname), NULL),
                                             ('bio', 'identity', to_jsonb(bio), NULL),
                                             ('avatar_url', 'identity', to_jsonb(avatar_url), NULL),
                                             ('gender', 'special', to_jsonb(gender), 'consent')) v
             WHERE user_id = p_id
            UNION ALL
            SELECT 'addresses', jsonb_build_object('id', id), v.*, 'contract', NULL, NULL, NULL
              FROM addresses, LATERAL (VALUES ('recipient', 'identity', to_jsonb(recipient)), ('street', 'location', to_jsonb(street)),
                                              ('city', 'location', to_jsonb(city)), ('postcode', 'location', to_jsonb(postcode)),
                                              ('country', 'location', to_jsonb(country))) v
             WHERE user_id = p_id
            UNION ALL
            SELECT 'orders', jsonb_build_object('id', id), v.*, NULL, NULL, NULL
              FROM orders, LATERAL (VALUES ('ship_to', 'location', to_jsonb(ship_to), 'contract'),
                                           ('gift_note', 'communication', to_jsonb(gift_note), NULL)) v
             WHERE user_id = p_id
            UNION ALL
            SELECT 'order_items', jsonb_build_object('id', i.id), v.*, NULL, NULL, NULL
              FROM orders o JOIN order_items i ON i.order_id = o.id,
                   LATERAL (VALUES ('sku', 'behavioral', to_jsonb(sku), 'contract'), ('engraving', 'identity', to_jsonb(engraving), NULL)) v
             WHERE o.user_id = p_id
            UNION ALL
            SELECT 'payments', jsonb_build_object('id', p.id), v.*, 'contract', NULL, NULL, NULL
              FROM orders o JOIN payments p ON p.order_id = o.id,
                   LATERAL (VALUES ('payer', 'financial', to_jsonb(payer)), ('iban', 'financial', to_jsonb(iban)),
                                   ('card_last4', 'financial', to_jsonb(card_last4))) v
             WHERE o.user_id = p_id
            UNION ALL
            SELECT 'invoices', jsonb_build_object('id', id), v.field, v.category, v.value, NULL, NULL, v.reason,
                   CASE WHEN v.reason IS NOT NULL THEN issued_on + interval '10 years' END
              FROM invoices, LATERAL (VALUES ('billing_name', 'identity', to_jsonb(billing_name), 'tax law'),
                                             ('billing_address', 'location', to_jsonb(billing_address), 'tax law'),
                                             ('contact_email', 'contact', to_jsonb(contact_email), NULL)) v (field, category, value, reason)
             WHERE user_id = p_id
            UNION ALL
            SELECT 'sessions', jsonb_build_object('id', id), v.*, NULL, NULL, NULL, NULL
              FROM sessions, LATERAL (VALUES ('token', 'technical', to_jsonb(token)), ('ip', 'technical', to_jsonb(ip)),
                                             ('user_agent', 'technical', to_jsonb(user_agent))) v
             WHERE user_id = p_id
            UNION ALL
            SELECT 'support_tickets', jsonb_build_object('id', id), v.*, NULL, NULL, NULL, NULL
              FROM support_tickets, LATERAL (VALUES ('subject', 'communication', to_jsonb(subject)),
                                                    ('body', 'communication', to_jsonb(body))) v
             WHERE user_id = p_id
            UNION ALL
            SELECT 'ticket_messages', jsonb_build_object('id', m.id), v.*, NULL, NULL, NULL, NULL
              FROM support_tickets t JOIN ticket_messages m ON m.ticket_id = t.id,
                   LATERAL (VALUES ('author', 'identity', to_jsonb(author)), ('body', 'communication', to_jsonb(m.body))) v
             WHERE t.user_id = p_id
            UNION ALL
            SELECT 'reviews', jsonb_build_object('id', id), v.*, NULL, NULL, NULL, NULL
              FROM reviews, LATERAL (VALUES ('author_name', 'identity', to_jsonb(author_name)),
                                            ('body', 'communication', to_jsonb(body))) v
             WHERE user_id = p_id
            UNION ALL
            SELECT 'login_events', jsonb_build_object('id', id), v.*, 'legitimate_interests', NULL, NULL, NULL
              FROM login_events, LATERAL (VALUES ('occurred_at', 'behavioral', to_jsonb(occurred_at)), ('ip', 'technical', to_jsonb(ip)),
                                                 ('user_agent', 'technical', to_jsonb(user_agent))) v
             WHERE user_id = p_id) AS r
     WHERE value IS NOT NULL
$$;

-- The same as one document, in the shape of effaced_export().
CREATE FUNCTION hand_export(p_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    records jsonb;
BEGIN
    SELECT jsonb_agg(r) INTO records FROM hand_export_records(p_id) r;
    RETURN jsonb_build_object('subject_id', p_id::text, 'generated_at', now(), 'schema_version', 3,
                              'records', coalesce(records, '[]'), 'incomplete_sources', '[]'::jsonb);
END
$$;
