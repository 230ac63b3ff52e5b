"""Which of two values of a metric is the better one, as far as its name says."""

from __future__ import annotations

import re

_GAINS = re.compile(
    "accuracy|acc|score|reward|return|f1|auc|auroc|bleu|rouge|iou|dice|r2|precision|recall|ndcg|"
    "mrr|psnr|ssim"
)
_COSTS = re.compile(
    "loss|error|err|cost|penalty|regret|perplexity|ppl|nll|wer|cer|mse|rmse|mae|fid|bpc|bpb|time|"
    "seconds|latency"
)


def is_gain(metric: str) -> bool:
    """Tell whether a metric's name says that more is better: one word does, and none denies it."""
    return any(map(_GAINS.fullmatch, _words(metric))) and not is_cost(metric)


def is_cost(metric: str) -> bool:
    """Tell whether a word of a metric's name says that less is better."""
    return any(map(_COSTS.fullmatch, _words(metric)))


def _words(metric: str) -> list[str]:
    return [word.lower() for word in re.split(r"[_/:-]|(?<=[a-z0-9])(?=[A-Z])", metric)]
