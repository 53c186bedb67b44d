"""The command ``sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redemption_analytics.cli.output import Output
from redemption_analytics.cli.running import command


@command()
def sample(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the exports.")],
    customers: Annotated[int, typer.Option(min=1, help="Customers of the organisation.")] = 2000,
    exports: Annotated[int, typer.Option(min=1, help="Nightly exports.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    damage: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of answers that are damaged.")
    ] = 0.0,
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="Show a progress bar.  [default: on a terminal]",
            show_default=False,
        ),
    ] = None,
    output: Output = Output(),  # noqa: B008
) -> None:
    """Write exports of a synthetic organisation: overlapping, in all editions, some truncated."""
    from redemption_analytics.sample import write_sample

    for path in write_sample(
        directory,
        customers=customers,
        exports=exports,
        seed=seed,
        damage=damage,
        progress=progress,
    ):
        output.say(f"{path}  {path.stat().st_size:,} bytes")
