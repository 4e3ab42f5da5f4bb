"""``dg scaffold defs vector_pipeline.dagster.VectorIndexComponent <path>``: a ``defs.yaml``, and the index's own file beside it."""

import dagster as dg
from pydantic import BaseModel, Field

from vector_pipeline.config import CONFIG_NAME

_INDEX = """\
# What the index is. Every field: docs/configuration.md of vector-pipeline.
environments:
  dev: {{}}
datasets:
  {dataset}:
    source:
      kind: parquet
      path: .vector_pipeline/upstream/{dataset}.parquet
      id: {id}
      text: [{text}]
    spaces:
      minilm: {{}}
    target: local
"""


class ScaffoldParams(BaseModel):
    """What ``dg scaffold`` asks for."""

    dataset: str = Field(default="articles", description="Name of the index.")
    upstream: str = Field(default="articles", description="Key of the asset that its documents come from.")
    id: str = Field(default="id", description="Column that identifies a document.")
    text: str = Field(default="text", description="Columns that make the text, with commas between them.")


class VectorIndexScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Both files; a ``vector_pipeline.yaml`` that is there is left as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The parameters' model."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write them."""
        said = request.params
        dg.scaffold_component(request, {"dataset": said.dataset, "upstream": said.upstream})
        beside = (request.target_path.parent if request.append else request.target_path) / CONFIG_NAME
        if not beside.exists():
            text = ", ".join(one.strip() for one in said.text.split(","))
            beside.write_text(_INDEX.format(dataset=said.dataset, id=said.id, text=text), encoding="utf-8")
