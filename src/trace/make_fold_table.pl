#!/usr/bin/env perl
# make_fold_table.pl > fold_table.h: Unicode's case folding and word characters,
# beyond ASCII, as tables in C. The tables are those of the Perl that runs this.
use v5.16;
use warnings;
use Unicode::UCD;
binmode STDOUT, ':utf8';

my (@single, @several, @words);
for my $code (0x80 .. 0x1FFFF, 0x20000, 0x2FFFF, 0x30000, 0x3FFFF, 0xE0100 .. 0xE01EF) {
	next if $code >= 0xD800 && $code <= 0xDFFF;
	my $character = chr $code;
	my @fold = map { ord } split //, CORE::fc($character);
	# the dots of i, which no locale can be asked about: one letter
	@fold = (ord 'i') if $code == 0x130 || $code == 0x131;
	if (@fold > 1) { push @several, [$code, @fold] }
	elsif ($fold[0] != $code) { push @single, [$code, $fold[0] - $code] }
	next unless $code < 0x20000 && $character =~ /[\p{L}\p{M}\p{Nd}]/;
	if (@words && $words[-1][1] == $code - 1) { $words[-1][1] = $code }
	else { push @words, [$code, $code] }
}
# the planes of ideographs, and variation selectors
push @words, [0x20000, 0x3FFFF], [0xE0100, 0xE01EF];

# runs of one distance, of every code or of every second
my @runs;
for my $one (@single) {
	my ($code, $delta) = @$one;
	if (@runs && $runs[-1][3] == $delta) {
		my $run = $runs[-1];
		my $gap = $code - $run->[1];
		if ($gap <= 2 && ($run->[0] == $run->[1] || $gap == $run->[2])) {
			@$run[1, 2] = ($code, $gap);
			next;
		}
	}
	push @runs, [$code, $code, 1, $delta];
}

sub rows {
	my ($per_line, @cells) = @_;
	while (my @line = splice @cells, 0, $per_line) { say "\t", join(', ', @line), ',' }
}

my $version = Unicode::UCD::UnicodeVersion();
print <<"TEXT";
/*
 * fold_table.h
 *	  Case folding and word characters of Unicode $version beyond ASCII.
 *
 * Made by make_fold_table.pl: change that, not this.
 */
#ifndef EFF_FOLD_TABLE_H
#define EFF_FOLD_TABLE_H

/* Characters from first to last, every one or every second, fold to themselves plus delta */
static const struct
{
	uint32		first;
	uint32		last;
	int			step;
	int			delta;
}			fold_runs[] = {
TEXT
rows(3, map { sprintf '{0x%X, 0x%X, %d, %d}', @$_ } @runs);
print <<'TEXT';
};

/* Characters that fold to several */
static const struct
{
	uint32		code;
	uint32		to[3];			/* 0 at the end of fewer than three */
}			fold_several[] = {
TEXT
rows(3, map { sprintf '{0x%X, {%s}}', $_->[0], join ', ', map { sprintf '0x%X', $_ } @$_[1 .. $#$_] } @several);
print <<'TEXT';
};

/* Letters, marks and decimal digits */
static const struct
{
	uint32		first;
	uint32		last;
}			word_ranges[] = {
TEXT
rows(4, map { sprintf '{0x%X, 0x%X}', @$_ } @words);
print <<'TEXT';
};

#endif							/* EFF_FOLD_TABLE_H */
TEXT
