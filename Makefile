# effaced: plain PGXS. `make && make install`, or `make help`.

PG_CONFIG ?= pg_config

EXTENSION   = effaced
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" effaced.control)

MODULE_big  = effaced
OBJS        = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# The install script is the parts of the folders, in the order of the folders.
SQL_PARTS   = src/base/base.sql \
              src/trail/trail.sql \
              src/map/map.sql \
              src/subject/subject.sql \
              src/outbox/outbox.sql \
              src/trace/trace.sql \
              src/erase/erase.sql \
              src/export/export.sql \
              src/export/export_html.sql \
              src/rectify/rectify.sql \
              src/ledger/ledger.sql \
              src/batches/batches.sql \
              src/batches/order.sql \
              src/batches/records.sql \
              src/batches/review.sql \
              src/batches/apply.sql \
              src/retention/retention.sql \
              src/lint/lint.sql \
              src/privileges.sql
DATA        = $(wildcard effaced--*--*.sql)
DATA_built  = effaced--$(EXTVERSION).sql

REGRESS     = $(sort $(basename $(notdir $(wildcard sql/*.sql))))
ISOLATION   = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))

PG_CPPFLAGS = -I$(srcdir)/src

# WERROR=1 (as .ci/run sets it) is strict; users' compilers are not our concern.
ifeq ($(WERROR),1)
PG_CFLAGS  += -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
              -Wno-missing-field-initializers
endif

# No LLVM bitcode: nothing here gains from being inlined into expressions, and
# so neither clang nor LLVM is needed to build.
override with_llvm = no

# installcheck is ours: every test file has a database of its own.
NO_INSTALLCHECK = 1

.DEFAULT_GOAL := all

# The targets that bring their own server also install what is missing, so they
# have to work before there is a pg_config.
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)

$(OBJS): $(wildcard src/*.h src/*/*.h)

$(DATA_built): $(wildcard $(SQL_PARTS)) effaced.control Makefile
	( printf '%s\n' '\echo Use "CREATE EXTENSION effaced" to load this file. \quit' && \
	  cat $(wildcard $(SQL_PARTS)) /dev/null ) > $@.tmp && mv $@.tmp $@

installcheck:
	@status=0; \
	for t in $(REGRESS); do \
		$(pg_regress_installcheck) --dbname=$(CONTRIB_TESTDB) $$t || status=1; \
	done; \
	for t in $(ISOLATION); do \
		$(top_builddir)/src/test/isolation/pg_isolation_regress --inputdir=test --outputdir=output_iso \
			--bindir='$(bindir)' --load-extension=effaced --dbname=$(ISOLATION_TESTDB) $$t || status=1; \
	done; \
	exit $$status
else
all install uninstall clean installcheck:
	@echo "No PostgreSQL development files: '$(PG_CONFIG) --pgxs' leads nowhere." >&2
	@echo "Install them (Debian 12: apt-get install postgresql-server-dev-15)," >&2
	@echo "or name another pg_config: make PG_CONFIG=/path/to/pg_config" >&2
	@exit 1
endif

demo: ## Build, start a throw-away server, erase one customer of a small shop
	@test/run demo

test: ## Run every test on a throw-away server; TESTS="labels erase" runs some, UPDATE=1 accepts their output
	@test/run test $(TESTS)

bench: ## Run the benchmarks on a throw-away server; TESTS="shop" runs some
	@test/run bench $(TESTS)

fuzz: ## Call every function 50,000 times in all with hostile arguments; EFFACED_FUZZ_CALLS and EFFACED_FUZZ_SEED as in test/run
	@EFFACED_FUZZ_CALLS=$${EFFACED_FUZZ_CALLS:-50000} EFFACED_FUZZ_SEED=$${EFFACED_FUZZ_SEED:-$$(date +%s)} TEST_TIMEOUT=$${TEST_TIMEOUT:-10800} test/run test fuzz

sanitize: ## Run the SQL tests under AddressSanitizer and UBSan; TESTS as above
	@test/run sanitize $(TESTS)

lint-code: ## Check the sources: order of folders, public headers, calls, comments, what must agree with what, cppcheck
	@test/lib/lint-code $(LINT_MODE) $(SQL_PARTS)

help: ## List these targets
	@echo "make                Build (PG_CONFIG=... chooses the server, WERROR=1 is strict)"
	@echo "make install        Install into that server"
	@echo "make installcheck   Run the SQL tests against that server, running and installed into"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | while read -r t d; do printf 'make %-14s %s\n' "$$t" "$$d"; done

.PHONY: demo test bench fuzz sanitize lint-code help
