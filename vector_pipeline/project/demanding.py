"""What a dataset's releases must pass in this environment: which gates, how strictly, under which settings.

Laws
----
1. Demanded is every gate of the catalogue that this environment has not turned off; what of it stops a release is policy.
2. Settings have one name: the configuration of the gates and the bytes of the files that it names.
"""

from collections.abc import Sequence
from pathlib import Path

from vector_pipeline.config import GateConfig, PromotionConfig
from vector_pipeline.config.gates import Mode
from vector_pipeline.config.models import gates_of
from vector_pipeline.errors import InputError
from vector_pipeline.hashing import bytes_hash, fingerprint
from vector_pipeline.project.placing import Placing
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.catalogue import Scope, key_of
from vector_pipeline.verify.expectations.reading import suite_path
from vector_pipeline.verify.expectations.suite import KINDS

MIRROR_DRIFT = "mirror drift"
"""Where a dataset has several places, each has this one too, and each but the first ``MIRRORS_AGREE``."""


class Demanding(Placing):
    """Gates by name, and their policy."""

    def gates(self, dataset: str) -> GateConfig:
        """What gates demand of a dataset in this environment."""
        return gates_of(self.dataset(dataset), self.settings)

    def promotion_of(self, dataset: str) -> PromotionConfig:
        """How this environment promotes a dataset: its own policy, or the dataset's."""
        return self.settings.promotion or self.dataset(dataset).promotion

    def modes(self, dataset: str) -> dict[str, Mode]:
        """Every gate that the dataset could have, in order, and how strict it is here."""
        demanded = self.gates(dataset)
        several = (MIRROR_DRIFT, MIRRORS_AGREE) if len(self.configured(dataset)) > 1 else ()
        return {name: demanded.mode(key_of(name)) for name in (*catalogue.BY_NAME, *several)}

    def version_gates(self, dataset: str) -> tuple[str, ...]:
        """Gates that look at a version, and compare it with production: once, wherever it is deployed."""
        return self._on(dataset, catalogue.names(Scope.VERSION, Scope.CHANGE))

    def index_gates_of(self, dataset: str, target: str) -> tuple[str, ...]:
        """Gates that look at a place: of several places, each must hold the same as the first."""
        gates = catalogue.names(Scope.INDEX)
        places = self.places(dataset)
        if len(self.configured(dataset)) > 1:
            gates += (MIRROR_DRIFT,) if target == places[0] else (MIRROR_DRIFT, MIRRORS_AGREE)
        return self._on(dataset, gates)

    def gates_of(self, dataset: str, target: str) -> tuple[str, ...]:
        """Every gate that a deployment at a place must have passed before it is promoted, in order."""
        return (*self.version_gates(dataset), *self.index_gates_of(dataset, target))

    def _on(self, dataset: str, gates: Sequence[str]) -> tuple[str, ...]:
        """Law 1."""
        demanded = self.gates(dataset)
        return tuple(name for name in gates if demanded.mode(key_of(name)) != "off")

    def gate_settings(self, dataset: str) -> str:
        """Law 2."""
        gates = self.gates(dataset)
        files = {str(path): _bytes_of(self.base / path) for path in gates.files()}
        # Of the folder only what is read: it may be one that holds anything else besides, such as the lake.
        paths = {kind: suite_path(kind, gates, self.base) for kind in KINDS}
        suites = {kind: _bytes_of(path) for kind, path in paths.items() if path is not None}
        return fingerprint({"gates": gates.model_dump(mode="json"), "files": files, "suites": suites})

    def gates_to_override(self, dataset: str, named: Sequence[str], reason: str) -> tuple[str, ...]:
        """Gates that a person wants to let a version past, by name; they may be written as the configuration writes them.

        ``InputError`` for one that there is not, one that stops nothing here, and without a reason.
        """
        modes, found = self.modes(dataset), []
        for one in named:
            name = one.strip().replace("_", " ")
            if name not in modes:
                raise InputError(f"{dataset} has no gate {one!r}", fix=f"One of: {', '.join(map(key_of, modes))}")
            if modes[name] != "block":
                said = "is off" if modes[name] == "off" else "only warns"
                raise InputError(
                    f"{name} {said} in environment {self.environment}: it stops nothing",
                    fix=f"Leave out --override {one}",
                )
            found.append(name)
        if found and not reason.strip():
            raise InputError(f"letting a version past {', '.join(found)} wants a reason", fix='Say it: --reason "why"')
        return tuple(dict.fromkeys(found))


def _bytes_of(path: Path) -> str:
    """Digest of a file, wherever it lies: who verifies may be another machine than who promotes."""
    try:
        return bytes_hash(path.read_bytes())
    except OSError:
        return "unreadable"
