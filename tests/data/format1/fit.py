"""The trainable whose trials the store next to it holds."""

import os


def train(params, trial):
    for epoch in range(int(trial.load() or 0) + 1, 4):
        if params["rate"] == 0.5 and params["depth"] == 2 and params["seed"] == 1 and epoch == 3:
            os._exit(1)
        if params["rate"] == 2.0 and params["depth"] == 2:
            raise RuntimeError("too deep")
        trial.probe("norm", "only", epoch * params["rate"], index=0)
        trial.save(str(epoch).encode())
        loss = epoch * params["rate"] / params["depth"]
        yield {"perplexity": loss if params["rate"] < 2 or epoch < 3 else float("nan")}
