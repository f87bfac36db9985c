"""The cache of compiled programs: an entry that a killed process left half-written is written anew."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture
def folder(tmp_path):
    """Give jax a cache of its own."""
    names = {
        "jax_compilation_cache_dir": str(tmp_path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in names.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def compiled():
    """Compile the same program as if in a new process."""

    @jax.jit
    def program_of_this_test(x):
        return x * 3 + 1

    return program_of_this_test.lower(1.0).compile()(2.0)


def test_an_entry_that_cannot_be_read_is_written_anew(folder):
    assert compiled() == 7
    (entry,) = folder.glob("*program_of_this_test*-cache")
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="Error reading persistent compilation cache entry"):
        assert compiled() == 7
    assert len(entry.read_bytes()) >= 0.9 * len(whole)
    entry.rename(entry.with_name("read"))
    assert compiled() == 7  # stores it, where it is not there
    assert entry.exists()
