"""Source freshness. ``shards`` what each shard took of the source's changes; ``gate`` the gate."""
