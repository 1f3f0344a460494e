-- The bench shop: 12 tables, every foreign key indexed.
CREATE TABLE users (
    id            bigint PRIMARY KEY,
    email         text NOT NULL UNIQUE,
    full_name     text NOT NULL,
    phone         text,
    password_hash text NOT NULL,
    birth_date    date,
    locale        text NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE TABLE profiles (
    user_id    bigint PRIMARY KEY REFERENCES users,
    nickname   text,
    bio        text,
    avatar_url text,
    gender     text
);
CREATE TABLE addresses (
    id        bigint PRIMARY KEY,
    user_id   bigint NOT NULL REFERENCES users,
    recipient text NOT NULL,
    street    text NOT NULL,
    city      text NOT NULL,
    postcode  text,
    country   text NOT NULL
);
CREATE TABLE orders (
    id        bigint PRIMARY KEY,
    user_id   bigint NOT NULL REFERENCES users,
    placed_at timestamptz NOT NULL,
    status    text NOT NULL,
    total     numeric(10, 2) NOT NULL,
    ship_to   text,
    gift_note text
);
CREATE TABLE order_items (
    id        bigint PRIMARY KEY,
    order_id  bigint NOT NULL REFERENCES orders,
    sku       text NOT NULL,
    quantity  int NOT NULL,
    price     numeric(10, 2) NOT NULL,
    engraving text
);
CREATE TABLE payments (
    id         bigint PRIMARY KEY,
    order_id   bigint NOT NULL REFERENCES orders,
    paid_at    timestamptz NOT NULL,
    amount     numeric(10, 2) NOT NULL,
    payer      text NOT NULL,
    iban       text,
    card_last4 char(4)
);
CREATE TABLE invoices (
    id              bigint PRIMARY KEY,
    user_id         bigint NOT NULL REFERENCES users,
    number          text NOT NULL,
    issued_on       date NOT NULL,
    total           numeric(10, 2) NOT NULL,
    billing_name    text NOT NULL,
    billing_address text NOT NULL,
    contact_email   text
);
CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users,
    token      text NOT NULL,
    ip         inet,
    user_agent text,
    started_at timestamptz NOT NULL
);
CREATE TABLE support_tickets (
    id        bigint PRIMARY KEY,
    user_id   bigint NOT NULL REFERENCES users,
    opened_at timestamptz NOT NULL,
    state     text NOT NULL,
    subject   text NOT NULL,
    body      text
);
CREATE TABLE ticket_messages (
    id        bigint PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES support_tickets,
    sent_at   timestamptz NOT NULL,
    author    text NOT NULL,
    body      text NOT NULL
);
CREATE TABLE reviews (
    id          bigint PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES users,
    product_id  int NOT NULL,
    rating      int NOT NULL,
    author_name text NOT NULL,
    body        text,
    written_at  timestamptz NOT NULL
);
CREATE TABLE login_events (
    id          bigint PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES users,
    occurred_at timestamptz NOT NULL,
    ip          inet NOT NULL,
    user_agent  text
);
CREATE INDEX ON addresses (user_id);
CREATE INDEX ON orders (user_id);
CREATE INDEX ON order_items (order_id);
CREATE INDEX ON payments (order_id);
CREATE INDEX ON invoices (user_id);
CREATE INDEX ON sessions (user_id);
CREATE INDEX ON support_tickets (user_id);
CREATE INDEX ON ticket_messages (ticket_id);
CREATE INDEX ON reviews (user_id);
CREATE INDEX ON login_events (user_id);
