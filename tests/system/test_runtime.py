"""What is set before jax starts, each in a process of its own."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

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
            assert getattr(collapse_jax, name).__name__ == name
        assert "jax" in sys.modules
    """
    assert run_python(code, XLA_FLAGS="").split() == ["False", "False"]


def test_each_core_becomes_a_device():
    code = """
        from collapse_jax.system import runtime
        runtime.start(devices=3)
        import jax
        print(jax.local_device_count(), jax.config.jax_default_matmul_precision)
    """
    assert run_python(code, XLA_FLAGS="").split() == ["3", "highest"]


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
