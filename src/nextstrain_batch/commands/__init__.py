"""The commands, one module each.

A command's module has ``register(subparsers)``, which adds its parser and sets the default
``run``: a function from the parsed arguments to the exit code. The modules are imported for
``--help``, so what is slow or optional (botocore, rich, the sandbox's packages) is imported inside
the functions that need it.
"""
