"""The launcher for Slurm where there is no Slurm; tests/cluster has those that need one."""

import pytest


@pytest.mark.parametrize("more", [[], ["--plan"], ["--detach"]])
def test_without_slurm_the_launcher_says_where_to_run_it(empty, here, monkeypatch, more):
    monkeypatch.setenv("PATH", str(empty))
    found = here("experiment", "smooth-vs-stepped", "--seeds", "0:8", "--steps", "30", "--launcher", "slurm", *more)
    assert found.code == 2
    assert "the launcher slurm needs Slurm's commands, but there is no sbatch here: run it on a login node" in found.err
    assert list(empty.iterdir()) == []


def test_settings_of_slurm_are_refused_for_other_launchers(empty, here):
    (empty / "cluster.yaml").write_text("name: local\npartition: main\nsetup: [module load python]\n")
    found = here("experiment", "smooth-vs-stepped", "--seeds", "0:8", "--launcher-config", "cluster.yaml")
    assert found.code == 2
    assert "is a setting of the launcher slurm, not of local" in found.err
    assert not (empty / "runs").exists()
