"""scikit-learn as a BentoML service."""

import bentoml
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


@bentoml.service
class Iris:
    def __init__(self):
        iris = load_iris()
        self.model = LogisticRegression(max_iter=500).fit(iris.data, iris.target)

    @bentoml.api
    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.model.predict(features)
