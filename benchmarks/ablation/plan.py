"""Plan of an ablation: a YAML file whose every row is one line of the table.

    images: photos/                       # a folder
    ground_truth: panoptic/               # whatever `open_ground_truth` opens
    ground_truth_kind: auto
    photographs: {start: 0, every: 1}     # skip so many, then take every so manieth
    protocol: {thresholds: 25, interpolate: false}    # fields of EdgeProtocol
    peers: [canny, sobel]
    backbone: trace-mini
    device: cpu
    dtype: float32
    load: {null: null, quantize: null}    # fields of LoadOptions
    base: {resolution: 256}               # fields of TraceSettings
    rows:                                 # what differs from the base; lists multiply out
      - {}                                # the base itself
      - timestep: [0, 99, 199]
      - {criterion: [kl, l1], ignore_first: [0, 1]}
      - {control: shuffled, timestep: 99}

Paths are relative to the current directory. Only `rows` must be there, if the two paths are given
otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from trace_edges.evaluation.peers import PEERS
from trace_edges.extras import require
from trace_edges.loading import LoadOptions
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.training_free.settings import TraceSettings

Control = Literal["shuffled"]
DType = Literal["float32", "float16", "bfloat16"]

_SETTINGS = tuple(field.name for field in fields(TraceSettings))
_SECTIONS: dict[str, tuple[str, ...]] = {
    "photographs": ("start", "every"),
    "protocol": tuple(field.name for field in fields(EdgeProtocol)),
    "base": _SETTINGS,
    "load": tuple(field.name for field in fields(LoadOptions)),
}
_WORDS = ("images", "ground_truth", "ground_truth_kind", "backbone", "device", "dtype")
_BASE = TraceSettings()
_LOAD = LoadOptions()
_PROTOCOL = EdgeProtocol(thresholds=25, interpolate=False)
_KEYS = (*_WORDS, *_SECTIONS, "peers", "rows")


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: what differs from the base.
        settings: of the pipeline.
        control: "shuffled": every photograph is given the edges of another one. What such edges
            gain over the base is owed to how they are drawn, not to what is in the photograph.
    """

    name: str
    settings: TraceSettings
    control: Control | None = None


@dataclass(frozen=True)
class Plan:
    """An ablation, ready to run; the fields are those of the file."""

    images: Path
    ground_truth: Path
    rows: tuple[Row, ...]
    base: TraceSettings = _BASE
    ground_truth_kind: str = "auto"
    start: int = 0
    every: int = 1
    protocol: EdgeProtocol = _PROTOCOL
    peers: tuple[str, ...] = ()
    backbone: str = "trace-mini"
    device: str = "cpu"
    dtype: DType = "float32"
    load: LoadOptions = _LOAD

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("there is no row; `rows: [{}]` is the base alone")
        for name, smallest in {"start": 0, "every": 1}.items():
            value = getattr(self, name)
            if type(value) is not int or value < smallest:
                raise ValueError(f"{name} must be an integer of at least {smallest}, not {value!r}")
        for name, values, known in (
            ("peer", self.peers, tuple(PEERS)),
            ("dtype", [self.dtype], get_args(DType)),
        ):
            for value in values:
                _known(name, value, known)


def read_plan(
    path: Path,
    images: Path | None = None,
    ground_truth: Path | None = None,
    load: Mapping[str, Any] | None = None,
) -> Plan:
    """Read a plan.

    Args:
        path: a YAML file as at the head of this module.
        images: in place of the file's.
        ground_truth: in place of the file's.
        load: fields of `LoadOptions` in place of the file's.

    Raises:
        ValueError: it is no YAML, or a key or value is unknown; one line names it and those known.
        ImportError: PyYAML is not installed.
    """
    yaml = require("yaml", "eval", "pyyaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    try:
        given = _mapping("the plan", content, _KEYS)
        sections = {
            name: _mapping(name, given.get(name) or {}, keys) for name, keys in _SECTIONS.items()
        }
        base = TraceSettings(**_settings(sections["base"]))
        paths = {"images": images, "ground_truth": ground_truth}
        options: dict[str, Any] = {
            name: _word(name, given[name]) for name in _WORDS if name in given
        }
        options |= {name: value for name, value in paths.items() if value is not None}
        for name in paths:
            if name not in options:
                raise ValueError(f"{name} is missing: name its folder")
            options[name] = Path(options[name])
        options |= sections["photographs"]
        protocol = replace(_PROTOCOL, **_typed(sections["protocol"], _PROTOCOL))
        peers = tuple(_list("peers", given.get("peers") or []))
        rows = _rows(_list("rows", given.get("rows") or []), base)
        loaded = _load_options(sections["load"] | dict(load or {}))
        return Plan(rows=rows, base=base, protocol=protocol, peers=peers, load=loaded, **options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def row_name(settings: TraceSettings, base: TraceSettings, control: Control | None = None) -> str:
    """The settings that differ from the base, in the words of the plan."""
    own, common = asdict(settings), asdict(base)
    words: list[str] = [control] if control else []
    words += [_words(name, own[name]) for name in own if own[name] != common[name]]
    return ", ".join(words) or "base"


def _words(name: str, value: Any) -> str:
    if value is None:
        return "timestep t*" if name == "timestep" else f"{name} default"
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name} {' '.join(map(str, value))}" if name == "layers" else f"{name} {value}"


def _rows(entries: Sequence[Any], base: TraceSettings) -> tuple[Row, ...]:
    """Every combination of every entry, once."""
    rows: dict[str, Row] = {}
    for number, entry in enumerate(entries, 1):
        try:
            given = _mapping("the row", entry, (*_SETTINGS, "control"))
            choices = {name: _choices(name, value) for name, value in given.items()}
            for values in product(*choices.values()):
                changes = dict(zip(choices, values, strict=True))
                control = changes.pop("control", None)
                if control is not None:
                    _known("control", control, get_args(Control))
                settings = replace(base, **_settings(changes))
                name = row_name(settings, base, control)
                rows.setdefault(name, Row(name, settings, control))
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from error
    return tuple(rows.values())


def _choices(name: str, value: Any) -> list[Any]:
    """The values that a setting takes in turn. Layers are a list already: one of lists is many."""
    if not isinstance(value, list):
        return [value]
    if name == "layers" and not any(one is None or isinstance(one, list) for one in value):
        return [value]
    if not value:
        raise ValueError(f"{name} is an empty list; give at least one value")
    return value


def _settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    """As TraceSettings takes them: YAML has lists for tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()
    }


def _load_options(given: Mapping[str, Any]) -> LoadOptions:
    """Each is of the type of its field; text that may be left out is null where it is."""
    for name, value in given.items():
        wanted = bool if isinstance(getattr(_LOAD, name), bool) else str
        if type(value) is not wanted and (value is not None or wanted is bool):
            raise ValueError(f"{name} must be of type {wanted.__name__}, not {value!r}")
    return LoadOptions(**given)


def _typed(changes: dict[str, Any], like: EdgeProtocol) -> dict[str, Any]:
    """The changes, if each is of the type of the value it replaces."""
    for name, value in changes.items():
        wanted = type(getattr(like, name))
        if type(value) is not wanted and (wanted, type(value)) != (float, int):
            raise ValueError(f"{name} must be of type {wanted.__name__}, not {value!r}")
    return changes


def _mapping(where: str, value: Any, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a mapping of {', '.join(known)}, not {value!r}")
    if None in value:  # what YAML makes of the word null, also where it is a key
        value = {"null" if key is None else key: one for key, one in value.items()}
    for key in value:
        _known(f"key in {where}", key, known)
    return value


def _known(what: str, value: Any, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"unknown {what}: {value!r}; known: {', '.join(known)}")


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} must be a list, not {value!r}")
    return value


def _word(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} must be text, not {value!r}")
    return value
