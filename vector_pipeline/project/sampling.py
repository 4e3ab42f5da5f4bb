"""What of a source an environment builds, and whose vectors it may read."""

from pathlib import Path

from vector_pipeline.build.reusing import OtherLake
from vector_pipeline.config.models import gates_of
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.parts import Parts
from vector_pipeline.verify.canaries.file import canaries_of
from vector_pipeline.verify.retrieval.judgements import judged_documents


class Sampling(Parts):
    """The environment's sample."""

    def sample(self, dataset: str) -> Sample | None:
        """Documents of a dataset that are built here; None: all. Those that canaries and judgements name are always among them.

        ``ConfigError`` where a file of canaries or judgements cannot be read: without it the sample would be another one.
        """
        share = self.settings.sample
        if share is None:
            return None
        gates = gates_of(self.dataset(dataset), self.settings)
        named = {*self.settings.sample_also}
        for canary in canaries_of(gates, self.base).canaries:
            named |= {*canary.expect, *canary.forbid}
        if gates.retrieval.judgements is not None:
            named |= judged_documents(self.base / Path(gates.retrieval.judgements))
        return Sample(share, tuple(sorted(named)))

    def other_lake(self) -> OtherLake | None:
        """The lake whose vectors are read before anything is embedded; None: none is."""
        name = self.settings.reuse
        return None if name is None else OtherLake(name, self.config.environments[name].lake, self.base)
