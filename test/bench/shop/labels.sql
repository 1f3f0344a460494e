-- Users stay, for when they came; invoices stay with two columns, reviews without
-- their author; all else goes.
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact", "fact": "email", "legal_basis": "contract", "purpose": "account and order messages"}';
SECURITY LABEL FOR effaced ON COLUMN users.full_name IS '{"category": "identity", "fact": "name", "legal_basis": "contract", "surrogate": "''Deleted user #'' || id"}';
SECURITY LABEL FOR effaced ON COLUMN users.phone IS '{"category": "contact", "fact": "phone", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN users.password_hash IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON COLUMN users.birth_date IS '{"category": "identity", "surrogate": "NULL"}';

SECURITY LABEL FOR effaced ON TABLE profiles IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN profiles.nickname IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN profiles.bio IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN profiles.avatar_url IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN profiles.gender IS '{"category": "special", "legal_basis": "consent"}';

SECURITY LABEL FOR effaced ON TABLE addresses IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.recipient IS '{"category": "identity", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.street IS '{"category": "location", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.city IS '{"category": "location", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.postcode IS '{"category": "location", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN addresses.country IS '{"category": "location", "legal_basis": "contract"}';

SECURITY LABEL FOR effaced ON TABLE orders IS '{"path": "user_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN orders.ship_to IS '{"category": "location", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN orders.gift_note IS '{"category": "communication"}';

SECURITY LABEL FOR effaced ON TABLE order_items IS '{"path": "order_id.user_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN order_items.sku IS '{"category": "behavioral", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN order_items.engraving IS '{"category": "identity", "description": "often a name"}';

SECURITY LABEL FOR effaced ON TABLE payments IS '{"path": "order_id.user_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN payments.payer IS '{"category": "financial", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN payments.iban IS '{"category": "financial", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN payments.card_last4 IS '{"category": "financial", "legal_basis": "contract"}';

SECURITY LABEL FOR effaced ON TABLE invoices IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN invoices.billing_name IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued_on"}}';
SECURITY LABEL FOR effaced ON COLUMN invoices.billing_address IS '{"category": "location", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued_on"}}';
SECURITY LABEL FOR effaced ON COLUMN invoices.contact_email IS '{"category": "contact", "surrogate": "NULL"}';

SECURITY LABEL FOR effaced ON TABLE sessions IS '{"path": "user_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN sessions.token IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON COLUMN sessions.ip IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON COLUMN sessions.user_agent IS '{"category": "technical"}';

SECURITY LABEL FOR effaced ON TABLE support_tickets IS '{"path": "user_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN support_tickets.subject IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON COLUMN support_tickets.body IS '{"category": "communication"}';

SECURITY LABEL FOR effaced ON TABLE ticket_messages IS '{"path": "ticket_id.user_id", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN ticket_messages.author IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN ticket_messages.body IS '{"category": "communication"}';

SECURITY LABEL FOR effaced ON TABLE reviews IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN reviews.author_name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''A former customer''"}';
SECURITY LABEL FOR effaced ON COLUMN reviews.body IS '{"category": "communication", "erasure": "anonymize"}';

SECURITY LABEL FOR effaced ON TABLE login_events IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN login_events.occurred_at IS '{"category": "behavioral", "legal_basis": "legitimate_interests"}';
SECURITY LABEL FOR effaced ON COLUMN login_events.ip IS '{"category": "technical", "legal_basis": "legitimate_interests"}';
SECURITY LABEL FOR effaced ON COLUMN login_events.user_agent IS '{"category": "technical", "legal_basis": "legitimate_interests"}';
