-- The same shop a second time, in schema "cascade", where everything goes with
-- its user by ON DELETE CASCADE and nothing is recorded.
CREATE SCHEMA cascade;
DO $$
DECLARE
    t text;
    k record;
BEGIN
    FOREACH t IN ARRAY '{users,profiles,addresses,orders,order_items,payments,invoices,sessions,support_tickets,ticket_messages,reviews,login_events}'::text[] LOOP
        EXECUTE format('CREATE TABLE cascade.%1$I (LIKE public.%1$I); INSERT INTO cascade.%1$I SELECT * FROM public.%1$I', t);
    END LOOP;
    FOR k IN SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index
              WHERE indrelid IN (SELECT replace(oid::regclass::text, 'cascade.', 'public.')::regclass FROM pg_class
                                  WHERE relnamespace = 'cascade'::regnamespace AND relkind = 'r') LOOP
        EXECUTE replace(k.definition, ' ON public.', ' ON cascade.');
    END LOOP;
    FOR k IN SELECT conrelid::regclass AS relation, confrelid::regclass AS target, pg_get_constraintdef(oid) AS definition FROM pg_constraint
              WHERE contype = 'f' AND connamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE cascade.%s ADD %s ON DELETE CASCADE', k.relation,
                       replace(k.definition, 'REFERENCES ', 'REFERENCES cascade.'));
    END LOOP;
END
$$;
VACUUM (FREEZE, ANALYZE);
