"""What a user names in code of their own: files, modules and entry points, and what is wrong with them."""

import hashlib
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

from curriculum import plugins
from curriculum.errors import InputError

DIGITS = """
from curriculum.train.task import Task

SIZE = 8

class Digits(Task):
    terms = ("loss",)

class Letters(Digits): ...

def helper(): ...
"""
KINDS = {
    "measure": ("from curriculum.measure.metric import Metric\n", "Metric('X', 'x', '', len)"),
    "figure": ("", "lambda run, seed: None"),
    "timing": ("", "lambda u: u"),
}


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch, tmp_path):
    """Leave the path of this process as it was, and forget the modules of a test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def digits(empty):
    (empty / "digits.py").write_text(DIGITS)
    return empty


def says(name, *texts, kind="task", near=()):
    with pytest.raises(InputError) as caught:
        plugins.find(kind, name, near)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    for text in texts:
        assert text in message, message
    return message


def install(folder: Path, title: str, points: str, body: str = "") -> None:
    """Install a distribution by hand: its metadata, and a module `body`."""
    info = folder / f"{title}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {title}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    if body:
        (folder / f"{title}.py").write_text(body)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


# shipped


def test_shipped_things_are_found_by_their_name():
    assert plugins.find("task", "color").__name__ == "ColorTask"
    assert plugins.find("measure", "jitter").id == "H3b"
    assert plugins.find("figure", "losses").__module__ == "curriculum.draw.plots.losses"
    assert plugins.find("timing", "linear").monotone
    assert {"color", "e2c"} <= set(plugins.names("task"))
    assert "minjerk" in plugins.names("timing")
    assert plugins.source_of("color") is None


def test_an_unknown_name_is_told_the_nearest_and_how_to_name_code_of_ones_own(digits):
    says("colr", "unknown task 'colr', did you mean 'color'? (allowed: ", "./FILE.py:NAME, PACKAGE.MODULE:NAME)")
    says("digits", "unknown task 'digits'", "for the one in digits.py, write ./digits.py:NAME")


def test_what_looks_at_a_stored_run_imports_no_code_of_a_users(digits):
    (digits / "digits.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
    for name in ("./digits.py:METRIC", "digits:METRIC"):
        with pytest.raises(InputError, match="unknown measure"):
            plugins.shipped("measure", name)
    assert not (digits / "executed").exists()


# files


@pytest.mark.parametrize("name", ["./digits.py:Digits", "digits.py:Digits", "{}/digits.py:Digits", "digits:Digits"])
def test_a_task_is_found_in_a_file(digits, name):
    found = plugins.find("task", name.format(digits))
    assert (found.__name__, found.terms) == ("Digits", ("loss",))
    assert plugins.source_of(name.format(digits)) == (digits / "digits.py", hashlib.sha256(DIGITS.encode()).hexdigest())


@pytest.mark.parametrize("kind", KINDS)
def test_other_things_are_found_in_a_file(empty, kind):
    imports, value = KINDS[kind]
    (empty / "own.py").write_text(f"{imports}thing = {value}\nwrong = 3\n")
    assert plugins.find(kind, "./own.py:thing") is plugins.find(kind, "own.py:thing")
    says("./own.py:wrong", f"wrong in own.py is not {plugins.KINDS[kind].requirement} ({kind}s in it: thing)", kind=kind)


def test_a_file_is_looked_for_in_the_working_folder_first_then_near(empty, monkeypatch):
    for folder in ("here", "there"):
        (empty / folder).mkdir()
        (empty / folder / "digits.py").write_text(DIGITS.replace("loss", folder))
    (empty / "there" / "own").mkdir()
    (empty / "there" / "own" / "letters.py").write_text(DIGITS)
    monkeypatch.chdir(empty / "here")
    near = [empty / "there"]
    assert plugins.find("task", "./digits.py:Digits", near).terms == ("here",)
    assert plugins.find("task", "own/letters.py:Letters", near).__name__ == "Letters"
    assert plugins.source_of("own/letters.py:Letters", near)[0] == empty / "there" / "own" / "letters.py"
    says("./letters.py:Letters", "there is no file './letters.py'", "looked in the working folder and ", "/there)", near=near)


def test_a_file_is_imported_once_however_it_is_named(digits):
    (digits / "link.py").symlink_to("digits.py")
    (digits / "digits.py").write_text(f"{DIGITS}\nwith open('log', 'a') as log:\n    log.write('x')\n")
    found = {
        plugins.find("task", name) for name in ("./digits.py:Digits", "digits.py:Digits", f"{digits}/digits.py:Digits", "link.py:Digits")
    }
    assert len(found) == 1
    assert (digits / "log").read_text() == "x"
    assert not (digits / "__pycache__").exists()


def test_files_of_one_name_are_different_modules(empty):
    for folder in ("a", "b"):
        (empty / folder).mkdir()
        (empty / folder / "digits.py").write_text(DIGITS.replace("loss", folder))
    first, second = (plugins.find("task", f"{folder}/digits.py:Digits") for folder in "ab")
    assert (first.terms, second.terms) == (("a",), ("b",))
    assert sys.modules[first.__module__].Digits is first
    assert sys.modules[second.__module__].Digits is second


def test_an_edited_file_keeps_the_hash_of_what_was_imported(digits):
    found = plugins.find("task", "./digits.py:Digits")
    (digits / "digits.py").write_text("broken(")
    assert plugins.find("task", "./digits.py:Digits") is found
    assert plugins.source_of("./digits.py:Digits")[1] == hashlib.sha256(DIGITS.encode()).hexdigest()


def test_an_edit_of_the_same_size_within_the_same_second_is_seen(empty):
    (empty / "digits.py").write_text("1 / 0 #")
    says("./digits.py:Digits", "digits.py:1: ZeroDivisionError")
    (empty / "digits.py").write_text("fifty()")
    says("./digits.py:Digits", "digits.py:1: NameError: name 'fifty'")


def test_a_file_imports_what_is_next_to_it_also_later(empty):
    (empty / "own").mkdir()
    (empty / "own" / "early_module.py").write_text("TERMS = ('early',)")
    (empty / "own" / "late_module.py").write_text("TERMS = ('late',)")
    late = "    @staticmethod\n    def late():\n        import late_module\n        return late_module.TERMS\n"
    text = DIGITS.replace('    terms = ("loss",)\n', f"    terms = early_module.TERMS\n{late}")
    (empty / "own" / "digits.py").write_text(f"import early_module\n{text}")
    found = plugins.find("task", "own/digits.py:Digits")
    assert (found.terms, found.late()) == (("early",), ("late",))
    assert sys.path[0] != str(empty / "own")


def test_a_file_never_gets_the_module_of_another_folder(empty):
    for folder in ("a", "b"):
        (empty / folder).mkdir()
        (empty / folder / "own_model.py").write_text(f"TERMS = ({folder!r},)")
        (empty / folder / "digits.py").write_text("import own_model\n" + DIGITS.replace('("loss",)', "own_model.TERMS"))
    assert plugins.find("task", "a/digits.py:Digits").terms == ("a",)
    says("b/digits.py:Digits", "b/digits.py:1: 'own_model' is already imported from a/own_model.py", "b/own_model.py cannot", "rename")
    (empty / "random.py").write_text("")
    (empty / "late.py").write_text("def f():\n    from random import choice\n")
    says("./late.py:f", "late.py:2: 'random' is already imported from /", "random.py cannot", kind="figure")


BROKEN = {
    "syntax": ("x = 1\nclass Digits(:\n", "digits.py:2: SyntaxError: invalid syntax"),
    "indent": ("if True:\nx = 1\n", "digits.py:2: IndentationError: expected an indented block"),
    "zero byte": ("x = 1\n\0\n", "digits"),
    "Latin-1": (b"x = '\xe9'\n", "digits.py:1: SyntaxError: (unicode error) 'utf-8' codec"),
    "exception": ("x = 1\n\ndef f():\n    return y\nf()\n", "digits.py:4: NameError: name 'y' is not defined (in f)"),
    "in a library": ("import json\njson.loads('{')\n", "digits.py:2: JSONDecodeError: "),
    "exit": ("import sys\nsys.exit(3)\n", "digits.py:2: SystemExit: 3"),
    "import": ("import nosuch_library\n", "digits.py:1: ModuleNotFoundError: No module named 'nosuch_library'"),
    "next to it": ("import broken_helper\n", "broken_helper.py:1: ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize(("text", "place"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", ["./digits.py:Digits", "digits:Digits"])
def test_a_broken_file_is_told_with_its_line_and_stops_nobody_else(empty, text, place, name):
    (empty / "broken_helper.py").write_text("1 / 0\n")
    (empty / "digits.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = set(sys.modules)
    says(name, f"cannot load the task {name!r}: {place}")
    assert not [module for module in set(sys.modules) - before if "digits" in module]
    assert plugins.find("task", "color")
    (empty / "digits.py").write_text(DIGITS)
    assert plugins.find("task", name).terms == ("loss",)


def test_an_interrupt_while_a_file_is_imported_passes(empty):
    (empty / "digits.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        plugins.find("task", "./digits.py:Digits")


def test_what_is_not_there_is_told_with_the_nearest(digits, tmp_path):
    (digits / "folder.py").mkdir()
    (digits / "notes.txt").write_text("")
    says("./digts.py:Digits", "there is no file './digts.py', did you mean 'digits.py'?")
    says("./digits:Digits", "there is no file './digits', did you mean 'digits.py'?")
    says("/nosuch/digits.py:Digits", "there is no file '/nosuch/digits.py'")
    says("./folder.py:Digits", "folder.py is a folder")
    says("./notes.txt:Digits", "notes.txt is not a Python file")
    says("./digits.py:Digit", "there is no 'Digit' in digits.py, did you mean 'Digits'? (tasks in it: Digits, Letters)")
    says("./digits.py:Digits.build_", "there is no 'build_' in Digits, did you mean 'build'?")
    says("nosuch.module:Digits", "there is no module 'nosuch.module'")
    says("digits:Digit", "there is no 'Digit' in digits, did you mean 'Digits'? (tasks in it: Digits, Letters)")


@pytest.mark.parametrize("name", ["./digits.py", "digits.py", "./digits.py:", "digits:"])
def test_a_reference_without_a_name_is_told_the_choice(digits, name):
    says(name, f"write {name.rstrip(':')}:NAME (tasks in it: Digits, Letters)")


@pytest.mark.parametrize(("name", "kind"), [("SIZE", "task"), ("helper", "task"), ("Digits", "measure"), ("Digits", "figure")])
def test_a_thing_of_another_kind_is_refused(digits, name, kind):
    has = {"task": "tasks in it: Digits, Letters", "measure": "it has no measure", "figure": "figures in it: helper"}[kind]
    message = says(f"./digits.py:{name}", f"{name} in digits.py is not a", has, kind=kind)
    assert ("is not a subclass of curriculum.Task" in message) == (kind == "task")


def test_the_hash_of_a_task_covers_what_it_imports_from_its_folder(empty):
    def written(folder, **more):
        files = {"digits": f"import own_model\n{DIGITS}", "own_model": "def late():\n    from own_parts.layer import Layer\n"}
        files |= {"own_parts/__init__": "", "own_parts/layer": "from . import size\n", "own_parts/size": "SIZE = 3\n", "other": "x = 1\n"}
        (empty / folder / "own_parts").mkdir(parents=True, exist_ok=True)
        for name, text in (files | more).items():
            (empty / folder / f"{name}.py").write_text(text)
        return plugins.source_of(f"{folder}/digits.py:Digits")[1]

    first = written("a")
    assert first == written("b"), "the hash does not depend on where the folder is"
    assert first == written("a", other="x = 2\n"), "a file that is not imported is not part of it"
    for name in ("digits", "own_model", "own_parts/__init__", "own_parts/layer", "own_parts/size"):
        assert first != written("a", **{name: "y = 1\nimport own_model\nfrom own_parts import layer, size\n"}), name
    written("a")
    plugins.find("task", "a/digits.py:Digits")
    assert written("a", own_model="") == first, "what was imported counts"


def test_the_hash_of_an_installed_package_covers_its_modules(empty):
    package = empty / "site-packages" / "hashed_dist"
    package.mkdir(parents=True)
    install(empty / "site-packages", "other_dist", "[curriculum.tasks]\nnumbers = hashed_dist.tasks:Digits\n", "x = 1\n")
    for name, text in {"__init__": "", "tasks": f"import other_dist\nfrom .model import SIZE\n{DIGITS}", "model": "SIZE = 3\n"}.items():
        (package / f"{name}.py").write_text(text)
    path, first = plugins.source_of("numbers")
    assert path == package / "tasks.py"
    (empty / "site-packages" / "other_dist.py").write_text("x = 2\n")
    assert plugins.source_of("numbers")[1] == first
    (package / "model.py").write_text("SIZE = 4\n")
    assert plugins.source_of("numbers")[1] != first
    assert "hashed_dist" not in sys.modules


def test_a_task_may_be_in_an_archive(empty):
    with zipfile.ZipFile(empty / "own.zip", "w") as archive:
        archive.writestr("zipped_digits.py", DIGITS)
    sys.path.append(str(empty / "own.zip"))
    assert plugins.source_of("zipped_digits:Digits") is None
    assert plugins.find("task", "zipped_digits:Digits").terms == ("loss",)
    assert plugins.source_of("zipped_digits:Digits") is None


# entry points


def test_a_task_of_an_installed_package_is_found_by_its_entry_point(empty):
    text = "[curriculum.tasks]\nnumbers = digits_dist:Digits\n[curriculum.measures]\nlength = digits_dist:measure\n"
    imports, value = KINDS["measure"]
    install(empty / "site", "digits_dist", text, f"{DIGITS}{imports}measure = {value}\n")
    assert "numbers" in plugins.names("task")
    assert "length" in plugins.names("measure")
    assert "digits_dist" not in sys.modules
    assert plugins.find("task", "numbers").__name__ == "Digits"
    assert plugins.find("measure", "length").id == "X"
    assert plugins.source_of("numbers")[0] == empty / "site" / "digits_dist.py"
    says("nubmers", "unknown task 'nubmers', did you mean 'numbers'?")


def test_a_broken_package_stops_nobody_else(empty):
    install(empty / "site", "broken_dist", "[curriculum.tasks]\nbroken = broken_dist:Digits\n", "1 / 0\n")
    install(empty / "site", "odd_dist", "[curriculum.tasks]\nwithout value\n")
    install(empty / "site", "bare_dist", "[curriculum.tasks]\nbare = bare_dist\n", DIGITS)
    install(empty / "site", "good_dist", "[curriculum.tasks]\ngood = good_dist:Digits\n", DIGITS)
    assert {"broken", "good", "color"} <= set(plugins.names("task"))
    assert plugins.find("task", "good").terms == ("loss",)
    says("broken", "cannot load the task 'broken' from broken_dist: site/broken_dist.py:1: ZeroDivisionError")
    says("bare", "from bare_dist: its entry point is 'bare_dist', not PACKAGE.MODULE:NAME")


def test_two_packages_with_one_name_are_both_told(empty):
    for title in ("one_dist", "two_dist"):
        install(empty / "site", title, f"[curriculum.tasks]\nnumbers = {title}:Digits\ncolor = {title}:Digits\n", DIGITS)
    says("numbers", "there are 2 tasks named 'numbers', from one_dist and two_dist", "one_dist:Digits or two_dist:Digits")
    says("color", "there are 3 tasks named 'color', from curriculum and one_dist", "curriculum.tasks.color.task:TASK or one_dist:Digits")
    assert plugins.find("task", "one_dist:Digits").__module__ == "one_dist"
    assert plugins.find("task", "curriculum.tasks.color.task:TASK").__name__ == "ColorTask"
    assert plugins.shipped("task", "color").__name__ == "ColorTask"


def test_a_package_that_is_found_twice_is_one(empty):
    install(empty / "site", "digits_dist", "[curriculum.tasks]\nnumbers = digits_dist:Digits\n", DIGITS)
    sys.path.append(str(empty / "site" / ".." / "site"))
    assert sum(found.metadata["Name"] == "digits_dist" for found in distributions()) == 2
    assert plugins.find("task", "numbers").terms == ("loss",)


def test_names_are_listed_without_importing_anything(empty):
    code = "import sys; from curriculum import plugins; print(plugins.names('task')); assert not {'torch', 'pandas'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert re.search("'color', 'control', 'e2c'", done.stdout), done
