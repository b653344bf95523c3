"""Which encoding and which separator a text file has: what is certain, and what has to be asked."""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OFFERED = ("cp1252", "gb18030", "shift_jis", "big5", "euc_kr", "cp1250", "cp1251")
"""Encodings that shops' exports come in beside UTF-8."""

DELIMITERS = (";", ",", "\t", "|")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_ROWS = 20


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a file's first bytes name; None means that they name none.

    >>> marked_encoding(b"\\xef\\xbb\\xbfsku"), marked_encoding(b"sku")
    ('utf-8-sig', None)
    """
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def is_utf8(blocks: Iterable[bytes]) -> bool:
    """Whether bytes are UTF-8 to their end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class Candidate:
    """An encoding in which bytes are text, and how a line of them reads in it."""

    encoding: str
    line: str


def candidates(lines: Sequence[bytes]) -> list[Candidate]:
    """Return encodings in which lines that are not UTF-8 can be read, the likeliest first.

    >>> [one.encoding for one in candidates(["Größe;Café".encode("cp1252")])][0]
    'cp1252'
    >>> [one.encoding for one in candidates(["商品编号;数量".encode("gb18030")])][0]
    'gb18030'
    """
    found = []
    for name in OFFERED:
        try:
            texts = [line.decode(name) for line in lines]
        except UnicodeDecodeError:
            continue
        if texts:
            found.append((_likeness("\n".join(texts)), Candidate(name, texts[0])))
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])]


def _likeness(text: str) -> float:
    """Score how much a text looks like a language: by its letters, and by their neighbours."""
    foreign = [char for char in text if ord(char) > 127]
    if not foreign:
        return 0.0
    score = sum(map(_letter_score, foreign))
    # Bytes of another script make runs of accented letters, or ideographs inside of words.
    runs = re.findall(r"[\u00a1-\u00ff\u0152-\u017e\u2013-\u20ac]{3,}", text)
    mixed = re.findall(
        r"(?<=[a-z])[\u3400-\u9fff\uac00-\ud7a3]|[\u3400-\u9fff\uac00-\ud7a3](?=[a-z])", text
    )
    known = sum(char in _FREQUENT_CJK for char in foreign)
    return (score + known - 2 * sum(map(len, runs)) - 2 * len(mixed)) / len(foreign)


_WESTERN = frozenset("äöüÄÖÜßéèêëàâçñóíúáôûîïœæøåÅØ€£°®™\u2013\u2019“”«»ãõìòùÉÈÀÇÑ²½")


def _letter_score(char: str) -> float:
    name = unicodedata.name(char, "")
    if name.startswith(("HIRAGANA", "KATAKANA")):
        return 1.2
    if name.startswith("CJK UNIFIED"):
        return 1.0
    if name.startswith("HANGUL SYLLABLE"):
        return 0.9
    if char in _WESTERN:
        return 0.8
    return 0.4 if name.startswith(("LATIN", "CYRILLIC")) else -0.5


# Characters that headers of exports are made of, simplified, traditional and Japanese.
_FREQUENT_CJK = frozenset(
    "的一是商品编号数量订单日期时间价格金额库存供应名称单价状态下币种货款式颜色规格已完成付取消"
    "編號數訂單時間價庫應稱狀態貨幣國際運費退"
    "注文番号個数価格日付在庫税込合計送料顧客店舗商品名受注"
)


def guess_delimiter(lines: Sequence[str]) -> tuple[str, str | None]:
    """Return the separator of a table and the second best one, where there is a doubt.

    >>> guess_delimiter(["sku;price", "a;1,50", "b;2,00"])
    (';', None)
    """
    scored = sorted(((_regularity(lines, mark), mark) for mark in DELIMITERS), reverse=True)
    (best, mark), (second, other) = scored[0], scored[1]
    if best <= 0:
        return ",", None
    return mark, other if second >= best else None


def _regularity(lines: Sequence[str], mark: str) -> float:
    """Score a separator: how many columns it makes, if most rows have as many as the header."""
    rows = [row for row in csv.reader(lines[:_SAMPLE_ROWS], delimiter=mark) if row]
    if not rows:
        return 0.0
    width = max(len(row) for row in rows[:3])
    if width < 2:
        return 0.0
    same = sum(len(row) == width for row in rows) / len(rows)
    return same * (1 + min(width, 50) / 100)
