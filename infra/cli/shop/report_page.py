"""The report of a run in shadow as one page of HTML that needs nothing else. Pure."""

from collections.abc import Sequence
from html import escape

from infra.cli.shop.findings import Findings, Table

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #2a6fb0; --soft: #8882 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
h1 { font-size: 1.5rem; line-height: 1.2 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
table { border-collapse: collapse; width: 100% } .wide { overflow-x: auto }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top }
th { font-weight: 600; font-size: .85rem }
.n { text-align: right; font-variant-numeric: tabular-nums }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 1rem 0 }
dt { opacity: .7 } dd { margin: 0 } .words { opacity: .75; margin: 0 0 .5rem }
svg { width: 100%; height: 7rem } rect { fill: var(--mark) } details { margin: 1.5rem 0 }
"""


def page_of(findings: Findings) -> str:
    """Return the page."""
    facts = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in findings.facts)
    said = "".join(f"<li>{escape(one)}</li>" for one in findings.sentences)
    taken = "".join(f"<li>{escape(one)}</li>" for one in findings.taken)
    tables = "".join(map(_table, findings.tables))
    title = escape(findings.title)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<body><h1>{title}</h1><dl>{facts}</dl>{_bars(findings.daily_units)}<ul>{said}</ul>"
        f"{tables}<details open><summary>What was taken for granted</summary><ul>{taken}</ul>"
        "</details></body></html>\n"
    )


def _table(table: Table) -> str:
    classes = ["n" if is_number else "" for _, is_number in table.columns]
    head = "".join(
        _cell("th", name, c) for (name, _), c in zip(table.columns, classes, strict=True)
    )
    rows = "".join(f"<tr>{_cells(row, classes)}</tr>" for row in table.rows)
    words = f'<p class="words">{escape(table.words)}</p>' if table.words else ""
    return (
        f"<h2>{escape(table.title)}</h2>{words}"
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
    )


def _cells(row: Sequence[str], classes: Sequence[str]) -> str:
    return "".join(_cell("td", text, c) for text, c in zip(row, classes, strict=True))


def _cell(tag: str, text: str, kind: str) -> str:
    own = f' class="{kind}"' if kind else ""
    return f"<{tag}{own}>{escape(text)}</{tag}>"


def _bars(days: Sequence[tuple[str, int]]) -> str:
    """Return units sold a day as bars, each with its day and number."""
    most = max((units for _, units in days), default=0)
    if not most:
        return ""
    bars = "".join(
        f'<rect x="{n}" y="{100 - 100 * units / most:.1f}" width=".8" '
        f'height="{100 * units / most:.1f}"><title>{day}: {units} units</title></rect>'
        for n, (day, units) in enumerate(days)
    )
    words = f"Units sold a day, at most {most}"
    return (
        f'<figure style="margin:1rem 0"><svg viewBox="0 0 {len(days)} 100" role="img" '
        f'preserveAspectRatio="none" aria-label="{words}">{bars}</svg>'
        f'<figcaption class="words">{words}</figcaption></figure>'
    )
