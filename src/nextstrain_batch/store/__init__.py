"""Everything that defines a stored byte: keys, packs, manifests and how S3 is spoken to.

Both sides of a run use it: the user's computer, and the agent inside the job. It therefore
imports nothing compiled and nothing from the rest of the package, besides what says what went
wrong (``errors``, ``aws_errors``) and when to try again (``trouble``). Every object and byte is
described in ``docs/internals/storage.md``.
"""
