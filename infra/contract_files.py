"""What the published contracts `asyncapi.yaml` and `page/openapi.yaml` share: schemas and YAML."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

REFERENCE = "#/components/schemas/{name}"
Schema = dict[str, Any]


def schemas_of(structs: Iterable[type]) -> dict[str, Schema]:
    """Return the JSON schemas of structs and of all that they refer to, by name in order."""
    _, schemas = msgspec.json.schema_components(structs, ref_template=REFERENCE)
    for schema in schemas.values():
        properties = schema.get("properties", {})
        schema |= (
            {"properties": {n: _lifted(p) for n, p in properties.items()}} if properties else {}
        )
    return dict(sorted(schemas.items()))


def _lifted(schema: Schema) -> Schema:
    """Return the schema of a field `T | None` with the words that describe `T`.

    >>> _lifted({"anyOf": [{"description": "Units.", "type": "integer"}, {"type": "null"}]})
    {'description': 'Units.', 'anyOf': [{'type': 'integer'}, {'type': 'null'}]}
    """
    words: Schema = {}
    choices: list[Schema] = []
    for choice in schema.get("anyOf", []):
        words |= {name: choice[name] for name in ("description", "examples") if name in choice}
        bare = {name: part for name, part in choice.items() if name not in words}
        choices += bare["anyOf"] if list(bare) == ["anyOf"] else [bare]
    return {**words, **schema, **({"anyOf": choices} if choices else {})}


def with_examples(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return schemas in which each field has an example; one without gets that of its type."""
    return {name: _with_examples(schema, schemas) for name, schema in schemas.items()}


def _with_examples(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    if "properties" not in schema:
        return schema
    properties = {
        name: {**field, "examples": field.get("examples", [example_of(field, schemas)])}
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """Return an example: the first that the schema has, or one made of those of its parts.

    Args:
        schema: of a struct or of a field.
        schemas: those that it refers to, by name.

    Raises:
        ValueError: neither the schema nor its parts have one.

    >>> units = {"type": "integer", "examples": [3, 5]}
    >>> lot = {"type": "object", "properties": {"units": units}}
    >>> example_of({"type": "array", "items": {"$ref": "#/components/schemas/Lot"}}, {"Lot": lot})
    [{'units': 3}]
    """
    match schema:
        case {"examples": [first, *_]} | {"enum": [first, *_]}:
            return first
        case {"$ref": reference}:
            return example_of(schemas[reference.rpartition("/")[2]], schemas)
        case {"anyOf": [part, *_]} | {"allOf": [part]}:
            return example_of(part, schemas)
        case {"properties": fields}:
            return {name: example_of(field, schemas) for name, field in fields.items()}
        case {"type": "array", "items": items}:
            return [example_of(items, schemas)]
    raise ValueError(f"no example in {schema}")


def block_yaml(document: Mapping[str, Any]) -> str:
    """Return a document of JSON values as YAML, one value a line, keys in their order."""
    # Only whoever writes the contracts needs it: a worker is installed without it.
    import yaml  # type: ignore[import-untyped]

    plain = json.loads(json.dumps(document))  # nothing stands in two places: no YAML aliases
    text: str = yaml.safe_dump(plain, sort_keys=False, width=100, allow_unicode=True)
    return text
