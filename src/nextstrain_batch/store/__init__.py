"""Everything that defines a stored byte: keys, packs, manifests and how S3 is spoken to.

Both sides of a run use it: the user's computer, and the agent inside the job. It therefore
imports nothing compiled and, besides ``errors``, nothing from the rest of the package. Every
object and byte is described in ``docs/internals/storage.md``.
"""
