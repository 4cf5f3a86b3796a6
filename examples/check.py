"""Check that every example model behaves as README.md and model.json say.

    python check.py

Uses only the committed files and onnxruntime, with one thread and no training.
Prints a table of what was measured, and exits with 1 if a claim does not hold.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

HERE = Path(__file__).resolve().parent
FAMILIES = ["iris", "breast-cancer", "digits"]
TIMED_REQUESTS = 60
LARGEST_MODEL = 300_000
LARGEST_TOTAL = 3_000_000


@dataclass(frozen=True)
class Measured:
    """What one version did with the held-out rows, one request per row."""

    labels: list[str | None]
    """The answered labels; None where the runtime threw."""
    probabilities: list[np.ndarray | None]
    accuracy: float
    """Right answers over all rows: a row that threw counts as wrong."""
    thrown: float
    """Fraction of the rows for which the runtime threw."""
    not_a_number: float
    """Fraction of the rows with a NaN among the probabilities."""
    milliseconds: float
    """Median time of a request with one row."""
    batch_equals_rows: bool
    """Whether one batch of all rows answers what the rows alone do, or throws if one of them does."""


class Version:
    """One model file, open for requests."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.path = path
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.model = onnx.load(path)

    def signature(self) -> dict[str, list[tuple]]:
        """Names, types and shapes of inputs and outputs."""
        return {
            "inputs": [(value.name, value.type, value.shape) for value in self.session.get_inputs()],
            "outputs": [(value.name, value.type, value.shape) for value in self.session.get_outputs()],
        }

    def ask(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Labels as text, and the table of probabilities."""
        name = self.session.get_inputs()[0].name
        labels, probabilities = self.session.run(["label", "probabilities"], {name: rows})
        if isinstance(probabilities, list):
            probabilities = np.array([[row[key] for key in sorted(row)] for row in probabilities])
        return [str(label) for label in labels], probabilities

    def measure(self, rows: np.ndarray, truth: list[str]) -> Measured:
        """Ask for every row alone, then for all at once."""
        labels: list[str | None] = []
        probabilities: list[np.ndarray | None] = []
        for row in rows:
            try:
                answer = self.ask(row[np.newaxis])
                labels.append(answer[0][0])
                probabilities.append(answer[1][0])
            except InvalidArgument:
                labels.append(None)
                probabilities.append(None)
        return Measured(
            labels=labels,
            probabilities=probabilities,
            accuracy=mean(answer == right for answer, right in zip(labels, truth, strict=True)),
            thrown=mean(answer is None for answer in labels),
            not_a_number=mean(row is not None and np.isnan(row).any() for row in probabilities),
            milliseconds=self.time(rows[labels.index(next(filter(None, labels)))]),
            batch_equals_rows=self.batch_equals(rows, labels, probabilities),
        )

    def time(self, row: np.ndarray) -> float:
        """Median milliseconds of a request with this row, after a few to warm up."""
        feed = {self.session.get_inputs()[0].name: row[np.newaxis]}
        taken = []
        for _ in range(TIMED_REQUESTS):
            start = time.perf_counter()
            self.session.run(None, feed)
            taken.append((time.perf_counter() - start) * 1000)
        return median(taken[TIMED_REQUESTS // 6 :])

    def batch_equals(self, rows: np.ndarray, labels: list, probabilities: list) -> bool:
        try:
            batch_labels, batch_probabilities = self.ask(rows)
        except InvalidArgument:
            return None in labels
        return batch_labels == labels and np.allclose(
            batch_probabilities, np.array(probabilities), rtol=1e-5, atol=1e-6, equal_nan=True
        )


def check_family(folder: Path) -> tuple[dict[str, Measured], list[str]]:
    """Measure all versions of a family, and list the claims that do not hold."""
    metadata = json.loads((folder / "model.json").read_text())
    rows, truth = read_held_out(folder / "held-out.csv", metadata["features"])
    versions = {name: Version(folder / about["file"]) for name, about in metadata["versions"].items()}
    measured = {name: version.measure(rows, truth) for name, version in versions.items()}

    failures: list[str] = []

    def claim(holds: bool, text: str) -> None:
        if not holds:
            failures.append(f"{folder.name}: {text}")

    for name, version in versions.items():
        claim(measured[name].batch_equals_rows, f"{name} answers a batch as it answers its rows")
        check_file(version, versions["v1.0"], metadata, claim, renamed=name == "v2.0-renamed")
        if name not in ("v2.0-nan", "v2.0-throws"):
            claim(
                measured[name].thrown == 0 and measured[name].not_a_number == 0, f"{name} answers in numbers"
            )

    good, better = measured["v1.0"], measured["v1.1"]
    for name in ("v1.0", "v1.1"):
        claimed = metadata["versions"][name]["metrics"]["accuracy"]
        claim(abs(measured[name].accuracy - claimed) < 1e-4, f"{name} has the accuracy in model.json")
    claim(0.75 < good.accuracy < better.accuracy, "v1.0 is good and v1.1 is better")

    scaled = measured["v2.0-scaled"]
    claim(scaled.accuracy < 0.6, "v2.0-scaled is wrong")
    claimed = metadata["versions"]["v2.0-scaled"]["metrics"]["accuracy"]
    claim(claimed > better.accuracy, "the author of v2.0-scaled measured an improvement")

    throws = measured["v2.0-throws"]
    claim(0.1 <= throws.thrown <= 0.6, "v2.0-throws throws for 10% to 60% of the rows")
    claim(agrees(throws, better), "v2.0-throws answers the other rows as v1.1 does")

    slow = measured["v2.0-slow"]
    claim(slow.milliseconds >= 10 * better.milliseconds, "v2.0-slow is ten times slower")
    claim(agrees(slow, better), "v2.0-slow answers as v1.1 does")

    nan = measured["v2.0-nan"]
    claim(0 < nan.not_a_number < 1, "v2.0-nan answers NaN for some rows")
    claim(nan.labels == better.labels, "v2.0-nan has the labels of v1.1")

    claim(agrees(measured["v2.0-renamed"], better), "v2.0-renamed answers as v1.1 does")
    check_example(folder / "example.json", versions, claim)
    return measured, failures


def check_file(version: Version, first: Version, metadata: dict, claim, renamed: bool) -> None:
    """Size, opsets and signature of a model file."""
    name, signature = version.path.stem, version.signature()
    opsets = {opset.domain: opset.version for opset in version.model.opset_import}
    claim(version.path.stat().st_size < LARGEST_MODEL, f"{name} is small")
    claim(opsets.get("", 0) <= 17 and opsets.get("ai.onnx.ml", 0) <= 3, f"{name} uses old opsets")
    claim(version.model.ir_version <= 10, f"{name} uses an old IR version")
    expected = ("inputs" if renamed else "features", "tensor(float)", ["N", len(metadata["features"])])
    claim(signature["inputs"] == [expected], f"{name} has the one input {expected}")
    claim(signature["outputs"] == first.signature()["outputs"], f"{name} has the outputs of v1.0")


def check_example(path: Path, versions: dict[str, Version], claim) -> None:
    """Every version except the renamed one must answer its own input example."""
    rows = np.array(json.loads(path.read_text())["inputs"]["features"], dtype=np.float32)
    for name, version in versions.items():
        if name == "v2.0-renamed":
            try:
                version.session.run(None, {"features": rows})
                claim(False, "v2.0-renamed refuses the old input name")
            except ValueError:  # onnxruntime: required inputs are missing
                pass
        else:
            claim(bool(np.isfinite(version.ask(rows)[1]).all()), f"{name} answers the example")


def agrees(one: Measured, other: Measured) -> bool:
    """Whether two versions answer the same wherever both answer."""
    both = [i for i, label in enumerate(one.labels) if label is not None and other.labels[i] is not None]
    return all(
        one.labels[i] == other.labels[i] and np.array_equal(one.probabilities[i], other.probabilities[i])
        for i in both
    )


def read_held_out(path: Path, features: list[str]) -> tuple[np.ndarray, list[str]]:
    """The rows as float32, and the right answers as text."""
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    if header != [*features, "label"]:
        sys.exit(f"{path.parent.name}/{path.name}: the header differs from the features in model.json")
    return np.array([line[:-1] for line in lines], dtype=np.float32), [line[-1] for line in lines]


def mean(flags) -> float:
    return float(np.mean([bool(flag) for flag in flags]))


def print_table(family: str, measured: dict[str, Measured], claims: dict[str, dict]) -> None:
    print(f"\n{family} ({len(next(iter(measured.values())).labels)} held-out rows)")
    print(f"{'version':14}{'claimed':>9}{'held-out':>10}{'throws':>9}{'NaN':>8}{'ms/row':>10}")
    for name, result in measured.items():
        print(
            f"{name:14}{claims[name]['metrics']['accuracy']:9.1%}{result.accuracy:10.1%}"
            f"{result.thrown:9.1%}{result.not_a_number:8.1%}{result.milliseconds:10.3f}"
        )


def main() -> None:
    failures = []
    for family in FAMILIES:
        measured, failed = check_family(HERE / family)
        print_table(family, measured, json.loads((HERE / family / "model.json").read_text())["versions"])
        failures += failed
    total = sum(path.stat().st_size for family in FAMILIES for path in (HERE / family).iterdir())
    if total >= LARGEST_TOTAL:
        failures.append(f"all examples together are {total} bytes")
    for failure in failures:
        print(f"does not hold: {failure}")
    print(f"\n{'some claims do not hold' if failures else 'all claims hold'}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
