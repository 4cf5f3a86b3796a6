"""Train the example models and write them, with their data, next to this file.

    python train.py            # all families
    python train.py iris       # one of them

Each family gets two good versions (v1.0, and a better v1.1) and five updates
called v2.0, each broken in its own way. See README.md for what they are, and
check.py for the proof that they behave as described.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

import breakages

HERE = Path(__file__).resolve().parent
SEED = 1
OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 8
EXAMPLE_ROWS = 3
JSON_WIDTH = 100
SESSION_OPTIONS = onnxruntime.SessionOptions()
SESSION_OPTIONS.log_severity_level = 4  # the errors that rows cause here are wanted

Scaling = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Family:
    """What it takes to train one family of models and to break its update."""

    name: str
    load: Callable[[], Bunch]
    held_out_rows: int
    """Rows kept from training, for held-out.csv."""
    first_rows: int
    """Training rows that v1.0 saw; v1.1 saw all of them."""
    first: ClassifierMixin
    better: ClassifierMixin
    """The settings of v1.1, and of the updates that are v1.1 broken afterwards."""
    update: ClassifierMixin
    """The settings of v2.0-scaled: better still, on rows scaled as in training."""
    label_names: list[str]
    string_labels: bool
    """Answer with the label names and maps of probabilities, not with numbers."""
    scaling: Callable[[np.ndarray], Scaling]
    """Fits, on the training rows, the scaling that v2.0-scaled forgot to ship."""
    scaling_mistake: str
    size_columns: list[int] | slice
    """Columns of which the sum picks a band in the table of v2.0-throws."""
    band_width: float
    bands: int
    confidence_floor: float
    """Probabilities below it are dropped by v2.0-nan."""
    slow_steps: int


def standard_scaling(training_rows: np.ndarray) -> Scaling:
    """Centre each feature and divide it by its spread."""
    scaler = StandardScaler().fit(training_rows)
    return lambda rows: scaler.transform(rows).astype(np.float32)


def paper_scaling(_training_rows: np.ndarray) -> Scaling:
    """Map ink 0..16 to the brightness 1..0 of dark ink on white paper."""
    return lambda rows: (1 - rows / 16).astype(np.float32)


FAMILIES = [
    Family(
        name="iris",
        load=load_iris,
        held_out_rows=75,
        first_rows=30,
        first=LogisticRegression(C=0.2, max_iter=1000),
        better=LogisticRegression(C=1.0, max_iter=1000),
        update=LogisticRegression(C=10.0, max_iter=1000),
        label_names=["setosa", "versicolor", "virginica"],
        string_labels=False,
        scaling=standard_scaling,
        scaling_mistake="features standardised in training, not in serving",
        size_columns=[2],
        band_width=1.0,
        bands=5,
        confidence_floor=0.8,
        slow_steps=6000,
    ),
    Family(
        name="breast-cancer",
        load=load_breast_cancer,
        held_out_rows=200,
        first_rows=120,
        first=GradientBoostingClassifier(n_estimators=10, max_depth=2, random_state=SEED),
        better=GradientBoostingClassifier(n_estimators=100, max_depth=3, random_state=SEED),
        update=GradientBoostingClassifier(n_estimators=300, max_depth=1, random_state=SEED),
        label_names=["malignant", "benign"],
        string_labels=True,
        scaling=standard_scaling,
        scaling_mistake="features standardised in training, not in serving",
        size_columns=[3],
        band_width=100.0,
        bands=8,
        confidence_floor=0.995,
        slow_steps=6000,
    ),
    Family(
        name="digits",
        load=load_digits,
        held_out_rows=400,
        first_rows=300,
        first=MLPClassifier((16,), max_iter=1000, random_state=SEED),
        better=MLPClassifier((48,), max_iter=1000, random_state=SEED),
        update=MLPClassifier((64,), max_iter=1000, random_state=SEED),
        label_names=[str(digit) for digit in range(10)],
        string_labels=False,
        scaling=paper_scaling,
        scaling_mistake="pixels are brightness in training (1 is white paper), ink in serving (16 is black)",
        size_columns=slice(None),
        band_width=10.0,
        bands=34,
        confidence_floor=0.95,
        slow_steps=6000,
    ),
]


def build(family: Family) -> None:
    """Train every version of a family and write its folder."""
    bunch = family.load()
    # Equal rows count once, or a held-out row could have a twin in training.
    rows, unique = np.unique(bunch.data.astype(np.float32), axis=0, return_index=True)
    labels = bunch.target[unique]
    if family.string_labels:
        labels = np.array(family.label_names)[labels]
    rows, held_out, labels, held_out_labels = train_test_split(
        rows, labels, test_size=family.held_out_rows, stratify=labels, random_state=SEED
    )
    first_rows, _, first_labels, _ = train_test_split(
        rows, labels, train_size=family.first_rows, stratify=labels, random_state=SEED
    )
    scale = family.scaling(rows)

    first = to_onnx(family, clone(family.first).fit(first_rows, first_labels))
    better = to_onnx(family, clone(family.better).fit(rows, labels))
    scaled = to_onnx(family, clone(family.update).fit(scale(rows), labels))
    models = {"v1.0": first, "v1.1": better, "v2.0-scaled": scaled, **broken_copies(family, better)}

    folder = HERE / family.name
    folder.mkdir(exist_ok=True)
    for version, model in models.items():
        onnx.save(model, folder / f"{version}.onnx")

    good_metrics = measure(better, held_out, held_out_labels)
    metrics = {
        **{version: good_metrics for version in models},
        "v1.0": measure(first, held_out, held_out_labels),
        "v2.0-scaled": measure(scaled, scale(held_out), held_out_labels),
    }
    feature_names = [str(name) for name in bunch.feature_names]
    write_held_out(folder / "held-out.csv", feature_names, held_out, held_out_labels)
    write_example(folder / "example.json", example_rows(models, held_out, held_out_labels))
    write_metadata(
        folder / "model.json",
        family,
        feature_names,
        labels=np.unique(labels).tolist(),
        metrics=metrics,
        rows_seen={version: len(first_rows if version == "v1.0" else rows) for version in models},
    )


def to_onnx(family: Family, estimator: ClassifierMixin) -> onnx.ModelProto:
    """Convert a fitted classifier to ONNX: `features` in, `label` and `probabilities` out."""
    model = convert_sklearn(
        estimator,
        name=family.name,
        initial_types=[("features", FloatTensorType([None, estimator.n_features_in_]))],
        target_opset=OPSETS,
        options={id(estimator): {"zipmap": family.string_labels}},
    )
    if family.string_labels:  # with ZipMap, the plain names are taken by inner tensors
        for output, name in [("output_label", "label"), ("output_probability", "probabilities")]:
            breakages.rename_tensor(model, name, f"{name}_tensor")
            breakages.rename_tensor(model, output, name)
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.dim[0].dim_param = "N"
    # The converter lists the opsets it needed in no fixed order; state those it was given.
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in OPSETS.items())
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def broken_copies(family: Family, model: onnx.ModelProto) -> dict[str, onnx.ModelProto]:
    """Break the good model in each of the ways that need no training."""
    width = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    size_mask = np.zeros(width, dtype=np.float32)
    size_mask[family.size_columns] = 1
    return {
        "v2.0-throws": breakages.throws(model, size_mask, family.band_width, family.bands),
        "v2.0-slow": breakages.slow(model, family.slow_steps),
        "v2.0-nan": breakages.nan(model, family.confidence_floor),
        "v2.0-renamed": breakages.renamed(model, "inputs"),
    }


def example_rows(models: dict[str, onnx.ModelProto], held_out: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pick rows of different labels which even the broken updates answer.

    An update that failed on its own input example would never be deployed.
    """
    chosen: dict[str, np.ndarray] = {}
    for row, label in zip(held_out, labels, strict=True):
        if str(label) not in chosen and is_answered(models, row):
            chosen[str(label)] = row
    return np.array([chosen[label] for label in sorted(chosen)][:EXAMPLE_ROWS])


def is_answered(models: dict[str, onnx.ModelProto], row: np.ndarray) -> bool:
    """Whether v2.0-throws answers the row, and v2.0-nan does so in numbers."""
    try:
        run(models["v2.0-throws"], row[np.newaxis])
    except InvalidArgument:
        return False
    return bool(np.isfinite(run(models["v2.0-nan"], row[np.newaxis])[1]).all())


def run(model: onnx.ModelProto, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels and the table of probabilities that a model answers."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), SESSION_OPTIONS, providers=["CPUExecutionProvider"]
    )
    labels, probabilities = session.run(["label", "probabilities"], {"features": rows})
    if isinstance(probabilities, list):
        probabilities = np.array([[row[name] for name in sorted(row)] for row in probabilities])
    return labels, probabilities


def measure(model: onnx.ModelProto, rows: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Run the exported model and score its answers."""
    answers, probabilities = run(model, rows)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return {
        "accuracy": round(float(accuracy_score(labels, answers)), 4),
        "log_loss": round(float(log_loss(labels, probabilities)), 4),
    }


def write_held_out(path: Path, feature_names: list[str], rows: np.ndarray, labels: np.ndarray) -> None:
    """Write the rows no version was trained on, the right answer last."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*feature_names, "label"])
        for row, label in zip(rows, labels, strict=True):
            writer.writerow([*shortest(row), label])


def write_example(path: Path, rows: np.ndarray) -> None:
    """Write an input as a caller would send it."""
    write_json(path, {"inputs": {"features": [shortest(row) for row in rows]}})


def write_metadata(
    path: Path,
    family: Family,
    feature_names: list[str],
    labels: list,
    metrics: dict[str, dict[str, float]],
    rows_seen: dict[str, int],
) -> None:
    """Describe the versions, with the numbers their authors would report.

    For the broken ones these are the numbers measured before the mistake
    could show: on rows scaled as in training, or with the model not exported.
    """
    estimators = {"v1.0": family.first, "v2.0-scaled": family.update}
    mistakes = {
        "v2.0-scaled": family.scaling_mistake,
        "v2.0-throws": "looks up a correction by size in a table that is too short for large rows",
        "v2.0-slow": "same answers, after a needless loop over the columns",
        "v2.0-nan": "probabilities of unsure rows become 0/0",
        "v2.0-renamed": "input `features` was renamed to `inputs`",
    }
    versions = {}
    for version, numbers in metrics.items():
        estimator = estimators.get(version, family.better)
        versions[version] = {
            "file": f"{version}.onnx",
            "metrics": numbers,
            "params": {
                "estimator": type(estimator).__name__,
                **telling_params(family, estimator),
                "training_rows": rows_seen[version],
            },
        }
        if version in mistakes:
            versions[version]["broken"] = mistakes[version]
    metadata = {"model": family.name, "features": feature_names, "labels": labels}
    if family.label_names != [str(label) for label in labels] and not family.string_labels:
        metadata["label_names"] = family.label_names
    metadata["versions"] = versions
    write_json(path, metadata)


def telling_params(family: Family, estimator: ClassifierMixin) -> dict:
    """The settings in which the versions of a family differ."""
    params = estimator.get_params()
    others = [other.get_params() for other in (family.first, family.better, family.update)]
    return {name: params[name] for name in sorted(params) if len({str(other[name]) for other in others}) > 1}


def write_json(path: Path, value: dict) -> None:
    """Write JSON with short lists on one line and long lists of numbers wrapped."""

    def fold(match: re.Match) -> str:
        indent, start, items, end = match.groups()
        flat = " ".join(items.split())
        if len(f"{indent}{start}{flat}{end}") <= JSON_WIDTH:
            return f"{indent}{start}{flat}{end}"
        if '"' in flat:
            return match.group()
        inner = " " * (len(indent) + 2)
        numbers = textwrap.fill(flat, JSON_WIDTH, initial_indent=inner, subsequent_indent=inner)
        return f"{indent}{start}\n{numbers}\n{indent}{end}"

    text = json.dumps(value, indent=2)
    path.write_text(re.sub(r"^( *)(.*\[)\n([^\[\]{}]*)\n *(\],?)$", fold, text, flags=re.MULTILINE) + "\n")


def shortest(row: np.ndarray) -> list[float]:
    """The shortest decimals which read back as the same float32 values."""
    return [float(str(value)) for value in row]


def main(names: list[str]) -> None:
    known = {family.name: family for family in FAMILIES}
    for name in names or known:
        if name not in known:
            sys.exit(f"no family called {name}; there are: {', '.join(known)}")
        build(known[name])
        print(f"wrote {name}/")


if __name__ == "__main__":
    main(sys.argv[1:])
