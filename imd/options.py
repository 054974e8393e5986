"""The command line of ``twistd imd``."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from twisted.python import usage

from imd.config import Config, load


class Options(usage.Options):
    """The command line of ``twistd imd``."""

    synopsis = "[options]"
    longdesc = "An instant-messaging daemon. An option wins over an IMD_* variable, which wins over the file."
    optParameters: ClassVar = [
        ["config", "c", None, "Read this TOML file (conf/imd.toml shows every key)."],
        ["data", "d", None, "Keep everything in this folder. [default: ./imd-data]"],
    ]
    optFlags: ClassVar = [["check", None, "Say whether the configuration is good, and leave."]]

    def __init__(self) -> None:
        super().__init__()
        self.listen: list[str] = []
        self.http: list[str] = []

    def opt_listen(self, endpoint: str) -> None:
        """Listen on this Twisted endpoint; repeatable. [default: tcp:7650:interface=127.0.0.1]"""
        self.listen.append(endpoint)

    opt_l = opt_listen

    def opt_http(self, endpoint: str) -> None:
        """Serve the API for business servers there, such as tcp:7680:interface=127.0.0.1; repeatable. [default: not]"""
        self.http.append(endpoint)

    def load(self, environ: Mapping[str, str]) -> Config:
        """Return the configuration. Raises ConfigError."""
        overrides: dict[str, object] = {}
        if self["data"] is not None:
            overrides["server.data"] = self["data"]
        if self.listen:
            overrides["server.listen"] = self.listen
        if self.http:
            overrides["http.listen"] = self.http
        return load(Path(self["config"]) if self["config"] is not None else None, overrides, environ)
