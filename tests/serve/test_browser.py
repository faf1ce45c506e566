"""The page in a real browser: a correction by the keyboard alone, narrow, dark, and audited by axe.

    pytest -m thorough tests/serve/test_browser.py

Needs playwright, a Chromium, and axe-core's script (AXE=path of axe.min.js); skipped without them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def corrected(page, picture: Path, target: str) -> None:
    """Ask, and correct the answer, by the keyboard alone."""
    page.set_input_files("#picture", str(picture))
    page.locator("#question").focus()
    page.keyboard.type("What is this?")
    page.keyboard.press("Control+Enter")
    page.locator("#answer summary").first.wait_for()
    page.locator("#answer summary").first.focus()
    page.keyboard.press("Enter")
    page.locator("#target").focus()
    page.keyboard.type(target)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#preview button.main").wait_for()
    page.locator("#preview button.main").focus()
    page.keyboard.press("Enter")
    page.locator("#preview [role=status]", has_text="In force").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_correction_in_the_browser(
    address, browser, model, pictures, tmp_path, width, scheme
) -> None:
    picture = tmp_path / "picture.png"
    pictures[0].save(picture)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems: list[str] = []
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    corrected(page, picture, "a violet")
    assert [edit.target for edit in model.edits] == ["a violet"]
    page.locator("#edit-table td", has_text="a violet").first.wait_for()
    assert page.locator("#edit-table img").first.evaluate("i => i.complete && i.naturalWidth > 0")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "nothing is wider than the screen"
    axe = os.environ.get("AXE")
    if axe:
        page.evaluate(Path(axe).read_text())  # the policy forbids a script of others
        found = page.evaluate("axe.run().then(one => one.violations)")
        grave = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
        assert grave == []
    shots = os.environ.get("SHOTS")
    if shots:
        page.screenshot(path=f"{shots}/page-{width}.png", full_page=True)
    page.locator("#edit-table button", has_text="Revoke").first.click()
    page.locator("#edit-table button", has_text="Restore").first.wait_for()
    assert model.edits == ()
    assert problems == []
