"""The config: what YAML means, what an override means, and where every mistake is reported."""

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curriculum import plugins
from curriculum.config.settings import schema_of
from curriculum.config.yaml import load as load_config
from curriculum.config.yaml import write
from curriculum.errors import ConfigError
from curriculum.train.make import settings_of

FUZZ = settings(deadline=None, max_examples=100)
TASK = "task:\n  name: color\n"


def load(text, *overrides):
    return load_config(text, "c.yaml", settings_of, plugins.names("task"), overrides)


def problems(text, *overrides):
    with pytest.raises(ConfigError) as caught:
        load(text, *overrides)
    return caught.value.problems


# --- what is read ---


def test_a_config_needs_only_its_task():
    config = load(TASK)
    assert (config.task.name, config.seeds, config.threads, config.hooks) == ("color", (0,), 1, ())
    assert (config.optimizer.betas, config.optimizer.eps) == ((0.9, 0.999), 1e-8)


def test_every_group_is_read():
    config = load(
        """
        task: {name: color, hidden: 8, sample_weighting: sum, phases: {All hues: {train: full, validate: rgb}}}
        seeds: [3, 5]
        optimizer: {betas: [0.5, 0], eps: 1}
        record: {snapshot_every: 10}
        threads: 2
        hooks: [{on: run-end, call: 'a.b:c'}]
        """
    )
    assert (config.task.hidden, config.task.sample_weighting, list(config.task.phases)) == (8, "sum", ["All hues"])
    assert config.task.phases["All hues"].validate_on == "rgb"
    assert (config.seeds, config.optimizer.betas, config.optimizer.eps) == ((3, 5), (0.5, 0.0), 1.0)
    assert (config.record.snapshot_every, config.threads) == (10, 2)
    assert (config.hooks[0].on, config.hooks[0].call) == ("run-end", "a.b:c")


@pytest.mark.parametrize(("written", "value"), [("1e-3", 1e-3), ("1E-10", 1e-10), ("1.5e+2", 150.0), (".5", 0.5), ("2", 2.0)])
def test_numbers_are_those_of_yaml_1_2(written, value):
    assert load(f"{TASK}optimizer: {{eps: {written}}}\n").optimizer.eps == value


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        ("7", (7,)),
        ("'7'", (7,)),
        ("0:4", (0, 1, 2, 3)),
        ("'2:3'", (2,)),
        ("[5, 0, 3]", (5, 0, 3)),
        ("[9223372036854775807]", (2**63 - 1,)),
        ("0:4096", tuple(range(4096))),
    ],
)
def test_seeds(written, seeds):
    assert load(f"{TASK}seeds: {written}\n").seeds == seeds
    assert load(TASK, f"seeds={written}").seeds == seeds


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("task.hidden=32", lambda config: config.task.hidden == 32),
        ("optimizer.eps=1e-4", lambda config: config.optimizer.eps == 1e-4),
        ("optimizer.betas=[0.1, 0.2]", lambda config: config.optimizer.betas == (0.1, 0.2)),
        ("task.normalize_bottleneck=true", lambda config: config.task.normalize_bottleneck is True),
        ("task.sample_weighting=sum", lambda config: config.task.sample_weighting == "sum"),
        (" task.hidden = 32 ", lambda config: config.task.hidden == 32),
        ("hooks=[{on: 'action:a=b', call: 'm:f'}]", lambda config: config.hooks[0].on == "action:a=b"),
        ("task.phases.B.train=primary", lambda config: config.task.phases["B"].train == "primary"),
    ],
)
def test_an_override_is_typed_by_the_schema(override, read):
    assert read(load(TASK + "  hidden: 5\n  phases: {B: {train: full, validate: rgb}}\noptimizer: {eps: 1}\n", override))


def test_overrides_make_groups_that_the_file_leaves_out_and_the_last_one_counts():
    config = load(TASK, "optimizer.eps=1", "optimizer.eps=2", "record.snapshot_every=7")
    assert (config.optimizer.eps, config.record.snapshot_every) == (2.0, 7)


def test_anchors_and_aliases_keep_their_types():
    config = load("task:\n  name: color\n  hidden: &n 4\n  latent_dim: *n\n  normalize_bottleneck: &yes true\noptimizer: {eps: &e 0.5}\n")
    assert (config.task.hidden, config.task.latent_dim, config.optimizer.eps) == (4, 4, 0.5)
    assert config.task.normalize_bottleneck is True


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load(TASK).threads = 5


# --- what is refused, and where ---


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        # not YAML, or no mapping
        ("task: [1\n", (2, 1), ["YAML"]),
        ("task:\n  name: color\n hidden: 3\n", (3, 2), ["YAML"]),
        ("task: *nowhere\n", (1, 7), ["nowhere"]),
        ("task: {name: color}\nseeds: 1\nthreads: 1\nseeds: 2\n", (4, 1), ["duplicate", "seeds"]),
        ("task:\n  name: color\n  name: color\n", (3, 3), ["duplicate", "name"]),
        ("", (1, 1), ["mapping", "empty"]),
        ("- 1\n- 2\n", (1, 1), ["mapping", "a list"]),
        ("just text\n", (1, 1), ["mapping", "'just text'"]),
        # the task
        ("seeds: 1\n", (1, 1), ["task", "color"]),
        ("seeds: 1\ntask: color\n", (2, 1), ["task", "name", "color"]),
        ("seeds: 1\ntask: {hidden: 3}\n", (2, 1), ["task", "name", "color"]),
        ("seeds: 1\ntask:\n  name: colour\n", (3, 3), ["'colour'", "did you mean 'color'"]),
        # unknown keys
        (TASK + "seed: 3\n", (3, 1), ["'seed'", "did you mean 'seeds'", "threads"]),
        (TASK + "  hiden: 3\n", (3, 3), ["'hiden'", "did you mean 'hidden'", "latent_dim"]),
        (TASK + "optimizer: {ep: 1}\n", (3, 13), ["'ep'", "did you mean 'eps'", "betas"]),
        (TASK + "record:\n  snapshot_evry: 1\n", (4, 3), ["'snapshot_evry'", "did you mean 'snapshot_every'"]),
        (TASK + "hooks:\n  - on: run-end\n    call: a:b\n    cal: a:b\n", (6, 5), ["'cal'", "did you mean 'call'"]),
        (
            TASK + "  phases:\n    All hues:\n      train: full\n      validate: rgb\n      trian: full\n",
            (7, 7),
            ["'trian'", "did you mean 'train'", "validate"],
        ),
        # missing keys
        (TASK + "hooks:\n  - on: run-end\n", (4, 5), ["'hooks.0.call'", "missing"]),
        (TASK + "  phases:\n    A: {train: full}\n", (4, 5), ["task.phases.A.validate", "missing"]),
        # values
        (TASK + "  hidden: eight\n", (3, 3), ["task.hidden", "'eight'", "integer"]),
        (TASK + "  hidden: '8'\n", (3, 3), ["task.hidden", "'8'", "integer"]),
        (TASK + "  hidden: 8.5\n", (3, 3), ["task.hidden", "8.5", "integer"]),
        (TASK + "  hidden: 0\n", (3, 3), ["task.hidden", "0", "1"]),
        (TASK + "  normalize_bottleneck: yes\n", (3, 3), ["task.normalize_bottleneck", "'yes'", "boolean"]),
        (TASK + "  sample_weighting: maen\n", (3, 3), ["'maen'", "'sum'", "did you mean 'mean'"]),
        (TASK + "  phases:\n    A: {train: ful, validate: rgb}\n", (4, 9), ["task.phases.A.train", "'ful'", "did you mean 'full'"]),
        (TASK + "  phases:\n    1: {train: ful, validate: rgb}\n", (4, 9), ["task.phases.1.train", "'ful'", "did you mean 'full'"]),
        (TASK + "optimizer: {betas: [0.9, 2]}\n", (3, 26), ["optimizer.betas.1", "2", "less than 1"]),
        (TASK + "optimizer: {eps: .nan}\n", (3, 13), ["optimizer.eps", "nan", "finite"]),
        (TASK + "optimizer: {eps: 0}\n", (3, 13), ["optimizer.eps", "0", "greater than 0"]),
        (TASK + "optimizer: adam\n", (3, 1), ["optimizer", "'adam'"]),
        (TASK + "threads: 1000\n", (3, 1), ["threads", "1000", "256"]),
        (TASK + "hooks: [{on: run-end, call: nowhere}]\n", (3, 23), ["hooks.0.call", "'nowhere'"]),
        # seeds
        (TASK + "seeds: 4:2\n", (3, 1), ["seeds", "'4:2'", "0:32"]),
        (TASK + "seeds: 3:3\n", (3, 1), ["seeds", "'3:3'", "0:32"]),
        (TASK + "seeds: all\n", (3, 1), ["seeds", "'all'", "0:32"]),
        (TASK + "seeds: [1, 2, 1]\n", (3, 1), ["seeds", "once"]),
        (TASK + "seeds: []\n", (3, 1), ["seeds", "at least 1"]),
        (TASK + "seeds: 0:5000\n", (3, 1), ["seeds", "4096"]),
        (TASK + "seeds: [0, -1]\n", (3, 12), ["seeds.1", "-1"]),
        (TASK + "seeds: [0, x]\n", (3, 12), ["seeds.1", "'x'", "integer"]),
        (TASK + "seeds: [9223372036854775808]\n", (3, 9), ["seeds.0", "9223372036854775808"]),
        (TASK + "seeds: true\n", (3, 1), ["seeds"]),
    ],
)
def test_mistakes(text, place, says):
    (problem,) = problems(text)
    assert (problem.source, problem.line, problem.column) == ("c.yaml", *place)
    assert [part for part in says if part not in problem.message] == []
    assert "\n" not in problem.message


def test_all_mistakes_are_reported_at_once():
    found = problems(TASK + "  hiden: 3\nseeds: 4:2\noptimizer:\n  eps: x\nthread: 1\n", "record.snapshot_every=0", "task.latent_dim=x")
    assert [(problem.source, problem.line, problem.column) for problem in found] == [
        ("--set record.snapshot_every=0", 0, 0),
        ("--set task.latent_dim=x", 0, 0),
        ("c.yaml", 3, 3),
        ("c.yaml", 4, 1),
        ("c.yaml", 6, 3),
        ("c.yaml", 7, 1),
    ]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seds=1", ["'seds'", "did you mean 'seeds'"]),
        ("task.hiden=1", ["'hiden'", "did you mean 'hidden'"]),
        ("task.name=colr", ["'colr'", "did you mean 'color'"]),
        ("task.hidden=many", ["task.hidden", "'many'", "integer"]),
        ("task.hidden=", ["task.hidden", "integer"]),
        ("task.hidden=[1", ["YAML"]),
        ("task.hidden", ["a.b=value"]),
        ("=1", ["a.b=value"]),
        ("task..hidden=1", ["a.b=value"]),
        ("threads.x=1", ["threads"]),
        ("seeds.0=1", ["seeds"]),
        ("task.name.x=1", ["name"]),
        ("task.phases.All hues.train=primary", ["validate", "missing"]),
        ("record.snapshot_evry=1", ["'snapshot_evry'", "did you mean 'snapshot_every'"]),
    ],
)
def test_a_wrong_override_is_named(override, says):
    (problem,) = problems(TASK, override)
    assert problem.source == f"--set {override}"
    assert [part for part in says if part not in problem.message] == []


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{this}: &{this} [{','.join([f'*{before}'] * 9)}]\n" for before, this in zip("abcdefgh", "bcdefghi", strict=True)
)
LONG = "F" * 4000


@pytest.mark.parametrize(
    "text",
    [
        TASK + BOMB,
        TASK + "x: &a [*a]\n",
        TASK + "x: " + "[" * 60 + "]" * 60,
        "[" * 1_000,
        TASK + f"threads: 0x{LONG}\n",
        TASK + f"threads: {'9' * 5000}\n",
        TASK + "threads: !!bool abc\n",
        TASK + "threads: !!int abc\n",
        TASK + "threads: !!python/object:os.system ls\n",
        TASK + "threads: 2001-99-99\n",
        TASK + "threads: [&a 1, &a 2]\n",
        TASK + "? [1, 2]\n: 3\n",
        TASK + '  sample_weighting: "\\uD800"\n',
        TASK + "---\nseeds: 1\n",
        TASK + "<<: 3\n",
        "\0",
        "\ud800",
    ],
    ids=[
        *("bomb", "loop", "nested", "brackets", "hexadecimal", "digits", "bool tag", "int tag", "object tag", "date", "anchors", "key"),
        *("surrogate", "documents", "merge", "zero byte", "lone surrogate"),
    ],
)
def test_odd_yaml_is_a_config_error(text):
    for problem in problems(text):
        assert problem.message.strip()
        assert "\n" not in problem.message
        assert len(problem.message) < 400


def test_an_alias_bomb_is_refused_for_its_size():
    (problem,) = problems(TASK + BOMB)
    assert "too large" in problem.message
    (problem,) = problems(TASK, "threads=" + json.dumps([[0] * 200] * 100))
    assert "too large" in problem.message


def test_two_keys_that_become_one_are_duplicates():
    found = problems(TASK + "  phases:\n    1: {train: full, validate: rgb}\n    '1': {train: primary, validate: rgb}\n")
    assert "duplicate" in found[0].message


# --- writing ---

names = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=12).filter(str.isprintable)
tricky = st.sampled_from(
    ["null", "true", "1", "1e-3", "~", "0:3", "a: b", "# c", "- d", "'", '"', "{", "?", "&a", "*a", "!t", "=", "<<", "%", "x" * 200]
)
unit = st.floats(0, 1, exclude_max=True)
configs = st.fixed_dictionaries(
    {
        "task": st.fixed_dictionaries(
            {"name": st.just("color")},
            optional={
                "hidden": st.integers(1, 1024),
                "normalize_bottleneck": st.booleans(),
                "sample_weighting": st.sampled_from(["mean", "sum"]),
                "phases": st.dictionaries(
                    names | tricky,
                    st.fixed_dictionaries(
                        {"train": st.sampled_from(["primary", "full"]), "validate": st.sampled_from(["primary", "full", "rgb"])}
                    ),
                    max_size=3,
                ),
            },
        )
    },
    optional={
        "seeds": st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5, unique=True),
        "optimizer": st.fixed_dictionaries({"betas": st.tuples(unit, unit), "eps": st.floats(min_value=5e-324, allow_infinity=False)}),
        "record": st.fixed_dictionaries({"snapshot_every": st.integers(1, 10**9)}),
        "threads": st.integers(1, 256),
        "hooks": st.lists(
            st.fixed_dictionaries({"on": names | tricky, "call": st.from_regex(r"[a-z_.]{1,9}:[a-z_.]{1,9}", fullmatch=True)}), max_size=2
        ),
    },
)


@FUZZ
@given(configs)
@example({"task": {"name": "color"}, "hooks": [{"on": "?x", "call": "a:b"}]})
def test_a_written_config_reads_back_equal(data):
    config = schema_of(settings_of("color")).model_validate_json(json.dumps(data))
    assert load(write(config)) == config


def test_what_is_written_is_what_was_set():
    config = load(write(load(TASK, "optimizer.eps=1e-3", "seeds=2:5", "task.hidden=7")))
    assert math.isclose(config.optimizer.eps, 1e-3, rel_tol=0)
    assert (config.seeds, config.task.hidden) == ((2, 3, 4), 7)


# --- anything at all ---

TOKENS = [
    *(
        "task",
        "name",
        "color",
        "seeds",
        "hooks",
        "optimizer",
        "eps",
        "0:4",
        "1",
        "1e-3",
        ".nan",
        "null",
        "true",
        "2001-01-01",
        "0x1F",
        "0o7",
    ),
    *(": ", ": ", ": ", ":\n  ", "\n", "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ", ", "? ", "| ", "> ", "#", "'", '"', "\t"),
    *(
        "&a ",
        "&b ",
        "*a",
        "*b",
        "<<",
        "!!bool ",
        "!!int ",
        "!!set ",
        "!!omap ",
        "!!binary ",
        "!x ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "\\uD800",
    ),
    *("\0", "\x85", "\u2028", "\ufeff"),
]
scraps = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)


def read(text, *overrides):
    try:
        return load(text, *overrides)
    except ConfigError as error:
        return error


@FUZZ
@given(st.text() | scraps | scraps.map(lambda text: TASK + text))
def test_any_text_is_a_config_or_a_config_error(text):
    result = read(text)
    if isinstance(result, ConfigError):
        assert result.problems
        assert all("\n" not in str(problem) for problem in result.problems)
    else:
        assert load(write(result)) == result


@FUZZ
@given(st.text() | scraps)
def test_any_override_is_read_or_a_config_error(text):
    for override in (text, f"task.hidden={text}", f"hooks={text}"):
        result = read(TASK, override)
        assert result.problems if isinstance(result, ConfigError) else load(write(result)) == result
