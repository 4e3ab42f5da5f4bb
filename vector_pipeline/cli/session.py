"""What every command shares: the global options, the project they name, and the dataset that may be left out."""

import getpass
import os
import re
import shlex
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vector_pipeline.cli.output import say
from vector_pipeline.errors import InputError

if TYPE_CHECKING:
    from vector_pipeline.config import Config
    from vector_pipeline.project import Project


_COMMAND = re.compile(r"\bvector-pipeline(?P<options>(?: --(?:project|env) \S+)*) (?P<verb>[a-z]+)\b")


@dataclass
class Session:
    """One invocation. Parts are opened when a command needs them: ``--help`` opens nothing."""

    project_path: str | None = None
    """As ``--project`` said it: a file, or a folder that holds one."""
    environment: str | None = None
    debug: bool = False
    break_seal: str | None = None
    """Why this one command is to write to a sealed environment without its seal."""
    stopped: str = ""
    """Where Ctrl-C stopped the command, as words to follow "Interrupted"."""
    farewell: str = ""
    """Instead of those words, of a command that has nothing to go on with."""
    _project: "Project | None" = field(default=None, repr=False)
    _broken: ExitStack = field(default_factory=ExitStack, repr=False)

    def config_path(self) -> Path:
        """The configuration file. ``ConfigError`` when there is none."""
        from vector_pipeline.config import CONFIG_NAME, find_config

        if self.project_path is None:
            return find_config()
        given = Path(self.project_path).expanduser()
        return given / CONFIG_NAME if given.is_dir() else given

    def config(self) -> "Config":
        """The configuration, read and validated."""
        return self.project().config

    def project(self) -> "Project":
        """The project, opened once a session."""
        if self._project is None:
            from vector_pipeline.project import Project

            if self.break_seal is not None:
                from vector_pipeline.release.seals import breaking

                self._broken.enter_context(breaking(_verb(), who(), self.break_seal))
            self._project = Project.load(self.config_path(), environment=self.environment)
        return self._project

    def close(self) -> None:
        """Close what was opened; it is opened anew when asked for."""
        if self._project is not None:
            self._project.close()

    def end(self) -> None:
        """The command is over: what it opened is closed, and a seal that it broke is whole again."""
        self.close()
        self._broken.close()

    def dataset(self, name: str | None) -> str:
        """The dataset of a command. It may be left out when there is one. ``NotFoundError`` for an unknown name."""
        project = self.project()
        if name is not None:
            project.dataset(name)
            return name
        names = project.config.names
        if len(names) > 1:
            raise InputError(f"the project has several datasets: {', '.join(names)}", fix="Name one of them")
        return names[0]

    def next(self, *words: str) -> None:
        """Print the suggested next command."""
        say(f"Next: {self.command(*words)}", style="dim")

    def repeatable(self, message: str) -> str:
        """A message whose commands are as this session would be repeated: with the options that it was given."""
        from vector_pipeline.cli.verbs import app

        verbs = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
        verbs |= {group.name for group in app.registered_groups}
        given = [("--project", self.project_path), ("--env", self.environment)]

        def with_options(found: re.Match[str]) -> str:
            said, verb = found["options"], found["verb"]
            # Init makes the project that the options name, and other words are prose.
            if verb == "init" or verb not in verbs:
                return found[0]
            missing = (f" {name} {shlex.quote(str(value))}" for name, value in given if value and name not in said)
            return f"vector-pipeline{''.join(missing)}{said} {verb}"

        return _COMMAND.sub(with_options, message)

    def command(self, *words: str) -> str:
        """A command line as this session would be repeated: with the options that it was given."""
        options = [f"--project {shlex.quote(str(self.project_path))}"] if self.project_path else []
        options += [f"--env {self.environment}"] if self.environment else []
        return " ".join(["vector-pipeline", *words, *options])

    def named(self, dataset: str) -> tuple[str, ...]:
        """The dataset as a word of a suggested command: left out where it may be."""
        return () if len(self.project().config.names) == 1 else (dataset,)


def _verb() -> str:
    """The command that runs, as it is called."""
    import click

    context = click.get_current_context(silent=True)
    return str(context.info_name) if context is not None else "a script"


def who() -> str:
    """``user@host``, for the history."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{name}@{socket.gethostname()}"
