# The page of an export in a browser: hostile values are text there, and nothing
# of them is run, loaded or made an element.

use strict;
use warnings;
use utf8;
use EffacedTest;
use Encode qw(decode encode);
use PostgreSQL::Test::Utils;
use Test::More;

my ($browser) = grep { -x } map { my $name = $_; map {"$_/$name"} split /:/, $ENV{PATH} }
  qw(chromium chromium-browser chromium-headless-shell google-chrome);
plan skip_all => 'no Chromium is installed' unless $browser;

# What a browser makes of a file, as HTML.
my $profile = PostgreSQL::Test::Utils::tempdir();
sub browse
{
	my ($file, @options) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[ $browser, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', "--user-data-dir=$profile",
			'--virtual-time-budget=2000', @options, "file://$file" ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120)) or die "the browser fails: $err";
	return decode('UTF-8', $out);
}

my $node = start_node('main');
$node->safe_psql('postgres', 'CREATE EXTENSION effaced; CREATE TABLE person (id text PRIMARY KEY, name text); CREATE TABLE note (id int PRIMARY KEY, person_id text REFERENCES person, "<i>body" text);'
	. label('TABLE person', '{"path": ""}')
	. label('COLUMN person.name', '{"category": "identity", "purpose": "<script>document.title = \'purpose\'</script>", "erasure": "retain", "retention": {"reason": "<img src=x onerror=alert(1)>"}}')
	. label('TABLE note', '{"path": "person"}')
	. label('COLUMN note."<i>body"', '{"category": "communication", "description": "</th></tr></table><h1>Notes"}'));

my @hostile = (
	q{<script>document.title = 'run'</script>},
	q{</td></tr></table></main><h1>gone</h1>},
	q{<img src="http://127.0.0.1:1/x" onerror="document.title = 'run'">},
	q{"><svg onload=document.title='run'>},
	q{--><!-- ]]> </style></title><base href="//example.com">},
	q{&lt;b&gt; &amp;amp; &#60;b&#62;},
	q{<a href="javascript:document.title='run'">Ö 中 العربية</a>},
	q{\\"\\' \\u003cscript\\u003e},
	"two\nlines\tand a tab",
	q{<meta http-equiv="refresh" content="0;url=http://127.0.0.1:1/">},
);
my $id = q{<script>document.title='id'</script>&"'};
sub literal { my ($text) = @_; $text =~ s/([\\'])/$1$1/g; return "E'$text'"; }
$node->safe_psql('postgres', encode('UTF-8', "INSERT INTO person VALUES (${\literal($id)}, 'Zoë <b>'), ('plain', 'plain');"
	. join '', map { "INSERT INTO note VALUES ($_, ${\literal($id)}, ${\literal($hostile[$_])}), (100 + $_, 'plain', 'plain');" } 0 .. $#hostile));

sub page_of
{
	my ($subject, $file) = @_;
	my $page = $node->safe_psql('postgres', encode('UTF-8', "SELECT effaced_export_html(${\literal($subject)})"));
	PostgreSQL::Test::Utils::append_to_file($file, $page);
	return decode('UTF-8', $page);
}
sub elements { my ($html) = @_; my %n; $n{lc $_}++ for $html =~ /<([a-z][a-z0-9]*)/gi; return \%n; }
sub as_text { my ($text) = @_; $text =~ s/&/&amp;/g; $text =~ s/</&lt;/g; $text =~ s/>/&gt;/g; return $text; }

my $directory = PostgreSQL::Test::Utils::tempdir();
# the account of the browser's sandbox has to get there
page_of($id, "$directory/hostile.html");
page_of('plain', "$directory/plain.html");
my $dom = browse("$directory/hostile.html", '--dump-dom');
my $plain = browse("$directory/plain.html", '--dump-dom');

like($plain, qr/<h1>Personal data held on plain<\/h1>/, 'the browser shows the page');
# line breaks are the browser's own to write down
like($dom, qr/<td class="value" dir="auto">\Q@{[ as_text($_) ]}\E<\/td>/, 'a value is text: ' . encode('UTF-8', $_ =~ s/\s+/ /gr)) for @hostile;
like($dom, qr/<title>Personal data held on \Q@{[ as_text($id) ]}\E<\/title>/, 'the title is as written, and nothing has changed it');
like($dom, qr/<h1>Personal data held on \Q@{[ as_text($id) ]}\E<\/h1>/, 'so is the heading');
like($dom, qr/Zoë &lt;b&gt;/, 'letters are right');
my %found = %{ elements($dom) };
is_deeply(\%found, elements($plain), 'hostile values make no element that harmless ones do not');
is($found{td}, 5 * (1 + @hostile), 'a row per value');
is($found{$_}, undef, "no $_") for qw(script img svg base iframe link i b);

# Left alone, the browser reports no violation of the page's own policy.
my $violation = browse("$directory/hostile.html", '--dump-dom', '--enable-logging=stderr');
unlike($violation, qr/Content.Security.Policy.*violat/i, 'nothing was there to be blocked');

# It prints.
browse("$directory/hostile.html", "--print-to-pdf=$directory/page.pdf", '--no-pdf-header-footer');
like(PostgreSQL::Test::Utils::slurp_file("$directory/page.pdf"), qr/^%PDF-/, 'it prints');

$node->stop;
done_testing();
