"""The pictures of the page can be made again, and are fit to be shown."""

import pytest
from PIL import Image

from infra.sale import SaleSettings
from tests.browser.pictures import BYTES_AT_MOST, FOLDER, PICTURES, STARTS_AT, take


@pytest.mark.slow
async def test_pictures_are_taken_of_a_sale(browser, redis_url, tmp_path):
    """Each view comes out in its size, small, and with something on it."""
    sale = SaleSettings(events=20_000, skus=200, days=10, starts_at=STARTS_AT)
    for path, picture in zip(await take(tmp_path, sale, redis_url), PICTURES, strict=True):
        assert path.stat().st_size < BYTES_AT_MOST
        with Image.open(path) as image:
            assert image.size == (picture.width, picture.height)
            assert len(image.convert("RGB").getcolors(1 << 24)) > 50


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
async def test_the_committed_pictures_are_those_that_are_made(picture):
    """Whoever changes the page takes them anew: `python -m tests.browser.pictures`."""
    path = FOLDER / f"{picture.name}.png"
    assert path.stat().st_size < BYTES_AT_MOST
    with Image.open(path) as image:
        assert image.size == (picture.width, picture.height)
