"""Pages of the site that are made out of the project: marts, models, policy tables, decisions, settings, the
faults that are tried.

Belongs here: laying out as Markdown what YAML, seeds and `DECISIONS.md` already say. Does not belong here: saying anything they do not.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster_project import dbt_build
from dagster_project.paths import DBT_PROJECT, ROOT, SEEDS
from dagster_project.sources.catalogue import CONNECTORS
from tests.faults import table as faults

SOURCES = ROOT / "docs" / "sources.md"
DECISIONS = DBT_PROJECT / "DECISIONS.md"
DECIDED_IN = "Decided in: "
"""How the last line of a decision begins: the models, seeds and modules that carry it out."""

Node = Mapping[str, Any]


def write(folder: Path) -> None:
    """Write every generated page into a folder, and nothing into it that is not one."""
    folder.mkdir(exist_ok=True)
    dbt_build.prepare()
    manifest = json.loads(dbt_build.MANIFEST.read_text("utf-8"))
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")}
    made = {
        "marts.md": _marts(nodes),
        "models.md": _models(nodes),
        "policy.md": _policy(nodes),
        "decisions.md": _decisions(nodes),
        "readme.md": (ROOT / "README.md").read_text("utf-8").replace("](docs/pictures/", "](../pictures/"),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text("utf-8"),
        "settings.md": _settings(),
        **_sources(),
        "faults.md": faults.page(),
    }
    for left in folder.glob("*.md"):
        if left.name not in made:
            left.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, "utf-8")


def _sources() -> dict[str, str]:
    """The table of sources, and a page each: what `docs/sources.md` has of it, with its variables."""
    start, *sections = re.split(r"^## ", SOURCES.read_text("utf-8"), flags=re.MULTILINE)
    made = {"sources.md": start}
    for name, connector in CONNECTORS.items():
        title, _, text = section_of(name, sections).partition("\n")
        variables = "".join(f"- `{variable}`\n" for variable in connector.variables.values())
        known = f"## Settings\n\n{variables}" if variables else ""
        made[f"source-{name}.md"] = f"# {title}\n\n{row_of(name, start)}\n\n{known}\n## What it reads\n{text}"
    return made


def section_of(name: str, sections: Iterable[str]) -> str:
    """The section of `docs/sources.md` whose heading names a source.

    Raises:
        KeyError: there is none.
    """
    for section in sections:
        if _letters(name) in _letters(section.partition("\n")[0]):
            return section
    raise KeyError(f"docs/sources.md has no section about {name}")


def row_of(name: str, table: str) -> str:
    """What the table of sources says of one, in sentences.

    Raises:
        KeyError: there is no row of it.
    """
    for line in table.splitlines():
        if line.startswith(f"| `{name}`"):
            _, _, reads, proved, _ = re.split(r"(?<!\\)\|", line)
            return f"Reads {reads.strip()}.\n\nHow far it is proved: {proved.strip()}."
    raise KeyError(f"the table of docs/sources.md has no row of {name}")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def decided() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every decision's title with the names of what carries it out; none where it does not say."""
    for block in re.split(r"^### ", DECISIONS.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = block.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith(DECIDED_IN)]
        yield title.strip(), tuple(re.findall(r"`([^`]+)`", lines[-1])) if lines else ()


def slug(title: str) -> str:
    """The anchor that MyST gives a heading."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower()))


def _by_model() -> dict[str, list[str]]:
    found = defaultdict(list)
    for title, names in decided():
        for name in names:
            found[name].append(title)
    return found


def _of_layer(nodes: Mapping[str, Node], layer: str) -> list[Node]:
    return sorted((n for n in nodes.values() if n["resource_type"] == "model" and n["fqn"][1] == layer), key=lambda n: n["fqn"])


def _described(node: Node, decisions: Mapping[str, list[str]], level: str = "###") -> Iterator[str]:
    yield f"{level} {node['name']}\n\n{' '.join(node['description'].split())}\n\n"
    for title in decisions.get(node["name"], ()):
        yield f"- Decision: [{title}](decisions.md#{slug(title)})\n"
    yield "\n"


def _marts(nodes: Mapping[str, Node]) -> str:
    decisions = _by_model()
    lines = [
        "# Marts\n\nWhat BI tools read: tables of schema `marts` in the published file, the same as Parquet. Columns may be added.\n\n"
    ]
    subject = None
    for node in _of_layer(nodes, "marts"):
        if node["fqn"][2] != subject:
            subject = node["fqn"][2]
            lines.append(f"## {subject.capitalize()}\n\n")
        lines += _described(node, decisions)
        lines.append("| column | type | meaning |\n| --- | --- | --- |\n")
        for column in node["columns"].values():
            meaning = " ".join(column["description"].split()).replace("|", "\\|")
            lines.append(f"| `{column['name']}` | {column['data_type']} | {meaning} |\n")
        lines.append("\n")
    return "".join(lines)


def _models(nodes: Mapping[str, Node]) -> str:
    decisions = _by_model()
    lines = [
        "# Models under the marts\n\nHow the marts come about, in the order the book is worked out. They change without notice.\n\n"
    ]
    subject = None
    for layer in ("staging", "policy", "intermediate"):
        for node in _of_layer(nodes, layer):
            if node["fqn"][1:-1] != subject:
                subject = node["fqn"][1:-1]
                lines.append(f"## {' / '.join(subject)}\n\n")
            lines += _described(node, decisions)
    return "".join(lines)


def _policy(nodes: Mapping[str, Node]) -> str:
    decisions = _by_model()
    lines = [
        "# Policy tables\n\nThe rows a night runs by: `dbt/seeds/policy/`. What finance would argue about is one of these.\n\n"
    ]
    for path in sorted(SEEDS.glob("*.csv")):
        lines += _described(nodes[path.stem], decisions, "##")
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file)
        lines.append("| " + " | ".join(header) + " |\n|" + " --- |" * len(header) + "\n")
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows]
        lines.append("\n")
    return "".join(lines)


def _decisions(nodes: Mapping[str, Node]) -> str:
    def linked(match: re.Match[str]) -> str:
        return DECIDED_IN + ", ".join(_place(name, nodes) for name in re.findall(r"`([^`]+)`", match.group(0)))

    return re.sub(rf"^{DECIDED_IN}.*$", linked, DECISIONS.read_text("utf-8"), flags=re.MULTILINE)


def _place(name: str, nodes: Mapping[str, Node]) -> str:
    node = nodes.get(name)
    if node is None:
        return f"`{name}`"
    page = "policy" if node["resource_type"] == "seed" else "marts" if node["fqn"][1] == "marts" else "models"
    return f"[{name}]({page}.md#{slug(name)})"


def _settings() -> str:
    text = (ROOT / ".env.example").read_text("utf-8")
    return f"# Settings\n\nEnvironment variables, or lines of a `.env` file.\n\n```ini\n{text}```\n"
