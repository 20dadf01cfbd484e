"""S3 spoken directly, with nothing but Python's standard library: for a fast start.

It knows what the store asks of S3 and the common ways to an account; for everything else there is
botocore (``store/s3.py``). ``direct_settings`` decides which of the two serves.

``transport`` what the store asks → ``signature`` → ``connections`` → ``answers``, ``failures``
"""
