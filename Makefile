# make demo   set up and run the experiment `demo` from download to report
# make check  set up and run the linters, the type checker and the quick tests
# make test   the same with all tests but the longest and those that start other machines
# The rest is for contributors: see the comment beside each target.

PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/ready
BENCH := .venv/ready-bench
LINT := .venv/ready-lint
SITE := .venv/ready-docs
CRATE := .venv/ready-crate
STORAGE := .venv/ready-storage
# a line a stage and a bar of jobs; what Snakemake says else is in .snakemake/log
CALM := snakemake --logger msroi --
# two checks at a time, each of which keeps one core busy
ABREAST := $(MAKE) --no-print-directory --jobs=2
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup storage demo paper-cpu train check test test-slow report-test crate-test machines-test dag torture reproduce lint style-lint types-lint workflow-lint words-lint docs bench lock clean

setup: $(SETUP)

# pip checks every file against the hashes in requirements/; what has to be built is built
# with the locked build tools, not with whatever the index serves today.
$(SETUP): requirements/build.txt requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 15) else "msroi needs Python 3.11 to 3.14, but $(PYTHON) is %d.%d; choose another with: make PYTHON=python3.12 ..." % v)'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --require-hashes --no-build-isolation -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# the same with what storages and Kubernetes need, in .venv/storage
storage: $(STORAGE)

# without `record`, which writes down in dvc.lock what was made
demo: setup
	@$(CALM) unrecorded
	@cat results/demo/report/summary.txt

# the paper's experiment at full scale: MSROI_MIRROR=/path/to/files make paper-cpu
paper-cpu: setup
	$(CALM) $(addprefix results/paper-cpu/,report judges/summary.json gaze/summary.json rate_distortion/summary.json)

# an experiment's training for at most so many minutes, with what it needs; the same command goes on
EXPERIMENT := paper
MINUTES := 25
TRAINED = results/$(EXPERIMENT)/model/summary.json
train: setup
	$(CALM) results/$(EXPERIMENT)/augment/plan.csv
	snakemake --dry-run $(TRAINED) 2>&1 | grep -q 'Nothing to be done' || { rm -f $(TRAINED) \
	  && msroi stage train --experiment $(EXPERIMENT) --until-minutes $(MINUTES) \
	  && { test ! -e $(TRAINED) || snakemake --quiet all --touch --allowed-rules train -- $(TRAINED); }; }

# no JAX that compiles, no program but our own
check: setup
	@$(ABREAST) lint
	pytest -m "not numerics and not workflow and not slow and not torture"

test: setup $(CRATE)
	@$(ABREAST) lint docs
	pytest -m "not machines and not slow and not torture"

# the whole demo from a fresh clone, with an empty home folder
test-slow: setup
	pytest -m slow

# the report's page, in a Chromium without a window where there is one; part of `make test`
report-test: setup
	pytest tests/unit/test_page.py tests/unit/test_page_browser.py

# what `msroi publish` writes, and the public validator of it; part of `make test`
crate-test: setup $(CRATE)
	pytest tests/unit/test_publish.py tests/workflow/test_crate.py

# on other machines, which the tests start: a SLURM, a bucket, pods, a worker without a shared disk
machines-test: setup $(STORAGE)
	pytest -m machines tests/workflow

# the rules and what each waits for, for the README; needs Graphviz (apt-get install graphviz)
dag: setup
	snakemake --quiet all --rulegraph | tred | dot -Grankdir=LR -Nfillcolor=white -Nstyle=rounded,filled -Tsvg -o docs/images/dag.svg

# faults: the pipeline killed at random moments, thousands of damaged files, no network; hours
torture: setup
	pytest -m torture

# the demo twice, each time in a clone of its own: as `make demo` runs it, then in chunks; fails if
# a byte of any output differs. Others: make reproduce REPRODUCE="mine --threads 1 --chunks 2"
REPRODUCE := demo --chunks 3
reproduce: setup
	PYTHONPATH=.:src:tests/workflow python -m reproduce $(REPRODUCE)

lint: style-lint types-lint workflow-lint words-lint

style-lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	lint-imports --no-logo --no-cache

types-lint: setup
	mypy

# Snakemake's linter wants an environment of its own for each rule, and may find nothing else:
# the environment of all rules is requirements/, where every package has its hashes
WANTED := * Specify a conda environment or container for each rule.:
workflow-lint: setup
	@said=$$(snakemake --lint 2>&1); echo "$$said" | grep -qF '$(WANTED)' \
	  && ! echo "$$said" | grep '^ *[*]' | grep -vF '$(WANTED)' || { echo "$$said"; exit 1; }

# words, spelling, and the files that other programs read; none of these asks a network
CHECKS := .venv/lint/bin
SCHEMA := $(CHECKS)/check-jsonschema --quiet --builtin-schema
words-lint: setup $(LINT)
	python docs/prose.py
	$(CHECKS)/codespell
	$(CHECKS)/pre-commit validate-config .pre-commit-config.yaml
	$(CHECKS)/zizmor --offline --quiet .
	VALIDATE_PYPROJECT_NO_NETWORK=1 $(CHECKS)/validate-pyproject pyproject.toml
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(SCHEMA) vendor.citation-file-format CITATION.cff

# the pages as a site in build/docs; a link that leads nowhere is an error
docs: $(SITE)
	NO_MKDOCS_2_WARNING=1 .venv/docs/bin/mkdocs build --quiet

# tools with environments of their own, so that the lock of what makes results stays as it is: the
# linters of words, the site, and the public validator of what `msroi publish` writes
$(LINT) $(SITE) $(CRATE): .venv/ready-%: $(SETUP) requirements/%.txt
	$(PYTHON) -m venv .venv/$*
	.venv/$*/bin/python -m pip install --quiet --require-hashes -r requirements/$*.txt
	touch $@

# what storages and Kubernetes need, on top of .venv, whose python-dateutil S3's packages refuse:
# Snakemake and DVC are `.venv/storage/bin/python -m snakemake` and `-m dvc` there
$(STORAGE): $(SETUP) requirements/storage.txt
	$(PYTHON) -m venv .venv/storage
	@of() { $$1 -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }; \
	  echo "import site; site.addsitedir('$$(of $(BIN)/python)')" > "$$(of .venv/storage/bin/python)/below.pth"
	.venv/storage/bin/python -m pip install --quiet --require-hashes -r requirements/storage.txt
	touch $@

# every part beside a peer: results/bench and the table in docs/performance.md; 25 minutes
bench: $(BENCH)
	python -m benchmarks $(JOBS)

$(BENCH): $(SETUP) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	touch $@

LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-header

# resolve the newest versions that fit every supported Python, with their hashes
lock: setup
	$(LOCK) --extra dev --extra slurm pyproject.toml -o requirements/lock.txt
	$(LOCK) -c requirements/lock.txt requirements/build.in -o requirements/build.txt
	$(LOCK) -c requirements/lock.txt --group bench -o requirements/bench.txt
	$(LOCK) requirements/lint.in -o requirements/lint.txt
	$(LOCK) requirements/docs.in -o requirements/docs.txt
	$(LOCK) requirements/crate.in -o requirements/crate.txt
	sed -n '/^python-dateutil==/d; s/^\([a-z0-9].*==.*\) \\$$/\1/p' requirements/lock.txt \
	  | $(LOCK) -c - requirements/storage.in -o requirements/storage.txt

# back to a fresh clone, but for the installed packages and the DVC cache
clean:
	rm -rf .msroi .snakemake logs data/demo results/demo
