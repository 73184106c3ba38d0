"""dbt's nodes as Dagster shows them: an asset a seed or model, a check a test.

Belongs here: what the prepared manifest says, in Dagster's words. Does not belong here: building (`dbt.py`).

dagster-dbt makes the same of a manifest, and imports dbt to do it: two seconds of every process in which a night, the web server or the
daemon begins, for nothing that either asks dbt.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

UNIQUE_ID = "dbt/unique_id"
"""Under which an asset or a check says which node it is."""

Nodes = Mapping[str, Mapping[str, Any]]


def specs_of(manifest: Mapping[str, Any]) -> tuple[list[dg.AssetSpec], list[dg.AssetCheckSpec]]:
    """All assets and checks. Keys are dbt's own: `<schema>/<model>`, and of what a model reads from outside `<source>/<table>`."""
    nodes = {**manifest["sources"], **manifest["nodes"]}
    keys = {unique_id: key for unique_id, node in nodes.items() if (key := _key(node))}
    by_name = {node["name"]: keys[unique_id] for unique_id, node in manifest["nodes"].items() if unique_id in keys}
    assets, checks = [], []
    for unique_id, node in manifest["nodes"].items():
        parents = list(dict.fromkeys(keys[parent] for parent in _parents(unique_id, nodes, keys)))
        if node["resource_type"] == "test":
            meta = node["config"]["meta"]
            said = meta.get("dagster", {}).get("ref", {}).get("name")
            alone = parents[0] if len(parents) == 1 else None
            shown_at = by_name.get(said) if said else keys.get(node.get("attached_node") or "", alone)
            if shown_at:
                checks.append(
                    dg.AssetCheckSpec(
                        node["name"],
                        asset=shown_at,
                        description=meta.get("description"),
                        additional_deps=[parent for parent in parents if parent != shown_at],
                        blocking=node["config"]["severity"].lower() == "error",
                        metadata={UNIQUE_ID: unique_id},
                    )
                )
        elif unique_id in keys:
            assets.append(_asset(node, keys[unique_id], parents, manifest["metadata"]["adapter_type"]))
    return assets, checks


def _key(node: Mapping[str, Any]) -> dg.AssetKey | None:
    if node["resource_type"] == "source":
        return dg.AssetKey([node["source_name"], node["name"]])
    stands_alone = node["resource_type"] in ("seed", "model") and node["config"]["materialized"] != "ephemeral"
    return dg.AssetKey([node["config"]["schema"], node["name"]]) if stands_alone else None


def _parents(unique_id: str, nodes: Nodes, keys: Mapping[str, dg.AssetKey]) -> Iterator[str]:
    """What a node reads; of an ephemeral model, which stands within it, what that one reads."""
    for parent in nodes[unique_id]["depends_on"].get("nodes", ()):
        if parent in keys:
            yield parent
        else:
            yield from _parents(parent, nodes, keys)


def _asset(node: Mapping[str, Any], key: dg.AssetKey, parents: list[dg.AssetKey], engine: str) -> dg.AssetSpec:
    policy = node["resource_type"] == "seed"
    layer, *subject = node["fqn"][1:-1]
    columns = [
        dg.TableColumn(column["name"], type=column["data_type"] or "?", description=column["description"])
        for column in node["columns"].values()
    ]
    return dg.AssetSpec(
        key,
        deps=parents,
        description=node["description"],
        group_name="policy" if policy else f"marts_{subject[0]}" if layer == "marts" and subject else layer,
        owners=["team:credit-control" if policy else "team:data-engineering"],
        kinds={"dbt", engine},
        code_version=hashlib.sha256(node["raw_code"].encode()).hexdigest() if node["raw_code"] else node["checksum"]["checksum"],
        metadata={
            UNIQUE_ID: node["unique_id"],
            "dbt/materialized": node["config"]["materialized"],
            "dagster/table_name": f"{node['database']}.{node['schema']}.{node['alias']}",
            "dagster/storage_kind": engine,
            **({"dagster/column_schema": dg.TableSchema(columns)} if columns else {}),
        },
    )
