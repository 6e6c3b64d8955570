"""What a count of failures says about the failure rate itself."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

MISS = 0.05
STEPS = 60


def upper_bound(failed: int, n: int) -> float:
    """One-sided 95 % upper bound of the failure rate after `failed` of `n` requests failed; 1.0 where n is 0.

    None failed: 3/n, the rule of three (Hanley and Lippman-Hand, JAMA 1983), never above 1. Otherwise Clopper and
    Pearson (Biometrika 1934): the rate at which so few failures would be seen with probability 0.05, by bisection.
    """
    if n <= 0 or failed >= n:
        return 1.0
    if failed <= 0:
        return min(1.0, 3 / n)
    low, high = failed / n, 1.0
    for _ in range(STEPS):
        rate = (low + high) / 2
        if rate in (low, high):
            break
        low, high = (rate, high) if at_most(failed, n, rate) > MISS else (low, rate)
    return high


def at_most(failed: int, n: int, rate: float) -> float:
    """P(X ≤ failed) of a binomial; 0 < rate < 1 and failed ≤ n·rate, so that the terms shrink going down."""
    odds = log(rate) - log1p(-rate)
    logarithm = lgamma(n + 1) - lgamma(failed + 1) - lgamma(n - failed + 1) + n * log1p(-rate) + failed * odds
    total = 0.0
    for k in range(failed, -1, -1):
        term = exp(logarithm)
        total += term
        if k == 0 or term < total * 1e-16:
            break
        logarithm += log(k) - log(n - k + 1) - odds
    return total
