"""An experiment runner for curriculum training.

    from curriculum import PhaseEnd, on, run

    @on(PhaseEnd)
    def report(event):
        print(event.step, event.phase.name)

    run("color", "smooth.csv", hooks=[report])

Names are imported when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Action": "events",
    "Chunk": "events",
    "Diverged": "events",
    "PhaseEnd": "events",
    "PhaseStart": "events",
    "PreStep": "events",
    "Retarget": "events",
    "Retargeted": "events",
    "RunEnd": "events",
    "StepMetrics": "events",
    "Hook": "hooks",
    "on": "hooks",
    "run": "experiment",
    "plan": "experiment",
    "execute": "experiment",
    "Run": "runfolder",
    "find_run": "runfolder",
    "Dopesheet": "dopesheet",
    "parse": "dopesheet",
    "Schedule": "schedule",
    "SmoothProp": "schedule",
    "compile_sheet": "schedule",
    "CurriculumError": "errors",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curriculum' has no attribute {name!r}")
    return getattr(import_module(f"curriculum.{_HOMES[name]}"), name)
