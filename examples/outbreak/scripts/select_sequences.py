"""Print the records of a FASTA file whose names a list holds, in the file's order.

    python3 scripts/select_sequences.py LIST < all.fasta > selected.fasta

`augur filter` would do it, but calls the program SeqKit for it, which is not a Python package.
"""

import sys
from pathlib import Path

wanted = set(Path(sys.argv[1]).read_text(encoding="utf-8").split("\n")) - {""}
missing = set(wanted)
keep = False
for line in sys.stdin:
    if line.startswith(">"):
        name = line[1:].split()[0]
        keep = name in wanted
        missing.discard(name)
    if keep:
        sys.stdout.write(line)
if missing:
    sys.exit(f"No sequence for: {', '.join(sorted(missing))}")
