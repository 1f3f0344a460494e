-- Customer 2, wherever the shop has something about them.
\echo users
SELECT * FROM users WHERE id = 2;
\echo addresses
SELECT * FROM addresses WHERE users_id = 2 ORDER BY id;
\echo orders
SELECT * FROM orders WHERE users_id = 2 ORDER BY id;
\echo order_items
SELECT i.* FROM order_items i JOIN orders o ON o.id = i.order_id WHERE o.users_id = 2 ORDER BY 1, 2;
\echo invoices
SELECT i.* FROM invoices i JOIN orders o ON o.id = i.order_id WHERE o.users_id = 2 ORDER BY 1;
\echo reviews
SELECT * FROM reviews WHERE users_id = 2 ORDER BY id;
\echo login_events
SELECT * FROM login_events WHERE users_id = 2 ORDER BY id;
\echo newsletter_subscriptions
SELECT * FROM newsletter_subscriptions WHERE users_id = 2;
