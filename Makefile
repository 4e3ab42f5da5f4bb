# Everything works from a fresh clone with Python 3.11+ and make: the first target that needs it makes .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
# Tests wait for disks, servers and browsers two fifths of the time: more workers than cores.
WORKERS ?= 4
# A worker keeps to neighbours, which share what they set up, and takes from others when it is done.
PARALLEL := -n $(WORKERS) --dist worksteal
export HF_HUB_OFFLINE ?= 1
export DAGSTER_TELEMETRY_DISABLED ?= 1

.PHONY: help demo test test-all test-conformance test-crash test-reembed test-production lint format ui docs bench bench-all bench-profiles bench-history bench-retrieval bench-release bench-gates bench-gates-scale bench-reader screenshots clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@echo "making $(VENV) (about two minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## build, gate, promote, break and roll back a real index
	@$(BIN)/python examples/demo.py

test: $(STAMP) ## lint-free tests, in parallel (under ten minutes on two cores)
	@start=$$(date +%s); $(BIN)/python -m pytest $(PARALLEL) -q -m "not slow"; status=$$?; \
	 echo "make test took $$(( $$(date +%s) - start )) s"; exit $$status

test-all: $(STAMP) ## the slow tests too
	@start=$$(date +%s); $(BIN)/python -m pytest $(PARALLEL) -q; status=$$?; \
	 echo "make test-all took $$(( $$(date +%s) - start )) s"; exit $$status

test-conformance: $(STAMP) ## every adapter: the laws of a target, and the release engine against its model
	@start=$$(date +%s); VECTOR_PIPELINE_MACHINE=$${MACHINE:-4,20} \
	 $(BIN)/python -m pytest $(PARALLEL) -q tests/*/test_*conformance*.py tests/testing/test_memory_target.py \
	 tests/engine/test_machine.py; status=$$?; \
	 echo "make test-conformance took $$(( $$(date +%s) - start )) s"; exit $$status

test-crash: $(STAMP) ## kill pushes at every step and at random, drop, delay and double responses; says what was survived
	@survived=$$(mktemp); start=$$(date +%s); \
	 VECTOR_PIPELINE_SURVIVED=$$survived VECTOR_PIPELINE_MACHINE=$${MACHINE:-25,30} VECTOR_PIPELINE_FAULT_SEEDS=$${SEEDS:-25} \
	 $(BIN)/python -m pytest $(PARALLEL) -q tests/engine tests/process; status=$$?; \
	 $(BIN)/python -m tests.survived $$survived || status=1; rm -f $$survived; \
	 echo "make test-crash took $$(( $$(date +%s) - start )) s"; exit $$status

test-reembed: $(STAMP) ## a new model on a real corpus, under reads and edits, killed in the middle, cut over, back and forth
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/reembed/requirements.txt
	@start=$$(date +%s); $(BIN)/python -m pytest -q tests/reembed tests/bridge tests/spaces tests/serving; status=$$?; \
	 echo "make test-reembed took $$(( $$(date +%s) - start )) s"; exit $$status

test-production: $(STAMP) ## a whole small production of real processes: PostgreSQL, S3, Pinecone's protocol, Dagster, workers on Redis
	@start=$$(date +%s); $(BIN)/python -m pytest -q -s tests/production/test_production.py; status=$$?; \
	 echo "make test-production took $$(( $$(date +%s) - start )) s"; exit $$status

lint: $(STAMP) ## ruff, mypy --strict, layer contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(STAMP) ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

docs: $(STAMP) ## the pages in docs/ as a site, in build/site
	@$(BIN)/mkdocs build --quiet --strict && echo "open build/site/index.html, or: $(BIN)/mkdocs serve"

ui: $(STAMP) ## open Dagster with the example loaded
	@$(BIN)/python examples/ui.py

PEERS := build/peers
$(PEERS)/.installed: benchmarks/peers/requirements.txt
	@echo "making $(PEERS): what our figures are compared with"
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: $(STAMP) $(PEERS)/.installed ## the table of docs/performance.md, beside its peers (BENCH="--quick update commit": not for the page)
	@$(BIN)/python -m benchmarks $(BENCH)

bench-profiles: $(STAMP) $(PEERS)/.installed ## a sampled profile of each hot path (PROFILES="--quick update": not for the page)
	@$(BIN)/python -m benchmarks.profiles $(PROFILES)

bench-all: bench bench-profiles bench-retrieval bench-history bench-release bench-gates bench-gates-scale bench-reader ## every benchmark

bench-history: $(STAMP) ## real revisions of a real corpus, one version after another (HISTORY=archive)
	@$(BIN)/python benchmarks/history.py $(HISTORY)

bench-retrieval: $(STAMP) ## nDCG@10 and recall@10 through the whole chain (COLLECTIONS="folder ...")
	@$(BIN)/python benchmarks/retrieval.py $(COLLECTIONS)

bench-release: $(STAMP) ## load, change 1%, cut over, roll back and look for drift at a million vectors (DOCUMENTS=n)
	@$(BIN)/python -m benchmarks.release --documents $${DOCUMENTS:-1000000}

bench-gates: $(STAMP) ## seeded failures and harmless releases against the gates (GATES=options)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/gates/requirements.txt
	@$(BIN)/python -m benchmarks.gates --jobs $(JOBS) --write docs/gates.md $(GATES)

bench-gates-scale: $(STAMP) ## all gates on a million vectors: seconds and memory
	@$(BIN)/python -m benchmarks.gates.scale $(SCALE)

bench-reader: $(STAMP) ## what the reader takes beside a bare search on the same target (READER=options)
	@$(BIN)/python -m benchmarks.reader $(READER)

screenshots: $(STAMP) ## take the pictures in docs/ from a real Dagster in a real browser
	@$(BIN)/python docs/take_screenshots.py

clean: ## remove what the targets above made
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
