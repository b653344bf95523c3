"""What shops call their columns, in several languages, and which field a name means. Pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

Role = str
"""The name of a field that a column may be."""

_WORDS = Path(__file__).with_name("headers.txt").read_text(encoding="utf-8")

SYNONYMS: Mapping[Role, Sequence[str]] = {
    role: tuple(words.strip().split("|"))
    for role, _, words in (line.partition(":") for line in _WORDS.strip().splitlines())
}
_TRANSLATED = str.maketrans({"ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "№": "no"})
_PERSONAL = re.compile(
    r"e ?mail|phone|telefon|telephone|mobile|address|adresse|street|strasse|city|ort\b|zip|plz|"
    r"postcode|postal|customer|kunde|client|cliente|klant|billing|recipient|empfanger|vorname|"
    r"nachname|surname|first name|last name|full name|buyer|顧客|氏名|住所|电话|收货|"
    r"买家|姓名|地址|邮箱|コメント|notes?\b|memo|bemerkung|message|ip address|vat number|company"
)


def plain(header: object) -> str:
    """Return a name of a column without accents, marks and capitals.

    >>> plain("Bestell-Nr."), plain("Prix d'achat (€)"), plain("lineItemSku")
    ('bestell nr', 'prix d achat', 'line item sku')
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(header))
    text = unicodedata.normalize("NFKD", text.translate(_TRANSLATED)).casefold()
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = unicodedata.normalize("NFKC", text)
    return " ".join(re.sub(r"[^\w#]|_", " ", text).split()).removesuffix(" #").strip("# ")


def is_personal(header: object) -> bool:
    """Whether a column is about a person: it is never read."""
    return _PERSONAL.search(plain(header)) is not None


_PLAIN = {
    role: {plain(word): place for place, word in reversed(list(enumerate(words)))}
    for role, words in SYNONYMS.items()
}
_COMPACT = {role: {word.replace(" ", "") for word in words} for role, words in _PLAIN.items()}


def name_score(role: Role, header: object) -> float:
    """Return how surely a column's name means a field: 1 is sure, 0 is not at all.

    >>> name_score("sku", "Artikelnummer") > name_score("sku", "Artikelname")
    True
    """
    bare = re.sub(r"\([^)]*\)|\[[^]]*\]", "", str(header)).strip()
    if bare and bare != str(header):  # "Available (not editable)"
        return max(_plain_score(role, plain(header)), 0.98 * _plain_score(role, plain(bare)))
    return _plain_score(role, plain(header))


def _plain_score(role: Role, name: str) -> float:
    words = _PLAIN[role]
    if name in words:
        return 1.0 - words[name] / 1_000
    if name.replace(" ", "") in _COMPACT[role]:
        return 0.95
    own = name.split()
    # A word more: "Menge (Stück)", "Lineitem sku", "order.created at".
    near = [word for word in words if _is_part(word.split(), own) or _is_within(word, name)]
    if not near or ((others := _OTHERS.get(role)) is not None and others.search(name)):
        return 0.0
    longest = max(near, key=len)
    share = max(len(longest) / len(name), len(longest.split()) / len(own))
    return 0.75 * share


# Words that make another thing of a column, though the rest of its name fits.
_MONEY_OTHERS = (
    r"送料|运费|運費|discount|tax|shipping|refund|coupon|rabatt|versand|steuer|mwst|porto|"
    r"remise|taxe|fee"
)
_OTHERS = {
    role: re.compile(words)
    for role, words in {
        "price": _MONEY_OTHERS + r"|total|compare|cost",
        "line_total": _MONEY_OTHERS + r"|order",
        "quantity": r"refund|cancel|ship|invoic|return|price|weight|discount",
        "order_id": r"total|date|time|status|amount|discount|type|source|channel|url|item|line",
        "sku": r"title|description|price|qty|quantity|image|url|count|order|customer|parent",
        "placed_at": r"ship|paid|pay|deliver|cancel|refund|updated|modified|due|fulfil|birth|until",
        "status": r"payment|financial|ship|fulfil|tax|item|line",
        "currency": r"rate|total",
        "name": r"file|user|host|company|method|code|number",
    }.items()
}


def _is_within(word: str, name: str) -> bool:
    """Whether a word of a script without blanks stands inside a name."""
    return len(word) >= 2 and not word.isascii() and ord(word[0]) > 0x3000 and word in name


def _is_part(words: Sequence[str], own: Sequence[str]) -> bool:
    """Whether words stand at the beginning or the end of others."""
    if len("".join(words)) < 2:
        return False
    count = len(words)
    return list(own[:count]) == list(words) or list(own[-count:]) == list(words)
