"""The job side: what is sent to run in the container, and how it gets there.

``bundle`` and ``bootstrap`` run on the user's computer: the one makes the agent out of this
package's own modules, the other the job's command, which fetches the agent. All other modules
run in the job. The whole is described in ``docs/explanation/job-side.md``.
"""
