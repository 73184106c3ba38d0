"""What is installed, under which licences, and what is known against it: `make audit`.

Belongs here: the locked packages as a list of licences and as a bill of materials (CycloneDX), and the question whether any of them has
a known vulnerability. Does not belong here: which packages there are (`requirements.lock`, renewed by `make lock`).

    python .ci/audit.py [--sbom FILE] [--offline]

Exit codes: 0 fine, or nothing could be asked · 1 a package is known to be vulnerable · 2 a licence is not among those allowed, or the
bill is not whole. The bill says neither when nor where it was made: the same lock, installed, gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"

ADVISORIES = "https://api.osv.dev/v1/querybatch"
TIMEOUT = 20

ALLOWED = re.compile(
    r"mit|bsd|apache|isc|psf|python-2\.0|python software foundation|mpl|mozilla|unlicense|zlib|hpnd|0bsd|cc0|public domain|cnri"
    r"|lgpl|lesser general public",
    re.I,
)
"""Licences under which what runs the night may be used and passed on. Others are looked at by a person first, and named in `LOOKED_AT`."""

_STRICTER = re.compile(r"(?<!lesser )(?<!library )general public license|\b(a?gpl)", re.I)

LOOKED_AT: dict[str, str] = {
    "docutils": "nearly all public domain; only builds the documentation",
    "sqruff": "Apache-2.0 by its workspace manifest, which the wheel does not repeat; only lints SQL",
    "text-unidecode": "Artistic or GPL, whichever one likes; comes with python-slugify",
}
"""Packages whose licence was looked at and found fine, with why."""


@dataclass(frozen=True)
class Package:
    """A locked package. `hashes`: sha256 of its files; `installed`: whether this system has it (some are for others)."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str
    installed: bool


def locked(text: str) -> list[Package]:
    """The packages of a lock file, by name."""
    found = []
    for block in re.split(r"\n(?=\S)", text):
        if pinned := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block):
            licence, installed = _licence(pinned[1])
            found.append(
                Package(pinned[1].lower(), pinned[2], tuple(re.findall(r"sha256:([0-9a-f]{64})", block)), licence, installed)
            )
    return sorted(found, key=lambda package: package.name)


def _licence(name: str) -> tuple[str, bool]:
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return "", False
    said = told.get("License-Expression") or ""
    if not said:
        classified = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or () if line.startswith("License ::")]
        said = " AND ".join(classified) or (told.get("License") or "").strip().partition("\n")[0]
    return said[:120], True


def licence_faults(packages: Sequence[Package]) -> Iterator[str]:
    for package in packages:
        fine = ALLOWED.search(package.licence) and not _STRICTER.search(package.licence)
        if package.installed and package.name not in LOOKED_AT and not fine:
            yield f"{package.name} {package.version}: its licence is {package.licence or 'not said'}; look at it, then say so in LOOKED_AT"


def bill(packages: Sequence[Package]) -> dict[str, object]:
    """The bill of materials: CycloneDX 1.6."""
    components = [
        {
            "type": "library",
            "name": package.name,
            "version": package.version,
            "purl": f"pkg:pypi/{package.name}@{package.version}",
            "bom-ref": f"pkg:pypi/{package.name}@{package.version}",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
            **({"licenses": [{"license": {"name": package.licence}}]} if package.licence else {}),
        }
        for package in packages
    ]
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    known = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{known}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "arrears", "version": version[1] if version else "0"}},
        "components": components,
    }


def bill_faults(made: dict[str, object], packages: Sequence[Package]) -> Iterator[str]:
    components = made["components"]
    assert isinstance(components, list)
    refs = [component["bom-ref"] for component in components]
    if len(set(refs)) != len(refs) or len(refs) != len(packages):
        yield "the bill does not hold every locked package once"
    yield from (f"{package.name}: the lock has no hash of it" for package in packages if not package.hashes)


def advisories(packages: Sequence[Package]) -> dict[str, list[str]] | str:
    """What is known against each package; a sentence where nobody could be asked."""
    import requests

    queries = [{"package": {"ecosystem": "PyPI", "name": package.name}, "version": package.version} for package in packages]
    try:
        answer = requests.post(ADVISORIES, json={"queries": queries}, timeout=TIMEOUT)
        answer.raise_for_status()
        results = answer.json()["results"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return "skipped: the list of known vulnerabilities (osv.dev) cannot be reached from here. Run `make audit` where it can"
    if not isinstance(results, list) or len(results) != len(packages):
        return "skipped: the list of known vulnerabilities (osv.dev) gave another answer than was asked for"
    found = {}
    for package, result in zip(packages, results, strict=True):
        if ids := sorted(entry["id"] for entry in (result or {}).get("vulns") or ()):
            found[f"{package.name} {package.version}"] = ids
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Licences, bill of materials and known vulnerabilities of what is locked.")
    parser.add_argument("--sbom", type=Path, help="write the bill of materials to this file")
    parser.add_argument("--offline", action="store_true", help="ask nobody about vulnerabilities")
    options = parser.parse_args(arguments)
    packages = locked(LOCK.read_text("utf-8"))
    by_licence: dict[str, list[str]] = {}
    for package in packages:
        by_licence.setdefault(package.licence or "(not installed on this system)", []).append(package.name)
    for licence, names in sorted(by_licence.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        print(f"{len(names):>4}  {licence}: {', '.join(names)}")
    made = bill(packages)
    faults = [*licence_faults(packages), *bill_faults(made, packages)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if options.sbom:
        options.sbom.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
        print(f"bill of materials: {len(packages)} packages in {options.sbom}")
    known = "skipped: not asked for" if options.offline else advisories(packages)
    if isinstance(known, str):
        print(f"known vulnerabilities: {known}")
    else:
        print(f"known vulnerabilities: {len(known)} of {len(packages)} packages")
        for name, ids in known.items():
            print(f"  {name}: {', '.join(ids)}", file=sys.stderr)
    if faults:
        return 2
    return 1 if isinstance(known, dict) and known else 0


if __name__ == "__main__":
    sys.exit(main())
