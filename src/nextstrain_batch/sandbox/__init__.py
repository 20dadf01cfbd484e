"""The embedded AWS: one loopback server per user home, for builds without an account and for tests.

``manager`` is the way in from the rest of the package: it starts, finds and stops the server, and
imports nothing that only the ``sandbox`` extra installs. The server itself is

    member       the sandbox's account and its user;  remote: the server, from another process
    administrator  the keys that may do everything
    layout       where things lie below the home
    server       the process: socket, lock, threads, the order of starting and stopping
    http         waitress, on one loopback socket
    recorder     writes the journal of requests;  journal: what it looks like, reading it
    doorway      no requests of web pages
    iam          who may do what: a package of its own
    app          one WSGI application that hands each request to the one who answers it
    services     moto, for S3, IAM, STS, EC2, Logs and Batch's definitions, queues, environments
    corrections  what is changed in moto;  batch_corrections: in its queues and definitions;
                 lean: importing it without what nobody needs
    bodies       the content of S3 objects, on disk
    batch        Batch's job calls, on top of the job machine
    jobs         a job and its attempts as data;  retry: whether another attempt follows
    machine      what happens to jobs, as a state machine: no threads, clock passed in
    capacity     the instances that jobs are placed on;  instances: their types
    driver       the thread that carries out what the machine decides
    platform     what tasks are given: variables, credentials, a log stream
    executor     jobs as processes;  isolation: bubblewrap where it works;  memory: its limit
    images       what image names stand for;  scripts, image/: what the default one has
    joblog       what jobs print, as CloudWatch log events
    logs         log streams, and the calls that read and write them: a package of its own
    credentials  the job role's credentials, served to jobs
    control      stopping, saving, the clock, faults, settings
    settings     delays, sizes, quotas;  adjust: changing them and images;  quota
    state        what survives a stop, and a kill;  frames, written_through: before it is promised
    s3_checks    what S3 refuses and moto takes;  checksums, lifecycle, leftovers, troubles
    faults       what is to break, as data;  faulty_requests, faulty_jobs, faulty_logs,
                 faulty_surroundings: carrying it out;  fault_control, breaking: asking for it

``docs/explanation/sandbox.md`` says what it is and what it cannot show.
"""
