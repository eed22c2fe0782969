"""What the metadata of a crate say of a run: files, parameters, software, who made what of what.

The profile is Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5, Leo et al. 2024),
which contains Workflow Run Crate and Process Run Crate. Every stage of dvc.lock is an action of its
own beside the run's. Hashes are the MD5 of dvc.lock, so that DVC's cache is found by them.

A file has its path as identifier if the crate holds it as a stage read or wrote it. Else the
identifier is `#<MD5>/<path>`: of one path, stages may have read several versions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from msroi.sources import table
from msroi.sources.table import Source
from msroi.verify.hashes import Locked
from msroi.workflow.dvc_hash import Version

METADATA = "ro-crate-metadata.json"
# a term of the vocabulary of runs beside those of RO-Crate
CONTEXT = (
    "https://w3id.org/ro/crate/1.1/context",
    {"md5": "https://w3id.org/ro/terms/workflow-run#md5"},
)
CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    WORKFLOW_CRATE: "Workflow RO-Crate",
}
WORKFLOW_TYPE = ("File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo")
README, SNAKEFILE = "README.md", "Snakefile"
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
ENGINE, ENGINE_RUN, RUN = "#snakemake", "#snakemake-run", "#run"
DOWNLOAD = "download"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
DONE = "http://schema.org/CompletedActionStatus"
# by the ends of files' names; what the system knows of them would differ from one to another
FORMATS = {
    ".cff": "application/yaml",
    ".css": "text/css",
    ".csv": "text/csv",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".npy": "application/octet-stream",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
}

Entity = dict[str, Any]


@dataclass(frozen=True)
class Author:
    """Who made the run: a person with an ORCID, if there is one, or an organisation."""

    name: str
    orcid: str = ""
    is_person: bool = True

    @property
    def id(self) -> str:
        """The identifier in the crate."""
        return f"https://orcid.org/{self.orcid}" if self.orcid else f"#author/{quote(self.name)}"


@dataclass(frozen=True)
class Run:
    """A recorded run, as dvc.lock and the files beside it have it.

    Attributes
    ----------
    experiment
        Its name.
    title
        A sentence about it.
    licence
        The SPDX identifier of the project's licence.
    date
        The date of publication, ISO 8601.
    stages
        What each stage read, wrote and took as parameters, by its name and in their order.
    purposes
        What each stage does, by its name.
    files
        The MD5 and size of each file that the crate holds, by path.
    folders
        The same of each folder that a stage read or wrote and the crate holds whole.
    sources
        The rows of data/sources.csv that the stage `download` took.
    packages
        The versions of the packages that a stage needs, by the names of stage and package. A stage
        without an entry has unknown packages.
    version
        The version of msroi.
    authors
        One author or more.
    """

    experiment: str
    title: str
    licence: str
    date: str
    stages: Mapping[str, Locked]
    purposes: Mapping[str, str]
    files: Mapping[str, Version]
    folders: Mapping[str, Version]
    sources: Sequence[Source]
    packages: Mapping[str, Mapping[str, str]]
    version: str
    authors: Sequence[Author]


def document(run: Run) -> dict[str, Any]:
    """Return the JSON-LD document of a run."""
    entities = [
        *(metadata(), root(run), workflow(run), language()),
        *profiles(),
        licence(run.licence),
        *map(author, run.authors),
        *programs(run),
        *(file(path, version) for path, version in run.files.items() if path != SNAKEFILE),
        *folders(run),
        *(absent(path, version) for path, version in elsewhere(run)),
        *map(source, run.sources),
        *parameters(run),
        *engine(run),
        whole(run),
        *(one for position, stage in enumerate(run.stages) for one in action(run, stage, position)),
    ]
    return {"@context": list(CONTEXT), "@graph": entities}


def metadata() -> Entity:
    """Return what says that this file describes the crate."""
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": [ref(CRATE), ref(WORKFLOW_CRATE)],
        "about": ref("./"),
    }


def root(run: Run) -> Entity:
    """Return the crate itself."""
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"msroi, experiment {run.experiment}",
        "description": (
            f"{run.title} Photographs that pictures show keep the licences of their sources."
        ),
        "datePublished": run.date,
        "license": ref(spdx(run.licence)),
        "author": refs(one.id for one in run.authors),
        "publisher": refs(one.id for one in run.authors),
        "conformsTo": refs(PROFILES),
        "hasPart": refs([*map(quote, run.files), *map(folder_id, run.folders)]),
        "mainEntity": ref(SNAKEFILE),
        "mentions": refs([ENGINE_RUN, RUN, *map(action_id, run.stages)]),
        "isBasedOn": refs(map(source_id, run.sources)),
    }


def workflow(run: Run) -> Entity:
    """Return the Snakefile, the workflow that Snakemake ran."""
    return file(SNAKEFILE, run.files[SNAKEFILE]) | {
        "@type": list(WORKFLOW_TYPE),
        "name": "msroi",
        "description": "The pipeline from download to report, by Snakemake and by DVC alike.",
        "version": run.version,
        "license": ref(spdx(run.licence)),
        "conformsTo": ref(BIOSCHEMAS),
        "programmingLanguage": ref(SNAKEMAKE),
        "author": refs(one.id for one in run.authors),
        "creator": refs(one.id for one in run.authors),
        "publisher": refs(one.id for one in run.authors),
        "dateCreated": run.date,
        "hasPart": refs(map(program_id, run.stages)),
        "step": refs(map(step_id, run.stages)),
    }


def language() -> Entity:
    """Return Snakemake as the workflow's language."""
    return {
        "@id": SNAKEMAKE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": ref("https://doi.org/10.1093/bioinformatics/bts480"),
        "url": ref("https://snakemake.github.io"),
    }


def profiles() -> Iterator[Entity]:
    """Yield the profiles that the crate conforms to."""
    for url, name in PROFILES.items():
        version = url.rpartition("/")[2]
        yield {"@id": url, "@type": "CreativeWork", "name": name, "version": version}


def licence(identifier: str) -> Entity:
    """Return a licence by its SPDX identifier."""
    return {
        "@id": spdx(identifier),
        "@type": "CreativeWork",
        "name": identifier,
        "description": f"The licence with the SPDX identifier {identifier}",
    }


def author(one: Author) -> Entity:
    """Return a person or an organisation."""
    kind = "Person" if one.is_person else "Organization"
    return {"@id": one.id, "@type": kind, "name": one.name}


def programs(run: Run) -> Iterator[Entity]:
    """Yield each stage as a program, and each version of a package that a stage needs."""
    for stage in run.stages:
        needed = refs(package_id(*one) for one in run.packages.get(stage, {}).items())
        yield {
            "@id": program_id(stage),
            "@type": "SoftwareApplication",
            "name": f"msroi stage {stage}",
            "description": run.purposes.get(stage, stage),
            "softwareVersion": run.version,
        } | ({"softwareRequirements": needed} if needed else {})
    versions = {one for packages in run.packages.values() for one in packages.items()}
    for name, version in sorted(versions):
        yield {
            "@id": package_id(name, version),
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
        }


def file(path: str, version: Version) -> Entity:
    """Return a file of the crate."""
    about = {"about": ref("./")} if path == README else {}
    return about | {
        "@id": quote(path),
        "@type": "File",
        "name": path,
        "contentSize": str(version.size),
        "encodingFormat": FORMATS.get(PurePosixPath(path).suffix, "text/plain"),
        "md5": version.md5,
    }


def folders(run: Run) -> Iterator[Entity]:
    """Yield the folders that stages wrote and the crate holds, with their files."""
    for path, version in run.folders.items():
        yield {
            "@id": folder_id(path),
            "@type": "Dataset",
            "name": path,
            "description": f"{version.files} files that one stage reads or writes as a whole",
            "hasPart": refs(quote(one) for one in run.files if one.startswith(f"{path}/")),
            "md5": version.md5,
        }


def elsewhere(run: Run) -> list[tuple[str, Version]]:
    """Return what stages read or wrote that the crate does not hold, each version once."""
    known = {
        (path, version.md5): version
        for locked in run.stages.values()
        for path, version in (*locked.deps.items(), *locked.outs.items())
    }
    return [
        (path, version)
        for (path, _), version in sorted(known.items())
        if held_id(run, path, version) is None
    ]


def absent(path: str, version: Version) -> Entity:
    """Return a file or folder that the crate does not hold."""
    files = "" if version.files is None else f"{version.files} files, "
    return {
        "@id": absent_id(path, version),
        "@type": "CreativeWork",
        "name": path,
        "description": f"Not in this crate; {files}{version.size} bytes, by dvc.lock.",
        "md5": version.md5,
    }


def source(one: Source) -> Entity:
    """Return a file that the stage `download` fetched."""
    size = {} if one.size_bytes is None else {"contentSize": str(one.size_bytes)}
    address = {"url": one.location} if table.is_url(one.location) else {}
    return (
        size
        | address
        | {
            "@id": source_id(one),
            "@type": "CreativeWork",
            "name": f"{one.name}: {one.location}",
            "identifier": one.hash or one.location,
            "license": one.licence,
            "description": one.note or f"A source of kind {one.source}",
        }
    )


def parameters(run: Run) -> Iterator[Entity]:
    """Yield the parameters of each stage, with the value that dvc.lock records."""
    for stage, locked in run.stages.items():
        for path, value in leaves(locked.params):
            yield {
                "@id": parameter_id(stage, path),
                "@type": "PropertyValue",
                "name": path,
                "value": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            }


def leaves(params: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield parameters by their dotted path, of a stage's parameters by their file."""
    for values in params.values():
        yield from nested(values)


def nested(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings by their dotted path."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from nested(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def engine(run: Run) -> tuple[Entity, Entity]:
    """Return Snakemake as the program that ran the stages, and its run."""
    return (
        {
            "@id": ENGINE,
            "@type": "SoftwareApplication",
            "name": "Snakemake",
            "url": "https://snakemake.github.io",
        },
        {
            "@id": ENGINE_RUN,
            "@type": "OrganizeAction",
            "name": f"Snakemake ran the stages of experiment {run.experiment}",
            "agent": refs(one.id for one in run.authors),
            "instrument": ref(ENGINE),
            "object": refs(map(control_id, run.stages)),
            "result": ref(RUN),
        },
    )


def whole(run: Run) -> Entity:
    """Return the action that ran the workflow."""
    taken = (
        parameter_id(stage, path)
        for stage, locked in run.stages.items()
        for path, _ in leaves(locked.params)
    )
    written = (one for locked in run.stages.values() for one in locked.outs.items())
    return {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"The run of experiment {run.experiment}",
        "description": "As dvc.lock records it, which has no times.",
        "agent": refs(one.id for one in run.authors),
        "instrument": ref(SNAKEFILE),
        "object": refs([*map(source_id, run.sources), *taken]),
        "result": refs(place(run, *one) for one in written),
        "actionStatus": DONE,
    }


def action(run: Run, stage: str, position: int) -> tuple[Entity, Entity, Entity]:
    """Return the run of a stage, the step that the workflow has for it, and the step's run."""
    locked = run.stages[stage]
    fetched = map(source_id, run.sources) if stage == DOWNLOAD else ()
    read = (place(run, *one) for one in locked.deps.items())
    taken = (parameter_id(stage, path) for path, _ in leaves(locked.params))
    return (
        {
            "@id": action_id(stage),
            "@type": "CreateAction",
            "name": f"Stage {stage}",
            "description": f"{run.purposes.get(stage, stage)}; by the command: {locked.command}",
            "agent": refs(one.id for one in run.authors),
            "instrument": ref(program_id(stage)),
            "object": refs([*read, *fetched, *taken]),
            "result": refs(place(run, *one) for one in locked.outs.items()),
            "actionStatus": DONE,
        },
        {
            "@id": step_id(stage),
            "@type": "HowToStep",
            "name": stage,
            "position": str(position),
            "workExample": ref(program_id(stage)),
        },
        {
            "@id": control_id(stage),
            "@type": "ControlAction",
            "name": f"Snakemake ran stage {stage}",
            "instrument": ref(step_id(stage)),
            "object": ref(action_id(stage)),
        },
    )


def place(run: Run, path: str, version: Version) -> str:
    """Return the identifier of a version of a file or folder, whether the crate holds it or not."""
    return held_id(run, path, version) or absent_id(path, version)


def held_id(run: Run, path: str, version: Version) -> str | None:
    """Return the identifier of a version of a file or folder that the crate holds, else None."""
    for held, identifier in ((run.files, quote), (run.folders, folder_id)):
        if path in held and held[path].md5 == version.md5:
            return identifier(path)
    return None


def ref(identifier: str) -> dict[str, str]:
    """Return a reference to an entity."""
    return {"@id": identifier}


def refs(identifiers: Iterable[str]) -> dict[str, str] | list[dict[str, str]]:
    """Return references to entities, each once. A reference that is alone stands without a list."""
    found = [ref(one) for one in dict.fromkeys(identifiers)]
    return found[0] if len(found) == 1 else found


def spdx(identifier: str) -> str:
    """Return the address of a licence."""
    return f"https://spdx.org/licenses/{identifier}"


def folder_id(path: str) -> str:
    """Return the identifier of a folder that the crate holds."""
    return f"{quote(path)}/"


def absent_id(path: str, version: Version) -> str:
    """Return the identifier of what the crate does not hold."""
    return f"#{version.md5}/{quote(path)}"


def action_id(stage: str) -> str:
    """Return the identifier of a stage's run."""
    return f"#run/{stage}"


def control_id(stage: str) -> str:
    """Return the identifier of the action by which Snakemake ran a stage."""
    return f"#snakemake-run/{stage}"


def step_id(stage: str) -> str:
    """Return the identifier of a stage as a step of the workflow."""
    return f"#step/{stage}"


def program_id(stage: str) -> str:
    """Return the identifier of a stage's program."""
    return f"#msroi-stage/{stage}"


def package_id(name: str, version: str) -> str:
    """Return the package URL (purl) of a version of a package."""
    return f"pkg:pypi/{name}@{quote(version)}"


def source_id(one: Source) -> str:
    """Return the identifier of a file that the stage `download` fetched."""
    return f"#source/{quote(one.name)}/{quote(one.location)}"


def parameter_id(stage: str, path: str) -> str:
    """Return the identifier of a stage's parameter."""
    return f"#parameter/{stage}/{quote(path)}"
