# Every table and figure of the paper from one target. `make help` lists them.
#
#   PROFILE=paper|cpu|smoke   the protocol to the letter (default), fewer iterations for two cores, or seconds to see it run
#   SEEDS="1 2 3"             instead of the spec's seeds
#   PRECISION=bfloat16        of the classifiers' products, or tensor_float_32; float32 by default
#   MIRROR=folder             `make data` reads the data sets from there instead of the network
#   RESTART=1                 train anew; without it a stopped training goes on and a finished one is taken as it is
#   TENSORBOARD=1             write TensorBoard scalars below runs/
#   GPU=1                     `make setup` installs TensorFlow with CUDA
#   PYTHON=python3.12         the interpreter that the virtual environment is made with (3.11 or 3.12)

PYTHON ?= python3
PROFILE ?= paper
VENV := .venv
RUN := $(VENV)/bin/python
TRAIN := $(RUN) -m maml_tf train --results reproduce/results --weights reproduce/checkpoints
SPEC_OPTIONS = --profile $(PROFILE) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(PRECISION),--precision $(PRECISION))
OPTIONS = $(SPEC_OPTIONS) $(if $(RESTART),--restart,--resume) $(if $(TENSORBOARD),--tensorboard)
REQUIREMENTS := requirements.txt requirements-report.txt requirements-dev.txt requirements-docs.txt
SINUSOID_ARMS := sinusoid-maml sinusoid-baselines

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test lint data compare fig2 fig3 fig6 fig7 table2 table2-multitask \
	fig4 table4 fig5 fig5-cheetah fig5-ant fig5-cheetah-velocity fig5-cheetah-direction fig5-ant-velocity \
	fig5-ant-direction table5 videos export snapshots so-far bench bench-growth bench-peers table1 table3 table1-omniglot-5way-1shot cells authors-checkpoint \
	ablations-miniimagenet first-order-gain precision sinusoid-variants table3-variants $(SINUSOID_ARMS) lock wheel-check docs clean

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## */\1\t/' | awk -F '\t' '{printf "  make %-36s %s\n", $$1, $$2}'

setup: $(VENV)/installed  ## the virtual environment with everything in it (1-5 minutes; every target does it when needed)

# Made anew whenever the requirements change; the stamp is written last, so a broken install is never taken for a whole one.
$(VENV)/installed: $(REQUIREMENTS) constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -c constraints.txt $(foreach file,$(REQUIREMENTS),-r $(file))
	$(if $(GPU),$(RUN) -m pip install --quiet "tensorflow[and-cuda]==$$($(RUN) -c 'import importlib.metadata as m; print(m.version("tensorflow"))')")
	@touch $@

# The sinusoid's trainings side by side, one on each core; the figures then find them done.
reproduce: setup  ## the sinusoid complete: Figures 2, 3, 6, 7 and Table 2, three seeds, compared with the paper (4 minutes)
	$(MAKE) --no-print-directory -j2 $(SINUSOID_ARMS)
	$(RUN) -m reproduce.figures_sinusoid $(filter-out --restart,$(OPTIONS))
	$(RUN) -m reproduce.compare

sinusoid-maml: setup  ## MAML on the sinusoid (3 minutes on one core)
	$(TRAIN) reproduce/specs/sinusoid_maml.yaml $(OPTIONS)

sinusoid-baselines: setup  ## pretrained and oracle on the sinusoid (2 minutes on one core)
	$(TRAIN) reproduce/specs/sinusoid_pretrained.yaml reproduce/specs/sinusoid_oracle.yaml $(OPTIONS)

sinusoid-variants: setup  ## MAML with the inner step of the authors' code, 0.001 (3 minutes)
	$(TRAIN) reproduce/specs/sinusoid_maml_alpha_0.001.yaml $(OPTIONS)

fig2: setup  ## Figure 2: adapting to a sinusoid (5 minutes; seconds after `make reproduce`)
	$(RUN) -m reproduce.fig2 $(OPTIONS)

fig3: setup  ## Figure 3: sinusoid learning curves, K = 10 (likewise)
	$(RUN) -m reproduce.fig3 $(OPTIONS)

fig6: setup  ## Figure 6: sinusoid learning curves, K = 5, 10, 20 (likewise)
	$(RUN) -m reproduce.fig6 $(OPTIONS)

fig7: setup  ## Figure 7: more sinusoids (likewise)
	$(RUN) -m reproduce.fig7 $(OPTIONS)

table2: setup  ## Table 2, its multi-task rows from their committed results (likewise)
	$(RUN) -m reproduce.table2 $(OPTIONS)

table2-multitask: setup  ## Table 2 with the multi-task rows trained too (20 minutes)
	$(RUN) -m reproduce.table2 --multitask $(OPTIONS)

table1: setup  ## Table 1 whole: the cells that are not trained yet are trained (days on a CPU)
	$(RUN) -m reproduce.table1 $(OPTIONS)

table3: setup  ## Table 3: the context vector on Omniglot (a day on a CPU)
	$(RUN) -m reproduce.table3 $(OPTIONS)

table3-variants: setup  ## Table 3's network with all weights adapted, z among them (2 hours; PROFILE=cpu 15 minutes)
	$(TRAIN) reproduce/specs/omniglot_5way_1shot_context_vector_all_weights.yaml $(OPTIONS)

# One target for each cell: table1-omniglot-5way-1shot-nonconv, table1-miniimagenet-5way-1shot-maml-first-order, ...
table1-omniglot-5way-1shot: table1-omniglot-5way-1shot-conv  ## Table 1, Omniglot 5-way 1-shot (2 hours; PROFILE=cpu 35 minutes)

table1-%: setup
	$(RUN) -m reproduce.table1 $(subst -,_,$*) $(OPTIONS)

cells: setup  ## Table 1 as far as it has been run; each cell is a target: table1-omniglot-20way-1shot-conv, ... (1 second)
	$(RUN) -m reproduce.table1 --table

authors-checkpoint: setup  ## the authors' released mini-ImageNet weights under our evaluation (2 minutes; CHECKPOINT=file)
	$(if $(CHECKPOINT),,$(RUN) data/prepare.py authors-checkpoint)
	$(RUN) -m reproduce.studies.authors_checkpoint $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))

ablations-miniimagenet: setup  ## what mini-ImageNet numbers depend on at test (20 minutes; CHECKPOINT=file, or WEIGHTS=file.npz and CELL=spec)
	$(if $(CHECKPOINT)$(WEIGHTS),,$(RUN) data/prepare.py authors-checkpoint)
	$(RUN) -m reproduce.studies.ablations_miniimagenet $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT)) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(CELL),--cell $(CELL))

first-order-gain: setup  ## what the first-order approximation saves of a meta-iteration on mini-ImageNet (1 minute)
	$(RUN) -m reproduce.studies.first_order_gain

precision: setup  ## what rounding the factors of products costs: meta-gradients and test accuracies (15 minutes)
	$(RUN) -m reproduce.studies.precision

fig4: setup  ## Figure 4: 2D navigation, four arms, three seeds (35 minutes)
	$(RUN) -m reproduce.fig4 $(OPTIONS)

table4: setup  ## Table 4: the context vector on 2D navigation (15 minutes more)
	$(RUN) -m reproduce.table4 $(OPTIONS)

fig5: setup  ## Figure 5, all four panels, in one picture too (13 hours)
	$(RUN) -m reproduce.fig5 $(OPTIONS)

fig5-cheetah: fig5-cheetah-velocity fig5-cheetah-direction  ## Figure 5, both half-cheetah panels (4 hours)

fig5-ant: fig5-ant-velocity fig5-ant-direction  ## Figure 5, both ant panels (9 hours)

fig5-cheetah-velocity: setup  ## Figure 5, half-cheetah goal velocity (2 hours; PROFILE=cpu 30 minutes)
	$(RUN) -m reproduce.fig5 half_cheetah_velocity $(OPTIONS)

fig5-cheetah-direction: setup  ## Figure 5, half-cheetah forward or backward (2 hours; PROFILE=cpu 30 minutes)
	$(RUN) -m reproduce.fig5 half_cheetah_direction $(OPTIONS)

fig5-ant-velocity: setup  ## Figure 5, ant goal velocity (3 hours)
	$(RUN) -m reproduce.fig5 ant_velocity $(OPTIONS)

fig5-ant-direction: setup  ## Figure 5, ant forward or backward (6 hours)
	$(RUN) -m reproduce.fig5 ant_direction $(OPTIONS)

table5: setup  ## Table 5: the context vector on half-cheetah, forward or backward (2 hours more)
	$(RUN) -m reproduce.table5 $(OPTIONS)

videos: setup  ## adapted policies as small GIFs, from their weights (1 minute; needs EGL or OSMesa)
	$(RUN) -m reproduce.studies.videos

# Each in a process of its own, which gives the memory of its data set back.
export: setup  ## all cells of Tables 1 and 3 as packages for a machine with a GPU and JAX (20 minutes; reproduce/GPU.md)
	for spec in $(wildcard reproduce/specs/omniglot_*.yaml reproduce/specs/miniimagenet_*.yaml); do \
		folder=runs/packages/$$(basename $$spec .yaml); \
		if grep -qs '"profile": "$(PROFILE)"' $$folder/manifest.json; then echo "$$folder: there already, left as it is"; continue; fi; \
		$(RUN) -m maml_tf export-training-loop $$spec --out runs/packages $(SPEC_OPTIONS) || exit; \
	done

snapshots: setup  ## what those packages trained, brought back to runs/snapshots: validated, tested, compared (SPEC=name)
	@$(if $(SPEC),,echo "error: SPEC is missing: make snapshots SPEC=name, of a file in reproduce/specs"; exit 2)
	$(RUN) -m maml_tf evaluate reproduce/specs/$(SPEC).yaml --snapshots runs/snapshots $(SPEC_OPTIONS) \
		--results reproduce/results --weights reproduce/checkpoints

so-far: setup  ## a training under way or stopped, tested as far as it got: a reduced result (SPEC=name)
	@$(if $(SPEC),,echo "error: SPEC is missing: make so-far SPEC=name, of a file in reproduce/specs"; exit 2)
	$(RUN) -m maml_tf evaluate reproduce/specs/$(SPEC).yaml $(SPEC_OPTIONS) --results reproduce/results

bench: setup  ## speed beside the authors' way of running MAML: ratios, peak memory, share of the machine's peak (1 hour)
	$(RUN) -m benchmarks.run

bench-growth: setup  ## how time and peak memory grow with tasks, shots, inner steps and image size (5 minutes)
	$(RUN) -m benchmarks.run --growth

bench-peers: setup  ## the same beside JAX, PyTorch, torchopt and envpool, each installed in a folder of its own (2 hours)
	$(RUN) -m benchmarks.run --peers

data: setup  ## Omniglot, and mini-ImageNet where its images are at hand, prepared (1 minute; MIRROR=folder)
	$(RUN) data/prepare.py $(if $(MIRROR),--mirror $(MIRROR))

compare: setup  ## everything measured beside the paper's numbers; fails on a miss that is not known (1 second)
	$(RUN) -m reproduce.compare

test: setup  ## the tests (8 minutes)
	$(RUN) -m pytest -n auto

lint: setup  ## style and formatting (1 second)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

lock: setup  ## constraints.txt written anew, after a change of a requirements file (1 second)
	$(RUN) tests/tools/lock.py

wheel-check: setup  ## the wheel installed beside other versions, and the README's example run from it (5 minutes)
	tests/tools/wheel_check.sh numpy==2.3.5

docs: setup  ## the documentation in site/, which opens from disk; its generated parts are written first (20 seconds)
	$(RUN) -m reproduce.comparison.pages
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

clean:  ## removes the virtual environment and the trainings in runs/; data and results stay
	rm -rf $(VENV) runs
