"""The architecture as a test: every module has a layer, and imports point to the same layer or above."""

import ast
from pathlib import Path

import curriculum

ROOT = Path(curriculum.__file__).parent

LAYERS = [
    ["", "errors", "plugins"],
    ["timing", "dopesheet", "schedule", "sheetdiff", "windows", "stats", "verdicts", "config"],
    ["streams", "dynamics", "worlds", "worlds.*", "e2c", "e2c.*", "task", "tasks", "tasks.*", "ensemble", "optimizer", "events", "trainer"],
    ["manifest", "storage", "lock", "checkpoint", "runfolder", "runwriter", "store", "background", "hooks"],
    [
        "traces",
        "replay",
        "orientation",
        "drift",
        "hue_circle",
        "maps",
        "curves",
        "metrics",
        "metrics.*",
        "compare",
        "plots",
        "plots.*",
        "scene",
        "encoder",
        "animate",
    ],
    [
        "library",
        "experiment",
        "session",
        "provenance",
        "signals",
        "resume",
        "fork",
        "verify",
        "retrain",
        "study",
        "console",
        "progress",
        "guard",
        "cli",
        "cli_sheets",
        "cli_train",
    ],
]
PURE_FORBIDS = {"torch", "pathlib", "os", "time", "tempfile", "subprocess", "random"}


def layer_of(name: str) -> int:
    folder = name.partition(".")[0]
    for rank, names in enumerate(LAYERS):
        if name in names or ("." in name and f"{folder}.*" in names):
            return rank
    raise AssertionError(f"the module {name!r} has no layer: add it to LAYERS where it belongs")


def modules() -> dict[str, Path]:
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py")}
    return {name.removesuffix("__init__").rstrip("."): path for path, name in names.items()}


def imports(path: Path, types_too: bool) -> set[str]:
    """List what a module imports anywhere in it; imports for types alone only on request."""
    tree = ast.parse(path.read_text())
    for_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for_types |= {id(inner) for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types and not types_too:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def test_imports_point_upward():
    known = modules()
    for name, path in known.items():
        for imported in imports(path, types_too=False):
            target = imported.removeprefix("curriculum").lstrip(".")
            if imported.split(".")[0] == "curriculum" and target in known:
                assert layer_of(target) <= layer_of(name), f"{name} imports {target}, which is below it"


def test_the_pure_layers_know_no_files_clocks_or_torch():
    for name, path in modules().items():
        if name and name != "plugins" and layer_of(name) <= 1:
            roots = {imported.split(".")[0] for imported in imports(path, types_too=True)}
            assert not roots & PURE_FORBIDS, f"{name} imports {roots & PURE_FORBIDS}"


def test_compute_reads_and_writes_no_files():
    for name, path in modules().items():
        if layer_of(name) == 2:
            roots = {imported.split(".")[0] for imported in imports(path, types_too=True)}
            assert not roots & (PURE_FORBIDS - {"torch"}), name
            assert "print(" not in path.read_text(), name


def test_plots_train_nothing_and_compute_no_statistics():
    for name, path in modules().items():
        if name.startswith("plots"):
            found = imports(path, types_too=True)
            assert not any(imported.startswith(("torch", "scipy", "curriculum.trainer", "curriculum.metrics")) for imported in found), name
