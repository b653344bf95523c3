"""The pages that people read: short where they begin, with links that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    path
    for folder in ("", ".github", "grafana", "infra", "policy", "streams", "tests")
    for path in sorted((ROOT / folder).glob("**/*.md" if folder else "*.md"))
    if "node_modules" not in path.parts
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_of_a_page_exist(page: Path) -> None:
    """Each relative link names a file, and the heading behind its "#" is there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), f"{page.name} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert heading in {text.lower().replace(" ", "-") for text in headings}


def test_first_page_is_short_and_leads_to_all_others() -> None:
    """At most 120 lines; every README of the tree is named in it."""
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for page in PAGES:
        if page.name == "README.md" and page.parent != ROOT and "vendor" not in page.parts:
            assert f"({page.relative_to(ROOT)})" in text
