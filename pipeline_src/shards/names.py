"""Names of shards. Light to import: the Snakefile does so at every parse."""


def is_retried(shard: str) -> bool:
    """Whether a shard, such as 000000r01, holds clips that were tried again."""
    return "r" in shard
