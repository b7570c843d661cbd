"""Whose fault an error is: what a message names of a traceback."""

import importlib
import json
import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from curriculum import plugins
from curriculum.blame import blame, shown
from curriculum.console import report
from curriculum.errors import CurriculumError
from curriculum.runner.execute import execute
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run


def fault(call, *args):
    try:
        call(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing failed")


def written(folder, name, text):
    """The names that a file defines, as if a user had run it."""
    (folder / name).write_text(text)
    return runpy.run_path(str(folder / name))


LOSSES = "import json\nimport torch\n\ndef losses():\n    {}\n"
FAULTS = {
    "own": ("return logit", "digits.py:5: NameError: name 'logit' is not defined (in losses)"),
    "torch": ("torch.nn.Linear(2, 2)(torch.ones(3))", "digits.py:5: RuntimeError: "),
    "mapped": ("torch.func.vmap(lambda x: x @ x[:2])(torch.ones(2, 3, 3))", "digits.py:5: RuntimeError: "),
    "standard library": ("json.loads('{')", "digits.py:5: JSONDecodeError: "),
    "this package": ("from curriculum import parse; parse(3)", "digits.py:5: "),
    "generated": ("eval('1 / 0')", "digits.py:5: ZeroDivisionError: division by zero (in losses)"),
    "no text": ("assert 0", "digits.py:5: AssertionError (in losses)"),
    "exit": ("raise SystemExit(3)", "digits.py:5: SystemExit: 3 (in losses)"),
}


@pytest.mark.parametrize(("body", "said"), FAULTS.values(), ids=FAULTS)
def test_the_deepest_line_of_a_users_own_is_named(empty, body, said):
    assert blame(fault(written(empty, "digits.py", LOSSES.format(body))["losses"])).startswith(said)


def test_the_folder_of_a_file_is_named_where_it_is_not_the_working_folder(empty, monkeypatch):
    (empty / "here").mkdir()
    losses = written(empty, "digits.py", LOSSES.format("return logit"))["losses"]
    monkeypatch.chdir(empty / "here")
    assert blame(fault(losses)).startswith(f"{empty}/digits.py:5: NameError")
    assert shown("own/digits.py") == "own/digits.py"
    assert shown(empty / "here..x.py") == f"{empty}/here..x.py"


@pytest.mark.parametrize(
    "call", [lambda: json.loads("{"), lambda: np.zeros(3).reshape(2), lambda: torch.ones(3).reshape(2), lambda: plugins.find("task", "x")]
)
def test_no_line_is_named_in_code_that_is_not_the_users(call):
    error = fault(call)
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # without the lines in this file
    assert blame(error) == ""


def test_an_installed_package_is_the_users_where_it_is_named_so(empty, monkeypatch):
    site = empty / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "installed_digits.py").write_text(LOSSES.format("return logit"))
    monkeypatch.syspath_prepend(site)
    error = fault(importlib.import_module("installed_digits").losses)
    error.__traceback__ = error.__traceback__.tb_next
    assert blame(error) == ""
    assert blame(error, ["installed_digits.models"]).startswith("lib/site-packages/installed_digits.py:5: NameError")
    del sys.modules["installed_digits"]


def test_a_users_fault_is_not_called_a_bug_of_the_program(empty, capsys):
    for body, said in (("return logit", "NameError: name 'logit'"), ("open('nosuch')", "FileNotFoundError: [Errno 2]")):
        assert report(fault(written(empty, "digits.py", LOSSES.format(body))["losses"])) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"error: digits.py:5: {said}"), err
        assert err.endswith("(in losses); run again with --debug for a traceback\n")
    error = fault(json.loads, "{")
    error.__traceback__ = None
    report(error)
    assert "this is a bug in curriculum: JSONDecodeError" in capsys.readouterr().err


TASK = "from curriculum.tasks.color.task import ColorTask\n\nclass Own(ColorTask):\n    def batches(self, *given):\n        {}\n"
SHEET = "STEP,PHASE,lr,loss-recon\n0,Primary & secondary,0.01,1\n5,,,\n"


@pytest.mark.parametrize(
    ("body", "said"), [("return logit", "NameError: name 'logit'"), ("exit(0)", "SystemExit: 0"), ("open('nosuch')", "F")]
)
def test_a_fault_of_a_task_while_it_trains_is_told_with_its_line(empty, body, said):
    checked = plan("ex-1.6", parse(SHEET))
    own = written(empty, "own.py", TASK.format(body))["Own"](checked.config.task)
    with pytest.raises(CurriculumError, match=rf"own\.py:5: {said}.*\(in batches"):
        execute(replace(checked, task=own), empty / "run", figures=False)
    stored = Run(empty / "run")
    assert stored.status == "failed"
    assert "own.py:5" in stored.manifest["error"]
