"""Templates: compiled at the first request, for each language an environment of its own."""

import gettext
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from bridge.ui import svg, words
from bridge.ui.assets import assets

LANGUAGES = ("en", "x-pseudo")
_ACCENTS = str.maketrans("aeiouyncAEIOUC", "àéîöûýñçÀÉÎÖÛÇ")
_KEPT = re.compile(r"(%\([a-z_]+\)[a-z]|%%|<[^>]*>)")


class Pseudo(gettext.NullTranslations):
    """A language for tests: 40 % longer, accented, from right to left; what is not in it was not translated."""

    def gettext(self, message: str) -> str:
        parts = _KEPT.split(message)
        told = "".join(part if _KEPT.fullmatch(part) else part.translate(_ACCENTS) for part in parts)
        return f"[{told}{'·' * (len(message) * 2 // 5)}]"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@cache
def environment(language: str) -> Environment:
    """Returns the templates in a language."""
    made = Environment(
        loader=FunctionLoader(_source),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    translations = Pseudo() if language == "x-pseudo" else gettext.NullTranslations()
    # The extension adds this method at run time.
    made.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {
        "lang": language,
        "direction": "rtl" if language == "x-pseudo" else "ltr",
        "mark": words.mark,
        "svg": svg,
        "asset": {name: asset.name for name, asset in assets().items()},
    }
    made.filters |= {
        "absolute": words.absolute,
        "bytes": words.size,
        "duration": words.duration,
        "ms": words.milliseconds,
        "number": words.number,
        "short": words.short_id,
        "since": words.seconds_since,
        "visible": words.visible,
    }
    return made


def _source(name: str) -> str | None:
    found = files("bridge.ui").joinpath("templates").joinpath(name)
    return found.read_text(encoding="utf-8") if found.is_file() else None


def compile_all(language: str = "en") -> None:
    """Compiles all templates, which takes longer than an event loop may wait: call it in a thread."""
    root = files("bridge.ui").joinpath("templates")
    names = [each.name for each in root.iterdir() if each.is_file()]
    folders = [each for each in root.iterdir() if each.is_dir()]
    names += [f"{folder.name}/{each.name}" for folder in folders for each in folder.iterdir()]
    for name in names:
        environment(language).get_template(name)


def render(template: str, language: str, context: Mapping[str, Any]) -> str:
    """Returns the HTML of a template."""
    return environment(language).get_template(template).render(context)
