"""Generated parts of the documents: what stands between two equal marks."""

import re
from pathlib import Path

from dynmix_tf import files


def replace_marked(path: Path, name: str, fresh: str) -> None:
    """Replaces what stands between the two marks `<!-- name -->` of a document."""
    mark = f"<!-- {name} -->"
    pattern = re.compile(f"{mark}.*{mark}", flags=re.DOTALL)
    files.write_atomic(path, pattern.sub(lambda _: f"{mark}\n{fresh}{mark}", path.read_text()))
