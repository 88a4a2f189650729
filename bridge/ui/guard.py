"""What protects pages in the browser: response headers, the origin of forms, and the paths behind a proxy."""

from dataclasses import dataclass

from aiohttp import web
from yarl import URL

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types htmx"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer browsers send `Origin: null` with our own forms, which then could not be told from others.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "",
}
"""The headers of every response; Cache-Control beside them unless a response has its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where browsers find the UI: the origin (None: that of each request) and the path, such as `/amqp/ui`."""

    origin: str | None
    root: str

    @classmethod
    def of(cls, public_url: str | None) -> "Place":
        """Returns the place for the setting `http.public_url`."""
        if public_url is None:
            return cls(None, "/ui")
        url = URL(public_url)
        return cls(str(url.origin()), url.raw_path.rstrip("/") + "/ui")

    @property
    def secure(self) -> bool:
        """Returns whether cookies are for https alone."""
        return self.origin is not None and self.origin.startswith("https:")

    def is_own(self, request: web.Request) -> bool:
        """Returns whether a page of ours sent the request, by its `Origin`."""
        origin = request.headers.get("Origin", "")
        own = {self.origin} if self.origin else {f"http://{request.host}", f"https://{request.host}"}
        return origin.lower() in {str(each).lower() for each in own}

    def safe_return(self, text: str) -> str:
        """Returns the path below the root to go to after a login, the start page for anything that leads elsewhere."""
        ok = not text.startswith("/") and "\\" not in text and ":" not in text.partition("?")[0]
        return f"{self.root}/{text if ok and text.isprintable() else ''}"
