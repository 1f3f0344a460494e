-- A small shop, as an ordinary application would have created it.

CREATE TABLE users (
	id            int PRIMARY KEY,
	email         text NOT NULL UNIQUE,
	full_name     text NOT NULL,
	phone         text,
	birth_date    date,
	password_hash text NOT NULL,
	created_at    timestamptz NOT NULL
);

CREATE TABLE addresses (
	id        int PRIMARY KEY,
	users_id  int NOT NULL REFERENCES users,
	recipient text NOT NULL,
	street    text NOT NULL,
	city      text NOT NULL,
	country   char(2) NOT NULL
);
CREATE INDEX ON addresses (users_id);

CREATE TABLE products (
	sku   text PRIMARY KEY,
	title text NOT NULL,
	price numeric(10,2) NOT NULL
);

CREATE TABLE orders (
	id         int PRIMARY KEY,
	users_id   int NOT NULL REFERENCES users,
	address_id int REFERENCES addresses,
	ordered_at timestamptz NOT NULL,
	total      numeric(10,2) NOT NULL,
	gift_note  text
);
CREATE INDEX ON orders (users_id);
CREATE INDEX ON orders (address_id);

CREATE TABLE order_items (
	order_id  int REFERENCES orders,
	line      int,
	sku       text NOT NULL REFERENCES products,
	quantity  int NOT NULL,
	engraving varchar(40),
	PRIMARY KEY (order_id, line)
);
CREATE INDEX ON order_items (sku);

CREATE TABLE invoices (
	id              int PRIMARY KEY,
	order_id        int NOT NULL REFERENCES orders,
	issued_on       date NOT NULL,
	billing_name    text NOT NULL,
	billing_address text NOT NULL,
	amount          numeric(10,2) NOT NULL
);
CREATE INDEX ON invoices (order_id);

CREATE TABLE reviews (
	id           int PRIMARY KEY,
	users_id     int REFERENCES users,
	sku          text NOT NULL REFERENCES products,
	author_name  text NOT NULL,
	stars        int NOT NULL CHECK (stars BETWEEN 1 AND 5),
	body         text NOT NULL,
	published_at timestamptz NOT NULL
);
CREATE INDEX ON reviews (users_id);
CREATE INDEX ON reviews (sku);

CREATE TABLE login_events (
	id         bigint PRIMARY KEY,
	users_id   int NOT NULL REFERENCES users,
	at         timestamptz NOT NULL,
	ip         inet NOT NULL,
	user_agent text
);
CREATE INDEX ON login_events (users_id);

CREATE TABLE newsletter_subscriptions (
	users_id      int PRIMARY KEY REFERENCES users,
	email         text NOT NULL,
	topics        text[] NOT NULL,
	subscribed_at timestamptz NOT NULL
);

INSERT INTO users VALUES
	(1, 'ada@example.com',  'Ada Adler',   '+43 660 0000001', '1980-01-11', 'scrypt$1', '2021-03-01 10:00Z'),
	(2, 'ben@example.com',  'Ben Berger',  '+43 660 0000002', '1985-02-12', 'scrypt$2', '2022-04-02 11:00Z'),
	(3, 'cleo@example.com', 'Cleo Csonka', NULL,              NULL,         'scrypt$3', '2023-05-03 12:00Z');

INSERT INTO addresses VALUES
	(11, 1, 'Ada Adler',    'Ahornweg 1',   'Graz', 'AT'),
	(21, 2, 'Ben Berger',   'Birkengasse 2', 'Wien', 'AT'),
	(22, 2, 'Office of Ben', 'Bachstrasse 22', 'Linz', 'AT'),
	(31, 3, 'Cleo Csonka',  'Calle Real 3', 'Cádiz', 'ES');

INSERT INTO products VALUES
	('pen-1', 'Fountain pen', 89.00),
	('ink-7', 'Ink, black',   12.50),
	('book-3', 'Notebook',    18.00);

INSERT INTO orders VALUES
	(101, 1, 11, '2024-01-10 09:00Z', 101.50, NULL),
	(201, 2, 21, '2024-02-11 10:00Z', 101.50, 'Happy birthday, Bea!'),
	(202, 2, 22, '2025-06-12 11:00Z', 18.00,  NULL),
	(301, 3, 31, '2025-07-13 12:00Z', 18.00,  'For Carl');

INSERT INTO order_items VALUES
	(101, 1, 'pen-1', 1, 'A. Adler'), (101, 2, 'ink-7', 1, NULL),
	(201, 1, 'pen-1', 1, 'Bea Berger'), (201, 2, 'ink-7', 1, NULL),
	(202, 1, 'book-3', 1, NULL),
	(301, 1, 'book-3', 1, 'Carl');

INSERT INTO invoices VALUES
	(1001, 101, '2024-01-10', 'Ada Adler',   'Ahornweg 1, Graz',       101.50),
	(2001, 201, '2024-02-11', 'Ben Berger',  'Birkengasse 2, Wien',    101.50),
	(2002, 202, '2025-06-12', 'Berger GmbH', 'Bachstrasse 22, Linz',   18.00),
	(3001, 301, '2025-07-13', 'Cleo Csonka', 'Calle Real 3, Cádiz',    18.00);

INSERT INTO reviews VALUES
	(15, 1, 'pen-1',  'Ada A.',  5, 'Writes beautifully.',   '2024-02-01 08:00Z'),
	(25, 2, 'pen-1',  'Ben B.',  4, 'Good, a little heavy.', '2024-03-01 08:00Z'),
	(35, 3, 'book-3', 'cleo_c',  3, 'Paper is thin.',        '2025-08-01 08:00Z');

INSERT INTO login_events VALUES
	(5001, 1, '2025-01-01 07:00Z', '192.0.2.10',    'Firefox'),
	(5002, 2, '2025-02-02 07:00Z', '198.51.100.20', 'Safari'),
	(5003, 2, '2025-03-03 07:00Z', '2001:db8::20',  'curl'),
	(5004, 3, '2025-04-04 07:00Z', '203.0.113.30',  NULL);

INSERT INTO newsletter_subscriptions VALUES
	(1, 'ada@example.com', '{pens}',     '2024-01-12 09:00Z'),
	(2, 'ben@example.com', '{pens,ink}', '2024-02-12 09:00Z');
