"""Names of files made out of names of people and companies.

Belongs here: what is safe to be a file's name on any system, and never the same twice. Does not belong here: which files there are.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

LONGEST = 60
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
"""Names that Windows keeps for devices."""


def distinct_slugs(names: Iterable[str]) -> dict[str, str]:
    """A slug for each name: plain lower-case ASCII, short, never empty, and never two the same."""
    slugs = {name: _slug(name) for name in sorted(set(names))}
    taken = Counter(slugs.values())
    safe = {}
    for name, slug in slugs.items():
        if not slug or len(slug) > LONGEST or taken[slug] > 1 or slug in RESERVED:
            digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            slug = "-".join(part for part in (slug[:48].strip("-"), digest) if part)
        safe[name] = slug
    return safe


def _slug(name: str) -> str:
    if not name.isascii():
        name = unicodedata.normalize("NFKD", name[:1_000]).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", name[:1_000].lower()).strip("-")
