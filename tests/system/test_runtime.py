"""What is set before jax starts, mostly in processes of their own."""

import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap

import jax
import numpy as np
import pytest
from report_pages import write

from collapse_jax import open_results
from collapse_jax.experiment.config import Experiment
from collapse_jax.system import runtime
from collapse_jax.system.paths import path_of
from collapse_jax.workdir.record import read_record

ROOT = pathlib.Path(__file__).parents[2]


def run_python(code, **environment):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=200, env=os.environ | environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_neither_the_package_nor_reading_a_config_imports_jax():
    code = """
        import sys, collapse_jax
        from collapse_jax.cli.parse import parse
        parse(["train", "--config=configs/quickstart.py:smoke", "--workdir=nowhere"])
        print("jax" in sys.modules, "matplotlib" in sys.modules)
        for name in collapse_jax.__all__:
            assert name == "__version__" or getattr(collapse_jax, name).__name__ == name
        assert "jax" in sys.modules
    """
    assert run_python(code, XLA_FLAGS="").split() == ["False", "False"]


def test_commands_that_read_import_what_they_use(tmp_path):
    workdir, recorded = write(tmp_path / "w", manifest=False), write(tmp_path / "recorded")
    code = f"""
        import sys
        from collapse_jax.__main__ import main
        def said(*command):
            assert main([*command]) == 0
            heavy = ("jax", "xarray", "matplotlib", "scipy.stats", "scipy.optimize")
            print("imported:", command[0], *(name for name in heavy if name in sys.modules))
        said("--help")
        said("status", "--workdir={recorded}")
        said("show", "--workdir={workdir}", "--format=json")
        said("plot", "--workdir={workdir}", "--figures=phases")
        said("report", "--workdir={workdir}")
    """
    lines = [line for line in run_python(code, XLA_FLAGS="").splitlines() if line.startswith("imported: ")]
    assert lines == [
        "imported: --help",
        "imported: status xarray",
        "imported: show xarray",
        "imported: plot xarray matplotlib",
        "imported: report xarray matplotlib scipy.optimize",
    ]


def test_each_core_becomes_a_device():
    code = """
        from collapse_jax.system import runtime
        runtime.start(devices=3)
        import jax
        print(jax.local_device_count())
        runtime.start(devices=4)  # too late, and no matter
        print(jax.local_device_count())
    """
    assert run_python(code, XLA_FLAGS="").split() == ["3", "3"]


def test_training_leaves_each_call_of_lapack_one_thread_and_numpy_its_own():
    code = """
        from threadpoolctl import threadpool_info
        from collapse_jax.system import runtime
        import numpy, scipy.linalg
        for training in (False, True):
            runtime.start(training=training)
            found = {("scipy" in i["filepath"].split("/")[-2]): i["num_threads"] for i in threadpool_info()}
            print(found[True], found[False])
    """
    before, after = run_python(code, XLA_FLAGS="", OPENBLAS_NUM_THREADS="2").splitlines()
    assert (before, after) == ("2 2", "1 2")


def test_a_later_call_may_ask_for_more_devices():
    code = """
        from collapse_jax.system import runtime
        for devices in (2, 0, 1, 3, 0):
            runtime.start(devices)
        import jax
        print(jax.local_device_count())
    """
    assert run_python(code, XLA_FLAGS="").split() == ["3"]


def test_numbers_are_those_of_the_experiment_where_a_program_is_traced():
    for dtype, letters in (("float32", "f32"), ("float64", "f64")):
        for precision in ("highest", "high", "default"):
            with runtime.numbers(Experiment(dtype=dtype, precision=precision)):
                text = str(jax.make_jaxpr(lambda x: x @ x)(np.ones((2, 2))))
            assert f"{letters}[2,2]" in text
            assert f"Precision.{precision.upper()}" in text


def test_high_is_three_products_of_tf32_on_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    product = jax.jit(lambda x: x @ x)
    for dtype, products in (("float32", 1), ("float64", 0)):
        with runtime.numbers(Experiment(dtype=dtype, precision="high")):
            lowered = product.trace(np.ones((2, 2), dtype)).lower(lowering_platforms=("cuda",)).as_text()
        assert lowered.count("lhs_precision_type = tf32") == products
        assert lowered.count("num_primitive_operations = 3") == products


TRAIN = """
    import sys
    {before}
    import collapse_jax
    from collapse_jax.experiment.config import Experiment, Grid, Packing, Task, Model, Snapshots
    devices = int(sys.argv[2])
    experiment = Experiment(
        grid=Grid(seed=(1, 2)), steps=4, batch_size=30, task=Task(train_size=60, test_size=50),
        model=Model(hidden=(5,)), measures=("fit",), snapshots=Snapshots(content=(), test_size=0),
        packing=Packing(devices, 1),
    )
    try:
        collapse_jax.train(experiment, sys.argv[1])
    except collapse_jax.errors.CollapseError as error:
        print(error)
    else:
        import jax
        print(jax.local_device_count(), jax.config.jax_default_matmul_precision)
"""


def train_in_python(workdir, devices, before="", **environment):
    """Train a small sweep in a process that has done `before`, and return what it says at the end."""
    code = textwrap.dedent(TRAIN).replace("{before}", before)
    command = [sys.executable, "-c", code, str(workdir), str(devices)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_python_functions_set_jax_up_as_the_commands_do_or_say_that_it_is_too_late(tmp_path):
    mine = "import jax; jax.numpy.ones(1).block_until_ready()"
    flag = "--xla_cpu_enable_concurrency_optimized_scheduler=false"
    assert train_in_python(tmp_path / "w", 2, XLA_FLAGS="") == "2 None"
    rows = "{'train_features': [[1.0], [2.0]], 'train_labels': [0, 1]}"
    measured = f"import collapse_jax; collapse_jax.measure_arrays('collapse', **{rows})"
    assert train_in_python(tmp_path / "after_arrays", 2, measured, XLA_FLAGS="") == "2 None"
    said = train_in_python(tmp_path / "w", 0, mine, XLA_FLAGS="")
    assert said.startswith(f"XLA_FLAGS='': jax runs already, without {flag}")
    assert "\n" not in said
    # With the flag, the one device that jax then has is too few for a sweep that was begun on two.
    said = train_in_python(tmp_path / "w", 0, mine, XLA_FLAGS=flag)
    assert said.startswith("packing.devices=2: jax runs already in this process, with 1 device(s)")
    # What was begun on two devices continues on them, though nobody asked for any number.
    assert train_in_python(tmp_path / "w", 0, XLA_FLAGS="") == "2 None"


@pytest.mark.slow
@pytest.mark.bits
def test_commands_and_python_continue_each_other_with_the_same_bits(tmp_path):
    """Each trains to step 4, and the other goes on to step 8."""
    experiment = {
        "steps": 4,
        "grid.seed": [1, 2],
        "model.hidden": [6],
        "measures": ["fit"],
        "snapshots.content": [],
    }
    experiment |= {"task.test_size": 50, "snapshots.test_size": 0}
    flags = [f"--config.{name}={value}" for name, value in experiment.items()]
    config, command, results = f"{ROOT}/configs/quickstart.py:smoke", [], {}
    for begins, goes_on in (("command", "python"), ("python", "command")):
        workdir = tmp_path / begins
        for who, steps in ((begins, 4), (goes_on, 8)):
            if who == "command":
                command = ["-m", "collapse_jax", "train", f"--config={config}", *flags, f"--config.steps={steps}"]
                command += [f"--workdir={workdir}", "--extend", "--nofigures"]
            else:
                code = "import collapse_jax; collapse_jax.train(collapse_jax.load_config(*{}), {!r}, extend=True)"
                command = ["-c", code.format((config, experiment | {"steps": steps}), str(workdir))]
            subprocess.run([sys.executable, *command], check=True, cwd=ROOT, env=os.environ | {"XLA_FLAGS": ""})
        record = read_record(path_of("workdir", workdir))
        results[begins] = open_results(workdir), record["packing"], record.get("continued")
    assert results["command"][0].identical(results["python"][0])
    assert results["command"][1:] == results["python"][1:]
    assert results["python"][2] is None  # neither found another device, packing or version


PRODUCTS = """
import hashlib, jax, numpy as np

def products():
    # Like gradients of weights: long sums, which XLA splits among the threads of its pool.
    numbers, found = np.random.default_rng(0), hashlib.sha256()
    for rows in (46, 128):
        a, b = (numbers.normal(size=(320, size)).astype(np.float32) for size in (rows, 128))
        found.update(np.asarray(jax.jit(lambda a, b: jax.numpy.dot(a.T, b, precision="highest"))(a, b)))
    return found.hexdigest()
"""


@pytest.mark.parametrize("given", [{}, {"NPROC": "7"}])
def test_on_one_core_with_one_device_matrix_products_have_the_bits_of_two(given):
    """Of this process, which has two devices; one thread, and seven, would sum in other orders."""
    here: dict = {}
    exec(PRODUCTS, here)
    start = """
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from collapse_jax.system import runtime
runtime.start(training=True)
"""
    there = run_python(f"{start}{PRODUCTS}\nprint(jax.local_device_count(), products())", **given).split()
    assert there == ["1", here["products"]()]


@pytest.mark.parametrize("own", ["--xla_cpu_multi_thread_eigen=true", "--xla_cpu_enable_fast_math=false"])
def test_flags_of_the_user_win(own):
    code = "import os; from collapse_jax.system import runtime; runtime.start(2); print(os.environ['XLA_FLAGS'])"
    flags = run_python(code, XLA_FLAGS=own).split()
    assert own in flags
    names = [flag.partition("=")[0] for flag in flags]
    assert len(names) == len(set(names))
    assert "--xla_cpu_enable_concurrency_optimized_scheduler=false" in flags


def test_a_cache_folder_of_the_user_wins(tmp_path):
    code = """
        from collapse_jax.system import runtime
        runtime.start()
        import jax
        print(jax.config.jax_compilation_cache_dir)
    """
    assert str(tmp_path / "mine") in run_python(code, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "mine"))
    assert str(tmp_path / "xdg") in run_python(code, XDG_CACHE_HOME=str(tmp_path / "xdg"))


def test_training_and_cholesky_in_turns_do_not_hang():
    """The combination that jax 0.10.2 never returns from on two cores without the flag that `start` sets."""
    code = """
        from collapse_jax.system import runtime
        runtime.start(devices=2)
        import jax, jax.numpy as jnp

        @jax.jit
        @jax.vmap
        def train(w):
            def step(w, _):
                return w - 1e-3 * jax.grad(lambda w: jnp.sum(jnp.tanh(jnp.ones((64, 128)) @ w) ** 2))(w), None
            return jax.lax.scan(step, w, None, 20)[0]

        @jax.jit
        @jax.vmap
        def measure(w):
            factor = jax.scipy.linalg.cho_factor(w @ w.T + jnp.eye(128))
            return jnp.trace(jax.scipy.linalg.cho_solve(factor, jnp.eye(128)))

        w = jax.random.normal(jax.random.key(0), (12, 128, 128)) / 12
        for _ in range(20):
            w = train(w)
            measure(w).block_until_ready()
        print("done")
    """
    assert run_python(code, XLA_FLAGS="").split() == ["done"]


def test_without_home_and_user_the_cache_is_a_folder_that_nobody_else_can_fill(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pathlib.Path, "home", no_home)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    own = tmp_path / f"user_{os.getuid()}"
    assert runtime.cache_directory().is_relative_to(own)
    assert own.stat().st_mode & 0o077 == 0
    own.rmdir()
    (tmp_path / "elsewhere").mkdir()
    own.symlink_to(tmp_path / "elsewhere")  # made by another user, before us
    assert not runtime.cache_directory().is_relative_to(own)
