"""Ways in which a real model update goes wrong, as edits of a good ONNX graph.

Every function takes a working model and returns an edited copy; the original
is left alone. The names and types of the outputs never change, so each result
loads and looks like the good model until it is asked something.
"""

from __future__ import annotations

import copy

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "features"
PROBABILITIES = "probabilities"


def rename_tensor(model: onnx.ModelProto, old: str, new: str) -> None:
    """Rename one tensor everywhere in the top-level graph, in place."""
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        if value.name == old:
            value.name = new


def throws(model: onnx.ModelProto, mask: np.ndarray, band_width: float, bands: int) -> onnx.ModelProto:
    """Look up a correction factor per size band in a table that is too short.

    The size of a row is the sum of the features that `mask` selects. A row
    whose size is `bands * band_width` or more indexes past the end of the
    table, and the runtime raises. Every factor is 1, so the rows which are
    answered are answered as before.
    """
    nodes = [
        helper.make_node("MatMul", [INPUT, "size_mask"], ["size"]),
        helper.make_node("Div", ["size", "band_width"], ["size_in_bands"]),
        helper.make_node("Floor", ["size_in_bands"], ["band_floor"]),
        helper.make_node("Cast", ["band_floor"], ["band"], to=TensorProto.INT64),
        helper.make_node("Gather", ["band_factors", "band"], ["factor"], name="lookup_band_factor", axis=0),
        helper.make_node("Mul", [INPUT, "factor"], ["corrected_features"]),
    ]
    constants = {
        "size_mask": mask.astype(np.float32).reshape(-1, 1),
        "band_width": np.array(band_width, dtype=np.float32),
        "band_factors": np.ones(bands, dtype=np.float32),
    }
    return _with_preprocessing(model, nodes, constants, "corrected_features")


def slow(model: onnx.ModelProto, steps: int) -> onnx.ModelProto:
    """Rotate the columns by one, over and over, before the model proper.

    `steps` is rounded to whole turns, after which each column is back in its
    place: the answers are identical to the bit, and late.
    """
    width = _feature_count(model)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["go_on_next"]),
            helper.make_node("Gather", ["columns", "rotation"], ["rotated"], axis=1),
        ],
        "rotate_columns",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("columns", TensorProto.FLOAT, ["N", width]),
        ],
        [
            helper.make_tensor_value_info("go_on_next", TensorProto.BOOL, []),
            helper.make_tensor_value_info("rotated", TensorProto.FLOAT, ["N", width]),
        ],
    )
    loop = helper.make_node(
        "Loop", ["steps", "always", INPUT], ["rotated_features"], name="rotate_columns", body=body
    )
    constants = {
        "steps": np.array(round(steps / width) * width, dtype=np.int64),
        "always": np.array(True),
        "rotation": np.roll(np.arange(width, dtype=np.int64), -1),
    }
    return _with_preprocessing(model, [loop], constants, "rotated_features")


def nan(model: onnx.ModelProto, floor: float) -> onnx.ModelProto:
    """Drop the probabilities below `floor` and divide by the sum of the rest.

    A row of which no class reaches the floor becomes 0/0. The label, which is
    worked out separately, stays right.
    """
    edited = copy.deepcopy(model)
    source = _free_probabilities(edited)
    nodes = [
        helper.make_node("GreaterOrEqual", [source, "confidence_floor"], ["is_confident"]),
        helper.make_node("Cast", ["is_confident"], ["confident"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [source, "confident"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "class_axis"], ["kept_sum"], keepdims=1),
        helper.make_node("Div", ["kept", "kept_sum"], [f"{source}_renormalised"], name="renormalise"),
    ]
    constants = {
        "confidence_floor": np.array(floor, dtype=np.float32),
        "class_axis": np.array([1], dtype=np.int64),
    }
    _add_constants(edited, constants)
    zipmap = _zipmap(edited)
    if zipmap is None:
        nodes[-1].output[0] = PROBABILITIES
        edited.graph.node.extend(nodes)
    else:
        zipmap.input[0] = nodes[-1].output[0]
        position = list(edited.graph.node).index(zipmap)
        _insert_nodes(edited, position, nodes)
    return _checked(edited)


def renamed(model: onnx.ModelProto, new_input: str) -> onnx.ModelProto:
    """Give the input another name, so that callers of the old one are refused."""
    edited = copy.deepcopy(model)
    rename_tensor(edited, INPUT, new_input)
    return _checked(edited)


def _with_preprocessing(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    result: str,
) -> onnx.ModelProto:
    """Put `nodes` between the input and the model, which then reads `result`."""
    edited = copy.deepcopy(model)
    for node in edited.graph.node:
        node.input[:] = [result if name == INPUT else name for name in node.input]
    _insert_nodes(edited, 0, nodes)
    _add_constants(edited, constants)
    return _checked(edited)


def _free_probabilities(model: onnx.ModelProto) -> str:
    """Return the tensor of raw probabilities, making its name an internal one."""
    zipmap = _zipmap(model)
    if zipmap is not None:
        return zipmap.input[0]
    raw = f"raw_{PROBABILITIES}"
    for node in model.graph.node:
        node.output[:] = [raw if name == PROBABILITIES else name for name in node.output]
        node.input[:] = [raw if name == PROBABILITIES else name for name in node.input]
    return raw


def _zipmap(model: onnx.ModelProto) -> onnx.NodeProto | None:
    return next((node for node in model.graph.node if node.op_type == "ZipMap"), None)


def _feature_count(model: onnx.ModelProto) -> int:
    return model.graph.input[0].type.tensor_type.shape.dim[1].dim_value


def _insert_nodes(model: onnx.ModelProto, position: int, nodes: list[onnx.NodeProto]) -> None:
    present = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*present[:position], *nodes, *present[position:]])


def _add_constants(model: onnx.ModelProto, constants: dict[str, np.ndarray]) -> None:
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    onnx.checker.check_model(model)
    return model
