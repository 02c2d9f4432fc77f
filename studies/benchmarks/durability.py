"""Studies that are disturbed: many workers, workers that die, servers that stop, disks that are full.

Each row is a study on a storage as it is deployed, disturbed while it runs, and what is left of it. Nothing may be
lost, left running, or evaluated twice, and no worker may end with an error. Rows whose server or rights are not there
are left out, and told. Finished rows are kept in a file, and not repeated.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import optuna

from faults.bit_flips import noticed_flips
from faults.cluster import with_queue_on_dask
from faults.crowd import with_queue
from faults.deaths import with_deadly_configuration, with_deaths
from faults.files import refusals, with_full_disk
from faults.mysql import MySQL
from faults.outages import crowded, dropped, stopped, with_outage
from faults.outcome import Outcome
from faults.postgresql import PostgreSQL
from faults.storages import STORAGES, deployed
from searching.markdown import markdown_header, markdown_row

Row = Callable[[Path], tuple[bool, str]]
"""Given an empty folder: whether nothing is wrong, and what there is to say."""

DEATHS, FLIPS = 40, 1_000


def main() -> int:
    """Run the rows that are not finished yet, and print all.

    Returns:
        The exit code: 1 if something is wrong in a row.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="rows whose name has this in it")
    parser.add_argument("--results", type=Path, default=Path("durability.json"), help="(default: %(default)s)")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("sqlalchemy").setLevel(logging.ERROR)
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for name, row in _rows().items():
        if name in results or (arguments.only and arguments.only not in name):
            continue
        try:
            results[name] = _in_folder(row)
        except (FileNotFoundError, PermissionError) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        print(f"{name}: {results[name][1]}", file=sys.stderr, flush=True)
        arguments.results.write_text(json.dumps(results, indent=1))
    print(markdown_header(("what was done", "what became of it")))
    for name, (is_right, text) in results.items():
        print(markdown_row((name, text if is_right else f"**{text}**")))
    return 0 if all(is_right for is_right, _ in results.values()) else 1


def _in_folder(row: Row) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # A server may run as another user.
        return row(folder)


def _rows() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for storage in STORAGES:
        rows[f"{storage}: 4 workers, 200 trials, 24 of them queued"] = partial(_queued, storage)
    rows["Dask on PostgreSQL: 4 workers, 200 trials, 24 of them queued"] = _queued_on_dask
    for storage in ("SQLite", "journal", "PostgreSQL", "MySQL"):
        rows[f"{storage}: {DEATHS} workers killed, in every phase of a trial"] = partial(_deaths, storage)
    for storage in ("SQLite", "journal", "PostgreSQL", "MySQL"):
        rows[f"{storage}: a configuration that kills its process"] = partial(_deadly, storage)
    for server in (PostgreSQL, MySQL):
        name = server.__name__
        rows[f"{name} stopped for 10 s"] = partial(_outage, server, stopped, 10.0)
        rows[f"{name} stopped for 60 s"] = partial(_outage, server, stopped, 60.0)
        rows[f"{name}: all connections terminated, five times"] = partial(_outage, server, dropped, 0.0)
        rows[f"{name}: no connections left for 10 s"] = partial(_outage, server, crowded, 10.0)
    for kind in ("sqlite", "journal"):
        rows[f"{kind}: disk full for 5 s"] = partial(_full_disk, kind)
    rows["files that cannot be used"] = _refusals
    rows[f"{FLIPS:,} single bits flipped in a cached network"] = _flips
    return rows


def _queued(storage: str, folder: Path) -> tuple[bool, str]:
    with deployed(storage, folder) as url:
        return _told(with_queue(url, folder), trials=200)


def _queued_on_dask(folder: Path) -> tuple[bool, str]:
    with deployed("PostgreSQL", folder) as url:
        return _told(with_queue_on_dask(url, folder), trials=200)


def _deaths(storage: str, folder: Path) -> tuple[bool, str]:
    with deployed(storage, folder) as url:
        outcome, wrong = with_deaths(url, folder, DEATHS)
    is_right, text = _told(outcome)
    more = [f"at most {outcome.attempts} attempts", *wrong]
    return is_right and outcome.attempts <= 3 and not wrong, "; ".join([text, *more])


def _deadly(storage: str, folder: Path) -> tuple[bool, str]:
    with deployed(storage, folder) as url:
        outcome, deaths = with_deadly_configuration(url, folder)
    is_right, text = _told(outcome)
    return is_right and deaths == 3, f"{deaths} deaths; {text}"


def _outage(
    server: type[PostgreSQL] | type[MySQL], outage: Callable[..., None], seconds: float, folder: Path
) -> tuple[bool, str]:
    return _told(with_outage(server, folder, outage, seconds), trials=100)


def _full_disk(kind: str, folder: Path) -> tuple[bool, str]:
    kept, changed, end = with_full_disk(kind, folder / "disk")
    return changed == 0, f"{kept} finished trials, {changed} of them changed; the worker {end}"


def _refusals(folder: Path) -> tuple[bool, str]:
    found = list(refusals(folder))
    for name, refusal in found:
        print(f"  {name}: {refusal.text}", file=sys.stderr)
    wrong = [name for name, refusal in found if refusal.lines != 1 or not refusal.is_unchanged]
    return not wrong, f"{len(found) - len(wrong)} of {len(found)} refused in a line, unchanged; not: {wrong or 'none'}"


def _flips(folder: Path) -> tuple[bool, str]:
    noticed = noticed_flips(folder, FLIPS)
    return noticed == FLIPS, f"{noticed:,} noticed"


def _told(outcome: Outcome, trials: int | None = None) -> tuple[bool, str]:
    wrong = {
        "failed": outcome.failed,
        "left running": outcome.running,
        "lost": outcome.lost,
        "evaluated twice": outcome.twice,
        "workers with errors": outcome.errors,
    }
    said = ", ".join(f"{count} {name}" for name, count in wrong.items() if count) or "nothing lost or done twice"
    given_up = f" and {outcome.given_up} given up" if outcome.given_up else ""
    return outcome.is_whole and trials in (None, outcome.complete), f"{outcome.complete} complete{given_up}; {said}"


if __name__ == "__main__":
    sys.exit(main())
