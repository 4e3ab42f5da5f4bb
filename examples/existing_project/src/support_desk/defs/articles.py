"""What the project had: articles of the help desk as a DataFrame, by the project's own I/O manager."""

from pathlib import Path

import dagster as dg
import pandas as pd

PROJECT = Path(__file__).parents[3]


@dg.asset(group_name="support", kinds={"pandas"})
def support_articles() -> pd.DataFrame:
    """Published articles: drafts are nobody's business."""
    articles = pd.read_csv(PROJECT / "data" / "articles.csv", dtype={"id": str})
    return articles[articles["status"] == "published"].drop(columns="status")


@dg.definitions
def articles() -> dg.Definitions:
    """The project keeps values of assets in its own folder."""
    files = dg.FilesystemIOManager(base_dir=str(PROJECT / "storage"))
    return dg.Definitions(assets=[support_articles], resources={"io_manager": files})
