# Everything a person does with this project is one of these. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
HOST ?= 127.0.0.1
PORT ?= 3000
XDIST := -n auto --dist loadfile --no-loadscope-reorder
QUICK := tests/unit tests/defs tests/sources
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help setup run adopt connect reconcile send remind datadocs verify forget compact compare scenario backtest policy postgres test live spark faults mutants lint docs dev serve demo bench audit lock clean

help: ## List the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: .venv/ready $(if $(SPARK),.venv/spark) ## Install everything, pinned by hash; skipped when current; SPARK=1 what nights on Spark need as well

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another one: make setup PYTHON=python3.12")'
	@echo "Setting up .venv (once, and when requirements.lock changes)"
	@$(PYTHON) -m venv --clear .venv || { echo "The venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements.lock
	@$(BIN)/python -m compileall -q dagster_project
	@touch $@

.venv/spark: .venv/ready requirements-spark.lock
	@echo "Adding what Spark needs to .venv"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-spark.lock
	@touch $@

run: setup ## Run the night for today, or DATE=2025-06-30 [KNOWN=now] [REFRESH=1] [FULL=1]
	@$(BIN)/python -m dagster_project run $(if $(DATE),--date $(DATE)) $(if $(KNOWN),--known $(KNOWN)) $(if $(REFRESH),--refresh) $(if $(FULL),--full)

connect: setup ## Try a source on before a night depends on it, SOURCE=tryton [ANEW=1]
	@$(BIN)/python -m dagster_project connect $(if $(SOURCE),--source $(SOURCE)) $(if $(ANEW),--anew)

reconcile: setup ## Hold the published morning against what the source itself says is open: a page to be signed
	@$(BIN)/python -m dagster_project reconcile

adopt: setup ## Say what the first night would do, before it does it, for today or DATE=2025-06-30
	@$(BIN)/python -m dagster_project adopt $(if $(DATE),--date $(DATE))

compare: setup ## Hold the policy packs against the published book, all or WITH=segments
	@$(BIN)/python -m dagster_project compare $(if $(WITH),--with $(WITH))

scenario: setup ## Say what other terms, limits or habits would change: PACK=segments NET_DAYS=-15 TIER=3 LIMITS=80 LATE=-5
	@$(BIN)/python -m dagster_project scenario $(if $(PACK),--pack $(PACK)) $(if $(NET_DAYS),--net-days=$(NET_DAYS)) $(if $(TIER),--tier $(TIER)) $(if $(LIMITS),--limits $(LIMITS)) $(if $(LATE),--late=$(LATE))

backtest: setup ## Try the policy on the past year, PACK=segments beside it: whom it would have held, and who went bad
	@$(BIN)/python -m dagster_project backtest $(if $(PACK),--pack $(PACK))

policy: setup ## Write the credit policy out, PACK=segments DATE=2025-06-30 OUT=policy.md
	@$(BIN)/python -m dagster_project policy $(if $(PACK),--pack $(PACK)) $(if $(DATE),--date $(DATE)) $(if $(OUT),--out $(OUT))

forget: setup ## Blank what is personal of CONTACT=id or CUSTOMER=id everywhere; figures and keys stay
	@$(BIN)/python -m dagster_project forget $(if $(CONTACT),--contact $(CONTACT)) $(if $(CUSTOMER),--customer $(CUSTOMER))

compact: setup ## Put old loads together and remove what policy no longer keeps; nights do so by themselves when due
	@$(BIN)/python -m dagster_project compact

send: setup ## Send the newest morning's list by e-mail to whoever has not had it, or DATE=2025-06-30 [AGAIN=1]
	@$(BIN)/python -m dagster_project send $(if $(DATE),--date $(DATE)) $(if $(AGAIN),--again)

remind: setup ## Send today's reminders that go out by themselves and have not; DRY=1 writes what it would send into a folder
	@$(BIN)/python -m dagster_project remind $(if $(DRY),--dry) $(if $(DATE),--date $(DATE))

datadocs: setup ## Write Great Expectations' pages about the newest load of each dataset
	@$(BIN)/python -m dagster_project datadocs

verify: setup ## Read everything that is landed and hold it against what was; ACCEPT=1 does without what is damaged
	@$(BIN)/python -m dagster_project verify $(if $(ACCEPT),--accept)

postgres: setup ## Put what is published into the database of ARREARS_POSTGRES_URL now, as a night in production does
	@$(BIN)/python -m dagster_project postgres

test: setup ## Run all tests; COVERAGE=1 says which lines the quick ones (unit, defs, sources) do not reach
	@$(BIN)/python -m dagster_project prepare
	@rm -rf .coverage
	@$(if $(COVERAGE),$(BIN)/coverage run -m pytest $(XDIST) $(QUICK) && find .coverage -size 0 -delete && $(BIN)/coverage combine --quiet && $(BIN)/coverage report)
	@$(BIN)/python -m pytest $(XDIST) --ignore=tests/live --ignore=tests/spark $(if $(COVERAGE),$(QUICK:%=--ignore=%))

live: setup ## Run the tests that need a server on this machine; each says what it needs where that is not there
	@$(BIN)/python -m dagster_project prepare
	@$(BIN)/python -m pytest -rs tests/live

spark: .venv/ready ## Run mornings on Spark and hold them against DuckDB's: minutes, or ONLY=cohorts; says so where no Java is
	@if [ -x "$${JAVA_HOME:+$$JAVA_HOME/bin/java}" ] || command -v java >/dev/null; then $(MAKE) --no-print-directory .venv/spark || echo "What Spark needs could not be installed"; fi
	@$(BIN)/python -m dagster_project prepare
	@$(BIN)/python -m pytest -rs tests/spark $(if $(ONLY),-k "$(ONLY)")

faults: setup ## Run the nights that are killed, starved and lied to: minutes each, beside the quick half in `make test`
	@$(BIN)/python -m dagster_project prepare
	@$(BIN)/python -m pytest tests/faults tests/e2e/test_operations.py -m "faults or not faults"

mutants: setup ## Alter the predicates of MODELS="int_promises …", by default the deciding ones, and see who notices [MUTANTS=20 SEED=1 BOOKS=40]
	@$(BIN)/python tests/benchmarks/mutants.py $(MODELS) --mutants $(or $(MUTANTS),0) --seed $(or $(SEED),1) --books $(or $(BOOKS),40)

lint: setup ## Check style and types, of Python and SQL
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/sqruff lint --library-path .ci/dbt_words dbt/models dbt/tests
	@$(BIN)/mypy

docs: setup ## Build the site into docs/_build: marts, policy tables, decisions, models, settings
	@$(BIN)/python -m sphinx -q -b html -W --keep-going docs docs/_build
	@echo "docs/_build/index.html"

dev: setup ## Open the Dagster UI on HOST:PORT, by default 127.0.0.1:3000
	@$(BIN)/python -m dagster_project prepare
	@umask 027; DAGSTER_HOME="$$($(BIN)/python -m dagster_project instance)" PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dagster dev -w workspace.yaml -h $(HOST) -p $(PORT)

serve: setup ## Run the web server on HOST:PORT and the daemon that starts the nights, as a service does
	@exec $(BIN)/python -m dagster_project serve --host $(HOST) --port $(PORT)

demo: setup ## Serve the demo's ERP and bureau alone, to point ARREARS_SOURCE=rest at
	@$(BIN)/python -m dagster_project.demo $(if $(DATE),--as-of $(DATE)) $(if $(DEMO_PORT),--port $(DEMO_PORT))

bench: setup ## Measure the fixed cost of a night, a long list, pulling, Tryton's aging, and nights on invented books of SIZES=100000,1000000:200000 invoices[:customers]
	@$(BIN)/python tests/benchmarks/fixed_cost.py
	@$(BIN)/python tests/benchmarks/worklists.py
	@$(BIN)/python tests/benchmarks/fetch.py
	@$(BIN)/python tests/benchmarks/aged_by_tryton.py
	@$(BIN)/python tests/benchmarks/volumes.py $(if $(SIZES),--sizes $(SIZES))

audit: setup ## List the licences, write the bill of materials to SBOM=sbom.json, ask what is known against the packages [OFFLINE=1]
	@$(BIN)/python .ci/audit.py $(if $(SBOM),--sbom $(SBOM)) $(if $(OFFLINE),--offline)

lock: setup ## Choose the newest allowed versions again and pin them
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade --group dev --group docs pyproject.toml -o requirements.lock
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")' > .venv/spark.in
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -c requirements.lock .venv/spark.in -o requirements-spark.lock

clean: ## Remove what set-up and runs have made, but for ARREARS_HOME
	@rm -rf .venv dbt/target dbt/logs docs/_build docs/generated .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find dagster_project tests -name __pycache__ -type d -prune -exec rm -rf {} +
