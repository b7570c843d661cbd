"""Columns of stored tables, and that nobody waits for pandas."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from curriculum.store.columns import numbers, values_of, whole

CODE = """
import json, sys
from curriculum.cli.app import main
try:
    main()
finally:
    print(json.dumps("pandas" in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("missing", [[], [0], [3, 8, 9], list(range(17))])
def test_a_column_is_that_of_pyarrow(missing):
    values = np.arange(17, dtype=np.float32)
    values[missing] = np.nan
    assert numbers(values).equals(pa.array(values, pa.float32(), from_pandas=True))
    assert numbers(values).null_count == len(missing)
    assert whole(np.arange(5)).equals(pa.array(np.arange(5)))


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int64()])
def test_a_column_in_parts_is_read_as_pyarrow_reads_it(kind):
    first, second = pa.array([1, 2, 3, 4], kind), pa.array([5, 6, 7], kind)
    parts = (
        [first.slice(1, 2), second] if pa.types.is_integer(kind) else [first.slice(1, 2), second, pa.array([None, 8, None], kind).slice(1)]
    )
    column = pa.chunked_array(parts, kind)
    assert np.array_equal(values_of(column), column.to_numpy(), equal_nan=True)
    assert values_of(column).dtype == column.to_numpy().dtype
    assert values_of(pa.chunked_array([], kind)).shape == (0,)


def test_neither_training_nor_comparing_imports_pandas(tmp_path):
    def run(*args: str) -> bool:
        given = [sys.executable, "-c", CODE, *args, "--runs", str(tmp_path)]
        done = subprocess.run(given, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
        return bool(json.loads(done.stderr.splitlines()[-1]))

    assert not run("train", "--dopesheet", "smooth.csv", "--seeds", "0:2", "--steps", "300", "--name", "a")
    assert not run("train", "--dopesheet", "stepped.csv", "--seeds", "0:2", "--steps", "300", "--name", "b")
    assert not run("compare", "a", "b")
