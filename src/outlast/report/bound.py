"""How often something may still happen after it was seen k times in n."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

MISS = 0.05
"""One-sided: the true rate lies above the bound in at most one of twenty such measurements."""


def upper_bound(failed: int, n: int) -> float:
    """95 % upper bound of a failure rate after `failed` of `n` requests failed; 1.0 where nothing can be said.

    None failed: the rule of three, 3/n (Hanley and Lippman-Hand 1983). Otherwise Clopper and Pearson 1934, one-sided:
    the rate at which so few failures would come with probability 0.05.
    """
    if n <= 0 or failed >= n:
        return 1.0
    if failed <= 0:
        return min(1.0, 3.0 / n)
    low, high = failed / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _at_most(failed, n, middle) > MISS:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, rate: float) -> float:
    """P(X ≤ k) of a binomial with k ≤ n·rate: summed downwards from k, where the terms only get smaller."""
    term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(rate) + (n - k) * log1p(-rate))
    total, step = 0.0, (1 - rate) / rate
    for i in range(k, -1, -1):
        total += term
        term *= step * i / (n - i + 1)
        if term < total * 1e-15:
            break
    return total
