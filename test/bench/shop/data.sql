-- :users users with 70 rows each, the rows of a user scattered over each table: in
-- the order of a hash of what they are, so that every run has the same ones.
INSERT INTO users
SELECT u, 'user' || u || '@example.com', 'Name ' || u, '+43 660 ' || u, 'scrypt$' || md5(u::text),
       date '1960-01-01' + (u % 15000)::int, 'de-AT', timestamptz '2020-01-01' + u * interval '7 minutes'
  FROM generate_series(1::bigint, :users) u ORDER BY hashint8(u);

INSERT INTO profiles
SELECT u, 'nick' || u, 'I am number ' || u || ' and like pens.', 'https://img.example/' || md5(u::text), 'f'
  FROM generate_series(1::bigint, :users) u ORDER BY hashint8(u + 7);

INSERT INTO addresses
SELECT row_number() OVER (), u, recipient, street, city, postcode, 'AT'
  FROM (SELECT u, 'Name ' || u AS recipient, 'Street ' || k AS street, 'Wien' AS city, '1' || k || '0' AS postcode
          FROM generate_series(1::bigint, :users) u, generate_series(1, 2) k ORDER BY hashint8(u * 32 + k)) s;

INSERT INTO orders
SELECT row_number() OVER (), u, timestamptz '2024-01-01' + k * interval '3 days', 'shipped', 10 * k, 'Street ' || u,
       CASE WHEN k = 1 THEN 'For Name ' || u END
  FROM (SELECT u, k FROM generate_series(1::bigint, :users) u, generate_series(1, 6) k ORDER BY hashint8(u * 32 + k)) s;

INSERT INTO order_items
SELECT row_number() OVER (), id, 'pen-' || k, 1, 3.5, CASE WHEN k = 1 THEN 'N. ' || user_id END
  FROM (SELECT id, user_id, k FROM orders, generate_series(1, 3) k ORDER BY hashint8(id * 8 + k)) s;

INSERT INTO payments
SELECT row_number() OVER (), id, placed_at, total, 'Name ' || user_id, 'AT61190430023457' || user_id, '4242'
  FROM (SELECT * FROM orders ORDER BY hashint8(id + 11)) s;

INSERT INTO invoices
SELECT row_number() OVER (), u, 'R-' || u || '-' || k, date '2024-01-02' + k, 10 * k, 'Name ' || u, 'Street ' || k || ', Wien',
       'user' || u || '@example.com'
  FROM (SELECT u, k FROM generate_series(1::bigint, :users) u, generate_series(1, 5) k ORDER BY hashint8(u * 32 + k + 13)) s;

INSERT INTO sessions
SELECT md5(u || ':' || k)::uuid, u, md5(k || ':' || u), inet '10.0.0.0' + u, 'Mozilla/5.0 (X11; Linux x86_64)', timestamptz '2024-05-01' + k * interval '1 hour'
  FROM generate_series(1::bigint, :users) u, generate_series(1, 6) k ORDER BY hashint8(u * 32 + k + 17);

INSERT INTO support_tickets
SELECT row_number() OVER (), u, timestamptz '2024-02-01' + k * interval '1 day', 'closed', 'Where is my pen?', 'Asks Name ' || u
  FROM (SELECT u, k FROM generate_series(1::bigint, :users) u, generate_series(1, 2) k ORDER BY hashint8(u * 32 + k + 19)) s;

INSERT INTO ticket_messages
SELECT row_number() OVER (), id, opened_at + k * interval '1 hour', 'Name ' || user_id, 'It is still not here. ' || k
  FROM (SELECT id, user_id, opened_at, k FROM support_tickets, generate_series(1, 4) k ORDER BY hashint8(id * 8 + k)) s;

INSERT INTO reviews
SELECT row_number() OVER (), u, k, 5, 'Name ' || u, 'Writes well, says number ' || u, timestamptz '2024-03-01' + k * interval '1 day'
  FROM (SELECT u, k FROM generate_series(1::bigint, :users) u, generate_series(1, 3) k ORDER BY hashint8(u * 32 + k + 23)) s;

INSERT INTO login_events
SELECT row_number() OVER (), u, timestamptz '2024-04-01' + k * interval '1 day', inet '10.0.0.0' + u, 'Mozilla/5.0 (X11; Linux x86_64)'
  FROM (SELECT u, k FROM generate_series(1::bigint, :users) u, generate_series(1, 12) k ORDER BY hashint8(u * 32 + k + 29)) s;

VACUUM (FREEZE, ANALYZE);
