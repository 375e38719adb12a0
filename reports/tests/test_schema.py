"""The JSON Schema says what the model says and accepts what the store writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given

from reports import schema, store
from reports.model import Report, Status, Verdict
from reports.tests.samples import PATIENT, any_report, hostile

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = json.loads(schema.SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_committed_schema_is_the_generated_one() -> None:
    assert schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.dumps()


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_golden_reports_validate(golden: Report) -> None:
    VALIDATOR.validate(json.loads(store.dumps(golden)))


@given(any_report())
@PATIENT
def test_every_written_report_validates(report: Report) -> None:
    VALIDATOR.validate(json.loads(store.dumps(report)))


@pytest.mark.parametrize("enumeration", [Verdict, Status])
def test_every_verdict_and_status_is_described(enumeration: type[Verdict] | type[Status]) -> None:
    members = SCHEMA["$defs"][enumeration.__name__]["oneOf"]
    assert [member["const"] for member in members] == [member.value for member in enumeration]
    assert all(member["description"] for member in members)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("cases"),
        lambda d: d.update(schema=2),
        lambda d: d.update(complete="yes"),
        lambda d: d["cases"][0].update(verdict="passed"),
        lambda d: d["cases"][0].pop("id"),
        lambda d: d["totals"]["cases"].pop("crash"),
        lambda d: d["requirements"][0].update(status="green"),
    ],
)
def test_what_the_reader_refuses_does_not_validate(change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(store.dumps(hostile()))
    change(document)
    assert not VALIDATOR.is_valid(document)
