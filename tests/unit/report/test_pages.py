"""HTML and Markdown: whole, self-contained, safe with hostile text, the same figures in both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sample_runs import FAILED, NOW, Shape, everything, record, row, verdict, write_folder

from outlast.record.events import Event
from outlast.record.history import Operation, Packet
from outlast.record.run import Mark, Sample
from outlast.record.verdict import Budget, Finding, StreamLoss
from outlast.report import folders
from outlast.report.compare import compare
from outlast.report.html import page
from outlast.report.markdown import escape, scorecard_markdown
from outlast.report.row import Row
from outlast.report.scorecard import scorecard
from outlast.report.timeline import Seen, Timeline, timeline

VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = "</style></svg><script>alert(1)</script><img src=\"http://evil.example/x\" onerror='x()'>&amp; | ` * [a](b)"


class Reader(HTMLParser):
    """Checks that every tag is closed in order, and gathers what the page refers to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.tables = self.captions = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"{tag} closes nothing at {self.getpos()}"

    def note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.tables += tag == "table"
        self.captions += tag == "caption"
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name in ("href", "src", "srcset", "xlink:href", "action") else []
            self.handlers += [name] if name.startswith("on") else []


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def whole(rows: Sequence[Row], timelines: Sequence[Timeline] = ()) -> str:
    return page(scorecard(rows, NOW), timelines, compare(rows))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of a folder with a run of every kind."""
    root: Path = tmp_path_factory.mktemp("runs")
    for number, one in enumerate(everything()):
        outage = 0.4 if one.record.profile == "outlast" else 8.2
        write_folder(
            root, one, Shape(outage=outage, requests=1000, noise=0.02 * (number % 2), stalls=number == 6), number
        )
    found = folders.find(root)
    drawn = [timeline(folders.seen(folders.RunFolder(path))) for path in found.paths]
    return whole(found.rows, drawn)


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(sample: str) -> None:
    reader = read(sample)
    assert sample.startswith("<!DOCTYPE html>")
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert all(link.startswith("#") for link in reader.links)
    assert not re.search(r"url\(|@import|https?:", sample)
    assert reader.handlers == []


def test_every_link_has_its_target_and_ids_are_single(sample: str) -> None:
    reader = read(sample)
    assert len(set(reader.ids)) == len(reader.ids)
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert sum(one.startswith("run-") for one in reader.ids) == len(everything())


def test_tables_have_captions_and_headings_a_scope(sample: str) -> None:
    reader = read(sample)
    assert reader.tables == reader.captions > 4
    assert not re.search(r"<th(?! scope=\"(col|row)\")[ >]", sample)


def test_light_and_dark_define_the_same_colours(sample: str) -> None:
    css = sample[sample.index("<style>") : sample.index("</style>")]
    light, dark = (set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S))
    assert light == dark
    assert set(re.findall(r"var\((--[\w-]+)\)", css)) <= light


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_has_contrast_enough_in_light_and_dark(sample: str) -> None:
    """WCAG 2.1 AA: 4.5 to 1 for text."""
    css = sample[sample.index("<style>") : sample.index("</style>")]
    for block in re.findall(r":root \{(.*?)\}", css, re.S):
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        pairs = [
            (name, ground)
            for name in ("text", "dim", "link", "good", "bad", "warn", "open")
            for ground in ("bg", "soft")
        ]
        pairs += [("on", f"n{number}") for number in range(6)] + [("bg", "bad"), ("bg", "dim")]
        for name, ground in pairs:
            light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


def test_every_class_of_a_shape_has_a_style(sample: str) -> None:
    css = sample[sample.index("<style>") : sample.index("</style>")]
    used = {name for names in re.findall(r'<path class="([^"]+)"', sample) for name in names.split()}
    known = set(re.findall(r"\.tl \.([\w-]+)", css))
    assert {"ok", "failed", "unknown", "latency", "bad", "nobody", "several", "event", "mark", "gone", "halt"} <= used
    assert used - known <= {"undo"}  # a plain mark


def test_outcomes_differ_in_shape_and_place_and_not_only_in_colour(sample: str) -> None:
    hit = next(one for one in sample.split("<figure>")[1:] if 'class="failed"' in one and 'class="unknown"' in one)
    forms = [
        re.search(rf'<path class="{name}" d="M\d+ ([\d.]+)([a-z][^a-zM"]*)', hit)
        for name in ("ok", "failed", "unknown")
    ]
    assert len({found.group(2)[:4] for found in forms if found}) == 3
    assert len({found.group(1) for found in forms if found}) == 3


def test_the_page_says_what_the_scorecard_says(sample: str) -> None:
    for part in (
        "<b>5</b> <span>scenarios",
        "<b>2</b> <span>passed",
        "<b>1</b> <span>stale",
        "✓ 0 of 3,600",
        "≤ 0.083 %",
    ):
        assert part in sample
    for part in ("the machine stood still for 80 ms", "project p-17", "stale, was passed", "cpu: 2 cores", "abc1234"):
        assert part in sample
    assert "measured in another session" in sample


def hostile() -> tuple[Row, Seen]:
    bad = verdict(
        "fail",
        findings=(Finding(what=HOSTILE, sentence=HOSTILE, key=HOSTILE),),
        reasons=(HOSTILE,),
        budgets=(Budget(name=HOSTILE, limit=1, found=2, held=False),),
        streams=(StreamLoss(stream=HOSTILE, sent=1, lost=1, gap=1.0),),
        counts={HOSTILE: 1},
    )
    made = record(
        HOSTILE, HOSTILE, title=HOSTILE, fault_class=HOSTILE, cluster=HOSTILE, commit=HOSTILE, covers=(HOSTILE,)
    )
    made = replace(made, machine={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}, targets={HOSTILE: HOSTILE})
    one = Row(record=made, verdict=bad)
    asked = Operation(
        id=1, workload=HOSTILE, service=HOSTILE, kind="read", scheduled=1.2, outcome="failed", detail=HOSTILE
    )
    seen = Seen(
        row=one,
        operations=[asked],
        packets=[Packet(stream=HOSTILE, seq=1, sent=1.0)],
        marks=[Mark(at=1.0, what="took-effect", detail=HOSTILE), Mark(at=9.0, what="undo", detail=HOSTILE)],
        samples=[Sample(at=0.0, holders={HOSTILE: (HOSTILE,)}, off=(HOSTILE,))],
        events=[Event(1, 1.5, HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
    )
    return one, seen


def test_hostile_text_stays_text() -> None:
    one, seen = hostile()
    text = whole([one, replace(one, record=replace(one.record, profile="outlast", id="s1-02"))], [timeline(seen)])
    reader = read(text)
    assert not reader.tags & {"script", "img"}
    assert reader.handlers == []
    assert all(link.startswith("#") for link in reader.links)
    assert text.count("<style>") == text.count("</style>") == 1
    assert "&lt;script&gt;" in text


def test_hostile_text_does_not_break_markdown() -> None:
    text = scorecard_markdown(scorecard([hostile()[0]], {}))
    assert "<script" not in re.sub(r"\\<", "", text)
    check_tables(text)


def columns(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line))


def check_tables(text: str) -> None:
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert tables
    for table in tables:
        assert set(map(columns, table)) == {columns(table[0])}
        assert set(table[1]) <= set("|- ")


def test_markdown_tables_have_the_same_columns_in_every_row() -> None:
    rows = everything()
    text = scorecard_markdown(scorecard(rows, NOW), compare(rows))
    check_tables(text)
    for part in ("machine: cpu: 2 cores", "commit: abc1234", "9 runs", "## Comparison", "## Legend", "**5** scenarios"):
        assert part in text
    assert "- hang-nova-api (outlast): the machine stood still for 80 ms" in text


def test_markdown_does_not_depend_on_the_order_of_runs() -> None:
    rows = everything()
    assert scorecard_markdown(scorecard(rows, NOW)) == scorecard_markdown(scorecard(rows[::-1], NOW))


def test_escaped_text_has_no_meaning_in_markdown_and_one_line() -> None:
    assert escape("a|b\n`c` *d* [e](f) <g>") == r"a\|b \`c\` \*d\* \[e\](f) \<g\>"


def test_an_empty_report_says_so() -> None:
    reader = read(whole([]))
    assert reader.tables == 0
    assert "No run is recorded." in whole([])
    assert "No run is recorded." in scorecard_markdown(scorecard([], NOW))


def test_runs_of_two_machines_are_said_not_to_be_comparable() -> None:
    rows = [row("a"), row("b", number=2, machine={"cpu": "64 cores"})]
    assert "not comparable" in page(scorecard(rows, NOW))
    assert "not comparable" in scorecard_markdown(scorecard(rows, NOW))


def test_findings_beyond_the_first_are_counted() -> None:
    many = replace(FAILED, findings=tuple(Finding(what="lost", sentence=f"row {n}") for n in range(200)))
    one = row(found=many)
    text = whole([one], [timeline(Seen(row=one))])
    assert "and 140 more" in text and "lost: row 199" not in text


def test_sixty_runs_of_five_thousand_requests_stay_below_six_megabytes(tmp_path: Path) -> None:
    rows = [row(f"s-{number}", number=number) for number in range(60)]
    folder = write_folder(tmp_path, rows[0], Shape(requests=5000, outage=1.0, noise=0.01))
    seen = folders.seen(folder)
    text = whole(rows, [timeline(replace(seen, row=one)) for one in rows[:3]])
    without = whole(rows)
    assert len(without.encode()) + 20 * (len(text.encode()) - len(without.encode())) < 6_000_000
