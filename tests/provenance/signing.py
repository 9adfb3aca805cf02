"""Signs and verifies a file in a process of its own, and says as JSON what that took.

python -m tests.provenance.signing FILE CHAIN KEY ROOT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tasks.provenance.credit import credit
from tasks.provenance.credits import Credits
from tasks.provenance.verify import verify
from tasks.settings import Signing
from tests.sequence.joining import Memory


def main() -> None:
    """Credit the file, read it back, and tell the most memory that both have had."""
    film, chain, key, root = sys.argv[1:]
    memory = Memory()
    told = Credits("Large", "klingai:kling@o1-standard", "runware", (), ())
    credit(Path(film), told, Signing(certificate=chain, key=key))
    found = verify(Path(film), Path(root).read_bytes())
    sys.stdout.write(json.dumps({"state": found.state, "peak_mb": memory.peak_mb()}))


if __name__ == "__main__":
    main()
