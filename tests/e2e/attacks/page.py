"""What the page must show as text, and how one sees that it was taken for more."""

from playwright.sync_api import Dialog, Page

# Each would set `window.hit` where it is taken for more than text.
HOSTILE = (
    '<img src=x onerror="window.hit=1">',
    "<script>window.hit=2</script>",
    "<svg onload=window.hit=3>",
    '"><img src=x onerror=window.hit=4>',
    "' onmouseover='window.hit=5' autofocus onfocus='window.hit=5",
    "</textarea></select></title><script>window.hit=6</script>",
    "<iframe srcdoc='<script>parent.hit=7</script>'></iframe>",
    "<a href=javascript:window.hit=8>here</a>",
    "&lt;img src=x onerror=window.hit=9&gt;",
    "{{constructor.constructor('window.hit=10')()}}",
    "<style>*{display:none}</style><base href=//evil.example/>",
)
# What the page of the product never has, in letters that querySelectorAll takes.
FOREIGN = "img[src=x], [onerror], [onload], [onfocus], [onmouseover], iframe, base, a[href^='javascript:'], body style"


def watched(page: Page) -> list[str]:
    """What the browser says from here on: a dialog, or a script that the page's policy has stopped."""
    told: list[str] = []

    def dismissed(dialog: Dialog) -> None:
        told.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismissed)
    page.on("console", lambda line: told.append(line.text) if "Content Security Policy" in line.text else None)
    return told


def seen(page: Page, told: list[str]) -> list[str]:
    """What of the hostile texts was taken for more than text."""
    hit = page.evaluate("window.hit")
    elements = page.evaluate("s => [...document.querySelectorAll(s)].map(e => e.outerHTML.slice(0, 120))", FOREIGN)
    return [*told, *elements, *([f"a script ran: {hit}"] if hit else [])]
