"""What a source lists, without what is not in the sample: one statement, whatever the number of documents."""

import pyarrow as pa

from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake


def keep_sample(lake: Lake, table: str, column: str, sample: Sample | None, dataset: str) -> None:
    """Delete from a temporary table what is not in the sample (None: all is). ``RefusedError`` where nothing would be left."""
    if sample is None:
        return
    before = int(lake.row(f"SELECT count(*) FROM {table}")[0])
    named = pa.table({"name": pa.array(sample.also, pa.string())})
    pattern = sample.pattern()
    alike = f"OR regexp_full_match({column}, ?, 's')" if pattern is not None else ""
    with lake.registered("sample_names", named):
        lake.run(
            f"""DELETE FROM {table} WHERE NOT coalesce(
                {sample.hashed(column)} OR {column} IN (SELECT name FROM sample_names) {alike}, false)""",
            [pattern] if pattern is not None else [],
        )
    if before and not int(lake.row(f"SELECT count(*) FROM {table}")[0]):
        raise RefusedError(
            f"{dataset}: none of the {before:,} documents of the source is in the sample of {sample.share:g}",
            fix="Raise `sample:` of the environment, or name documents in `sample_also:`",
        )
