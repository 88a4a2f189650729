"""Mail over SMTP, plain and with STARTTLS, against a mail server that keeps what it gets."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from bridge.core.delivery import Fault
from tests.support.notifying import event, notify
from tests.support.receiver import TLS

TO = "?from=bridge@example.net&to=ops@example.net"


class Mailbox:
    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.secure: list[bool] = []
        self.refusal = ""

    async def handle_RCPT(self, _s: Any, _n: Any, envelope: Any, address: str, _o: Any) -> str:  # noqa: N802 - its name
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.secure.append(session.ssl is not None)
        return "250 OK"


@asynccontextmanager
async def mail_server(*, tls: bool = False) -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if tls else None
    if context:
        context.load_cert_chain(TLS / "server.pem", TLS / "server.key")

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login, given.password) == (b"joe", b"secret"), handled=False)

    def protocol() -> SMTP:
        return SMTP(
            mailbox, hostname="mail.test", tls_context=context, authenticator=check, auth_require_tls=False
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


async def test_text_arrives_as_it_was_written() -> None:
    text = "a < b && _c_ *d* 😀 žluť\nline 2\n.\n" + "x" * 5000
    async with mail_server() as mailbox:
        target = notify(
            f"mailto://127.0.0.1:{mailbox.port}{TO}",
            title="{{ event.data.title }}",
            body="{{ event.data.text }}",
        )
        answer = await target.attempt(event(text, "Order <7> 😀\r\nBcc: all@example.net"))
    assert (answer.fault, answer.error) == (None, "")
    (mail,) = mailbox.mails
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n").rstrip() == text
    assert mail["Subject"] == "Order <7> 😀 Bcc: all@example.net"
    assert mail["Bcc"] is None
    assert "ops@example.net" in mail["To"]


@pytest.mark.parametrize(
    ("written", "body"), [("html", "<b>{{ event.data.text }}</b>"), ("markdown", "**{{ event.data.text }}**")]
)
async def test_markup_of_the_event_does_not_act(written: str, body: str) -> None:
    async with mail_server() as mailbox:
        target = notify(f"mailto://127.0.0.1:{mailbox.port}{TO}", body=body, format=written)
        answer = await target.attempt(event("<i>a</i> *b* &amp;"))
    assert (answer.fault, answer.error) == (None, "")
    (mail,) = mailbox.mails
    page = mail.get_body(("html",))
    assert page is not None
    assert "&lt;i&gt;a&lt;/i&gt; *b* &amp;amp;" in page.get_content()
    assert "<b>&lt;" in page.get_content() or "<strong>&lt;" in page.get_content()


async def test_starttls_is_used_and_its_certificate_checked() -> None:
    async with mail_server(tls=True) as mailbox:
        url = f"mailtos://127.0.0.1:{mailbox.port}{TO}"
        refused = await notify(url).attempt(event())
        assert refused.fault is Fault.TLS
        trusting = await notify(f"{url}&verify=no").attempt(event())
    assert (trusting.fault, trusting.error) == (None, "")
    assert mailbox.secure == [True]


async def test_a_wrong_password_is_told_by_its_code_and_never_shown() -> None:
    async with mail_server() as mailbox:
        answer = await notify(f"mailto://joe:guess@127.0.0.1:{mailbox.port}{TO}").attempt(event())
    assert (answer.fault, answer.code) == (Fault.STATUS, 535)
    assert "guess" not in answer.error
    assert mailbox.mails == []


async def test_a_refused_recipient_is_told_by_its_code() -> None:
    async with mail_server() as mailbox:
        mailbox.refusal = "550 no such user"
        answer = await notify(f"mailto://127.0.0.1:{mailbox.port}{TO}").attempt(event())
    assert (answer.fault, answer.code) == (Fault.STATUS, 550)
    assert answer.error == "urls[0] (mailto): the mail server answered 550: no such user"
