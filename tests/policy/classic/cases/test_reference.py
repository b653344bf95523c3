"""The lists of models, fields and answers in `policy/README.md` are those of the code."""

from pathlib import Path

from policy.classic.cases.answer import answer
from policy.classic.cases.models import MODELS
from policy.classic.cases.reference import ANSWERS, reference

README = Path(__file__).parents[4] / "policy" / "README.md"
BEGIN = "<!-- models: written by `tidegate classic --models` -->"
END = "<!-- end of the models -->"


def test_readme_has_the_lists_as_the_command_prints_them() -> None:
    """When this fails, put what `tidegate classic --models` prints between the two markers."""
    _, begin, rest = README.read_text().partition(BEGIN)
    listed, end, _ = rest.partition(END)
    assert begin
    assert end
    assert listed.strip() == reference().strip()


def test_every_answer_whose_meaning_is_listed_is_given_by_a_model() -> None:
    """An answer that was renamed does not stay in the list."""
    given: set[str] = set()
    for model in MODELS.values():
        given |= set(answer({"model": model.name, **model.example}))
    given |= {"backorder_share"}  # only with a backorder cost
    suffix = "_with_second_term"
    for name in ANSWERS:
        if name == f"...{suffix}":
            assert any(one.endswith(suffix) for one in given)
        else:
            assert name in given
