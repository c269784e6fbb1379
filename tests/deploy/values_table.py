"""The chart's values in its three places: values.yaml with a comment above each, values.schema.json, and the table of README.md."""
import json
import os
import re
from typing import NamedTuple

import yaml

BEGIN, END = "<!-- values, written by tests/deploy/helm_test.py --renew -->\n", "<!-- end of values -->\n"
# Named as one value, since they are given as one.
WHOLE = re.compile(r"(.*\.)?resources$|podSecurityContext$|securityContext$|.*\.labels$|.*\.updateStrategy$")


class Row(NamedTuple):
    path: str
    default: str
    text: str


def _leaves(node, path=""):
    if isinstance(node, dict) and node and not WHOLE.match(path):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, node


def _comments(text):
    """{path: the comment right above it} of a file of values."""
    found, stack, comment = {}, [], []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("# "))
            continue
        key = re.match(r"( *)([A-Za-z][A-Za-z0-9]*):", line)
        if key:
            depth = len(key.group(1)) // 2
            stack = stack[:depth] + [key.group(2)]
            found.setdefault(".".join(stack), " ".join(comment))
        comment = []
    return found


def rows(chart):
    with open(os.path.join(chart, "values.yaml")) as values:
        text = values.read()
    comments = _comments(text)
    return [
        Row(path, json.dumps(default, ensure_ascii=False), comments.get(path, ""))
        for path, default in _leaves(yaml.safe_load(text))
    ]


def schema_paths(schema):
    """The values that a schema knows, as far as README.md names them."""
    def walk(node, path):
        if "$ref" in node:
            node = schema["definitions"][node["$ref"].split("/")[-1]]
        if node.get("properties") and not WHOLE.match(path):
            for key, value in node["properties"].items():
                yield from walk(value, f"{path}.{key}" if path else key)
        else:
            yield path

    # Of kinds that are Kubernetes' own, or Helm's, README.md names the value and not its fields.
    whole = re.compile(r"^(.*\.affinity)\..*$")
    return {whole.sub(r"\1", path) for path in walk(schema, "")} - {"global"}


def table(chart):
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for row in rows(chart):
        text = row.text.replace("|", "\\|")
        lines.append(f"| `{row.path}` | `{row.default}` | {text} |")
    return "\n".join(lines) + "\n"


def _readme(chart):
    with open(os.path.join(chart, "README.md")) as text:
        before, rest = text.read().split(BEGIN)
    written, after = rest.split(END)
    return before, written, after


def in_readme(chart):
    return _readme(chart)[1]


def write(chart):
    before, _, after = _readme(chart)
    with open(os.path.join(chart, "README.md"), "w") as out:
        out.write(before + BEGIN + table(chart) + END + after)
