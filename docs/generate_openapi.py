"""Write ``docs/openapi.json``: the document of ``vector-pipeline serve``, for whoever generates a client.

python docs/generate_openapi.py          # write it
python docs/generate_openapi.py --check  # exit 1 when it is not current
"""

import json
import sys
from pathlib import Path

from vector_pipeline.config import Config
from vector_pipeline.parts import Parts
from vector_pipeline.service.app import create_app
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.readers import Readers

PAGE = Path(__file__).parent / "openapi.json"
ANY = """{"datasets": {"any": {"source": {"root": "."}, "target": "local", "spaces": {"any": {"embedder": {"model": "any"}}}}}}"""


def document() -> str:
    """The same whatever is served."""
    parts = Parts(Config.model_validate_json(ANY), PAGE.parent)
    app = create_app(Readers(parts, PAGE.parent, list(parts.config.datasets), Limits()))
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == document() else 1
    PAGE.write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
