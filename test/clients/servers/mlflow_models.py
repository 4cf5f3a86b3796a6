"""Trains two scikit-learn models and saves them as MLflow model folders: `good/` and `worse/`.

    python mlflow_models.py FOLDER

`worse` is trained on labels that were shuffled. `table/` takes named columns instead of a tensor, `undescribed/` has no signature,
`parameters/` takes parameters, `frames/` answers with a data frame.
"""

import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

folder = Path(sys.argv[1])
data = load_iris()
shuffled = np.random.default_rng(1).permutation(data.target)
columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in data.feature_names]
table = pd.DataFrame(data.data, columns=columns)


def save(name, features, labels):
    model = LogisticRegression(max_iter=500).fit(features, labels)
    signature = mlflow.models.infer_signature(features, model.predict(features))
    # A list of requirements would be worked out by importing everything once more.
    mlflow.sklearn.save_model(
        model, str(folder / name), signature=signature, pip_requirements=["mlflow", "scikit-learn"]
    )


save("good", data.data, data.target)
save("worse", data.data, shuffled)
save("table", table, data.target)
mlflow.sklearn.save_model(
    LogisticRegression(max_iter=500).fit(table, data.target),
    str(folder / "undescribed"),
    pip_requirements=["mlflow", "scikit-learn"],
)


class Scaled(mlflow.pyfunc.PythonModel):
    """Answers with a data frame, and takes a parameter."""

    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"y": model_input["x"] * (params or {}).get("by", 1.0)})


def save_scaled(name, params):
    inputs = pd.DataFrame({"x": [1.0, 2.0]})
    signature = mlflow.models.infer_signature(inputs, Scaled().predict(None, inputs), params=params)
    mlflow.pyfunc.save_model(
        str(folder / name), python_model=Scaled(), signature=signature, pip_requirements=["mlflow"]
    )


save_scaled("parameters", {"by": 2.0})
save_scaled("frames", None)
