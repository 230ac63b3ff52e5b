"""Ray's environment: silent, and not the keeper of results, which the store is."""

from __future__ import annotations

import os
import secrets

_SETTINGS = {
    # Workers import the trainable from the folder in which the sweep was started.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The default loggers write five files a trial, and rows that repeat after a retry.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune rewrites its whole state at each snapshot; nothing ever reads it here.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    # Ctrl-C then ends `fit` at once instead of after the epochs under way.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The older reporter is the one that `verbose=0` silences altogether.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    # The driver never needs an accelerator, and must not hide them from others.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def apply() -> None:
    """Set what Ray reads when it is imported; what the user has set stays."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if not os.environ.get("RAY_ADDRESS") and "RAY_AUTH_MODE" not in os.environ:
        # This machine's own Ray listens on every network: whoever may reach it runs code.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
