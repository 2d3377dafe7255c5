"""Each benchmark still runs, with tiny sizes; how fast is for the bench to say."""

import shutil
from pathlib import Path

import pytest

from tests.bench.benchmark import Size, rows_of
from tests.bench.catalogue import MODULES, find
from tests.bench.run import measure


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_runs_and_measures_what_its_targets_speak_of(name: str, tmp_path: Path) -> None:
    benchmark = find(name)
    for program in benchmark.needs:
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here; apt-get install -y {program}")
    figures = measure(benchmark, Size.SMOKE, inside=tmp_path)
    assert {target.figure for target in benchmark.targets} <= figures.keys()
    assert all(value >= 0 for value in figures.values()), figures
    assert len(rows_of(benchmark, [figures])) == len(figures)
