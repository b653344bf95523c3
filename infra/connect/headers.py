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
    role: {plain(word): place for place, word in enumerate(words)}
    for role, words in SYNONYMS.items()
}
_COMPACT = {role: {word.replace(" ", "") for word in words} for role, words in _PLAIN.items()}


def name_score(role: Role, header: object) -> float:
    """Return how surely a column's name means a field: 1 is sure, 0 is not at all.

    >>> name_score("sku", "Artikelnummer") > name_score("sku", "Artikelname")
    True
    """
    name = plain(header)
    words = _PLAIN[role]
    if name in words:
        return 1.0 - words[name] / 1_000
    if name.replace(" ", "") in _COMPACT[role]:
        return 0.95
    own = name.split()
    # A word more: "Menge (Stück)", "Lineitem sku", "order.created at".
    near = [word for word in words if _is_part(word.split(), own)]
    if not near:
        return 0.0
    longest = max(near, key=len)
    return 0.8 * len(longest) / len(name)


def _is_part(words: Sequence[str], own: Sequence[str]) -> bool:
    """Whether words stand at the beginning or the end of others."""
    if len("".join(words)) < 2:
        return False
    count = len(words)
    return list(own[:count]) == list(words) or list(own[-count:]) == list(words)
