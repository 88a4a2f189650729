"""Login and logout, and who sends a request."""

import time
from collections.abc import Callable

from aiohttp import web
from yarl import URL

from bridge.core.access import Actor
from bridge.http.auth import AccessGate, digest_of
from bridge.http.documents import RequestProblem
from bridge.ui.front import Front
from bridge.ui.guard import Place
from bridge.ui.page import View
from bridge.ui.reading import read_form
from bridge.ui.session import LONGEST, Session, Sessions, new_session

COOKIE = "bridge_session"
LOOKS = {
    "theme": ("auto", "light", "dark"),
    "density": ("normal", "compact", "roomy"),
    "language": ("en", "x-pseudo"),
    "keys": ("on", "off"),
}
"""The cookies of the look with their values, the default first."""
_MOST_RETURN = 2000
_YEAR = 365 * 86_400


class Door:
    """Lets people in and out."""

    def __init__(
        self, gate: AccessGate, sessions: Callable[[], Sessions], place: Place, front: Front
    ) -> None:
        self._gate = gate
        self._sessions = sessions
        self._place = place
        self._front = front

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes of login and logout."""
        return [
            web.get("/login", self._form),
            web.post("/login", self._login),
            web.post("/logout", self._logout),
        ]

    async def who(self, request: web.Request) -> tuple[Actor, Session]:
        """Returns who sends the request; raises RequestProblem: 401 without a session, or if its token is valid no longer."""
        session = self._sessions().session(request.cookies.get(COOKIE, ""), time.time())
        actor = None if session is None else await self._gate.holder(session.digest)
        if session is None or actor is None:
            raise RequestProblem(401, "log in first")
        if renewed := session.renewed(time.time()):
            request[RENEWED] = renewed
        return actor, session

    def check(self, view: View, csrf: str) -> None:
        """Raises RequestProblem: 403 if the form was not made for this session."""
        if not view.is_own_form(csrf):
            raise RequestProblem(403, "the form is not of this session; load the page again")

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Sets theme, density or language, each a cookie, so that no page is drawn twice."""
        form = await read_form(request)
        response = web.Response(status=303, headers={"Location": self._back(str(form.get("return", "")))})
        for name, values in LOOKS.items():
            if (value := str(form.get(name, ""))) in values:
                self._set(response, name, value, _YEAR)
        return response

    def send_to_login(self, request: web.Request) -> web.Response:
        """Returns the way to the login, with the way back."""
        path = request.path.removeprefix("/ui").removeprefix("/")
        asked = path + (f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else "")
        back = asked if request.method == "GET" else ""
        url = str(
            URL(f"{self._place.root}/login").with_query({"return": back[:_MOST_RETURN]} if back else None)
        )
        if request.headers.get("HX-Request"):
            return web.Response(status=401, headers={"HX-Redirect": url})
        response = web.Response(status=303, headers={"Location": url})
        if COOKIE in request.cookies:
            self._set(response, COOKIE, "", 0)
        return response

    def renew(self, request: web.Request, response: web.StreamResponse) -> None:
        """Writes the cookie anew if it is time to."""
        if RENEWED in request:
            self._set(response, COOKIE, self._sessions().cookie(request[RENEWED]), LONGEST)

    async def _form(self, request: web.Request) -> web.StreamResponse:
        once = request.query.get("once", "")
        good = bool(once) and self._sessions().linked(once, time.time(), use=False) is not None
        return await self._front.login(
            request,
            back=request.query.get("return", ""),
            once=once if good else "",
            spent=bool(once) and not good,
        )

    async def _login(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        back, token, once = (str(form.get(name, "")) for name in ("return", "token", "once"))
        try:
            digest = await self._admitted(token.strip(), once, request.remote or "")
        except RequestProblem as refused:
            return await self._front.login(
                request, back=back, status=refused.status, detail=refused.detail, headers=refused.headers
            )
        response = web.Response(status=303, headers={"Location": self._back(back)})
        session = new_session(digest, time.time())
        self._set(response, COOKIE, self._sessions().cookie(session), LONGEST)
        return response

    async def _admitted(self, token: str, once: str, remote: str) -> str:
        if once:
            digest = self._sessions().linked(once, time.time(), use=True)
            if digest is None:
                raise RequestProblem(401, "this login link was used, or is too old")
            return digest
        if not token:
            raise RequestProblem(401, "paste a token")
        await self._gate.admit(token, remote)
        return digest_of(token)

    async def _logout(self, _: web.Request) -> web.StreamResponse:
        response = web.Response(status=303, headers={"Location": f"{self._place.root}/login"})
        self._set(response, COOKIE, "", 0)
        return response

    def _back(self, text: str) -> str:
        return self._place.safe_return(text[:_MOST_RETURN])

    def _set(self, response: web.StreamResponse, name: str, value: str, age: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=age,
            path=self._place.root,
            httponly=True,
            samesite="Lax",
            secure=self._place.secure,
        )


RENEWED = web.RequestKey("renewed", Session)
