"""What templates and scripts may hold: the Content-Security-Policy refuses the rest in the browser."""

import gzip
import re
from hashlib import sha256
from pathlib import Path

import pytest

import bridge.ui
from bridge.ui.assets import HTMX_SHA256, assets, packaged
from bridge.ui.render import LANGUAGES, compile_all

ROOT = Path(bridge.ui.__file__).parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
FORBIDDEN = {
    "a handler in an attribute": r"\son\w+\s*=",
    "a style attribute": r"\sstyle\s*=",
    "an inline style": r"<style",
    "an inline script": r"<script(?![^>]*\ssrc=)",
    "a script in an address": r"javascript:",
    "text that is not escaped": r"\|\s*safe\b|autoescape\s+false|Markup",
    "what htmx evaluates": r"hx-on|hx-vals\s*=\s*[\"']js:|hx-trigger\s*=\s*[\"'][^\"']*\[",
}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_template_holds(what: str, template: Path):
    text = template.read_text()
    if "attribute" in what:
        text = re.sub(r"\{%.*?%\}", "", text, flags=re.DOTALL)
    assert not re.search(FORBIDDEN[what], text, re.IGNORECASE)


def test_only_the_module_of_charts_makes_markup():
    makers = {path.name for path in ROOT.rglob("*.py") if "Markup(" in path.read_text()}
    assert makers <= {"svg.py"}


def test_htmx_is_the_file_of_its_npm_package():
    assert sha256(packaged("htmx.min.js")).hexdigest() == HTMX_SHA256


def test_style_sheet_and_scripts_stay_small():
    assert len(packaged("ui.js")) + len(packaged("live.js")) < 15_000
    assert len(packaged("ui.js")) < 12_000
    assert len(assets()["ui.css"].packed) < 8_000
    assert len(assets()["ui.js"].packed) < 20_000


def test_an_asset_is_named_by_its_content_and_unpacks_to_it():
    asset = assets()["ui.css"]
    assert sha256(asset.plain).hexdigest()[:12] in asset.name
    assert gzip.decompress(asset.packed) == asset.plain


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_compiles(language: str):
    compile_all(language)
