"""JSON documents as a bucket holds them, and ones in which something is wrong."""

import copy
import json

from nextstrain_batch.store import seekable, zstd


def packed(document):
    """Return the bytes of a document, or of a text that is none."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return seekable.compress(zstd.best(), text, 1)


def changed(document, *path_and_value):
    """Return a copy in which the place that the path leads to has the value; ``...`` removes it."""
    *path, last, value = path_and_value
    document = copy.deepcopy(document)
    place = document
    for key in path:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document
