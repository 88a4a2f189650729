"""Texts that try to become markup, script, template, path or formula where they are shown."""

import json

CALL = "uiCheckRan()"
"""What a text would have to run to be noticed."""
_MARKUP = (
    "<script>{}</script>",
    "</script><script>{}</script>",
    "</title><script>{}</script>",
    "</textarea><script>{}</script>",
    "</style><script>{}</script>",
    "--><script>{}</script>",
    "<img src=x onerror={}>",
    '"><img src=x onerror={}>',
    "'><img src=x onerror={}>",
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<math><mtext><img src=x onerror={}>",
    "<body onload={}>",
    "<iframe srcdoc='<script>parent.{}</script>'>",
    "<iframe src=javascript:{}>",
    "<object data=javascript:{}>",
    "<embed src=javascript:{}>",
    "<a href=javascript:{}>x</a>",
    "<form action=javascript:{}><button>x</button></form>",
    "<base href=//evil.test/>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<link rel=stylesheet href=//evil.test/x.css>",
    "<style>*{{background:url(//evil.test/x)}}</style>",
    "<input autofocus onfocus={}>",
    "<details open ontoggle={}>",
    "<video><source onerror={}></video>",
    "<template><script>{}</script></template>",
    "<div hx-get=/ui/ hx-trigger=load hx-on:load={}>",
    "<div data-hx-on:load={}>",
    '" onmouseover={} x="',
    "' onmouseover={} x='",
    "` onmouseover={} x=`",
    '" autofocus onfocus={} x="',
    '"style="position:fixed;inset:0',
    "&lt;script&gt;{}&lt;/script&gt;",
    "&#60;script&#62;{}&#60;/script&#62;",
    "%3Cscript%3E{}%3C/script%3E",
    "\\u003cscript\\u003e{}\\u003c/script\\u003e",
    "javascript:{}",
    "data:text/html,<script>{}</script>",
    "//evil.test/x",
    "<!--[if IE]><script>{}</script><![endif]-->",
    "<![CDATA[<script>{}</script>]]>",
    "<scr\x00ipt>{}</scr\x00ipt>",
)
_OTHERS = (
    "{{7*7}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "\u202etxt.exe\u202c",
    "\u2066right\u2069 to left",
    "a\x00b",
    "\x1b[31mred\x1b[0m",
    "line\r\nSet-Cookie: a=b",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1+1)*cmd",
    "\t=1+1",
    "\r=1+1",
    "'; DROP TABLE deliveries; --",
    "../../../etc/passwd",
    "%s%n%d",
)
TEXTS = tuple(each.format(CALL) for each in _MARKUP) + _OTHERS


def body(text: str) -> bytes:
    """The body of an event that has the text as value and as name."""
    return json.dumps({"text": text, text: {"list": [text, 1.10, 9007199254740993]}}).encode()


def short(text: str) -> str:
    """The text as a short string of AMQP, which has no NUL, and 255 bytes at the most."""
    return text.replace("\x00", "\ufffd")[:80]
