"""Who may do what in the sandbox: our own evaluation of IAM policies.

moto's own denies what the documented policies allow, and in a form that no service has.

    patterns    ``*``, ``?`` and ``${variables}`` in policies
    documents   a policy document as frozen data
    conditions  the ``Condition`` of a statement
    evaluation  policies and a request → allowed, or why not
    signature   a request → the access key it is signed with
    identify    a request → ``calls``: operation, actions, resources; each service has its own
                module, ``s3_calls``, ``batch_calls``, ``logs_calls`` and ``query_calls``
    accounts    access keys → callers and their policies, read from moto
    simulation  what somebody else would be allowed (SimulatePrincipalPolicy)
    answers     refusals, in each service's own form
    guard       all of it as WSGI middleware

All but ``accounts`` and ``guard`` is pure: values in, values out. ``docs/explanation/sandbox.md``
says what is evaluated and what is not.
"""
