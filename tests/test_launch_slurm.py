"""The launcher for Slurm where there is no Slurm; tests/cluster has those that need one."""

from pathlib import Path

import pytest

from curriculum.errors import InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.schedule import Blocks, run_jobs
from curriculum.launch.shared_folder import LENGTH, TOKEN, check_token, lay_token


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


class Queue:
    """A launcher in whose queue some jobs are already; each ends well at once."""

    slots = 2

    def __init__(self, queued):
        self.queued, self.adopted, self.started, self.active = set(queued), [], [], []

    def adopt(self, job):
        if job.name not in self.queued:
            return False
        self.queued.remove(job.name)
        self.adopted.append(job.name)
        self.active.append(job.name)
        return True

    def start(self, job):
        self.started.append(job.name)
        self.active.append(job.name)

    def ended(self):
        found, self.active = [Ended(name, 0) for name in self.active], []
        return found

    def stop(self): ...

    def close(self): ...


def test_jobs_that_are_in_a_queue_already_are_not_started_again_even_where_their_blocks_are_trained():
    jobs = [Job(name, ("true",), Path("no-log"), {}) for name in "abcd"]
    queue = Queue("ac")
    blocks = Blocks(lambda job: job.name in (*queue.adopted, *queue.started), lambda job: job.name == "a", lambda job: 0)
    standing = run_jobs(jobs, queue, blocks, sleep=lambda seconds: None)
    assert (queue.adopted, queue.started) == (["a", "c"], ["b", "d"])
    assert (standing.finished, standing.failures) == (4, [])


def test_a_job_that_was_submitted_by_a_driver_before_still_finds_its_token(tmp_path):
    first, second = lay_token(tmp_path), lay_token(tmp_path)
    assert first != second
    check_token(first)
    check_token(second)
    with pytest.raises(InputError, match="is not shared"):
        check_token({TOKEN: "0" * LENGTH + first[TOKEN][LENGTH:]})
