"""The table of settings in `infra/README.md` agrees with the settings."""

import pytest

from infra.settings import Settings
from infra.settings_reference import BEGIN, END, PATH, reference_table, with_reference


def test_committed_table_is_the_one_of_the_settings():
    """After a change of a setting, run `python -m infra.settings_reference`."""
    page = PATH.read_text()
    assert with_reference(page) == page


def test_every_setting_has_a_row_with_its_variable_and_its_meaning():
    """A setting without a description would be a row that explains nothing."""
    rows = dict(zip(Settings.model_fields, reference_table().splitlines()[2:], strict=True))
    for name, row in rows.items():
        setting, variable, *_, meaning = row.strip("| ").split(" | ")
        assert (setting, variable) == (f"`{name}`", f"`TIDEGATE_{name.upper()}`")
        assert meaning == Settings.model_fields[name].description


def test_only_the_text_between_the_markers_is_replaced():
    """What people wrote around the table stays."""
    page = with_reference(f"before\n{BEGIN}\nold table\n{END}\nafter\n")
    assert page.startswith(f"before\n{BEGIN}\n\n| setting |")
    assert page.endswith(f"\n{END}\nafter\n")
    assert "old table" not in page


def test_page_without_markers_is_refused():
    """The table must not vanish because somebody removed a marker."""
    with pytest.raises(ValueError, match="must have the markers"):
        with_reference("no marker")
