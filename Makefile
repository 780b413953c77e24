# Every table and figure of the paper from one target. `make help` lists the targets, `make help-variables` what can be set.
#
# Times in the lines of `make help` are from two idle cores of an AMD EPYC with AVX-512 unless a range is given. Processors
# without AVX-512 take longer: `make reproduce` took 4 minutes there, and 8 min 39 s on two idle cores of an AMD Zen 3.

#: the protocol to the letter (paper, the default), fewer iterations (cpu), or seconds to see it run (smoke)
PROFILE ?= paper
#: in place of the spec's seeds: SEEDS="1 2 3"
SEEDS ?=
#: of the classifiers' products: float32 (the default), tensor_float_32 or bfloat16
PRECISION ?=
#: train the cells of Tables 1 and 3 at the same time: local (on the cores of this machine), ray or slurm (docs/scale.md)
LAUNCHER ?=
#: of bench and bench-peers: avx2 measures as on a processor without AVX-512
INSTRUCTION_SET ?=
#: cores of each training that LAUNCHER starts; 1 by default
CORES ?=
#: names of specs for publish, evaluate-partial, evaluate-half and import-run: SPEC=sinusoid_maml
SPEC ?=
#: 1: train from the first iteration; otherwise a stopped training goes on and a finished one is taken as it is
RESTART ?=
#: 1: write TensorBoard scalars below runs/
TENSORBOARD ?=
#: 1: `make setup` installs TensorFlow with CUDA
GPU ?=
#: a folder from which `make data` reads the data sets, in place of the network
MIRROR ?=
#: the authors' weights for authors-checkpoint and ablations-miniimagenet, in place of a download
CHECKPOINT ?=
#: an .npz of our own weights for ablations-miniimagenet
WEIGHTS ?=
#: the cell that WEIGHTS are from: CELL=miniimagenet_5way_5shot_maml
CELL ?=
#: the interpreter that makes the virtual environment, 3.11 or 3.12: PYTHON=python3.12
PYTHON ?= python3

VENV := .venv
RUN := $(VENV)/bin/python
REQUIREMENTS := requirements.txt requirements-report.txt requirements-dev.txt requirements-docs.txt

# A value as one word of the shell, even with blanks and quotes.
quote = '$(subst ','\'',$(1))'
quote_words = $(foreach word,$(1),$(call quote,$(word)))
# Whether a switch is on: RESTART=0 and TENSORBOARD=no are off.
on = $(filter-out 0 n no No NO off Off OFF false False FALSE,$(1))
# `--option value` where the variable is set.
option = $(if $(2),$(1) $(call quote,$(2)))
needs = $(if $($(1)),,@echo 'error: $(1) is missing: make $@ $(1)=$(2)' >&2; exit 2)

SPEC_OPTIONS = $(call option,--profile,$(PROFILE)) $(if $(SEEDS),--seeds $(call quote_words,$(SEEDS))) $(call option,--precision,$(PRECISION))
OPTIONS = $(SPEC_OPTIONS) $(if $(call on,$(RESTART)),--restart,--resume) $(if $(call on,$(TENSORBOARD)),--tensorboard)
# Your own results and weights. The published ones change only by `make publish`.
OWN := --results runs/results --weights runs/checkpoints
TRAIN = $(RUN) -m maml_tf train $(OWN) $(OPTIONS)
EVALUATE = $(RUN) -m maml_tf evaluate --results runs/results $(SPEC_OPTIONS)
# Where LAUNCHER is set, trains specs first. A miss of a tolerance (exit code 1) is judged by the table.
sweep = $(if $(LAUNCHER),$(RUN) -m maml_tf sweep $(1) $(SPEC_OPTIONS) --launcher $(call quote,$(LAUNCHER)) \
	$(call option,--cores-per-run,$(CORES)) || [ $$? -eq 1 ])
SPEC_FILE = $(call quote,reproduce/specs/$(SPEC).yaml)

.DEFAULT_GOAL := help

##@ Start
.PHONY: help help-variables setup data reproduce compare verify
help:  ## this list
	@sed -nE -e 's/^##@ (.*)/\n\1/p' -e 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) \
		| awk -F '\t' 'NF == 2 {printf "  make %-27s %s\n", $$1, $$2; next} {print}'

help-variables:  ## the variables that can be set: make fig4 PROFILE=cpu
	@sed -nE '/^#: /{s/^#: (.*)/\1/;h;n;s/ ?\?=.*//;G;s/\n/\t/;p}' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  %-16s %s\n", $$1, $$2}'

setup: $(VENV)/installed  ## make the virtual environment (1 to 5 minutes); every target does this first

# The virtual environment is made again when the requirements change. The stamp is written last, so that a broken
# installation is not taken for a complete one.
$(VENV)/installed: $(REQUIREMENTS) constraints.txt
	@$(call quote,$(PYTHON)) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "error:" $(call quote,$(PYTHON)) "is not Python 3.11 or 3.12: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(call quote,$(PYTHON)) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -c constraints.txt $(foreach file,$(REQUIREMENTS),-r $(file))
	$(if $(call on,$(GPU)),$(RUN) -m pip install --quiet "tensorflow[and-cuda]==$$($(RUN) -c 'import importlib.metadata as m; print(m.version("tensorflow"))')")
	@touch $@

data: setup  ## prepare Omniglot, and mini-ImageNet if its images are there (1 minute); MIRROR=folder
	$(RUN) data/prepare.py $(call option,--mirror,$(MIRROR))

# The two trainings run in parallel, one on each core. The figures then find them done.
reproduce: setup  ## the sinusoid: Figures 2, 3, 6, 7 and Table 2, three seeds, compared with the paper (4 to 9 minutes)
	$(MAKE) --no-print-directory -j2 sinusoid-maml sinusoid-baselines
	$(RUN) -m reproduce.figures_sinusoid $(filter-out --restart,$(OPTIONS))
	$(RUN) -m reproduce.compare

compare: setup  ## the paper's numbers, the published ones and yours; fails on a miss that is not a known failure (2 seconds)
	$(RUN) -m reproduce.compare

verify: setup  ## test a sample of the committed weights again and compare with the published results (2 minutes); SPEC="name ..."
	$(RUN) -m reproduce.verify $(call quote_words,$(SPEC))

##@ Sinusoid
.PHONY: sinusoid-maml sinusoid-baselines sinusoid-variants fig2 fig3 fig6 fig7 table2 table2-multitask
sinusoid-maml: setup  ## MAML (3 minutes on one core)
	$(TRAIN) reproduce/specs/sinusoid_maml.yaml

sinusoid-baselines: setup  ## the pretrained network and the oracle (2 minutes on one core)
	$(TRAIN) reproduce/specs/sinusoid_pretrained.yaml reproduce/specs/sinusoid_oracle.yaml

sinusoid-variants: setup  ## MAML with the inner step of the authors' code, 0.001 (3 minutes)
	$(TRAIN) reproduce/specs/sinusoid_maml_alpha_0.001.yaml

fig2: setup  ## Figure 2, adapting to a sinusoid (5 minutes; seconds after `make reproduce`)
	$(RUN) -m reproduce.fig2 $(OPTIONS)

fig3: setup  ## Figure 3, learning curves, K = 10 (5 minutes; seconds after `make reproduce`)
	$(RUN) -m reproduce.fig3 $(OPTIONS)

fig6: setup  ## Figure 6, learning curves, K = 5, 10, 20 (5 minutes; seconds after `make reproduce`)
	$(RUN) -m reproduce.fig6 $(OPTIONS)

fig7: setup  ## Figure 7, more sinusoids (5 minutes; seconds after `make reproduce`)
	$(RUN) -m reproduce.fig7 $(OPTIONS)

table2: setup  ## Table 2, its multi-task rows from the published results (5 minutes; seconds after `make reproduce`)
	$(RUN) -m reproduce.table2 $(OPTIONS)

table2-multitask: setup  ## Table 2, with its multi-task rows trained (20 minutes)
	$(RUN) -m reproduce.table2 sinusoid $(OPTIONS)

##@ Classification
.PHONY: table1 table1-omniglot-5way-1shot table3 table3-variants cells
table1: setup  ## Table 1, every cell that is not trained yet (days)
	$(call sweep,$(wildcard reproduce/specs/omniglot_*way_*shot_*conv.yaml) \
		$(wildcard reproduce/specs/miniimagenet_5way_*shot_maml.yaml reproduce/specs/miniimagenet_5way_*_first_order.yaml) \
		reproduce/specs/miniimagenet_5way_baselines.yaml)
	$(RUN) -m reproduce.table1 $(OPTIONS)

table1-omniglot-5way-1shot: table1-omniglot-5way-1shot-conv  ## Table 1, one cell (2 hours; PROFILE=cpu 35 minutes); others: table1-miniimagenet-5way-1shot-maml, ...

table1-%: setup
	$(RUN) -m reproduce.table1 $(call quote,$(subst -,_,$*)) $(OPTIONS)

table3: setup  ## Table 3, the context vector on Omniglot (a day)
	$(call sweep,$(wildcard reproduce/specs/omniglot_5way_*shot_conv.yaml reproduce/specs/omniglot_5way_*shot_context_vector.yaml))
	$(RUN) -m reproduce.table3 $(OPTIONS)

table3-variants: setup  ## Table 3's network with all weights adapted, z included (2 hours; PROFILE=cpu 15 minutes)
	$(TRAIN) reproduce/specs/omniglot_5way_1shot_context_vector_all_weights.yaml

cells: setup  ## Table 1 from the results there are; trains nothing (2 seconds)
	$(RUN) -m reproduce.table1 --table

##@ Reinforcement learning
.PHONY: fig4 table4 fig5 fig5-cheetah fig5-ant fig5-cheetah-velocity fig5-cheetah-direction fig5-ant-velocity \
	fig5-ant-direction table5 videos
fig4: setup  ## Figure 4, 2D navigation, four arms, three seeds (35 minutes)
	$(RUN) -m reproduce.fig4 $(OPTIONS)

table4: setup  ## Table 4, the context vector on 2D navigation (15 minutes after fig4)
	$(RUN) -m reproduce.table4 $(OPTIONS)

fig5: setup  ## Figure 5, all four panels (13 hours)
	$(RUN) -m reproduce.fig5 $(OPTIONS)

fig5-cheetah: fig5-cheetah-velocity fig5-cheetah-direction  ## Figure 5, both half-cheetah panels (4 hours)

fig5-ant: fig5-ant-velocity fig5-ant-direction  ## Figure 5, both ant panels (9 hours)

fig5-cheetah-velocity: setup  ## Figure 5, half-cheetah, goal velocity (2 hours; PROFILE=cpu 30 minutes)
	$(RUN) -m reproduce.fig5 half_cheetah_velocity $(OPTIONS)

fig5-cheetah-direction: setup  ## Figure 5, half-cheetah, forward or backward (2 hours; PROFILE=cpu 30 minutes)
	$(RUN) -m reproduce.fig5 half_cheetah_direction $(OPTIONS)

fig5-ant-velocity: setup  ## Figure 5, ant, goal velocity (3 hours)
	$(RUN) -m reproduce.fig5 ant_velocity $(OPTIONS)

fig5-ant-direction: setup  ## Figure 5, ant, forward or backward (6 hours)
	$(RUN) -m reproduce.fig5 ant_direction $(OPTIONS)

table5: setup  ## Table 5, the context vector on half-cheetah, forward or backward (2 hours after fig5-cheetah-direction)
	$(RUN) -m reproduce.table5 $(OPTIONS)

videos: setup  ## adapted policies as small GIFs, from their weights (1 minute; needs EGL or OSMesa)
	$(RUN) -m reproduce.studies.videos

##@ Beyond MAML
.PHONY: beyond beyond-sinusoid beyond-omniglot beyond-miniimagenet beyond-cheetah beyond-cost
beyond: setup  ## MAML, first order, Meta-SGD, MAML++, ANIL, BOIL, Reptile: one table and one figure from the results there are (seconds)
	$(RUN) -m reproduce.beyond

beyond-sinusoid: setup  ## the same, after training the sinusoid's column at the paper's scale (2 hours)
	$(RUN) -m reproduce.beyond sinusoid $(filter-out --profile $(PROFILE),$(OPTIONS))

beyond-omniglot: setup  ## the same, after training Omniglot 20-way 1-shot, 2000 iterations each (a day)
	$(RUN) -m reproduce.beyond omniglot $(filter-out --profile $(PROFILE),$(OPTIONS))

beyond-miniimagenet: setup  ## the same, after training mini-ImageNet 5-way 1-shot, 4000 iterations each (a day)
	$(RUN) -m reproduce.beyond mini_imagenet $(filter-out --profile $(PROFILE),$(OPTIONS))

beyond-cheetah: setup  ## the same, after training half-cheetah, forward or backward, with ANIL, 100 iterations (25 minutes)
	$(RUN) -m reproduce.beyond half_cheetah $(filter-out --profile $(PROFILE),$(OPTIONS))

beyond-cost: setup  ## the time of a meta-iteration relative to MAML's, and the memory, of every method (30 minutes)
	$(RUN) -m reproduce.beyond.cost

##@ Studies of trained weights
.PHONY: authors-checkpoint ablations-miniimagenet first-order-gain precision
authors-checkpoint: setup  ## the authors' released mini-ImageNet weights under our evaluation (2 minutes); CHECKPOINT=file
	$(if $(CHECKPOINT),,$(RUN) data/prepare.py authors-checkpoint)
	$(RUN) -m reproduce.studies.authors_checkpoint $(call option,--checkpoint,$(CHECKPOINT))

ablations-miniimagenet: setup  ## mini-ImageNet numbers under other ways of testing (20 minutes); CHECKPOINT=file, or WEIGHTS=file.npz CELL=spec
	$(if $(CHECKPOINT)$(WEIGHTS),,$(RUN) data/prepare.py authors-checkpoint)
	$(RUN) -m reproduce.studies.ablations_miniimagenet $(call option,--checkpoint,$(CHECKPOINT)) $(call option,--weights,$(WEIGHTS)) $(call option,--cell,$(CELL))

first-order-gain: setup  ## the time that first order saves of a mini-ImageNet meta-iteration (1 minute)
	$(RUN) -m reproduce.studies.first_order_gain

precision: setup  ## the cost of TensorFloat-32 and bfloat16: meta-gradients and test accuracies (15 minutes)
	$(RUN) -m reproduce.studies.precision

##@ Unfinished trainings, and trainings on other machines
.PHONY: evaluate-partial evaluate-half export import-run
evaluate-partial: setup  ## test a training that is under way or was stopped: a partial result; SPEC=name
	$(call needs,SPEC,name)
	$(EVALUATE) $(SPEC_FILE)

evaluate-half: setup  ## the test at the half-way mark, after exactly half of the iterations (PROTOCOL 1.6); SPEC=name
	$(call needs,SPEC,name)
	$(EVALUATE) $(SPEC_FILE) --half

# Each package is written by a process that ends afterwards and so frees the memory of its data set.
export: setup  ## all cells of Tables 1 and 3 as packages for a machine with a GPU and JAX (20 minutes; reproduce/GPU.md)
	for spec in $(wildcard reproduce/specs/omniglot_*.yaml reproduce/specs/miniimagenet_*.yaml); do \
		folder=runs/packages/$$(basename $$spec .yaml); \
		if grep -qsF $(call quote,"profile": "$(PROFILE)") $$folder/manifest.json; then echo "$$folder: exists, left as it is"; continue; fi; \
		$(RUN) -m maml_tf export-training-loop $$spec --out runs/packages $(SPEC_OPTIONS) || exit; \
	done

import-run: setup  ## test what such a package trained, copied to runs/snapshots: choose the best model, write the result; SPEC=name
	$(call needs,SPEC,name)
	$(EVALUATE) $(SPEC_FILE) --snapshots runs/snapshots --weights runs/checkpoints

##@ The published record and the documentation
.PHONY: publish docs
publish: setup  ## copy your results of SPEC="name ..." with weights and figures into the published record (maintainers); without SPEC only the comparison
	$(RUN) -m reproduce.publish $(call quote_words,$(SPEC))
	$(RUN) -m reproduce.comparison.pages

docs: setup  ## the documentation in site/, which opens from disk; its generated parts are written first (20 seconds)
	$(RUN) -m reproduce.comparison.pages
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

##@ Benchmarks
.PHONY: bench bench-growth bench-first-step bench-peers bench-scale bench-serving
bench: setup  ## speed compared with the authors' way of running MAML: ratios, peak memory, share of the machine's peak (1 hour)
	$(RUN) -m benchmarks.run $(call option,--instruction-set,$(INSTRUCTION_SET))

bench-growth: setup  ## how time and peak memory grow with tasks, shots, inner steps and image size (5 minutes)
	$(RUN) -m benchmarks.run --growth

bench-first-step: setup  ## the time to the first meta-gradient, beside PyTorch's and JAX's (10 minutes)
	$(RUN) -m benchmarks.run --first-step --peers

bench-peers: setup  ## speed compared with JAX (needs python3.12), PyTorch, torchopt and envpool, each installed in a separate folder (2 hours)
	$(RUN) -m benchmarks.run --peers $(call option,--instruction-set,$(INSTRUCTION_SET))

bench-scale: setup  ## two actors of a Ray cluster against two cores, and the time to start a job of a sweep; needs maml_tf[ray] (5 minutes)
	$(RUN) -m benchmarks.scaling

bench-serving: setup  ## served adaptations: requests a second and latency for one client and sixteen, and malformed requests (4 minutes)
	$(RUN) -m benchmarks.serving

##@ Development
.PHONY: test lint lock ray-cluster kills mutants wheel-check clean clean-runs
test: setup  ## the tests, in processes of at most 2.5 GB, one on each core (7 minutes)
	$(RUN) tests/tools/run_tests.py

lint: setup  ## style, formatting and types (15 seconds)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

lock: setup  ## write constraints.txt and docs/licences.md again, after a change of a requirements file (1 second)
	$(RUN) tests/tools/lock.py
	$(RUN) tests/tools/licences.py

ray-cluster: setup  ## trainings and a sweep over two Ray nodes of this machine, one lost: the bits of runs alone; needs maml_tf[ray] (10 minutes)
	$(RUN) tests/tools/ray_cluster.py

kills: setup  ## kill trainings of every kind 40 times and resume them: each ends with the same bits (10 minutes)
	$(RUN) tests/tools/kills.py

mutants: setup  ## over 100 one-line mutations of the science, each with the test that must fail on it; writes docs/mutants.md (5 minutes)
	$(RUN) tests/tools/mutants.py

wheel-check: setup  ## install the wheel with other versions of the dependencies, and run the README's example from it (5 minutes)
	tests/tools/wheel_check.sh numpy==2.3.5

clean:  ## remove the virtual environment
	rm -rf $(VENV)

clean-runs:  ## remove runs/: trainings under way, and your own results, weights and figures
	rm -rf runs
