"""The command `export`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.console import say, seconds, today
from tapeout.errors import InputError


class Form(StrEnum):
    """What `export` writes."""

    VLLM = "vllm"
    KUBERNETES = "kubernetes"


def export(
    model: Annotated[str, typer.Argument(help="A model id, or the path of a config.json.")],
    on: Annotated[list[str], typer.Option(help="Chips, such as nvidia-h100-sxm:8; may be given again for another kind.")],
    tp: Annotated[int | None, typer.Option(min=1, help="Tensor parallelism; by default the deployment that keeps most limits.")] = None,
    pp: Annotated[int, typer.Option(min=1, help="Pipeline stages.")] = 1,
    ep: Annotated[int, typer.Option(min=1, help="Expert parallelism.")] = 1,
    dp: Annotated[int, typer.Option(min=1, help="Attention ranks of one replica.")] = 1,
    traffic: Annotated[str, typer.Option(help="A rule such as poisson:5 (requests/s), the name of a trace, or a file.")] = "",
    users: Annotated[int | None, typer.Option(min=1, help="A closed loop of so many users in the place of traffic.")] = None,
    slo: Annotated[str, typer.Option(help="Limits such as 2s/50ms (TTFT/TPOT), or a preset: mlperf-server.")] = "common",
    precision: Annotated[str, typer.Option(help="bf16, fp8, int8 or fp4.")] = "fp8",
    isl: Annotated[int | None, typer.Option(min=1, help="Prompt tokens of a request; 1024 unless a trace says.")] = None,
    osl: Annotated[int | None, typer.Option(min=1, help="Answer tokens of a request; 256 unless a trace says.")] = None,
    lengths: Annotated[str | None, typer.Option(help="A trace or file to draw lengths from, instead of --isl and --osl.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="What decides all chance.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(help="A setting of the scheduler as KEY=VALUE; may be given again.")] = None,
    disaggregate: Annotated[str, typer.Option(help="Chips for prompts and for what follows, as PREFILL:DECODE, such as 4:4.")] = "",
    decode_tp: Annotated[int | None, typer.Option(min=1, help="Tensor parallelism of the decoding chips, where it is not --tp.")] = None,
    speculate: Annotated[str, typer.Option(help="Drafts, as TOKENS:CHANCE[:DRAFT_MODEL], such as 3:0.7.")] = "",
    draft_method: Annotated[str, typer.Option(help="vLLM's method of drafts, such as mtp; by default the draft model, else ngram.")] = "",
    autoscale: Annotated[str, typer.Option(help="Replicas as LEAST:MOST:REQUESTS_OF_EACH:START_UP, such as 1:8:32:2min.")] = "",
    checkpoint: Annotated[str, typer.Option(help="The model id or path to load, where it is not the model's own.")] = "",
    name: Annotated[str, typer.Option(help="The name of the objects in the manifest; by default the model's.")] = "",
    image: Annotated[str, typer.Option(help="The container image; by default the vendor's documented one.")] = "",
    secret: Annotated[str, typer.Option(help="The Secret whose `token` is that of the model hub; hf-token-secret by default.")] = "",
    claim: Annotated[str, typer.Option(help="The volume claim that holds the checkpoint or its cache.")] = "",
    start_up: Annotated[str, typer.Option(help="After how long a server that does not answer is started again.")] = "60 min",
    form: Annotated[Form | None, typer.Option("--format", help="What to write; vllm on the screen, both into a folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write scripts and manifest to.")] = None,
) -> None:
    """Write a deployment as `vllm serve` scripts and a Kubernetes manifest."""
    from tapeout.fleet import cluster_settings
    from tapeout.report import export_run, files
    from tapeout.report.kubernetes import Settings
    from tapeout.report.simulation_wanted import Wanted

    if tp is None and (pp, ep, dp) != (1, 1, 1):
        raise InputError("--pp, --ep and --dp need --tp", hint="give --tp as well, or none of them")
    wanted = Wanted(
        model=model, on=tuple(on), traffic=traffic, users=users, slo=slo, precision=precision, prompt=isl, output=osl, lengths=lengths,
        seed=seed, parallel=None if tp is None else (tp, pp, ep, dp), policy=tuple(policy or ()),
        split=cluster_settings.split(disaggregate) if disaggregate else None, decode_tensor=decode_tp,
        drafts=cluster_settings.drafts(speculate) if speculate else None,
        autoscaling=cluster_settings.autoscaling(autoscale) if autoscale else None,
    )  # fmt: skip
    settings = Settings(
        name=name or None, image=image or None, claim=claim or None, start_up=seconds("--start-up", start_up),
        **({"secret": secret} if secret else {}),
    )  # fmt: skip
    folder = files.prepare_folder(out) if out else None
    forms = (export_run.Form(form),) if form else tuple(export_run.Form) if folder else (export_run.Form.VLLM,)
    found = export_run.exported(wanted, loaded=checkpoint, method=draft_method)
    texts = export_run.texts(found, forms, settings, version=__version__, date=today())
    if folder:
        written = files.write_files(folder, {key: text.encode() for key, text in texts.items()})
        say(f"wrote {', '.join(path.name for path in written)} to {folder}")
    else:
        typer.echo("\n".join(texts.values()), nl=False)
