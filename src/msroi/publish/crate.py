"""What the metadata of a crate say of a run: files, parameters, software, who made what of what.

The profiles are Workflow RO-Crate 1.0 and Workflow Run Crate 0.5
(https://w3id.org/ro/wfrun/workflow/0.5, Leo et al. 2024). Every stage of dvc.lock is an action of
its own beside the run's. Hashes are the MD5 of dvc.lock, so that DVC's cache is found by them.
"""

import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    WORKFLOW_CRATE: "Workflow RO-Crate",
}
WORKFLOW_TYPE = ("File", "SoftwareSourceCode", "ComputationalWorkflow")
README, SNAKEFILE, SNAKEMAKE = (
    "README.md",
    "Snakefile",
    "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
)
RUN = "#run"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
DONE = "http://schema.org/CompletedActionStatus"

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
        return f"https://orcid.org/{self.orcid}" if self.orcid else f"#{slug(self.name)}"


@dataclass(frozen=True)
class Run:
    """A recorded run, as dvc.lock and the files beside it have it.

    Attributes
    ----------
    experiment, title, licence
        Its name, a sentence about it, the SPDX identifier of the project's licence.
    date
        When it was published, ISO 8601.
    stages
        By name, in their order: what each read, wrote and took as parameters.
    purposes
        By the stages' names, what each does.
    files
        What the crate holds, by path: the MD5 and size of each.
    sources
        The rows of data/sources.csv whose names the experiment downloads.
    packages
        The versions of the packages that decide what is in the results, by name.
    version
        That of msroi.
    authors
        One or more.
    """

    experiment: str
    title: str
    licence: str
    date: str
    stages: Mapping[str, Locked]
    purposes: Mapping[str, str]
    files: Mapping[str, Version]
    sources: Sequence[Source]
    packages: Mapping[str, str]
    version: str
    authors: Sequence[Author]


def document(run: Run) -> dict[str, Any]:
    """Return the JSON-LD document of a run; the same run gives the same document."""
    entities = [
        *(metadata(), root(run), workflow(run), language(run.packages)),
        *profiles(),
        licence(run.licence),
        *map(author, run.authors),
        *softwares(run),
        *(file(path, version) for path, version in run.files.items() if path != SNAKEFILE),
        *folders(run),
        *elsewhere(run),
        *map(source, run.sources),
        *parameters(run.stages),
        whole(run),
        *(action(run, stage) for stage in run.stages),
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
        "description": run.title,
        "datePublished": run.date,
        "license": ref(spdx(run.licence)),
        "author": refs(one.id for one in run.authors),
        "publisher": refs(one.id for one in run.authors),
        "conformsTo": refs(PROFILES),
        "hasPart": refs([*run.files, *(one["@id"] for one in folders(run))]),
        "mainEntity": ref(SNAKEFILE),
        "mentions": refs([RUN, *(action_id(stage) for stage in run.stages)]),
        "isBasedOn": refs(source_id(one) for one in run.sources),
    }


def workflow(run: Run) -> Entity:
    """Return the Snakefile, which is what was run."""
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
        "hasPart": refs(software_id(stage) for stage in run.stages),
        "softwareRequirements": refs(package_id(name) for name in run.packages),
    }


def language(packages: Mapping[str, str]) -> Entity:
    """Return Snakemake as the workflow's language."""
    return {
        "@id": SNAKEMAKE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": ref("https://doi.org/10.1093/bioinformatics/bts480"),
        "url": ref("https://snakemake.github.io"),
        "version": packages.get("snakemake", ""),
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


def softwares(run: Run) -> Iterator[Entity]:
    """Yield each stage as a program, and the packages that it needs."""
    for stage in run.stages:
        yield {
            "@id": software_id(stage),
            "@type": "SoftwareApplication",
            "name": f"msroi stage {stage}",
            "description": run.purposes.get(stage, stage),
            "softwareVersion": run.version,
        }
    for name, version in run.packages.items():
        yield {
            "@id": package_id(name),
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
        }


def file(path: str, version: Version) -> Entity:
    """Return a file of the crate."""
    kind = mimetypes.guess_type(path)[0] or "text/plain"
    about = {"about": ref("./")} if path == README else {}
    return about | {
        "@id": path,
        "@type": "File",
        "name": path,
        "contentSize": str(version.size),
        "encodingFormat": kind,
        "md5": version.md5,
    }


def folders(run: Run) -> Iterator[Entity]:
    """Yield the outputs that are folders, and their files."""
    for path, version in outputs(run):
        if place(run, path).endswith("/"):
            parts = [one for one in run.files if one.startswith(f"{path}/")]
            yield {
                "@id": f"{path}/",
                "@type": "Dataset",
                "name": path,
                "description": f"{version.files} files that one stage makes",
                "hasPart": refs(parts),
                "md5": version.md5,
            }


def outputs(run: Run) -> list[tuple[str, Version]]:
    """Return what the stages wrote, by path."""
    return sorted(
        (one for locked in run.stages.values() for one in locked.outs.items()),
        key=lambda one: one[0],
    )


def elsewhere(run: Run) -> Iterator[Entity]:
    """Yield what stages read or wrote that the crate does not hold: DVC's cache has it."""
    known: dict[str, Version] = {}
    for locked in run.stages.values():
        known |= {**locked.deps, **locked.outs}
    for path, version in sorted(known.items()):
        if place(run, path).startswith("#"):
            files = f"{version.files} files, " if version.files is not None else ""
            yield {
                "@id": place(run, path),
                "@type": "CreativeWork",
                "name": path,
                "description": f"Not in this crate; {files}{version.size} bytes, by dvc.lock.",
                "md5": version.md5,
            }


def source(one: Source) -> Entity:
    """Return a file that was fetched."""
    size = {} if one.size_bytes is None else {"contentSize": str(one.size_bytes)}
    return size | {
        "@id": source_id(one),
        "@type": "CreativeWork",
        "name": f"{one.name}: {one.location}",
        "identifier": one.hash or one.location,
        "license": one.licence,
        "description": one.note or f"A source of kind {one.source}",
    }


def parameters(stages: Mapping[str, Locked]) -> Iterator[Entity]:
    """Yield the parameters of all stages, each once."""
    values = {path: value for locked in stages.values() for path, value in leaves(locked.params)}
    for path, value in values.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield {
            "@id": parameter_id(path),
            "@type": "PropertyValue",
            "name": path,
            "value": text,
        }


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings, by their path; the file's name is left out."""
    for key, value in values.items():
        path = "" if key.startswith("config/") else f"{above}.{key}".removeprefix(".")
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def whole(run: Run) -> Entity:
    """Return the action that ran the workflow."""
    return {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"The run of experiment {run.experiment}",
        "description": "As dvc.lock records it, which has no times.",
        "agent": refs(one.id for one in run.authors),
        "instrument": ref(SNAKEFILE),
        "object": refs(
            [
                *(source_id(one) for one in run.sources),
                *(
                    parameter_id(path)
                    for one in run.stages.values()
                    for path, _ in leaves(one.params)
                ),
            ]
        ),
        "result": refs(place(run, path) for path, _ in outputs(run)),
        "actionStatus": DONE,
    }


def action(run: Run, stage: str) -> Entity:
    """Return the action of one stage."""
    locked = run.stages[stage]
    used = (parameter_id(path) for path, _ in leaves(locked.params))
    return {
        "@id": action_id(stage),
        "@type": "CreateAction",
        "name": f"Stage {stage}",
        "description": run.purposes.get(stage, stage),
        "agent": refs(one.id for one in run.authors),
        "instrument": ref(software_id(stage)),
        "object": refs([*(place(run, path) for path in locked.deps), *used]),
        "result": refs(place(run, path) for path in locked.outs),
        "actionStatus": DONE,
    }


def place(run: Run, path: str) -> str:
    """Return the identifier of a file or folder: its path, or a name if the crate lacks it."""
    if path in run.files:
        return path
    held = any(one.startswith(f"{path}/") for one in run.files)
    return f"{path}/" if held else f"#file-{slug(path)}"


def ref(identifier: str) -> dict[str, str]:
    """Return a reference to an entity."""
    return {"@id": identifier}


def refs(identifiers: Iterable[str]) -> dict[str, str] | list[dict[str, str]]:
    """Return references to entities, each once; the one reference if it is alone."""
    found = [ref(one) for one in dict.fromkeys(identifiers)]
    return found[0] if len(found) == 1 else found


def spdx(identifier: str) -> str:
    """Return the address of a licence."""
    return f"https://spdx.org/licenses/{identifier}"


def slug(text: str) -> str:
    """Return text as a part of an identifier."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text).strip("-")


def action_id(stage: str) -> str:
    """Return the identifier of a stage's action."""
    return f"#stage-{stage}"


def software_id(stage: str) -> str:
    """Return the identifier of a stage's program."""
    return f"#msroi-stage-{stage}"


def package_id(name: str) -> str:
    """Return the identifier of a package."""
    return f"#package-{name}"


def source_id(one: Source) -> str:
    """Return the identifier of a file that was fetched."""
    return f"#source-{slug(one.name)}-{slug(one.location)}"


def parameter_id(path: str) -> str:
    """Return the identifier of a parameter."""
    return f"#parameter-{path}"
