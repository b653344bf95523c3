"""Templates are files that can be imported."""

import pytest

from infra.connect.guessing.answers import Answers, refuse
from infra.connect.intake import open_intake
from infra.connect.presets import PRESETS, Defaults
from infra.connect.templates import template_text, write_template
from tests.infra.connect.guessing.test_guess import events_of


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_template_is_recognised_and_taken(tmp_path, name, form):
    """What is written to be filled in is read without a question."""
    path = tmp_path / f"{name}.{form}"
    if form == "csv":
        path.write_text(template_text(name))
    else:
        write_template(name, path)
    intake = open_intake(path, Answers(refuse))
    events, report = events_of(intake)
    assert intake.preset == name
    assert events
    assert not report.faults.listed
    assert not report.left_out


def test_defaults_are_checked_and_said():
    """Every assumption is a sentence of the report."""
    assert len(Defaults().in_words()) == 5
    with pytest.raises(ValueError, match="margin"):
        Defaults(margin=1.0)
