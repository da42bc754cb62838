"""Java programs from Maven Central."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from tests.servers.cache import cached
from tests.servers.server import ServerUnavailable

MINIMUM = 17
_ARCHIVE = "classes.jsa"
FETCH_TIMEOUT = 1200  # seconds

COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>catena</groupId> <artifactId>servers</artifactId> <version>1</version> <packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""

DEPENDENCY = """
    <dependency>
      <groupId>{0}</groupId> <artifactId>{1}</artifactId> <version>{2}</version> <type>{3}</type>
      <exclusions>{exclusions}</exclusions>
    </dependency>"""

EXCLUSION = "<exclusion><groupId>{0}</groupId><artifactId>{1}</artifactId></exclusion>"


def java(
    jars: Path,
    main_class: str,
    *arguments: str,
    heap: int,
    properties: dict[str, str] | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """Return the command that runs a Java program for a short and modest life.

    Args:
        jars: a folder of jars, the class path.
        main_class: the class to run.
        arguments: its arguments.
        heap: the most memory for its objects, in MiB.
        properties: Java system properties.
        options: further options of Java.

    Raises:
        ServerUnavailable: there is no Java, or it is too old.
    """
    return [
        java_program(),
        *options,
        # Tests restart servers more often than they tire them: the quick compiler alone halves the start of Kafka.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        f"-Xmx{heap}m",
        *(f"-D{name}={value}" for name, value in (properties or {}).items()),
        "-cp",
        f"{jars}/*",
        main_class,
        *arguments,
    ]


def archived_classes(jars: Path, name: str, run: Callable[[str], None]) -> list[str]:
    """Return the options by which a server reads its classes from an archive, which takes it half the time to start.

    Args:
        jars: Its folder of jars.
        name: What people call it.
        run: Runs the server once with a further option and ends it in good order, which is when Java writes the archive. It
            is called where this machine has no archive yet.
    """

    def fill(folder: Path) -> None:
        run(f"-XX:ArchiveClassesAtExit={folder / _ARCHIVE}")

    archive = cached(f"{jars.name}-classes", f"an archive of the classes of {name}", fill) / _ARCHIVE
    return [f"-XX:SharedArchiveFile={archive}"]


@cache
def java_program() -> str:
    """Return the path of a Java that is new enough: that of `JAVA_HOME`, else the one on the PATH.

    Raises:
        ServerUnavailable: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if not program:
        raise ServerUnavailable(f"no Java in JAVA_HOME={home}" if home else f"no Java (install {MINIMUM} or newer)")
    told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=600).stderr
    version = re.search(r'version "(\d+)', told)
    if not version or int(version[1]) < MINIMUM:
        raise ServerUnavailable(f"no Java {MINIMUM} or newer ({program} says: {told.splitlines()[:1]})")
    return program


def fetch_jars(folder: Path, *artifacts: str, without: tuple[str, ...] = ()) -> None:
    """Fetch artifacts and what they need at run time from Maven Central into a folder.

    Args:
        folder: where the jars go.
        artifacts: each `group:artifact:version`, or `group:artifact:version:type` if it is no jar.
        without: dependencies to leave out, each `group:artifact`; `*` stands for any.

    Raises:
        ServerUnavailable: there is no Maven, or it could not fetch them.
    """
    maven = shutil.which("mvn")
    if not maven:
        raise ServerUnavailable("no Maven (`mvn`) to fetch it with")
    exclusions = "".join(EXCLUSION.format(*map(escape, name.split(":"))) for name in without)
    dependencies = (
        DEPENDENCY.format(*map(escape, [*name.split(":"), "jar"][:4]), exclusions=exclusions) for name in artifacts
    )
    pom = folder / "pom.xml"
    pom.write_text(POM.format(dependencies="".join(dependencies)))
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom), COPY_DEPENDENCIES]
    try:
        result = subprocess.run(
            [*command, f"-DoutputDirectory={folder}", "-DincludeScope=runtime"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise ServerUnavailable(f"Maven did not fetch {', '.join(artifacts)} within {FETCH_TIMEOUT} s")
    if result.returncode:
        said = next((line for line in result.stdout.splitlines() if "ERROR" in line), result.stdout)
        raise ServerUnavailable(f"Maven did not fetch {', '.join(artifacts)}: {said.strip()}")
