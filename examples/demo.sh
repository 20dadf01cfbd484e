#!/bin/sh
# Runs the example build on the embedded AWS, checks what came back and says where it is.
# Called by `make demo`, which puts `nextstrain`, `snakemake` and `augur` on PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

nextstrain build --aws-batch --sandbox "$here/outbreak"
nextstrain sandbox stop

augur validate export-v2 "$here/outbreak/auspice/outbreak.json"
echo
echo "The build's result: $here/outbreak/auspice/outbreak.json"
echo "Drop it on https://auspice.us to look at the tree; nothing is uploaded by that page."
