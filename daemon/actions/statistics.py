"""How a batch stands, as its answers show it."""

from daemon.upkeep.statistics import BatchStatistics, StageStatistics, statistics

__all__ = ["BatchStatistics", "StageStatistics", "statistics"]
