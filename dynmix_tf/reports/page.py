"""A Markdown page with pictures as one self-contained HTML file."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import markdown

__all__ = ["one_page"]

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; color: #24292f; max-width: 900px; margin: 2em auto;
  padding: 0 1em; }
img { max-width: 100%; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1em 0; }
th, td { padding: 4px 10px; border-bottom: 1px solid #d9dde2; }
code { background: #f3f4f6; padding: 1px 4px; }
"""


def one_page(text: str, folder: Path) -> str:
    """HTML that needs no other file and no network.

    Args:
        text: Markdown with tables; its first line is the title.
        folder: Where its pictures (`.png`) lie; they are put into the page.

    Example:
        >>> page = one_page("# Report\\n\\n| a | b |\\n| --- | --- |\\n| 1 | 2 |", Path("."))
        >>> "<title>Report</title>" in page and "<td>1</td>" in page
        True
    """
    title = text.splitlines()[0].lstrip("# ")

    def inlined(match: re.Match[str]) -> str:
        data = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    body = re.sub(r'src="([^":]+\.png)"', inlined, markdown.markdown(text, extensions=["tables"]))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{_STYLE}</style>\n{body}\n'
    )
