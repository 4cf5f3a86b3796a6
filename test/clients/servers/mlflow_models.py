"""Trains two scikit-learn models and saves them as MLflow model folders: `good/` and `worse/`.

    python mlflow_models.py FOLDER

`worse` is trained on labels that were shuffled. `table/` takes named columns instead of a tensor.
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
