"""A team's own file: found by a pattern, with paths of its own, and trouble of its own."""

from pathlib import Path

import pytest

from tests.teams.conftest import ENVIRONMENTS, dataset, write_files
from vector_pipeline.config import Config, FileSourceConfig, RecordSourceConfig, load_config
from vector_pipeline.errors import ConfigError, NotFoundError
from vector_pipeline.parts import Parts


def write(folder: Path, main: str = 'include: ["*/dataset.yaml"]\n', **files: str) -> Path:
    """A main file, and a file in a folder of each name."""
    for name, text in files.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "dataset.yaml").write_text(text, encoding="utf-8")
    path = folder / "vector_pipeline.yaml"
    path.write_text(main + ENVIRONMENTS, encoding="utf-8")
    return path


def own(name: str, **changes: str) -> str:
    """A team's file: paths are relative to it."""
    return "datasets:" + dataset(name, **{"root": "documents", "canaries": "canaries.yaml", **changes})


def test_paths_are_relative_to_the_file_in_which_they_stand(tmp_path: Path) -> None:
    products = own("products").replace("source: {root: documents}", "source: {kind: jsonl, path: all/*.jsonl}")
    products = products.replace("model: products", "model: ../models/ours")
    answers = own("answers").replace("target: answers", "target: answers\n    automation: {inbox: /var/inbox}")
    config = load_config(write(tmp_path, answers=answers, products=products))
    assert list(config.datasets) == ["answers", "products"]
    mine, theirs = config.datasets["answers"], config.datasets["products"]
    assert isinstance(mine.source, FileSourceConfig)
    assert mine.source.root == Path("answers/documents")
    assert mine.gates.canaries == Path("answers/canaries.yaml")
    assert mine.automation.inbox == Path("/var/inbox")
    assert isinstance(theirs.source, RecordSourceConfig)
    assert theirs.source.path == "products/all/*.jsonl"
    assert theirs.spaces["tiny"].embedder.model == "models/ours"
    assert config.file_of("products") == tmp_path / "products/dataset.yaml"


def test_main_file_and_included_ones_are_one_configuration(tmp_path: Path) -> None:
    main = f"include: [products/dataset.yaml]\ndatasets:{dataset('answers')}"
    config = load_config(write(tmp_path, main, products=own("products")))
    assert config.names == ["answers", "products"]
    assert config.datasets["answers"].gates.canaries == Path("answers/canaries.yaml")
    assert config.file_of("answers") == tmp_path / "vector_pipeline.yaml"


def broken(config: Config) -> dict[str, str]:
    return {name: one.reason for name, one in config.broken.items()}


def test_a_name_that_stands_twice_is_nobodys(tmp_path: Path) -> None:
    path = write(tmp_path, answers=own("answers"), copy=own("answers"), products=own("products"))
    config = load_config(path)
    assert list(config.datasets) == ["products"]
    said = broken(config)["answers"]
    assert f"{tmp_path}/answers/dataset.yaml and {tmp_path}/copy/dataset.yaml" in said
    assert config.owners_of("answers") == ("team:answers",)


def test_a_name_that_stands_in_a_broken_file_too_is_nobodys(tmp_path: Path) -> None:
    main = 'include: ["*/dataset.yaml"]\ndatasets:' + dataset("answers")
    copy = own("answers", canaries="others.yaml").replace("team:answers", "team:copy") + "environments: {}\n"
    path = write(tmp_path, main, copy=copy, products=own("products"))
    config = load_config(path)
    assert (list(config.datasets), config.names) == (["products"], ["products", "answers"])
    said = broken(config)["answers"]
    assert said.startswith(f"dataset answers stands in {path} and {tmp_path}/copy/dataset.yaml: ")
    assert f"; {tmp_path}/copy/dataset.yaml:10: environments: an included file has" in said
    assert config.owners_of("answers") == ("team:answers", "team:copy")
    assert set(config.broken["answers"].files) == {path, tmp_path / "copy/dataset.yaml"}


@pytest.mark.parametrize("more", ["environments: {}\n", "<<<<<<< HEAD\n"])
def test_two_broken_files_are_two(tmp_path: Path, more: str) -> None:
    """Whether their names can be read or not: nothing that is broken takes the place of something else that is."""
    texts = {"alpha": more + own("alpha"), "beta": more + own("beta"), "copy": more + own("beta")}
    config = load_config(write(tmp_path, answers=own("answers"), **texts))
    unread = ["alpha/dataset.yaml", "beta/dataset.yaml", "copy/dataset.yaml"]
    assert list(config.broken) == (unread if "<" in more else ["alpha", "beta"])
    files = {file for one in config.broken.values() for file in one.files}
    assert files == {tmp_path / name for name in unread}
    for file in files:
        assert any(f"{file}:" in said for said in broken(config).values())


def test_the_main_file_has_no_right_to_a_name_before_a_broken_file(tmp_path: Path) -> None:
    main = "include: [copy/dataset.yaml]\ndatasets:" + dataset("answers") + dataset("products")
    config = load_config(write(tmp_path, main, copy=own("answers") + "environments: {}\n"))
    assert (list(config.datasets), list(config.broken)) == (["products"], ["answers"])


@pytest.mark.parametrize(
    ("text", "name", "line", "says"),
    [
        (own("products") + "\n    gates: {canary_pass_rate: [\n", "products", 12, "not YAML"),
        (own("products").replace("shards", "shads"), "products", 6, "shads: unknown key; did you mean shards?"),
        (
            own("products") + "environments: {}\n",
            "products",
            10,
            "environments: an included file has `datasets:` alone",
        ),
        (own("products").replace("target: products", "target: elsewhere"), "products", 8, "wants target elsewhere"),
        ("- one\n", "products/dataset.yaml", 1, "an included file must hold a mapping `datasets:`"),
        (own("products") + "\tx: 1\n", "products", 10, "not YAML"),
    ],
    ids=["open bracket", "unknown key", "more than datasets", "unknown target", "no mapping", "a tab"],
)
def test_a_broken_file_is_its_own_trouble(tmp_path: Path, text: str, name: str, line: int, says: str) -> None:
    config = load_config(write(tmp_path, answers=own("answers"), products=text))
    assert list(config.datasets) == ["answers"]
    reason = broken(config)[name]
    assert reason.startswith(f"{tmp_path}/products/dataset.yaml:{line}: "), reason
    assert says in reason
    assert "\n" not in reason
    if name == "products":
        assert config.owners_of(name) == ("team:products",), "who is to mend it is told"


def test_a_file_that_is_not_there_breaks_nothing_else(tmp_path: Path) -> None:
    main = "include: [answers/dataset.yaml, products.yaml]\n"
    config = load_config(write(tmp_path, main, answers=own("answers")))
    assert list(config.datasets) == ["answers"]
    assert broken(config) == {
        "products.yaml": f"{tmp_path}/products.yaml cannot be read: No such file or directory. "
        "Correct `include:`, or the file"
    }


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"products": own("products").replace("shards", "shads")}, "products/dataset.yaml:6: datasets.products.shads"),
        ({"products": "datasets: [\n"}, "products/dataset.yaml:"),
        ({}, "vector_pipeline.yaml:1: datasets: must have at least 1 entry"),
    ],
)
def test_where_nothing_is_left_it_is_an_error(tmp_path: Path, files: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, **files))
    assert says in str(caught.value)


def test_what_is_wrong_with_the_main_file_is_wrong_with_all(tmp_path: Path) -> None:
    for main in ("include: datasets\n", "include: [1]\n", 'include: ["*/dataset.yaml"]\nlake: {}\n', "datasets: [\n"):
        with pytest.raises(ConfigError, match=r"vector_pipeline\.yaml:\d+: "):
            load_config(write(tmp_path, main, answers=own("answers")))


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("/srv/teams/*/dataset.yaml", "is an absolute path"),
        ("/srv/dataset.yaml", "is an absolute path"),
        ("../elsewhere/*.yaml", "leads out of this file's folder"),
        ("teams/../../elsewhere.yaml", "leads out of this file's folder"),
        ("teams**/dataset.yaml", "has ** beside other letters"),
        ("a\\0b", "is no path"),
    ],
)
def test_a_pattern_that_can_be_none_is_the_main_files_mistake(tmp_path: Path, pattern: str, says: str) -> None:
    main = f'include:\n  - "answers/dataset.yaml"\n  - "{pattern}"\n'
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/products.yaml").write_text(own("products"))
    (tmp_path / "repository").mkdir()
    path = write(tmp_path / "repository", main, answers=own("answers"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:3: include.1: ")
    assert says in str(caught.value)


def test_a_link_leads_to_no_file_of_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "products.yaml").write_text(own("products"))
    (tmp_path / "repository/products").mkdir(parents=True)
    (tmp_path / "repository/products/dataset.yaml").symlink_to(tmp_path / "products.yaml")
    (tmp_path / "repository/loop").symlink_to("loop")
    main = 'include: ["*/dataset.yaml", loop]\n'
    config = load_config(write(tmp_path / "repository", main, answers=own("answers")))
    assert list(config.datasets) == ["answers"]
    assert set(config.broken) == {"products", "loop"}
    assert "products/dataset.yaml is a link out of " in broken(config)["products"]
    assert "loop cannot be read" in broken(config)["loop"]


@pytest.mark.parametrize("pattern", ["./*/dataset.yaml", "**/dataset.yaml", "[a]*/dataset.yaml"])
def test_what_lies_below_the_folder_is_found(tmp_path: Path, pattern: str) -> None:
    assert load_config(write(tmp_path, f'include: ["{pattern}"]\n', answers=own("answers"))).names == ["answers"]


def test_asking_for_a_broken_one_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    write_files(tmp_path, "answers")
    path = write(tmp_path, answers=own("answers"), products=own("products").replace("shards", "shads"))
    with Parts.load(path) as parts:
        assert parts.dataset("answers").shards == 2
        with pytest.raises(ConfigError, match=r"products/dataset\.yaml:6: .*shads: unknown key"):
            parts.dataset("products")
        with pytest.raises(NotFoundError, match="the configuration has: answers, products"):
            parts.dataset("pictures")
