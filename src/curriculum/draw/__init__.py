"""Ink: figures and the video. What is drawn was computed elsewhere."""

import os
import sys
from contextlib import suppress


def _import_matplotlib(backend: str) -> None:
    """Import matplotlib without `MPLBACKEND`, then select the backend that it names if there is one of that name.

    With an unknown name in `MPLBACKEND`, the import itself raises an error. The figures of this package need no backend,
    so a run must not fail for that. Anything else in this process that draws still gets the backend that was chosen for it.
    """
    del os.environ["MPLBACKEND"]
    try:
        import matplotlib
    finally:
        os.environ["MPLBACKEND"] = backend
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = backend


if "matplotlib" not in sys.modules and (_backend := os.environ.get("MPLBACKEND")):
    _import_matplotlib(_backend)
