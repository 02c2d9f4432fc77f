"""Run the notebooks from a clean kernel and store them with their outputs.

    python notebooks/build.py [NOTEBOOK ...]

Needs the extra "notebooks", and a Chrome or Chromium, with which every figure gets a picture for viewers that run no
code. Each notebook runs in an empty folder of its own, so what it stores does not depend on earlier runs.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import sys
import tempfile
from pathlib import Path

import kaleido
import nbformat
import plotly.graph_objects as go
from nbclient import NotebookClient
from nbformat import NotebookNode

FIGURE = "application/vnd.plotly.v1+json"
FOLDER = Path(__file__).parent
BROWSERS = ("google-chrome", "chrome", "chromium", "chromium-browser")
WIDTH, HEIGHT, SCALE = 900, 500, 1.25
TIMEOUT = 600
"""Seconds for a cell."""


def main() -> None:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="all of this folder if not given")
    paths = parser.parse_args().notebooks or sorted(FOLDER.glob("*.ipynb"))
    find_browser()
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    kaleido.start_sync_server()
    try:
        for path in paths:
            build(path)
    finally:
        kaleido.stop_sync_server()


def find_browser() -> None:
    """Tell Kaleido of an installed browser, if it has not been told of one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is not None:
        os.environ.setdefault("BROWSER_PATH", found)


def build(path: Path) -> None:
    """Run a notebook and store it, if no cell fails."""
    print(path.name, flush=True)
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False, resources=resources
        ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [tidy(output) for output in cell.outputs if not is_noise(output)]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
    }
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    print(f"  {path.stat().st_size / 1024:.0f} KiB", flush=True)


def is_noise(output: NotebookNode) -> bool:
    """Whether an output is progress, a log or a warning, which is shown here instead of being stored."""
    noise: bool = output.output_type == "stream" and output.name == "stderr"
    if noise:
        print(output.text, file=sys.stderr)
    return noise


def tidy(output: NotebookNode) -> NotebookNode:
    """The output, a picture beside every figure."""
    if FIGURE in output.get("data", {}):
        figure = go.Figure(output.data[FIGURE], skip_invalid=True)
        # Figures are transparent, and their ink is for light pages and dark ones; a picture is sure of its page.
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
        size = {"width": WIDTH, "height": figure.layout.height or HEIGHT, "scale": SCALE}
        picture = kaleido.calc_fig_sync(figure, opts={"format": "png", **size})
        output.data = {FIGURE: output.data[FIGURE], "image/png": base64.b64encode(picture).decode()}
    return output


if __name__ == "__main__":
    main()
