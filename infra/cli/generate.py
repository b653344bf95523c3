"""`tidegate generate`: the synthetic live sale as a file."""

from pathlib import Path

from infra.cli.terminal.options import Json
from infra.cli.terminal.output import make_console, make_facts
from infra.wording.format import number


def generate(
    out: Path,
    /,
    *,
    truth: Path | None = None,
    seed: int = 7,
    skus: int = 500,
    events: int = 200_000,
    days: int = 5,
    as_json: Json = False,
) -> None:
    """Write a synthetic live sale as JSON Lines, and its truth beside it.

    A normal day, an announced promotion, an unannounced surge, a bulk order, a stock-out, a late
    delivery, duplicates, late events and bad records. The same options give the same bytes.
    Then: tidegate replay OUT --wait

    Args:
        out: the events; gzip when the name ends in .gz.
        truth: what really happened, to compare with; by default OUT with the ending .truth.json.
        seed: another seed is another sale.
        skus: from 200 to 9999.
        events: about so many, from 20000.
        days: from 5 to 60.
        as_json: sum up as one JSON object.
    """
    import json

    from infra.sale import SaleSettings, write_sale

    truth = truth or truth_path(out)
    settings = SaleSettings(seed=seed, skus=skus, events=events, days=days)
    sale = write_sale(out, truth, settings)
    truth_of_events = sale.truth["events"]
    if as_json:
        print(json.dumps({"events": str(out), "truth": str(truth), **truth_of_events}))
        return
    console = make_console()
    console.print(f"wrote {number(len(sale.lines))} events to {out}, their truth to {truth}")
    duplicates = sum(truth_of_events["duplicates"].values())
    console.print(
        make_facts(
            [
                ("bad records", number(truth_of_events["bad"])),
                ("duplicates", number(duplicates)),
                ("next", f"tidegate replay {out} --wait"),
            ]
        )
    )


def truth_path(out: Path) -> Path:
    """Return where the truth of a sale lies by default.

    >>> truth_path(Path("sale.jsonl.gz")).name
    'sale.truth.json'
    """
    stem = out.name.removesuffix(".gz").removesuffix(".jsonl")
    return out.with_name(f"{stem}.truth.json")
