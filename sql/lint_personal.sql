-- Columns without a label that look like personal data: by name, by type, and
-- where it matters.
CREATE EXTENSION effaced;
\set findings 'SELECT severity, code, relation, column_name, substring(message from ''by (.*?):'') AS by, substring(hint from ''"category": "(\\w+)"'') AS category FROM effaced_lint() ORDER BY relation::text COLLATE "C", column_name COLLATE "C";'

-- Words, however they are joined, and in the plural; not parts of words, and not
-- what a word behind turns into something else.
CREATE TABLE words (id int PRIMARY KEY, email text, e_mail text, "eMail2" text, "E-Mail address" text, emails text[], mail text,
	emailed text, mailing text, email_type text, email_count int, email_verified boolean, email_sent_at timestamptz, email_template_id int,
	phone text, phone_no bigint, "mobilePhone" text, tel varchar(20), fax char(20), telemetry text, mobile_app_version text,
	birth date, dob date, date_of_birth text, "BirthDate" timestamp, birth_year int, birthright text,
	ip inet, ip_address text, client_ip text, ipv4 text, ship text, ip_range text,
	iban text, libanese text, lat float8, lon numeric, longitude float8, latency float8, flat text, long_description text,
	first_name text, firstname text, "lastName" text, surname text, full_name text, filename text,
	street text, zip text, postal_code int, "billing address" jsonb, address_id int, streetlight text,
	passport text, ssn text, gender char(1), sex smallint, tax_id text, national_id text, nationality text, marital_status text,
	dateofbirth date, homeAddress text, postalcode text, "userIPAddress" text, "IBANNumber" text, "EMail" text, microphone text,
	phonenumber text, mobilephone text, streetaddress text, d_o_b date, geohash text, phoneme text, street_lamp_number int,
	user_agent text, password text, device_id uuid, credit_card text, salary numeric, religion text, avatar bytea);
:findings
DROP TABLE words;

-- Words that mean a person only where the table is about persons: by its name,
-- by another column, or because it is a subject table.
CREATE TABLE products (id int PRIMARY KEY, name text, title text, state text, country text, picture bytea);
CREATE TABLE warehouses (id int PRIMARY KEY, name text, city text, country text, server_ip inet);
CREATE TABLE app_users (id int PRIMARY KEY, name text, title text, state text, age int);
CREATE TABLE "CustomerProfiles" (id int PRIMARY KEY, name text);
CREATE TABLE user_roles (id int PRIMARY KEY, name text);
CREATE TABLE debtors (id int PRIMARY KEY, name text, iban text);
CREATE TABLE heads (id int PRIMARY KEY, name text, note text);
SECURITY LABEL FOR effaced ON TABLE heads IS '{"path": "", "owned": true}';
:findings
DROP TABLE products, warehouses, app_users, "CustomerProfiles", user_roles, debtors, heads;

-- Types, and domains by their names.
CREATE EXTENSION citext;
CREATE DOMAIN email_address AS text;
CREATE DOMAIN zip AS int;
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE typed (id int PRIMARY KEY, a inet, b cidr, c macaddr, d macaddr8[], e citext, f email_address, ff email_address[], g zip, h positive, i point, j text, k box);
:findings
-- The hint labels the column.
SECURITY LABEL FOR effaced ON TABLE typed IS '{"path": "", "owned": true}';
SELECT hint FROM effaced_lint() \gexec
SELECT * FROM effaced_lint();
DROP TABLE typed;

-- Weight and words of the message: joined to a subject by keys in any direction,
-- a column is more likely somebody's; where nobody is a subject yet, all may be.
CREATE TABLE address (id int PRIMARY KEY, street text);
CREATE TABLE person (id int PRIMARY KEY, address_id int REFERENCES address, email text);
CREATE TABLE newsletter (email text PRIMARY KEY, topic text);
CREATE TABLE visit (id int PRIMARY KEY, person_id int REFERENCES person, ip inet, path text);
CREATE INDEX ON visit (person_id);
SELECT severity, code, relation, column_name, message FROM effaced_lint();
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN visit.path IS '{"category": "behavioral"}';
SELECT severity, code, relation, column_name, message FROM effaced_lint();
-- A row that goes as a whole: an export would still leave the column out.
SECURITY LABEL FOR effaced ON TABLE visit IS '{"path": "person", "owned": true}';
SELECT message FROM effaced_lint() WHERE relation = 'visit'::regclass;
-- Foreign keys are judged where they lead.
CREATE TABLE mail_log (id int PRIMARY KEY, email text REFERENCES newsletter);
SELECT code, relation, column_name FROM effaced_lint() WHERE relation = 'mail_log'::regclass;
DROP TABLE mail_log;

-- Partitions and children: columns count where they can be labelled.
CREATE TABLE logins (id int, person_id int, ip inet, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE logins_1 PARTITION OF logins FOR VALUES FROM (1) TO (10);
ALTER TABLE logins_1 ADD FOREIGN KEY (person_id) REFERENCES person;
CREATE TABLE base (id int PRIMARY KEY, email text);
CREATE TABLE derived (phone text) INHERITS (base);
CREATE VIEW addresses AS SELECT street FROM address;
CREATE TEMP TABLE scratch (email text);
SELECT severity, relation, column_name FROM effaced_lint() WHERE code = 'personal_name' ORDER BY 2, 3;
DROP TABLE logins, derived, base CASCADE;

-- generated_copies_labelled: computed from labelled columns.
DROP TABLE visit, newsletter;
ALTER TABLE person ADD email_hash text GENERATED ALWAYS AS (md5(email)) STORED, ADD four int GENERATED ALWAYS AS (id * 4) STORED;
SECURITY LABEL FOR effaced ON TABLE address IS '{"path": "person(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
CREATE INDEX ON person (address_id);
\x on
SELECT * FROM effaced_lint();
SELECT hint FROM effaced_lint() WHERE code = 'generated_copies_labelled' \gexec
SELECT code, column_name FROM effaced_lint();
