"""Pictures of the page for people who read about it: `python -m tests.browser.pictures [FOLDER]`.

With a folder of its own, also those that are only to be looked at: every view, a wall, no data.

A synthetic sale of nine days stands still on its ninth evening, so that the week before is known.
The same sale gives the same pictures, but for the fonts of the machine (Inter where it is there).
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

import infra.page
from infra.local.embedded import EmbeddedRedis
from infra.redis.keys import Keys
from infra.replay.schemas import adapt
from infra.sale import SaleSettings, generate_sale
from tests.browser.chromium import open_browser
from tests.browser.shop import open_shop, serving

FOLDER = Path(infra.page.__file__).parent / "pictures"
BYTES_AT_MOST = 200_000
_COLOURS = 240
STARTS_AT = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 19, 43, 20, tzinfo=UTC)
ZONE = "Europe/Berlin"


@dataclass(frozen=True)
class Picture:
    """One picture of one view."""

    name: str
    path: str
    theme: str
    width: int
    height: int
    waits_for: str
    span: str = "day"
    opens: str = ""  # a button
    fills: tuple[tuple[str, str], ...] = ()  # a field, and what is written into it
    shop: str = "sale"  # or "empty", or "behind": two hours later, with nothing read since


PICTURES = (
    Picture("now-dark", "", "dark", 1600, 1000, ".feed-list a"),
    Picture("now-light", "", "light", 1600, 1000, ".feed-list a"),
    Picture("phone", "", "light", 390, 844, ".plot canvas"),
    Picture("items", "#/items", "light", 1400, 800, "tbody tr"),
    Picture("item", "#/item?sku={sku}&warehouse={warehouse}", "dark", 1400, 1240, "dl.facts dt"),
    Picture(
        "pause",
        "",
        "light",
        1200,
        860,
        ".feed-list a",
        opens="Pause ordering",
        fills=(("Who you are", "Ada"), ("Why", "lamp-0014 has a wrong price")),
    ),
)
TO_LOOK_AT = (
    Picture("wall", "", "dark", 2560, 1440, ".feed-list a"),
    Picture("shipping", "#/shipping", "light", 1400, 1000, "tbody tr"),
    Picture("decisions", "#/decisions", "light", 1400, 900, ".feed-list a"),
    Picture("incidents", "#/incidents", "dark", 1400, 900, ".feed-list a"),
    Picture("dead-letters", "#/dead-letters", "light", 1400, 900, "tbody tr"),
    Picture("items-dark", "#/items", "dark", 1400, 800, "tbody tr"),
    Picture("item-light", PICTURES[4].path, "light", 1400, 1240, "dl.facts dt"),
    Picture("phone-items", "#/items", "dark", 390, 844, "tbody tr"),
    Picture("phone-item", PICTURES[4].path, "light", 390, 2400, "dl.facts dt"),
    Picture("phone-incidents", "#/incidents", "light", 390, 844, ".feed-list a"),
    Picture("acknowledge", "#/incidents", "light", 1200, 800, ".feed-list a", opens="Acknowledge"),
    Picture("phone-pause", "", "dark", 390, 844, ".feed-list a", opens="Pause ordering"),
    Picture("empty", "", "light", 1400, 900, ".tile", shop="empty"),
    Picture("behind", "", "light", 1400, 900, ".feed-list a", shop="behind"),
    Picture("behind-dark", "#/shipping", "dark", 1400, 900, "tbody tr", shop="behind"),
)


def _clock() -> float:
    return NOW.timestamp()


async def take(
    folder: Path, sale: SaleSettings, redis_url: str, pictures: Sequence[Picture] = PICTURES
) -> list[Path]:
    """Let the sale happen up to its last evening and take every picture."""
    now_ms = int(NOW.timestamp() * 1000)
    records = [
        record
        for record in adapt(generate_sale(sale).lines, schema="tidegate")
        if record.occurred_ms <= now_ms
    ]
    settings: dict[str, Any] = {"minimum_history_days": 1, "live_within_seconds": 1}
    async with open_shop(redis_url, clock=_clock, **settings) as shop:
        await shop.feed(records)
        await shop.write_heartbeats(now_ms - 400)
        await shop.settle()
        async with (
            serving(redis_url, clock=_clock) as server,
            serving(redis_url, clock=lambda: _clock() + 7_200) as later,
            serving(redis_url, clock=_clock, keys=Keys("empty:")) as empty,
            open_browser() as browser,
        ):
            urls = {"sale": server.url, "behind": later.url, "empty": empty.url}
            return [await _take_one(browser, urls[one.shop], one, folder) for one in pictures]


async def _take_one(browser: Any, url: str, picture: Picture, folder: Path) -> Path:
    context = await browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.theme,
        timezone_id=ZONE,
        reduced_motion="reduce",
    )
    await context.add_init_script(f"sessionStorage.setItem('tidegate-span', '{picture.span}')")
    page = await context.new_page()
    await page.goto(f"{url}/{await _path(context, url, picture)}")
    await page.locator(picture.waits_for).first.wait_for()
    if picture.opens:
        await page.get_by_role("button", name=picture.opens).first.click()
    for label, text in picture.fills:
        await page.get_by_label(label, exact=True).fill(text)
    await page.wait_for_timeout(1_500)  # a few updates
    path = folder / f"{picture.name}.png"
    _save(await page.screenshot(), path)
    await context.close()
    return path


def _save(screenshot: bytes, path: Path) -> None:
    """Keep a picture in few colours: a third of the bytes, and nobody sees it."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    few = image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


async def _path(context: Any, url: str, picture: Picture) -> str:
    """Fill in an item that has something to show: low, with goods on their way."""
    if "{sku}" not in picture.path:
        return picture.path
    answer = await context.request.get(f"{url}/api/v1/items?only=soon&limit=200")
    items = (await answer.json())["items"]
    chosen = max(items, key=lambda one: one["on_order_units"])
    return picture.path.format(**chosen)


def main() -> None:
    """Take them, and say how large they are."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    sale = SaleSettings(seed=7, events=120_000, skus=300, days=10, starts_at=STARTS_AT)
    with tempfile.TemporaryDirectory() as directory, EmbeddedRedis(Path(directory)) as server:
        pictures = PICTURES if folder == FOLDER else PICTURES + TO_LOOK_AT
        for path in asyncio.run(take(folder, sale, f"redis://{server.address}/0", pictures)):
            size = path.stat().st_size
            print(f"{path.name}: {size:,} bytes")
            if folder == FOLDER and size > BYTES_AT_MOST:
                sys.exit(f"{path.name} must be at most {BYTES_AT_MOST:,} bytes, got {size:,}")


if __name__ == "__main__":
    main()
