#!/usr/bin/env python3
"""The bi-input network in numpy: reads perfpipe's weight files and estimates perfusion from curves, without perfpipe.

As a module (numpy alone):

    from perfpipe_network import Network
    network = Network("runs/cv/weights/without-sub-01/cbf.safetensors")
    network.estimate(patch, aif)      # patch (3, 3, 70): tissue curves at y-1..y+1, x-1..x+1; aif (70,); 1 s samples
                                      # -> the parameter of the centre voxel, in network.metadata["units"]

As a program (needs h5py too) it estimates voxels of a finished run anew and compares them with the run's own map:

    tools/perfpipe_network.py runs/quickstart sub-01 cbf
    tools/perfpipe_network.py runs/quickstart sub-01 cbf --voxel 30 28 3

Both curves must be in one unit (the concentration that perfpipe computes); voxels outside the brain or the image are
zero curves. The layers are those of Ho et al., ICPR 2016, section IV.
"""

import argparse
import json
import pathlib
import struct
import sys

import numpy as np


def read_safetensors(path):
    """(metadata, {name: array}) of a file: 8 bytes of header length, a JSON header, little-endian float32."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    data = raw[8 + length :]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, not F32")
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
    return metadata, tensors


class Network:
    """One network; computes in double precision."""

    def __init__(self, path):
        self.metadata, tensors = read_safetensors(path)
        if self.metadata.get("format") != "perfpipe-bicnn-1":
            raise ValueError(f"{path}: format is {self.metadata.get('format')!r}, not 'perfpipe-bicnn-1'")
        self.tensors = {name: values.astype(np.float64) for name, values in tensors.items()}

    def chain(self, curves, name):
        """The 128 features of one chain: curves (3, 3, 70), scaled."""
        w = self.tensors
        windows = np.lib.stride_tricks.sliding_window_view(curves, 36, axis=2)  # (3, 3, 35, 36)
        features = np.maximum(windows @ w[name + ".conv1.weight"].T + w[name + ".conv1.bias"], 0)  # (3, 3, 35, 32)
        if self.metadata["architecture"] == "bi-cnn-max-pool":
            features = features.max(axis=2)
        else:
            filters = w[name + ".conv2.weight"]  # (32, 35, 32): output, time, input
            features = np.maximum(np.einsum("yxti,oti->yxo", features, filters) + w[name + ".conv2.bias"], 0)
        filters, bias = w[name + ".conv3.weight"], w[name + ".conv3.bias"]  # (32, 2, 2, 32): output, y, x, input
        out = np.empty((2, 2, 32))
        for y in range(2):
            for x in range(2):
                out[y, x] = np.maximum(np.einsum("yxi,oyxi->o", features[y : y + 2, x : x + 2], filters) + bias, 0)
        return out.ravel()

    def estimate(self, patch, aif):
        """The parameter at the centre of a patch (3, 3, 70), not below 0."""
        patch, aif = np.asarray(patch, np.float64), np.asarray(aif, np.float64)
        if patch.shape != (3, 3, 70) or aif.shape != (70,):
            raise ValueError(f"a patch of (3, 3, 70) and an AIF of (70,) are needed, not {patch.shape} and {aif.shape}")
        factor = float(self.metadata["input_scale"]) / aif.max()  # the scaled AIF peaks at input_scale
        everywhere = np.broadcast_to(aif * factor, (3, 3, 70))
        features = np.concatenate([self.chain(patch * factor, "ctc"), self.chain(everywhere, "aif")])
        for layer in ("fc6", "fc7"):
            features = np.maximum(self.tensors[layer + ".weight"] @ features + self.tensors[layer + ".bias"], 0)
        value = self.tensors["fc8.weight"] @ features + self.tensors["fc8.bias"]
        return max(0.0, float(value[0]))


def patch_of(curves, z, y, x):
    """Curves (3, 3, 70) around a voxel of (z, y, x, 70); zero beyond the image."""
    patch = np.zeros((3, 3, curves.shape[3]))
    for dy in range(3):
        for dx in range(3):
            v, u = y + dy - 1, x + dx - 1
            if 0 <= v < curves.shape[1] and 0 <= u < curves.shape[2]:
                patch[dy, dx] = curves[z, v, u]
    return patch


def main():
    parser = argparse.ArgumentParser(description="Estimates voxels of a finished run anew and compares with its map.")
    parser.add_argument("output", type=pathlib.Path, help="output folder of the run")
    parser.add_argument("series", help="name of the series, as sub-01")
    parser.add_argument("parameter", choices=["cbf", "cbv", "mtt", "tmax"])
    parser.add_argument("--weights", type=pathlib.Path, help="weight file, if not the fold's own")
    parser.add_argument("--voxel", nargs=3, type=int, metavar=("X", "Y", "Z"), help="one voxel, counted from 0")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="allowed relative difference (%(default)s)")
    arguments = parser.parse_args()
    import h5py

    def dataset(stage, name):
        with h5py.File(arguments.output / "store" / stage / (arguments.series + ".h5")) as file:
            return file[name][:]

    subject = arguments.series.split("_ses-")[0]
    weights = arguments.weights or (
        arguments.output / "weights" / f"without-{subject}" / f"{arguments.parameter}.safetensors"
    )
    network = Network(weights)
    curves, aif = dataset("interpolation", "tissue_curves"), dataset("aif", "aif")
    brain, estimates = dataset("import", "brain_mask"), dataset("inference", arguments.parameter)
    if arguments.voxel:
        voxels = [tuple(reversed(arguments.voxel))]
    else:
        inside = np.argwhere(brain)
        voxels = [tuple(v) for v in inside[:: max(1, len(inside) // 20)]]
    worst = 0.0
    print(f"{arguments.parameter} ({network.metadata['units']}) of {arguments.series} by {weights}")
    print(f"{'x':>5} {'y':>5} {'z':>5} {'numpy':>12} {'perfpipe':>12}")
    for z, y, x in voxels:
        ours, theirs = network.estimate(patch_of(curves, z, y, x), aif), float(estimates[z, y, x])
        worst = max(worst, abs(ours - theirs) / max(1.0, abs(theirs)))
        print(f"{x:5d} {y:5d} {z:5d} {ours:12.6g} {theirs:12.6g}")
    print(f"largest difference relative to max(1, estimate): {worst:.2g}")
    return 0 if worst <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
