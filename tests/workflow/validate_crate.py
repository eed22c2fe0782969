"""Validate a crate with the public validator, without a network.

Run by a Python that has `roc-validator` and `rocrate`: the latter carries the context of RO-Crate
1.1, which the validator would fetch. `validate_crate.py CRATE SEVERITY` prints a JSON list of what
is wrong.
"""

import json
import sys
from pathlib import Path
from typing import Any

import requests
import rocrate
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
CARRIED = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"


def answer(_: Any, request: requests.PreparedRequest, **__: Any) -> requests.Response:
    """Answer as the network would, with the one file that is carried."""
    if request.url != CONTEXT:
        raise requests.ConnectionError(f"no network for {request.url}")
    response = requests.Response()
    response.status_code, response.url, response.request = 200, CONTEXT, request
    response.headers["Content-Type"] = "application/ld+json"
    response._content = CARRIED.read_bytes()
    return response


def main(crate: str, severity: str) -> None:
    """Validate, and print what is wrong."""
    requests.adapters.HTTPAdapter.send = answer  # type: ignore[method-assign]
    settings = ValidationSettings(
        rocrate_uri=crate,
        profile_identifier="provenance-run-crate-0.5",
        requirement_severity=Severity[severity],
        no_cache=True,
    )
    result = services.validate(settings)
    json.dump([f"{one.severity.name}: {one.message}" for one in result.get_issues()], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
