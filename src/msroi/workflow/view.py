"""The project's folder as a stage sees it, with the experiment's files where Snakemake has them.

Without a shared disk Snakemake copies a job's files below a folder of its own, such as
`.snakemake/storage/s3/bucket`. It hands the stage their paths. Below that folder all lie as they
lie below the project's. A stage then runs in a folder of links: the experiment's data and
results lead there, everything else into the project. So stages, and the paths that they write
down, stay as they are.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msroi.errors import MissingError, ParameterError
from msroi.experiment.chunks import link_files
from msroi.experiment.layout import Layout
from msroi.files import written_whole

MARK = ".snakemake_timestamp"  # Snakemake's own, in a folder


def root(files: Iterable[Path], layout: Layout) -> Path:
    """Return the folder below which an experiment's files lie as they do below the project's.

    Raises
    ------
    ParameterError
        If one is no file of the experiment, or they lie below several folders.
    """
    found = {_above(file, layout) for file in files}
    if len(found) > 1:
        listed = ", ".join(sorted(map(str, found)))
        raise ParameterError(f"All files lie below the same folder; name those of one of {listed}.")
    return found.pop()


def _above(file: Path, layout: Layout) -> Path:
    tops = {folder.parts for folder in (layout.data, layout.results, layout.scratch)}
    # the last is meant: the folders above may have any names
    for place in range(len(file.parts) - 2, -1, -1):
        if file.parts[place : place + 2] in tops:
            return Path(*file.parts[:place])
    raise ParameterError(
        f"{file} is no file of experiment {layout.experiment}; name one below {layout.data}, "
        f"{layout.results} or {layout.scratch}, wherever these lie."
    )


@contextmanager
def files_in(folder: Path, layout: Layout) -> Iterator[None]:
    """Work in the project's folder, or in one of links if the experiment's files lie elsewhere."""
    project, folder = Path.cwd(), folder.resolve()
    if folder == project:
        yield
        return
    scratch = project / layout.scratch.parent
    scratch.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="view-", dir=scratch) as view:
        fill(Path(view), project, folder, layout)
        with chdir(view):
            yield


def fill(view: Path, project: Path, folder: Path, layout: Layout) -> None:
    """Fill a folder with links: to all of the project, but for the experiment's own folders."""
    own = (layout.data, layout.results)
    tops = {path.parent.name for path in own}
    for entry in project.iterdir():
        if entry.name not in tops:
            (view / entry.name).symlink_to(entry)
    for path in own:
        (view / path.parent).mkdir()
        (folder / path).mkdir(parents=True, exist_ok=True)
        (view / path).symlink_to(folder / path)
        for entry in (project / path.parent).glob("*"):
            if entry.name != path.name:
                (view / path.parent / entry.name).symlink_to(entry)


def bring(outs: Iterable[str], folder: Path) -> None:
    """Bring outputs from a folder to the current one, where they take the place of what is there.

    Raises
    ------
    MissingError
        If one is not there.
    """
    if folder.resolve() == Path.cwd():
        return
    for out in map(Path, outs):
        source = folder / out
        if source.is_dir():
            link_files([source], out)
            (out / MARK).unlink(missing_ok=True)
        elif source.is_file():
            with written_whole(out) as partly:
                shutil.copyfile(source, partly)
        else:
            raise MissingError(f"{source} is missing; run the same `snakemake` command again.")
