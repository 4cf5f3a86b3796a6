"""scikit-learn behind FastAPI: the model is trained at the start, an object of rows comes, one of labels goes."""

import os

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

iris = load_iris()
model = LogisticRegression(max_iter=500).fit(iris.data, iris.target)
app = FastAPI()


class Rows(BaseModel):
    features: list[list[float]]


@app.get("/health")
def health():
    return {"status": "ok"}


@app.post("/predict")
def predict(rows: Rows):
    return {"label": model.predict(rows.features).tolist()}


uvicorn.run(app, host=os.environ["HOST"], port=int(os.environ["PORT"]), log_level="warning")
