.PHONY: check test constraints flwr reference site wheels bench docs

STUDIES = table2 table3 table4 fig4 fig5 ablation

check: ## lint, format and types, as CI does
	ruff check .
	ruff format --check .
	rm -rf build/typed && pip install -q --no-deps --target build/typed .
	cd build/typed && mypy --strict --config-file ../../pyproject.toml -p fedretina

test: ## the quick tests, a process per core; `pytest -n auto --dist loadfile -m slow` runs the others
	OMP_NUM_THREADS=1 pytest -n auto

constraints: ## shows that constraints.txt leaves room for packages that Flower apps often need
	pip install --dry-run -q -c constraints.txt -e ".[test]" flwr-datasets transformers accelerate xgboost peft pandas

flwr: ## what touches Flower, with another release of it beside the installed dependencies: make flwr FLWR=1.41.0
	pip install -q --no-deps --upgrade --target build/flwr-$(FLWR) flwr==$(FLWR)
	PYTHONPATH=$(CURDIR)/build/flwr-$(FLWR)$${PYTHONPATH:+:$$PYTHONPATH} flwr --version
	PYTHONPATH=$(CURDIR)/build/flwr-$(FLWR)$${PYTHONPATH:+:$$PYTHONPATH} pytest -m "" tests/flower tests/end_to_end/test_any_strategy.py

wheels: ## wheels with the compiled loops, for x86_64 and aarch64, in dist/
	python packaging/wheels.py dist

bench: ## the tables of docs/, which take hours; runs of the main job that are in build/main-job are not done again
	python benchmarks/transfer.py
	python benchmarks/main_job.py build/main-job
	python benchmarks/joint_training.py build/joint-training
	python benchmarks/peers build/peers
	python benchmarks/committee.py --targets duke --seeds 0,1,2
	python benchmarks/codec
	python benchmarks/any_strategy all build/any-strategy
	python benchmarks/apps run build/apps && python benchmarks/apps page build/apps
	python benchmarks/poisoned
	python benchmarks/city_scale --state build/city-scale
	python benchmarks/million_domains.py
	python benchmarks/trust_cost.py

reference: ## the pages that follow from the code: configuration keys, options, ledger, what commands print
	python docs/generate

site: ## docs/ as a website in build/site: pip install -e ".[docs]"
	mkdocs build --strict

docs: bench reference ## what docs/ shows of measurements: whole studies over three seeds; finished cells are kept
	for name in $(STUDIES); do fedretina study $$name --out build/studies > /dev/null || exit 1; done
	mkdir -p docs/results/studies
	for name in $(STUDIES); do cp build/studies/$$name.md build/studies/$$name.png docs/results/studies; done
