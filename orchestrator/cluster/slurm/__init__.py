"""Runs a sweep in an allocation of Slurm's, in which Ray starts and ends with it.

The cluster file says what to ask Slurm for (`config`), `batch` writes the script, and `queue` calls
Slurm's commands. In the allocation the script becomes the `supervisor`, which starts Ray with the
driver, warns it before the time limit, and decides whether the job queues itself again (`verdict`).
"""
