"""The facts that a driver needs about its cases: every peer is told the same peaks, bandwidths, shapes and formats.

They come from Tapeout's catalogue: two of the peers know few chips and few models themselves and take these facts as input.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tapeout.calibration.measurements import Measurement
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, deployments
from tapeout.performance.predict import Case
from tapeout.provenance import DATA
from tapeout.workload.architecture import Architecture, LayerGroup
from tapeout.workload.catalog import model_facts, model_id
from tapeout.workload.numerics import numerics


def facts_of(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """By case: its chip, model, formats and deployments, or the reason why the row cannot be understood."""
    facts: dict[str, Any] = {"cases": {}, "chips": {}, "models": {}, "formats": {}}
    for one in measurements:
        facts["cases"][one.name] = {"reason": one.problem} if one.case is None else _entry(one.model, one.case, facts)
    return facts


def _entry(name: str, case: Case, facts: dict[str, Any]) -> dict[str, Any]:
    key = f"{case.model.name} {case.precision}"
    facts["chips"].setdefault(case.chip.id, _chip(case.chip))
    if case.model.name not in facts["models"]:
        facts["models"][case.model.name] = _shape(case.model) | {"config": _config(name)}
    if key not in facts["formats"]:
        facts["formats"][key] = {part: form.name.lower() for part, form in asdict(numerics(case.model, case.precision)).items()}
    found = [asdict(deployment) for deployment in tried(case)]
    return {"chip": case.chip.id, "model": case.model.name, "formats": key, "deployments": found}


def tried(case: Case) -> list[Deployment]:
    """The deployments among which the best is looked for: those that the row allows, all where it names none."""
    found = list(case.deployments) or deployments(case.model, case.chip, case.chips)
    possible = [one for one in found if one.refusal(case.model, case.chip, case.chips) is None]
    return possible or found[:1]


def _chip(hardware: Chip) -> dict[str, Any]:
    return {
        "id": hardware.id,
        "peak_flops": {str(form): peak.value for form, peak in hardware.peak.items()},
        "memory_bytes": hardware.memory.capacity.value,
        "memory_bytes_per_s": hardware.memory.bandwidth.value,
        "link_bytes_per_s": hardware.scale_up.bandwidth.value,
    }


def _shape(architecture: Architecture) -> dict[str, Any]:
    """The shape as a stack of equal, plain layers, and under `beyond` whatever such a stack cannot say."""
    facts = {
        "name": architecture.name,
        "hidden": architecture.hidden,
        "vocabulary": architecture.vocabulary,
        "max_context": architecture.max_context,
        "layers": architecture.layers,
        "beyond": _beyond(architecture),
    }
    group = architecture.groups[0]
    if facts["beyond"] or group.attention is None or group.feed_forward is None:
        return facts
    return facts | {
        "heads": group.attention.heads,
        "kv_heads": group.attention.kv_heads,
        "head_size": group.attention.head_size,
        "inner": group.feed_forward.size,
        "gated": group.feed_forward.gated,
        "experts": group.feed_forward.experts,
        "experts_per_token": group.feed_forward.experts_per_token,
    }


def _beyond(architecture: Architecture) -> str:
    """What a stack of equal layers of attention and one feed-forward cannot say; windows are left aside."""
    if len({_unwindowed(group) for group in architecture.groups}) > 1:
        return "layers of more than one kind"
    group = architecture.groups[0]
    attention, feed_forward = group.attention, group.feed_forward
    if attention is None or feed_forward is None or group.recurrence is not None:
        return "layers other than attention and feed-forward"
    if attention.latent is not None:
        return "latent attention"
    if attention.value_size != attention.head_size or attention.chosen is not None or attention.compression is not None:
        return "attention other than grouped-query attention"
    if feed_forward.shared_size:
        return "shared experts"
    return ""


def _unwindowed(group: LayerGroup) -> LayerGroup:
    attention = None if group.attention is None else replace(group.attention, window=None)
    return replace(group, count=1, attention=attention)


def _config(name: str) -> dict[str, Any]:
    """The `config.json` behind a model name: the catalogue's, or the user's own file."""
    path = Path(name)
    if name.endswith(".json") or path.is_dir():
        file = path / "config.json" if path.is_dir() else path
    else:
        shape = model_facts(name).shape or model_id(name)
        file = DATA / "models" / f"{shape.replace('/', '--')}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
