-- The shop's data map. A label says what a column holds and what an erasure does
-- to it; a table's label says how its rows lead to the customer they are about.

-- users is the subject table: path "" (and its primary key is the identifier).
-- created_at has no label, it is about the shop: so the row stays, and
-- everything labelled in it is replaced.
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS
	'{"category": "contact", "fact": "email", "legal_basis": "contract", "purpose": "account and order messages"}';
SECURITY LABEL FOR effaced ON COLUMN users.full_name IS
	'{"category": "identity", "fact": "name", "legal_basis": "contract", "erasure": "anonymize", "surrogate": "''Deleted user #'' || id"}';
SECURITY LABEL FOR effaced ON COLUMN users.phone IS
	'{"category": "contact", "fact": "phone", "erasure": "anonymize", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN users.birth_date IS
	'{"category": "identity", "fact": "birth date", "erasure": "anonymize", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN users.password_hash IS
	'{"category": "technical"}';

-- Every column is labelled or a key: the rows are deleted.
SECURITY LABEL FOR effaced ON TABLE addresses IS '{"path": "users"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.recipient IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.street    IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.city      IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.country   IS '{"category": "location"}';

-- Orders stay for the books, without what was written on the gift card. Their
-- reference to a deleted address is set to NULL.
SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "users"}';
SECURITY LABEL FOR effaced ON COLUMN orders.gift_note IS
	'{"category": "communication", "erasure": "anonymize", "surrogate": "NULL"}';

-- Two hops: order_items to orders to users.
SECURITY LABEL FOR effaced ON TABLE order_items IS '{"path": "order.users"}';
SECURITY LABEL FOR effaced ON COLUMN order_items.engraving IS
	'{"category": "identity", "description": "often a name"}';

-- Tax law: kept for ten years from the day of the invoice.
SECURITY LABEL FOR effaced ON TABLE invoices IS '{"path": "order.users"}';
SECURITY LABEL FOR effaced ON COLUMN invoices.billing_name IS
	'{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "basis": "legal_obligation", "duration": "10 years", "anchor": "issued_on"}}';
SECURITY LABEL FOR effaced ON COLUMN invoices.billing_address IS
	'{"category": "location", "erasure": "retain", "retention": {"reason": "tax law", "basis": "legal_obligation", "duration": "10 years", "anchor": "issued_on"}}';
SECURITY LABEL FOR effaced ON COLUMN invoices.amount IS
	'{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "basis": "legal_obligation", "duration": "10 years", "anchor": "issued_on"}}';

-- What was said in public stays, who said it does not.
SECURITY LABEL FOR effaced ON TABLE reviews IS '{"path": "users"}';
SECURITY LABEL FOR effaced ON COLUMN reviews.author_name IS
	'{"category": "identity", "erasure": "anonymize", "surrogate": "''A former customer''"}';

SECURITY LABEL FOR effaced ON TABLE login_events IS '{"path": "users"}';
SECURITY LABEL FOR effaced ON COLUMN login_events.at         IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN login_events.ip         IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON COLUMN login_events.user_agent IS '{"category": "technical"}';

-- owned: the row as a whole is the customer's, so topics and dates need no label.
SECURITY LABEL FOR effaced ON TABLE newsletter_subscriptions IS '{"path": "users", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN newsletter_subscriptions.email IS
	'{"category": "contact", "legal_basis": "consent", "purpose": "newsletter"}';
