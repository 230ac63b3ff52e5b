"""Ray's settings: no output, and no results, which are in the store."""

from __future__ import annotations

import os
import secrets

OBJECT_STORE_BYTES = 200_000_000
"""Enough, since only the job with the trials' params goes through it, once."""

ENDING = {
    # Ray would kill a worker's warm process, which then could not end what its trials have started;
    # it does so, and leaves, as soon as the worker is gone.
    "RAY_kill_child_processes_on_worker_exit": "0",
}
_SETTINGS = {
    **ENDING,
    # Workers import the trainable from the folder in which the sweep starts.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The default loggers write five files per trial, and repeat rows after a retry.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune rewrites its whole state at each snapshot, and nothing reads it here.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    # Ctrl-C then ends `fit` at once instead of after the current epochs.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # `verbose=0` silences only the older reporter completely.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    # As Tune sets it: PyTorch Lightning is not to fork (ray-project/ray#28197).
    "PL_DISABLE_FORK": "1",
    # The driver needs no accelerator, and must not hide them from its workers.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def apply() -> None:
    """Set the variables that Ray reads when it is imported; keep those that the user has set."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if not os.environ.get("RAY_ADDRESS") and "RAY_AUTH_MODE" not in os.environ:
        # A local Ray listens on every network: without a token, anyone who reaches it can run code.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
