/*
 * personal_words.h
 *	  What personal data is called: words in the names of columns and tables, and
 *	  types that hold little else.
 *
 * Data for personal.c, which is the only one to include it.  All words are in
 * small letters and in the singular, as words_of() writes the names that are
 * compared with them.
 */
#ifndef EFF_PERSONAL_WORDS_H
#define EFF_PERSONAL_WORDS_H

/* What values of a type can be */
#define KIND_TEXT	0x01		/* JSON, enums, composites and arrays of text too */
#define KIND_NUMBER	0x02
#define KIND_DATE	0x04
#define KIND_OTHER	0x08		/* addresses, geometry, bytea, uuid */
#define KIND_ANY	(KIND_TEXT | KIND_NUMBER | KIND_DATE | KIND_OTHER)

typedef enum WordWeight
{
	WORD_WEAK,					/* personal data if the table is about persons */
	WORD_STRONG,				/* personal data in any table */
	WORD_TELLING				/* in any table, and a sign that the table is about persons */
} WordWeight;

/* Words that name personal data, one after the other; the first entry that matches counts */
typedef struct PersonalWords
{
	const char *words;
	const char *category;		/* of the label that the hint proposes */
	int			kinds;			/* of the types that such values have */
	WordWeight	weight;
} PersonalWords;

static const PersonalWords personal_words[] = {
	{"email address", "contact", KIND_TEXT, WORD_TELLING},
	{"email", "contact", KIND_TEXT, WORD_TELLING},
	{"e mail", "contact", KIND_TEXT, WORD_TELLING},
	{"mail", "contact", KIND_TEXT, WORD_TELLING},
	{"phone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"telephone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"tel", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"mobile", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"cell", "contact", KIND_TEXT, WORD_WEAK},
	{"cellphone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"msisdn", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"fax", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"phone number", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"telephone number", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"mobile phone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"mobile number", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"skype", "contact", KIND_TEXT, WORD_STRONG},
	{"whatsapp", "contact", KIND_TEXT, WORD_STRONG},
	{"twitter", "contact", KIND_TEXT, WORD_STRONG},
	{"facebook", "contact", KIND_TEXT, WORD_STRONG},
	{"instagram", "contact", KIND_TEXT, WORD_STRONG},
	{"linkedin", "contact", KIND_TEXT, WORD_STRONG},

	{"birth date", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"date of birth", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"birth", "identity", KIND_TEXT | KIND_DATE | KIND_NUMBER, WORD_TELLING},
	{"birthday", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"birthplace", "identity", KIND_TEXT, WORD_TELLING},
	{"dob", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"d o b", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"born", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"age", "identity", KIND_NUMBER | KIND_TEXT, WORD_WEAK},
	{"first name", "identity", KIND_TEXT, WORD_TELLING},
	{"fname", "identity", KIND_TEXT, WORD_TELLING},
	{"last name", "identity", KIND_TEXT, WORD_TELLING},
	{"lname", "identity", KIND_TEXT, WORD_TELLING},
	{"middle name", "identity", KIND_TEXT, WORD_TELLING},
	{"given name", "identity", KIND_TEXT, WORD_TELLING},
	{"family name", "identity", KIND_TEXT, WORD_TELLING},
	{"maiden name", "identity", KIND_TEXT, WORD_TELLING},
	{"full name", "identity", KIND_TEXT, WORD_TELLING},
	{"surname", "identity", KIND_TEXT, WORD_TELLING},
	{"forename", "identity", KIND_TEXT, WORD_TELLING},
	{"nickname", "identity", KIND_TEXT, WORD_TELLING},
	{"user name", "identity", KIND_TEXT, WORD_TELLING},
	{"screen name", "identity", KIND_TEXT, WORD_STRONG},
	{"display name", "identity", KIND_TEXT, WORD_WEAK},
	{"login", "identity", KIND_TEXT, WORD_WEAK},
	{"name", "identity", KIND_TEXT, WORD_WEAK},
	{"initial", "identity", KIND_TEXT, WORD_WEAK},
	{"title", "identity", KIND_TEXT, WORD_WEAK},
	{"company", "identity", KIND_TEXT, WORD_WEAK},
	{"employer", "identity", KIND_TEXT, WORD_STRONG},
	{"hire date", "identity", KIND_DATE, WORD_WEAK},
	{"gender", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"sex", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"nationality", "identity", KIND_TEXT, WORD_TELLING},
	{"citizenship", "identity", KIND_TEXT, WORD_TELLING},
	{"marital status", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"marital", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"ssn", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"social security", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"social insurance", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"national insurance", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"national id", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"insurance number", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"identity card", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"id card", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"passport id", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"passport", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"tax id", "identity", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"tax number", "identity", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"vat id", "identity", KIND_TEXT | KIND_NUMBER, WORD_WEAK},
	{"vat number", "identity", KIND_TEXT | KIND_NUMBER, WORD_WEAK},
	{"driver license", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"driver licence", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"driving licence", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"license plate", "identity", KIND_TEXT, WORD_STRONG},
	{"licence plate", "identity", KIND_TEXT, WORD_STRONG},
	{"avatar", "identity", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"photo", "identity", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"picture", "identity", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"signature", "identity", KIND_TEXT | KIND_OTHER, WORD_WEAK},

	{"iban", "financial", KIND_TEXT, WORD_TELLING},
	{"bic", "financial", KIND_TEXT, WORD_STRONG},
	{"account number", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"bank account", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"account holder", "financial", KIND_TEXT, WORD_TELLING},
	{"credit card", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"card number", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"cardholder", "financial", KIND_TEXT, WORD_TELLING},
	{"salary", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"wage", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"income", "financial", KIND_TEXT | KIND_NUMBER, WORD_WEAK},

	{"ip address", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ipaddr", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ip", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ips", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ipv", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"remote address", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"remote addr", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"mac address", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"macaddr", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"user agent", "technical", KIND_TEXT, WORD_STRONG},
	{"device id", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"advertising id", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"idfa", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"imei", "technical", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"imsi", "technical", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"cookie", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"password", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"passwd", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"session id", "technical", KIND_TEXT | KIND_OTHER, WORD_WEAK},

	{"street", "location", KIND_TEXT, WORD_TELLING},
	{"house number", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"zip code", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"zip", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"postal code", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"postal", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"post code", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"address", "location", KIND_TEXT, WORD_TELLING},
	{"addr", "location", KIND_TEXT, WORD_TELLING},
	{"street address", "location", KIND_TEXT, WORD_TELLING},
	{"home address", "location", KIND_TEXT, WORD_TELLING},
	{"postal address", "location", KIND_TEXT, WORD_TELLING},
	{"geohash", "location", KIND_TEXT, WORD_STRONG},
	{"lat", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"latitude", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"lon", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"lng", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"longitude", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"coordinate", "location", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"gps", "location", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"geolocation", "location", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"location", "location", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"city", "location", KIND_TEXT, WORD_WEAK},
	{"town", "location", KIND_TEXT, WORD_WEAK},
	{"district", "location", KIND_TEXT, WORD_WEAK},
	{"county", "location", KIND_TEXT, WORD_WEAK},
	{"state", "location", KIND_TEXT, WORD_WEAK},
	{"province", "location", KIND_TEXT, WORD_WEAK},
	{"region", "location", KIND_TEXT, WORD_WEAK},
	{"country", "location", KIND_TEXT, WORD_WEAK},

	{"religion", "special", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"ethnicity", "special", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"ethnic", "special", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"race", "special", KIND_TEXT, WORD_WEAK},
	{"disability", "special", KIND_TEXT, WORD_STRONG},
	{"diagnosis", "special", KIND_TEXT, WORD_STRONG},
	{"medication", "special", KIND_TEXT, WORD_STRONG},
	{"allergy", "special", KIND_TEXT, WORD_STRONG},
	{"allergie", "special", KIND_TEXT, WORD_STRONG},
	{"blood type", "special", KIND_TEXT, WORD_STRONG},
	{"blood group", "special", KIND_TEXT, WORD_STRONG},
	{"medical", "special", KIND_TEXT, WORD_STRONG},
	{"sexual orientation", "special", KIND_TEXT, WORD_TELLING},
	{"fingerprint", "special", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"biometric", "special", KIND_TEXT | KIND_OTHER, WORD_STRONG},
};

/* A name in which one of these follows is about the value: "email_verified" is no e-mail address */
static const char *const about_words[] = {
	"type", "kind", "status", "format", "template", "regex", "pattern", "verified", "verification",
	"confirmed", "valid", "enabled", "count", "total", "length", "version", "provider", "server",
	"host", "port", "preference", "opt", "optin", "subject", "sent", "bounced", "required", "label",
	"os", "app", "range", "mask", "mode", "id", "uuid", "uid", "fk", "ref", "key", "limit", "domain"
};

/* A table whose name ends in one of these is about persons */
static const char *const person_words[] = {
	"user", "customer", "client", "person", "people", "patient", "employee", "staff", "member",
	"contact", "subscriber", "guest", "visitor", "student", "teacher", "pupil", "passenger",
	"applicant", "candidate", "citizen", "resident", "donor", "volunteer", "doctor", "physician",
	"nurse", "participant", "attendee", "player", "driver", "buyer", "seller", "shopper",
	"recipient", "sender", "worker", "individual", "beneficiary", "spouse", "lead"
};

/* A table whose name ends in one of those words and one of these is about persons, too */
static const char *const person_suffixes[] = {
	"account", "base", "data", "detail", "info", "master", "profile", "record"
};

/* Types whose values are mostly personal data */
static const struct
{
	const char *name;
	const char *category;
	const char *what;			/* the values, for the message */
}			personal_types[] =
{
	{"inet", "technical", "IP addresses"},
	{"cidr", "technical", "IP networks"},
	{"macaddr", "technical", "addresses of devices"},
	{"macaddr8", "technical", "addresses of devices"},
	{"citext", "contact", "mostly e-mail addresses and user names"},
	{"point", "location", "places"},
	{"geography", "location", "places"},
	{"geometry", "location", "places"},
};

#endif							/* EFF_PERSONAL_WORDS_H */
