# %% [markdown]
# # Many devices: a GPU, all of a machine, a cluster
#
# Given the parameters, persons are independent: the log-likelihood is a sum over persons, and so
# are its derivatives. Each device can therefore sum over persons of its own, and all that devices
# exchange are the sums, a few numbers for each pair of parameters. That is all there is to it, and
# `device=` is all that you type:
#
# | `device=` | where |
# |---|---|
# | nothing | JAX's default: the first GPU if JAX has one, else the processors |
# | `"gpu"`, `"cpu"`, `"tpu"` | the first of its kind |
# | `"all"` | all that JAX has, those of other processes included |
# | `jax.devices()[:2]` | these |
#
# Persons are spread by `eirt.Quadrature`, which is the default for models with one ability of
# persons: Rasch, 2PL, 3PL, graded responses, latent regressions. Other likelihoods, such as that
# of crossed random items, run on one device, and say so when several are asked for.

# %%
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import jax
import pandas as pd

import eirt

folder = pathlib.Path(tempfile.mkdtemp())
print([device.platform for device in jax.devices()])

# %% [markdown]
# ## The data: a shard for each process
#
# Large data are best kept in several files, so that every process reads its own. Whole persons
# belong in one of them: a shard has some of the rows of the persons x items table. Here they are
# the 24 responses of 316 persons on verbal aggression (De Boeck & Wilson, 2004), in two files of
# unequal length.

# %%
responses = eirt.load("verbagg")
table = responses.pivot(index="id", columns="item", values="r2")
table = (table == "Y").astype("int8").reset_index()
table.columns = table.columns.astype(str)
for shard, rows in enumerate((slice(0, 200), slice(200, None))):
    table[rows].to_parquet(folder / f"shard{shard}.parquet")
print(table.iloc[:3, :5].to_string(index=False))

# %% [markdown]
# ## One machine, one device
#
# With a GPU and `pip install "jax[cuda12]"` the same lines run there, without `device=`. A GPU pays
# when persons x nodes is large, tens of thousands of persons or more; `device="cpu"` keeps a small
# model off it.

# %%
whole = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
single = eirt.two_pl(whole, wide=True, device="cpu")
print(repr(single))

# %% [markdown]
# A name that JAX does not know on this machine is an error that says what to install:

# %%
try:
    eirt.two_pl(whole, wide=True, device="tpu")
except ValueError as error:
    print(error)

# %% [markdown]
# ## One machine, several devices
#
# `device="all"` spreads persons over all local devices. Without several GPUs JAX can pretend: it
# makes several devices of one processor, which is no faster but shows that the answer is the same.
# It reads how many from the environment when it starts, therefore this is a process of its own.

# %%
LOCAL = """
import pathlib, sys
import jax, pandas as pd
import eirt

shards = sorted(pathlib.Path(sys.argv[1]).glob("*.parquet"))
data = pd.concat([pd.read_parquet(path) for path in shards])
fit = eirt.two_pl(data, wide=True, device="all")
print(len(jax.devices()), "devices:", repr(fit), flush=True)
"""


def launch(script: str, *arguments: object, **environment: str) -> subprocess.Popen:
    """Start a Python process."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )


virtual = launch(LOCAL, folder, XLA_FLAGS="--xla_force_host_platform_device_count=4")
print(virtual.communicate()[0])
assert virtual.returncode == 0

# %% [markdown]
# ## Several processes
#
# On a cluster there is a process for each machine, or for each GPU. `jax.distributed` introduces
# them to each other; then each process reads its own shard and calls the same model with
# `device="all"`. Every process gets the same fit: estimates, standard errors, log-likelihood and
# criteria are those of all persons. What is said of single persons, `fit.persons()`, is said of
# the persons of the process.
#
# The program is one file, the same for all:

# %%
PROGRAM = """
import pathlib, sys
import jax

folder, address, n, process = pathlib.Path(sys.argv[1]), *sys.argv[2:]
jax.config.update("jax_cpu_collectives_implementation", "gloo")  # without GPUs
jax.distributed.initialize(address, int(n), int(process))

import eirt

me = jax.process_index()
fit = eirt.two_pl(folder / f"shard{me}.parquet", wide=True, device="all")
fit.persons().to_csv(folder / f"persons{me}.csv", index=False)
if me == 0:
    fit.items.to_csv(folder / "items.csv", index=False)
    print(jax.process_count(), "processes:", repr(fit), flush=True)
"""

# %% [markdown]
# **Without a scheduler** it is started once for each process. All get the address of the first
# (any free port), how many they are, and which they are:
#
# ```bash
# python program.py shards node1:12345 2 0     # on node1
# python program.py shards node1:12345 2 1     # on node2
# ```
#
# Both may as well be processes of one machine, as here:

# %%
with socket.socket() as free:
    free.bind(("localhost", 0))
    address = f"localhost:{free.getsockname()[1]}"
begin = time.perf_counter()
processes = [launch(PROGRAM, folder, address, 2, k) for k in (0, 1)]
for process in processes:
    print(process.communicate()[0], end="")
    assert process.returncode == 0
print(f"{time.perf_counter() - begin:.0f} seconds, most of them to start and to compile")

# %% [markdown]
# **With SLURM** JAX finds out for itself who is who: `jax.distributed.initialize()` needs no
# arguments, and `srun` starts the program for every GPU. The file `fit.sbatch`, to be sent off by
# `sbatch fit.sbatch`:
#
# ```bash
# #!/bin/bash
# #SBATCH --nodes=4
# #SBATCH --ntasks-per-node=4      # a process for each GPU
# #SBATCH --gpus-per-node=4
# #SBATCH --cpus-per-task=8
# #SBATCH --time=00:30:00
# srun python program.py shards    # with jax.distributed.initialize() in it
# ```
#
# Sixteen processes then read `shard0.parquet` to `shard15.parquet`, each its own.

# %% [markdown]
# ## It is the same fit

# %%
items = pd.read_csv(folder / "items.csv")
persons = pd.concat([pd.read_csv(folder / f"persons{k}.csv") for k in (0, 1)], ignore_index=True)
columns = ["easiness", "se", "discrimination", "discrimination_se"]
of_items = (items[columns] - single.items[columns]).abs().max().max()
of_persons = (persons[["ability", "se"]] - single.persons()[["ability", "se"]]).abs().max().max()
print(f"largest difference of items {of_items:.1e}, of persons {of_persons:.1e}")
assert max(of_items, of_persons) < 1e-8

# %% [markdown]
# ## What to know
#
# - All responses of a person belong to one process, and persons of different processes have
#   different labels; where there is no column of labels persons are numbered on.
# - The columns (the items) are the same in every shard, in the same order. A process need not have
#   seen every response: what each item got is exchanged first.
# - Every process makes the same calls, in the same order, where something is fitted: a fit is a
#   conversation. Tables, scores and pictures of a finished fit are made by whoever wants them.
# - Tables of whole numbers (`wide=True`, no covariates of persons) stay where they are, a byte a
#   response. All other data, rows of responses or tables with `ability=`, are exchanged when the
#   model is set up, so that every process must be able to hold them for that moment.
# - Refits to other persons, items or responses (bootstrap, cross-validation, differential
#   functioning) run in one process. What examines single responses, such as `fit.item_fit()`,
#   looks at the persons of the process alone.
