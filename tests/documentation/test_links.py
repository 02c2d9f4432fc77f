"""Links of the pages lead somewhere, and the way in stays short."""

from __future__ import annotations

import re

import pytest

from tests.documentation.pages import PAGE, PAGES, ROOT, Page, page_at

README_BYTES = 12_000

LINK = re.compile(r"\]\(([^)\s]+)\)")
LONE_NAMES = re.compile(r"`((?:qspinn_optuna|studies|tests|notebooks)/[\w./]+)`")


def test_there_are_pages() -> None:
    assert {"README.md", "GLOSSARY.md", "CONTRIBUTING.md", "studies/RESULTS.md"} <= PAGE.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Page) -> None:
    for link in LINK.findall(page.prose):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.folder / path).resolve() if path else ROOT / page.name
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in page_at(target).anchors, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Page) -> None:
    for name in LONE_NAMES.findall(page.prose):
        assert (ROOT / name).exists(), name


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(PAGE["README.md"].text.encode()) <= README_BYTES
    linked = {
        str((page.folder / link.partition("#")[0]).resolve().relative_to(ROOT))
        for page in PAGES
        for link in LINK.findall(page.prose)
        if not link.startswith("https://")
    }
    assert PAGE.keys() - linked <= {"README.md"}
