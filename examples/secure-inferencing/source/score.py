"""The entry script of the demo: predicts how far diabetes has progressed after one year."""

import json
import os

import joblib
import numpy


def init():
    global model
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], "diabetes.pkl")
    model = joblib.load(path)
    print("model loaded from", path)


def run(data):
    rows = numpy.array(json.loads(data)["data"], dtype=float)
    return model.predict(rows).tolist()
