"""Point 12: no page overflows in a language with longer words that is written from right to left."""

from tests.ui_check.pages import paths
from tests.ui_check.subject import Subject

_WIDTHS = (1280, 390, 320)


async def check(subject: Subject) -> list[str]:
    """What was found."""
    found = []
    for language in ("en", "x-pseudo"):
        async with subject.page() as seen:
            await seen.page.context.add_cookies(
                [{"name": "language", "value": language, "url": f"{subject.url}/ui"}]
            )
            for path in paths(subject):
                await seen.page.goto(subject.at(path))
                for width in _WIDTHS:
                    await seen.page.set_viewport_size({"width": width, "height": 900})
                    wide = await seen.page.evaluate(
                        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    )
                    if wide > 0:
                        found.append(f"/ui/{path} is {wide} px too wide for {width} ({language})")
                if language != "en" and not await seen.page.evaluate(
                    "document.documentElement.dir === 'rtl'"
                ):
                    found.append(f"/ui/{path} is not written from right to left in {language}")
    return found
