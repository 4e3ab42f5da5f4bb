"""OpenVINO: the only file that imports it. Runs on the CPU what sentence-transformers loaded.

Laws
----
1. The whole model is converted, from token ids to vectors, and asked once beside the model that it was made from: one that gives
   other vectors is refused. In float32 they agree to rounding, so the backend is no part of a space.
2. Texts of equally many tokens share a pass, and no others: nothing is padded. Padding costs time, and in bfloat16 it would move
   vectors (by a cosine distance of 0.000005 here, as much as attestation allows).
3. A pass reads at most ``_TOKENS``: here texts of 256 tokens take a sixth less time by 8 than by 32, which leave the cache.
4. Nothing is sent. OpenVINO reports every import and every ``convert_model`` to Google Analytics, through a package that it does
   without where that is missing: for us it is, and conversion goes to the frontend itself.
"""

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vector_pipeline.errors import ConfigError, CorruptError, UnavailableError

Precision = Literal["float32", "bfloat16"]
Ids = npt.NDArray[np.int64]

_TOKENS = 2048
_REPORTS = "openvino_telemetry"
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_MOST_MOVED = {"float32": 1e-5, "bfloat16": 0.05}
"""Most that a number of a vector of length one may differ from the model's own. all-MiniLM-L6-v2: 0.0000002 and 0.0012."""


def open_core(precision: Precision) -> Any:
    """The library, before a model is loaded for it. Raises ``ConfigError``: not installed, or this CPU lacks the precision."""
    try:
        openvino = _imported()
    except ImportError as error:
        raise ConfigError(
            f"embedder.backend openvino needs openvino: {error}", fix="pip install 'vector-pipeline[openvino]'"
        ) from None
    core = openvino.Core()
    # Where it is missing the library would quietly compute in float32: other vectors under the same fingerprint.
    if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ConfigError("this CPU has no bfloat16", fix="Set embedder.precision: float32, which is another space")
    return core


class CompiledModel:
    """A model as OpenVINO runs it; not to be used by two threads at once.

    Args:
        core: of ``open_core``.
        module: a torch module from ``input_ids`` and ``attention_mask`` to ``float32[n, d]``, in evaluation mode.
        example: both of them, ``int64[n, tokens]`` tensors, of texts of several lengths.
        made: what the module gives for the example.
        name: of the model, for errors.

    Raises:
        ConfigError: OpenVINO cannot run this model.
        CorruptError: the converted model gives other vectors (law 1).
    """

    def __init__(
        self,
        core: Any,
        module: Any,
        example: Mapping[str, Any],
        made: npt.NDArray[Any],
        precision: Precision,
        name: str,
    ) -> None:
        self._name = name
        try:
            compiled = core.compile_model(_converted(module, example), "CPU", _options(precision))
            self._request = compiled.create_infer_request()
        except RuntimeError as error:
            raise ConfigError(
                f"OpenVINO cannot run {name}: {str(error).strip().splitlines()[-1]}", fix="Leave embedder.backend out"
            ) from error
        found = self.encode(*(np.asarray(example[key]) for key in ("input_ids", "attention_mask")), batch_size=1)
        moved = float(np.abs(_directions(found) - _directions(made)).max())
        if not moved <= _MOST_MOVED[precision]:
            raise CorruptError(
                f"OpenVINO gives other vectors of {name} than torch does: a number moved by {moved:.2g}",
                fix="Leave embedder.backend out",
            )

    def encode(self, ids: Ids, mask: Ids, *, batch_size: int) -> npt.NDArray[np.float32]:
        """float32[n, d] in the order given, of token ids and their mask, ``int64[n, tokens]``, all padded on the same side."""
        made: list[tuple[Ids, npt.NDArray[np.float32]]] = []
        for rows, columns in _passes(mask, batch_size):
            read = np.ascontiguousarray(ids[np.ix_(rows, columns)])
            try:
                self._request.infer({"input_ids": read, "attention_mask": np.ones_like(read)}, share_inputs=True)
            except RuntimeError as error:
                raise UnavailableError(
                    f"{self._name} failed on {len(rows)} texts: {error}", fix="Lower batch_size, or leave backend out"
                ) from error
            made.append((rows, self._request.get_output_tensor(0).data.copy()))
        vectors = np.empty((len(ids), made[0][1].shape[1]), dtype=np.float32)
        for rows, of_rows in made:
            vectors[rows] = of_rows
        return vectors


def _passes(mask: Ids, batch_size: int) -> Iterator[tuple[Ids, Ids]]:
    """Rows of equally many tokens that one pass reads, and the columns where these stand; longest first."""
    lengths = mask.sum(axis=1)
    for length in np.unique(lengths)[::-1]:
        rows = np.flatnonzero(lengths == length)
        most = max(1, min(batch_size, _TOKENS // max(1, int(length))))
        for start in range(0, len(rows), most):
            chosen = rows[start : start + most]
            yield chosen, np.flatnonzero(mask[chosen[0]])


def _imported() -> Any:
    hidden = _REPORTS not in sys.modules  # else the application has imported it, and answers for it
    if hidden:
        sys.modules[_REPORTS] = None  # type: ignore[assignment]
    try:
        import openvino
        import openvino.frontend.pytorch.ts_decoder
    finally:
        if hidden:
            del sys.modules[_REPORTS]
    return openvino


def _converted(module: Any, example: Mapping[str, Any]) -> Any:
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():  # it traces, which torch calls deprecated
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(module, example_input=dict(example))
    converted = frontend.convert(frontend.load(decoder))
    del decoder  # not earlier: the frontend does not keep what it reads from
    return converted


def _options(precision: Precision) -> dict[str, Any]:
    # One pass at a time on all cores; not pinned to them, since runs share a machine.
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }


def _directions(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    directions: npt.NDArray[Any] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return directions
