"""The dopesheet language: what every spelling means, and where every mistake is reported."""

import warnings
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR

from curriculum.errors import SheetError
from curriculum.sheet.document import Column, Dopesheet, Phase, Row, write
from curriculum.sheet.easings import EASINGS
from curriculum.sheet.header_grammar import reserved_word
from curriculum.sheet.lines import decode
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet

SHEETS = Path(__file__).parents[1] / "dopesheets"
FUZZ = settings(deadline=None, max_examples=150)


def steps(*written):
    return [row.step for row in parse("STEP,x\n" + "".join(f"{step},{0 if i == 0 else ''}\n" for i, step in enumerate(written))).rows]


def problems(text, source="s.csv"):
    with pytest.raises(SheetError) as caught:
        parse(text if isinstance(text, str) else decode(text, source), source)
    return caught.value.problems


def places(text):
    return [(problem.line, problem.column) for problem in problems(text)]


def columns(header):
    return parse(f"STEP,{header}\n0{',1' * (header.count(',') + 1)}\n").columns


# --- what is read ---


@pytest.mark.parametrize(
    ("written", "step"),
    [
        ("500", 500),
        ("+10", 110),
        ("prev+10", 110),
        ("+0", 100),
        ("-1", 599),
        ("next-1", 599),
        ("-0", 600),
        ("+0.4", 300),
        ("+.4", 300),
        ("40%", 300),
        ("prev+40%", 300),
        ("-0.4", 400),
        ("next-40%", 400),
        ("12.5%", 162),  # 162.5 rounds to even
        ("+0.375", 288),  # 287.5 rounds to even
        ("next-12.5%", 538),  # 537.5 rounds to even
        ("33.3%", 266),
        ("0.01%", 100),
        ("99.99%", 600),
    ],
)
def test_step_spellings_between_100_and_600(written, step):
    assert steps("0", "100", written, "600")[2] == step


@pytest.mark.parametrize(
    ("written", "last", "step"),
    [
        ("50%", 5, 2),  # 2.5
        ("50%", 7, 4),  # 3.5
        ("+0.5", 1, 0),
        ("50%", 3, 2),
        ("next-50%", 5, 2),
        ("-0.5", 7, 4),
        # Half-way too, though products of floating-point numbers come out below or above.
        ("70%", 45, 32),  # 31.5
        ("+0.7", 45, 32),
        ("54.5%", 100, 54),  # 54.5
        ("next-58%", 25, 10),  # 10.5
        ("next-54.5%", 100, 46),  # 45.5
        ("0." + "4" * 9000 + "%", 1000, 4),
    ],
)
def test_a_fraction_half_way_between_two_steps_is_rounded_to_the_even_one(written, last, step):
    assert steps("0", written, str(last))[1] == step


def test_relative_steps_count_from_anchors_not_from_neighbours():
    assert steps("0", "+10", "+20", "50%", "-20", "-10", "100", "+5", "+7") == [0, 10, 20, 50, 80, 90, 100, 105, 107]


def test_the_last_row_may_be_relative():
    assert steps("0", "prev+10")[-1] == 10


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_files_of_every_locale_read_alike(delimiter, newline, mark):
    lines = ["STEP,PHASE,lr::linear", "0,Größe,1e-8", "", "# a comment", "+10,,0.5", "100,,"]
    data = mark + newline.join(lines).replace(",", delimiter).encode()
    sheet = parse(decode(data, "s.csv"))
    assert sheet.columns == (Column("lr", "linear", "linear"),)
    assert [(row.step, row.phase, row.values) for row in sheet.rows] == [
        (0, "Größe", {"lr": 1e-8}),
        (10, None, {"lr": 0.5}),
        (100, None, {}),
    ]
    assert [row.line for row in sheet.rows] == [2, 5, 6]


def test_the_delimiter_is_that_of_the_header_row():
    sheet = parse("# a,b,c,d\nSTEP;ACTION;lr\n0;a,b;1\n")
    assert sheet.actions == ((0, "a"), (0, "b"))


def test_columns_stand_in_any_order():
    sheet = parse("x,ACTION,STEP,y,PHASE\n1,go,0,2,A\n")
    assert sheet.properties == ("x", "y")
    assert sheet.rows == (Row("0", 0, "A", ("go",), {"x": 1.0, "y": 2.0}),)


@pytest.mark.parametrize(
    "text",
    [
        "\n\n#note\nSTEP,x\n\n0,1\n# 5,7\n,\n10,2\n\n",
        "STEP,x\n0,1\n   \n  # 5,7\n10,2",
        "STEP , x\n 0 ,\t1\n10, 2 \n",
        'STEP,x\n"0","1"\n"10","2"\n',
        "STEP,x,,\n0,1,,\n10,2,,\n",
        "STEP,x\n0,1,\n10,2,,,\n",
        '# see "smooth"\nSTEP,x\n0,1\n10,2\n',
        '# after,"smooth" and others\nSTEP,x\n0,1\n10,2\n',
        '"# two\nlines",\nSTEP,x\n0,1\n10,2\n',
        '"# two\nlines, really";\nSTEP;x\n0;1\n10;2\n',
        "# one\x85line, really\nSTEP;x\n0;1\n10;2\n",
    ],
    ids=[
        "blank",
        "spaces",
        "padding",
        "quotes",
        "spare header",
        "spare cells",
        "quote",
        "quotes in a comment",
        "long comment",
        "long comment with a comma",
        "C1 in a comment",
    ],
)
def test_layout_does_not_matter(text):
    assert [(row.step, row.values) for row in parse(text).rows] == [(0, {"x": 1.0}), (10, {"x": 2.0})]


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("lr", Column("lr", "linear", "minjerk")),
        ("lr:log", Column("lr", "log", "minjerk")),
        ("lr:linear", Column("lr", "linear", "minjerk")),
        ("lr::cosine", Column("lr", "linear", "cosine")),
        ("lr:log:ease-in-out", Column("lr", "log", "ease-in-out")),
        ("lr::step", Column("lr", "linear", "step-end")),
        ("lr:log:step", Column("lr", "log", "step-end")),
        ("a name with spaces", Column("a name with spaces")),
    ],
)
def test_headers(header, column):
    assert columns(header) == (column,)


@pytest.mark.parametrize("timing", EASINGS)
def test_every_timing_can_be_named(timing):
    assert columns(f"x::{timing}") == (Column("x", "linear", timing),)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1.0), ("-2.5", -2.5), ("+3", 3.0), (".5", 0.5), ("5.", 5.0), ("1e-8", 1e-8), ("1E+3", 1000.0), ("-0", 0.0), ("1e-400", 0.0)],
)
def test_values(cell, value):
    assert parse(f"STEP,x\n0,{cell}\n").keys("x") == ((0, value),)


def test_phases_start_where_they_are_named_and_end_before_the_next():
    text = "STEP,PHASE,x\n0,A,1\n50,,2\n100,A,\n+10,B,\n300,,3\n"
    assert parse(text).phases == (Phase("A", 0, 99), Phase("A", 100, 109), Phase("B", 110, 300))
    assert [len(phase) for phase in parse(text).phases] == [100, 10, 191]


@pytest.mark.parametrize(
    ("text", "phases"),
    [
        ("STEP,x\n0,1\n10,\n", (Phase("", 0, 10),)),
        ("STEP,PHASE,x\n0,,1\n10,,\n", (Phase("", 0, 10),)),
        ("STEP,PHASE,x\n0,,1\n4,A,\n10,,\n", (Phase("", 0, 3), Phase("A", 4, 10))),
        ("STEP,PHASE,x\n0,A,1\n10,B,\n", (Phase("A", 0, 9), Phase("B", 10, 10))),
    ],
    ids=["no column", "empty column", "none at 0", "at the last step"],
)
def test_phases_without_a_name(text, phases):
    assert parse(text).phases == phases


@pytest.mark.parametrize("name", ["None", "NA", "null", "nan", "0", "Primary & secondary", "#1", "日本"])
def test_a_phase_may_have_any_name(name):
    assert parse(f"STEP,PHASE,x\n0,{name},1\n5,,\n").phases == (Phase(name, 0, 5),)


def test_actions_keep_their_order():
    sheet = parse('STEP,ACTION,x\n0,"b, a ,b",1\n5,,\n9,c,\n')
    assert sheet.actions == ((0, "b"), (0, "a"), (0, "b"), (9, "c"))


def test_rows_on_one_step_merge():
    sheet = parse("STEP,PHASE,ACTION,x,y\n0,,,1,2\n+50,,b,3,\n50%,A,a,,4\n100,,,,\n")
    assert sheet.keys("x") == ((0, 1.0), (50, 3.0))
    assert sheet.keys("y") == ((0, 2.0), (50, 4.0))
    assert sheet.actions == ((50, "b"), (50, "a"))
    assert sheet.phases == (Phase("", 0, 49), Phase("A", 50, 100))


def test_a_key_is_where_a_cell_is_filled():
    sheet = parse("STEP,x,y\n0,,0\n5,1,\n9,,0\n")
    assert sheet.keys("x") == ((5, 1.0),)
    assert sheet.keys("y") == ((0, 0.0), (9, 0.0))
    assert sheet.last_step == 9


# --- what is refused, and where ---


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        # the header
        ("STEP,lr::minjrek\n0,1\n", (1, 2), ["'minjrek'", "did you mean 'minjerk'", "cosine", "ease-in-out"]),
        ("STEP,a,lr::liner\n0,1,1\n", (1, 3), ["'liner'", "did you mean 'linear'"]),
        ("\n# x\nSTEP,lr:lgo\n0,1\n", (3, 2), ["'lgo'", "did you mean 'log'", "linear"]),
        ("STEP,lr:minjerk\n0,1\n", (1, 2), ["'minjerk'", "lr::minjerk"]),
        ("STEP,lr:minjrek\n0,1\n", (1, 2), ["'minjrek'", "lr::minjerk"]),
        ("STEP,lr:step\n0,1\n", (1, 2), ["'step'", "lr::step"]),
        ("STEP,lr:log:step:x\n0,1\n", (1, 2), ["'lr:log:step:x'", "name:space:timing"]),
        ("STEP,:log\n0,1\n", (1, 2), ["':log'", "name:space"]),
        ("STEP,lr:\n0,1\n", (1, 2), ["'lr:'", "name:space"]),
        ("STEP,lr,x,lr\n0,1,2,3\n", (1, 4), ["'lr'", "twice", "column 2"]),
        ("STEP,lr,lr:log\n0,1,2\n", (1, 3), ["'lr'", "twice", "column 2"]),
        ("STEP,STEP,lr\n0,0,1\n", (1, 2), ["'STEP'", "twice"]),
        ("STEP,lr,phase\n0,1,A\n", (1, 3), ["'phase'", "'PHASE'"]),
        ("Step,lr\n0,1\n", (1, 1), ["'Step'", "'STEP'"]),
        ("STEP:log,lr\n0,1\n", (1, 1), ["'STEP:log'", "STEP"]),
        ("lr,x\n0,1\n", (1, 1), ["STEP"]),
        ("STEP,lr,x\n0,1,\n", (1, 3), ["'x'", "no key"]),
        ("STEP,lr,\n0,1,7\n", (2, 3), ["'7'", "header"]),
        ("STEP,lr\n0,1,7\n", (2, 3), ["'7'", "too many"]),
        # steps
        ("STEP,lr\n0,1\n0.4,\n10,\n", (3, 1), ["'0.4'", "'+0.4'", "'40%'"]),
        ("STEP,lr\n0,1\n.125,\n10,\n", (3, 1), ["'.125'", "'12.5%'"]),
        ("STEP,lr\n0,1\n500,\n10,\n", (4, 1), ["'10'", "step 500", "line 3", "'+10'", "'prev+10'"]),
        ("lr,STEP\n1,0\n,500\n,\n,10\n", (5, 2), ["'10'", "line 3", "'prev+10'"]),
        ("STEP,lr\n0,1\n+50,\n+20,\n100,\n", (4, 1), ["'+20'", "step 20", "step 50", "line 3"]),
        ("STEP,lr\n0,1\n-10,\n40%,\n100,\n", (4, 1), ["'40%'", "step 40", "step 90", "line 3"]),
        ("STEP,lr\n5,1\n10,\n", (2, 1), ["'5'", "step 0"]),
        ("STEP,lr\n+5,1\n10,\n", (2, 1), ["'+5'", "above"]),
        ("STEP,lr\n0,1\n-1,\n", (3, 1), ["'-1'", "below"]),
        ("STEP,lr\n0,1\n40%,\n", (3, 1), ["'40%'", "below"]),
        ("STEP,lr\n0,1\n-20,\n5,\n", (3, 1), ["'-20'", "before step 0"]),
        ("STEP,lr\n0,1\n,5\n9,\n", (3, 1), ["empty"]),
        ("STEP,lr\n0,1\n0%,\n9,\n", (3, 1), ["'0%'", "between 0 and 1"]),
        ("STEP,lr\n0,1\n100%,\n9,\n", (3, 1), ["'100%'", "between 0 and 1"]),
        ("STEP,lr\n0,1\n+1.0,\n9,\n", (3, 1), ["'+1.0'", "between 0 and 1"]),
        ("STEP,lr\n0,1\n+1.5,\n9,\n", (3, 1), ["'+1.5'", "between 0 and 1"]),
        ("STEP,lr\n0,1\n-0.0,\n9,\n", (3, 1), ["'-0.0'", "between 0 and 1"]),
        ("STEP,lr\n0,1\n5OO,\n900,\n", (3, 1), ["'5OO'", "prev+10", "40%"]),
        ("STEP,lr\n0,1\n5.5,\n9,\n", (3, 1), ["'5.5'"]),
        ("STEP,lr\n0,1\n1e-3,\n9999,\n", (3, 1), ["'1e-3'"]),
        ("STEP,lr\n0,1\n1e400,\n9999,\n", (3, 1), ["'1e400'"]),
        ("STEP,lr\n0,1\n+,\n9,\n", (3, 1), ["'+'"]),
        ("STEP,lr\n0,1\nprev-5,\n9,\n", (3, 1), ["'prev-5'"]),
        ("STEP,lr\n0,1\n²,\n9,\n", (3, 1), ["'²'"]),
        ("STEP,lr\n0,1\n99999999999,\n", (3, 1), ["99,999,999,999"]),
        # values
        ("STEP,lr,x\n0,1,1\n5,,abc\n", (3, 3), ["x", "'abc'", "number"]),
        ("STEP,lr\n0,nan\n", (2, 2), ["lr", "'nan'", "finite"]),
        ("STEP,lr\n0,1\n5,inf\n", (3, 2), ["lr", "'inf'", "finite"]),
        ("STEP,lr\n0,1e400\n", (2, 2), ["lr", "'1e400'", "too large"]),
        ("STEP,lr\n0,1_000\n", (2, 2), ["'1_000'"]),
        ("STEP,lr\n0,0x10\n", (2, 2), ["'0x10'"]),
        ("STEP,lr\n0,None\n", (2, 2), ["'None'"]),
        ('STEP,lr\n0,"1,5"\n', (2, 2), ["'1,5'", "'1.5'"]),
        ("STEP;lr\n0;1.000,5\n", (2, 2), ["'1.000,5'"]),
        ("STEP,lr\n0,5 %\n", (2, 2), ["'%'"]),
        ("STEP,lr\n0,1 000\n", (2, 2), ["'1 000' is not a finite decimal number"]),
        # an exponent that no number has
        ("STEP,lr\n0,1e9999999999%\n", (2, 2), ["'1e9999999999%'"]),
        ("STEP,lr\n0,1\n1e99999999999999999999,1\n", (3, 1), ["'1e99999999999999999999'"]),
        ("STEP,lr\n0,1\n1e-99999999999999999999,1\n", (3, 1), ["'1e-99999999999999999999'"]),
        # a comma that may separate thousands
        ("STEP;lr\n0;0,1\n1,000;2\n", (3, 1), ["'1,000'", "thousands", "'1000'"]),
        ("STEP;lr\n0;1,250\n1000;2\n", (2, 2), ["'1,250'", "write '1250' or '1.250'"]),
        ("STEP;lr\n0;1\n1000;50,125%\n", (3, 2), ["'50,125%'", "write '50125%' or '50.125%'"]),
        ("STEP,lr\n0,1\n5,2 liner\n", (3, 2), ["'liner'", "did you mean 'linear'"]),
        ("STEP,lr\n0,1\n5,2 step linear\n", (3, 2), ["'step linear'"]),
        ("STEP,lr\n0,1 linear\n5,2\n", (2, 2), ["lr", "first key", "'linear'"]),
        ("STEP,lr:log\n0,1\n5,0\n", (3, 2), ["lr", "'0'", "log", "greater than 0"]),
        ("STEP,lr:log:step\n0,-1\n", (2, 2), ["lr", "'-1'", "log", "greater than 0"]),
        # two values for one cell
        ("STEP,lr\n0,1\n+50,2\n50%,3\n100,\n", (4, 2), ["lr", "step 50", "line 3"]),
        ("STEP,lr\n0,1\n50,2\n50,2\n100,\n", (4, 2), ["lr", "step 50", "line 3"]),
        ("STEP,PHASE,lr\n0,A,1\n0,B,\n", (3, 2), ["PHASE", "step 0", "line 2"]),
        # actions
        ('STEP,lr,ACTION\n0,1,"a,,b"\n', (2, 3), ["ACTION", "'a,,b'", "empty"]),
    ],
)
def test_mistakes(text, place, says):
    (problem,) = problems(text)
    assert (problem.source, problem.line, problem.column) == ("s.csv", *place)
    assert str(problem).startswith(f"s.csv:{place[0]}:{place[1]}: ")
    assert [part for part in says if part not in problem.message] == []
    assert "\n" not in problem.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STEP,a::minjrek,b:lgo,c:log\n0,1,1,x\n0.4,2,,-1\n10,,,inf\n", [(1, 2), (1, 3), (2, 4), (3, 1), (3, 4), (4, 4)]),
        ('STEP,a,a,b,,ACTION\n5,x,1,,?,a\n5OO,,2,,,","\n', [(1, 3), (1, 4), (2, 1), (2, 2), (2, 5), (3, 1), (3, 6)]),
        ("STEP,PHASE,a\n0,A,1\n0,B,2\n90,,3,7\n80,,3\n", [(3, 2), (3, 3), (4, 4), (5, 1)]),
    ],
    ids=["header and cells", "columns and steps", "merges and order"],
)
def test_all_mistakes_are_reported_at_once(text, expected):
    assert places(text) == expected


def test_a_column_with_a_misspelt_header_has_its_cells_checked_too():
    assert places("STEP,lr::minjrek\n0,abc\n") == [(1, 2), (2, 2)]


def test_an_unreadable_step_puts_no_blame_on_the_rows_that_hang_on_it():
    assert places("STEP,lr\n0,1\n+400,\n5OO,\n+10,\n") == [(4, 1)]


def test_the_message_lists_every_mistake_on_a_line_of_its_own():
    with pytest.raises(SheetError) as caught:
        parse("STEP,lr\n0,x\n5,y\n", "dir/s.csv")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == ["dir/s.csv:2:2", "dir/s.csv:3:2"]


def test_lines_are_those_of_the_file():
    assert places('\ufeff\n# one\n"# two\nthree",\n\nSTEP,x\r\n0,1\r\n\r\n5,bad\r\n') == [(9, 2)]


def test_the_first_anchor_is_0():
    problems("STEP,lr\n-10,1\n10,2\n")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "STEP,x\n", "STEP,x\n,\n"])
def test_a_sheet_needs_a_header_and_a_row(text):
    (problem,) = problems(text)
    assert "step 0" in problem.message


def test_a_quote_that_never_ends():
    (problem,) = problems('STEP,x\n0,1\n5,"2\n10,3\n')
    assert problem.line == 3


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"STEP,lr\n0,1\n# caf\xe9\n", 3, ["0xe9", "UTF-8"]),
        (b"\xef\xbb\xbfSTEP,lr\n0,\xe9\n", 2, ["0xe9", "UTF-8"]),
        ("STEP,lr\n0,1\n".encode("utf-16"), 0, ["UTF-16"]),
        (b"PK\x03\x04\x14\x00", 0, ["spreadsheet", "CSV"]),
        (b"STEP,lr\n0,\x00\n", 2, ["zero byte"]),
    ],
    ids=["latin-1", "latin-1 after a BOM", "UTF-16", "xlsx", "binary"],
)
def test_what_is_no_text_is_refused(data, line, says):
    with pytest.raises(SheetError) as caught:
        decode(data, "s.csv")
    (problem,) = caught.value.problems
    assert problem.line == line
    assert [part for part in says if part not in problem.message] == []


# --- writing ---

printable = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=8).map(str.strip).filter(str.isprintable)
words = printable.filter(bool)
names = words.filter(lambda name: ":" not in name and name[0] != "#" and reserved_word(name) is None)
actions = words.filter(lambda name: "," not in name)
numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=5e-324, allow_infinity=False)


@st.composite
def between(draw, before, after):
    """Draw one spelling of a step between two anchors, and the step that it means."""
    distance = after - before
    count = draw(st.integers(0, distance))
    percent = draw(st.integers(1, 99))
    ahead, back = round(before + Fraction(percent, 100) * distance), round(after - Fraction(percent, 100) * distance)
    return draw(
        st.sampled_from(
            [
                (f"+{count}", before + count),
                (f"prev+{count}", before + count),
                (f"-{count}", after - count),
                (f"next-{count}", after - count),
                (f"{percent}%", ahead),
                (f"prev+{percent}%", ahead),
                (f"+0.{percent:02}", ahead),
                (f"next-{percent}%", back),
                (f"-0.{percent:02}", back),
            ]
        )
    )


@st.composite
def sheets(draw):
    listed = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    made = tuple(Column(name, draw(st.sampled_from(["linear", "log"])), draw(st.sampled_from(list(EASINGS)))) for name in listed)
    anchors = [0, *sorted(draw(st.lists(st.integers(1, 5000), max_size=4)))]
    written = [("0", 0)]
    for before, after in pairwise(anchors):
        written += sorted(draw(st.lists(between(before, after), max_size=3)), key=lambda item: item[1])
        written.append((str(after), after))
    written += [(f"+{count}", anchors[-1] + count) for count in sorted(draw(st.lists(st.integers(0, 100), max_size=2)))]
    filled = set()
    rows = []
    for spelling, step in written:
        values, timings = {}, {}
        for column in made:
            if (step, column.name) not in filled and (not rows or draw(st.booleans())):
                filled.add((step, column.name))
                values[column.name] = draw(positive if column.space == "log" else numbers)
                if rows and draw(st.booleans()):
                    timings[column.name] = draw(st.sampled_from(list(EASINGS)))
        phase = draw(st.none() | words) if (step, None) not in filled else None
        if phase is not None:
            filled.add((step, None))
        rows.append(Row(spelling, step, phase, tuple(draw(st.lists(actions, max_size=2))), values, timings=timings))
    return Dopesheet(made, tuple(rows))


@FUZZ
@given(sheets())
def test_a_written_sheet_reads_back_equal(sheet):
    assert parse(write(sheet)) == sheet


@pytest.mark.parametrize("name", ["smooth.csv", "stepped.csv"])
def test_a_shipped_sheet_is_written_and_read_back(name):
    sheet = parse((SHEETS / name).read_text())
    assert parse(write(sheet)) == sheet


# --- anything at all ---

TOKENS = [
    *("STEP", "PHASE", "ACTION", "lr", "x:log", "y::step", "z:log:minjrek", ":", "#", '"', "'", "\ufeff", "\0", "\x85", "\u2028", "\ud800"),
    *("0", "5", "10", "0.4", "+10", "prev+", "-1", "next-40%", "%", "99999999999", "1e-8", "1e999", "nan", "abc", "\u0663"),
    *(",", ",", ",", ",", ";", "\t", "\n", "\n", "\n", "\r\n", "\r", " "),
]
scraps = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)
bodies = scraps.map(lambda text: "STEP,lr,PHASE,ACTION\n0,1,,\n" + text)


def read(text):
    try:
        return parse(decode(text, "s.csv") if isinstance(text, bytes) else text, "s.csv")
    except SheetError as error:
        return error


@FUZZ
@given(st.text() | scraps | bodies)
def test_any_text_is_a_sheet_or_a_sheet_error(text):
    result = read(text)
    if isinstance(result, SheetError):
        assert result.problems
        assert all("\n" not in str(problem) for problem in result.problems)
    else:
        assert parse(write(result)) == result


@FUZZ
@given(
    st.binary() | bodies.map(lambda text: text.encode(errors="surrogatepass")) | scraps.map(lambda text: text.encode("utf-16", "ignore"))
)
def test_any_bytes_are_a_sheet_or_a_sheet_error(data):
    assert isinstance(read(data), Dopesheet | SheetError)


# --- what spreadsheets write ---


def test_what_a_spreadsheet_wrote_is_read_and_said():
    text = "sep=;\nSTEP;PHASE;lr;#why;mix\n0;A;0,5;because;1\n100,0;;1e-3;of;12,5%\n2e2;;;;50%\n"
    sheet = parse(text, "s.csv")
    assert [row.step for row in sheet.rows] == [0, 100, 200]
    assert [row.values for row in sheet.rows] == [{"lr": 0.5, "mix": 1}, {"lr": 1e-3, "mix": 0.125}, {"mix": 0.5}]
    assert sheet.properties == ("lr", "mix")
    assert sheet.readings == (
        "line 1: 'sep=;' names the delimiter, ';'",
        "column 4, '#why': a note, which is not read",
        "line 3, lr: '0,5' is 0.5",
        "line 4, STEP: '100,0' is 100",
        "line 4, mix: '12,5%' is 0.125",
        "line 5, STEP: '2e2' is 200",
        "line 5, mix: '50%' is 0.5",
    )
    assert parse(write(sheet)).rows == sheet.rows
    assert parse(write(sheet)).readings == ()


def test_a_comma_is_decimal_where_another_number_settles_it():
    sheet = parse("STEP;lr\n0;1,250\nprev+0,5;0,5\n10;2,5 linear\n")
    assert sheet.keys("lr") == ((0, 1.25), (5, 0.5), (10, 2.5))
    assert sheet.readings[1] == "line 3, STEP: 'prev+0,5' is prev+0.5"
    assert parse(write(sheet)).rows == sheet.rows


def test_a_plain_sheet_is_read_as_it_is_written():
    for name in ("smooth", "stepped", "e2c-easy", "warmup-cosine"):
        assert parse(Path(f"dopesheets/{name}.csv").read_bytes()).readings == ()


def test_show_prints_what_was_read_in_another_way(tmp_path, here):
    (tmp_path / "s.csv").write_text("STEP,lr,#why\n0,50%,x\n1e1,0.1 linear,\n")
    shown = here("dopesheet", "show", tmp_path / "s.csv")
    assert shown.err.splitlines() == [
        "read: column 3, '#why': a note, which is not read",
        "read: line 2, lr: '50%' is 0.5",
        "read: line 3, STEP: '1e1' is 10",
    ]
    assert [line.split() for line in shown.out.splitlines()[1:3]] == [["0", "0.5"], ["10", "0.1", "linear"]]


# --- the timing of a single key ---


def test_a_key_may_be_reached_on_a_timing_of_its_own():
    sheet = parse("STEP,lr::step,mix\n0,0,0\n10,1 linear,1\n30,0 cosine,\n40,5,0 step-end\n")
    schedule = compile_sheet(sheet)
    at = np.arange(41)
    rate = np.select([at <= 10, at <= 30, at < 40], [at / 10, (1 + np.cos(np.pi * (at - 10) / 20)) / 2, 0], 5)
    assert schedule.column("lr") == pytest.approx(rate, abs=1e-15)
    assert schedule.column("mix")[[10, 39, 40]].tolist() == [1, 1, 0]
    assert sheet.own_timings("lr") == {10: "linear", 30: "cosine"}


def test_a_retarget_keeps_the_timings_of_later_keys():
    schedule = compile_sheet(parse("STEP,lr\n0,0\n10,1\n20,0 linear\n")).retarget("lr", 2, 1, 4)
    assert schedule.column("lr")[10:] == pytest.approx(1 - np.arange(11) / 10)


# --- sheets that are shipped for any task ---


def shipped(name):
    return compile_sheet(parse(Path(f"dopesheets/{name}.csv").read_bytes(), name)).column("lr")


def torch_rates(make, steps, lr):
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=lr, momentum=0.9)
    scheduler, rates = make(optimizer), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    return rates


def test_warmup_cosine_is_pytorchs():
    def make(optimizer):
        return SequentialLR(optimizer, [LinearLR(optimizer, 1e-5, total_iters=500), CosineAnnealingLR(optimizer, 9500)], [500])

    assert shipped("warmup-cosine") == pytest.approx(torch_rates(make, 10_001, 0.001), rel=1e-9, abs=1e-12)


def test_one_cycle_is_pytorchs():
    found = torch_rates(lambda optimizer: OneCycleLR(optimizer, max_lr=0.001, total_steps=10_001, pct_start=3001 / 10_001), 10_001, 1)
    assert shipped("one-cycle") == pytest.approx(found, rel=1e-9)


def test_wsd_is_its_formula():
    """Warm up linearly for 5% of the steps, hold, and cool down linearly over the last 20% (Hagele et al. 2024)."""
    at = np.arange(10_001)
    expected = 0.001 * np.minimum(np.minimum(at / 500, 1), (10_000 - at) / 2000)
    assert shipped("wsd") == pytest.approx(expected, rel=1e-9, abs=1e-12)
