# The extension installs into a server that preloads nothing, its objects keep
# the promises that hold for all of them, and it goes and comes again.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub query { return $node->safe_psql('postgres', $_[0]); }

is(query('SHOW shared_preload_libraries'), '', 'nothing is preloaded');

for my $schema ('public', 'Gdpr tools')
{
	(my $quoted = $schema) =~ s/"/""/g;
	query(qq{CREATE SCHEMA IF NOT EXISTS "$quoted"});
	query(qq{CREATE EXTENSION effaced SCHEMA "$quoted"});

	is( query(q{SELECT installed_version = default_version FROM pg_available_extensions
			WHERE name = 'effaced'}),
		't', "$schema: installed in the version of effaced.control");

	is(query(q{SELECT DISTINCT proname FROM pg_proc WHERE proname IN ('effaced_plan', 'effaced_erase', 'effaced_verify')
			ORDER BY 1}), "effaced_erase\neffaced_plan\neffaced_verify", "$schema: the verbs are there");

	# Whatever belongs to the extension: its kind, name, schema and comment.
	my $members = q{
		SELECT i.type, i.schema, coalesce(i.name, i.identity) AS name, d.classid, d.objid,
		       obj_description(d.objid, d.classid::regclass::name) AS comment
		  FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
		 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'effaced')};

	is( query(qq{SELECT i.type, i.name FROM ($members) i
			WHERE i.type IN ('function', 'procedure', 'table', 'sequence', 'view', 'event trigger')
			  AND i.name !~ '(^|[.])effaced_'}),
		'', "$schema: every name starts with effaced_");

	is( query(qq{SELECT i.type, i.name FROM ($members) i
			WHERE i.schema NOT IN (quote_ident('$schema'), 'effaced')}),
		'', "$schema: every object is in that schema, or effaced's own");
	is( query(qq{SELECT i.type, i.name FROM ($members) i
			WHERE i.type IN ('table', 'sequence') AND i.schema <> 'effaced'}),
		'', "$schema: tables and sequences are in effaced's own");
	is( query(q{SELECT n.nspacl FROM pg_namespace n WHERE n.nspname = 'effaced' AND EXISTS (
			SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee <> n.nspowner)}),
		'', "$schema: which nobody else has privileges on");

	is( query(qq{SELECT i.type, i.name FROM ($members) i
			WHERE i.type IN ('function', 'procedure', 'table') AND i.comment IS NULL}),
		'', "$schema: every function and table has a comment");

	is( query(qq{SELECT p.oid::regprocedure FROM pg_proc p JOIN ($members) i
			ON i.classid = 'pg_proc'::regclass AND i.objid = p.oid
			WHERE p.proisstrict}),
		'', "$schema: no function is strict");

	is( query(qq{SELECT p.oid::regprocedure FROM pg_proc p JOIN ($members) i
			ON i.classid = 'pg_proc'::regclass AND i.objid = p.oid
			WHERE EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner)))
				WHERE grantee = 0)}),
		'effaced.effaced_restricted_keys(regclass,text,text,text)',
		"$schema: no function is PUBLIC's but the one that policies call");

	is( query(qq{SELECT c.oid::regclass FROM pg_class c JOIN ($members) i
			ON i.classid = 'pg_class'::regclass AND i.objid = c.oid
			WHERE EXISTS (SELECT FROM aclexplode(c.relacl)
				WHERE grantee = 0 AND privilege_type <> 'SELECT')}),
		'', "$schema: PUBLIC writes to no table");

	query('DROP EXTENSION effaced');
	is( query(q{SELECT proname FROM pg_proc WHERE proname ~ '^effaced'
			UNION ALL SELECT relname FROM pg_class WHERE relname ~ '^effaced'
			UNION ALL SELECT evtname FROM pg_event_trigger}),
		'', "$schema: DROP EXTENSION leaves nothing");
}

$node->stop;
done_testing();
