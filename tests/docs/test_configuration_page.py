"""The configuration page is generated: it must be current, and every key must have a meaning."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "generate_configuration.py"


def test_the_configuration_page_is_current() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], check=False)
    assert done.returncode == 0, "run: python docs/generate_configuration.py"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in SCRIPT.with_name("configuration.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert not [row for row in rows if row.endswith("|  |")]
